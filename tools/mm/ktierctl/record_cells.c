// SPDX-License-Identifier: GPL-2.0
/* What is known of the memory that is being recorded, a state for each cell. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "record.h"

void cells_init(struct cells *cells, size_t most, u64 pages)
{
	*cells = (struct cells) { .most = most };
	while (pages >> cells->order > most)
		cells->order++;
}

void cells_free(struct cells *cells)
{
	free(cells->cell);
	cells->cell = NULL;
}

/* The index of the first cell from this number on. */
static size_t find(const struct cells *cells, u64 number)
{
	size_t low = 0, high = cells->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (cells->cell[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void make_room(struct cells *cells, size_t at, size_t more)
{
	if (cells->count + more > cells->room) {
		cells->room = 2 * (cells->count + more);
		cells->cell = realloc(cells->cell, cells->room * sizeof(*cells->cell));
		if (!cells->cell)
			abort();
	}
	memmove(cells->cell + at + more, cells->cell + at,
		(cells->count - at) * sizeof(*cells->cell));
	cells->count += more;
}

/* Those of which the page that stands for them is in the range: the first, and the last + 1. */
static void cells_in(const struct cells *cells, u64 page, u64 pages, u64 *first, u64 *end)
{
	*first = page >> cells->order;
	if (sample_page(*first, cells->order) < page)
		(*first)++;
	*end = (page + pages - 1) >> cells->order;
	if (sample_page(*end, cells->order) < page + pages)
		(*end)++;
}

void cells_add(struct cells *cells, u64 page, u64 pages)
{
	u64 first, end, number;
	size_t at;

	cells_in(cells, page, pages, &first, &end);
	for (number = first, at = find(cells, first); number < end; at++) {
		u64 known = at < cells->count ? cells->cell[at].number : end;
		u64 missing = known < end ? known - number : end - number;

		if (missing) {
			make_room(cells, at, missing);
			for (u64 i = 0; i < missing; i++)
				cells->cell[at + i] = (struct cell) {
					.number = number + i,
					.state = STATE_ABSENT,
					.written = STATE_ABSENT,
				};
			at += missing;
		}
		number = known + 1;
	}
}

void cells_learn(struct cells *cells, u64 page, u64 pages, const unsigned char *states,
		 bool whole, u64 when)
{
	u64 first, end;
	size_t at;

	cells_in(cells, page, pages, &first, &end);
	if (first >= end)
		return;
	cells_add(cells, page, pages);
	for (at = find(cells, first); at < cells->count; at++) {
		struct cell *cell = &cells->cell[at];
		u64 sample;

		if (cell->number >= end)
			break;
		/* Of several CPUs' buffers the earlier one may be read later. */
		if (cell->when > when)
			continue;
		sample = sample_page(cell->number, cells->order);
		cell->state = states[whole ? 0 : sample - page];
		cell->when = when;
	}
}

struct cell *cells_find(const struct cells *cells, u64 page)
{
	size_t at = find(cells, page >> cells->order);

	if (at == cells->count || cells->cell[at].number != page >> cells->order ||
	    sample_page(cells->cell[at].number, cells->order) != page)
		return NULL;
	return &cells->cell[at];
}

bool cells_fit(struct cells *cells)
{
	unsigned int order = cells->order;
	size_t kept;

	while (cells->count > cells->most) {
		kept = 0;
		for (size_t i = 0; i < cells->count; i++) {
			struct cell cell = cells->cell[i];
			u64 sample = sample_page(cell.number, cells->order);

			cell.number >>= 1;
			cell.written = STATE_ABSENT;
			if (sample_page(cell.number, cells->order + 1) == sample)
				cells->cell[kept++] = cell;
		}
		cells->count = kept;
		cells->order++;
	}
	return cells->order != order;
}
