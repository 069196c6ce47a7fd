/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_TORTURE_PAGE_H
#define KTIERD_TORTURE_PAGE_H
/*
 * A page that says what it is, and what is expected of it. The page holds a
 * magic number, its own number, a version and a checksum over all of it, and
 * is filled with noise that never comes twice. What is expected is kept
 * elsewhere, the checksum included: an older version of the page, however
 * consistent it is, does not pass.
 */
#include <stdbool.h>

#include "../lib/util.h"

#define PAGE_SIZE	4096UL
#define PAGE_WORDS	(PAGE_SIZE / sizeof(u64))

enum page_kind {
	PAGE_ZERO,		/* never written, or thrown away */
	PAGE_FULL,		/* all of it is known */
	PAGE_LAZY,		/* after MADV_FREE: as it was, or zeros */
};

/**
 * struct expected - what a page has to hold
 * @sum: its checksum
 * @version: of its content
 * @kind: enum page_kind
 */
struct expected {
	u64 sum;
	u32 version;
	u32 kind;
};

/* It is zeros from now on. */
void page_thrown_away(struct expected *expected);

/* Write all of page @id, without reading it. No two @noise may be the same. */
void page_fill(u64 *page, struct expected *expected, u64 id, u64 noise);

/*
 * Write a few words only, the first touch being a write. False if what was
 * read afterwards to know what MADV_FREE has left is wrong.
 */
bool page_bump(u64 *page, struct expected *expected, u64 id);

/*
 * Write a word of the noise, too. That it was lost cannot be hidden by what is
 * written after it.
 */
bool page_poke(u64 *page, struct expected *expected, u64 id, u64 noise);

/* Read all, then write a word and the header. False if what was read is wrong. */
bool page_patch(u64 *page, struct expected *expected, u64 id, u64 noise);

/* Read all. True if it is as expected; this may tell what MADV_FREE has left. */
bool page_check(const u64 *page, struct expected *expected, u64 id);

/* What was expected of a page and what is there, in some lines. */
void page_describe(const u64 *page, const struct expected *expected, u64 id,
		   char *text, size_t size);

#endif
