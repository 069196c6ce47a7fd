// SPDX-License-Identifier: GPL-2.0
/*
 * The census: what the reading walks of a round have found, counted.
 *
 * One thing is counted for policy, in the struct ktierd_census of the budget:
 * how many pages of each level either tier has, and what the pages of each level
 * did in the window, which policy learns from.  Another is for people: how many
 * marked pages each node has, and how many of those are hot and cold; and why
 * pages that should move stay.
 *
 * Where there are many tables only some are counted, and stand for the others.
 * sample.c says which, and comes here once for each table, or huge page, when
 * its histories know of the window; and before, for those that are watched.
 */

#include <linux/math64.h>
#include <linux/slab.h>
#include <trace/events/ktierd.h>

#include "internal.h"

/* Pages in a trace event, at most. Its text is twice as many digits, in 4 KiB. */
#define KTIERD_TRACE_PAGES	512U

/* Marked pages by node: being counted, and as the last round left them. */
struct node_count {
	u64 tracked;
	u64 hot;
	u64 cold;
};

static struct node_count *counting;
static struct node_count *counted;

/*
 * Pages of each tier that a table has, and how many of those are hot and cold.
 * Which of them are on which node of a tier is not known page by page.
 */
static struct tier_count {
	unsigned int pages;
	unsigned int hot;
	unsigned int cold;
} on_top, on_low;

/*
 * Of the tables that are counted, when not all are: what was found in them, and
 * how many pages of the tier all have.
 */
static struct some_tables {
	struct ktierd_histogram histogram;
	u64 pages;
	u64 all_pages;
} some_top, some_low;

/* A bit in the words of a look is for so many pages. */
static unsigned int bit_pages(const struct ktierd_block *block)
{
	return block->shape == KTIERD_HUGE ? KTIERD_BLOCK_PAGES : 1;
}

/* Those of them that are counted here, and not with others who map them, too. */
static unsigned int own_pages(const struct ktierd_block *block,
			      const struct ktierd_look *look)
{
	return max(bit_pages(block) / look->sharers, 1U);
}

/**
 * ktierd_census_begin() - forget what the round before has counted
 */
void ktierd_census_begin(void)
{
	memset(counting, 0, sizeof(*counting) * nr_node_ids);
	memset(&some_top, 0, sizeof(some_top));
	memset(&some_low, 0, sizeof(some_low));
}

/* What pages that are this hot do in a window. */
static void watch_group(struct ktierd_census *census,
			const struct ktierd_levels *before,
			const struct ktierd_look *look, unsigned int group,
			bool writes)
{
	u64 young = look->young[group];

	ktierd_levels_count(before, look->present[group], &census->were);
	ktierd_levels_count(before, young, &census->touched);
	if (!writes)
		return;
	ktierd_levels_count(before, young, &census->known);
	ktierd_levels_count(before, young & look->written[group],
			    &census->written);
}

/**
 * ktierd_census_watch() - count what pages did in the window, by their levels
 * @walk: the walk that has found them
 * @block: their histories, which do not know of the window yet
 * @look: what was found
 */
void ktierd_census_watch(struct ktierd_walk *walk,
			 const struct ktierd_block *block,
			 const struct ktierd_look *look)
{
	bool writes = ktierd_writes_known(block, look);
	struct ktierd_levels before;
	unsigned int group;

	for (group = 0; group < ktierd_block_groups(block); group++) {
		if (!look->present[group])
			continue;
		ktierd_levels_get(&before, &block->group[group].heat,
				  block->group[group].top,
				  walk->round->cold_ticks);
		watch_group(&walk->slot->budget->census, &before, look, group,
			    writes);
	}
}

static void add_tier(struct tier_count *tier, u64 pages, u64 hot, u64 cold)
{
	tier->pages += hweight64(pages);
	tier->hot += hweight64(pages & hot);
	tier->cold += hweight64(pages & cold);
}

/* After a light look all pages can move: else the table would not get one. */
static u64 can_move(const struct ktierd_look *look, unsigned int group)
{
	return look->light ? look->present[group] : look->movable[group];
}

/* Pages that may go to the other side, as far as the VMA is concerned. */
static u64 not_barred(const struct ktierd_look *look, unsigned int group,
		      enum ktierd_fail own, enum ktierd_fail shared)
{
	u64 pages = own == KTIERD_MOVABLE ? can_move(look, group) : 0;

	return shared == KTIERD_MOVABLE ? pages : pages & ~look->shared[group];
}

static enum ktierd_fail why_stuck(const struct ktierd_look *look,
				  const struct ktierd_barred *barred,
				  unsigned int group, unsigned int i, bool top)
{
	bool shared = look->shared[group] >> i & 1;

	if (!(can_move(look, group) >> i & 1))
		return look->why[group * KTIERD_GROUP_PAGES + i];
	if (top)
		return shared ? barred->shared_down : barred->down;
	return shared ? barred->shared_up : barred->up;
}

/* Pages that belong on the other side and can't go there. */
static void count_stuck(struct ktierd_slot *slot, const struct ktierd_look *look,
			const struct ktierd_barred *barred, unsigned int group,
			u64 stuck, u64 top, unsigned int nr_pages)
{
	unsigned int i;

	for (; stuck; stuck &= stuck - 1) {
		i = __ffs64(stuck);
		ktierd_count_fail(slot, why_stuck(look, barred, group, i,
						  top >> i & 1), nr_pages);
	}
}

/* A histogram counts pages, and a huge one is many. */
static u32 count_levels(const struct ktierd_levels *levels, u64 pages,
			struct ktierd_histogram *histogram,
			unsigned int nr_pages)
{
	unsigned int level;

	if (nr_pages == 1)
		return ktierd_levels_count(levels, pages, histogram);
	if (!pages)
		return 0;
	level = ktierd_levels_at(levels, 0);
	histogram->nr[level][ktierd_levels_class(levels, 0)] += nr_pages;
	return 1U << level;
}

/*
 * What is stale is counted each time, so it would stand for too many; and huge
 * pages are few.
 */
static bool stands_for_others(const struct ktierd_block *block)
{
	return block->shape == KTIERD_SMALL && !block->stale;
}

/* How hot the pages of a table are that others map, too, in their use. */
static struct ktierd_shared shared;

static void get_shared_levels(const struct ktierd_round *round,
			      const struct ktierd_block *block,
			      const struct ktierd_look *look)
{
	unsigned int group;
	u64 any = 0;

	for (group = 0; group < KTIERD_GROUPS; group++)
		any |= look->shared[group];
	if (!any)
		return;
	memset(&shared, 0, sizeof(shared));
	for (group = 0; group < ktierd_block_groups(block); group++) {
		shared.pages[group] = look->shared[group];
		shared.top[group] = block->group[group].top;
	}
	ktierd_share_levels(&shared, look->addr & PMD_MASK,
			    block->shape == KTIERD_HUGE, round->cold_ticks);
}

/* What others map, too, is as hot as its hottest use. */
static void get_levels(struct ktierd_levels *levels,
		       const struct ktierd_round *round,
		       const struct ktierd_block *block,
		       const struct ktierd_look *look, unsigned int group)
{
	ktierd_levels_get(levels, &block->group[group].heat,
			  block->group[group].top & look->present[group],
			  round->cold_ticks);
	if (look->shared[group])
		ktierd_levels_max(levels, &shared.levels[group],
				  look->shared[group]);
}

/*
 * Which levels there are: also of those that are counted with another process,
 * as either may move them.
 */
static u32 count_pages(const struct ktierd_look *look, unsigned int group,
		       const struct ktierd_levels *levels, u64 pages,
		       struct ktierd_histogram *histogram,
		       unsigned int nr_pages)
{
	static struct ktierd_histogram nowhere;	/* never read */
	u64 elsewhere = pages & look->elsewhere[group];
	u32 seen = 0;

	if (elsewhere)
		seen = count_levels(levels, elsewhere, &nowhere, nr_pages);
	return seen | count_levels(levels, pages & ~elsewhere, histogram,
				   nr_pages);
}

/*
 * A page that can't move has no part in the plan: it would stand for room that
 * nobody can have, or for a promotion that never comes. If it is one that
 * belongs on the other side, count why it stays.
 */
static void count_group(struct ktierd_walk *walk, struct ktierd_block *block,
			const struct ktierd_look *look,
			const struct ktierd_barred *barred, unsigned int group)
{
	struct ktierd_census *census = &walk->slot->budget->census;
	struct ktierd_histogram *all_top = &census->top, *all_low = &census->low;
	u64 top = block->group[group].top & look->present[group];
	u64 low = look->present[group] & ~top, hot, cold, down, up;
	unsigned int nr_pages = own_pages(block, look);
	struct ktierd_levels levels;

	if (stands_for_others(block)) {
		all_top = &some_top.histogram;
		all_low = &some_low.histogram;
	}

	get_levels(&levels, walk->round, block, look, group);
	hot = ktierd_levels_from(&levels, ktierd_hot_level());
	cold = ~ktierd_levels_from(&levels, KTIERD_LEVEL_COLD + 1);
	add_tier(&on_top, top & ~look->elsewhere[group], hot, cold);
	add_tier(&on_low, low & ~look->elsewhere[group], hot, cold);

	down = top & not_barred(look, group, barred->down, barred->shared_down);
	up = low & not_barred(look, group, barred->up, barred->shared_up);
	count_stuck(walk->slot, look, barred, group,
		    (top & cold & ~down) | (low & hot & ~up), top,
		    bit_pages(block));
	if (block->windows < KTIERD_SIGHTINGS) {
		/* Later: it may not be counted then. */
		block->levels_top = U32_MAX;
		block->levels_low = U32_MAX;
		down = 0;
		up = 0;
	}
	block->levels_top |= count_pages(look, group, &levels, down, all_top,
					 nr_pages);
	block->levels_low |= count_pages(look, group, &levels, up, all_low,
					 nr_pages);
}

static void count_node(int nid, const struct tier_count *tier, unsigned int nr,
		       unsigned int weight)
{
	if (!tier->pages)
		return;
	counting[nid].hot += tier->hot * nr / tier->pages * weight;
	counting[nid].cold += tier->cold * nr / tier->pages * weight;
}

/* Of a table that stands for some others, too. */
static void count_nodes(const struct ktierd_block *block,
			const struct ktierd_round *round, unsigned int weight)
{
	unsigned int i;
	int nid;

	for (i = 0; i < KTIERD_SUM_NODES && block->sum.node[i].nr; i++) {
		nid = block->sum.node[i].nid;
		count_node(nid, node_isset(nid, round->top) ? &on_top : &on_low,
			   block->sum.node[i].nr, weight);
	}
}

static void count_seen(struct ktierd_tally *tally, const struct tier_count *tier,
		       unsigned int weight)
{
	tally->seen += (u64)tier->pages * weight;
	tally->hot += (u64)tier->hot * weight;
	tally->cold += (u64)tier->cold * weight;
}

/* What has its turn to be counted in full. */
static void count_groups(struct ktierd_walk *walk, struct ktierd_block *block,
			 const struct ktierd_look *look,
			 const struct ktierd_barred *barred,
			 unsigned int weight)
{
	unsigned int group;

	memset(&on_top, 0, sizeof(on_top));
	memset(&on_low, 0, sizeof(on_low));
	get_shared_levels(walk->round, block, look);
	for (group = 0; group < ktierd_block_groups(block); group++)
		if (look->present[group])
			count_group(walk, block, look, barred, group);
	count_nodes(block, walk->round, weight);
	count_seen(&walk->slot->stat.top, &on_top, weight);
	count_seen(&walk->slot->stat.low, &on_low, weight);
}

/* What some tables stand for. */
static void count_all(const struct ktierd_block *block,
		      const struct ktierd_look *look, bool counted)
{
	unsigned int group, top = 0, all = 0;

	for (group = 0; group < KTIERD_GROUPS; group++) {
		all += hweight64(look->present[group]);
		top += hweight64(block->group[group].top & look->present[group]);
	}
	some_top.all_pages += top;
	some_low.all_pages += all - top;
	if (counted) {
		some_top.pages += top;
		some_low.pages += all - top;
	}
}

static struct ktierd_tally *tally_of(struct ktierd_walk *walk, int nid)
{
	struct ktierd_stat *stat = &walk->slot->stat;

	return node_isset(nid, walk->round->top) ? &stat->top : &stat->low;
}

static void count_tracked(struct ktierd_walk *walk,
			  const struct ktierd_block *block,
			  const struct ktierd_look *look)
{
	const struct ktierd_sum *sum = &block->sum;
	unsigned int i, nr;

	for (i = 0; i < KTIERD_SUM_NODES && sum->node[i].nr; i++) {
		nr = sum->node[i].nr * own_pages(block, look);
		counting[sum->node[i].nid].tracked += nr;
		tally_of(walk, sum->node[i].nid)->found += nr;
	}
}

static void count_walked(struct ktierd_walk *walk,
			 const struct ktierd_block *block,
			 const struct ktierd_look *look)
{
	struct ktierd_census *census = &walk->slot->budget->census;
	unsigned int present = 0, young = 0, written = 0, own = 0, touched = 0;
	unsigned int nr_pages = bit_pages(block), group;
	unsigned int nr_own = own_pages(block, look);

	for (group = 0; group < KTIERD_GROUPS; group++) {
		present += hweight64(look->present[group]);
		young += hweight64(look->young[group]);
		own += hweight64(look->present[group] & ~look->elsewhere[group]);
		touched += hweight64(look->young[group] &
				     ~look->elsewhere[group]);
		if (ktierd_writes_known(block, look))
			written += hweight64(look->written[group]);
	}
	walk->slot->present += present * nr_pages;
	walk->slot->young += young * nr_pages;
	walk->slot->written += written * nr_pages;
	if (!walk->round->late)
		census->nr_touched += touched * nr_own;
	if (block->windows == 1)
		census->nr_fresh += own * nr_own;
	census->nr_units += present;
}

static u8 traced_level(const struct ktierd_levels *levels,
		       const struct ktierd_block *block, unsigned int i)
{
	unsigned int bit = i % KTIERD_GROUP_PAGES;
	bool top = block->group[i / KTIERD_GROUP_PAGES].top >> bit & 1;

	return ktierd_levels_at(levels, bit) | (top ? 0 : KTIERD_TRACE_LOW);
}

static void trace_levels(struct ktierd_walk *walk,
			 const struct ktierd_block *block,
			 const struct ktierd_look *look)
{
	static u8 level[KTIERD_BLOCK_PAGES];
	bool huge = block->shape == KTIERD_HUGE;
	unsigned int first = huge ? 0 : pte_index(look->addr), last, some, i;
	struct ktierd_levels levels;

	if (!trace_block_enabled())
		return;
	last = huge ? 1 : first + ((look->end - look->addr) >> PAGE_SHIFT);
	for (i = first; i < last; i++) {
		unsigned int group = i / KTIERD_GROUP_PAGES;

		level[i] = KTIERD_TRACE_ABSENT;
		if (i == first || !(i % KTIERD_GROUP_PAGES))
			ktierd_levels_get(&levels, &block->group[group].heat,
					  block->group[group].top,
					  walk->round->cold_ticks);
		if (look->present[group] >> i % KTIERD_GROUP_PAGES & 1)
			level[i] = traced_level(&levels, block, i);
	}
	for (; first < last; first += some) {
		some = min(last - first, KTIERD_TRACE_PAGES);
		trace_block(ktierd_slot_pid(walk->slot),
			    (look->addr & PMD_MASK) + first * PAGE_SIZE,
			    level + first, some);
	}
}

/**
 * ktierd_census_count() - count a table, or a huge page, that was read
 * @walk: the walk that has read it
 * @block: its histories, which know of the window; gets the levels it has
 * @look: what was found
 * @barred: what keeps pages of its VMA from moving
 * @count: count its pages by level; of a stale block for itself, else for others
 * @weight: how many pages each of its own stands for when nodes are counted; 0:
 *	others stand for it. A huge page stands for itself
 */
void ktierd_census_count(struct ktierd_walk *walk, struct ktierd_block *block,
			 const struct ktierd_look *look,
			 const struct ktierd_barred *barred, bool count,
			 unsigned int weight)
{
	if (block->shape == KTIERD_HUGE)
		weight = own_pages(block, look);
	if (count)
		count_groups(walk, block, look, barred, weight);
	if (stands_for_others(block))
		count_all(block, look, count);
	count_tracked(walk, block, look);
	count_walked(walk, block, look);
	trace_levels(walk, block, look);
}

static void count_side(struct ktierd_slot *slot,
		       struct ktierd_histogram *histogram, unsigned int nr,
		       unsigned int level, enum ktierd_fail why, bool wrong)
{
	if (why == KTIERD_MOVABLE)
		histogram->nr[level][0] += nr;
	else if (wrong)
		ktierd_count_fail(slot, why, nr);
}

static void count_asleep(struct ktierd_walk *walk, int nid, unsigned int nr,
			 bool is_cold)
{
	struct ktierd_tally *tally = tally_of(walk, nid);

	counting[nid].tracked += nr;
	tally->found += nr;
	tally->seen += nr;
	if (is_cold) {
		counting[nid].cold += nr;
		tally->cold += nr;
	}
	walk->slot->present += nr;
}

/**
 * ktierd_census_sleeping() - count a block asleep
 * @walk: the walk that has come by
 * @block: the block, whose sum stands for what is there; gets its level
 * @barred: what keeps pages of its VMA from moving
 */
void ktierd_census_sleeping(struct ktierd_walk *walk,
			    struct ktierd_block *block,
			    const struct ktierd_barred *barred)
{
	struct ktierd_census *census = &walk->slot->budget->census;
	unsigned int level = ktierd_idle_level(block->idle,
					       walk->round->cold_ticks);
	const struct ktierd_sum *sum = &block->sum;
	unsigned int i;

	block->levels_top = sum->top ? 1U << level : 0;
	block->levels_low = sum->low ? 1U << level : 0;
	count_side(walk->slot, &census->top, sum->top, level, barred->down,
		   level == KTIERD_LEVEL_COLD);
	count_side(walk->slot, &census->low, sum->low, level, barred->up, false);
	for (i = 0; i < KTIERD_SUM_NODES && sum->node[i].nr; i++)
		count_asleep(walk, sum->node[i].nid, sum->node[i].nr,
			     level == KTIERD_LEVEL_COLD);
}

static u64 part_of(u64 part, u64 all, u64 pages)
{
	return all ? mul_u64_u64_div_u64(part, pages, all) : 0;
}

/*
 * Where some tables stand for others it may take some rounds until enough was
 * seen; until then the part that is hot is taken to be what it was.
 */
static void end_tally(struct ktierd_tally *tally)
{
	u64 pages = tally->found;

	if (tally->seen >= pages) {
		WRITE_ONCE(tally->hot_pages,
			   part_of(tally->hot, tally->seen, pages));
		WRITE_ONCE(tally->cold_pages,
			   part_of(tally->cold, tally->seen, pages));
		tally->seen = 0;
		tally->hot = 0;
		tally->cold = 0;
	} else {
		WRITE_ONCE(tally->hot_pages,
			   part_of(tally->hot_pages, tally->pages, pages));
		WRITE_ONCE(tally->cold_pages,
			   part_of(tally->cold_pages, tally->pages, pages));
	}
	WRITE_ONCE(tally->pages, pages);
}

/**
 * ktierd_census_tally() - a process was counted to its end
 * @slot: the process
 */
void ktierd_census_tally(struct ktierd_slot *slot)
{
	end_tally(&slot->stat.top);
	end_tally(&slot->stat.low);
}

static void add_some(struct ktierd_histogram *all,
		     const struct some_tables *some)
{
	unsigned int level, class;

	if (!some->pages)
		return;
	for (level = 0; level < KTIERD_LEVELS; level++)
		for (class = 0; class < KTIERD_CLASSES; class++)
			all->nr[level][class] +=
				mul_u64_u64_div_u64(some->histogram.nr[level][class],
						    some->all_pages,
						    some->pages);
}

static void publish_nodes(void)
{
	int nid;

	for_each_node_state(nid, N_POSSIBLE) {
		WRITE_ONCE(counted[nid].tracked, counting[nid].tracked);
		WRITE_ONCE(counted[nid].hot, counting[nid].hot);
		WRITE_ONCE(counted[nid].cold, counting[nid].cold);
	}
}

/**
 * ktierd_census_end() - what was counted is complete
 * @census: what is known of tables that were counted for others goes here
 */
void ktierd_census_end(struct ktierd_census *census)
{
	add_some(&census->top, &some_top);
	add_some(&census->low, &some_low);
	publish_nodes();
}

/**
 * ktierd_census_forget() - nothing is marked any more
 */
void ktierd_census_forget(void)
{
	ktierd_census_begin();
	publish_nodes();
}

/* Marked pages of a node, as the last round left them. */
u64 ktierd_node_pages(int nid)
{
	return READ_ONCE(counted[nid].tracked);
}

u64 ktierd_node_hot(int nid)
{
	return READ_ONCE(counted[nid].hot);
}

u64 ktierd_node_cold(int nid)
{
	return READ_ONCE(counted[nid].cold);
}

/**
 * ktierd_census_init() - get memory for what is counted by node
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_census_init(void)
{
	counting = kcalloc(nr_node_ids, sizeof(*counting), GFP_KERNEL);
	counted = kcalloc(nr_node_ids, sizeof(*counted), GFP_KERNEL);
	return counting && counted ? 0 : -ENOMEM;
}
