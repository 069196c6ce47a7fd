// SPDX-License-Identifier: GPL-2.0
/*
 * Beside others who move or take memory: reclaim, NUMA balancing, and programs that allocate. Above
 * each test stands what change in the kernel would make it fail.
 *
 * Who undoes a move is seen in the pages: each is looked at again and again, and counted is how
 * often it is somewhere else than at the look before.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)
#define DEMOTION	"/sys/kernel/mm/numa/demotion_enabled"
#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define BALANCING_DIR	"/sys/kernel/debug/sched/numa_balancing/"

/* Where pages were at the last look, and how often they were somewhere else than before. */
struct changes {
	const struct kt_region *r;
	int *node;
	long up;
	long down;
};

static void look(struct changes *c, int top)
{
	int *now = kt_nodes_of(0, c->r->addr, c->r->nr);
	size_t i;

	for (i = 0; i < c->r->nr; i++) {
		if (now[i] < 0)		/* on its way */
			continue;
		if (c->node && now[i] != c->node[i]) {
			c->up += now[i] == top;
			c->down += now[i] != top;
		}
	}
	for (i = 0; c->node && i < c->r->nr; i++)
		if (now[i] < 0)
			now[i] = c->node[i];
	free(c->node);
	c->node = now;
}

FIXTURE(beside) {
	struct kt_knobs saved;
	struct kt_zram swap;
	char demotion[16];
	pid_t child;
	int top;
	int low;
};

FIXTURE_SETUP(beside)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	self->swap.number = -1;
	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	kt_read(DEMOTION, self->demotion, sizeof(self->demotion));
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(beside)
{
	kt_kill(self->child);
	kt_write(DEMOTION, self->demotion);
	kt_swap_remove(&self->swap);
	kt_knobs_restore(&self->saved);
}

/*
 * Reclaim
 */

/* So often memory gets short, and by so much. */
#define SQUEEZES	6
#define SQUEEZE		(8 * MIB)
#define LOOKS		20

#define HOT		(32 * MIB)
#define IDLE		(96 * MIB)

/*
 * Who takes all that is free on a node and some more, and gives it back, when told to. He is forked
 * before there is anything to test with, and so has none of it.
 */
struct squeezer {
	int node;
	int wanted;
	int done;
	int failed;
};

static int squeeze(int node)
{
	long kb = kt_node_kb(node, "MemFree") + SQUEEZE / 1024;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		kt_write("/proc/self/oom_score_adj", "1000");
		_exit(kt_take(node, kb) != 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *squeeze_loop(void *arg)
{
	struct squeezer *s = arg;

	for (;;) {
		while (__atomic_load_n(&s->wanted, __ATOMIC_ACQUIRE) == s->done)
			usleep(1000);
		s->failed += squeeze(s->node) != 0;
		__atomic_store_n(&s->done, s->done + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int be_squeezer(void *arg)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, squeeze_loop, arg);
}

static pid_t start_squeezer(struct squeezer **s, int node)
{
	*s = mmap(NULL, sizeof(**s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*s == MAP_FAILED)
		return -1;
	(*s)->node = node;
	return kt_spawn(be_squeezer, *s);
}

static long demoted_by_reclaim(void)
{
	return kt_vmstat("pgdemote_kswapd") + kt_vmstat("pgdemote_direct") +
	       kt_vmstat("pgdemote_khugepaged");
}

/* How often hot pages go down while memory gets short again and again and reclaim demotes. */
static long count_down(struct __test_metadata *const _metadata, struct squeezer *s, bool marked,
		       int top, int low)
{
	long before = demoted_by_reclaim(), promoted = kt_sysfs("pages_promoted");
	struct kt_region hot, idle;
	struct kt_toucher toucher;
	struct changes changes = { .r = &hot };
	int i, looks;

	ASSERT_EQ(0, kt_region_make(&hot, HOT, top));
	ASSERT_EQ(0, kt_region_make(&idle, IDLE, top));
	hot.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &hot, true));
	if (marked) {
		ASSERT_EQ(0, kt_mark(&hot));
		ASSERT_EQ(0, kt_mark(&idle));
		ASSERT_TRUE(kt_wait_scans(20));
	}
	look(&changes, top);
	for (i = 0; i < SQUEEZES; i++) {
		__atomic_store_n(&s->wanted, s->wanted + 1, __ATOMIC_RELEASE);
		for (looks = 0; looks < LOOKS || __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) !=
		     s->wanted; looks++) {
			look(&changes, top);
			usleep(KT_POLL_US);
		}
	}
	TH_LOG("%smarked: reclaim demoted %ld, ktierd promoted %ld", marked ? "" : "not ",
	       demoted_by_reclaim() - before, kt_sysfs("pages_promoted") - promoted);
	TH_LOG("of %zu hot pages %ld went down, %ld up, %ld are up; of %zu idle ones %ld are down",
	       hot.nr, changes.down, changes.up, kt_region_count(0, &hot, KT_ALL, top), idle.nr,
	       kt_region_count(0, &idle, KT_ALL, low));
	EXPECT_EQ(0, s->failed);
	/* Else nothing was tried. */
	EXPECT_LE(SQUEEZES * SQUEEZE / 2 / kt_page(), demoted_by_reclaim() - before);
	if (marked)
		EXPECT_TRUE(KT_WAIT(kt_region_percent(&hot, KT_ALL, top) >= 90, KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&hot));
	EXPECT_EQ(0, kt_region_wrong(&idle));
	munmap(hot.addr, HOT);
	munmap(idle.addr, IDLE);
	return changes.down;
}

/*
 * First without marks, and then with them. Fails if reclaim is not told of the accessed bits that
 * are cleared: then it takes hot pages for idle and demotes them, and ktierd brings them back.
 */
TEST_F_TIMEOUT(beside, reclaim_leaves_hot_pages_alone, 2 * KT_TIMEOUT)
{
	struct squeezer *squeezer;
	long without, with;

	if (kt_write(DEMOTION, "1"))
		SKIP(return, "reclaim does not demote in this kernel");
	self->child = start_squeezer(&squeezer, self->top);
	ASSERT_LT(0, self->child);
	/* Only reclaim finds that idle pages are. */
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	without = count_down(_metadata, squeezer, false, self->top, self->low);
	with = count_down(_metadata, squeezer, true, self->top, self->low);
	EXPECT_GE(2 * without + HOT / kt_page() / 4, with);
}

#define SWAP		(512 * MIB)
#define LOW_FREE	(24 * MIB)
#define TO_DEMOTE	(64 * MIB)

/* So often in a row there is no more than that free: what was freed before comes back late. */
#define FULL_LOOKS	8
#define FULL_LOOK_US	500000

/* One word again and again: it takes nearly nothing in compressed memory. */
static int fill_node(void *arg)
{
	int node = *(int *)arg, looks;
	char *mem;
	long over;

	for (looks = 0; looks < FULL_LOOKS; looks++, usleep(FULL_LOOK_US)) {
		over = kt_node_kb(node, "MemFree") * 1024 - (long)LOW_FREE;
		if (over <= (long)MIB)
			continue;
		mem = kt_map(over);
		if (mem == MAP_FAILED || kt_bind(mem, over, node))
			return -1;
		memset(mem, 0x5a, over);
		looks = -1;
	}
	return 0;
}

static long stalls(void)
{
	return kt_vmstat("allocstall_dma32") + kt_vmstat("allocstall_normal") +
	       kt_vmstat("allocstall_movable");
}

/* How long the kswapd of a node has run, in ns; -1 if there is none. */
static long kswapd_ns(int node)
{
	char path[280], name[32], comm[32];
	DIR *proc = opendir("/proc");
	struct dirent *d;
	long ns = -1;

	snprintf(name, sizeof(name), "kswapd%d\n", node);
	while (proc && ns < 0 && (d = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (!isdigit(d->d_name[0]) || kt_read(path, comm, sizeof(comm)) <= 0 ||
		    strcmp(comm, name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", d->d_name);
		ns = kt_read_long(path);
	}
	if (proc)
		closedir(proc);
	return ns;
}

/* Pages of a node that were written to swap, whoever had it done. */
static long written_of(int node)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", node);
	return kt_value_after(path, "nr_vmscan_write");
}

/*
 * A lower tier full of what others have left alone, and swap. Fails if demotion reclaims there
 * itself, if nobody else is woken for it, or if what stayed is not tried again. Who else is there
 * is kswapd: nobody else reclaims without an allocation that stalls.
 */
TEST_F_TIMEOUT(beside, a_full_lower_tier_is_made_room_in, 2 * KT_TIMEOUT)
{
	long no_room, stalled, written, ran;
	struct kt_region r;
	const char *why;

	why = kt_swap_make(&self->swap, SWAP);
	if (why)
		SKIP(return, "%s", why);
	self->child = kt_spawn(fill_node, &self->low);
	ASSERT_LT(0, self->child);
	/* After the fork: the child has not asked. */
	ASSERT_EQ(0, kt_region_make(&r, TO_DEMOTE, self->top));
	no_room = kt_sysfs("failed/no_room");
	written = written_of(self->low);
	ran = kswapd_ns(self->low);
	stalled = stalls();
	TH_LOG("%ld KiB free in the lower tier", kt_node_kb(self->low, "MemFree"));

	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("failed/no_room") > no_room, KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), 3 * KT_PATIENCE));
	written = written_of(self->low) - written;
	TH_LOG("no room %ld times, %ld pages of that node written, %ld allocations stalled",
	       kt_sysfs("failed/no_room") - no_room, written, stalls() - stalled);
	TH_LOG("its kswapd ran for %ld us", (kswapd_ns(self->low) - ran) / 1000);
	/* What there was no room for, and as much less as that may be off. */
	EXPECT_LE((TO_DEMOTE - LOW_FREE) / 2 / kt_page(), written);
	if (ran >= 0)
		EXPECT_LT(ran, kswapd_ns(self->low));
	EXPECT_EQ(stalled, stalls());
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * Allocations
 */

#define ALLOCATORS	4
#define BURST		(8 * MIB)
#define BURST_MAX_US	400000
#define BURST_SECONDS	20

/* KTIERD_BATCH_PAGES: as many may be on their way when memory gets short. */
#define BATCH		64

/* What allocators have in common. */
struct bursts {
	int node;
	bool go;
	unsigned long step;
	bool failed[ALLOCATORS];
};

/* Each allocates and frees, and says so before and after. */
struct allocator {
	struct bursts *all;
	int number;
	unsigned int seed;
};

/* Low bits: how many are at it; the others: how often one was. */
#define AT_IT		0xffUL

static void begin(struct allocator *a)
{
	__atomic_fetch_add(&a->all->step, 1, __ATOMIC_SEQ_CST);
}

static void end(struct allocator *a)
{
	__atomic_fetch_add(&a->all->step, AT_IT, __ATOMIC_SEQ_CST);
	usleep(BURST_MAX_US / 4 + rand_r(&a->seed) % BURST_MAX_US);
}

static void *allocate_loop(void *arg)
{
	struct allocator *a = arg;
	bool *failed = &a->all->failed[a->number];
	char *mem = kt_map(BURST);

	*failed = mem == MAP_FAILED || kt_bind(mem, BURST, a->all->node);
	while (!__atomic_load_n(&a->all->go, __ATOMIC_RELAXED))
		usleep(1000);
	while (!*failed) {
		begin(a);
		*failed |= madvise(mem, BURST, MADV_POPULATE_WRITE);
		end(a);
		begin(a);
		madvise(mem, BURST, MADV_DONTNEED);
		end(a);
	}
	return NULL;
}

static int be_allocator(void *arg)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, allocate_loop, arg);
}

/* Processes: forked before there is anything to test with, and so none of them has any of it. */
static struct bursts *start_allocators(int node, pid_t *pids)
{
	struct bursts *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct allocator a = { .all = all };

	if (all == MAP_FAILED)
		return NULL;
	all->node = node;
	for (; a.number < ALLOCATORS; a.number++) {
		a.seed = a.number + 1;
		pids[a.number] = kt_spawn(be_allocator, &a);
		if (pids[a.number] < 0)
			return NULL;
	}
	return all;
}

/*
 * While nobody allocates or frees, free memory changes by ktierd alone. So where it is below the
 * headroom at two looks, with no step of the others between them, it was below it all the time, and
 * no promotion may have begun.
 */
struct watch {
	unsigned long step;	/* of the first look below the headroom */
	long promoted;		/* then */
	long looks;		/* that followed, in all */
	long most;		/* promoted between such looks, at most */
};

static void watch_look(struct watch *w, const unsigned long *step, int node, long limit_kb)
{
	unsigned long now = __atomic_load_n(step, __ATOMIC_SEQ_CST);
	bool below = kt_node_kb(node, "MemFree") < limit_kb;
	long promoted = kt_sysfs("pages_promoted");

	below &= kt_node_kb(node, "MemFree") < limit_kb;
	if (!below || now & AT_IT || now != __atomic_load_n(step, __ATOMIC_SEQ_CST)) {
		w->step = -1;
	} else if (w->step != now) {
		w->step = now;
		w->promoted = promoted;
	} else {
		w->looks++;
		if (promoted - w->promoted > w->most)
			w->most = promoted - w->promoted;
	}
}

static struct watch watch_for(const unsigned long *step, int node, long limit_kb)
{
	struct watch watch = { .step = -1 };
	double end;

	for (end = kt_now() + BURST_SECONDS; kt_now() < end; usleep(1000))
		watch_look(&watch, step, node, limit_kb);
	return watch;
}

FIXTURE(headroom) {
	struct kt_knobs saved;
	pid_t pids[ALLOCATORS];
	int top;
	int low;
};

/*
 * What is asked for, and how far below it promotion may go. What processors have in their lists is
 * free as well, but for no more than a quarter of the headroom. Where the lists are short that is
 * 4 MiB at most. Where they are as long as can be, an eighth of the memory, it may be all of the
 * quarter; free memory is then taken to be less than that allows.
 */
FIXTURE_VARIANT(headroom) {
	size_t bytes;
	long percent;
	bool long_lists;
	long below_kb;
	long below_percent;
};

FIXTURE_VARIANT_ADD(headroom, short_lists) {
	.bytes = 64 * MIB, .percent = 50, .below_kb = 4 * 1024
};

FIXTURE_VARIANT_ADD(headroom, long_lists) {
	.bytes = 32 * MIB, .percent = 25, .long_lists = true, .below_kb = 1024, .below_percent = 25
};

FIXTURE_SETUP(headroom)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(headroom)
{
	int i;

	for (i = 0; i < ALLOCATORS; i++)
		kt_kill(self->pids[i]);
	kt_restore_cpu_lists();
	kt_knobs_restore(&self->saved);
}

/* Have long lists, and a bit less than @limit_kb free beside them. */
static int fill_lists(int node, long limit_kb)
{
	long over;

	kt_lengthen_cpu_lists();
	over = kt_node_kb(node, "MemFree") - limit_kb + 4 * 1024;
	return over > 0 ? kt_take(node, over) : 0;
}

/*
 * Four processes allocate and free, so that free memory is now above and now below the headroom,
 * and hot pages wait below. Fails if the headroom is asked for when promotions are planned, and not
 * when they are made; or if all counts as free that processors have in their lists.
 */
TEST_F_TIMEOUT(headroom, is_left_to_others_by_promotion, KT_TIMEOUT)
{
	long headroom = kt_node_kb(self->top, "MemTotal") * variant->percent / 100;
	long limit = headroom - headroom * variant->below_percent / 100 - variant->below_kb;
	struct bursts *all = start_allocators(self->top, self->pids);
	long promoted = kt_sysfs("pages_promoted");
	struct kt_toucher toucher;
	struct watch watch;
	struct kt_region r;
	int i;

	ASSERT_NE(NULL, all);
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", variant->percent));
	ASSERT_EQ(0, kt_region_make(&r, variant->bytes, self->low));
	r.hot_step = 1;
	if (kt_leave_free(self->top, headroom + ALLOCATORS * BURST * 3 / 4 / 1024))
		SKIP(return, "more than half of the top tier is in use");
	if (variant->long_lists)
		ASSERT_EQ(0, fill_lists(self->top, limit));
	__atomic_store_n(&all->go, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));
	watch = watch_for(&all->step, self->top, limit);
	TH_LOG("%ld promoted; %ld looks below %ld KiB, %ld promoted there at most",
	       kt_sysfs("pages_promoted") - promoted, watch.looks, limit, watch.most);
	EXPECT_LT(0, watch.looks);
	if (!variant->long_lists)
		EXPECT_LT(promoted, kt_sysfs("pages_promoted"));
	EXPECT_GE(BATCH, watch.most);

	/* What that would look like if they were made nevertheless: as it does when they may be. */
	ASSERT_EQ(0, kt_set_sysctl("headroom_percent", variant->percent / 2));
	watch = watch_for(&all->step, self->top, limit);
	TH_LOG("without it: %ld looks, %ld promoted there at most", watch.looks, watch.most);
	EXPECT_LT(BATCH, watch.most);
	for (i = 0; i < ALLOCATORS; i++)
		EXPECT_FALSE(all->failed[i]);
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * NUMA balancing
 */

static const char * const pace_names[] = {
	"scan_delay_ms", "scan_period_min_ms", "scan_period_max_ms",
};

/* The largest first, as it is a limit of the others. */
static const char * const pace_fast[] = { "100", "100", "200" };

#define NR_PACES	ARRAY_SIZE(pace_names)

FIXTURE(balancing) {
	struct kt_knobs saved;
	char pace[NR_PACES][16];
	struct kt_region marked;
	struct kt_region other;		/* hot, in the lower tier, not marked */
	int top;
	int low;
};

FIXTURE_VARIANT(balancing) {
	const char *mode;
};

FIXTURE_VARIANT_ADD(balancing, normal) { .mode = "1" };
FIXTURE_VARIANT_ADD(balancing, tiering) { .mode = "2" };

static void set_pace(size_t i, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), BALANCING_DIR "%s", pace_names[i]);
	kt_write(path, text);
}

FIXTURE_SETUP(balancing)
{
	const char *why = kt_find_tiers(&self->top, &self->low);
	char path[96];
	size_t i;

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	for (i = 0; i < NR_PACES; i++) {
		snprintf(path, sizeof(path), BALANCING_DIR "%s", pace_names[i]);
		kt_read(path, self->pace[i], sizeof(self->pace[i]));
		set_pace(i, pace_fast[i]);
	}
	if (kt_write(BALANCING, variant->mode))
		SKIP(return, "no NUMA balancing in this kernel");
	ASSERT_EQ(0, kt_region_make(&self->other, SMALL, self->low));
	self->other.hot_step = 1;
}

FIXTURE_TEARDOWN(balancing)
{
	size_t i;

	for (i = NR_PACES; i-- > 0;)
		set_pace(i, self->pace[i]);
	kt_knobs_restore(&self->saved);
}

static long thread_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

/* Faults that this thread takes when it reads a region: all is there, so they are hints. */
static long count_hints(const struct kt_region *r, long *wrong)
{
	long before = thread_faults();

	*wrong += kt_region_wrong(r);
	return thread_faults() - before;
}

/*
 * Marked memory stays in the lower tier, as ktierd is to move nothing; other memory is brought up
 * by balancing, twice. Fails if hints are taken in marked memory, or in none.
 */
TEST_F_TIMEOUT(balancing, takes_no_faults_in_marked_memory, 2 * KT_TIMEOUT)
{
	long in_marked = 0, in_other = 0, wrong = 0;
	int i;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&self->marked, SMALL, self->low));
	ASSERT_EQ(0, kt_mark(&self->marked));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, kt_bind(self->other.addr, SMALL, self->low));
		ASSERT_EQ(0, kt_unbind(self->other.addr, SMALL));
		EXPECT_TRUE(KT_WAIT((in_marked += count_hints(&self->marked, &wrong),
				     in_other += count_hints(&self->other, &wrong),
				     kt_region_percent(&self->other, KT_ALL, self->top) >= 50),
				    3 * KT_PATIENCE));
	}
	TH_LOG("faults: %ld in marked memory, %ld in other; %ld of %zu marked pages are up",
	       in_marked, in_other, kt_region_count(0, &self->marked, KT_ALL, self->top),
	       self->marked.nr);
	EXPECT_LE(self->other.nr, in_other);
	EXPECT_GE(self->marked.nr / 8, in_marked);
	EXPECT_EQ(self->marked.nr, kt_region_count(0, &self->marked, KT_ALL, self->low));
	EXPECT_EQ(0, wrong);
}

#define VISITS		6

/*
 * Marked pages go down as they are idle, are visited all at once, and are idle again. Fails if that
 * brings them up each time.
 */
TEST_F_TIMEOUT(balancing, fights_over_no_page, 2 * KT_TIMEOUT)
{
	long returned = kt_sysfs("pages_returned"), migrated = kt_vmstat("numa_pages_migrated");
	struct changes changes = { .r = &self->marked };
	struct kt_toucher toucher;
	long wrong = 0;
	int i, looks;

	ASSERT_EQ(0, kt_region_make(&self->marked, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&self->marked));
	/* So that there is something to balance, and one who does it. */
	ASSERT_EQ(0, kt_touch_start(&toucher, &self->other, false));
	look(&changes, self->top);
	for (i = 0; i < VISITS; i++) {
		EXPECT_TRUE(KT_WAIT((look(&changes, self->top),
				     kt_region_is_on(0, &self->marked, self->low)), KT_PATIENCE));
		for (looks = 0; looks < 20; looks++) {
			wrong += kt_region_wrong(&self->other);
			usleep(KT_POLL_US);
		}
		wrong += kt_region_wrong(&self->marked);
	}
	EXPECT_TRUE(KT_WAIT((look(&changes, self->top),
			     kt_region_is_on(0, &self->marked, self->low)), KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->other, KT_ALL, self->top) >= 50,
			    3 * KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	TH_LOG("%zu pages went down %ld times, up %ld times; returned %ld; balancing moved %ld",
	       self->marked.nr, changes.down, changes.up, kt_sysfs("pages_returned") - returned,
	       kt_vmstat("numa_pages_migrated") - migrated);
	EXPECT_GE(self->marked.nr * 5 / 4, changes.down);
	EXPECT_GE(self->marked.nr / 4, changes.up);
	EXPECT_EQ(0, wrong);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
