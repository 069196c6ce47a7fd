// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "../lib/tiers.h"
#include "prog.h"

/* So that the coin does not go with what else is drawn with the same seed. */
#define COIN	0xb1e55ed0c0ffee00ULL

struct range {
	unsigned long start;
	unsigned long end;
};

static void add_size(unsigned long from, unsigned long to, void *context)
{
	unsigned long *pages = context;

	*pages += (to - from) / PAGESET_PAGE_SIZE;
}

struct listing {
	struct pageset set;
	unsigned long capacity;
};

static void add_pages(unsigned long from, unsigned long to, void *context)
{
	struct listing *list = context;
	struct pageset *set = &list->set;

	/* What came into being since the capacity was taken is left out. */
	for (; from < to && set->count < list->capacity; from += PAGESET_PAGE_SIZE)
		set->page[set->count++] = (void *)from;
}

static void drop_absent(struct pageset *set)
{
	unsigned long kept = 0;

	for (unsigned long i = 0; i < set->count; i++) {
		if (set->node[i] < 0)
			continue;
		set->page[kept] = set->page[i];
		set->node[kept++] = set->node[i];
	}
	set->count = kept;
}

/* Those that are present, with their nodes, in the order of addresses. */
static struct pageset list_pages(pid_t pid)
{
	struct listing list = { .capacity = 0 };

	visit_anonymous_mappings(pid, add_size, &list.capacity);
	pageset_alloc(&list.set, pid, list.capacity);
	visit_anonymous_mappings(pid, add_pages, &list);
	pageset_locate(&list.set);
	drop_absent(&list.set);
	return list.set;
}

struct child_pages pages_count(pid_t pid)
{
	struct child_pages pages = { 0 };
	struct pageset set = list_pages(pid);

	for (unsigned long i = 0; i < set.count; i++) {
		pages.top += tier_of(set.node[i]) == TIER_TOP;
		pages.low += tier_of(set.node[i]) == TIER_LOWER;
	}
	pageset_free(&set);
	return pages;
}

void pages_interleave(pid_t pid, u32 seed)
{
	int node[] = { tiers_first_node(TIER_TOP), tiers_first_node(TIER_LOWER) };
	struct pageset set = list_pages(pid);
	struct dice coin = { .state = seed ^ COIN };

	for (unsigned long i = 0; i < set.count; i++)
		set.node[i] = node[dice_roll(&coin) >> 63];
	pageset_move(&set);
	pageset_free(&set);
}

static void take_larger(unsigned long from, unsigned long to, void *context)
{
	struct range *largest = context;

	if (to - from > largest->end - largest->start)
		*largest = (struct range) { from, to };
}

void pages_largest(pid_t pid, unsigned long *start, unsigned long *end)
{
	struct range largest = { 0 };

	visit_anonymous_mappings(pid, take_larger, &largest);
	*start = largest.start;
	*end = largest.end;
}
