// SPDX-License-Identifier: GPL-2.0
/*
 * Where the histories of pages are kept: for each process a block a page
 * table, found by address.
 *
 * A block of small pages costs two bytes a page and one huge page costs a
 * header, so histories take some 0.05 % of what is tracked.  Blocks are keyed
 * by address and not by folio: what ages is the use that the process makes of
 * a place, and a page that is moved, swapped or copied keeps it. While nothing
 * is present there it stands still.
 *
 * They are charged to the memory cgroup of the process, which is what makes
 * them: the caller sets it as the active one.
 *
 * No locks: a slot's blocks belong to the thread, until the slot is freed.
 */

#include <linux/slab.h>

#include "internal.h"

static struct kmem_cache *block_cache;

static struct ktierd_block *block_alloc(unsigned int nr, gfp_t gfp)
{
	struct ktierd_block *block;

	if (nr == KTIERD_BLOCK_PAGES)
		block = kmem_cache_zalloc(block_cache, gfp | __GFP_ACCOUNT);
	else
		block = kzalloc(struct_size(block, heat, nr), gfp | __GFP_ACCOUNT);
	if (!block)
		return NULL;
	block->nr = nr;
	block->coldest_top = KTIERD_LEVELS;
	block->hottest_low = -1;
	return block;
}

static void block_free(struct ktierd_block *block)
{
	if (block->nr == KTIERD_BLOCK_PAGES)
		kmem_cache_free(block_cache, block);
	else
		kfree(block);
}

/* A huge page was split, or a table collapsed: carry the history over. */
static void block_convert(struct ktierd_block *to,
			  const struct ktierd_block *from)
{
	unsigned int i;

	to->tick = from->tick;
	to->tick_ms = from->tick_ms;
	to->cleared = from->cleared;
	to->ticks = from->ticks;
	to->heat[0] = from->heat[0];
	for (i = 1; i < from->nr; i++)
		ktierd_heat_merge(&to->heat[0], &from->heat[i]);
	for (i = 1; i < to->nr; i++)
		to->heat[i] = to->heat[0];
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
 * @nr: 1 for a huge page, else KTIERD_BLOCK_PAGES
 * @gfp: how memory may be got
 *
 * A block of the other shape is converted.
 *
 * Return: the block, NULL if there is no memory for it.
 */
struct ktierd_block *ktierd_history_get(struct ktierd_slot *slot,
					unsigned long addr, unsigned int nr,
					gfp_t gfp)
{
	struct ktierd_block *old = ktierd_history_find(slot, addr);
	struct ktierd_block *block;

	if (old && old->nr == nr)
		return old;

	block = block_alloc(nr, gfp);
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

	xa_for_each(&slot->blocks, index, block) {
		if (block->cleared != round) {
			xa_erase(&slot->blocks, index);
			block_free(block);
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
					struct_size(block, heat,
						    KTIERD_BLOCK_PAGES),
					0, 0, NULL);
	return block_cache ? 0 : -ENOMEM;
}
