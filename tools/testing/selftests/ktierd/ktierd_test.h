/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the ktierd selftests have in common: the interface's constants, reading and setting the
 * knobs, finding the tiers, asking where pages are, and memory whose every page says which page
 * it is.
 */
#ifndef KTIERD_TEST_H
#define KTIERD_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <pthread.h>
#include <sys/types.h>

#ifndef MADV_TIER
#define MADV_TIER	96
#define MADV_NOTIER	97
#endif

#ifndef PR_SET_TIER
#define PR_SET_TIER	0x54494552
#define PR_GET_TIER	0x54494553
#endif

#define KT_SYSFS	"/sys/kernel/mm/ktierd/"
#define KT_SYSCTL	"/proc/sys/vm/ktierd_"
#define KT_KMEMLEAK	"/sys/kernel/debug/kmemleak"	/* of a kernel that checks itself */
#define MIB		(1024UL * 1024)

/* Percent: some pages may be isolated, or in a batch on the way to the LRU, at any one look. */
#define KT_NEARLY_ALL	98

/* Seconds to wait for something that should happen soon: generous, for slow emulators. */
#define KT_PATIENCE	60

/* A test's own limit: above what it waits for if one thing that it waits for does not happen. */
#define KT_TIMEOUT	300

#define KT_POLL_US	100000

/*
 * Wait until @cond holds, @secs at most; the value is whether it did. A machine that stands still
 * for a while looks seldom: give it the time again.
 */
#define KT_WAIT(cond, secs) ({							\
	long kt_secs = (secs);							\
	long kt_looks = kt_secs * 1000000 / KT_POLL_US / 2;			\
	double kt_end = kt_now() + kt_secs;					\
	bool kt_ok;								\
										\
	while (!(kt_ok = !!(cond)) && (kt_looks-- > 0 || kt_now() < kt_end))	\
		usleep(KT_POLL_US);						\
	kt_ok;									\
})

/* Time and files */

double kt_now(void);
int kt_write(const char *path, const char *text);
int kt_read(const char *path, char *buf, size_t size);
long kt_read_long(const char *path);
long kt_value_after(const char *path, const char *name);
long kt_vmstat(const char *name);
long kt_node_kb(int node, const char *name);

/* Knobs: -1 or a negative errno when there is no such thing */

long kt_sysfs(const char *name);
long kt_node_sysfs(int node, const char *name);
long kt_tracked_kb(void);
long kt_sysctl(const char *name);
int kt_set_sysctl(const char *name, long value);
int kt_set_enabled(int value);

#define KT_NR_KNOBS	7
extern const char * const kt_knob_names[KT_NR_KNOBS];

struct kt_knobs {
	long value[KT_NR_KNOBS];
	long enabled;
	long numa_balancing;
};

void kt_knobs_save(struct kt_knobs *knobs);
void kt_knobs_restore(const struct kt_knobs *knobs);
int kt_knobs_fast(void);

/* A program starts with this: skips all if there is no ktierd, restores the knobs at exit. */
void kt_start(void);

/* What a test that moves memory needs: root and two tiers. Returns why not, or NULL. */
const char *kt_find_tiers(int *top, int *low);

/* Wait until ktierd has completed @n more scans. */
bool kt_wait_scans(long n);

/* Events ktierd:*, in a trace instance of our own: make it, have some traced, read them. */

const char *kt_trace_make(void);
void kt_trace_remove(void);
void kt_trace_clear(void);
int kt_trace(const char *event, bool on);
int kt_trace_caused(const char *event);
int kt_trace_record(bool on);
bool kt_trace_rounds(const char *event, int rounds);
FILE *kt_trace_open(void);
char *kt_trace_line(FILE *trace, const char *event);

/* VMAs */

struct kt_vma {
	unsigned long start;
	unsigned long end;
	long rss_kb;
	long huge_kb;
	long used_kb;
	bool tier;
	char name[64];
};

bool kt_vma_at(pid_t pid, const void *addr, struct kt_vma *vma);
bool kt_vma_named(pid_t pid, const char *name, struct kt_vma *vma);
int kt_marked(pid_t pid, const void *addr);
int kt_count_marked(pid_t pid);

/* Memory */

size_t kt_page(void);
void *kt_map(size_t bytes);
int kt_bind(void *addr, size_t bytes, int node);
int kt_bind_two(void *addr, size_t bytes, int node, int other);
int kt_unbind(void *addr, size_t bytes);
int *kt_nodes_of(pid_t pid, const void *addr, size_t nr);

enum kt_which { KT_ALL, KT_HOT, KT_IDLE };

/*
 * A range of stamped pages. Page i is touched by a toucher if i % hot_step == phase, and seq[i]
 * says how often it was written: the page itself must say so, too.
 */
struct kt_region {
	char *addr;
	char *origin;		/* the address that the stamps name */
	size_t nr;
	size_t hot_step;	/* 0: no page is hot */
	size_t phase;
	unsigned long *seq;
};

int kt_region_map(struct kt_region *r, size_t bytes);
int kt_region_fill(struct kt_region *r, size_t first, size_t nr, int node);
int kt_region_make(struct kt_region *r, size_t bytes, int node);
void kt_region_stamp(const struct kt_region *r);
long kt_region_wrong(const struct kt_region *r);
long kt_region_count(pid_t pid, const struct kt_region *r, enum kt_which which, int node);
long kt_region_percent(const struct kt_region *r, enum kt_which which, int node);
bool kt_region_is_on(pid_t pid, const struct kt_region *r, int node);
int kt_mark(const struct kt_region *r);
int kt_unmark(const struct kt_region *r);
bool kt_others_go_down(int top, int low);

struct kt_toucher {
	struct kt_region *region;
	pthread_t thread;
	bool write;
	bool restless;		/* never give the CPU away */
	bool stop;
	unsigned long rounds;
	unsigned long wrong;
};

int kt_touch_start(struct kt_toucher *t, struct kt_region *r, bool write);
int kt_touch_start_restless(struct kt_toucher *t, struct kt_region *r);
unsigned long kt_touch_stop(struct kt_toucher *t);

/* Memory that is not marked: so much of it that so much is free */

int kt_take(int node, long kb);
int kt_leave_free(int node, long free_kb);
void kt_drop_page_cache(void);
void kt_shorten_cpu_lists(void);
void kt_lengthen_cpu_lists(void);
void kt_restore_cpu_lists(void);

/* Memory that fails, because it is told to: returns its number, or a negative errno */

const char *kt_can_fail(void);
long kt_pfn(const void *page);
long kt_fail(void *page);
bool kt_is_lost(const void *page);
bool kt_unfail(long pfn);

/* A control group of our own (version 2) */

struct kt_cgroup {
	char root[128];
	char path[192];
	bool mounted;
};

const char *kt_cgroup_make(struct kt_cgroup *cg, const char *controller);
int kt_cgroup_set(const struct kt_cgroup *cg, const char *file, const char *text);
int kt_cgroup_enter(const struct kt_cgroup *cg, pid_t pid);
long kt_cgroup_long(const struct kt_cgroup *cg, const char *file);
long kt_cgroup_stat(const struct kt_cgroup *cg, const char *file, const char *name);
void kt_cgroup_remove(struct kt_cgroup *cg);

/* Disks of compressed memory, and swap on them */

struct kt_zram {
	int number;		/* -1: none */
	char path[32];
};

const char *kt_zram_make(struct kt_zram *z, size_t bytes);
void kt_zram_remove(struct kt_zram *z);
const char *kt_swap_make(struct kt_zram *z, size_t bytes);
void kt_swap_remove(struct kt_zram *z);

/* Processes */

pid_t kt_spawn(int (*prepare)(void *arg), void *arg);
pid_t kt_spawn_in(const struct kt_cgroup *cg, int (*prepare)(void *arg), void *arg);
void kt_kill(pid_t pid);
ssize_t kt_advise_process(pid_t pid, void *addr, size_t len, int advice, unsigned int flags);
int kt_exec_self(const char *arg, const char *value);

#endif /* KTIERD_TEST_H */
