// SPDX-License-Identifier: GPL-2.0
/*
 * A look at one page table: which pages are there, and what their bits say.
 *
 * A clearing look reads accessed and dirty bits and clears them; a reading look
 * only reads, and also tells on which node pages are and whether they can move.
 * Both hold the page-table lock of this one table and only fill in words of a
 * bit a page; histories are brought up to date with the lock dropped.
 *
 * This is where most of ktierd's time goes.  So the common page, small and
 * anonymous and of one process, is dealt with in as few steps as can be, and
 * all others are left to functions that ask more questions.  And most looks are
 * light ones, which do not ask where pages are and whether they can move.
 *
 * Reclaim reads the same accessed bits.  For each one that is cleared here
 * PG_young is set, which it takes for the bit and which stays until it asks.  If
 * nobody reclaims, a light look leaves that to the next full one: it then needs
 * no struct page, but for those with a dirty bit if it asks for these, and so
 * half the cache lines.  One page of a table that was used gets it at once:
 * khugepaged wants to see one, or leaves the table alone.
 *
 * The dirty bit of a page is the only record of its being written since it was
 * last clean, so it is only cleared where ktierd_dirty_known() says so; the
 * folio is marked dirty first; and as a processor with a translation that says
 * "dirty" already writes without setting the bit again, all this happens while
 * mm_tlb_flush_pending() is true, which makes others flush before they rely on
 * a clean entry.  The caller sees to that.
 */

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/page_idle.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <trace/events/ktierd.h>

#include "../internal.h"
#include "internal.h"

#define PLAIN_MASK	(BIT(PG_locked) | BIT(PG_writeback) | BIT(PG_head) | \
			 BIT(PG_swapcache) | BIT(PG_swapbacked) | __PG_HWPOISON)

/*
 * A small anonymous page that is mapped once, and nothing is going on with it:
 * it can move, and its dirty bit can be cleared.  Whether it is a tail page is
 * asked of the word itself: page_folio() would also look for fakes, which only
 * hugetlb makes.
 */
static __always_inline bool page_plain(const struct page *page)
{
	return (READ_ONCE(page->flags) & PLAIN_MASK) == BIT(PG_swapbacked) &&
	       !(READ_ONCE(page->compound_head) & 1) &&
	       ((unsigned long)page->mapping & PAGE_MAPPING_FLAGS) ==
	       PAGE_MAPPING_ANON && !atomic_read(&page->_mapcount) &&
	       page_ref_count(page) < GUP_PIN_COUNTING_BIAS &&
	       !is_zone_device_page(page);
}

/* The page behind a present entry, NULL if that is not to be had quickly. */
static __always_inline struct page *quick_page(pte_t pte)
{
	if (!IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL) || pte_special(pte))
		return NULL;
	return pfn_to_page(pte_pfn(pte));
}

/* Somebody else may ask for the bit that was just cleared. */
static void give_back_young(struct folio *folio)
{
	if (folio_test_idle(folio))
		folio_clear_idle(folio);
	if (!folio_test_young(folio))
		folio_set_young(folio);
}

/* The folio of a dirty entry, if its dirty bit may be cleared. */
static struct folio *dirty_folio(struct ktierd_look *look, unsigned long addr,
				 pte_t ptent)
{
	struct page *page = quick_page(ptent);
	struct folio *folio;

	if (page && likely(page_plain(page)))
		return (struct folio *)page;
	folio = ktierd_pte_folio(look->vma, addr, ptent);
	return folio && ktierd_dirty_known(look->vma, folio) ? folio : NULL;
}

/*
 * In place: clear_young_dirty_ptes() has the entry empty for a moment, and who
 * touches the page just then takes a fault, and is charged a page that he does not
 * need.  In a cgroup that is full he was killed for that.
 */
static bool clear_young_and_dirty(pte_t *pte)
{
	pte_t old = ptep_get(pte), new;

	do {
		new = pte_mkold(pte_mkclean(old));
	} while (!try_cmpxchg(&pte->pte, &old.pte, new.pte));
	return pte_young(old);
}

/* If the dirty bit may be cleared: both are, and @young says whether it was used. */
static bool clear_dirty(struct ktierd_look *look, unsigned long addr, pte_t *pte,
			pte_t ptent, bool *young)
{
	struct folio *folio = dirty_folio(look, addr, ptent);

	if (!folio) {
		look->unclean = true;
		return false;
	}
	if (!folio_test_dirty(folio))
		folio_mark_dirty(folio);
	*young = clear_young_and_dirty(pte);
	look->cleaned = true;
	return true;
}

/* Was the page used? */
static bool clear_pte(struct ktierd_look *look, unsigned long addr, pte_t *pte,
		      pte_t ptent)
{
	bool young;

	if (look->writes && pte_dirty(ptent) &&
	    clear_dirty(look, addr, pte, ptent, &young))
		return young;
	return ptep_clear_young_notify(look->vma, addr, pte);
}

/* And give that back, if it was or has been before (@owed). */
static bool clear_pte_give(struct ktierd_look *look, unsigned long addr,
			   pte_t *pte, pte_t ptent, bool owed)
{
	struct folio *folio = ktierd_pte_folio(look->vma, addr, ptent);
	bool young;

	if (!folio)
		return false;
	young = clear_pte(look, addr, pte, ptent);
	if (young || owed)
		give_back_young(folio);
	return young;
}

/* How much is done about each entry. */
enum clearing {
	CLEAR_YOUNG,	/* nothing but the accessed bit, where it is set */
	CLEAR_DIRTY,	/* the dirty bit, too */
	CLEAR_GIVE,	/* and tell reclaim */
};

/* Up to 64 entries from @pte on, the first of them for bit @first. */
static __always_inline pte_t *clear_group(struct ktierd_look *look,
					  unsigned int group, pte_t *pte,
					  unsigned int first, unsigned long addr,
					  unsigned long end,
					  const enum clearing how)
{
	u64 present = 0, young = 0, bit = 1ULL << first;
	pte_t ptent;

	for (; addr != end; addr += PAGE_SIZE, pte++, bit <<= 1) {
		ptent = ptep_get(pte);
		if (!pte_present(ptent) || pte_special(ptent)) {
			look->swapped |= !pte_none(ptent) && !pte_present(ptent);
			continue;
		}
		present |= bit;
		if (how == CLEAR_GIVE) {
			if (clear_pte_give(look, addr, pte, ptent,
					   look->owed[group] & bit))
				young |= bit;
		} else if (how == CLEAR_DIRTY && pte_dirty(ptent)) {
			if (clear_pte(look, addr, pte, ptent))
				young |= bit;
		} else if (pte_young(ptent)) {
			/* Nobody else clears it here: it is still set. */
			ptep_test_and_clear_young(look->vma, addr, pte);
			young |= bit;
		}
	}
	look->present[group] = present;
	look->young[group] = young;
	return pte;
}

static __always_inline void note_page(struct ktierd_look *look, int nid,
				      unsigned int group, u64 bit)
{
	look->on[nid].word[group] |= bit;
}

static void note_folio(struct ktierd_look *look, struct folio *folio,
		       unsigned int group, u64 bit)
{
	enum ktierd_fail why = ktierd_folio_movable(folio, look->asked);

	note_page(look, folio_nid(folio), group, bit);
	if (look->asked && folio_likely_mapped_shared(folio)) {
		look->shared[group] |= bit;
		if (ktierd_share_elsewhere(look->vma->vm_mm, folio))
			look->elsewhere[group] |= bit;
	}
	if (why == KTIERD_MOVABLE)
		look->movable[group] |= bit;
	else
		look->why[group * KTIERD_GROUP_PAGES + __ffs64(bit)] = why;
}

static __always_inline bool used(struct ktierd_look *look, unsigned long addr,
				 pte_t ptent)
{
	return pte_young(ptent) ||
	       (unlikely(look->notify) &&
		mmu_notifier_test_young(look->vma->vm_mm, addr));
}

static pte_t *read_group(struct ktierd_look *look, unsigned int group,
			 pte_t *pte, unsigned int first, unsigned long addr,
			 unsigned long end)
{
	u64 present = 0, young = 0, dirty = 0, plain = 0, bit = 1ULL << first;
	struct folio *folio;
	struct page *page;
	pte_t ptent;

	for (; addr != end; addr += PAGE_SIZE, pte++, bit <<= 1) {
		ptent = ptep_get(pte);
		if (!pte_present(ptent))
			continue;
		page = quick_page(ptent);
		if (page && likely(page_plain(page))) {
			note_page(look, page_to_nid(page), group, bit);
			plain |= bit;
			if (pte_dirty(ptent))
				dirty |= bit;
		} else {
			folio = ktierd_pte_folio(look->vma, addr, ptent);
			if (!folio)
				continue;
			note_folio(look, folio, group, bit);
			if (pte_dirty(ptent) &&
			    ktierd_dirty_known(look->vma, folio))
				dirty |= bit;
		}
		present |= bit;
		if (used(look, addr, ptent))
			young |= bit;
	}
	look->present[group] = present;
	look->young[group] = young;
	look->written[group] = look->writes ? dirty : 0;
	look->movable[group] |= plain;
	return pte;
}

static __always_inline pte_t *read_group_light(struct ktierd_look *look,
					       unsigned int group, pte_t *pte,
					       unsigned int first,
					       unsigned long addr,
					       unsigned long end,
					       const bool writes)
{
	u64 present = 0, young = 0, dirty = 0, bit = 1ULL << first;
	pte_t *last = pte + ((end - addr) >> PAGE_SHIFT);
	pte_t ptent;

	for (; pte != last; pte++, bit <<= 1) {
		ptent = ptep_get(pte);
		if (!pte_present(ptent) || pte_special(ptent))
			continue;
		present |= bit;
		if (pte_young(ptent))
			young |= bit;
		if (writes && pte_dirty(ptent))
			dirty |= bit;
	}
	look->present[group] = present;
	look->young[group] = young;
	look->written[group] = dirty;
	return pte;
}

static pte_t *look_at_group(struct ktierd_look *look, unsigned int group,
			    pte_t *pte, unsigned int first, unsigned long addr,
			    unsigned long end)
{
	if (!look->light || (look->clear && look->reclaim))
		return look->clear ?
		       clear_group(look, group, pte, first, addr, end,
				   CLEAR_GIVE) :
		       read_group(look, group, pte, first, addr, end);
	if (look->writes)
		return look->clear ?
		       clear_group(look, group, pte, first, addr, end,
				   CLEAR_DIRTY) :
		       read_group_light(look, group, pte, first, addr, end,
					true);
	return look->clear ?
	       clear_group(look, group, pte, first, addr, end, CLEAR_YOUNG) :
	       read_group_light(look, group, pte, first, addr, end, false);
}

static void look_at_table(struct ktierd_look *look, pte_t *pte)
{
	unsigned int first = pte_index(look->addr), group;
	unsigned long addr = look->addr, end;

	for (; addr != look->end; addr = end, first = 0) {
		group = pte_index(addr) / KTIERD_GROUP_PAGES;
		end = min(look->end, ALIGN(addr + 1, KTIERD_GROUP_PAGES *
						     PAGE_SIZE));
		first %= KTIERD_GROUP_PAGES;
		pte = look_at_group(look, group, pte, first, addr, end);
	}
}

/*
 * One page that was used is told for all: see above.  If some are swapped out
 * khugepaged wants to see half of the table.
 */
static void give_back_some(struct ktierd_look *look, pte_t *pte)
{
	unsigned int first = pte_index(look->addr), group, i;
	struct folio *folio;
	u64 young;

	for (group = 0; group < KTIERD_GROUPS; group++) {
		for (young = look->young[group]; young; young &= young - 1) {
			i = group * KTIERD_GROUP_PAGES + __ffs64(young) - first;
			folio = ktierd_pte_folio(look->vma,
						 look->addr + i * PAGE_SIZE,
						 ptep_get(pte + i));
			if (!folio)
				continue;
			give_back_young(folio);
			if (!look->swapped)
				return;
		}
	}
}

static void look_held(const struct ktierd_look *look, bool pmd, u64 since)
{
	if (since)
		ktierd_trace_held(look->vma->vm_mm, look->clear ?
				  KTIERD_TRACE_CLEAR : KTIERD_TRACE_READ, pmd,
				  pmd ? 1 : (look->end - look->addr) >> PAGE_SHIFT,
				  since);
}

/*
 * A PMD that points to a table has an accessed bit of its own.  When it is
 * clear, no translation was loaded through it since it was cleared.  It is
 * cleared before the entries: a touch that comes in between is seen by both or
 * by the next round.
 */
static void look_at_pmd(struct ktierd_look *look, pmd_t *pmd)
{
	spinlock_t *ptl;	/* of the PMD */
	u64 since;

	if (!IS_ENABLED(CONFIG_ARCH_HAS_NONLEAF_PMD_YOUNG))
		return;
	look->quiet = look->nonleaf && !pmd_young(pmdp_get(pmd));
	if (look->quiet || !look->nonleaf || !look->clear)
		return;
	ptl = pmd_lock(look->vma->vm_mm, pmd);
	since = ktierd_held_since();
	if (pmd_present(*pmd) && !pmd_leaf(*pmd))
		pmdp_test_and_clear_young(look->vma, look->addr & PMD_MASK, pmd);
	look_held(look, true, since);
	spin_unlock(ptl);
}

static bool clear_huge_dirty(struct ktierd_look *look, struct folio *folio,
			     unsigned long addr, pmd_t *pmd)
{
	struct vm_area_struct *vma = look->vma;
	pmd_t old;

	folio_mark_dirty(folio);
	/* Never none, even for a moment, and the TLB flushed. */
	old = pmdp_invalidate(vma, addr, pmd);
	set_pmd_at(vma->vm_mm, addr, pmd, pmd_mkclean(pmd_mkold(old)));
	update_mmu_cache_pmd(vma, addr, pmd);
	return pmd_young(old);
}

static void clear_huge(struct ktierd_look *look, struct folio *folio,
		       unsigned long addr, pmd_t *pmd)
{
	bool young;

	look->present[0] = 1;
	if (look->writes && pmd_dirty(*pmd) &&
	    ktierd_dirty_known(look->vma, folio))
		young = clear_huge_dirty(look, folio, addr, pmd);
	else
		young = pmdp_clear_young_notify(look->vma, addr, pmd);
	look->young[0] = young;
	if (young)
		give_back_young(folio);
}

/* What a secondary MMU knows.  Testing would ask about one address only, so clear. */
static bool secondary_huge_young(struct mm_struct *mm, unsigned long addr)
{
#ifdef CONFIG_MMU_NOTIFIER
	return mmu_notifier_clear_young(mm, addr, addr + PMD_SIZE);
#else
	return false;
#endif
}

static void read_huge(struct ktierd_look *look, struct folio *folio,
		      unsigned long addr, pmd_t *pmd)
{
	bool secondary = secondary_huge_young(look->vma->vm_mm, addr);

	look->present[0] = 1;
	note_folio(look, folio, 0, 1);
	/* Of so few and so large ones lots would make a noise: each counts a part. */
	look->elsewhere[0] = 0;
	if (look->shared[0])
		look->sharers = ktierd_share_mapped(folio);
	if (secondary)
		give_back_young(folio);
	look->young[0] = secondary || pmd_young(*pmd);
	look->written[0] = look->writes && pmd_dirty(*pmd) &&
			   ktierd_dirty_known(look->vma, folio);
}

static void look_at_huge(struct ktierd_look *look, pmd_t *pmd)
{
	unsigned long addr = look->addr & PMD_MASK;
	struct folio *folio = ktierd_pmd_folio(look->vma, addr, *pmd);

	if (!folio)
		return;
	if (look->clear)
		clear_huge(look, folio, addr, pmd);
	else
		read_huge(look, folio, addr, pmd);
}

static void look_begin(struct ktierd_look *look)
{
	struct vm_area_struct *vma = look->vma;
	int nid;

	memset(look->present, 0, sizeof(look->present));
	memset(look->young, 0, sizeof(look->young));
	memset(look->written, 0, sizeof(look->written));
	memset(look->movable, 0, sizeof(look->movable));
	memset(look->shared, 0, sizeof(look->shared));
	memset(look->elsewhere, 0, sizeof(look->elsewhere));
	if (!look->clear && !look->light)
		for_each_node_state(nid, N_MEMORY)
			memset(&look->on[nid], 0, sizeof(look->on[nid]));
	look->notify = mm_has_notifiers(vma->vm_mm);
	look->nonleaf = ktierd_look_nonleaf(vma);
	look->writes = look->dirty && !look->notify &&
		       !(vma->vm_flags & (VM_SHARED | VM_SHADOW_STACK)) &&
		       !userfaultfd_armed(vma);	/* looks at entries without a lock */
	look->sharers = 1;
	look->quiet = false;
	look->cleaned = false;
	look->unclean = false;
	look->swapped = false;
}

/**
 * ktierd_look_nonleaf() - do accessed bits of PMDs that point to tables tell?
 * @vma: where
 *
 * Secondary MMUs do not set them.
 *
 * Return: true if so.
 */
bool ktierd_look_nonleaf(struct vm_area_struct *vma)
{
	return IS_ENABLED(CONFIG_ARCH_HAS_NONLEAF_PMD_YOUNG) &&
	       arch_has_hw_nonleaf_pmd_young() && !mm_has_notifiers(vma->vm_mm);
}

/**
 * ktierd_look() - look at what is below a PMD
 * @look: where, and how; the rest is the answer
 * @pmd: the PMD; mmap_lock is held
 *
 * Return: pages of the block, 1 for a huge page; 0 if the table is gone.
 */
unsigned int ktierd_look(struct ktierd_look *look, pmd_t *pmd)
{
	struct mm_struct *mm = look->vma->vm_mm;
	spinlock_t *ptl;	/* of the table */
	pte_t *pte;
	u64 since;

	look_begin(look);
	ptl = pmd_trans_huge_lock(pmd, look->vma);
	if (ptl) {
		__acquire(ptl);	/* which sparse can't see */
		since = ktierd_held_since();
		look_at_huge(look, pmd);
		look_held(look, true, since);
		spin_unlock(ptl);
		return 1;
	}

	look_at_pmd(look, pmd);
	pte = pte_offset_map_lock(mm, pmd, look->addr, &ptl);
	if (!pte)
		return 0;
	__acquire(ptl);
	since = ktierd_held_since();
	look_at_table(look, pte);
	if (look->light && look->clear && !look->reclaim)
		give_back_some(look, pte);
	look_held(look, false, since);
	pte_unmap_unlock(pte, ptl);
	return KTIERD_BLOCK_PAGES;
}

/**
 * ktierd_look_init() - get memory for what is noted by node
 * @look: what it is for
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_look_init(struct ktierd_look *look)
{
	look->on = kcalloc(nr_node_ids, sizeof(*look->on), GFP_KERNEL);
	return look->on ? 0 : -ENOMEM;
}
