// SPDX-License-Identifier: GPL-2.0
/* Operations on mappings, and moves to other nodes. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "operations.h"

#ifndef MPOL_MF_MOVE
#define MPOL_MF_MOVE		2
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT		1
#endif

#define NODES			2
#define TRIES			1000

bool do_protect(struct worker *me)
{
	struct range range = choose_range(me);
	u64 *from = page_at(&me->region, range.first);
	bool none = !below(me, 4);

	record_range(me, range);
	if (mprotect(from, range.pages * PAGE_SIZE, none ? PROT_NONE : PROT_READ))
		return false;
	if (none)
		usleep(below(me, 100000));
	else
		verify_range(me, range);
	if (mprotect(from, range.pages * PAGE_SIZE, PROT_READ | PROT_WRITE))
		fail("mprotect() failed (%s).", strerror(errno));
	write_somehow(me, range.first);
	return true;
}

/* What is locked can't be advised: all of it is unlocked before anything else is done. */
bool do_lock(struct worker *me)
{
	struct range range = choose_range(me);
	u64 *from = page_at(&me->region, range.first);
	size_t size = range.pages * PAGE_SIZE;
	bool locked;

	record_range(me, range);
	locked = !mlock2(from, size, below(me, 2) ? MLOCK_ONFAULT : 0);
	use_range(me, range);
	for (int i = 0; munlock(from, size); i++)
		if (i == TRIES)
			fail("munlock() failed (%s).", strerror(errno));
	return locked;
}

/* Unmap it, or not, and map it anew. */
bool do_remap(struct worker *me)
{
	struct range range = choose_range(me);
	u64 *from = page_at(&me->region, range.first);
	size_t size = range.pages * PAGE_SIZE;

	record_range(me, range);
	if (below(me, 2)) {
		if (munmap(from, size))
			return false;
		usleep(below(me, 1000));
	}
	for (int i = 0; map_memory(&me->region, from, size, MAP_FIXED) == MAP_FAILED; i++)
		if (i == TRIES)
			fail("mmap() failed (%s).", strerror(errno));
	for (size_t i = range.first; !is_shared(me) && i < range.first + range.pages; i++)
		page_thrown_away(&me->region.expected[i]);
	mark_memory(&me->region, from, size);
	use_range(me, range);
	return true;
}

/* Only what is a single mapping can be moved: make it one. */
bool do_mremap(struct worker *me)
{
	struct region *region = &me->region;
	char *to = place_in_lane(me, draw(me), draw(me));
	size_t size = region->pages * PAGE_SIZE;
	u64 distance = to > region->base ? to - region->base : region->base - to;

	if (distance < size)
		return false;
	record(me, region->pages);
	mark_memory(region, region->base, size);
	madvise(region->base, size, MADV_UNMERGEABLE);
	if (mremap(region->base, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
		__atomic_store_n(&region->base, to, __ATOMIC_RELAXED);
	else if (errno != EFAULT && errno != ENOMEM)
		fail("mremap() failed (%s).", strerror(errno));
	return region->base == to;
}

/*
 * Each page to a node of its own choice. Some are busy, and stay; and nodes may
 * be offline, or forbidden.
 */
static bool move_range(struct worker *me, const struct region *region, struct range range)
{
	int node[MAX_RANGE], status[MAX_RANGE];
	char *base = __atomic_load_n(&region->base, __ATOMIC_RELAXED);
	void *page[MAX_RANGE];

	for (size_t i = 0; i < range.pages; i++) {
		page[i] = base + (range.first + i) * PAGE_SIZE;
		node[i] = below(me, NODES);
	}
	return syscall(SYS_move_pages, 0, range.pages, page, node, status, MPOL_MF_MOVE) >= 0;
}

bool do_nodes(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);

	record_range(me, range);
	return move_range(me, &me->region, range);
}

bool do_nodes_other(struct worker *me)
{
	return move_range(me, some_region(me), some_range(me, MAX_RANGE));
}
