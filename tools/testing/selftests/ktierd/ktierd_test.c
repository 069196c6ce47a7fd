// SPDX-License-Identifier: GPL-2.0
/* See ktierd_test.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "ktierd_test.h"

#define KSFT_SKIP_CODE	4
#define KT_MAX_NODES	1024
#define TIERS_DIR	"/sys/devices/virtual/memory_tiering"
#define NUMA_BALANCING	"/proc/sys/kernel/numa_balancing"
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define TRACEFS		"/sys/kernel/tracing/"
#define TRACING		TRACEFS "instances/ktierd_test/"

/*
 * Time and files
 */

double kt_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int kt_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = errno ? -errno : -EIO;
	close(fd);
	return err;
}

int kt_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	buf[len] = '\0';
	return len;
}

long kt_read_long(const char *path)
{
	char buf[64];
	char *end;
	long value;

	if (kt_read(path, buf, sizeof(buf)) <= 0)
		return -1;
	value = strtol(buf, &end, 10);
	return end == buf ? -1 : value;
}

/* The value after @name in a file of "name value" lines, or -1. */
long kt_value_after(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long value = -1;
	char *at;

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f)) {
		at = strstr(line, name);
		if (at && (at == line || at[-1] == ' ') &&
		    (at[strlen(name)] == ' ' || at[strlen(name)] == ':'))
			value = strtol(at + strlen(name) + 1, NULL, 10);
	}
	fclose(f);
	return value;
}

long kt_vmstat(const char *name)
{
	return kt_value_after("/proc/vmstat", name);
}

long kt_node_kb(int node, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	return kt_value_after(path, name);
}

/*
 * Knobs
 */

/* scan_interval_ms comes before sample_window_ms, whose limit it is. */
const char * const kt_knob_names[KT_NR_KNOBS] = {
	"scan_interval_ms",
	"sample_window_ms",
	"cpu_percent",
	"cold_age_ms",
	"headroom_percent",
	"migrate_mbps",
	"write_weight",
};

/* Values with which things happen soon, and nothing but the memory's use decides what. */
static const long fast_values[KT_NR_KNOBS] = { 100, 0, 100, 1000, 3, 1048576, 2 };

long kt_sysfs(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), KT_SYSFS "%s", name);
	return kt_read_long(path);
}

long kt_node_sysfs(int node, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), KT_SYSFS "node%d/%s", node, name);
	return kt_read_long(path);
}

/* Of all nodes. */
long kt_tracked_kb(void)
{
	long sum = 0, kb;
	int node;

	for (node = 0; (kb = kt_node_sysfs(node, "tracked_kb")) >= 0; node++)
		sum += kb;
	return sum;
}

long kt_sysctl(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), KT_SYSCTL "%s", name);
	return kt_read_long(path);
}

static int write_long(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", value);
	return kt_write(path, text);
}

int kt_set_sysctl(const char *name, long value)
{
	char path[128];

	snprintf(path, sizeof(path), KT_SYSCTL "%s", name);
	return write_long(path, value);
}

int kt_set_enabled(int value)
{
	return write_long(KT_SYSFS "enabled", value);
}

void kt_knobs_save(struct kt_knobs *knobs)
{
	int i;

	for (i = 0; i < KT_NR_KNOBS; i++)
		knobs->value[i] = kt_sysctl(kt_knob_names[i]);
	knobs->enabled = kt_sysfs("enabled");
	knobs->numa_balancing = kt_read_long(NUMA_BALANCING);
}

void kt_knobs_restore(const struct kt_knobs *knobs)
{
	int i;

	/* 0 fits every interval, so that the interval can be set whatever the window is. */
	kt_set_sysctl("sample_window_ms", 0);
	for (i = 0; i < KT_NR_KNOBS; i++)
		if (knobs->value[i] >= 0)
			kt_set_sysctl(kt_knob_names[i], knobs->value[i]);
	if (knobs->enabled >= 0)
		kt_set_enabled(knobs->enabled);
	if (knobs->numa_balancing >= 0)
		write_long(NUMA_BALANCING, knobs->numa_balancing);
}

int kt_knobs_fast(void)
{
	int err = 0;
	int i;

	kt_set_sysctl("sample_window_ms", 0);
	for (i = 0; i < KT_NR_KNOBS && !err; i++)
		err = kt_set_sysctl(kt_knob_names[i], fast_values[i]);
	if (kt_read_long(NUMA_BALANCING) > 0)
		write_long(NUMA_BALANCING, 0);
	return err ? err : kt_set_enabled(1);
}

static struct kt_knobs knobs_at_start;
static pid_t main_pid;

/* A test that runs out of time is killed before its teardown. */
static void restore_at_exit(void)
{
	if (getpid() == main_pid && geteuid() == 0)
		kt_knobs_restore(&knobs_at_start);
}

void kt_start(void)
{
	if (madvise(NULL, 0, MADV_TIER)) {
		printf("TAP version 13\n1..0 # SKIP no ktierd in this kernel: MADV_TIER: %s\n",
		       strerror(errno));
		exit(KSFT_SKIP_CODE);
	}
	main_pid = getpid();
	kt_knobs_save(&knobs_at_start);
	atexit(restore_at_exit);
}

/* The first node that the file names, or -1; -1 too if @with_cpu and the node has none. */
static int first_node(const char *path, bool with_cpu)
{
	long node = kt_read_long(path);
	char cpulist[96];
	char buf[64];

	if (node < 0)
		return -1;
	snprintf(cpulist, sizeof(cpulist), "/sys/devices/system/node/node%ld/cpulist", node);
	if (with_cpu && (kt_read(cpulist, buf, sizeof(buf)) <= 0 || buf[0] == '\n'))
		return -1;
	return node;
}

/* Tiers are numbered by their distance: the smallest number is the top. */
static void scan_tiers(int *top, int *low)
{
	int top_tier = -1, low_tier = -1;
	char path[192];
	struct dirent *d;
	int tier, node;
	DIR *dir;

	*top = -1;
	*low = -1;
	dir = opendir(TIERS_DIR);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (sscanf(d->d_name, "memory_tier%d", &tier) != 1)
			continue;
		if (top_tier < 0 || tier < top_tier)
			top_tier = tier;
		if (tier > low_tier)
			low_tier = tier;
	}
	closedir(dir);
	if (top_tier < 0 || top_tier == low_tier)
		return;
	snprintf(path, sizeof(path), TIERS_DIR "/memory_tier%d/nodelist", top_tier);
	node = first_node(path, true);
	*top = node;
	snprintf(path, sizeof(path), TIERS_DIR "/memory_tier%d/nodelist", low_tier);
	*low = first_node(path, false);
}

const char *kt_find_tiers(int *top, int *low)
{
	if (geteuid() != 0)
		return "needs root";
	scan_tiers(top, low);
	if (*top < 0 || *low < 0)
		return "needs a node in the top tier and one in a lower tier";
	return NULL;
}

/* A kernel that checks all it does may take seconds for one. */
bool kt_wait_scans(long n)
{
	long until = kt_sysfs("scans") + n;

	return KT_WAIT(kt_sysfs("scans") >= until, KT_PATIENCE + 3 * n);
}

/*
 * Trace events
 */

/* Returns NULL, or why there are none. */
const char *kt_trace_make(void)
{
	if (geteuid() != 0)
		return "needs root";
	if (access(TRACEFS "events/ktierd", F_OK))
		return "no trace events";
	/* One may be left of a test that was killed. */
	kt_trace_remove();
	return mkdir(TRACING, 0700) ? "can't make a trace instance" : NULL;
}

void kt_trace_remove(void)
{
	kt_write(TRACING "events/ktierd/enable", "0");
	rmdir(TRACING);
}

/* Forget what was traced so far. */
void kt_trace_clear(void)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC);

	if (fd >= 0)
		close(fd);
}

int kt_trace(const char *event, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "events/ktierd/%s/enable", event);
	return kt_write(path, on ? "1" : "0");
}

/* An event that is not of ktierd, as "vmscan/event", where ktierd's thread causes it. */
int kt_trace_caused(const char *event)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), TRACING "events/%s/filter", event);
	err = kt_write(path, "comm == \"ktierd\"");
	snprintf(path, sizeof(path), TRACING "events/%s/enable", event);
	return err ?: kt_write(path, "1");
}

/* What is traced is kept, or not. */
int kt_trace_record(bool on)
{
	return kt_write(TRACING "tracing_on", on ? "1" : "0");
}

/* Have an event traced for some rounds. The first and the last may be traced in part. */
bool kt_trace_rounds(const char *event, int rounds)
{
	bool done;

	if (kt_trace(event, true))
		return false;
	done = kt_wait_scans(rounds);
	return !kt_trace(event, false) && done;
}

FILE *kt_trace_open(void)
{
	return fopen(TRACING "trace", "r");
}

/* What the next event of this name says, NULL if there is no more. To be freed. */
char *kt_trace_line(FILE *trace, const char *event)
{
	char *line = NULL, *at;
	char name[64];
	size_t size = 0;

	snprintf(name, sizeof(name), ": %s: ", event);
	while (trace && getline(&line, &size, trace) > 0) {
		at = strstr(line, name);
		if (at) {
			memmove(line, at + strlen(name), strlen(at + strlen(name)) + 1);
			return line;
		}
	}
	free(line);
	return NULL;
}

/*
 * VMAs
 */

static bool flag_is_set(char *flags, const char *flag)
{
	char *save;
	char *word;

	for (word = strtok_r(flags, "\n ", &save); word; word = strtok_r(NULL, "\n ", &save))
		if (!strcmp(word, flag))
			return true;
	return false;
}

static void take_kb(const char *line, const char *name, long *kb)
{
	if (!strncmp(line, name, strlen(name)))
		*kb = strtol(line + strlen(name), NULL, 10);
}

/* Read the next VMA of an smaps file; its VmFlags are its last line. */
static bool next_vma(FILE *f, struct kt_vma *vma)
{
	unsigned long start, end;
	char line[512];
	int name;

	memset(vma, 0, sizeof(*vma));
	while (fgets(line, sizeof(line), f)) {
		name = 0;
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &name) == 2) {
			vma->start = start;
			vma->end = end;
			line[strcspn(line, "\n")] = '\0';
			if (name)
				snprintf(vma->name, sizeof(vma->name), "%.60s", line + name);
		} else if (!strncmp(line, "VmFlags:", 8)) {
			vma->tier = flag_is_set(line + 8, "ti");
			return true;
		}
		take_kb(line, "Rss:", &vma->rss_kb);
		take_kb(line, "AnonHugePages:", &vma->huge_kb);
		take_kb(line, "Referenced:", &vma->used_kb);
	}
	return false;
}

static FILE *open_smaps(pid_t pid)
{
	char path[64];

	if (!pid)
		pid = getpid();
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	return fopen(path, "r");
}

bool kt_vma_at(pid_t pid, const void *addr, struct kt_vma *vma)
{
	unsigned long at = (unsigned long)addr;
	FILE *f = open_smaps(pid);
	bool found = false;

	if (!f)
		return false;
	while (!found && next_vma(f, vma))
		found = vma->start <= at && at < vma->end;
	fclose(f);
	return found;
}

bool kt_vma_named(pid_t pid, const char *name, struct kt_vma *vma)
{
	FILE *f = open_smaps(pid);
	bool found = false;

	if (!f)
		return false;
	while (!found && next_vma(f, vma))
		found = !strcmp(vma->name, name);
	fclose(f);
	return found;
}

int kt_marked(pid_t pid, const void *addr)
{
	struct kt_vma vma;

	return kt_vma_at(pid, addr, &vma) ? vma.tier : -1;
}

int kt_count_marked(pid_t pid)
{
	FILE *f = open_smaps(pid);
	struct kt_vma vma;
	int count = 0;

	if (!f)
		return -1;
	while (next_vma(f, &vma))
		count += vma.tier;
	fclose(f);
	return count;
}

/*
 * Memory
 */

size_t kt_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Between two inaccessible pages, so that it never merges with another; small pages only. */
void *kt_map(size_t bytes)
{
	size_t page = kt_page();
	char *addr;

	addr = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		return MAP_FAILED;
	if (mprotect(addr + page, bytes, PROT_READ | PROT_WRITE))
		return MAP_FAILED;
	madvise(addr + page, bytes, MADV_NOHUGEPAGE);
	return addr + page;
}

static void add_node(unsigned long *mask, int node)
{
	mask[node / (8 * sizeof(long))] |= 1UL << (node % (8 * sizeof(long)));
}

int kt_bind_two(void *addr, size_t bytes, int node, int other)
{
	unsigned long mask[KT_MAX_NODES / (8 * sizeof(long))] = {};

	add_node(mask, node);
	add_node(mask, other);
	if (syscall(SYS_mbind, addr, bytes, MPOL_BIND, mask, KT_MAX_NODES, MPOL_MF_MOVE))
		return -errno;
	return 0;
}

int kt_bind(void *addr, size_t bytes, int node)
{
	return kt_bind_two(addr, bytes, node, node);
}

int kt_unbind(void *addr, size_t bytes)
{
	return syscall(SYS_mbind, addr, bytes, MPOL_DEFAULT, NULL, 0, 0) ? -errno : 0;
}

/*
 * The node of each page, or a negative errno in its place. The question itself does not count as an
 * access.
 */
int *kt_nodes_of(pid_t pid, const void *addr, size_t nr)
{
	void **pages = malloc(nr * sizeof(*pages));
	int *nodes = malloc(nr * sizeof(*nodes));
	size_t i;

	if (!pages || !nodes)
		abort();
	for (i = 0; i < nr; i++) {
		pages[i] = (char *)addr + i * kt_page();
		nodes[i] = -EINVAL;
	}
	if (syscall(SYS_move_pages, pid, nr, pages, NULL, nodes, 0) < 0)
		fprintf(stderr, "# move_pages: %s\n", strerror(errno));
	free(pages);
	return nodes;
}

/* What a page says about itself, at its beginning and at its end. */
struct stamp {
	unsigned long addr;
	unsigned long seq;
};

static struct stamp *head_of(const struct kt_region *r, size_t i)
{
	return (struct stamp *)(r->addr + i * kt_page());
}

static struct stamp *tail_of(const struct kt_region *r, size_t i)
{
	return (struct stamp *)(r->addr + (i + 1) * kt_page()) - 1;
}

static void stamp_page(const struct kt_region *r, size_t i)
{
	struct stamp stamp = {
		.addr = (unsigned long)(r->origin + i * kt_page()),
		.seq = r->seq[i],
	};

	*head_of(r, i) = stamp;
	*tail_of(r, i) = stamp;
}

static bool page_is_right(const struct kt_region *r, size_t i)
{
	unsigned long addr = (unsigned long)(r->origin + i * kt_page());
	struct stamp *head = head_of(r, i);
	struct stamp *tail = tail_of(r, i);

	return __atomic_load_n(&head->addr, __ATOMIC_RELAXED) == addr &&
	       __atomic_load_n(&tail->addr, __ATOMIC_RELAXED) == addr &&
	       __atomic_load_n(&head->seq, __ATOMIC_RELAXED) == r->seq[i] &&
	       __atomic_load_n(&tail->seq, __ATOMIC_RELAXED) == r->seq[i];
}

static bool page_is(const struct kt_region *r, size_t i, enum kt_which which)
{
	bool hot = r->hot_step && i % r->hot_step == r->phase;

	return which == KT_ALL || hot == (which == KT_HOT);
}

int kt_region_map(struct kt_region *r, size_t bytes)
{
	memset(r, 0, sizeof(*r));
	r->nr = bytes / kt_page();
	r->seq = calloc(r->nr, sizeof(*r->seq));
	r->addr = kt_map(bytes);
	r->origin = r->addr;
	return r->seq && r->addr != MAP_FAILED ? 0 : -ENOMEM;
}

/* Stamp pages that then are on @node, without a policy that would hold them there. */
int kt_region_fill(struct kt_region *r, size_t first, size_t nr, int node)
{
	char *addr = r->addr + first * kt_page();
	size_t bytes = nr * kt_page();
	size_t i;
	int err;

	err = kt_bind(addr, bytes, node);
	if (err)
		return err;
	for (i = first; i < first + nr; i++)
		stamp_page(r, i);
	return kt_unbind(addr, bytes);
}

int kt_region_make(struct kt_region *r, size_t bytes, int node)
{
	int err = kt_region_map(r, bytes);

	return err ? err : kt_region_fill(r, 0, r->nr, node);
}

/* Have every page say what it should. */
void kt_region_stamp(const struct kt_region *r)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		stamp_page(r, i);
}

/* How many pages don't say what they should. Reads them all: they are no longer idle after it. */
long kt_region_wrong(const struct kt_region *r)
{
	long wrong = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		wrong += !page_is_right(r, i);
	return wrong;
}

long kt_region_count(pid_t pid, const struct kt_region *r, enum kt_which which, int node)
{
	int *nodes = kt_nodes_of(pid, r->addr, r->nr);
	long count = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		count += nodes[i] == node && page_is(r, i, which);
	free(nodes);
	return count;
}

long kt_region_percent(const struct kt_region *r, enum kt_which which, int node)
{
	long all = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		all += page_is(r, i, which);
	return all ? kt_region_count(0, r, which, node) * 100 / all : 0;
}

/* Is nearly all of it there? */
bool kt_region_is_on(pid_t pid, const struct kt_region *r, int node)
{
	return kt_region_count(pid, r, KT_ALL, node) * 100 >= KT_NEARLY_ALL * (long)r->nr;
}

int kt_mark(const struct kt_region *r)
{
	return madvise(r->addr, r->nr * kt_page(), MADV_TIER) ? -errno : 0;
}

int kt_unmark(const struct kt_region *r)
{
	return madvise(r->addr, r->nr * kt_page(), MADV_NOTIER) ? -errno : 0;
}

/* Idle, marked memory that nothing holds: wait until it has left for the lower tier. */
bool kt_others_go_down(int top, int low)
{
	struct kt_region r;
	bool ok;

	if (kt_region_make(&r, 8 * MIB, top) || kt_mark(&r))
		return false;
	ok = KT_WAIT(kt_region_is_on(0, &r, low), KT_PATIENCE) && kt_wait_scans(10);
	kt_unmark(&r);
	return ok;
}

/* Pages are touched all the time, but for a moment in which others may use the CPU. */
#define TOUCHER_REST_US	500

static void *touch_loop(void *arg)
{
	struct kt_toucher *t = arg;
	struct kt_region *r = t->region;
	size_t i;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		for (i = r->phase; i < r->nr; i += r->hot_step) {
			t->wrong += !page_is_right(r, i);
			if (!t->write)
				continue;
			r->seq[i]++;
			stamp_page(r, i);
		}
		__atomic_fetch_add(&t->rounds, 1, __ATOMIC_RELAXED);
		if (!t->restless)
			usleep(TOUCHER_REST_US);
	}
	return NULL;
}

/* Touch the region's hot pages until told to stop, and check at each touch what they say. */
int kt_touch_start(struct kt_toucher *t, struct kt_region *r, bool write)
{
	memset(t, 0, sizeof(*t));
	t->region = r;
	t->write = write;
	return -pthread_create(&t->thread, NULL, touch_loop, t);
}

/* The same, read only, and so that the translations of a few pages may stay in the TLB for long. */
int kt_touch_start_restless(struct kt_toucher *t, struct kt_region *r)
{
	memset(t, 0, sizeof(*t));
	t->region = r;
	t->restless = true;
	return -pthread_create(&t->thread, NULL, touch_loop, t);
}

/* Returns how many touches found something wrong. */
unsigned long kt_touch_stop(struct kt_toucher *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
	pthread_join(t->thread, NULL);
	return t->wrong;
}

/*
 * Memory that fails
 */

/* Also give it back: a memory block in which something has failed never comes online again. */
const char *kt_can_fail(void)
{
	return access(UNPOISON, W_OK) ? "needs CONFIG_HWPOISON_INJECT, and debugfs" : NULL;
}

/* 0 if the page is not there. */
long kt_pfn(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = pread(fd, &entry, sizeof(entry), (uintptr_t)page / kt_page() * sizeof(entry));
	close(fd);
	if (len != sizeof(entry))
		return -EIO;
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

static __thread sigjmp_buf bus_error;
static __thread bool expects_bus_error;

static void on_bus_error(int number)
{
	if (expects_bus_error)
		siglongjmp(bus_error, 1);
	signal(number, SIG_DFL);
}

/* The kernel may tell its owner at once; and fail to take it away, which is no error here. */
long kt_fail(void *page)
{
	long pfn = kt_pfn(page);

	signal(SIGBUS, on_bus_error);
	expects_bus_error = true;
	if (!sigsetjmp(bus_error, 1) && madvise(page, kt_page(), MADV_HWPOISON) &&
	    (errno == EINVAL || errno == EPERM))
		pfn = -errno;
	expects_bus_error = false;
	return pfn;
}

bool kt_is_lost(const void *page)
{
	bool lost = true;

	signal(SIGBUS, on_bus_error);
	expects_bus_error = true;
	if (!sigsetjmp(bus_error, 1)) {
		__atomic_load_n((const char *)page, __ATOMIC_RELAXED);
		lost = false;
	}
	expects_bus_error = false;
	return lost;
}

/* Nobody may map it any more. */
bool kt_unfail(long pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%#lx", pfn);
	return KT_WAIT(!kt_write(UNPOISON, text), KT_PATIENCE);
}

/*
 * Memory that is not marked
 */

/* How much of free memory CPUs may keep to themselves; 0: the kernel's default. */
#define CPU_LISTS	"/proc/sys/vm/percpu_pagelist_high_fraction"

/* Take memory of a node, unmarked; huge pages, as that is faster. */
int kt_take(int node, long kb)
{
	size_t bytes = kb * 1024 / kt_page() * kt_page();
	void *mem;
	int err;

	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	madvise(mem, bytes, MADV_HUGEPAGE);
	err = kt_bind(mem, bytes, node);
	if (!err && madvise(mem, bytes, MADV_POPULATE_WRITE))
		err = -errno;
	return err;
}

/* Each CPU notices how long its lists may be when it frees something. */
static void free_on_each_cpu(size_t bytes)
{
	cpu_set_t all, one;
	void *mem;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		mem = kt_map(bytes);
		if (mem != MAP_FAILED) {
			madvise(mem, bytes, MADV_POPULATE_WRITE);
			munmap(mem, bytes);
		}
	}
	sched_setaffinity(0, sizeof(all), &all);
}

/*
 * Each CPU keeps pages that were freed in lists of its own: megabytes, which do not count as free
 * and come back when the CPU finds the time, in the middle of a test. Have them short, and make
 * every CPU notice by freeing something.
 */
void kt_shorten_cpu_lists(void)
{
	kt_write(CPU_LISTS, "1000000");
	free_on_each_cpu(16 * MIB);
}

/* Have them as long as can be, an eighth of the memory of a node with CPUs, and full. */
void kt_lengthen_cpu_lists(void)
{
	kt_write(CPU_LISTS, "8");
	free_on_each_cpu(64 * MIB);
}

void kt_restore_cpu_lists(void)
{
	kt_write(CPU_LISTS, "0");
}

/* How near is near, and for how many looks in a row. */
#define SETTLED_KB	1024
#define SETTLED_LOOKS	4
#define SETTLE_US	500000

/*
 * Take memory until @free_kb are free, and remain so: what an earlier test has freed comes back
 * little by little, as the CPUs let go of their lists of free pages.
 */
int kt_leave_free(int node, long free_kb)
{
	int looks = 0;
	long over;
	int err;

	kt_shorten_cpu_lists();
	while (looks < SETTLED_LOOKS) {
		over = kt_node_kb(node, "MemFree") - free_kb;
		if (over < -8 * SETTLED_KB)
			return -ENOSPC;
		looks++;
		if (over > SETTLED_KB) {
			looks = 0;
			err = kt_take(node, over);
			if (err)
				return err;
		}
		usleep(SETTLE_US);
	}
	return 0;
}

/* As far as it is clean and nobody has it mapped. */
void kt_drop_page_cache(void)
{
	kt_write("/proc/sys/vm/drop_caches", "1");
}

/*
 * Processes
 */

enum { NOT_READY, READY, FAILED };

static void child_main(int *state, int (*prepare)(void *arg), void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	__atomic_store_n(state, prepare && prepare(arg) ? FAILED : READY, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static pid_t fork_into(const struct kt_cgroup *cg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
	};
	int fd = open(cg->path, O_PATH | O_DIRECTORY);
	pid_t pid;

	if (fd < 0)
		return -1;
	args.cgroup = fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	close(fd);
	return pid;
}

/*
 * A child, born in the control group if one is given, that does @prepare and then sleeps until it
 * is killed. Returns when it is prepared, -1 if that failed. They talk by memory that is there
 * already: a pipe would need some of a kind that not every node has.
 */
pid_t kt_spawn_in(const struct kt_cgroup *cg, int (*prepare)(void *arg), void *arg)
{
	int *state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	bool ready;
	pid_t pid;

	if (state == MAP_FAILED)
		return -1;
	pid = cg ? fork_into(cg) : fork();
	if (!pid)
		child_main(state, prepare, arg);
	while (pid > 0 && __atomic_load_n(state, __ATOMIC_ACQUIRE) == NOT_READY) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			pid = -1;
		usleep(1000);
	}
	ready = *state == READY;
	munmap(state, sizeof(*state));
	if (!ready) {
		kt_kill(pid);
		return -1;
	}
	return pid;
}

pid_t kt_spawn(int (*prepare)(void *arg), void *arg)
{
	return kt_spawn_in(NULL, prepare, arg);
}

void kt_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* process_madvise(): bytes, or a negative errno. */
ssize_t kt_advise_process(pid_t pid, void *addr, size_t len, int advice, unsigned int flags)
{
	struct iovec vec = { .iov_base = addr, .iov_len = len };
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	ssize_t ret;

	if (pidfd < 0)
		return -errno;
	ret = syscall(SYS_process_madvise, pidfd, &vec, 1, advice, flags);
	if (ret < 0)
		ret = -errno;
	close(pidfd);
	return ret;
}

int kt_exec_self(const char *arg, const char *value)
{
	execl("/proc/self/exe", "ktierd-selftest", arg, value, NULL);
	return -errno;
}

/*
 * Control groups
 */

static bool find_cgroup2(char *path, size_t size)
{
	FILE *f = fopen("/proc/self/mounts", "r");
	char dir[128], type[32];
	bool found = false;

	if (!f)
		return false;
	while (!found && fscanf(f, "%*s %127s %31s %*[^\n]", dir, type) == 2)
		found = !strcmp(type, "cgroup2");
	fclose(f);
	if (found)
		snprintf(path, size, "%s", dir);
	return found;
}

static bool mount_cgroup2(struct kt_cgroup *cg)
{
	snprintf(cg->root, sizeof(cg->root), "/tmp/ktierd-cgroup-XXXXXX");
	if (!mkdtemp(cg->root))
		return false;
	if (mount("none", cg->root, "cgroup2", 0, NULL)) {
		rmdir(cg->root);
		return false;
	}
	cg->mounted = true;
	return true;
}

/* Returns NULL, or why there is none. */
const char *kt_cgroup_make(struct kt_cgroup *cg, const char *controller)
{
	char path[192], buf[256];

	memset(cg, 0, sizeof(*cg));
	if (!find_cgroup2(cg->root, sizeof(cg->root)) && !mount_cgroup2(cg))
		return "needs cgroup version 2";
	snprintf(path, sizeof(path), "%s/cgroup.controllers", cg->root);
	if (kt_read(path, buf, sizeof(buf)) <= 0 || !flag_is_set(buf, controller)) {
		kt_cgroup_remove(cg);
		return "needs the control group's controller in version 2";
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cg->root);
	snprintf(buf, sizeof(buf), "+%s", controller);
	kt_write(path, buf);
	snprintf(cg->path, sizeof(cg->path), "%s/ktierd-test-%d", cg->root, getpid());
	if (mkdir(cg->path, 0755)) {
		cg->path[0] = '\0';
		kt_cgroup_remove(cg);
		return "can't make a control group";
	}
	return NULL;
}

int kt_cgroup_set(const struct kt_cgroup *cg, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return kt_write(path, text);
}

int kt_cgroup_enter(const struct kt_cgroup *cg, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", pid);
	return kt_cgroup_set(cg, "cgroup.procs", text);
}

long kt_cgroup_long(const struct kt_cgroup *cg, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return kt_read_long(path);
}

/* The value after @name in one of its files. */
long kt_cgroup_stat(const struct kt_cgroup *cg, const char *file, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	return kt_value_after(path, name);
}

/* Its processes must be gone, and a killed one takes a moment to be. */
void kt_cgroup_remove(struct kt_cgroup *cg)
{
	if (cg->path[0])
		(void)!KT_WAIT(!rmdir(cg->path), KT_PATIENCE);
	if (cg->mounted) {
		umount(cg->root);
		rmdir(cg->root);
	}
	memset(cg, 0, sizeof(*cg));
}

/*
 * Disks of compressed memory
 */

#define ZRAM_CONTROL	"/sys/class/zram-control/"
#define SWAP_MAGIC	"SWAPSPACE2"

/* Returns NULL, or why there is none. */
const char *kt_zram_make(struct kt_zram *z, size_t bytes)
{
	char path[64], size[32];

	z->number = kt_read_long(ZRAM_CONTROL "hot_add");
	if (z->number < 0)
		return "needs zram";
	snprintf(z->path, sizeof(z->path), "/dev/zram%d", z->number);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", z->number);
	snprintf(size, sizeof(size), "%zu", bytes);
	if (kt_write(path, size) || !KT_WAIT(!access(z->path, W_OK), KT_PATIENCE)) {
		kt_zram_remove(z);
		return "can't make a zram disk";
	}
	return NULL;
}

void kt_zram_remove(struct kt_zram *z)
{
	if (z->number >= 0)
		write_long(ZRAM_CONTROL "hot_remove", z->number);
	z->number = -1;
}

/* The beginning of a swap area, version 1; the magic is the end of its first page. */
struct swap_header {
	char boot[1024];
	uint32_t version;
	uint32_t last_page;
	uint32_t nr_bad;
};

static int format_swap(const char *path, size_t bytes)
{
	struct swap_header *header = calloc(1, kt_page());
	int fd = open(path, O_WRONLY);
	ssize_t written = -1;

	if (header && fd >= 0) {
		header->version = 1;
		header->last_page = bytes / kt_page() - 1;
		memcpy((char *)header + kt_page() - strlen(SWAP_MAGIC), SWAP_MAGIC,
		       strlen(SWAP_MAGIC));
		written = write(fd, header, kt_page());
	}
	if (fd >= 0)
		close(fd);
	free(header);
	return written == (ssize_t)kt_page() ? 0 : -EIO;
}

/* Returns NULL, or why there is none. */
const char *kt_swap_make(struct kt_zram *z, size_t bytes)
{
	const char *why = kt_zram_make(z, bytes);

	if (why)
		return why;
	if (format_swap(z->path, bytes) || swapon(z->path, 0)) {
		kt_zram_remove(z);
		return "can't swap to zram";
	}
	return NULL;
}

void kt_swap_remove(struct kt_zram *z)
{
	if (z->number < 0)
		return;
	swapoff(z->path);
	kt_zram_remove(z);
}
