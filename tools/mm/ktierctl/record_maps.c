// SPDX-License-Identifier: GPL-2.0
/* The mappings of the process that is recorded, and in which node its pages are. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record.h"

#define NODES_MAX	1024

void mappings_free(struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++)
		free(mappings->mapping[i].name);
	free(mappings->mapping);
	*mappings = (struct mappings) { };
}

struct mapping *mapping_find(const struct mappings *mappings, u64 address)
{
	size_t low = 0, high = mappings->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		struct mapping *mapping = &mappings->mapping[middle];

		if (address < mapping->from)
			high = middle;
		else if (address >= mapping->to)
			low = middle + 1;
		else
			return mapping;
	}
	return NULL;
}

/* The line of a mapping, in maps and in smaps. */
static bool parse_mapping(char *line, struct mapping *mapping)
{
	int name = 0;

	*mapping = (struct mapping) { };
	if (sscanf(line, "%llx-%llx %*4s %*x %*x:%*x %*u %n", &mapping->from, &mapping->to,
		   &name) != 2 || !name)
		return false;
	line[strcspn(line, "\n")] = '\0';
	mapping->name = strdup(line[name] ? line + name : "anonymous");
	if (!mapping->name)
		abort();
	return true;
}

/* A mapping that continues the one before is no mapping of its own here. */
static void add_mapping(struct mappings *mappings, struct mapping *mapping)
{
	struct mapping *last = NULL;

	if (mappings->count)
		last = &mappings->mapping[mappings->count - 1];
	if (last && last->to == mapping->from && !strcmp(last->name, mapping->name)) {
		last->to = mapping->to;
		free(mapping->name);
		return;
	}
	if (!(mappings->count & (mappings->count - 1)))
		mappings->mapping = realloc(mappings->mapping, 2 * (mappings->count + 1) *
					    sizeof(*mapping));
	if (!mappings->mapping)
		abort();
	mappings->mapping[mappings->count++] = *mapping;
}

/* Those that were written stay so. */
static void keep_written(struct mappings *new, const struct mappings *old)
{
	for (size_t i = 0; i < new->count; i++) {
		struct mapping *mapping = &new->mapping[i], *before;

		before = mapping_find(old, mapping->from);
		if (before && before->from == mapping->from && before->to == mapping->to &&
		    !strcmp(before->name, mapping->name))
			mapping->written = before->written;
	}
}

/* What is marked, with the pages that are there of it. */
struct marked {
	u64 from, to;
};

struct marks {
	struct marked *range;
	size_t count;
	u64 present_kb;
};

static void add_mark(struct marks *marks, const struct marked *range, u64 present_kb)
{
	if (!(marks->count & (marks->count - 1)))
		marks->range = realloc(marks->range, 2 * (marks->count + 1) * sizeof(*range));
	if (!marks->range)
		abort();
	marks->range[marks->count++] = *range;
	marks->present_kb += present_kb;
}

/* A line of smaps that is not that of a mapping. */
static void parse_attribute(char *line, struct marks *marks, const struct marked *range,
			    u64 *present_kb)
{
	if (sscanf(line, "Rss: %llu", present_kb) == 1)
		return;
	if (!strncmp(line, "VmFlags:", 8) && strstr(line, " ti") && *present_kb)
		add_mark(marks, range, *present_kb);
}

static bool read_lines(struct mappings *mappings, pid_t pid, struct marks *marks)
{
	struct marked range = { };
	struct mapping mapping;
	char path[64], *line = NULL;
	u64 present_kb = 0;
	size_t size = 0;
	FILE *lines;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, marks ? "smaps" : "maps");
	lines = fopen(path, "re");
	if (!lines)
		return false;
	while (getline(&line, &size, lines) > 0) {
		if (isupper((unsigned char)line[0])) {
			parse_attribute(line, marks, &range, &present_kb);
		} else if (parse_mapping(line, &mapping)) {
			range = (struct marked) { mapping.from, mapping.to };
			add_mapping(mappings, &mapping);
		}
	}
	free(line);
	fclose(lines);
	return mappings->count;
}

bool mappings_read(struct mappings *mappings, pid_t pid, struct cells *cells, size_t most)
{
	struct mappings new = { };
	struct marks marks = { };
	u64 page = getpagesize();

	if (!read_lines(&new, pid, cells ? &marks : NULL))
		return false;
	keep_written(&new, mappings);
	mappings_free(mappings);
	*mappings = new;
	if (!cells)
		return true;
	cells_init(cells, most, marks.present_kb * 1024 / page);
	for (size_t i = 0; i < marks.count; i++)
		cells_add(cells, marks.range[i].from / page,
			  (marks.range[i].to - marks.range[i].from) / page);
	free(marks.range);
	return true;
}

static bool in_lower_tier(int node)
{
	static struct machine machine;

	if (!machine.nodes)
		machine_read(&machine);
	for (int i = 0; i < machine.nr_nodes; i++)
		if (machine.nodes[i].id == node)
			return machine.nodes[i].lower;
	return false;
}

/* What an event and the node together tell. */
static unsigned char state_of(const struct cell *cell, int node, u64 silent)
{
	unsigned int heat = cell->state & (STATE_HEAT | STATE_UNKNOWN);

	if (node < 0 && cell->when >= silent && cell->when)
		return cell->state;	/* on its way, or swapped out just now */
	if (node < 0)
		return STATE_ABSENT;
	if (silent && cell->when < silent)
		heat = HEAT_ASLEEP;
	else if (cell->state == STATE_ABSENT)
		heat = STATE_UNKNOWN;
	return heat | (in_lower_tier(node) ? STATE_LOW : 0);
}

#define CHUNK	1024U

/* It looks at page tables only, and leaves accessed bits alone. */
bool cells_locate(struct cells *cells, pid_t pid, u64 silent)
{
	u64 page = getpagesize();
	void *address[CHUNK];
	int node[CHUNK];

	for (size_t i = 0; i < cells->count; i += CHUNK) {
		struct cell *cell = cells->cell + i;
		size_t n = cells->count - i < CHUNK ? cells->count - i : CHUNK;

		for (size_t j = 0; j < n; j++)
			address[j] = (void *)(sample_page(cell[j].number, cells->order) * page);
		/* Not by libnuma, which asks for more at its start than many services may do. */
		if (syscall(SYS_move_pages, pid, n, address, NULL, node, 0))
			return false;
		for (size_t j = 0; j < n; j++)
			cell[j].state = state_of(&cell[j], node[j], silent);
	}
	return true;
}
