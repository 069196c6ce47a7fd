// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that several processes map.
 *
 * Such a page moves only if all of these have asked for it, and to a node where
 * all of them may have memory.  It is as hot as its hottest use: whoever is
 * about to move it asks the others' histories, and so they agree, and it is
 * moved once.
 *
 * Who may map pages of a VMA is learned from the reverse maps when a walk enters
 * it, because under a page-table lock there is no asking.  So it is known by VMA:
 * one that was forked counts, even if all its pages have been copied since.  Who
 * begins to map a page after that is not asked for what is left of the walk until
 * it lets go of mmap_lock, and for its batch.
 *
 * All locks here are tried for: others take them in another order.
 *
 * A page that several processes map would be counted by each.  By chance, with
 * the odds that there are so many of them, it is counted by one.  The lots are
 * drawn anew in each round: one that was counted by none would not be planned for.
 * Of a huge page each counts a part.
 */

#include <linux/fs.h>
#include <linux/mmap_lock.h>
#include <linux/rmap.h>

#include "../internal.h"
#include "internal.h"

/* Of a VMA with more, shared pages stay.  It bounds what a look at one costs. */
#define KTIERD_SHARERS_MAX	32UL

/*
 * And a process may have very many VMAs, with hardly a page.  So in a walk so many
 * others are asked, and for each page table in use, and batch that is moved, as many
 * as a VMA may have.  Beyond that shared pages stay as they are.
 */
#define KTIERD_ASKS_MIN		4096

/**
 * struct sharer - a VMA that may map pages of the one that the walk is in
 * @vma: the VMA; to be looked at only while who may map is learned
 * @mm: whose it is; afterwards, to look up its slot and for nothing else
 * @start: first address
 * @end: end of the last page
 * @offset: to what is there for an address of the walk's VMA
 */
struct sharer {
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	unsigned long start;
	unsigned long end;
	unsigned long offset;
};

/* Of the VMA that the walk has entered last. */
static struct sharer sharers[KTIERD_SHARERS_MAX];
static unsigned int nr_sharers;
static struct ktierd_limits limits;
static enum ktierd_asked asked;
static u32 draw;

static unsigned long vma_origin(const struct vm_area_struct *vma)
{
	return vma->vm_start - (vma->vm_pgoff << PAGE_SHIFT);
}

static pgoff_t last_page(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

static bool known_sharer(const struct vm_area_struct *vma)
{
	unsigned int i;

	for (i = 0; i < nr_sharers; i++)
		if (sharers[i].mm == vma->vm_mm &&
		    sharers[i].start == vma->vm_start)
			return true;
	return false;
}

static enum ktierd_asked add_sharer(struct vm_area_struct *vma,
				    struct vm_area_struct *other)
{
	if (other == vma)
		return KTIERD_ALL_ASKED;
	/* Its mmap_lock is not held: a mark may come and go any time. */
	if (!(data_race(other->vm_flags) & VM_TIER))
		return KTIERD_NOT_ASKED;
	if (known_sharer(other))
		return KTIERD_ALL_ASKED;
	if (nr_sharers == KTIERD_SHARERS_MAX)
		return KTIERD_NOT_ASKED;
	sharers[nr_sharers++] = (struct sharer){
		.vma	= other,
		.mm	= other->vm_mm,
		.start	= other->vm_start,
		.end	= other->vm_end,
		.offset	= vma_origin(other) - vma_origin(vma),
	};
	return KTIERD_ALL_ASKED;
}

/*
 * Where its process lets the other VMA have memory.  False if that can't be told
 * now.
 */
static bool add_limits(struct vm_area_struct *vma, struct vm_area_struct *other)
{
	struct mm_struct *mm = other->vm_mm;
	bool locked = mm != vma->vm_mm, known;
	struct ktierd_limits its;

	/* Its policy is under its mmap_lock. */
	if (locked && !mmap_read_trylock(mm))
		return false;
	known = ktierd_owner_limits(mm, &its);
	if (known && !ktierd_policy_by_page(other))
		ktierd_vma_limits(other, other->vm_start, &its, &its);
	if (locked)
		mmap_read_unlock(mm);
	if (!known)
		return false;
	nodes_and(limits.cpuset, limits.cpuset, its.cpuset);
	nodes_and(limits.policy, limits.policy, its.policy);
	return true;
}

/* Of those from the @first on; the lock that keeps their VMAs is held. */
static enum ktierd_asked add_all_limits(struct vm_area_struct *vma,
					unsigned int first)
{
	for (; first < nr_sharers; first++)
		if (!add_limits(vma, sharers[first].vma))
			return KTIERD_ASK_LATER;
	return KTIERD_ALL_ASKED;
}

static enum ktierd_asked find_family(struct vm_area_struct *vma)
{
	enum ktierd_asked all = KTIERD_ALL_ASKED;
	struct anon_vma_chain *ours, *other;

	list_for_each_entry(ours, &vma->anon_vma_chain, same_vma) {
		anon_vma_interval_tree_foreach(other, &ours->anon_vma->rb_root,
					       vma->vm_pgoff, last_page(vma)) {
			all = add_sharer(vma, other->vma);
			if (all != KTIERD_ALL_ASKED)
				return all;
		}
	}
	return all;
}

/* Parents, children and their children: who may have an anonymous page of ours. */
static enum ktierd_asked ask_family(struct vm_area_struct *vma)
{
	struct anon_vma *anon_vma = READ_ONCE(vma->anon_vma);
	enum ktierd_asked all;

	if (!anon_vma)
		return KTIERD_ALL_ASKED;
	/* They all have the same lock. */
	if (!anon_vma_trylock_read(anon_vma))
		return KTIERD_ASK_LATER;
	all = find_family(vma);
	if (all == KTIERD_ALL_ASKED)
		all = add_all_limits(vma, 0);
	anon_vma_unlock_read(anon_vma);
	return all;
}

/* Who maps the same part of a file. */
static enum ktierd_asked ask_mappers(struct vm_area_struct *vma)
{
	enum ktierd_asked all = KTIERD_ALL_ASKED;
	unsigned int first = nr_sharers;
	struct address_space *mapping;
	struct vm_area_struct *other;

	if (!vma->vm_file || vma_is_anonymous(vma))
		return KTIERD_ALL_ASKED;
	mapping = vma->vm_file->f_mapping;
	if (!i_mmap_trylock_read(mapping))
		return KTIERD_ASK_LATER;
	vma_interval_tree_foreach(other, &mapping->i_mmap, vma->vm_pgoff,
				  last_page(vma)) {
		all = add_sharer(vma, other);
		if (all != KTIERD_ALL_ASKED)
			break;
	}
	if (all == KTIERD_ALL_ASKED)
		all = add_all_limits(vma, first);
	i_mmap_unlock_read(mapping);
	return all;
}

/**
 * ktierd_share_begin() - walks of a process begin, in which others may be asked
 * @slot: the process
 */
void ktierd_share_begin(struct ktierd_slot *slot)
{
	slot->nr_asked = 0;
}

/**
 * ktierd_share_again() - a batch was moved: the VMA is entered once more
 * @slot: the process
 */
void ktierd_share_again(struct ktierd_slot *slot)
{
	slot->nr_asked -= min(slot->nr_asked, KTIERD_SHARERS_MAX);
}

static bool may_ask(const struct ktierd_slot *slot)
{
	return slot->nr_asked <
	       KTIERD_ASKS_MIN + slot->nr_met * KTIERD_SHARERS_MAX;
}

/**
 * ktierd_share_learn() - who else may map pages of a VMA?
 * @walk: the walk that enters it, and knows its limits
 * @vma: the VMA, mmap_lock held
 *
 * Return: whether all of them have asked for tiering; too many have not.  That
 * can't be told when enough others were asked.
 */
enum ktierd_asked ktierd_share_learn(struct ktierd_walk *walk,
				     struct vm_area_struct *vma)
{
	struct ktierd_slot *slot = walk->slot;
	unsigned int nr_locked;

	nr_sharers = 0;
	draw = walk->round->nr;
	limits = ktierd_policy_by_page(vma) ? walk->owner : walk->vma;
	asked = may_ask(slot) ? ask_family(vma) : KTIERD_ASK_LATER;
	/* That somebody has not asked is known without the locks of his like. */
	nr_locked = asked == KTIERD_NOT_ASKED ? 1 : nr_sharers;
	if (asked == KTIERD_ALL_ASKED) {
		asked = ask_mappers(vma);
		nr_locked = asked == KTIERD_NOT_ASKED ? max(nr_locked, 1U) :
							nr_sharers;
	}
	slot->nr_asked += nr_locked;
	return asked;
}

/**
 * ktierd_share_asked() - have all of them asked?
 *
 * Return: what ktierd_share_learn() has returned last.
 */
enum ktierd_asked ktierd_share_asked(void)
{
	return asked;
}

/**
 * ktierd_share_limits() - where may all of them have memory?
 * @its: the limits of the page for the process that is walked, and then those
 *	of all
 * @policy: the policies of the others count, too; not for a page that has one
 *	of its own, which is the same for all
 */
void ktierd_share_limits(struct ktierd_limits *its, bool policy)
{
	nodes_and(its->cpuset, its->cpuset, limits.cpuset);
	if (policy)
		nodes_and(its->policy, its->policy, limits.policy);
}

/**
 * ktierd_share_mapped() - how often is a folio mapped?
 * @folio: the folio, mapped and the page-table lock held
 *
 * Return: that number, at least 1.
 */
unsigned int ktierd_share_mapped(struct folio *folio)
{
	unsigned int mapped = folio_mapcount(folio), whole;

	/* Some may map it as a whole, and others each of its pages. */
	if (folio_test_large(folio)) {
		whole = folio_entire_mapcount(folio);
		mapped = whole + DIV_ROUND_UP(mapped - min(mapped, whole),
					      folio_nr_pages(folio));
	}
	return max(mapped, 1U);
}

/**
 * ktierd_share_elsewhere() - is a shared page to be counted with another process?
 * @mm: the process that the walk is in
 * @folio: the folio, mapped and the page-table lock held
 *
 * Return: false for one in as many as map it.
 */
bool ktierd_share_elsewhere(struct mm_struct *mm, struct folio *folio)
{
	unsigned long ticket = folio_pfn(folio) ^ (unsigned long)mm;

	return !ktierd_policy_lot(ticket, draw, ktierd_share_mapped(folio));
}

/* How hot are the pages of a block that are in the group of an address? */
static void block_levels(struct ktierd_slot *slot, unsigned long addr, u64 top,
			 unsigned int cold_ticks, struct ktierd_levels *levels)
{
	struct ktierd_block *block = ktierd_history_find(slot, addr);
	unsigned int group = pte_index(addr) / KTIERD_GROUP_PAGES, level;

	if (!block) {
		ktierd_levels_uniform(levels, KTIERD_LEVEL_COLD, 0);
	} else if (block->shape == KTIERD_IDLE) {
		level = ktierd_idle_level(block->idle, cold_ticks);
		ktierd_levels_uniform(levels, level, 0);
	} else if (block->shape == KTIERD_SMALL) {
		ktierd_levels_get(levels, &block->group[group].heat, top,
				  cold_ticks);
	} else {
		ktierd_levels_get(levels, &block->group[0].heat, !!top,
				  cold_ticks);
		ktierd_levels_uniform(levels, ktierd_levels_at(levels, 0),
				      ktierd_levels_class(levels, 0));
	}
}

/* How hot are as many pages as a group has, from an address of the process on? */
static void sharer_levels(struct ktierd_slot *slot, unsigned long addr, u64 top,
			  unsigned int cold_ticks, struct ktierd_levels *levels)
{
	unsigned int first = pte_index(addr) % KTIERD_GROUP_PAGES;
	unsigned int rest = KTIERD_GROUP_PAGES - first;
	struct ktierd_levels next;

	block_levels(slot, addr, top << first, cold_ticks, levels);
	if (!first)
		return;
	block_levels(slot, addr + rest * PAGE_SIZE, top >> rest, cold_ticks,
		     &next);
	ktierd_levels_join(levels, levels, &next, first);
}

/* Of as many pages as a group has, those that the other VMA has. */
static u64 pages_within(const struct sharer *who, unsigned long addr)
{
	unsigned long end = addr + KTIERD_GROUP_PAGES * PAGE_SIZE;
	u64 pages = ~0ULL;

	if (end <= who->start || addr >= who->end)
		return 0;
	if (addr < who->start)
		pages &= ~0ULL << ((who->start - addr) >> PAGE_SHIFT);
	if (end > who->end)
		pages &= ~0ULL >> ((end - who->end) >> PAGE_SHIFT);
	return pages;
}

static unsigned long group_addr(unsigned long addr, unsigned int group)
{
	return addr + group * KTIERD_GROUP_PAGES * PAGE_SIZE;
}

static void add_levels(struct ktierd_shared *shared, const struct sharer *who,
		       unsigned long addr, unsigned int cold_ticks)
{
	struct ktierd_levels its;
	struct ktierd_slot *slot;
	unsigned int group;
	unsigned long at;
	u64 pages;

	ktierd_slots_lock();
	slot = ktierd_slot_find(who->mm);
	for (group = 0; slot && group < KTIERD_GROUPS; group++) {
		at = group_addr(addr + who->offset, group);
		pages = shared->pages[group] & pages_within(who, at);
		if (!pages)
			continue;
		sharer_levels(slot, at, shared->top[group], cold_ticks, &its);
		ktierd_levels_max(&shared->levels[group], &its, pages);
	}
	ktierd_slots_unlock();
}

/* A huge page is as hot as its hottest part in the use of anyone. */
static void whole_levels(struct ktierd_shared *shared)
{
	unsigned int group;

	for (group = 1; group < KTIERD_GROUPS; group++)
		ktierd_levels_max(&shared->levels[0], &shared->levels[group],
				  ~0ULL);
	ktierd_levels_whole(&shared->levels[0]);
}

/**
 * ktierd_share_levels() - how hot is what the others may map?
 * @shared: which pages of a table, and the answer: for each the hottest of their
 *	uses
 * @addr: address of the table, in the VMA that the walk has entered last
 * @huge: it is a huge page, of which all parts count
 * @cold_ticks: idle for this many ticks is cold; 0: nothing is
 *
 * What they have no history of is cold.
 */
void ktierd_share_levels(struct ktierd_shared *shared, unsigned long addr,
			 bool huge, unsigned int cold_ticks)
{
	unsigned int group, i;

	for (group = 0; group < KTIERD_GROUPS; group++) {
		if (huge) {
			shared->pages[group] = ~0ULL;
			shared->top[group] = shared->top[0] & 1 ? ~0ULL : 0;
		}
		ktierd_levels_uniform(&shared->levels[group], KTIERD_LEVEL_COLD,
				      0);
	}
	for (i = 0; i < nr_sharers; i++)
		add_levels(shared, &sharers[i], addr, cold_ticks);
	if (huge)
		whole_levels(shared);
}

/* Note the move of pages that are in the group of an address; which were before? */
static u64 note_moved(struct ktierd_slot *slot, unsigned long addr, u64 pages)
{
	struct ktierd_block *block = ktierd_history_find(slot, addr);
	struct ktierd_heat *heat;
	u64 before;

	if (!block || !pages)
		return 0;
	block->stale = true;
	if (block->shape == KTIERD_IDLE)
		return 0;
	if (block->shape == KTIERD_HUGE) {
		heat = &block->group[0].heat;
		before = heat->moved & 1 ? pages : 0;
		pages = 1;
	} else {
		heat = &block->group[pte_index(addr) / KTIERD_GROUP_PAGES].heat;
		before = heat->moved & pages;
	}
	ktierd_heat_moved(heat, pages);
	return before;
}

static u64 sharer_moved(struct ktierd_slot *slot, unsigned long addr, u64 pages)
{
	unsigned int first = pte_index(addr) % KTIERD_GROUP_PAGES;
	unsigned int rest = KTIERD_GROUP_PAGES - first;
	u64 before;

	before = note_moved(slot, addr, pages << first) >> first;
	if (first)
		before |= note_moved(slot, addr + rest * PAGE_SIZE,
				     pages >> rest) << rest;
	return before;
}

/**
 * ktierd_share_moved() - shared pages of a table are moved: let the others know
 * @addr: address of the table, in the VMA that the walk has entered last
 * @moved: which pages
 * @before: gets those of them that one of the others had noted before, lately
 * @huge: it is a huge page, as page 0
 */
void ktierd_share_moved(unsigned long addr, const u64 *moved, u64 *before,
			bool huge)
{
	unsigned int groups = huge ? 1 : KTIERD_GROUPS, group, i;
	struct ktierd_slot *slot;
	unsigned long at;
	u64 pages;

	for (i = 0; i < nr_sharers; i++) {
		ktierd_slots_lock();
		slot = ktierd_slot_find(sharers[i].mm);
		for (group = 0; slot && group < groups; group++) {
			at = group_addr(addr + sharers[i].offset, group);
			pages = moved[group] & pages_within(&sharers[i], at);
			if (pages)
				before[group] |= sharer_moved(slot, at, pages);
		}
		ktierd_slots_unlock();
	}
}
