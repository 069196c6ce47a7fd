// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/self/pagemap says in which frame a page is, and the memory blocks of
 * each node which frames are whose. Asking the kernel for nodes by move_pages()
 * takes seven times as many instructions.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/tiers.h"
#include "place.h"

#define BLOCKS		"/sys/devices/system/memory"
#define NODE		"/sys/devices/system/node/node%d"
#define PAGE_SIZE	4096

#define PM_PRESENT	0x8000000000000000ULL
#define PM_FRAME	0x007fffffffffffffULL

/* Entries of pagemap that are read at once. */
#define CHUNK		8192

static uint8_t *place_of_block;
static uint64_t nr_blocks;
static unsigned int block_shift;	/* from frame to block */

static enum place place_of_node(int node)
{
	switch (tier_of(node)) {
	case TIER_TOP:
		return PLACE_TOP;
	case TIER_LOWER:
		return PLACE_LOW;
	default:
		return PLACE_NONE;
	}
}

static void set_block(uint64_t block, enum place place)
{
	if (block >= nr_blocks) {
		place_of_block = realloc(place_of_block, block + 1);
		if (!place_of_block)
			abort();
		memset(place_of_block + nr_blocks, PLACE_NONE, block + 1 - nr_blocks);
		nr_blocks = block + 1;
	}
	place_of_block[block] = place;
}

static bool learn_node(int node)
{
	char path[PATH_MAX];
	struct dirent *entry;
	uint64_t block;
	DIR *dir;

	snprintf(path, sizeof(path), NODE, node);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "memory%lu", &block) == 1)
			set_block(block, place_of_node(node));
	closedir(dir);
	return true;
}

const char *place_learn(void)
{
	uint64_t bytes = 0;
	FILE *file = fopen(BLOCKS "/block_size_bytes", "r");

	if (!file || fscanf(file, "%lx", &bytes) != 1 || bytes < PAGE_SIZE)
		return "the kernel does not tell its memory blocks in " BLOCKS;
	fclose(file);
	block_shift = __builtin_ctzll(bytes / PAGE_SIZE);
	for (int node = 0; node < TIERS_MAX_NODES; node++)
		if (place_of_node(node) != PLACE_NONE && !learn_node(node))
			return "the kernel does not tell the memory blocks of its nodes";
	return NULL;
}

bool place_look(const void *start, uint32_t nr, uint8_t *place)
{
	static uint64_t entry[CHUNK];
	uint64_t page = (uintptr_t)start / PAGE_SIZE;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	bool frames = false, present = false;

	if (fd < 0)
		return false;
	for (uint32_t i = 0; i < nr; i += CHUNK) {
		uint32_t n = nr - i < CHUNK ? nr - i : CHUNK;
		ssize_t bytes = n * sizeof(*entry);

		if (pread(fd, entry, bytes, (page + i) * sizeof(*entry)) != bytes)
			break;
		for (uint32_t k = 0; k < n; k++) {
			uint64_t block = (entry[k] & PM_FRAME) >> block_shift;

			place[i + k] = PLACE_NONE;
			if (!(entry[k] & PM_PRESENT))
				continue;
			present = true;
			frames |= !!(entry[k] & PM_FRAME);
			if (block < nr_blocks)
				place[i + k] = place_of_block[block];
		}
	}
	close(fd);
	return frames || !present;
}

/* A zone's free pages beyond its high watermark, of the zones of top-tier nodes. */
uint64_t place_top_room(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	uint64_t room = 0, free = 0, high;
	char line[256];
	int node = -1;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %d, zone", &node) == 1 ||
		    sscanf(line, " pages free %lu", &free) == 1)
			continue;
		/* Those of a zone come before those of its per-CPU lists. */
		if (sscanf(line, " high %lu", &high) == 1 && node >= 0 &&
		    place_of_node(node) == PLACE_TOP && free > high) {
			room += free - high;
			free = 0;
		}
	}
	fclose(file);
	return room;
}

int place_node(enum place place)
{
	return tiers_first_node(place == PLACE_TOP ? TIER_TOP : TIER_LOWER);
}
