// SPDX-License-Identifier: GPL-2.0
/* The calls of tierfuzz, and what has to come of them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE		0x08
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447
#endif

#define MAX_SPAN		16UL	/* pages of most calls */
#define SPILL			8UL	/* pages that a wrong one may go beyond the arena */
#define MAX_VECTORS		3
#define KERNEL_ADDRESS		0xffff888000000000UL

/* Errors that a call may have for want of memory, or as something is busy. */
#define SCARCE			(ERRNO(ENOMEM) | ERRNO(EAGAIN) | ERRNO(EBUSY) | ERRNO(EINTR))
#define OK			ERRNO(0)

#define SYSCTLS			"/proc/sys/vm/ktierd_"
#define ENABLED			"/sys/kernel/mm/ktierd/enabled"

static int file = -1, secret = -1, zero = -1;
static bool was_on;

void check_errno(const char *what, long ret, u64 allowed)
{
	int error = ret < 0 ? errno : 0;

	if (error > 63 || !(allowed & ERRNO(error)))
		wrong("%s: %s", what, error ? strerror(error) : "success");
}

/* What it must be if one is alone; else one of some. */
static void check_call(struct fuzzer *me, const char *what, long ret, int wanted, u64 others)
{
	check_errno(what, ret, me->alone ? ERRNO(wanted) : ERRNO(wanted) | others);
}

bool process_was_on(void)
{
	return __atomic_exchange_n(&was_on, false, __ATOMIC_RELAXED);
}

/* Spans */

struct span good_span(struct fuzzer *me)
{
	size_t pages = 1 + below(me, one_in(me, 8) ? ARENA_PAGES : MAX_SPAN);

	return (struct span){
		.addr = ARENA + below(me, ARENA_PAGES - pages + 1) * PAGE_SIZE,
		.length = pages * PAGE_SIZE,
	};
}

/* Which is not known to be wrong, but may go beyond the arena, or end in a page. */
static struct span fair_span(struct fuzzer *me)
{
	struct span span = good_span(me);

	switch (below(me, 16)) {
	case 0:
		span.length -= below(me, PAGE_SIZE);
		break;
	case 1:
		span.length = ARENA_END - span.addr + (1 + below(me, SPILL)) * PAGE_SIZE;
		break;
	case 2:
		span.addr = ARENA - (1 + below(me, SPILL)) * PAGE_SIZE;
		break;
	}
	return span;
}

/* What madvise() thinks wrong with a span by itself, and what is nothing to do: */
static bool span_is_wrong(struct span span)
{
	size_t length = (span.length + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

	return span.addr % PAGE_SIZE || (span.length && !length) ||
	       span.addr + length < span.addr;
}

static struct span any_span(struct fuzzer *me)
{
	static const size_t lengths[] = {
		0, 0, -1UL, -PAGE_SIZE, -PAGE_SIZE + 1, 1UL << 63,
	};
	struct span span = fair_span(me);

	if (!one_in(me, 8))
		return span;
	if (one_in(me, 2))
		span.addr += 1 + below(me, PAGE_SIZE - 1);
	if (one_in(me, 2))
		span.length = lengths[below(me, ARRAY_SIZE(lengths))];
	/* One that has all of user space in it is no fun. */
	if (!span_is_wrong(span) && span.length > ARENA_END)
		span.length = 0;
	if (one_in(me, 8))
		return (struct span){ .addr = KERNEL_ADDRESS, .length = PAGE_SIZE };
	return span;
}

/* Mapping and unmapping */

static int some_protection(struct fuzzer *me)
{
	static const int protections[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
	};

	return protections[below(me, ARRAY_SIZE(protections))];
}

static long map(struct span span, enum kind kind, int protection, int flags)
{
	static const int kind_flags[NR_KINDS] = {
		[ANONYMOUS] = MAP_PRIVATE | MAP_ANONYMOUS,
		[SHARED] = MAP_SHARED | MAP_ANONYMOUS,
		[FILE_PRIVATE] = MAP_PRIVATE,
		[FILE_SHARED] = MAP_SHARED,
		[DROPPABLE] = MAP_DROPPABLE | MAP_ANONYMOUS,
		[SECRET] = MAP_SHARED,
	};
	int fd = kind == SECRET ? secret : file;
	off_t offset = (span.addr - ARENA) & ~(PAGE_SIZE - 1);

	flags |= kind_flags[kind];
	if (flags & MAP_ANONYMOUS) {
		fd = -1;
		offset = 0;
	}
	return (long)mmap((void *)span.addr, span.length, protection, flags, fd, offset);
}

static enum kind some_kind(struct fuzzer *me)
{
	enum kind kind = one_in(me, 2) ? ANONYMOUS : 1 + below(me, NR_KINDS - 1);

	return kind == SECRET && secret < 0 ? DROPPABLE : kind;
}

static void do_mmap(struct fuzzer *me)
{
	enum kind kind = some_kind(me);
	struct span span = good_span(me);
	bool careful = one_in(me, 8), bad = one_in(me, 32);
	int protection = some_protection(me), wanted = 0;
	long ret;

	if (bad && one_in(me, 2))
		span.length = 0;
	else if (bad)
		span.addr += 1 + below(me, PAGE_SIZE - 1);
	note(me, "mmap(%lx, %zx, %d, kind %d)%s", span.addr, span.length, protection, kind,
	     careful ? " carefully" : "");
	ret = map(span, kind, protection, careful ? MAP_FIXED_NOREPLACE : MAP_FIXED);
	if (bad)
		wanted = EINVAL;
	else if (careful && !model_is_empty(me->model, span))
		wanted = EEXIST;
	check_call(me, "mmap()", ret, wanted, bad ? 0 : OK | ERRNO(EEXIST) | SCARCE);
	if (me->alone && !wanted)
		model_set(me->model, span, kind, me->model->process);
}

static void do_munmap(struct fuzzer *me)
{
	struct span span = fair_span(me);
	int wanted = 0;

	if (one_in(me, 16)) {
		span.addr += 1 + below(me, PAGE_SIZE - 1);
		wanted = EINVAL;
	}
	note(me, "munmap(%lx, %zx)", span.addr, span.length);
	check_call(me, "munmap()", munmap((void *)span.addr, span.length), wanted,
		   wanted ? 0 : SCARCE);
	if (me->alone && !wanted)
		model_set(me->model, span, NOTHING, false);
}

/* Start again, with an arena that is empty, and a process that is not marked. */
void forget_arena(struct fuzzer *me)
{
	check_errno("munmap() of all", munmap((void *)ARENA, ARENA_PAGES * PAGE_SIZE), OK);
	check_errno("PR_SET_TIER, 0", prctl(PR_SET_TIER, 0, 0, 0, 0), OK);
	memset(me->model, 0, sizeof(*me->model));
}

/* Marks */

/* The errno that an advice has; the model is changed accordingly. */
static int expect_advice(struct fuzzer *me, struct span span, int advice)
{
	if (span_is_wrong(span))
		return EINVAL;
	if (!span.length || !me->alone)
		return 0;
	return model_advise(me->model, span, advice);
}

static void advise(struct fuzzer *me, int advice)
{
	struct span span = any_span(me);
	u64 others = span_is_wrong(span) ? 0 : OK | ERRNO(ENOMEM) | ERRNO(EAGAIN);
	int wanted;
	long ret;

	if (others && advice == MADV_TIER)
		others |= ERRNO(EINVAL);
	note(me, "madvise(%lx, %zx, %d)", span.addr, span.length, advice);
	ret = madvise((void *)span.addr, span.length, advice);
	wanted = expect_advice(me, span, advice);
	check_call(me, "madvise()", ret, wanted, others);
}

static void do_tier(struct fuzzer *me)
{
	advise(me, MADV_TIER);
}

static void do_notier(struct fuzzer *me)
{
	advise(me, MADV_NOTIER);
}

/* None of these is an advice. */
static void do_no_advice(struct fuzzer *me)
{
	static const int none[] = {
		MADV_TIER - 1, MADV_NOTIER + 1, -MADV_TIER, MADV_TIER | 1 << 8,
		MADV_TIER | 1 << 31, MADV_NOTIER | 1 << 16, 1000, -1,
	};
	struct span span = one_in(me, 2) ? any_span(me) : good_span(me);
	int advice = none[below(me, ARRAY_SIZE(none))];

	note(me, "madvise(%lx, %zx, %d)", span.addr, span.length, advice);
	check_errno("madvise() with no advice",
		    madvise((void *)span.addr, span.length, advice), ERRNO(EINVAL));
}

/* Advice of others: none of it changes marks, whatever comes of it. */
static void do_other_advice(struct fuzzer *me)
{
	static const int others[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTDUMP,
		MADV_DODUMP, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		MADV_POPULATE_WRITE, MADV_COLLAPSE,
	};
	struct span span = any_span(me);
	int advice = others[below(me, ARRAY_SIZE(others))];

	note(me, "madvise(%lx, %zx, %d)", span.addr, span.length, advice);
	madvise((void *)span.addr, span.length, advice);
}

static u64 other_bits(struct fuzzer *me)
{
	static const u64 values[] = { 2, -1ULL, 1ULL << 32, 1ULL << 32 | 1, 1ULL << 63 };

	return values[below(me, ARRAY_SIZE(values))];
}

static void do_set(struct fuzzer *me)
{
	bool on = one_in(me, 2), bad = one_in(me, 4);
	u64 argument[4] = { on };
	long ret;

	if (bad)
		argument[below(me, 4)] = other_bits(me);
	note(me, "prctl(PR_SET_TIER, %llx, %llx, %llx, %llx)", argument[0], argument[1],
	     argument[2], argument[3]);
	if (!bad && on)
		__atomic_store_n(&was_on, true, __ATOMIC_RELAXED);
	ret = prctl(PR_SET_TIER, argument[0], argument[1], argument[2], argument[3]);
	check_errno("PR_SET_TIER", ret, ERRNO(bad ? EINVAL : 0));
	if (me->alone && !bad)
		model_set_process(me->model, on);
}

static void do_get(struct fuzzer *me)
{
	bool bad = one_in(me, 4), wanted = me->model->process ^ (damage == SETTING_INVERTED);
	u64 argument[4] = { };
	long ret;

	if (bad)
		argument[below(me, 4)] = one_in(me, 2) ? 1 : other_bits(me);
	note(me, "prctl(PR_GET_TIER, %llx, %llx, %llx, %llx)", argument[0], argument[1],
	     argument[2], argument[3]);
	ret = prctl(PR_GET_TIER, argument[0], argument[1], argument[2], argument[3]);
	check_errno("PR_GET_TIER", ret, ERRNO(bad ? EINVAL : 0));
	if (!bad && (me->alone ? ret != wanted : ret >> 1))
		wrong("PR_GET_TIER is %ld", ret);
}

static int self_pidfd(void)
{
	int fd = syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		wrong("pidfd_open() failed (%s)", strerror(errno));
	return fd;
}

/* Some spans; if one of them fails, those before it have been advised all the same. */
static void do_process_madvise(struct fuzzer *me)
{
	size_t vectors = 1 + below(me, MAX_VECTORS), total = 0, done = 0;
	int advice = one_in(me, 2) ? MADV_TIER : MADV_NOTIER;
	unsigned int flags = one_in(me, 16) ? 1U << below(me, 32) : 0;
	struct iovec vec[MAX_VECTORS];
	int fd = self_pidfd(), wanted = 0;
	struct span span;
	long ret;

	for (size_t i = 0; i < vectors; i++) {
		span = fair_span(me);
		if (one_in(me, 16))
			span.addr += 1 + below(me, PAGE_SIZE - 1);
		if (one_in(me, 16))
			span.length = 0;
		vec[i] = (struct iovec){ .iov_base = (void *)span.addr, .iov_len = span.length };
		total += span.length;
	}
	note(me, "process_madvise(%zu: %p, %zx..., %d, %x)", vectors, vec[0].iov_base,
	     vec[0].iov_len, advice, flags);
	ret = syscall(SYS_process_madvise, fd, vec, vectors, advice, flags);
	close(fd);
	if (flags) {
		check_errno("process_madvise() with flags", ret, ERRNO(EINVAL));
		return;
	}
	if (!me->alone) {
		check_errno("process_madvise()", ret, OK | SCARCE | ERRNO(EINVAL));
		return;
	}
	/* Of empty vectors it looks at the first one only, and only if others are not. */
	for (size_t i = 0; i < vectors && total && !wanted; i++) {
		span = (struct span){
			.addr = (unsigned long)vec[i].iov_base, .length = vec[i].iov_len,
		};
		if (i && !span.length)
			continue;
		wanted = expect_advice(me, span, advice);
		done += wanted ? 0 : span.length;
	}
	check_errno("process_madvise()", ret, ERRNO(done ? 0 : wanted));
	if (ret >= 0 && (size_t)ret != done)
		wrong("process_madvise() is %ld, not %zu", ret, done);
}

/* Calls that leave marks as they are */

static void do_mprotect(struct fuzzer *me)
{
	struct span span = fair_span(me);
	int protection = some_protection(me), wanted = 0;

	if (one_in(me, 16)) {
		span.addr += 1 + below(me, PAGE_SIZE - 1);
		wanted = EINVAL;
	} else if (model_has_hole(me->model, span)) {
		wanted = ENOMEM;
	}
	note(me, "mprotect(%lx, %zx, %d)", span.addr, span.length, protection);
	check_call(me, "mprotect()", mprotect((void *)span.addr, span.length, protection), wanted,
		   wanted == EINVAL ? 0 : OK | SCARCE);
	if (damage == MARK_LOST_BY_MPROTECT && !wanted)
		model_advise(me->model, span, MADV_NOTIER);
}

static void do_mlock(struct fuzzer *me)
{
	struct span span = good_span(me);
	bool hole = model_has_hole(me->model, span);

	note(me, "mlock(%lx, %zx)", span.addr, span.length);
	/* What has no protection can't be had in memory. */
	check_errno("mlock()", mlock((void *)span.addr, span.length),
		    me->alone && hole ? ERRNO(ENOMEM) | ERRNO(EAGAIN) : OK | SCARCE);
}

static void do_munlock(struct fuzzer *me)
{
	struct span span = good_span(me);
	int wanted = model_has_hole(me->model, span) ? ENOMEM : 0;

	note(me, "munlock(%lx, %zx)", span.addr, span.length);
	check_call(me, "munlock()", munlock((void *)span.addr, span.length), wanted, OK | SCARCE);
}

/* Read and write by the kernel, to which it makes no difference whether anything is there. */
static void do_touch(struct fuzzer *me)
{
	struct span span = good_span(me);
	bool writes = one_in(me, 2);

	note(me, "%s(%lx, %zx)", writes ? "write to" : "read from", span.addr, span.length);
	for (size_t i = 0; i < span.length; i += PAGE_SIZE) {
		ssize_t ret = writes ? read(zero, (char *)span.addr + i, 1) :
				       pwrite(file, (char *)span.addr + i, 1, 0);

		check_errno("touching", ret, OK | ERRNO(EFAULT));
	}
}

/* mremap() */

static bool overlap(struct span a, struct span b)
{
	return a.addr < b.addr + b.length && b.addr < a.addr + a.length;
}

static bool is_alike(const struct model *model, struct span span)
{
	size_t first = (span.addr - ARENA) / PAGE_SIZE, pages = span.length / PAGE_SIZE;

	for (size_t i = first; i < first + pages; i++)
		if (model->page[i].kind != model->page[first].kind ||
		    model->page[i].mark != model->page[first].mark)
			return false;
	return true;
}

/* Where it can be told that it must fail; that it must not can't. */
static bool must_fail(const struct model *model, struct span from, struct span to, int flags)
{
	size_t first = (from.addr - ARENA) / PAGE_SIZE;
	struct span kept = from;

	if (model->page[first].kind == NOTHING)
		return true;
	if (!(flags & MREMAP_FIXED) && to.length <= from.length)
		return false;
	if (kept.length > to.length)
		kept.length = to.length;
	return !is_alike(model, kept);
}

/* What has become of the arena. */
static void model_mremap(struct model *model, struct span from, struct span to, int flags)
{
	size_t first = (from.addr - ARENA) / PAGE_SIZE;
	enum kind kind = model->page[first].kind;
	bool mark = model->page[first].mark;

	if (!(flags & MREMAP_FIXED) && to.length <= from.length) {
		from.addr += to.length;
		from.length -= to.length;
		model_set(model, from, NOTHING, false);
		return;
	}
	if (!(flags & MREMAP_DONTUNMAP))
		model_set(model, from, NOTHING, false);
	model_set(model, to, kind, mark && damage != MARK_LOST_BY_MREMAP);
}

static void do_mremap(struct fuzzer *me)
{
	static const int kinds[] = {
		0, MREMAP_MAYMOVE | MREMAP_FIXED, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
	};
	int flags = kinds[below(me, ARRAY_SIZE(kinds))];
	struct span from = good_span(me), to = good_span(me);
	bool fails = false;
	long ret;

	if (flags & MREMAP_DONTUNMAP || one_in(me, 2))
		to.length = from.length;
	if (!(flags & MREMAP_FIXED))
		to.addr = from.addr;
	if (to.addr + to.length > ARENA_END)
		to.length = ARENA_END - to.addr;
	if (one_in(me, 16)) {
		flags ^= one_in(me, 2) ? MREMAP_MAYMOVE : 1 << 5;
		fails = flags & (1 << 5) || flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
		flags &= fails ? -1 : ~MREMAP_MAYMOVE;
	}
	fails |= flags & MREMAP_DONTUNMAP && to.length != from.length;
	fails |= flags & MREMAP_FIXED && overlap(from, to);
	note(me, "mremap(%lx, %zx, %zx, %x, %lx)", from.addr, from.length, to.length, flags,
	     to.addr);
	ret = (long)mremap((void *)from.addr, from.length, to.length, flags, to.addr);
	check_errno("mremap()", ret, (fails ? 0 : OK) | ERRNO(EINVAL) | ERRNO(EFAULT) | SCARCE);
	if (!me->alone)
		return;
	if (ret < 0 && !fails) {
		model_take_holes(me->model, to);
		model_take_holes(me->model, from);
	}
	if (ret < 0)
		return;
	if (must_fail(me->model, from, to, flags))
		wrong("mremap() of what is not one mapping: success");
	model_mremap(me->model, from, to, flags);
}

/* Others turn the knobs meanwhile. */
static void do_knob(struct fuzzer *me)
{
	static const struct {
		const char *path;
		unsigned int min, max;
	} knobs[] = {
		{ SYSCTLS "scan_interval_ms", 100, 200 },
		{ SYSCTLS "sample_window_ms", 0, 50 },
		{ SYSCTLS "cpu_percent", 20, 100 },
		{ SYSCTLS "cold_age_ms", 0, 1000 },
		{ SYSCTLS "headroom_percent", 0, 50 },
		{ SYSCTLS "migrate_mbps", 0, 1024 },
		{ SYSCTLS "write_weight", 0, 8 },
		{ ENABLED, 0, 1 },
		{ ENABLED, 1, 1 },
		{ ENABLED, 1, 1 },
	};
	unsigned int knob = below(me, ARRAY_SIZE(knobs));
	unsigned int range = knobs[knob].max - knobs[knob].min + 1;
	unsigned int value = knobs[knob].min + below(me, range);
	char text[16];
	int fd;

	if (!option.knobs)
		return;
	note(me, "%s = %u", knobs[knob].path, value);
	fd = open(knobs[knob].path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail("cannot open %s (%s).", knobs[knob].path, strerror(errno));
	check_errno("setting a knob", write(fd, text, snprintf(text, sizeof(text), "%u", value)),
		    OK);
	close(fd);
}

/* All of them */

struct call {
	const char *name;
	unsigned int weight;
	void (*make)(struct fuzzer *me);
	bool not_in_child;	/* of whatever kind */
};

static const struct call calls[] = {
	{ "mmap", 120, do_mmap, false },
	{ "munmap", 50, do_munmap, false },
	{ "tier", 150, do_tier, false },
	{ "notier", 80, do_notier, false },
	{ "no-advice", 15, do_no_advice, false },
	{ "other-advice", 70, do_other_advice, false },
	{ "set", 20, do_set, false },
	{ "get", 25, do_get, false },
	{ "process-madvise", 60, do_process_madvise, false },
	{ "mprotect", 60, do_mprotect, false },
	{ "mlock", 15, do_mlock, false },
	{ "munlock", 20, do_munlock, false },
	{ "mremap", 80, do_mremap, false },
	{ "touch", 120, do_touch, false },
	{ "knob", 6, do_knob, true },
	{ "fork", 10, do_fork, true },
	{ "share", 10, do_share, true },
	{ "other-process", 6, do_other_process, true },
	{ "failing-exec", 5, do_failing_exec, true },
	{ "exec", 6, do_exec, true },
};

static u64 count[ARRAY_SIZE(calls)];

unsigned int nr_calls(void)
{
	return ARRAY_SIZE(calls);
}

const char *call_name(unsigned int call)
{
	return calls[call].name;
}

u64 call_count(unsigned int call)
{
	return __atomic_load_n(&count[call], __ATOMIC_RELAXED);
}

static unsigned int weight_for(const struct fuzzer *me, const struct call *call)
{
	return call->not_in_child && (me->child || me->guest) ? 0 : call->weight;
}

static unsigned int some_call(struct fuzzer *me)
{
	unsigned int total = 0, call;
	u64 left;

	for (call = 0; call < ARRAY_SIZE(calls); call++)
		total += weight_for(me, &calls[call]);
	left = below(me, total);
	for (call = 0; left >= weight_for(me, &calls[call]); call++)
		left -= weight_for(me, &calls[call]);
	return call;
}

void step(struct fuzzer *me)
{
	unsigned int call = some_call(me);

	calls[call].make(me);
	__atomic_fetch_add(&count[call], 1, __ATOMIC_RELAXED);
}

void calls_init(void)
{
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	file = memfd_create("tierfuzz", MFD_CLOEXEC);
	if (zero < 0 || file < 0 || ftruncate(file, ARENA_PAGES * PAGE_SIZE))
		fail("cannot have files to map (%s).", strerror(errno));
	secret = syscall(SYS_memfd_secret, O_CLOEXEC);
	if (secret >= 0 && ftruncate(secret, ARENA_PAGES * PAGE_SIZE))
		fail("cannot have secret memory (%s).", strerror(errno));
}
