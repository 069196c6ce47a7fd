// SPDX-License-Identifier: GPL-2.0
/* Operations with madvise(). */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "operations.h"

/* What is read back is clean, and in the swap cache. Then it is written. */
bool do_reuse(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	bool done = advise(me, MADV_PAGEOUT, range);

	verify_range(me, range);
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (below(me, 2))
			write_somehow(me, i);
	return done;
}

bool do_pageout(struct worker *me)
{
	return advise(me, MADV_PAGEOUT, choose_range(me));
}

bool do_pageout_other(struct worker *me)
{
	advise_other(some_region(me), MADV_PAGEOUT, some_range(me, MAX_RANGE));
	return true;
}

bool do_cold(struct worker *me)
{
	return advise(me, MADV_COLD, choose_range(me));
}

/*
 * Some of the pages are written again, and these must stay. A child first makes
 * all of them its own: Linux 6.12 loses pages that were read from zram, or copied
 * for process_vm_readv(), then shared by fork() and freed by the child.
 */
bool do_free(struct worker *me)
{
	struct range range = choose_range(me);
	struct expected *expected = me->region.expected;
	bool done;

	/* There is no such thing. */
	if (is_shared(me))
		return false;
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (me->child)
			fill(me, i);
	if (range.pages == HUGE_PAGES && below(me, 2))
		advise(me, MADV_COLLAPSE, range);
	/* It may have freed some of them before it failed. */
	done = advise(me, MADV_FREE, range);
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (expected[i].kind == PAGE_FULL)
			expected[i].kind = PAGE_LAZY;
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (!below(me, 3))
			write_somehow(me, i);
	return done;
}

bool do_dontneed(struct worker *me)
{
	struct range range = choose_range(me);

	/* What is shared is only unmapped by it, and stays what it is. */
	if (is_shared(me) && below(me, 2))
		advise(me, MADV_DONTNEED, range);
	else
		throw_away(me, range);
	if (below(me, 2))
		verify_range(me, range);
	return true;
}

bool do_populate(struct worker *me)
{
	return advise(me, MADV_POPULATE_WRITE, choose_range(me));
}

bool do_collapse(struct worker *me)
{
	struct range range = {
		.first = some_page(me) & ~(HUGE_PAGES - 1), .pages = HUGE_PAGES,
	};

	/* A file on a disk has huge pages only if nobody may write it. */
	if (me->region.kind == REGION_SMALL || is_file(me))
		return false;
	return advise(me, MADV_COLLAPSE, range);
}

/*
 * KSM merges what is the same, and of the pages here that is only zeros. They are
 * written later, by whatever comes. What is shared it leaves alone.
 */
bool do_merge(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	bool done;

	if (is_shared(me))
		return false;
	throw_away(me, range);
	done = advise(me, MADV_POPULATE_WRITE, range) && advise(me, MADV_MERGEABLE, range);
	use_range(me, range);
	return done;
}

bool do_unmerge(struct worker *me)
{
	struct range range = { .first = 0, .pages = me->region.pages };

	return advise(me, MADV_UNMERGEABLE, range);
}

/* Now and then it stays unmarked, until all of the region is marked again. */
bool do_unmark(struct worker *me)
{
	struct range range = choose_range(me);

	if (!advise(me, MADV_NOTIER, range))
		return false;
	use_range(me, range);
	if (below(me, 4))
		advise(me, MADV_TIER, range);
	return true;
}
