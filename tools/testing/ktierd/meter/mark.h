/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The channel from a program in the guest to the memory meter, for use by the
 * program (and for what both have to agree on).
 *
 * A symbol is said by an instruction that no compiler makes: a store of one
 * byte with prefixes that mean nothing. The meter knows it by its encoding, and
 * the symbol is the low 12 bits of the address, an offset in a page of the
 * program's that is there for that, the mailbox. Without the meter it is a
 * store like any other.
 *
 * A message is a symbol METER_START + operation, and then its numbers, each as
 * METER_DIGITS symbols of METER_DIGIT_BITS bits, the most significant first.
 * Messages through different mailboxes may mix in any way. Two threads that
 * may say something at the same time need a mailbox each.
 *
 *	void *mailbox = meter_open();
 *
 *	meter_watch(mailbox, memory, size);
 *	meter_start(mailbox);
 *	...
 *	meter_stop(mailbox);
 *	meter_mark(mailbox, 1);
 */
#ifndef KTIERD_METER_MARK_H
#define KTIERD_METER_MARK_H

/* movb $0x4b,(%rax), with four prefixes that select the segment it has anyway */
#define METER_INSTRUCTION	"\x3e\x3e\x3e\x3e\xc6\x00\x4b"
#define METER_PAGE_SHIFT	12
#define METER_PAGE_SIZE		4096UL
#define METER_START		0x800
#define METER_DIGIT_BITS	11
#define METER_DIGITS		6	/* enough for 64 bits */
#define METER_NUMBERS		3	/* at most, in a message */

enum meter_operation {
	METER_FORGET = 1,	/* the ranges and what was learned of them */
	METER_RANGE,		/* first page frame, last + 1, tier */
	METER_SAMPLE,		/* page frame of the mailbox's own page */
	METER_CHECK,		/* the tier that the mailbox's page should be in */
	METER_COUNT,
	METER_STOP,
	METER_MARK,		/* number */
	METER_WATCH,		/* virtual address, end of the range */
	METER_SNAPSHOT,		/* number */
};

enum meter_tier {
	METER_TOP,
	METER_LOWER,
	METER_OTHER,		/* in no range that the meter knows */
	METER_TIERS,
};

#ifndef METER_PLUGIN
#include <stddef.h>
#include <sys/mman.h>

static inline void meter_symbol(void *mailbox, unsigned int symbol)
{
	asm volatile(".byte 0x3e, 0x3e, 0x3e, 0x3e, 0xc6, 0x00, 0x4b"
		     : : "a" ((char *)mailbox + symbol) : "memory");
}

static inline void meter_number(void *mailbox, unsigned long number)
{
	for (int digit = METER_DIGITS - 1; digit >= 0; digit--)
		meter_symbol(mailbox, number >> digit * METER_DIGIT_BITS &
			     ((1U << METER_DIGIT_BITS) - 1));
}

static inline void meter_say(void *mailbox, enum meter_operation operation)
{
	meter_symbol(mailbox, METER_START + operation);
}

/* A mailbox, for as long as the program runs; NULL if there is no memory. */
static inline void *meter_open(void)
{
	void *mailbox = mmap(NULL, METER_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mailbox == MAP_FAILED ? NULL : mailbox;
}

/* Count from here on, with an empty cache. */
static inline void meter_start(void *mailbox)
{
	meter_say(mailbox, METER_COUNT);
}

static inline void meter_stop(void *mailbox)
{
	meter_say(mailbox, METER_STOP);
}

/* Write a line with all counts so far and this number. */
static inline void meter_mark(void *mailbox, unsigned long number)
{
	meter_say(mailbox, METER_MARK);
	meter_number(mailbox, number);
}

/*
 * Count what user code does to these addresses by itself, and by page. This
 * replaces what was watched before; whole pages only. The addresses alone
 * decide: another process that has something there is counted as well.
 */
static inline void meter_watch(void *mailbox, void *start, size_t size)
{
	meter_say(mailbox, METER_WATCH);
	meter_number(mailbox, (unsigned long)start);
	meter_number(mailbox, (unsigned long)start + size);
}

/* Write the counts by page since the last snapshot, or since they are watched. */
static inline void meter_snapshot(void *mailbox, unsigned long number)
{
	meter_say(mailbox, METER_SNAPSHOT);
	meter_number(mailbox, number);
}

/* To teach the meter where the tiers are: see meterctl.c. */
static inline void meter_forget(void *mailbox)
{
	meter_say(mailbox, METER_FORGET);
}

static inline void meter_range(void *mailbox, unsigned long start, unsigned long end,
			       enum meter_tier tier)
{
	meter_say(mailbox, METER_RANGE);
	meter_number(mailbox, start);
	meter_number(mailbox, end);
	meter_number(mailbox, tier);
}

/* This page, which gets overwritten, is this page frame of the guest. */
static inline void meter_sample(void *page, unsigned long frame)
{
	meter_say(page, METER_SAMPLE);
	meter_number(page, frame);
}

/* This page, which gets overwritten, should be in this tier. */
static inline void meter_check(void *page, enum meter_tier tier)
{
	meter_say(page, METER_CHECK);
	meter_number(page, tier);
}
#endif

#endif
