// SPDX-License-Identifier: GPL-2.0
/*
 * Operations in which somebody else has to see what is done to the pages:
 * userfaultfd, and who asks for soft-dirty bits. What they miss is as wrong as a
 * page that is lost.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "operations.h"

#define PAGEMAP_SOFT_DIRTY	(1ULL << 55)
#define PAGEMAP_SWAPPED		(1ULL << 62)
#define PAGEMAP_PRESENT		(1ULL << 63)

/* Somebody who has registered a range with userfaultfd, and waits for its faults. */
struct watcher {
	pthread_t thread;
	struct worker *me;
	struct range range;
	int fd;
	int stop[2];			/* a pipe */
	u64 *content;			/* of pages that are missing */
	bool seen[MAX_RANGE];		/* had a fault, by page */
	void (*resolve)(struct watcher *watcher, size_t i, u64 flags);
};

static u64 address(const struct watcher *watcher, size_t i)
{
	return (uintptr_t)page_at(&watcher->me->region, watcher->range.first + i);
}

/* Returns the error, but tries again what is said to be worth it. */
static int uffd_do(struct watcher *watcher, unsigned long request, void *argument)
{
	while (ioctl(watcher->fd, request, argument))
		if (errno != EAGAIN && errno != ENOMEM && errno != EINTR)
			return errno;
	return 0;
}

static void must(struct watcher *watcher, int error, const char *what)
{
	if (error)
		wrong(watcher->me, "userfaultfd: %s: %s", what, strerror(error));
}

/* Whoever is first brings the page. */
static void bring_page(struct watcher *watcher, size_t i, u64 flags)
{
	const u64 *content = watcher->content + i * PAGE_WORDS;
	struct uffdio_copy copy = {
		.dst = address(watcher, i), .src = (uintptr_t)content, .len = PAGE_SIZE,
	};
	struct uffdio_zeropage zero = {
		.range = { .start = address(watcher, i), .len = PAGE_SIZE },
	};
	bool is_zero = watcher->me->region.expected[watcher->range.first + i].kind == PAGE_ZERO;
	int error = is_zero ? uffd_do(watcher, UFFDIO_ZEROPAGE, &zero) :
			      uffd_do(watcher, UFFDIO_COPY, &copy);

	(void)flags;
	/* It was thrown away, and nobody else fills it. */
	must(watcher, error, "a page cannot be brought");
}

static int change_protection(struct watcher *watcher, size_t i, size_t nr, u64 mode)
{
	struct uffdio_writeprotect change = {
		.range = { .start = address(watcher, i), .len = nr * PAGE_SIZE }, .mode = mode,
	};

	return uffd_do(watcher, UFFDIO_WRITEPROTECT, &change);
}

static void allow_write(struct watcher *watcher, size_t i, u64 flags)
{
	if (!(flags & UFFD_PAGEFAULT_FLAG_WP))
		wrong(watcher->me, "userfaultfd: a fault with flags %#llx", flags);
	must(watcher, change_protection(watcher, i, 1, 0), "a page cannot be unprotected");
}

static void handle_fault(struct watcher *watcher)
{
	struct uffd_msg msg;
	size_t i;

	if (read(watcher->fd, &msg, sizeof(msg)) != sizeof(msg))
		return;
	i = (msg.arg.pagefault.address - address(watcher, 0)) / PAGE_SIZE;
	if (msg.event != UFFD_EVENT_PAGEFAULT || i >= watcher->range.pages)
		wrong(watcher->me, "userfaultfd: event %u, of page %zu", msg.event, i);
	watcher->seen[i] = true;
	watcher->resolve(watcher, i, msg.arg.pagefault.flags);
}

static void *watch(void *arg)
{
	struct watcher *watcher = arg;
	struct pollfd fds[] = {
		{ .fd = watcher->fd, .events = POLLIN },
		{ .fd = watcher->stop[0], .events = POLLIN },
	};

	while (!fds[1].revents) {
		if (poll(fds, ARRAY_SIZE(fds), -1) > 0 && fds[0].revents)
			handle_fault(watcher);
	}
	return NULL;
}

static bool register_range(struct watcher *watcher, u64 mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = address(watcher, 0), .len = watcher->range.pages * PAGE_SIZE },
		.mode = mode,
	};

	if (mode == UFFDIO_REGISTER_MODE_WP)
		api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	return !ioctl(watcher->fd, UFFDIO_API, &api) && !ioctl(watcher->fd, UFFDIO_REGISTER, &reg);
}

static bool begin_watch(struct watcher *watcher, u64 mode)
{
	watcher->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (watcher->fd < 0)
		fail("there is no userfaultfd (%s).", strerror(errno));
	if (pipe2(watcher->stop, O_CLOEXEC))
		goto no_pipe;
	if (!register_range(watcher, mode))
		goto no_watch;
	if (pthread_create(&watcher->thread, NULL, watch, watcher))
		goto no_watch;
	return true;

no_watch:
	close(watcher->stop[0]);
	close(watcher->stop[1]);
no_pipe:
	close(watcher->fd);
	return false;
}

/* With the last descriptor the registration goes, and what it has protected. */
static void end_watch(struct watcher *watcher)
{
	close(watcher->stop[1]);
	pthread_join(watcher->thread, NULL);
	close(watcher->stop[0]);
	close(watcher->fd);
}

/*
 * Most of the pages come by a fault, others before there is one. Of a huge page that is
 * shared some may stay, as zeros, if it can't be split when these are thrown away.
 */
bool do_missing(struct worker *me)
{
	struct watcher watcher = {
		.me = me, .range = some_range(me, MAX_RANGE), .resolve = bring_page,
	};
	struct expected *expected = &me->region.expected[watcher.range.first];
	size_t pages = watcher.range.pages;

	if (is_shared(me) || !begin_watch(&watcher, UFFDIO_REGISTER_MODE_MISSING))
		return false;
	watcher.content = page_buffer(pages);
	throw_away(me, watcher.range);
	for (size_t i = 0; i < pages; i++)
		if (below(me, 4))
			page_fill(watcher.content + i * PAGE_WORDS, &expected[i],
				  page_id(me, watcher.range.first + i), draw(me));
	if (damage_inside(me, IN_MISSING))
		watcher.content[0] ^= 1;
	for (size_t i = 0; i < pages; i++) {
		bool before = !below(me, 3);

		if (before)
			bring_page(&watcher, i, 0);
		verify(me, watcher.range.first + i);
		if (watcher.seen[i] == before)
			wrong(me, "userfaultfd: page %zu was %s", watcher.range.first + i,
			      before ? "missed though it was there" : "there though it is missing");
	}
	use_range(me, watcher.range);
	end_watch(&watcher);
	free(watcher.content);
	return true;
}

/*
 * Whatever happens to the pages meanwhile, none is written without notice: it may
 * be swapped out and in, or moved. Those of a file can't be watched.
 */
bool do_write_protect(struct worker *me)
{
	struct watcher watcher = {
		.me = me, .range = some_range(me, MAX_RANGE), .resolve = allow_write,
	};
	bool done;

	settle_range(me, watcher.range);
	if (is_file(me) || !begin_watch(&watcher, UFFDIO_REGISTER_MODE_WP))
		return false;
	done = !change_protection(&watcher, 0, watcher.range.pages, UFFDIO_WRITEPROTECT_MODE_WP);
	usleep(below(me, 150000));
	if (damage_inside(me, IN_WRITE_PROTECT))
		change_protection(&watcher, 0, watcher.range.pages, 0);
	for (size_t i = 0; i < watcher.range.pages; i++) {
		size_t page = watcher.range.first + i;
		/* What is not there can't be protected. */
		bool there = done && me->region.expected[page].kind == PAGE_FULL;

		verify(me, page);
		if (there && watcher.seen[i])
			wrong(me, "userfaultfd: page %zu was written by somebody", page);
		if (below(me, 2))
			continue;
		write_somehow(me, page);
		if (there && !watcher.seen[i])
			wrong(me, "userfaultfd: a write to page %zu was not noticed", page);
	}
	end_watch(&watcher);
	return done;
}

/* Soft-dirty bits */

static pthread_mutex_t soft_dirty = PTHREAD_MUTEX_INITIALIZER;

/* Of all the process, so that one at a time may count on them. */
static bool clear_soft_dirty(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		fail("there is no clear_refs (%s).", strerror(errno));
	done = write(fd, "4", 1) == 1;
	close(fd);
	return done;
}

static void read_pagemap(struct worker *me, struct range range, u64 *entries)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t where = (uintptr_t)page_at(&me->region, range.first) / PAGE_SIZE * sizeof(*entries);
	size_t size = range.pages * sizeof(*entries);

	if (fd < 0 || pread(fd, entries, size, where) != (ssize_t)size)
		fail("cannot read the pagemap (%s).", strerror(errno));
	close(fd);
}

/* A write that leaves no soft-dirty bit would be missing in a checkpoint. */
static void write_and_ask(struct worker *me, struct range range)
{
	bool written[MAX_RANGE];
	u64 entries[MAX_RANGE];

	for (size_t i = 0; i < range.pages; i++) {
		written[i] = below(me, 2);
		if (written[i])
			write_somehow(me, range.first + i);
	}
	usleep(below(me, 150000));
	if (damage_inside(me, IN_SOFT_DIRTY))
		clear_soft_dirty();
	read_pagemap(me, range, entries);
	for (size_t i = 0; i < range.pages; i++) {
		size_t page = range.first + i;

		if (me->region.expected[page].kind == PAGE_FULL &&
		    !(entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)))
			wrong(me, "page %zu is not in the pagemap", page);
		if (written[i] && !(entries[i] & PAGEMAP_SOFT_DIRTY))
			wrong(me, "page %zu was written and is not soft-dirty: %#llx", page,
			      entries[i]);
	}
}

/* Where a shared page is that is not mapped only its file knows. */
bool do_soft_dirty(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	bool done;

	if (is_shared(me) || pthread_mutex_trylock(&soft_dirty))
		return false;
	record_range(me, range);
	done = clear_soft_dirty();
	if (done)
		write_and_ask(me, range);
	pthread_mutex_unlock(&soft_dirty);
	return done;
}
