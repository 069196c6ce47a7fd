// SPDX-License-Identifier: GPL-2.0
/*
 * Where the histories of pages are kept: for each process a block a page
 * table, found by address.
 *
 * A block of small pages costs 17 bits a page, and so some 0.056 % of what is
 * tracked.  A huge page costs one group, and a table that is all idle a header
 * only.  Blocks are keyed by address and not by folio: what ages is the use that
 * the process makes of a place, and a page that is moved, swapped or copied
 * keeps it. While nothing is present there it stands still.
 *
 * Walks go from one table to the next.  So the blocks of neighbours stand
 * together in a leaf, and the last leaf is remembered: to look one up in a tree,
 * twice a round, takes a good part of what a table asleep costs.
 *
 * They are charged to the memory cgroup of the process, which is what makes
 * them: the caller sets it as the active one.
 *
 * No locks: a slot's blocks belong to the thread, until the slot is freed.
 */

#include <linux/slab.h>

#include "internal.h"

/* A leaf is for this many page tables in a row. */
#define LEAF_BLOCKS		64

struct ktierd_leaf {
	struct ktierd_block *block[LEAF_BLOCKS];
};

static struct kmem_cache *block_cache;

static struct ktierd_block *block_alloc(enum ktierd_shape shape, gfp_t gfp)
{
	struct ktierd_block *block;

	gfp |= __GFP_ACCOUNT;
	if (shape == KTIERD_SMALL)
		block = kmem_cache_zalloc(block_cache, gfp);
	else
		block = kzalloc(struct_size(block, group, shape == KTIERD_HUGE),
				gfp);
	if (!block)
		return NULL;
	block->shape = shape;
	block->stale = true;
	block->levels_top = U32_MAX;
	block->levels_low = U32_MAX;
	return block;
}

static void block_free(struct ktierd_block *block)
{
	if (block->shape == KTIERD_SMALL)
		kmem_cache_free(block_cache, block);
	else
		kfree(block);
}

/*
 * Of small pages the whole is as hot as the hottest and as idle as the least
 * idle; which of them are there is not asked.
 */
static void merge_groups(struct ktierd_heat *into,
			 const struct ktierd_block *from)
{
	unsigned int group;

	ktierd_heat_uniform(into, KTIERD_IDLE_MAX);
	for (group = 0; group < ktierd_block_groups(from); group++)
		ktierd_heat_merge(into, &from->group[group].heat, ~0ULL);
}

/*
 * A huge page was split, a table collapsed, fell asleep or woke up: carry the
 * history over.
 */
static void block_convert(struct ktierd_block *to,
			  const struct ktierd_block *from)
{
	struct ktierd_heat whole;
	unsigned int group;

	to->tick = from->tick;
	to->tick_ms = from->tick_ms;
	to->cleared = from->cleared;
	to->read = from->read;
	to->epoch = from->epoch;
	to->ticks = from->ticks;
	to->windows = from->windows;
	to->quiet = from->quiet;
	to->stale = true;

	if (from->shape == KTIERD_IDLE)
		ktierd_heat_uniform(&whole, from->idle);
	else if (from->shape == KTIERD_HUGE)
		whole = from->group[0].heat;
	else
		merge_groups(&whole, from);
	to->idle = ktierd_heat_idle(&whole, 0);
	for (group = 0; group < ktierd_block_groups(to); group++)
		ktierd_heat_spread(&to->group[group].heat, &whole);
}

static struct ktierd_leaf *find_leaf(struct ktierd_slot *slot,
				     unsigned long index)
{
	if (!slot->leaf || slot->leaf_index != index) {
		slot->leaf = xa_load(&slot->leaves, index);
		slot->leaf_index = index;
	}
	return slot->leaf;
}

static struct ktierd_leaf *make_leaf(struct ktierd_slot *slot,
				     unsigned long index, gfp_t gfp)
{
	struct ktierd_leaf *leaf = find_leaf(slot, index);

	if (leaf)
		return leaf;
	leaf = kzalloc(sizeof(*leaf), gfp | __GFP_ACCOUNT);
	if (leaf && xa_is_err(xa_store(&slot->leaves, index, leaf, gfp))) {
		kfree(leaf);
		leaf = NULL;
	}
	slot->leaf = leaf;
	return leaf;
}

/**
 * ktierd_history_find() - the block of an address
 * @slot: the process
 * @addr: any address below the PMD
 *
 * Return: the block, NULL if there is none.
 */
struct ktierd_block *ktierd_history_find(struct ktierd_slot *slot,
					 unsigned long addr)
{
	unsigned long index = addr >> PMD_SHIFT;
	struct ktierd_leaf *leaf = find_leaf(slot, index / LEAF_BLOCKS);

	return leaf ? leaf->block[index % LEAF_BLOCKS] : NULL;
}

/**
 * ktierd_history_get() - the block of an address, made if need be
 * @slot: the process
 * @addr: any address below the PMD
 * @shape: what it is to have histories of
 * @gfp: how memory may be got
 *
 * A block of another shape is converted.
 *
 * Return: the block, NULL if there is no memory for it.
 */
struct ktierd_block *ktierd_history_get(struct ktierd_slot *slot,
					unsigned long addr,
					enum ktierd_shape shape, gfp_t gfp)
{
	struct ktierd_block *old = ktierd_history_find(slot, addr);
	unsigned long index = addr >> PMD_SHIFT;
	struct ktierd_block *block;
	struct ktierd_leaf *leaf;

	if (old && old->shape == shape)
		return old;

	leaf = make_leaf(slot, index / LEAF_BLOCKS, gfp);
	block = leaf ? block_alloc(shape, gfp) : NULL;
	if (!block)
		return NULL;
	leaf->block[index % LEAF_BLOCKS] = block;
	if (old) {
		block_convert(block, old);
		block_free(old);
	} else {
		slot->nr_blocks++;
	}
	return block;
}

/* Of a leaf. Return: whether any block is left. */
static bool sweep_leaf(struct ktierd_slot *slot, struct ktierd_leaf *leaf,
		       u32 round)
{
	bool left = false;
	unsigned int i;

	for (i = 0; i < LEAF_BLOCKS; i++) {
		if (leaf->block[i] && leaf->block[i]->cleared != round) {
			block_free(leaf->block[i]);
			leaf->block[i] = NULL;
			slot->nr_blocks--;
		}
		left |= !!leaf->block[i];
	}
	return left;
}

/**
 * ktierd_history_sweep() - forget what is mapped no more
 * @slot: the process
 * @round: the round whose clearing walk is now complete
 */
void ktierd_history_sweep(struct ktierd_slot *slot, u32 round)
{
	struct ktierd_leaf *leaf;
	unsigned long index;

	if (slot->nr_met == slot->nr_blocks)
		return;
	slot->leaf = NULL;
	xa_for_each(&slot->leaves, index, leaf) {
		if (!sweep_leaf(slot, leaf, round)) {
			xa_erase(&slot->leaves, index);
			kfree(leaf);
		}
		cond_resched();
	}
}

static bool sum_take(struct ktierd_sum *sum, int nid)
{
	unsigned int i, last = KTIERD_SUM_NODES;

	while (last && !sum->node[last - 1].nr)
		last--;
	for (i = 0; i < last; i++)
		if (sum->node[i].nid == nid)
			break;
	if (i == last)
		return false;
	if (!--sum->node[i].nr) {
		sum->node[i] = sum->node[last - 1];
		sum->node[last - 1].nr = 0;
	}
	return true;
}

static bool sum_put(struct ktierd_sum *sum, int nid)
{
	unsigned int i;

	for (i = 0; i < KTIERD_SUM_NODES; i++)
		if (!sum->node[i].nr || sum->node[i].nid == nid)
			break;
	if (i == KTIERD_SUM_NODES)
		return false;
	sum->node[i].nid = nid;
	sum->node[i].nr++;
	return true;
}

/**
 * ktierd_history_moved() - a page changes its place
 * @block: where it is mapped
 * @i: which page of the block
 * @from: the node that it is on
 * @to: the node that it goes to
 * @up: that is in the top tier
 *
 * So nobody has to look for it there.
 */
void ktierd_history_moved(struct ktierd_block *block, unsigned int i, int from,
			  int to, bool up)
{
	struct ktierd_sum *sum = &block->sum;
	u64 page = 1ULL << i % KTIERD_GROUP_PAGES;
	struct ktierd_group *group;

	if (block->stale)
		return;
	if (!sum_take(sum, from) || !sum_put(sum, to) ||
	    !(up ? sum->low : sum->top)) {
		block->stale = true;
		return;
	}
	sum->top += up ? 1 : -1;
	sum->low += up ? -1 : 1;
	if (block->shape == KTIERD_IDLE)
		return;
	group = &block->group[i / KTIERD_GROUP_PAGES];
	group->top = up ? group->top | page : group->top & ~page;
}

/**
 * ktierd_history_stale() - what is where is not known any more
 * @slot: the process
 * @from: the first address
 * @to: the end
 * @batch: of blocks that had pages in this batch of moves
 */
void ktierd_history_stale(struct ktierd_slot *slot, unsigned long from,
			  unsigned long to, u32 batch)
{
	unsigned long first = from >> PMD_SHIFT, last = (to - 1) >> PMD_SHIFT;
	struct ktierd_leaf *leaf;
	unsigned long index;
	unsigned int i;

	xa_for_each_range(&slot->leaves, index, leaf, first / LEAF_BLOCKS,
			  last / LEAF_BLOCKS) {
		for (i = 0; i < LEAF_BLOCKS; i++)
			if (leaf->block[i] && leaf->block[i]->batch == batch)
				leaf->block[i]->stale = true;
		cond_resched();
	}
}

/**
 * ktierd_history_free() - forget everything
 * @slot: the process
 */
void ktierd_history_free(struct ktierd_slot *slot)
{
	struct ktierd_leaf *leaf;
	unsigned long index;
	unsigned int i;

	xa_for_each(&slot->leaves, index, leaf) {
		for (i = 0; i < LEAF_BLOCKS; i++)
			if (leaf->block[i])
				block_free(leaf->block[i]);
		kfree(leaf);
		cond_resched();
	}
	xa_destroy(&slot->leaves);
}

/**
 * ktierd_history_init() - make the cache that blocks come from
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_history_init(void)
{
	struct ktierd_block *block;

	block_cache = kmem_cache_create("ktierd_block",
					struct_size(block, group,
						    KTIERD_GROUPS),
					0, 0, NULL);
	return block_cache ? 0 : -ENOMEM;
}
