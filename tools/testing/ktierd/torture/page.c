// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "page.h"

#define MAGIC	0x6b74696572647074ULL

/* The first words of a page. */
enum {
	WORD_MAGIC,
	WORD_ID,
	WORD_VERSION,
	WORD_SUM,		/* of all other words */
	WORD_BODY,
};

/* The compiler must not remember what it wrote or read: memory is what we test. */
static inline void barrier(void)
{
	asm volatile("" : : : "memory");
}

/*
 * The checksum is a sum with an odd factor for each place, so that a word that
 * is wrong always shows, and that it can follow a single word.
 */
static u64 factor(unsigned int i)
{
	return 2 * (i * 0x9e3779b97f4a7c15ULL) + 1;
}

static u64 sum_of(const u64 *page)
{
	u64 sum = 0;

	barrier();
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		if (i != WORD_SUM)
			sum += page[i] * factor(i);
	return sum;
}

static bool is_zero(const u64 *page)
{
	u64 any = 0;

	barrier();
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		any |= page[i];
	return !any;
}

static void set_word(u64 *page, u64 *sum, unsigned int i, u64 old, u64 new)
{
	*sum += (new - old) * factor(i);
	page[i] = new;
	barrier();
}

/* Only a part of a page is noise, so that swapping it to zram saves memory. */
static u64 noise_at(u64 noise, unsigned int i)
{
	noise = (noise + (i & ~3U)) * 0xbf58476d1ce4e5b9ULL;
	return i & 3 ? noise >> 56 : noise ^ noise >> 29;
}

void page_thrown_away(struct expected *expected)
{
	expected->kind = PAGE_ZERO;
	expected->sum = 0;
}

void page_fill(u64 *page, struct expected *expected, u64 id, u64 noise)
{
	u64 sum = 0;

	for (unsigned int i = WORD_BODY; i < PAGE_WORDS; i++) {
		page[i] = noise_at(noise, i);
		sum += page[i] * factor(i);
	}
	barrier();
	expected->version++;
	set_word(page, &sum, WORD_MAGIC, 0, MAGIC);
	set_word(page, &sum, WORD_ID, 0, id);
	set_word(page, &sum, WORD_VERSION, 0, expected->version);
	page[WORD_SUM] = sum;
	barrier();
	expected->sum = sum;
	expected->kind = PAGE_FULL;
}

/*
 * After a write the page stays as it was at that moment: zeros or the old
 * content, with the new version. Find out which.
 */
static bool settle(const u64 *page, struct expected *expected, u32 version)
{
	u64 old_sum = expected->sum + (version - (u64)expected->version) * factor(WORD_VERSION);
	u64 sum = sum_of(page);

	if (sum == old_sum && page[WORD_SUM] == expected->sum) {
		expected->kind = PAGE_FULL;
		return true;
	}
	if (sum == version * factor(WORD_VERSION) && page[WORD_SUM] == 0) {
		page_thrown_away(expected);
		return true;
	}
	return false;
}

bool page_bump(u64 *page, struct expected *expected, u64 id)
{
	u32 version = expected->version + 1;
	u64 sum;

	page[WORD_VERSION] = version;
	barrier();
	if (expected->kind == PAGE_LAZY && !settle(page, expected, version))
		return false;
	sum = expected->sum;
	if (expected->kind == PAGE_ZERO) {
		set_word(page, &sum, WORD_MAGIC, 0, MAGIC);
		set_word(page, &sum, WORD_ID, 0, id);
		set_word(page, &sum, WORD_VERSION, 0, version);
	} else {
		set_word(page, &sum, WORD_VERSION, expected->version, version);
	}
	page[WORD_SUM] = sum;
	barrier();
	expected->sum = sum;
	expected->version = version;
	expected->kind = PAGE_FULL;
	return true;
}

bool page_poke(u64 *page, struct expected *expected, u64 id, u64 noise)
{
	unsigned int i = WORD_BODY + noise % (PAGE_WORDS - WORD_BODY);

	/* What is read now may be thrown away before it is written. */
	if (expected->kind != PAGE_LAZY)
		set_word(page, &expected->sum, i, page[i], noise);
	return page_bump(page, expected, id);
}

bool page_patch(u64 *page, struct expected *expected, u64 id, u64 noise)
{
	return page_check(page, expected, id) && page_poke(page, expected, id, noise);
}

static bool as_written(const u64 *page, const struct expected *expected, u64 id)
{
	return sum_of(page) == expected->sum && page[WORD_SUM] == expected->sum &&
	       page[WORD_MAGIC] == MAGIC && page[WORD_ID] == id &&
	       page[WORD_VERSION] == expected->version;
}

static bool check_zero(const u64 *page, struct expected *expected)
{
	if (!is_zero(page))
		return false;
	page_thrown_away(expected);
	return true;
}

bool page_check(const u64 *page, struct expected *expected, u64 id)
{
	switch (expected->kind) {
	case PAGE_FULL:
		return as_written(page, expected, id);
	case PAGE_LAZY:
		/* It may be thrown away in between. Then it is zeros from now on. */
		return as_written(page, expected, id) || check_zero(page, expected);
	default:
		return check_zero(page, expected);
	}
}

/* A sentence for whoever has to find out how it came about. */
static const char *guess(const u64 *page, const struct expected *expected, u64 id)
{
	struct expected once_more = *expected;
	u64 sum = sum_of(page);

	if (page_check(page, &once_more, id))
		return "read once more, it is right";
	if (is_zero(page))
		return "all of it is zeros: the page was lost";
	if (page[WORD_MAGIC] != MAGIC || page[WORD_SUM] != sum)
		return "it is inconsistent";
	if (page[WORD_ID] != id)
		return "it is a whole page, but another one";
	if (page[WORD_VERSION] < expected->version)
		return "it is a whole older version: a write was lost";
	return "it is a whole version that should not be there";
}

void page_describe(const u64 *page, const struct expected *expected, u64 id,
		   char *text, size_t size)
{
	static const char * const kinds[] = {
		[PAGE_ZERO] = "zeros",
		[PAGE_FULL] = "what was written",
		[PAGE_LAZY] = "what was written, or zeros",
	};
	u64 copy[PAGE_WORDS];
	unsigned int zeros = 0;

	barrier();
	memcpy(copy, page, PAGE_SIZE);
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		zeros += !copy[i];
	snprintf(text, size,
		 "  expected: %s; page %#llx, version %u, checksum %#llx\n"
		 "  found:    %s %#llx, version %llu, checksum %#llx, which is %#llx; %u words of %lu are 0\n"
		 "  that is:  %s\n",
		 kinds[expected->kind], id, expected->version, expected->sum,
		 copy[WORD_MAGIC] == MAGIC ? "page" : "no page:", copy[WORD_ID],
		 copy[WORD_VERSION], copy[WORD_SUM], sum_of(copy), zeros, PAGE_WORDS,
		 guess(page, expected, id));
}
