// SPDX-License-Identifier: GPL-2.0
/* Operations on a page. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "operations.h"

#define HAMMERED		4UL		/* pages written without pause, */
#define HAMMER_NS		(NSEC_PER_SEC / 8)	/* and for how long */

bool do_write(struct worker *me)
{
	size_t i = some_page(me);

	record(me, i);
	fill(me, i);
	return true;
}

bool do_patch(struct worker *me)
{
	size_t i = some_page(me);

	record(me, i);
	patch(me, i);
	return true;
}

bool do_bump(struct worker *me)
{
	size_t i = some_page(me);

	record(me, i);
	bump(me, i);
	return true;
}

bool do_verify(struct worker *me)
{
	verify(me, some_page(me));
	return true;
}

/* One after the other, so that those untouched for long have their turn. */
bool do_sweep(struct worker *me)
{
	verify(me, me->sweep++ % me->region.pages);
	return true;
}

/*
 * Write to few pages without pause, through translations that are cached, while
 * others swap them out and move them.
 */
bool do_hammer(struct worker *me)
{
	struct range range = some_range(me, HAMMERED);
	u64 end_ns = now_ns() + HAMMER_NS;

	record_range(me, range);
	__atomic_store_n(&me->region.hammered, range.first + 1, __ATOMIC_RELAXED);
	do {
		for (int round = 0; round < 100; round++)
			for (size_t i = range.first; i < range.first + range.pages; i++)
				poke(me, i);
	} while (now_ns() < end_ns);
	__atomic_store_n(&me->region.hammered, 0, __ATOMIC_RELAXED);
	verify_range(me, range);
	return true;
}

/* Again and again have others' memory paged out, as long as somebody hammers on it. */
bool do_chase(struct worker *me)
{
	u64 end_ns = now_ns() + HAMMER_NS;
	struct region *other = some_region(me);
	bool chased = false;
	size_t hammered;

	do {
		hammered = __atomic_load_n(&other->hammered, __ATOMIC_RELAXED);
		if (!hammered)
			break;
		advise_other(other, MADV_PAGEOUT, (struct range){
			.first = hammered - 1, .pages = HAMMERED,
		});
		chased = true;
		usleep(below(me, 2000));
	} while (now_ns() < end_ns);
	return chased;
}
