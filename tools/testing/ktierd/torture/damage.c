// SPDX-License-Identifier: GPL-2.0
/* Damage done to pages behind the back of dirtytorture: does it notice? */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

/* Steps between two damages: of a child, which does not take many, and of others. */
#define CHILD_DAMAGE_STEPS	10
#define DAMAGE_STEPS		200

/* When a damage is done, mostly by the thread of the first region or its child. */
enum when {
	NEVER,
	DURING,
	IN_CHILD,
	IN_SHARED,		/* memory, by a child of who has it */
	IN_FILE,		/* by who has it */
	INSIDE,			/* an operation */
	AT_END,
	ON_DISK,		/* after that, when all is written back and was read */
};

struct damage {
	const char *name;
	enum when when;
	void (*inflict)(struct worker *me, u64 *page, size_t i);
	enum place place;
};

static const struct damage *damage;

static void flip_bit(struct worker *me, u64 *page, size_t i)
{
	(void)i;
	((char *)page)[below(me, PAGE_SIZE)] ^= 1 << below(me, 8);
}

static void lose_page(struct worker *me, u64 *page, size_t i)
{
	(void)me;
	(void)i;
	memset(page, 0, PAGE_SIZE);
}

/* What a dirty bit that was cleared wrongly leads to. */
static void lose_write(struct worker *me, u64 *page, size_t i)
{
	u64 before[PAGE_WORDS];

	memcpy(before, page, PAGE_SIZE);
	bump(me, i);
	memcpy(page, before, PAGE_SIZE);
}

static void lose_full_write(struct worker *me, u64 *page, size_t i)
{
	u64 before[PAGE_WORDS];

	memcpy(before, page, PAGE_SIZE);
	fill(me, i);
	memcpy(page, before, PAGE_SIZE);
}

/* Also to one that is rewritten after MADV_FREE, and freed all the same. */
static void free_too_late(struct worker *me, u64 *page, size_t i)
{
	fill(me, i);
	madvise(page, PAGE_SIZE, MADV_DONTNEED);
}

/* The page cache has forgotten to write it back, and was dropped. */
static void lose_file_write(struct worker *me, u64 *page, size_t i)
{
	u64 before[PAGE_WORDS] __attribute__((aligned(PAGE_SIZE)));

	memcpy(before, page, PAGE_SIZE);
	bump(me, i);
	if (pwrite(me->region.disk, before, PAGE_SIZE, i * PAGE_SIZE) != PAGE_SIZE)
		fail("cannot write to a file (%s).", strerror(errno));
}

static void mix_up(struct worker *me, u64 *page, size_t i)
{
	memcpy(page, page_at(&me->region, (i + 1) % me->region.pages), PAGE_SIZE);
}

static const struct damage damages[] = {
	{ "nothing", NEVER, NULL, NOWHERE },
	{ "a bit", DURING, flip_bit, NOWHERE },
	{ "a page that is now zeros", DURING, lose_page, NOWHERE },
	{ "a write of some words, lost", DURING, lose_write, NOWHERE },
	{ "a write of a page, lost", DURING, lose_full_write, NOWHERE },
	{ "a page freed after it was rewritten", DURING, free_too_late, NOWHERE },
	{ "a page that is now another", DURING, mix_up, NOWHERE },
	{ "a bit, in a child", IN_CHILD, flip_bit, NOWHERE },
	{ "a bit of shared memory, in a child", IN_SHARED, flip_bit, NOWHERE },
	{ "a page that is pinned, and moved", INSIDE, NULL, IN_FIXED },
	{ "a bit of a page in a pipe", INSIDE, NULL, IN_PIPE },
	{ "a bit of a page that was missing", INSIDE, NULL, IN_MISSING },
	{ "a write protection, lost", INSIDE, NULL, IN_WRITE_PROTECT },
	{ "a soft-dirty bit, lost", INSIDE, NULL, IN_SOFT_DIRTY },
	{ "a bit of a core dump", INSIDE, NULL, IN_CORE },
	{ "a bit of a read file", INSIDE, NULL, IN_READ },
	{ "a write to a file, lost", IN_FILE, lose_file_write, NOWHERE },
	{ "a bit, after the last operation", AT_END, flip_bit, NOWHERE },
	{ "a write that is not on the disk", ON_DISK, lose_file_write, NOWHERE },
};

/*
 * Whatever is damaged may be written or thrown away before somebody looks. So
 * it is done again and again.
 */
static void inflict_damage(struct worker *me)
{
	size_t i = below(me, me->region.pages);

	if (me->region.expected[i].kind != PAGE_FULL)
		return;
	damage->inflict(me, page_at(&me->region, i), i);
	__atomic_fetch_add(&me->tally->damaged, 1, __ATOMIC_RELAXED);
}

const unsigned int nr_damages = ARRAY_SIZE(damages);

void damage_choose(unsigned int kind)
{
	damage = &damages[kind];
}

const char *damage_name(unsigned int kind)
{
	return damages[kind].name;
}

bool damage_is_wanted(unsigned int kind)
{
	return damages[kind].when != NEVER;
}

bool damage_is_sudden(unsigned int kind)
{
	switch (damages[kind].when) {
	case NEVER:
	case AT_END:
	case ON_DISK:
		return false;
	default:
		return true;
	}
}

static bool is_his(const struct worker *me)
{
	switch (damage->when) {
	case DURING:
		return me->index == 0 && !me->child;
	case IN_CHILD:
		return me->index == 0 && me->child;
	case IN_SHARED:
		return is_shared(me) && !is_file(me) && me->child;
	case IN_FILE:
		return is_file(me) && !me->child;
	default:
		return false;
	}
}

void damage_during(struct worker *me)
{
	unsigned int steps = me->child ? CHILD_DAMAGE_STEPS : DAMAGE_STEPS;

	if (damage && is_his(me) && me->steps % steps == 0)
		inflict_damage(me);
}

bool damage_inside(struct worker *me, enum place place)
{
	if (!damage || damage->place != place)
		return false;
	__atomic_fetch_add(&me->tally->damaged, 1, __ATOMIC_RELAXED);
	return true;
}

static void damage_once(struct worker *me, enum when when)
{
	while (damage && damage->when == when && !me->tally->damaged)
		inflict_damage(me);
}

void damage_at_end(struct worker *me)
{
	damage_once(me, AT_END);
}

void damage_on_disk(struct worker *me)
{
	damage_once(me, ON_DISK);
}
