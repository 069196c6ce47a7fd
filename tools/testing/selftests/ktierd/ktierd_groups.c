// SPDX-License-Identifier: GPL-2.0
/*
 * Control groups: cpusets that shrink, processes that are new in one, and the limits of memory
 * groups, which a move does not touch. Above each test stands what change in the kernel would make
 * it fail.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)

/* What a child has, and does with it. */
struct member {
	struct kt_region *r;
	int node;
	bool hot;
	bool shared;		/* with a child of its own */
};

static struct kt_toucher child_toucher;

static int be_member(void *arg)
{
	struct member *m = arg;

	if (kt_region_fill(m->r, 0, m->r->nr, m->node))
		return -1;
	m->r->hot_step = m->hot;
	return m->hot ? kt_touch_start(&child_toucher, m->r, true) : 0;
}

/* Have a child that has the same memory, and goes when its parent does. */
static int have_child(void)
{
	pid_t parent = getpid(), child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			sleep(1);
		_exit(0);
	}
	return child > 0 ? 0 : -1;
}

static int be_marked_member(void *arg)
{
	struct member *m = arg;

	if (be_member(m) || kt_mark(m->r))
		return -1;
	return m->shared ? have_child() : 0;
}

/*
 * Cpusets
 */

static int set_mems(const struct kt_cgroup *cg, int a, int b)
{
	char text[32];

	snprintf(text, sizeof(text), "%d,%d", a, b);
	return kt_cgroup_set(cg, "cpuset.mems", text);
}

FIXTURE(cpusets) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	pid_t child;
	int from;
	int to;
};

FIXTURE_VARIANT(cpusets) {
	bool hot;
	bool shared;
};

FIXTURE_VARIANT_ADD(cpusets, down) { .hot = false };
FIXTURE_VARIANT_ADD(cpusets, up) { .hot = true };
FIXTURE_VARIANT_ADD(cpusets, down_shared) { .shared = true };

FIXTURE_SETUP(cpusets)
{
	const char *why = variant->hot ? kt_find_tiers(&self->to, &self->from) :
					 kt_find_tiers(&self->from, &self->to);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 100));
	why = kt_cgroup_make(&self->cgroup, "cpuset");
	if (why)
		SKIP(return, "%s", why);
	/* Both, so that the child may start a thread: the kernel can't use movable memory. */
	ASSERT_EQ(0, set_mems(&self->cgroup, self->from, self->to));
}

FIXTURE_TEARDOWN(cpusets)
{
	kt_kill(self->child);
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

#define SHRINKING	(48 * MIB)
#define SHRINKS		12

/*
 * A cpuset that shrinks moves pages back by itself, and would hide that some came too late. So it
 * shrinks in the middle of moving, and what counts is where pages are after that: it does not move
 * back one that ktierd had in its hands then, or has moved later. Fails if ktierd does not have
 * the former moved back, or if it remembers the cpuset from before, for the latter. That it asks
 * again right before it moves what it has chosen is not seen here: without that, what it moves in
 * the wrong direction is moved back as well.
 */
TEST_F_TIMEOUT(cpusets, that_shrink_under_moves, 2 * KT_TIMEOUT)
{
	struct kt_region r;
	struct member member = {
		.r = &r, .node = self->from, .hot = variant->hot, .shared = variant->shared,
	};
	int i;

	ASSERT_EQ(0, kt_region_map(&r, SHRINKING));
	self->child = kt_spawn_in(&self->cgroup, be_marked_member, &member);
	ASSERT_LT(0, self->child);
	srand(1);
	for (i = 0; i < SHRINKS; i++) {
		ASSERT_EQ(0, set_mems(&self->cgroup, self->from, self->to));
		ASSERT_TRUE(KT_WAIT(kt_region_count(self->child, &r, KT_ALL, self->to) >=
				    (long)r.nr / 8, KT_PATIENCE));
		usleep(rand() % 20000);
		ASSERT_EQ(0, set_mems(&self->cgroup, self->from, self->from));
		EXPECT_TRUE(KT_WAIT(!kt_region_count(self->child, &r, KT_ALL, self->to),
				    KT_PATIENCE)) {
			TH_LOG("%ld pages are outside of the cpuset",
			       kt_region_count(self->child, &r, KT_ALL, self->to));
			break;
		}
		ASSERT_TRUE(kt_wait_scans(3));
		EXPECT_EQ(0, kt_region_count(self->child, &r, KT_ALL, self->to));
	}
}

#define NEW_CHILDREN	4

FIXTURE(newcomers) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	pid_t parent;
	pid_t blocker;
	int top;
	int low;
};

FIXTURE_SETUP(newcomers)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 100));
	why = kt_cgroup_make(&self->cgroup, "cpuset");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, set_mems(&self->cgroup, self->top, self->top));
}

FIXTURE_TEARDOWN(newcomers)
{
	kt_kill(self->parent);
	kt_kill(self->blocker);
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

struct newcomer {
	struct kt_region r;
	const struct kt_cgroup *cgroup;		/* to enter; NULL: is there */
	int node;
};

static int be_new(void *arg)
{
	struct newcomer *n = arg;

	if (n->cgroup && kt_cgroup_enter(n->cgroup, getpid()))
		return -1;
	return kt_region_fill(&n->r, 0, n->r.nr, n->node);
}

/*
 * Children whose memory is marked before they are born, and filled after that: by fork in the
 * group, and by fork and then entering it. Fails if a process is taken to be where its parent is.
 */
TEST_F_TIMEOUT(newcomers, are_in_their_cpuset_at_once, KT_TIMEOUT)
{
	struct newcomer new[NEW_CHILDREN] = {}, free = {};
	pid_t child[NEW_CHILDREN], control;
	int i;

	for (i = 0; i < NEW_CHILDREN; i++) {
		new[i].node = self->top;
		new[i].cgroup = i % 2 ? &self->cgroup : NULL;
		ASSERT_EQ(0, kt_region_map(&new[i].r, SMALL));
		ASSERT_EQ(0, kt_mark(&new[i].r));
	}
	free.node = self->top;
	ASSERT_EQ(0, kt_region_map(&free.r, SMALL));
	ASSERT_EQ(0, kt_mark(&free.r));
	for (i = 0; i < NEW_CHILDREN; i++) {
		child[i] = kt_spawn_in(i % 2 ? NULL : &self->cgroup, be_new, &new[i]);
		ASSERT_LT(0, child[i]);
	}
	control = kt_spawn(be_new, &free);
	ASSERT_LT(0, control);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(control, &free.r, self->low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(10));
	for (i = 0; i < NEW_CHILDREN; i++)
		EXPECT_EQ(new[i].r.nr, kt_region_count(child[i], &new[i].r, KT_ALL, self->top));

	ASSERT_EQ(0, set_mems(&self->cgroup, self->top, self->low));
	for (i = 0; i < NEW_CHILDREN; i++) {
		EXPECT_TRUE(KT_WAIT(kt_region_is_on(child[i], &new[i].r, self->low), KT_PATIENCE));
		kt_kill(child[i]);
	}
	kt_kill(control);
}

/*
 * What enters the group, as long as the fork is to wait, and how many others map it, which makes
 * moving it slow; and how many scans that is to be.
 */
#define BLOCKER		(192 * MIB)
#define RELATIVES	8
#define HELD_SCANS	5

/* A process with memory that does something when told to; shared with it. */
struct told {
	struct kt_region r;
	const struct kt_cgroup *cgroup;
	int node;
	bool go;
	bool done;
	bool failed;
	pid_t tid;		/* who does it */
};

static struct told *make_told(const struct kt_cgroup *cg, size_t bytes, int node)
{
	struct told *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0);

	if (t == MAP_FAILED || kt_region_map(&t->r, bytes))
		return NULL;
	t->cgroup = cg;
	t->node = node;
	return t;
}

static void tell(struct told *t)
{
	__atomic_store_n(&t->go, true, __ATOMIC_RELEASE);
}

static bool is_done(const struct told *t)
{
	return __atomic_load_n(&t->done, __ATOMIC_ACQUIRE);
}

static void wait_until_told(struct told *t)
{
	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&t->go, __ATOMIC_ACQUIRE))
		usleep(1000);
}

/* Of a thread that ends the children would, too. */
static void wait_for_the_end(struct told *t)
{
	__atomic_store_n(&t->done, true, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static void *fork_when_told(void *arg)
{
	struct told *t = arg;

	wait_until_told(t);
	t->failed = kt_spawn_in(t->cgroup, NULL, NULL) < 0;
	wait_for_the_end(t);
	return NULL;
}

static void *enter_when_told(void *arg)
{
	struct told *t = arg;

	wait_until_told(t);
	t->failed = kt_cgroup_enter(t->cgroup, getpid());
	wait_for_the_end(t);
	return NULL;
}

static int be_parent(void *arg)
{
	struct told *t = arg;
	pthread_t thread;

	if (kt_region_fill(&t->r, 0, t->r.nr, t->node) || kt_mark(&t->r))
		return -1;
	return pthread_create(&thread, NULL, fork_when_told, t);
}

static int be_blocker(void *arg)
{
	struct told *t = arg;
	pthread_t thread;
	int i;

	if (kt_region_fill(&t->r, 0, t->r.nr, t->node))
		return -1;
	for (i = 0; i < RELATIVES; i++)
		if (kt_spawn(NULL, NULL) < 0)
			return -1;
	return pthread_create(&thread, NULL, enter_when_told, t);
}

/* Does the fork wait for control groups? By then memory has been copied. */
static bool fork_waits(const struct told *t)
{
	char path[64], where[64];

	snprintf(path, sizeof(path), "/proc/%d/wchan", __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE));
	return kt_read(path, where, sizeof(where)) > 0 && strstr(where, "cgroup");
}

static bool has_left(pid_t pid, const struct told *t)
{
	int *node = kt_nodes_of(pid, t->r.addr, 1);
	bool left = *node >= 0 && *node != t->node;

	free(node);
	return left;
}

/* Hold @parent's fork up, and have pages move meanwhile. Returns for how many scans it was held. */
static long hold_fork(pid_t blocker_pid, struct told *blocker, struct told *parent)
{
	long scans;

	tell(blocker);
	while (!has_left(blocker_pid, blocker) && !is_done(blocker))
		usleep(1000);
	tell(parent);
	while (!fork_waits(parent) && !is_done(parent))
		usleep(1000);
	scans = kt_sysfs("scans");
	if (kt_set_sysctl("migrate_mbps", 1048576))
		return -1;
	while (fork_waits(parent))
		usleep(10000);
	return kt_sysfs("scans") - scans;
}

/*
 * Memory that a child has from its parent, before fork has put it into its group. That waits for a
 * lock that is held while another enters a group, as its memory is moved for that. Fails if a child
 * is taken to be in no group until it is in one.
 */
TEST_F_TIMEOUT(newcomers, stay_until_it_is_known_where_they_belong, KT_TIMEOUT)
{
	struct told *blocker = make_told(&self->cgroup, BLOCKER, self->low);
	struct told *parent = make_told(&self->cgroup, SMALL, self->top);
	long scans;

	ASSERT_NE(NULL, blocker);
	ASSERT_NE(NULL, parent);
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	self->blocker = kt_spawn(be_blocker, blocker);
	ASSERT_LT(0, self->blocker);
	self->parent = kt_spawn(be_parent, parent);
	ASSERT_LT(0, self->parent);
	ASSERT_TRUE(kt_wait_scans(5));
	scans = hold_fork(self->blocker, blocker, parent);
	ASSERT_TRUE(KT_WAIT(is_done(parent) && is_done(blocker), KT_PATIENCE));
	ASSERT_FALSE(blocker->failed || parent->failed);
	ASSERT_TRUE(kt_wait_scans(10));
	TH_LOG("the fork was held up for %ld scans", scans);
	ASSERT_EQ(parent->r.nr, kt_region_count(self->parent, &parent->r, KT_ALL, self->top));
	if (scans < HELD_SCANS)
		SKIP(return, "the fork can't be held up for long enough");
}

/*
 * Memory control groups
 */

#define CHARGED		(16 * MIB)

/* Histories, and what each CPU has charged in advance. */
#define CHARGE_SLACK	MIB

FIXTURE(charges) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	struct kt_region idle;
	struct kt_region hot;
	pid_t idle_child;
	pid_t hot_child;
	int top;
	int low;
};

/*
 * A file, and what is written there beyond what is charged. Above memory.high each charge is an
 * event, also that for histories; a charge for all that moves would be 128 of them or more. What
 * protects memory is below.
 */
FIXTURE_VARIANT(charges) {
	const char *limit;
	long beyond;
	long events;
};

FIXTURE_VARIANT_ADD(charges, high) { .limit = "memory.high", .beyond = -(long)CHARGED,
				     .events = 64 };
FIXTURE_VARIANT_ADD(charges, max) { .limit = "memory.max", .beyond = CHARGE_SLACK };

FIXTURE_SETUP(charges)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	why = kt_cgroup_make(&self->cgroup, "memory");
	if (why)
		SKIP(return, "%s", why);
	kt_cgroup_set(&self->cgroup, "memory.swap.max", "0");
}

FIXTURE_TEARDOWN(charges)
{
	kt_kill(self->idle_child);
	kt_kill(self->hot_child);
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

static int mark_in(pid_t pid, const struct kt_region *r)
{
	ssize_t bytes = r->nr * kt_page();

	return kt_advise_process(pid, r->addr, bytes, MADV_TIER, 0) == bytes ? 0 : -EIO;
}

/* What has happened to the group that a limit stands for. */
static long limit_events(const struct kt_cgroup *cg)
{
	static const char * const names[] = { "high", "max", "oom", "oom_kill" };
	long sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		sum += kt_cgroup_stat(cg, "memory.events", names[i]);
	return sum;
}

/*
 * A process whose idle pages go down and one whose hot pages come up, at a limit. Fails if a move
 * is charged as new memory, is charged to somebody else, or is stopped by a limit on how much.
 */
TEST_F_TIMEOUT(charges, are_not_changed_by_moves, KT_TIMEOUT)
{
	struct member idle = { .r = &self->idle, .node = self->top };
	struct member hot = { .r = &self->hot, .node = self->low, .hot = true };
	long anon, current, events;
	char text[32];

	ASSERT_EQ(0, kt_region_map(&self->idle, CHARGED));
	ASSERT_EQ(0, kt_region_map(&self->hot, CHARGED));
	self->idle_child = kt_spawn_in(&self->cgroup, be_member, &idle);
	self->hot_child = kt_spawn_in(&self->cgroup, be_member, &hot);
	ASSERT_LT(0, self->idle_child);
	ASSERT_LT(0, self->hot_child);
	current = kt_cgroup_long(&self->cgroup, "memory.current");
	anon = kt_cgroup_stat(&self->cgroup, "memory.stat", "anon");
	ASSERT_LE(2 * CHARGED, current);
	snprintf(text, sizeof(text), "%ld", current + variant->beyond);
	ASSERT_EQ(0, kt_cgroup_set(&self->cgroup, variant->limit, text));
	sleep(1);
	events = limit_events(&self->cgroup);

	ASSERT_EQ(0, mark_in(self->idle_child, &self->idle));
	ASSERT_EQ(0, mark_in(self->hot_child, &self->hot));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(self->idle_child, &self->idle, self->low),
			    KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(self->hot_child, &self->hot, self->top),
			    KT_PATIENCE));
	TH_LOG("anon %+ld, current %+ld, events %+ld",
	       kt_cgroup_stat(&self->cgroup, "memory.stat", "anon") - anon,
	       kt_cgroup_long(&self->cgroup, "memory.current") - current,
	       limit_events(&self->cgroup) - events);
	EXPECT_GE(CHARGE_SLACK,
		  labs(kt_cgroup_stat(&self->cgroup, "memory.stat", "anon") - anon));
	EXPECT_GE(CHARGE_SLACK,
		  labs(kt_cgroup_long(&self->cgroup, "memory.current") - current));
	EXPECT_GE(variant->events, limit_events(&self->cgroup) - events);
}

#define SWAP		(512 * MIB)
#define UNPROTECTED	(64 * MIB)

/* So much is reclaimed before pages move and while they do, in steps of so much. */
#define RECLAIM_STEPS	8
#define RECLAIM_STEP	(2 * MIB)

FIXTURE(protection) {
	struct kt_knobs saved;
	struct kt_zram swap;
	struct kt_cgroup cgroup;
	struct kt_cgroup kept;		/* below it: protected, and not */
	struct kt_cgroup other;
	struct kt_region kept_r;
	struct kt_region other_r;
	pid_t kept_child;
	pid_t other_child;
	int top;
	int low;
};

FIXTURE_VARIANT(protection) {
	const char *file;
};

FIXTURE_VARIANT_ADD(protection, min) { .file = "memory.min" };
FIXTURE_VARIANT_ADD(protection, low) { .file = "memory.low" };

static int make_below(struct kt_cgroup *below, const struct kt_cgroup *cg, const char *name)
{
	snprintf(below->path, sizeof(below->path), "%.150s/%s", cg->path, name);
	return mkdir(below->path, 0755);
}

FIXTURE_SETUP(protection)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	self->swap.number = -1;
	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	why = kt_swap_make(&self->swap, SWAP);
	if (why)
		SKIP(return, "%s", why);
	why = kt_cgroup_make(&self->cgroup, "memory");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_cgroup_set(&self->cgroup, "cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, make_below(&self->kept, &self->cgroup, "kept"));
	ASSERT_EQ(0, make_below(&self->other, &self->cgroup, "other"));
	ASSERT_EQ(0, kt_cgroup_set(&self->kept, variant->file, "max"));
}

FIXTURE_TEARDOWN(protection)
{
	kt_kill(self->kept_child);
	kt_kill(self->other_child);
	kt_cgroup_remove(&self->kept);
	kt_cgroup_remove(&self->other);
	kt_cgroup_remove(&self->cgroup);
	kt_swap_remove(&self->swap);
	kt_knobs_restore(&self->saved);
}

/* How much of the memory that is charged to a group is on a node. */
static long anon_on(const struct kt_cgroup *cg, int node)
{
	char path[256], line[256], name[16];
	long bytes = -1;
	FILE *f;
	char *at;

	snprintf(path, sizeof(path), "%s/memory.numa_stat", cg->path);
	snprintf(name, sizeof(name), " N%d=", node);
	f = fopen(path, "r");
	while (f && bytes < 0 && fgets(line, sizeof(line), f)) {
		at = strncmp(line, "anon ", 5) ? NULL : strstr(line, name);
		if (at)
			bytes = strtol(at + strlen(name), NULL, 10);
	}
	if (f)
		fclose(f);
	return bytes;
}

/* Pages that are no longer there. */
static long count_lost(pid_t pid, const struct kt_region *r, int top, int low)
{
	return r->nr - kt_region_count(pid, r, KT_ALL, top) - kt_region_count(pid, r, KT_ALL, low);
}

/* In small steps, so that there is a chance that pages are on their way. */
static void reclaim_some(const struct kt_cgroup *cg)
{
	char text[32];
	int i;

	snprintf(text, sizeof(text), "%lu", RECLAIM_STEP);
	for (i = 0; i < RECLAIM_STEPS; i++) {
		kt_cgroup_set(cg, "memory.reclaim", text);
		usleep(KT_POLL_US / 2);
	}
}

/*
 * Reclaim in the group above takes memory of one that is not protected, before pages move and when
 * they do. Fails if it takes protected pages while they are in the top tier or on their way, or if
 * what is moved is charged to another group, such as the one above. That alone would lose no page
 * here: reclaim finds enough in the top tier and leaves the lower one alone.
 */
TEST_F_TIMEOUT(protection, stays_with_what_is_moved, KT_TIMEOUT)
{
	struct member kept = { .r = &self->kept_r, .node = self->top };
	struct member other = { .r = &self->other_r, .node = self->top };
	long without, with, before, after;

	ASSERT_EQ(0, kt_region_map(&self->kept_r, CHARGED));
	ASSERT_EQ(0, kt_region_map(&self->other_r, UNPROTECTED));
	self->kept_child = kt_spawn_in(&self->kept, be_member, &kept);
	ASSERT_LT(0, self->kept_child);
	self->other_child = kt_spawn_in(&self->other, be_member, &other);
	ASSERT_LT(0, self->other_child);
	reclaim_some(&self->cgroup);
	without = count_lost(self->kept_child, &self->kept_r, self->top, self->low);
	before = count_lost(self->other_child, &self->other_r, self->top, self->low);

	ASSERT_EQ(0, mark_in(self->kept_child, &self->kept_r));
	reclaim_some(&self->cgroup);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(self->kept_child, &self->kept_r, self->low),
			    KT_PATIENCE));
	reclaim_some(&self->cgroup);
	with = count_lost(self->kept_child, &self->kept_r, self->top, self->low);
	after = count_lost(self->other_child, &self->other_r, self->top, self->low);
	TH_LOG("of %zu pages %ld are lost before they move, %ld after; of %zu others %ld, %ld",
	       self->kept_r.nr, without, with, self->other_r.nr, before, after);
	TH_LOG("of their group %ld KiB are in the top tier, %ld KiB in the lower one",
	       anon_on(&self->kept, self->top) / 1024, anon_on(&self->kept, self->low) / 1024);
	EXPECT_GE(CHARGE_SLACK, anon_on(&self->kept, self->top));
	EXPECT_GE(CHARGE_SLACK, labs(anon_on(&self->kept, self->low) - (long)CHARGED));
	EXPECT_LE(RECLAIM_STEPS * RECLAIM_STEP / 2 / kt_page(), before);
	EXPECT_LE(before + RECLAIM_STEPS * RECLAIM_STEP / 2 / (long)kt_page(), after);
	EXPECT_EQ(without, with);
	EXPECT_GE((long)self->kept_r.nr / 64, with);
}

/* Pages far from each other, so that histories take more than what CPUs have charged in advance. */
#define TABLE		(2 * MIB)
#define NR_TABLES	1000

static int be_sparse(void *arg)
{
	char *mem = arg;
	size_t i;

	for (i = 0; i < NR_TABLES; i++)
		mem[i * TABLE] = 1;
	return 0;
}

static long count_sparse(pid_t pid, const char *mem, int node)
{
	long count = 0;
	size_t i;
	int *at;

	for (i = 0; i < NR_TABLES; i++) {
		at = kt_nodes_of(pid, mem + i * TABLE, 1);
		count += *at == node;
		free(at);
	}
	return count;
}

FIXTURE(full) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	pid_t child;
	int top;
	int low;
};

/* What the group may have before it is slowed down; NULL: as much as it likes. */
FIXTURE_VARIANT(full) {
	const char *high;
};

FIXTURE_VARIANT_ADD(full, at_max) { .high = NULL };
FIXTURE_VARIANT_ADD(full, at_max_and_over_high) { .high = "4M" };

FIXTURE_SETUP(full)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	why = kt_cgroup_make(&self->cgroup, "memory");
	if (why)
		SKIP(return, "%s", why);
	kt_cgroup_set(&self->cgroup, "memory.swap.max", "0");
}

FIXTURE_TEARDOWN(full)
{
	kt_kill(self->child);
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

/*
 * A group that can have no more memory, for histories or anything else, and has none to give back.
 * Fails if ktierd waits, or searches, as long as members of the group would have to: then it has no
 * time for others. And if somebody is killed for it.
 */
TEST_F_TIMEOUT(full, groups_hold_nobody_up, KT_TIMEOUT)
{
	ssize_t bytes = NR_TABLES * TABLE;
	char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char text[32];
	long scans;

	ASSERT_NE(MAP_FAILED, mem);
	self->child = kt_spawn_in(&self->cgroup, be_sparse, mem);
	ASSERT_LT(0, self->child);
	snprintf(text, sizeof(text), "%ld", kt_cgroup_long(&self->cgroup, "memory.current"));
	ASSERT_EQ(0, kt_cgroup_set(&self->cgroup, "memory.max", text));
	if (variant->high)
		ASSERT_EQ(0, kt_cgroup_set(&self->cgroup, "memory.high", variant->high));
	scans = kt_sysfs("scans");
	ASSERT_EQ(bytes, kt_advise_process(self->child, mem, bytes, MADV_TIER, 0));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	ASSERT_TRUE(kt_wait_scans(10));
	TH_LOG("%ld scans, %ld ms of sampling, %ld events, %ld of %d pages went down",
	       kt_sysfs("scans") - scans, kt_sysfs("scan_ms"), limit_events(&self->cgroup),
	       count_sparse(self->child, mem, self->low), NR_TABLES);
	EXPECT_EQ(0, kt_cgroup_stat(&self->cgroup, "memory.events", "oom_kill"));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
