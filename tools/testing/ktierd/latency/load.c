// SPDX-License-Identifier: GPL-2.0
/*
 * The load: marked memory of which a part is busy, and another part after some
 * seconds, so that pages go up and down; and a thread that changes mappings.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/tiers.h"
#include "latency.h"

#define BUSY_PART	8		/* of all pages, one in so many is busy at a time */
#define WRITTEN_PART	16		/* and so many are written, the others read */
#define TOP_PART	4		/* and so many are in the top tier at first */
#define HUGE_STEP	16UL		/* of a huge page one page of so many is touched */
#define MAX_NOTED	2000000
#define MAPPER_US	500		/* between two changes */

/* Shared with the child. */
static struct shared {
	enum period period;
	bool stop;
	u64 started;
} *shared;

static pthread_t mapper;
static pid_t child;

static void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);

	if (memory == MAP_FAILED)
		fail("no %zu MiB of memory (%s).", size >> 20, strerror(errno));
	return memory;
}

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

static enum period period_now(void)
{
	return __atomic_load_n(&shared->period, __ATOMIC_RELAXED);
}

/* What a page is like, as if drawn by lot. */
static u32 lot(size_t page)
{
	u64 x = (page + 1) * 0x9e3779b97f4a7c15ULL;

	return (x ^ x >> 29) * 0xbf58476d1ce4e5b9ULL >> 40;
}

/*
 * A huge page is busy whole. It has one accessed bit, so a touch of some of its pages
 * does; and the sooner it is come by again, the more often that is on its way.
 */
static bool is_busy(size_t page, u32 turn)
{
	if (option.kind == KIND_HUGE)
		page /= TABLE_PAGES;
	return lot(page) % BUSY_PART == turn % BUSY_PART;
}

static bool is_written(size_t page)
{
	return option.kind != KIND_PROTECTED && lot(page) / BUSY_PART % WRITTEN_PART == 0;
}

static void note(struct toucher *me, size_t page, u64 from, u64 ns)
{
	if (me->nr_noted == MAX_NOTED) {
		me->lost++;
		return;
	}
	me->noted[me->nr_noted++] = (struct touch){
		.from = from, .ns = ns, .page = page, .pid = getpid(),
	};
}

static void touch(struct toucher *me, volatile char *base, size_t page, enum period period)
{
	volatile char *at = base + page * PAGE_SIZE;
	u64 from = now_ns(), ns;

	if (is_written(page))
		(*at)++;
	else
		(void)*at;
	ns = now_ns() - from;
	figure_add(&me->touches[period], ns);
	if (period == PERIOD_WORK && ns >= option.note_us * 1000ULL)
		note(me, page, from, ns);
}

static struct load *loaded;

static void touch_table(struct toucher *me, size_t first)
{
	u32 turn = (now_ns() - shared->started) / (option.turn_s * NSEC_PER_SEC);
	size_t step = option.kind == KIND_HUGE ? HUGE_STEP : 1;

	for (size_t page = first; page < first + TABLE_PAGES; page += step)
		if (is_busy(page, turn))
			touch(me, loaded->base, page, period_now());
}

/* Each thread begins elsewhere. */
static void *touch_all(void *arg)
{
	struct toucher *me = arg;
	size_t tables = loaded->pages / TABLE_PAGES;
	size_t table = tables / loaded->nr_touchers * me->index;

	for (; !stopped(); table++)
		touch_table(me, table % tables * TABLE_PAGES);
	return NULL;
}

/* Whoever changes mappings wants mmap_lock for writing. */
static void *map_and_unmap(void *unused)
{
	void *at;

	prctl(PR_SET_NAME, MAPPER_NAME);
	while (!stopped()) {
		at = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED || munmap(at, PAGE_SIZE))
			fail("cannot map or unmap a page (%s).", strerror(errno));
		usleep(MAPPER_US);
	}
	return unused;
}

static void start_thread(pthread_t *thread, void *(*work)(void *), void *arg)
{
	int error = pthread_create(thread, NULL, work, arg);

	if (error)
		fail("no thread (%s).", strerror(error));
}

static void start_touchers(struct load *load, unsigned int first)
{
	for (unsigned int i = first; i < first + option.threads; i++)
		start_thread(&load->toucher[i].thread, touch_all, &load->toucher[i]);
}

static void join_touchers(struct load *load, unsigned int first)
{
	for (unsigned int i = first; i < first + option.threads; i++)
		pthread_join(load->toucher[i].thread, NULL);
}

/*
 * Entries of one folio that differ: each second one does not let write. Huge
 * pages are mapped by page tables then.
 */
static void protect(struct load *load)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register all = {
		.range = { (unsigned long)load->base, load->pages * PAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &all))
		fail("no userfaultfd with write protection (%s).", strerror(errno));
	for (size_t i = 0; i < load->pages; i += 2) {
		struct uffdio_writeprotect one = {
			.range = { (unsigned long)load->base + i * PAGE_SIZE, PAGE_SIZE },
			.mode = UFFDIO_WRITEPROTECT_MODE_WP,
		};

		if (ioctl(fd, UFFDIO_WRITEPROTECT, &one))
			fail("a page cannot be write-protected (%s).", strerror(errno));
	}
}

static void prefer(enum tier tier)
{
	unsigned long nodes[TIERS_MAX_NODES / (8 * sizeof(long)) + 1] = { 0 };
	int node = tier == TIER_UNKNOWN ? -1 : tiers_first_node(tier);

	if (node >= 0)
		nodes[node / (8 * sizeof(long))] |= 1UL << node % (8 * sizeof(long));
	if (syscall(SYS_set_mempolicy, node >= 0 ? MPOL_PREFERRED : MPOL_DEFAULT,
		    node >= 0 ? nodes : NULL, node >= 0 ? TIERS_MAX_NODES : 0))
		fail("cannot choose a memory node (%s).", strerror(errno));
}

/* The top tier is to have room for what becomes busy, and for the kernel. */
static void fill(const struct load *load)
{
	for (size_t page = 0; page < load->pages; page++) {
		if (page % TABLE_PAGES == 0)
			prefer(lot(page) % TOP_PART ? TIER_LOWER : TIER_TOP);
		*(volatile char *)(load->base + page * PAGE_SIZE) = 1;
	}
	prefer(TIER_UNKNOWN);
}

static void make_memory(struct load *load)
{
	bool huge = option.kind != KIND_SMALL && option.kind != KIND_FORKED;
	size_t size = (size_t)option.mib << 20, huge_size = TABLE_PAGES * PAGE_SIZE;

	load->base = mmap(NULL, size + huge_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (load->base == MAP_FAILED)
		fail("no %zu MiB of memory (%s).", size >> 20, strerror(errno));
	load->base += -(unsigned long)load->base % huge_size;
	load->pages = size / PAGE_SIZE;
	if (madvise(load->base, size, MADV_TIER))
		fail("madvise(MADV_TIER) failed (%s): is this a kernel with ktierd?",
		     strerror(errno));
	if (madvise(load->base, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		fail("the kernel has no huge pages (%s).", strerror(errno));
	fill(load);
	if (option.kind == KIND_PROTECTED)
		protect(load);
}

static void make_touchers(struct load *load)
{
	load->nr_touchers = option.threads * (option.kind == KIND_FORKED ? 2 : 1);
	load->toucher = shared_memory(load->nr_touchers * sizeof(*load->toucher));
	for (unsigned int i = 0; i < load->nr_touchers; i++) {
		load->toucher[i].index = i;
		load->toucher[i].noted = shared_memory(MAX_NOTED * sizeof(struct touch));
	}
}

static void start_child(struct load *load)
{
	child = fork();
	if (child < 0)
		fail("no child (%s).", strerror(errno));
	if (child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_touchers(load, option.threads);
	join_touchers(load, option.threads);
	_exit(0);
}

void load_start(struct load *load)
{
	loaded = load;
	shared = shared_memory(sizeof(*shared));
	shared->started = now_ns();
	make_touchers(load);
	make_memory(load);
	if (option.kind == KIND_FORKED)
		start_child(load);
	start_touchers(load, 0);
	start_thread(&mapper, map_and_unmap, NULL);
}

void load_period(enum period period)
{
	__atomic_store_n(&shared->period, period, __ATOMIC_RELAXED);
}

void load_stop(struct load *load)
{
	int status;

	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	join_touchers(load, 0);
	pthread_join(mapper, NULL);
	if (child && (waitpid(child, &status, 0) != child || status))
		fail("the child did not end well.");
}
