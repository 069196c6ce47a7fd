// SPDX-License-Identifier: GPL-2.0
/* Operations in which somebody else reads and writes the pages: devices and the kernel. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "operations.h"

#define PIPE_PAGES		16UL		/* that a pipe takes by default */

/* A place of its own in the file for some pages. */
static off_t place_in_file(const struct worker *me, size_t page)
{
	return (me->index * DIRECT_PAGES + page % (DIRECT_PAGES - MAX_RANGE)) * PAGE_SIZE;
}

/*
 * Out to a block device, by the device itself, and back in. That a page of a file was
 * written in this way the kernel may remember only after read(), and it is not to be
 * lost meanwhile.
 */
bool do_direct(struct worker *me)
{
	struct region *region = &me->region;
	size_t i = some_page(me);
	off_t where = place_in_file(me, i);
	struct expected before = region->expected[i];

	if (direct_fd < 0 || is_file(me) || before.kind == PAGE_LAZY)
		return false;
	record(me, i);
	if (pwrite(direct_fd, page_at(region, i), PAGE_SIZE, where) != PAGE_SIZE)
		fail("cannot write to %s (%s).", option.direct, strerror(errno));
	fill(me, i);
	if (pread(direct_fd, page_at(region, i), PAGE_SIZE, where) != PAGE_SIZE)
		fail("cannot read from %s (%s).", option.direct, strerror(errno));
	region->expected[i] = before;
	return true;
}

/* io_uring, as far as a buffer that it pins needs it: one request at a time. */

struct ring {
	int fd;
	char *rings;
	size_t rings_size;
	struct io_uring_sqe *sqe;
	struct io_uring_params params;
};

static bool open_ring(struct ring *ring)
{
	const struct io_uring_params *params = &ring->params;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 1, &ring->params);
	if (ring->fd < 0)
		return false;
	ring->rings_size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	ring->rings = mmap(NULL, ring->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			   IORING_OFF_SQ_RING);
	ring->sqe = mmap(NULL, sizeof(*ring->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			 IORING_OFF_SQES);
	return true;
}

static void close_ring(struct ring *ring)
{
	if (ring->sqe != MAP_FAILED)
		munmap(ring->sqe, sizeof(*ring->sqe));
	if (ring->rings != MAP_FAILED)
		munmap(ring->rings, ring->rings_size);
	close(ring->fd);
}

static u32 *ring_word(struct ring *ring, u32 offset)
{
	return (u32 *)(ring->rings + offset);
}

/* Returns what read() or write() would. */
static int ring_do(struct ring *ring, int opcode, void *from, size_t size, off_t where)
{
	const struct io_uring_params *params = &ring->params;
	u32 *tail = ring_word(ring, params->sq_off.tail);
	u32 *head = ring_word(ring, params->cq_off.head);
	struct io_uring_cqe *cqe;

	*ring->sqe = (struct io_uring_sqe){
		.opcode = opcode, .fd = direct_fd, .addr = (uintptr_t)from, .len = size,
		.off = where,
	};
	*ring_word(ring, params->sq_off.array) = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	while (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	cqe = (struct io_uring_cqe *)(ring->rings + params->cq_off.cqes) +
	      (*head & (params->cq_entries - 1));
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return cqe->res;
}

static void ring_must(struct ring *ring, int opcode, void *from, size_t size, off_t where)
{
	int done = ring_do(ring, opcode, from, size, where);

	if (done != (int)size)
		fail("io_uring: %d of %zu bytes, %s of %s.", done, size,
		     opcode == IORING_OP_READ_FIXED ? "reading" : "writing", option.direct);
}

static void fill_range(struct worker *me, struct range range)
{
	for (size_t i = range.first; i < range.first + range.pages; i++)
		fill(me, i);
}

/*
 * As long as pages are pinned, what the processor writes is what the device
 * reads, and the other way round. Were one of them moved, each would see its own.
 */
static void use_pinned(struct worker *me, struct ring *ring, struct range range)
{
	struct expected before[MAX_RANGE];
	u64 *from = page_at(&me->region, range.first);
	size_t size = range.pages * PAGE_SIZE;
	off_t where = place_in_file(me, range.first);

	use_range(me, range);
	if (damage_inside(me, IN_FIXED))
		madvise(from, size, advice_to_throw_away(me));
	fill_range(me, range);
	memcpy(before, &me->region.expected[range.first], range.pages * sizeof(before[0]));
	ring_must(ring, IORING_OP_WRITE_FIXED, from, size, where);
	fill_range(me, range);
	ring_must(ring, IORING_OP_READ_FIXED, from, size, where);
	memcpy(&me->region.expected[range.first], before, range.pages * sizeof(before[0]));
	verify_range(me, range);
}

/*
 * io_uring's fixed buffers: memory that is pinned as long as it pleases us, which that
 * of a file must not be.
 */
bool do_fixed(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	struct iovec iov = {
		.iov_base = page_at(&me->region, range.first),
		.iov_len = range.pages * PAGE_SIZE,
	};
	struct ring ring;
	bool done;

	if (direct_fd < 0 || is_file(me) || !open_ring(&ring))
		return false;
	record_range(me, range);
	done = ring.rings != MAP_FAILED && ring.sqe != MAP_FAILED &&
	       !syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &iov, 1);
	if (done)
		use_pinned(me, &ring, range);
	close_ring(&ring);
	return done;
}

/* Pages that are in a pipe, not copied into it, are what they were. */
static void verify_pipe(struct worker *me, int from, struct range range, size_t size)
{
	u64 *copy = page_buffer(1);

	for (size_t i = range.first; size; i++, size -= PAGE_SIZE) {
		for (size_t done = 0; done < PAGE_SIZE;) {
			ssize_t got = read(from, (char *)copy + done, PAGE_SIZE - done);

			if (got <= 0)
				wrong(me, "a pipe has %zu bytes less than went in", size - done);
			done += got;
		}
		verify_copy(me, i, copy);
	}
	free(copy);
}

bool do_pipe(struct worker *me)
{
	struct range range = some_range(me, PIPE_PAGES);
	struct iovec iov = {
		.iov_base = page_at(&me->region, range.first),
		.iov_len = range.pages * PAGE_SIZE,
	};
	ssize_t size;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return false;
	record_range(me, range);
	settle_range(me, range);
	size = vmsplice(ends[1], &iov, 1, SPLICE_F_NONBLOCK);
	close(ends[1]);
	if (damage_inside(me, IN_PIPE))
		page_at(&me->region, range.first)[0] ^= 1;
	usleep(below(me, 50000));
	if (size > 0)
		verify_pipe(me, ends[0], range, size);
	close(ends[0]);
	return size > 0;
}

/* process_vm_readv() and process_vm_writev() go to the pages behind the page tables. */

static bool copy_pages(struct worker *me, struct range range, u64 *buffer, bool read)
{
	ssize_t size = range.pages * PAGE_SIZE;
	struct iovec local = { .iov_base = buffer, .iov_len = size };
	struct iovec remote = {
		.iov_base = page_at(&me->region, range.first), .iov_len = size,
	};

	return size == (read ? process_vm_readv : process_vm_writev)(getpid(), &local, 1,
								      &remote, 1, 0);
}

bool do_peek(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	u64 *buffer = page_buffer(range.pages);
	bool done;

	record_range(me, range);
	done = copy_pages(me, range, buffer, true);
	for (size_t i = 0; done && i < range.pages; i++)
		verify_copy(me, range.first + i, buffer + i * PAGE_WORDS);
	free(buffer);
	return done;
}

bool do_inject(struct worker *me)
{
	struct range range = some_range(me, MAX_RANGE);
	struct expected *expected = &me->region.expected[range.first];
	u64 *buffer = page_buffer(range.pages);
	bool done;

	record_range(me, range);
	for (size_t i = 0; i < range.pages; i++)
		page_fill(buffer + i * PAGE_WORDS, &expected[i], page_id(me, range.first + i),
			  draw(me));
	done = copy_pages(me, range, buffer, false);
	/* A part of it may have been written: then write all of it in another way. */
	if (!done)
		memcpy(page_at(&me->region, range.first), buffer, range.pages * PAGE_SIZE);
	free(buffer);
	verify_range(me, range);
	return done;
}
