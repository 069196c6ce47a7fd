// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>

#include "tiers.h"
#include "util.h"

#define MEMORY_TIERS	"/sys/devices/virtual/memory_tiering"
#define NODES_WITH_CPU	"/sys/devices/system/node/has_cpu"

#define MAX_TIERS	1024

static enum tier tier_of_node[TIERS_MAX_NODES];

/* Set those of @nodes that the file at @path lists, as in "0-1,4". */
static bool read_nodes(const char *path, bool nodes[TIERS_MAX_NODES])
{
	unsigned int first, last;
	char text[4096];
	char *range;
	int found;

	if (!read_text(path, text, sizeof(text)))
		return false;
	for (range = strtok(text, ","); range; range = strtok(NULL, ",")) {
		found = sscanf(range, "%u-%u", &first, &last);
		if (found < 1)
			return false;
		if (found == 1)
			last = first;
		for (; first <= last && first < TIERS_MAX_NODES; first++)
			nodes[first] = true;
	}
	return true;
}

static bool read_tier(int id, bool nodes[TIERS_MAX_NODES])
{
	char path[PATH_MAX];

	memset(nodes, 0, TIERS_MAX_NODES * sizeof(*nodes));
	snprintf(path, sizeof(path), "%s/memory_tier%d/nodelist", MEMORY_TIERS, id);
	return read_nodes(path, nodes);
}

/*
 * Tiers are numbered from fast to slow. As in the kernel, the slowest one with
 * CPUs and all above it are the top, and what is slower is lower.
 */
void tiers_learn(void)
{
	static bool nodes[TIERS_MAX_NODES], with_cpu[TIERS_MAX_NODES];
	int top = -1;

	read_nodes(NODES_WITH_CPU, with_cpu);
	for (int id = 0; id < MAX_TIERS; id++) {
		if (!read_tier(id, nodes))
			continue;
		for (int node = 0; node < TIERS_MAX_NODES; node++)
			if (nodes[node] && with_cpu[node])
				top = id;
	}
	for (int id = 0; id < MAX_TIERS; id++) {
		if (!read_tier(id, nodes))
			continue;
		for (int node = 0; node < TIERS_MAX_NODES; node++)
			if (nodes[node])
				tier_of_node[node] = id <= top ? TIER_TOP : TIER_LOWER;
	}
	if (tiers_first_node(TIER_TOP) < 0 || tiers_first_node(TIER_LOWER) < 0)
		fail("this machine has no memory node in a lower tier (see %s).\n"
		     "Make one of persistent memory with 'ndctl create-namespace -m devdax' and\n"
		     "'daxctl reconfigure-device --mode=system-ram --movable daxX.Y'.",
		     MEMORY_TIERS);
}

int tiers_first_node(enum tier tier)
{
	for (int node = 0; node < TIERS_MAX_NODES; node++)
		if (tier_of_node[node] == tier)
			return node;
	return -1;
}

enum tier tier_of(int node)
{
	return node < 0 || node >= TIERS_MAX_NODES ? TIER_UNKNOWN : tier_of_node[node];
}
