// SPDX-License-Identifier: GPL-2.0
/* The pages of a region: which to take, and what is to be in them. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "operations.h"

#define HOT_SHARE		64		/* one page of so many is hot */
#define HOT_NS			(4 * NSEC_PER_SEC)
#define USES			32		/* at most, in a while */
#define NAP_US			150000		/* more than an interval of ktierd */

/*
 * Regions are far from what the kernel would choose for anything else, each in
 * a lane of its own in which it moves.
 */
#define LANES			0x500000000000UL
#define LANE_SIZE		0x1000000000UL
#define LANE_PLACES		64UL

/* Huge pages want places like their own, others had better not have them. */
char *place_in_lane(const struct worker *me, u64 place, u64 page)
{
	u64 lane = LANES + (me->index + 1) * LANE_SIZE;

	if (me->region.kind != REGION_SMALL)
		page = 0;
	return (char *)(lane + place % LANE_PLACES * (LANE_SIZE / LANE_PLACES) +
			page % HUGE_PAGES * PAGE_SIZE);
}

/* Chance */

u64 draw(struct worker *me)
{
	return dice_roll(&me->dice);
}

u64 below(struct worker *me, u64 limit)
{
	return draw(me) % limit;
}

/* Half of the time one of the hot ones, which are others every few seconds. */
size_t some_page(struct worker *me)
{
	size_t pages = me->region.pages, hot = pages / HOT_SHARE;
	u64 era = (now_ns() - started_ns) / HOT_NS;

	if (below(me, 2))
		return below(me, pages);
	return (era * 7 * hot + me->index * hot + below(me, hot)) % pages;
}

struct range some_range(struct worker *me, size_t max)
{
	size_t pages = 1 + below(me, max), first = some_page(me);

	if (first + pages > me->region.pages)
		first = me->region.pages - pages;
	return (struct range){ .first = first, .pages = pages };
}

struct range choose_range(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);

	if (me->region.kind == REGION_SMALL || below(me, 4))
		return range;
	return (struct range){
		.first = range.first & ~(HUGE_PAGES - 1), .pages = HUGE_PAGES,
	};
}

struct region *some_region(struct worker *me)
{
	return &workers[below(me, option.threads)].region;
}

/* Pages, and the report of a wrong one */

u64 *page_at(const struct region *region, size_t i)
{
	return (u64 *)(region->base + i * PAGE_SIZE);
}

bool is_shared(const struct worker *me)
{
	return me->region.kind >= REGION_SHARED;
}

bool is_file(const struct worker *me)
{
	return me->region.kind == REGION_FILE;
}

u64 page_id(const struct worker *me, size_t i)
{
	return (u64)(me->index + 1) << 32 | i;
}

void record(struct worker *me, size_t i)
{
	struct history *history = &me->region.history[i];

	history->record[history->next++ % RECORDS] = (struct record){
		.ms = (now_ns() - started_ns) / 1000000, .what = me->operation + 1,
	};
}

void record_range(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		record(me, i);
}

static void append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, size - length, format, args);
	va_end(args);
}

static void append_history(char *text, size_t size, const char *whose,
			   const struct history *history)
{
	append(text, size, "  last on %s:", whose);
	for (u32 i = 0; i < RECORDS; i++) {
		const struct record *one = &history->record[(history->next + i) % RECORDS];

		if (one->what)
			append(text, size, " %s %.3f s,", operation_name(one->what - 1),
			       one->ms / 1000.0);
	}
	append(text, size, " now %.3f s\n", (now_ns() - started_ns) / 1e9);
}

/*
 * Not stdio, whose locks another thread may have at a fork; and in one write, as
 * others may have something to tell.
 */
static void end_with(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(EXIT_UNABLE);
	_exit(EXIT_FAILURE);
}

void wrong(struct worker *me, const char *format, ...)
{
	char text[512] = "dirtytorture: WRONG: ";
	va_list args;

	va_start(args, format);
	vsnprintf(text + strlen(text), sizeof(text) - strlen(text), format, args);
	va_end(args);
	append(text, sizeof(text), "; region %u%s, '%s', step %llu, seed %u\n", me->index,
	       me->child ? " in a child" : "", operation_name(me->operation), me->steps,
	       option.seed);
	end_with(text);
}

void wrong_page(struct worker *me, size_t i, const u64 *page)
{
	const struct region *region = &me->region;
	char text[4096];

	snprintf(text, sizeof(text),
		 "dirtytorture: WRONG: page %zu of region %u%s, at %p, in '%s', step %llu, seed %u\n",
		 i, me->index, me->child ? " in a child" : "", page,
		 operation_name(me->operation), me->steps, option.seed);
	page_describe(page, &region->expected[i], page_id(me, i), text + strlen(text),
		      sizeof(text) - strlen(text));
	append_history(text, sizeof(text), "this page", &region->history[i]);
	append_history(text, sizeof(text), "the region", &region->history[region->pages]);
	end_with(text);
}

/* What is read and written */

void verify(struct worker *me, size_t i)
{
	struct region *region = &me->region;
	u64 *page = page_at(region, i);

	if (!page_check(page, &region->expected[i], page_id(me, i)))
		wrong_page(me, i, page);
	__atomic_fetch_add(&me->tally->verified, 1, __ATOMIC_RELAXED);
}

void verify_copy(struct worker *me, size_t i, const u64 *copy)
{
	/* What was thrown away here need not be so in the page itself. */
	struct expected expected = me->region.expected[i];

	if (!page_check(copy, &expected, page_id(me, i)))
		wrong_page(me, i, copy);
	__atomic_fetch_add(&me->tally->verified, 1, __ATOMIC_RELAXED);
}

void verify_range(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		verify(me, i);
}

void fill(struct worker *me, size_t i)
{
	struct region *region = &me->region;

	page_fill(page_at(region, i), &region->expected[i], page_id(me, i), draw(me));
}

void bump(struct worker *me, size_t i)
{
	struct region *region = &me->region;
	u64 *page = page_at(region, i);

	if (!page_bump(page, &region->expected[i], page_id(me, i)))
		wrong_page(me, i, page);
}

void poke(struct worker *me, size_t i)
{
	struct region *region = &me->region;
	u64 *page = page_at(region, i);

	if (!page_poke(page, &region->expected[i], page_id(me, i), draw(me)))
		wrong_page(me, i, page);
}

void patch(struct worker *me, size_t i)
{
	struct region *region = &me->region;
	u64 *page = page_at(region, i);

	if (!page_patch(page, &region->expected[i], page_id(me, i), draw(me)))
		wrong_page(me, i, page);
}

void write_somehow(struct worker *me, size_t i)
{
	static void (* const ways[])(struct worker *me, size_t i) = {
		fill, bump, poke, patch,
	};

	ways[below(me, ARRAY_SIZE(ways))](me, i);
}

void settle_range(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (me->region.expected[i].kind == PAGE_LAZY)
			fill(me, i);
}

static size_t page_of(struct worker *me, struct range range)
{
	return range.first + below(me, range.pages);
}

void use_range(struct worker *me, struct range range)
{
	for (u64 left = below(me, USES); left; left--) {
		if (below(me, 2))
			write_somehow(me, page_of(me, range));
		else
			verify(me, page_of(me, range));
	}
	if (below(me, 2))
		usleep(below(me, NAP_US));
}

bool advise(struct worker *me, int advice, struct range range)
{
	record_range(me, range);
	if (!madvise(page_at(&me->region, range.first), range.pages * PAGE_SIZE, advice))
		return true;
	if (errno == EINVAL && advice != MADV_COLLAPSE)
		fail("the kernel does not know madvise() %d.", advice);
	return false;
}

void advise_other(const struct region *other, int advice, struct range range)
{
	char *base = __atomic_load_n(&other->base, __ATOMIC_RELAXED);

	madvise(base + range.first * PAGE_SIZE, range.pages * PAGE_SIZE, advice);
}

int advice_to_throw_away(const struct worker *me)
{
	return is_shared(me) ? MADV_REMOVE : MADV_DONTNEED;
}

void throw_away(struct worker *me, struct range range)
{
	if (!advise(me, advice_to_throw_away(me), range))
		fail("pages cannot be thrown away (%s).", strerror(errno));
	for (size_t i = range.first; i < range.first + range.pages; i++)
		page_thrown_away(&me->region.expected[i]);
}

u64 *page_buffer(size_t pages)
{
	u64 *buffer = aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);

	if (!buffer)
		fail("out of memory; give the machine more or ask for less.");
	return buffer;
}
