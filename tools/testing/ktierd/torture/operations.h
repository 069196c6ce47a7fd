/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_TORTURE_OPERATIONS_H
#define KTIERD_TORTURE_OPERATIONS_H
/*
 * The operations, and what they have in common. Each is false if it came to
 * nothing: for want of memory, as somebody was at it, or as it was not the
 * place for it.
 */
#include <stdint.h>

#include "torture.h"

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_TIER
#define MADV_TIER		96
#define MADV_NOTIER		97
#endif

#define MAX_RANGE		64UL		/* pages of most operations on ranges */
#define DIRECT_PAGES		1024UL		/* of the file, for a thread */

/* region.c */

/* A page that is often used, or any; and from such a one on some more. */
size_t some_page(struct worker *me);
struct range some_range(struct worker *me, size_t max);

/* Some small pages, or sometimes, where there may be one, a huge page. */
struct range choose_range(struct worker *me);

/* Of one of all the threads. */
struct region *some_region(struct worker *me);

u64 page_id(const struct worker *me, size_t i);

/* Remember the operation, for the report. */
void record(struct worker *me, size_t i);
void record_range(struct worker *me, struct range range);

/* Say it and end it all: for what is a failure, not for what can't be tested. */
void wrong(struct worker *me, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, of what @page holds, which should be what page @i does. */
void wrong_page(struct worker *me, size_t i, const u64 *page);

void verify(struct worker *me, size_t i);
void write_somehow(struct worker *me, size_t i);
void patch(struct worker *me, size_t i);
void poke(struct worker *me, size_t i);

/* See what @copy holds, which was made of page @i and is not the page itself. */
void verify_copy(struct worker *me, size_t i, const u64 *copy);

/* Write all pages that might be thrown away, so that they are not. */
void settle_range(struct worker *me, struct range range);

/* Read and write the pages for a while, in which the kernel gets to them, too. */
void use_range(struct worker *me, struct range range);

/*
 * What fails for want of memory, or as a page is busy, leaves all as it was. It
 * must not be an error of ours.
 */
bool advise(struct worker *me, int advice, struct range range);

/* Others' memory may be on its way to another place, so never mind what comes of it. */
void advise_other(const struct region *other, int advice, struct range range);

/* What leaves zeros: MADV_DONTNEED, or of what is shared MADV_REMOVE. */
int advice_to_throw_away(const struct worker *me);

/* Do that, and be sure that it is done. */
void throw_away(struct worker *me, struct range range);

/* Memory for copies of pages, that starts at a page; end with free(). */
u64 *page_buffer(size_t pages);

/* op_pages.c: a page */
bool do_write(struct worker *me);
bool do_patch(struct worker *me);
bool do_bump(struct worker *me);
bool do_verify(struct worker *me);
bool do_sweep(struct worker *me);
bool do_hammer(struct worker *me);
bool do_chase(struct worker *me);

/* op_advice.c: madvise() */
bool do_reuse(struct worker *me);
bool do_pageout(struct worker *me);
bool do_pageout_other(struct worker *me);
bool do_cold(struct worker *me);
bool do_free(struct worker *me);
bool do_dontneed(struct worker *me);
bool do_populate(struct worker *me);
bool do_collapse(struct worker *me);
bool do_merge(struct worker *me);
bool do_unmerge(struct worker *me);
bool do_unmark(struct worker *me);

/* op_map.c: mappings and nodes */
bool do_protect(struct worker *me);
bool do_lock(struct worker *me);
bool do_remap(struct worker *me);
bool do_mremap(struct worker *me);
bool do_nodes(struct worker *me);
bool do_nodes_other(struct worker *me);

/* op_io.c: others read and write the pages */
bool do_direct(struct worker *me);
bool do_fixed(struct worker *me);
bool do_pipe(struct worker *me);
bool do_peek(struct worker *me);
bool do_inject(struct worker *me);

/* op_file.c: the file below */
bool do_drop(struct worker *me);
bool do_file_read(struct worker *me);
bool do_file_write(struct worker *me);
bool do_disk_read(struct worker *me);
bool do_disk_write(struct worker *me);

/* op_watch.c: others see what is done to the pages */
bool do_missing(struct worker *me);
bool do_write_protect(struct worker *me);
bool do_soft_dirty(struct worker *me);

/* op_process.c: processes */
bool do_fork(struct worker *me);
bool do_core(struct worker *me);
bool do_process(struct worker *me);

#endif
