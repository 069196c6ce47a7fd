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
	unsigned char *moves;	/* of each page */
	long up;
	long down;
	long hot_down;
};

static bool is_hot(const struct kt_region *r, size_t i)
{
	return r->hot_step && i % r->hot_step == r->phase;
}

static void look(struct changes *c, int top)
{
	int *now = kt_nodes_of(0, c->r->addr, c->r->nr);
	size_t i;

	if (!c->moves)
		c->moves = calloc(c->r->nr, sizeof(*c->moves));
	if (!c->moves)
		abort();
	for (i = 0; i < c->r->nr; i++) {
		if (now[i] < 0)		/* on its way */
			continue;
		if (c->node && now[i] != c->node[i]) {
			c->moves[i]++;
			c->up += now[i] == top;
			c->down += now[i] != top;
			c->hot_down += now[i] != top && is_hot(c->r, i);
		}
	}
	for (i = 0; c->node && i < c->r->nr; i++)
		if (now[i] < 0)
			now[i] = c->node[i];
	free(c->node);
	c->node = now;
}

/* How often pages came back to where they had been at the first look. */
static long round_trips(const struct changes *c)
{
	long trips = 0;
	size_t i;

	for (i = 0; i < c->r->nr; i++)
		trips += c->moves[i] / 2;
	return trips;
}

/*
 * Reclaim
 */

#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"

/* So often memory gets short, and by so much. */
#define SQUEEZES	4
#define SQUEEZE		(4 * MIB)

/* Every eighth page is hot. A squeeze may take ten times from a node what it asks for. */
#define SQUEEZED	(256 * MIB)
#define HOT_STEP	8

/* By then each table has had a full look: one in KTIERD_FULL_ROUNDS is one. */
#define FULL_SCANS	20

#define FAST_MS		100
#define NEVER_MS	3600000

#define LOOKS		20

FIXTURE(reclaim) {
	struct kt_knobs saved;
	char demotion[16];
	char lru_gen[16];
	struct kt_cgroup cgroup;
	struct kt_region r;
	pid_t child;
	int top;
	int low;
};

/* What reclaim goes by. */
FIXTURE_VARIANT(reclaim) {
	const char *lru_gen;
};

FIXTURE_VARIANT_ADD(reclaim, by_generations) { .lru_gen = "y" };
FIXTURE_VARIANT_ADD(reclaim, by_two_lists) { .lru_gen = "n" };

FIXTURE_SETUP(reclaim)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	/* Only reclaim finds that idle pages are. */
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 0));
	kt_read(DEMOTION, self->demotion, sizeof(self->demotion));
	kt_read(LRU_GEN, self->lru_gen, sizeof(self->lru_gen));
	if (kt_write(DEMOTION, "1"))
		SKIP(return, "reclaim does not demote in this kernel");
	if (kt_write(LRU_GEN, variant->lru_gen) && variant->lru_gen[0] == 'y')
		SKIP(return, "no generations in this kernel");
	if (kt_node_kb(self->top, "MemFree") * 1024 < (long)SQUEEZED * 5 / 4)
		SKIP(return, "the top tier is too small");
}

/* Who is in a group can't remove it. */
static void leave_and_remove(struct kt_cgroup *cg)
{
	struct kt_cgroup root = {};

	if (cg->path[0]) {
		snprintf(root.path, sizeof(root.path), "%s", cg->root);
		kt_cgroup_enter(&root, getpid());
	}
	kt_cgroup_remove(cg);
}

FIXTURE_TEARDOWN(reclaim)
{
	kt_kill(self->child);
	leave_and_remove(&self->cgroup);
	kt_write(LRU_GEN, self->lru_gen);
	kt_write(DEMOTION, self->demotion);
	kt_knobs_restore(&self->saved);
}

static long demoted_by_reclaim(void)
{
	return kt_vmstat("pgdemote_kswapd") + kt_vmstat("pgdemote_direct") +
	       kt_vmstat("pgdemote_khugepaged");
}

/*
 * Have reclaim take all pages for old ones, use the hot ones for @scans, and then wait until their
 * accessed bits have been cleared again. No scan follows that.
 */
static void use_and_leave(struct __test_metadata *const _metadata, struct kt_region *r, long scans)
{
	struct kt_toucher toucher;

	ASSERT_EQ(0, madvise(r->addr, r->nr * kt_page(), MADV_COLD));
	ASSERT_EQ(0, kt_touch_start(&toucher, r, true));
	ASSERT_TRUE(KT_WAIT(__atomic_load_n(&toucher.rounds, __ATOMIC_RELAXED), KT_PATIENCE));
	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", FAST_MS));
	ASSERT_TRUE(kt_wait_scans(scans));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	/* One of two begins after that. */
	ASSERT_TRUE(kt_wait_scans(2));
	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", NEVER_MS));
}

/* What reclaim takes from a group, and how much of that is hot. */
struct taken {
	long pages;
	long hot;
};

static void take_from_group(struct taken *t, const struct kt_cgroup *cg, size_t bytes,
			    const struct kt_region *r, int low)
{
	char text[32];

	t->hot -= kt_region_count(0, r, KT_HOT, low);
	t->pages -= demoted_by_reclaim();
	snprintf(text, sizeof(text), "%zu", bytes);
	kt_cgroup_set(cg, "memory.reclaim", text);
	t->hot += kt_region_count(0, r, KT_HOT, low);
	t->pages += demoted_by_reclaim();
}

/* A region that is charged to a group of its own, marked and idle. */
static const char *make_group(struct __test_metadata *const _metadata, struct kt_cgroup *cg,
			      struct kt_region *r, int top)
{
	const char *why = kt_cgroup_make(cg, "memory");

	if (why)
		return why;
	ASSERT_EQ(0, kt_cgroup_enter(cg, getpid()));
	ASSERT_EQ(0, kt_region_make(r, SQUEEZED, top));
	r->hot_step = HOT_STEP;
	ASSERT_EQ(0, kt_mark(r));
	/* For some scans what was filled counts as used. */
	ASSERT_TRUE(kt_wait_scans(FULL_SCANS));
	return NULL;
}

/*
 * Reclaim in a group, of old pages, when ktierd has just cleared all accessed bits. Of those that
 * were used only ktierd knows. Fails if it keeps that to itself: then one in eight of those that
 * reclaim demotes is hot.
 */
TEST_F_TIMEOUT(reclaim, is_told_of_cleared_bits, 2 * KT_TIMEOUT)
{
	const char *why = make_group(_metadata, &self->cgroup, &self->r, self->top);
	struct taken taken = {};
	int i;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < SQUEEZES; i++) {
		use_and_leave(_metadata, &self->r, FULL_SCANS);
		take_from_group(&taken, &self->cgroup, SQUEEZE, &self->r, self->low);
	}
	TH_LOG("of %ld pages that reclaim demoted %ld are hot", taken.pages, taken.hot);
	/* Else nothing was tried. */
	EXPECT_LE(SQUEEZES * SQUEEZE / 2 / kt_page(), taken.pages);
	EXPECT_GE(taken.pages / HOT_STEP / 8, taken.hot);
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

/* So little that moving it does not make looks full: a 256th of all memory would. */
#define SIPS		10
#define SIP		(MIB / 2)

/*
 * The same as soon as one scan has seen what is used, most of which are light looks: a group has
 * reclaimed before that, and so they tell, too. Fails if they don't, or if ktierd does not notice
 * that a group reclaims.
 */
TEST_F_TIMEOUT(reclaim, is_told_at_once_when_at_work, 2 * KT_TIMEOUT)
{
	const char *why = make_group(_metadata, &self->cgroup, &self->r, self->top);
	struct taken first = {}, taken = {};
	int i;

	if (why)
		SKIP(return, "%s", why);
	use_and_leave(_metadata, &self->r, FULL_SCANS);
	take_from_group(&first, &self->cgroup, SIP, &self->r, self->low);
	for (i = 0; i < SIPS; i++) {
		use_and_leave(_metadata, &self->r, 1);
		take_from_group(&taken, &self->cgroup, SIP, &self->r, self->low);
	}
	TH_LOG("of %ld pages that reclaim demoted %ld are hot", taken.pages, taken.hot);
	EXPECT_LE(SIPS * SIP / 2 / kt_page(), taken.pages);
	EXPECT_GE(taken.pages / HOT_STEP / 8, taken.hot);
	EXPECT_EQ(0, kt_region_wrong(&self->r));
}

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

/* Look at pages while memory gets short, and some time after that. */
static void look_while_short(struct changes *c, struct squeezer *s)
{
	int looks;

	__atomic_store_n(&s->wanted, s->wanted + 1, __ATOMIC_RELEASE);
	for (looks = 0; looks < LOOKS || __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) != s->wanted;
	     looks++) {
		look(c, s->node);
		usleep(KT_POLL_US);
	}
}

/*
 * Have memory get short again and again while hot pages are used. It ends before there are no idle
 * ones left in the top tier: hot ones would have to go, whoever knows of them.
 */
static void squeeze_node(struct __test_metadata *const _metadata, struct squeezer *s,
			 struct changes *c)
{
	long promoted = kt_sysfs("pages_promoted"), demoted = kt_sysfs("pages_demoted");
	long before = demoted_by_reclaim(), by_reclaim;
	int i;

	look(c, s->node);
	for (i = 0; i < SQUEEZES && kt_region_percent(c->r, KT_IDLE, s->node) >= 30; i++)
		look_while_short(c, s);
	by_reclaim = demoted_by_reclaim() - before;
	TH_LOG("%smarked, short %d times: reclaim demoted %ld, ktierd demoted %ld, promoted %ld",
	       kt_marked(0, c->r->addr) ? "" : "not ", i, by_reclaim,
	       kt_sysfs("pages_demoted") - demoted, kt_sysfs("pages_promoted") - promoted);
	TH_LOG("hot pages went down %ld times; %ld round trips, of any page; %ld%% of idle are up",
	       c->hot_down, round_trips(c), kt_region_percent(c->r, KT_IDLE, s->node));
	EXPECT_LE(2 * SQUEEZE / kt_page(), by_reclaim);
	EXPECT_EQ(0, s->failed);
}

/*
 * The top tier gets short of memory, and kswapd and who allocates demote. First without marks; then
 * with them, when ktierd has brought a quarter of the hot pages up. Fails if reclaim and ktierd
 * differ in what they take for hot, so that one brings back what the other has moved. By chance
 * that may be so of one hot page in a hundred. With two lists it also fails if ktierd does not tell
 * what bits it has cleared; with generations that may pass, as reclaim looks for bits itself.
 */
TEST_F_TIMEOUT(reclaim, and_ktierd_undo_no_move_of_each_other, 2 * KT_TIMEOUT)
{
	struct kt_region *r = &self->r;
	struct changes without = { .r = r }, with = { .r = r };
	struct kt_toucher toucher;
	struct squeezer *squeezer;
	long few;

	self->child = start_squeezer(&squeezer, self->top);
	ASSERT_LT(0, self->child);
	ASSERT_EQ(0, kt_region_make(r, SQUEEZED, self->top));
	r->hot_step = HOT_STEP;
	few = r->nr / HOT_STEP / 100;
	ASSERT_EQ(0, kt_touch_start(&toucher, r, true));
	squeeze_node(_metadata, squeezer, &without);

	ASSERT_EQ(0, kt_bind(r->addr, SQUEEZED, self->top));
	ASSERT_EQ(0, kt_bind(r->addr, SQUEEZED / 4, self->low));
	ASSERT_EQ(0, kt_unbind(r->addr, SQUEEZED));
	ASSERT_EQ(0, kt_mark(r));
	ASSERT_TRUE(KT_WAIT(kt_region_percent(r, KT_HOT, self->top) >= KT_NEARLY_ALL,
			    KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(FULL_SCANS));
	squeeze_node(_metadata, squeezer, &with);
	EXPECT_GE(few, with.hot_down);
	EXPECT_GE(few, round_trips(&with));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(r));
}

FIXTURE(beside) {
	struct kt_knobs saved;
	struct kt_zram swap;
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
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(beside)
{
	kt_kill(self->child);
	kt_swap_remove(&self->swap);
	kt_knobs_restore(&self->saved);
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
	double began;
};

/* Low bits: how many are at it; the others: how often one was. */
#define AT_IT		0xffUL

static void begin(struct allocator *a)
{
	a->began = kt_now();
	__atomic_fetch_add(&a->all->step, 1, __ATOMIC_SEQ_CST);
}

/* At it for a fifth of the time at most, however slow the kernel, so that often nobody is. */
static void end(struct allocator *a)
{
	useconds_t pause = (kt_now() - a->began) * 4 * 1000000;

	__atomic_fetch_add(&a->all->step, AT_IT, __ATOMIC_SEQ_CST);
	usleep(pause + BURST_MAX_US / 4 + rand_r(&a->seed) % BURST_MAX_US);
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
	/* What was used once counts as free. */
	kt_drop_page_cache();
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
	if (variant->long_lists && !watch.looks && !access(KT_KMEMLEAK, F_OK))
		SKIP(return, "processors never had a quarter of the headroom in their lists");
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
