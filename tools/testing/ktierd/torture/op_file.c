// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on the file that a region is of: what the mapping, read() and write(), and
 * the disk below them hold has to be the same. A write that the page cache forgets to
 * write back is seen when the page is dropped, and comes from the disk again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "operations.h"

static off_t place_of(struct range range)
{
	return range.first * PAGE_SIZE;
}

static struct range all_of(const struct worker *me)
{
	return (struct range){ .first = 0, .pages = me->region.pages };
}

/* To the disk and back */

static void write_some(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		if (below(me, 2))
			write_somehow(me, i);
}

/* What is written while the disk is at it has to be written back once more. */
static void begin_write_back(struct worker *me, struct range range)
{
	if (sync_file_range(me->region.fd, place_of(range), range.pages * PAGE_SIZE,
			    SYNC_FILE_RANGE_WRITE))
		wrong(me, "write-back cannot begin (%s)", strerror(errno));
}

static void write_back(struct worker *me, struct range range)
{
	const unsigned int all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				 SYNC_FILE_RANGE_WAIT_AFTER;
	size_t size = range.pages * PAGE_SIZE;
	int error;

	switch (below(me, 3)) {
	case 0:
		error = msync(page_at(&me->region, range.first), size, MS_SYNC);
		break;
	case 1:
		error = sync_file_range(me->region.fd, place_of(range), size, all);
		break;
	default:
		error = fdatasync(me->region.fd);
	}
	if (error)
		wrong(me, "pages cannot be written back (%s)", strerror(errno));
}

/* Some may stay, as somebody is at them. False if all do. */
static bool is_dropped(struct worker *me, struct range range)
{
	unsigned char there[HUGE_PAGES];

	if (mincore(page_at(&me->region, range.first), range.pages * PAGE_SIZE, there))
		fail("mincore() failed (%s).", strerror(errno));
	for (size_t i = 0; i < range.pages; i++)
		if (!(there[i] & 1))
			return true;
	return false;
}

/* By reclaim, or by who says that he does not need it. */
static bool drop(struct worker *me, struct range range)
{
	if (below(me, 2)) {
		advise(me, MADV_PAGEOUT, range);
	} else {
		advise(me, MADV_DONTNEED, range);
		posix_fadvise(me->region.fd, place_of(range), range.pages * PAGE_SIZE,
			      POSIX_FADV_DONTNEED);
	}
	return is_dropped(me, range);
}

/* That it was written is in the page table only, or as well in the page itself. */
bool do_drop(struct worker *me)
{
	struct range range;
	bool done;

	if (!is_file(me))
		return false;
	range = choose_range(me);
	record_range(me, range);
	write_some(me, range);
	if (below(me, 2)) {
		begin_write_back(me, range);
		write_some(me, range);
	}
	if (below(me, 2))
		advise(me, MADV_DONTNEED, range);
	write_back(me, range);
	done = drop(me, range);
	verify_range(me, range);
	return done;
}

/* Beside the mapping */

static void read_range(struct worker *me, int fd, struct range range)
{
	ssize_t size = range.pages * PAGE_SIZE;
	u64 *buffer = page_buffer(range.pages);

	if (pread(fd, buffer, size, place_of(range)) != size)
		wrong(me, "pages of a file cannot be read (%s)", strerror(errno));
	if (damage_inside(me, IN_READ))
		buffer[0] ^= 1;
	for (size_t i = 0; i < range.pages; i++)
		verify_copy(me, range.first + i, buffer + i * PAGE_WORDS);
	free(buffer);
}

/* In two parts: with @unit of a byte it may end, and begin anew, within a page. */
static bool write_parts(struct worker *me, int fd, const u64 *buffer, struct range range,
			size_t unit)
{
	ssize_t size = range.pages * PAGE_SIZE;
	ssize_t first = below(me, size / unit) * unit;
	const char *rest = (const char *)buffer + first;
	off_t where = place_of(range);

	return (!first || pwrite(fd, buffer, first, where) == first) &&
	       pwrite(fd, rest, size - first, where + first) == size - first;
}

static void write_range(struct worker *me, int fd, struct range range, size_t unit)
{
	struct expected *expected = &me->region.expected[range.first];
	u64 *buffer = page_buffer(range.pages);

	for (size_t i = 0; i < range.pages; i++)
		page_fill(buffer + i * PAGE_WORDS, &expected[i], page_id(me, range.first + i),
			  draw(me));
	if (!write_parts(me, fd, buffer, range, unit))
		wrong(me, "pages of a file cannot be written (%s)", strerror(errno));
	free(buffer);
	if (below(me, 2))
		verify_range(me, range);
}

bool do_file_read(struct worker *me)
{
	if (!is_file(me))
		return false;
	read_range(me, me->region.fd, some_range(me, MAX_RANGE));
	return true;
}

bool do_file_write(struct worker *me)
{
	struct range range;

	if (!is_file(me))
		return false;
	range = some_range(me, MAX_RANGE);
	record_range(me, range);
	write_range(me, me->region.fd, range, 1);
	return true;
}

/*
 * Past the page cache: the kernel first writes back what is newer there, and drops what
 * is older then. Nobody else may touch the file meanwhile, but what moves and drops its
 * pages.
 */

static struct range perhaps_newer_range(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);

	record_range(me, range);
	if (below(me, 2))
		write_some(me, range);
	return range;
}

bool do_disk_read(struct worker *me)
{
	if (!is_file(me))
		return false;
	read_range(me, me->region.disk, perhaps_newer_range(me));
	return true;
}

bool do_disk_write(struct worker *me)
{
	if (!is_file(me))
		return false;
	write_range(me, me->region.disk, perhaps_newer_range(me), PAGE_SIZE);
	return true;
}

/* In the end */

void verify_disk(struct worker *me)
{
	struct range range = { .first = 0, .pages = MAX_RANGE };

	write_back(me, all_of(me));
	damage_on_disk(me);
	for (; range.first < me->region.pages; range.first += MAX_RANGE)
		read_range(me, me->region.disk, range);
}
