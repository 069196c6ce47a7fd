// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pageset.h"
#include "tiers.h"
#include "util.h"

/* Pages asked about, or moved, in one call. */
#define CHUNK_PAGES	4096UL

void pageset_alloc(struct pageset *set, pid_t pid, unsigned long capacity)
{
	set->pid = pid;
	set->count = 0;
	set->page = allocate(capacity, sizeof(*set->page));
	set->node = allocate(capacity, sizeof(*set->node));
	set->hot = allocate(capacity, sizeof(*set->hot));
}

void pageset_free(struct pageset *set)
{
	free(set->page);
	free(set->node);
	free(set->hot);
}

static unsigned long chunk(const struct pageset *set, unsigned long from)
{
	unsigned long rest = set->count - from;

	return rest < CHUNK_PAGES ? rest : CHUNK_PAGES;
}

void pageset_locate(struct pageset *set)
{
	for (unsigned long i = 0; i < set->count; i += CHUNK_PAGES)
		if (syscall(SYS_move_pages, set->pid, chunk(set, i),
			    set->page + i, NULL, set->node + i, 0))
			fail("the kernel did not say where pages are (%s); run it as root.",
			     strerror(errno));
}

static void move_to(const struct pageset *set, int node)
{
	static int nodes[CHUNK_PAGES], status[CHUNK_PAGES];
	static void *page[CHUNK_PAGES];
	unsigned long i = 0, n;

	for (n = 0; n < CHUNK_PAGES; n++)
		nodes[n] = node;
	while (i < set->count) {
		for (n = 0; n < CHUNK_PAGES && i < set->count; i++)
			if (set->node[i] == node)
				page[n++] = set->page[i];
		/* A positive result is a number of pages that stayed: the report shows. */
		if (n && syscall(SYS_move_pages, set->pid, n, page, nodes, status,
				 MPOL_MF_MOVE_ALL) < 0)
			fail("the kernel did not move pages (%s); run it as root.",
			     strerror(errno));
	}
}

/* Node by node: pages for different nodes are not moved in one go. */
static void move_to_tier(const struct pageset *set, enum tier tier)
{
	for (int node = 0; node < TIERS_MAX_NODES; node++)
		if (tier_of(node) == tier)
			move_to(set, node);
}

void pageset_move(const struct pageset *set)
{
	/* What leaves the top tier, which is small, makes room for what comes. */
	move_to_tier(set, TIER_LOWER);
	move_to_tier(set, TIER_TOP);
}

void visit_anonymous_mappings(pid_t pid, mapping_visitor visit, void *context)
{
	unsigned long from, to, inode;
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	if (!maps)
		fail("cannot look into process %d (%s); run it as root.", pid, strerror(errno));
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx rw-p %*x %*x:%*x %lu", &from, &to, &inode) == 3 &&
		    !inode && !strstr(line, "[stack]"))
			visit(from, to, context);
	fclose(maps);
}
