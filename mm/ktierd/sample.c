// SPDX-License-Identifier: GPL-2.0
/*
 * Sampling: which pages of a process were touched.
 *
 * Each round walks the marked VMAs of a process twice.  The *clearing walk*
 * reads and clears the accessed bit of every page: set means used since the
 * clearing walk before, in the whole of the interval.  Then the TLB is flushed,
 * because the processor writes an accessed bit only when it loads a
 * translation: without it the hottest pages, which never leave the TLB, would
 * look idle.  The *reading walk*, one window later, reads the bit and leaves it
 * as it is: set means touched in the window.  As it leaves the bit, the next
 * clearing walk sees the window as well as the rest after it, and nothing that
 * was touched is ever missed.
 *
 * A table in which nothing was used for a whole interval, and whose pages have
 * no score left, falls asleep: its block becomes a sum, and as long as the
 * accessed bit of the PMD stays clear nobody looks at its entries.  From time to
 * time the sum is made again, because pages may go without being touched.
 *
 * What a reading walk finds is counted by census.c; whose turn it is, here.
 */

#include <linux/hash.h>
#include <linux/memcontrol.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <asm/tlbflush.h>
#include <trace/events/ktierd.h>

#include "internal.h"

/*
 * When dirty bits were cleared in so many tables, the TLB is flushed.  Until
 * then others flush more than they would have to.
 */
#define KTIERD_FLUSH_TABLES	512

/*
 * In a round, memory for blocks of a process is waited for so many times at most,
 * and not again after it was in vain: who is at the limit of his cgroup must not
 * have all others wait while that is reclaimed.
 */
#define KTIERD_FEEDS		8

/* While all sleeps, look at the clock once in about so many tables. */
#define KTIERD_CLOCK_TABLES	16

/*
 * The sum of a block that sleeps is made again after so many rounds.  Pages may
 * have gone, or been moved, without being touched.  When there is a sign of
 * that, it is sooner, but not of all at once.
 */
#define KTIERD_SUM_ROUNDS	512
#define KTIERD_DOUBT_ROUNDS	16

/*
 * And if others have moved pages, each table that does not sleep gets a full look
 * in so many rounds before that.
 */
#define KTIERD_DOUBT_FULL	4

/* A process that has lost this part of its memory is such a sign. */
#define KTIERD_SHRUNK_PART	256

/* One look in so many is a full one. */
#define KTIERD_FULL_ROUNDS	16

/* What was used so lately may have been found by a light look. */
#define KTIERD_OWED_TICKS	4

/* What a walk finds below one PMD. */
static struct ktierd_look look;

/* What the limits of the VMA that the walk is in say. */
static struct ktierd_barred barred;

static atomic64_t pages_scanned;
static atomic64_t pages_young;
static atomic64_t pages_dirty;

static enum ktierd_shape shape_of(unsigned int nr)
{
	return nr == 1 ? KTIERD_HUGE : KTIERD_SMALL;
}

/*
 * A block in a walk: memory is only got here if that is quick, because
 * somebody may come to wait for mmap_lock.  Else the walk stops, and
 * clear_unlocked() gets it.
 */
static struct ktierd_block *walk_block(struct ktierd_walk *walk,
				       unsigned long addr,
				       enum ktierd_shape shape)
{
	return ktierd_history_get(walk->slot, addr, shape,
				  GFP_NOWAIT | __GFP_NOWARN);
}

static void block_rescale(struct ktierd_block *block, unsigned int tick_ms)
{
	unsigned int group;
	u64 idle_ms;

	for (group = 0; group < ktierd_block_groups(block); group++)
		ktierd_heat_rescale(&block->group[group].heat, block->tick_ms,
				    tick_ms);
	idle_ms = (u64)block->idle * block->tick_ms;
	block->idle = min(idle_ms / tick_ms, (u64)KTIERD_IDLE_MAX);
}

/* Is it the turn of this table?  Hashed, as what they are used for repeats. */
static bool every(unsigned int rounds, unsigned long addr,
		  const struct ktierd_round *round)
{
	return !((hash_long(addr >> PMD_SHIFT, 16) + round->nr) % rounds);
}

/* Is what is known of the pages good enough to look at nothing but bits? */
static bool looks_light(const struct ktierd_walk *walk,
			const struct ktierd_block *block, unsigned long addr,
			unsigned long end)
{
	unsigned int doubt = walk->slot->doubt, rounds = KTIERD_FULL_ROUNDS;

	if (doubt > KTIERD_DOUBT_ROUNDS)
		rounds = KTIERD_DOUBT_FULL;
	return block && block->shape == KTIERD_SMALL && !block->stale &&
	       end - addr == PMD_SIZE &&
	       !mm_has_notifiers(walk->slot->slot.mm) &&
	       !every(rounds, addr, walk->round);
}

static bool asks_dirty(const struct ktierd_block *block,
		       const struct ktierd_round *round, unsigned long addr)
{
	return round->write_weight &&
	       (!block || block->windows < KTIERD_DIRTY_WINDOWS || round->dirty ||
		every(KTIERD_DIRTY_ROUNDS, addr, round));
}

/* The clearing walk comes by; for the first time in this round, or again. */
static void block_begin(struct ktierd_slot *slot, struct ktierd_block *block,
			const struct ktierd_round *round, bool quiet)
{
	unsigned int group;

	if (block->cleared == round->nr) {
		block->quiet &= quiet;
		return;
	}
	if (block->tick_ms && block->tick_ms != round->tick_ms)
		block_rescale(block, round->tick_ms);
	block->tick_ms = round->tick_ms;
	block->ticks = block->cleared ?
		       min(round->tick - block->tick, KTIERD_IDLE_MAX) : 0;
	block->tick = round->tick;
	block->cleared = round->nr;
	slot->nr_met++;
	block->quiet = quiet;
	if (block->shape == KTIERD_IDLE)
		block->idle = min(block->idle + block->ticks, KTIERD_IDLE_MAX);
	if (block->epoch != round->epoch)
		for (group = 0; group < ktierd_block_groups(block); group++)
			ktierd_heat_settled(&block->group[group].heat);
	block->epoch = round->epoch;
}

/* Nothing below was used since the last clearing walk: no need to look. */
static bool block_sleeps(const struct ktierd_block *block,
			 struct vm_area_struct *vma, pmd_t *pmd,
			 unsigned long addr, unsigned long end)
{
	pmd_t entry = pmdp_get_lockless(pmd);

	/* Of the parts of a table, the first look clears the bit for all. */
	return block && block->shape == KTIERD_IDLE && end - addr == PMD_SIZE &&
	       pmd_present(entry) && !pmd_leaf(entry) && !pmd_young(entry) &&
	       ktierd_look_nonleaf(vma);
}

/* Where a clearing walk found no memory for a block, and of which shape. */
static unsigned long starved_addr;
static enum ktierd_shape starved_shape;
static bool starved;

static void age_pages(struct ktierd_block *block,
		      const struct ktierd_round *round)
{
	unsigned int group;
	u64 unused;

	for (group = 0; group < ktierd_block_groups(block); group++) {
		if (!look.present[group])
			continue;
		unused = look.present[group] & ~look.young[group];
		ktierd_heat_age(&block->group[group].heat, look.young[group], unused,
				block->ticks);
		if (round->rested && unused)
			ktierd_heat_fade(&block->group[group].heat, unused);
	}
}

static bool anything_present(void)
{
	unsigned int group;
	u64 any = 0;

	for (group = 0; group < KTIERD_GROUPS; group++)
		any |= look.present[group];
	return any;
}

static void allowed_ways(const struct ktierd_round *round,
			 const struct ktierd_limits *limits,
			 enum ktierd_fail *up, enum ktierd_fail *down)
{
	nodemask_t top = round->top, low;

	nodes_andnot(low, node_states[N_MEMORY], top);
	*up = ktierd_allowed(&top, limits);
	*down = ktierd_allowed(&low, limits);
}

/* Which pages of a group are in the top tier? */
static u64 pages_on_top(const struct ktierd_round *round, unsigned int group)
{
	u64 top = 0;
	int nid;

	for_each_node_mask(nid, round->top)
		top |= look.on[nid].word[group];
	return top & look.present[group];
}

/*
 * Shared memory may have a policy for each range of the file, and so pages that
 * have nowhere to go beside others that have.
 */
static void note_policies(struct ktierd_walk *walk, struct vm_area_struct *vma,
			  unsigned int group, u64 pages)
{
	u64 top = pages_on_top(walk->round, group);
	struct ktierd_limits limits;
	enum ktierd_fail up, down;
	unsigned int i, page;

	for (; pages; pages &= pages - 1) {
		i = __ffs64(pages);
		page = group * KTIERD_GROUP_PAGES + i;
		if (!ktierd_vma_limits(vma, (look.addr & PMD_MASK) +
				       page * PAGE_SIZE, &walk->owner, &limits))
			continue;
		allowed_ways(walk->round, &limits, &up, &down);
		look.why[page] = top >> i & 1 ? down : up;
		if (look.why[page] != KTIERD_MOVABLE)
			look.movable[group] &= ~BIT_ULL(i);
	}
}

static unsigned int look_below(struct ktierd_walk *walk,
			       struct vm_area_struct *vma, pmd_t *pmd,
			       unsigned long addr, unsigned long end, bool light,
			       enum page_walk_action *action)
{
	unsigned int nr, group;

	look.vma = vma;
	look.addr = addr;
	look.end = end;
	look.light = light;
	look.reclaim = walk->round->reclaim;
	nr = ktierd_look(&look, pmd);
	if (!nr)
		*action = ACTION_AGAIN;
	if (!look.clear && !light && ktierd_policy_by_page(vma))
		for (group = 0; group < KTIERD_GROUPS; group++)
			note_policies(walk, vma, group, look.movable[group]);
	return nr;
}

/*
 * Reclaim is owed what light looks have found, since the last full one.  That
 * was some rounds ago, and so perhaps a few ticks.
 */
static void note_owed(const struct ktierd_block *block)
{
	unsigned int group;

	memset(look.owed, 0, sizeof(look.owed));
	if (!block || block->shape != KTIERD_SMALL)
		return;
	for (group = 0; group < KTIERD_GROUPS; group++)
		look.owed[group] = ktierd_heat_used(&block->group[group].heat,
						    KTIERD_OWED_TICKS);
}

static void look_at_clock(struct ktierd_walk *walk)
{
	walk->enough = ktime_get_ns() >= walk->round->slice_end_ns;
	walk->stop |= walk->enough;
}

static void clear_pmd(struct ktierd_walk *walk, struct vm_area_struct *vma,
		      pmd_t *pmd, unsigned long addr, unsigned long end,
		      enum page_walk_action *action)
{
	struct ktierd_block *block = ktierd_history_find(walk->slot, addr);
	unsigned int nr;
	bool light;

	if (block_sleeps(block, vma, pmd, addr, end)) {
		block_begin(walk->slot, block, walk->round, true);
		if (every(KTIERD_CLOCK_TABLES, addr, walk->round))
			look_at_clock(walk);
		return;
	}
	light = looks_light(walk, block, addr, end);
	if (!light || walk->round->reclaim)
		note_owed(block);
	look.clear = true;
	look.dirty = asks_dirty(block, walk->round, addr);
	nr = look_below(walk, vma, pmd, addr, end, light, action);
	walk->slot->cleaned += look.cleaned;
	look_at_clock(walk);
	walk->stop |= walk->slot->cleaned >= KTIERD_FLUSH_TABLES;
	if (!nr || !anything_present())
		return;
	block = walk_block(walk, addr, shape_of(nr));
	if (!block && walk->slot->fed < KTIERD_FEEDS) {
		starved_addr = addr;
		starved_shape = shape_of(nr);
		starved = true;
		walk->stop = true;
	}
	if (!block)
		return;
	block_begin(walk->slot, block, walk->round, look.quiet);
	block->light = light;
	block->dirty = look.dirty;
	block->unclean = look.unclean;
	look.young[0] |= block->used;
	block->used = false;
	age_pages(block, walk->round);
}

/*
 * The block begins with the next round: what was read this time is lost, and
 * its pages begin as used.  A cgroup that is full is reclaimed for it, but no file
 * system may be asked: behind that there may be a server that does not answer.
 */
static void feed_starved(struct ktierd_walk *walk)
{
	struct ktierd_block *block;

	if (!starved)
		return;
	starved = false;
	/* It is the process that memory.high slows down, not us. */
	current->memcg_nr_pages_over_high = 0;
	block = ktierd_history_get(walk->slot, starved_addr, starved_shape,
				   GFP_NOFS | __GFP_NORETRY | __GFP_NOWARN);
	current->memcg_nr_pages_over_high = 0;
	if (block)
		block_begin(walk->slot, block, walk->round, false);
	walk->slot->fed = block ? walk->slot->fed + 1 : KTIERD_FEEDS;
}

static void clear_unlocked(struct ktierd_walk *walk)
{
	struct ktierd_slot *slot = walk->slot;

	feed_starved(walk);
	if (slot->cleaned >= KTIERD_FLUSH_TABLES) {
		flush_tlb_mm(slot->slot.mm);
		slot->cleaned = 0;
	}
}

/* Walk with what it allocates charged to the process. */
static int walk_charged(struct ktierd_walk *walk)
{
	struct mem_cgroup *memcg, *old;
	int ret;

	memcg = get_mem_cgroup_from_mm(walk->slot->slot.mm);
	old = set_active_memcg(memcg);
	ret = ktierd_walk_mm(walk);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

/* Are there signs that pages are not where they were? */
static void look_for_doubt(struct ktierd_slot *slot,
			   const struct ktierd_round *round)
{
	unsigned long rss = get_mm_rss(slot->slot.mm);

	slot->doubt -= !!slot->doubt;
	if (READ_ONCE(slot->forked)) {
		WRITE_ONCE(slot->forked, false);
		slot->doubt = max_t(u8, slot->doubt, KTIERD_DOUBT_ROUNDS);
	}
	if (round->others)
		slot->doubt = KTIERD_DOUBT_ROUNDS + KTIERD_DOUBT_FULL;
	if (rss + rss / KTIERD_SHRUNK_PART < slot->rss) {
		slot->doubt = max_t(u8, slot->doubt, KTIERD_DOUBT_ROUNDS);
		slot->rss = rss;
	} else {
		slot->rss = max(slot->rss, rss);
	}
}

static void trace_begin(struct ktierd_slot *slot,
			const struct ktierd_round *round, bool clear)
{
	if (trace_scan_begin_enabled())
		trace_scan_begin(ktierd_slot_pid(slot), round->nr, clear);
}

static void trace_end(struct ktierd_slot *slot,
		      const struct ktierd_round *round, bool clear, int ret)
{
	if (trace_scan_end_enabled())
		trace_scan_end(ktierd_slot_pid(slot), round->nr, clear, ret,
			       slot->present, slot->young, slot->written);
}

static void begin_visit(struct ktierd_slot *slot,
			const struct ktierd_round *round)
{
	slot->round = round->nr;
	slot->next = 0;
	slot->nr_met = 0;
	ktierd_share_begin(slot);
	slot->marked = false;
	slot->waited_us = 0;
	slot->stuck = slot->busy;
	slot->busy = false;
	slot->fed = 0;
	slot->present = 0;
	slot->young = 0;
	slot->written = 0;
	slot->missed = false;
	slot->stat.top.found = 0;
	slot->stat.low.found = 0;
	look_for_doubt(slot, round);
}

/**
 * ktierd_sample_clear() - begin the sample window of a slice
 * @slot: the process; the walk goes on where the slice before has ended
 * @round: the round, and until when the walk may take
 *
 * Return: 0, or 1 if there is more to come, or the error of ktierd_walk_mm().
 */
int ktierd_sample_clear(struct ktierd_slot *slot,
			const struct ktierd_round *round)
{
	struct ktierd_walk walk = {
		.slot		= slot,
		.round		= round,
		.end		= ULONG_MAX,
		.pmd		= clear_pmd,
		.unlocked	= clear_unlocked,
	};
	int ret;

	if (slot->round != round->nr)
		begin_visit(slot, round);
	slot->from = slot->next;
	walk.next = slot->from;
	trace_begin(slot, round, true);
	slot->cleaned = 0;
	inc_tlb_flush_pending(slot->slot.mm);
	ret = walk_charged(&walk);
	flush_tlb_mm(slot->slot.mm);
	dec_tlb_flush_pending(slot->slot.mm);
	trace_end(slot, round, true, ret);

	slot->marked |= walk.marked;
	slot->sliced = ret >= 0;
	slot->next = ret > 0 ? walk.next : ULONG_MAX;
	if (!ret) {
		ktierd_history_sweep(slot, round->nr);
		slot->cleared = round->nr;
	}
	return ret;
}

static bool read_enter(struct ktierd_walk *walk, struct vm_area_struct *vma)
{
	struct ktierd_limits joint;

	if (!ktierd_walk_limits(walk, vma))
		return false;
	/* Of what has policies by page, these are asked for later. */
	joint = ktierd_policy_by_page(vma) ? walk->owner : walk->vma;
	allowed_ways(walk->round, &joint, &barred.up, &barred.down);
	look.asked = ktierd_share_learn(walk, vma) == KTIERD_ALL_ASKED;
	ktierd_share_limits(&joint, true);
	allowed_ways(walk->round, &joint, &barred.shared_up,
		     &barred.shared_down);
	return true;
}

static bool watched(const struct ktierd_walk *walk,
		    const struct ktierd_block *block, unsigned long addr)
{
	return !walk->round->late && block->windows > 1 &&
	       every(walk->round->watch, addr, walk->round);
}

static void update_group(const struct ktierd_round *round,
			 struct ktierd_block *block, unsigned int group)
{
	struct ktierd_heat *heat = &block->group[group].heat;
	unsigned int shift = min(round->shift,
				 ktierd_heat_shift(block->windows - 1));

	if (ktierd_writes_known(block, &look))
		ktierd_heat_window(heat, look.young[group],
				   look.written[group], shift);
	else
		ktierd_heat_touch(heat, look.young[group], shift);
}

static unsigned int nr_present(void)
{
	unsigned int group, nr = 0;

	for (group = 0; group < KTIERD_GROUPS; group++)
		nr += hweight64(look.present[group]);
	return nr;
}

/* What several processes map is counted with one of them. */
static unsigned int pages_on_node(int nid)
{
	unsigned int group, nr = 0;

	for (group = 0; group < KTIERD_GROUPS; group++)
		nr += hweight64(look.on[nid].word[group] & look.present[group] &
				~look.elsewhere[group]);
	return nr;
}

static bool anything_shared(void)
{
	unsigned int group;
	u64 any = 0;

	for (group = 0; group < KTIERD_GROUPS; group++)
		any |= look.shared[group];
	return any;
}

/* What is there, in few words. False if it can't be said in so few. */
static bool sum_up(struct ktierd_sum *sum, const struct ktierd_round *round)
{
	unsigned int group, nr, n = 0;
	bool all_move = true;
	int nid;
	u64 top;

	memset(sum, 0, sizeof(*sum));
	for (group = 0; group < KTIERD_GROUPS; group++) {
		top = pages_on_top(round, group);
		sum->top += hweight64(top & look.movable[group]);
		sum->low += hweight64(look.movable[group] & ~top);
		all_move &= look.movable[group] == look.present[group];
	}
	for_each_node_state(nid, N_MEMORY) {
		nr = pages_on_node(nid);
		if (!nr)
			continue;
		if (n == KTIERD_SUM_NODES)
			return false;
		sum->node[n].nid = nid;
		sum->node[n++].nr = nr;
	}
	return all_move;
}

/* After a full look: what light ones will go by; of a part it is not complete. */
static void note_places(struct ktierd_block *block,
			const struct ktierd_round *round)
{
	unsigned int group;

	for (group = 0; group < ktierd_block_groups(block); group++)
		block->group[group].top = pages_on_top(round, group);
	/* Another part of the table may have been read before, in this round. */
	block->shared = anything_shared() ||
			(block->shared && block->read == round->nr);
	block->stale = !sum_up(&block->sum, round) || block->shared ||
		       (block->shape == KTIERD_SMALL &&
			look.end - look.addr != PMD_SIZE);
}

/* Did a light look find what was there before? Its pages may have changed. */
static bool same_pages(const struct ktierd_block *block)
{
	unsigned int i, nr = 0;

	for (i = 0; i < KTIERD_SUM_NODES; i++)
		nr += block->sum.node[i].nr;
	return nr == nr_present();
}

/*
 * May the histories of a table go?  If there are no scores left, and all pages
 * have been idle for about as long: what gets lost is at most a quarter of the
 * cold age, of those that were idle for longer.
 */
static bool all_alike(const struct ktierd_block *block, unsigned int cold_ticks,
		      unsigned int *idle)
{
	unsigned int least = KTIERD_IDLE_MAX, most = 0, lo, hi, group;

	for (group = 0; group < KTIERD_GROUPS; group++) {
		if (!ktierd_heat_scoreless(&block->group[group].heat))
			return false;
		if (!look.present[group])
			continue;
		ktierd_heat_idle_range(&block->group[group].heat,
				       look.present[group], &lo, &hi);
		least = min(least, lo);
		most = max(most, hi);
	}
	*idle = least;
	return most - least <= (cold_ticks ?: KTIERD_IDLE_MAX) / 4;
}

static void fall_asleep(struct ktierd_walk *walk, struct ktierd_block *block,
			unsigned long addr, unsigned long end)
{
	struct ktierd_sum sum = block->sum;
	unsigned int idle;

	if (!block->quiet || !look.quiet || block->stale ||
	    end - addr != PMD_SIZE ||
	    !all_alike(block, walk->round->cold_ticks, &idle))
		return;
	block = walk_block(walk, addr, KTIERD_IDLE);
	if (!block)
		return;
	block->idle = idle;
	block->sum = sum;
	block->stale = false;
}

static bool sum_is_due(const struct ktierd_walk *walk,
		       const struct ktierd_block *block, unsigned long addr)
{
	return block->stale ||
	       every(walk->slot->doubt ? KTIERD_DOUBT_ROUNDS : KTIERD_SUM_ROUNDS,
		     addr, walk->round);
}

/* Pages may have gone, or moved, without being touched. */
static void read_sleeping(struct ktierd_walk *walk, struct ktierd_block *block,
			  struct vm_area_struct *vma, pmd_t *pmd,
			  unsigned long addr, unsigned long end,
			  enum page_walk_action *action)
{
	if (sum_is_due(walk, block, addr)) {
		look.clear = false;
		look.dirty = false;
		if (look_below(walk, vma, pmd, addr, end, false, action) !=
		    KTIERD_BLOCK_PAGES)
			return;
		block->stale = !sum_up(&block->sum, walk->round);
		/* Others may use it. It wakes up, and is counted from now on. */
		if (anything_shared() && walk_block(walk, addr, KTIERD_SMALL))
			return;
	}
	block->read = walk->round->nr;
	ktierd_census_sleeping(walk, block, &barred);
}

/* Look lightly if that will do. */
static unsigned int read_below(struct ktierd_walk *walk,
			       struct ktierd_block *block,
			       struct vm_area_struct *vma, pmd_t *pmd,
			       unsigned long addr, unsigned long end,
			       enum page_walk_action *action)
{
	unsigned int nr;

	look.clear = false;
	look.dirty = block->dirty;
	if (block->light && !block->stale && !block->unclean) {
		nr = look_below(walk, vma, pmd, addr, end, true, action);
		if (!nr || (nr == KTIERD_BLOCK_PAGES && same_pages(block)))
			return nr;
	}
	return look_below(walk, vma, pmd, addr, end, false, action);
}

/*
 * What is not counted this time has about the levels that it had before, unless
 * things are on the move.
 */
static void read_begin(struct ktierd_block *block,
		       const struct ktierd_round *round, bool count)
{
	if (block->read == round->nr)
		return;
	block->read = round->nr;
	if (count || !round->stable) {
		block->levels_top = count ? 0 : U32_MAX;
		block->levels_low = count ? 0 : U32_MAX;
	}
	if (!round->late)
		block->windows += block->windows < U8_MAX;
}

static void read_block(struct ktierd_walk *walk, struct ktierd_block *block,
		       unsigned long addr)
{
	const struct ktierd_round *round = walk->round;
	bool huge = block->shape == KTIERD_HUGE;
	bool turn = huge || every(round->watch, addr, round);
	bool count = turn || block->stale;
	unsigned int group;

	read_begin(block, round, count);
	if (watched(walk, block, addr))
		ktierd_census_watch(walk, block, &look);
	for (group = 0; group < ktierd_block_groups(block); group++)
		if (look.present[group] && !round->late)
			update_group(round, block, group);
	block->used = huge && look.young[0];
	if (block->used && round->late)
		ktierd_heat_age(&block->group[0].heat, 1, 0, 0);
	ktierd_census_count(walk, block, &look, &barred, count,
			    turn ? round->watch : 0);
}

static void read_pmd(struct ktierd_walk *walk, struct vm_area_struct *vma,
		     pmd_t *pmd, unsigned long addr, unsigned long end,
		     enum page_walk_action *action)
{
	struct ktierd_block *block = ktierd_history_find(walk->slot, addr);
	unsigned int nr;

	/* Of what was not cleared, the bits tell nothing. */
	if (!block || block->cleared != walk->round->nr)
		return;
	if (block->shape == KTIERD_IDLE) {
		if (end - addr == PMD_SIZE)
			read_sleeping(walk, block, vma, pmd, addr, end, action);
		return;
	}
	nr = read_below(walk, block, vma, pmd, addr, end, action);
	if (!nr || !anything_present())
		return;
	block = walk_block(walk, addr, shape_of(nr));
	if (!block)
		return;
	if (!look.light)
		note_places(block, walk->round);
	read_block(walk, block, addr);
	if (block->shape == KTIERD_SMALL)
		fall_asleep(walk, block, addr, end);
}

static void count_sampled(struct ktierd_slot *slot, u64 present, u64 young,
			  u64 written)
{
	struct ktierd_stat *stat = &slot->stat;

	WRITE_ONCE(stat->young, stat->young + young);
	WRITE_ONCE(stat->dirty, stat->dirty + written);
	atomic64_add(present, &pages_scanned);
	atomic64_add(young, &pages_young);
	atomic64_add(written, &pages_dirty);
	count_vm_events(KTIERD_PAGES_SCANNED, present);
}

/**
 * ktierd_sample_read() - end the sample window of a slice
 * @slot: the process
 * @round: the round, the same that began the window
 *
 * Return: 0, or the error of ktierd_walk_mm().
 */
int ktierd_sample_read(struct ktierd_slot *slot,
		       const struct ktierd_round *round)
{
	struct ktierd_walk walk = {
		.slot	= slot,
		.round	= round,
		.next	= slot->from,
		.end	= slot->next,
		.pmd	= read_pmd,
		.enter	= read_enter,
	};
	u64 present = slot->present, young = slot->young;
	u64 written = slot->written;
	int ret;

	trace_begin(slot, round, false);
	ret = walk_charged(&walk);
	trace_end(slot, round, false, ret);
	slot->sliced = false;
	slot->missed |= ret;
	if (slot->next == ULONG_MAX && !slot->missed)
		ktierd_census_tally(slot);
	count_sampled(slot, slot->present - present, slot->young - young,
		      slot->written - written);
	return ret;
}

u64 ktierd_pages_scanned(void)
{
	return atomic64_read(&pages_scanned);
}

u64 ktierd_pages_young(void)
{
	return atomic64_read(&pages_young);
}

u64 ktierd_pages_dirty(void)
{
	return atomic64_read(&pages_dirty);
}

/**
 * ktierd_sample_init() - get memory for what a walk finds
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_sample_init(void)
{
	return ktierd_look_init(&look);
}
