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
 * They are charged to the memory cgroup of the process, which is what makes
 * them: the caller sets it as the active one.
 *
 * No locks: a slot's blocks belong to the thread, until the slot is freed.
 */

#include <linux/slab.h>

#include "internal.h"

static struct kmem_cache *block_cache;

static unsigned int shape_groups(enum ktierd_shape shape)
{
	switch (shape) {
	case KTIERD_SMALL:
		return KTIERD_GROUPS;
	case KTIERD_HUGE:
		return 1;
	default:
		return 0;
	}
}

static struct ktierd_block *block_alloc(enum ktierd_shape shape, gfp_t gfp)
{
	struct ktierd_block *block;

	gfp |= __GFP_ACCOUNT;
	if (shape == KTIERD_SMALL)
		block = kmem_cache_zalloc(block_cache, gfp);
	else
		block = kzalloc(struct_size(block, group, shape_groups(shape)),
				gfp);
	if (!block)
		return NULL;
	block->shape = shape;
	block->stale = true;
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
	for (group = 0; group < shape_groups(from->shape); group++)
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
	for (group = 0; group < shape_groups(to->shape); group++)
		ktierd_heat_spread(&to->group[group].heat, &whole);
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
	return xa_load(&slot->blocks, addr >> PMD_SHIFT);
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
	struct ktierd_block *block;

	if (old && old->shape == shape)
		return old;

	block = block_alloc(shape, gfp);
	if (!block)
		return NULL;
	if (old)
		block_convert(block, old);
	if (xa_is_err(xa_store(&slot->blocks, addr >> PMD_SHIFT, block, gfp))) {
		block_free(block);
		return NULL;
	}
	if (old)
		block_free(old);
	else
		slot->nr_blocks++;
	return block;
}

/**
 * ktierd_history_sweep() - forget what is mapped no more
 * @slot: the process
 * @round: the round whose clearing walk is now complete
 */
void ktierd_history_sweep(struct ktierd_slot *slot, u32 round)
{
	struct ktierd_block *block;
	unsigned long index;

	if (slot->nr_met == slot->nr_blocks)
		return;
	xa_for_each(&slot->blocks, index, block) {
		if (block->cleared != round) {
			xa_erase(&slot->blocks, index);
			block_free(block);
			slot->nr_blocks--;
		}
		cond_resched();
	}
}

/**
 * ktierd_history_free() - forget everything
 * @slot: the process
 */
void ktierd_history_free(struct ktierd_slot *slot)
{
	struct ktierd_block *block;
	unsigned long index;

	xa_for_each(&slot->blocks, index, block) {
		block_free(block);
		cond_resched();
	}
	xa_destroy(&slot->blocks);
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
