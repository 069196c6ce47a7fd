// SPDX-License-Identifier: GPL-2.0
/*
 * Memory policies of every mode: those that say where pages must be are rules for ktierd, those
 * that say where to try first are not. Above each test stands what change in the kernel would make
 * it fail.
 *
 * Pages that stay and pages that move do so in one test, and differ in nothing but the policy.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)

/* Of one policy. */
#define PART		MIB

struct policy {
	const char *name;
	int mode;
	bool limits;
	bool nodes;		/* it has some */
};

static const struct policy policies[] = {
	{ "default", MPOL_DEFAULT },
	{ "local", MPOL_LOCAL },
	{ "preferred", MPOL_PREFERRED, .nodes = true },
	{ "preferred, static", MPOL_PREFERRED | MPOL_F_STATIC_NODES, .nodes = true },
	{ "preferred-many", MPOL_PREFERRED_MANY, .nodes = true },
	{ "bind", MPOL_BIND, .limits = true, .nodes = true },
	{ "bind, static", MPOL_BIND | MPOL_F_STATIC_NODES, .limits = true, .nodes = true },
	{ "bind, relative", MPOL_BIND | MPOL_F_RELATIVE_NODES, .limits = true, .nodes = true },
	{ "bind, balanced", MPOL_BIND | MPOL_F_NUMA_BALANCING, .limits = true, .nodes = true },
	{ "interleave", MPOL_INTERLEAVE, .limits = true, .nodes = true },
	{ "interleave, relative", MPOL_INTERLEAVE | MPOL_F_RELATIVE_NODES, .limits = true,
	  .nodes = true },
	{ "weighted interleave", MPOL_WEIGHTED_INTERLEAVE, .limits = true, .nodes = true },
};

#define NR_POLICIES	((int)ARRAY_SIZE(policies))

/* Relative ones say how many nodes with memory are before it. */
static unsigned long node_bit(const struct policy *p, int node)
{
	int relative = 0;
	int i;

	if (!(p->mode & MPOL_F_RELATIVE_NODES))
		return 1UL << node;
	for (i = 0; i < node; i++)
		relative += kt_node_kb(i, "MemTotal") > 0;
	return 1UL << relative;
}

/* Two nodes, or one twice. */
static unsigned long policy_mask(const struct policy *p, int node, int other)
{
	return p->nodes ? node_bit(p, node) | node_bit(p, other) : 0;
}

/* For pages to come: none is moved by it. */
static int set_vma_policy(const struct kt_region *r, const struct policy *p, int node, int other)
{
	unsigned long mask = policy_mask(p, node, other);

	return syscall(SYS_mbind, r->addr, r->nr * kt_page(), p->mode, mask ? &mask : NULL,
		       mask ? 8 * sizeof(mask) : 0, 0) ? -errno : 0;
}

static int set_task_policy(const struct policy *p, int node)
{
	unsigned long mask = policy_mask(p, node, node);

	return syscall(SYS_set_mempolicy, p->mode, mask ? &mask : NULL,
		       mask ? 8 * sizeof(mask) : 0) ? -errno : 0;
}

FIXTURE(policies) {
	struct kt_knobs saved;
	struct kt_region r[NR_POLICIES];
	struct kt_toucher toucher[NR_POLICIES];
	pid_t child[NR_POLICIES];	/* 0: the memory is our own */
	int from;
	int to;
};

/* Hot pages want up, idle ones down. */
FIXTURE_VARIANT(policies) {
	bool hot;
};

FIXTURE_VARIANT_ADD(policies, down) { .hot = false };
FIXTURE_VARIANT_ADD(policies, up) { .hot = true };

FIXTURE_SETUP(policies)
{
	const char *why = variant->hot ? kt_find_tiers(&self->to, &self->from) :
					 kt_find_tiers(&self->from, &self->to);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(policies)
{
	int i;

	for (i = 0; i < NR_POLICIES; i++)
		kt_kill(self->child[i]);
	kt_knobs_restore(&self->saved);
}

/* Whether all that is under policies that do not limit, or under the others, is on a node. */
static bool are_on(const struct kt_region *r, const pid_t *child, bool limits, int node)
{
	int i;

	for (i = 0; i < NR_POLICIES; i++)
		if (policies[i].limits == limits && !kt_region_is_on(child[i], &r[i], node))
			return false;
	return true;
}

static void say_policies(const struct kt_region *r, const pid_t *child, int from, int to)
{
	int i;

	for (i = 0; i < NR_POLICIES; i++)
		printf("# %s: %ld pages stayed, %ld moved\n", policies[i].name,
		       kt_region_count(child[i], &r[i], KT_ALL, from),
		       kt_region_count(child[i], &r[i], KT_ALL, to));
}

static long count_limited(const struct kt_region *r, const pid_t *child, int node)
{
	long count = 0;
	int i;

	for (i = 0; i < NR_POLICIES; i++)
		if (policies[i].limits)
			count += kt_region_count(child[i], &r[i], KT_ALL, node);
	return count;
}

static size_t nr_limited(void)
{
	size_t nr = 0;
	int i;

	for (i = 0; i < NR_POLICIES; i++)
		nr += policies[i].limits * PART / kt_page();
	return nr;
}

/*
 * Fails if a mode that limits is taken for one that does not, or the other way round; if a mode's
 * flags hide it; or if it is asked in one direction only.
 */
TEST_F_TIMEOUT(policies, of_mappings, KT_TIMEOUT)
{
	long refused = kt_sysfs("failed/policy");
	struct kt_region *r = self->r;
	int i;

	for (i = 0; i < NR_POLICIES; i++) {
		ASSERT_EQ(0, kt_region_make(&r[i], PART, self->from));
		ASSERT_EQ(0, set_vma_policy(&r[i], &policies[i], self->from, self->from)) {
			TH_LOG("%s", policies[i].name);
		}
		r[i].hot_step = variant->hot;
		if (variant->hot)
			ASSERT_EQ(0, kt_touch_start(&self->toucher[i], &r[i], true));
		ASSERT_EQ(0, kt_mark(&r[i]));
	}
	EXPECT_TRUE(KT_WAIT(are_on(r, self->child, false, self->to), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(nr_limited(), count_limited(r, self->child, self->from));
	say_policies(r, self->child, self->from, self->to);
	EXPECT_LT(refused, kt_sysfs("failed/policy"));

	/* The same modes let go when they name the other node, too. */
	for (i = 0; i < NR_POLICIES; i++)
		ASSERT_EQ(0, set_vma_policy(&r[i], &policies[i], self->from, self->to));
	EXPECT_TRUE(KT_WAIT(are_on(r, self->child, true, self->to), KT_PATIENCE)) {
		say_policies(r, self->child, self->from, self->to);
	}
	for (i = 0; i < NR_POLICIES; i++) {
		if (variant->hot)
			EXPECT_EQ(0, kt_touch_stop(&self->toucher[i]));
		EXPECT_EQ(0, kt_region_wrong(&r[i]));
	}
}

struct ruled {
	const struct policy *policy;
	struct kt_region *r;
	int node;
	bool hot;
};

static struct kt_toucher child_toucher;

static int be_ruled(void *arg)
{
	struct ruled *ruled = arg;

	if (kt_region_fill(ruled->r, 0, ruled->r->nr, ruled->node) ||
	    set_task_policy(ruled->policy, ruled->node))
		return -1;
	ruled->r->hot_step = ruled->hot;
	if (ruled->hot && kt_touch_start(&child_toucher, ruled->r, true))
		return -1;
	return kt_mark(ruled->r);
}

/* The same for processes. Fails also if the policy of another process is asked. */
TEST_F_TIMEOUT(policies, of_processes, KT_TIMEOUT)
{
	long refused = kt_sysfs("failed/policy");
	struct kt_region *r = self->r;
	int i;

	for (i = 0; i < NR_POLICIES; i++) {
		struct ruled ruled = {
			.policy = &policies[i],
			.r = &r[i],
			.node = self->from,
			.hot = variant->hot,
		};

		ASSERT_EQ(0, kt_region_map(&r[i], PART));
		self->child[i] = kt_spawn(be_ruled, &ruled);
		ASSERT_LT(0, self->child[i]) TH_LOG("%s", policies[i].name);
	}
	EXPECT_TRUE(KT_WAIT(are_on(r, self->child, false, self->to), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(nr_limited(), count_limited(r, self->child, self->from));
	say_policies(r, self->child, self->from, self->to);
	EXPECT_LT(refused, kt_sysfs("failed/policy"));
}

/* A policy for each second range of this many pages. */
#define RANGE_PAGES	16

static bool is_bound(size_t i, bool first)
{
	return (i / RANGE_PAGES % 2 == 0) == first;
}

static long count_ranges(const struct kt_region *r, bool first, bool bound, int node)
{
	int *nodes = kt_nodes_of(0, r->addr, r->nr);
	long count = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		count += nodes[i] == node && is_bound(i, first) == bound;
	free(nodes);
	return count;
}

static bool ranges_are_on(const struct kt_region *r, bool first, bool bound, int node)
{
	return count_ranges(r, first, bound, node) * 100 >= KT_NEARLY_ALL * (long)r->nr / 2;
}

/* A shared mapping of a file, between inaccessible pages. */
static char *map_shared(int fd, size_t bytes)
{
	char *addr = kt_map(bytes);

	if (addr == MAP_FAILED)
		return addr;
	return mmap(addr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

static int bind_ranges(const struct kt_region *r, bool first, int node)
{
	size_t bytes = RANGE_PAGES * kt_page();
	int err = 0;
	size_t i;

	for (i = 0; i < r->nr && !err; i += RANGE_PAGES)
		if (is_bound(i, first))
			err = kt_bind(r->addr + i * kt_page(), bytes, node);
	return err;
}

/* A file in memory has a policy for each second range; what is mapped is one piece of it all. */
static int make_ranges(struct kt_region *r, bool first, int node)
{
	int fd = memfd_create("ktierd", 0);

	memset(r, 0, sizeof(*r));
	r->nr = SMALL / kt_page();
	r->seq = calloc(r->nr, sizeof(*r->seq));
	if (fd < 0 || !r->seq || ftruncate(fd, SMALL))
		return -1;
	r->addr = map_shared(fd, SMALL);
	r->origin = r->addr;
	if (r->addr == MAP_FAILED || kt_region_fill(r, 0, r->nr, node) ||
	    bind_ranges(r, first, node) || munmap(r->addr, SMALL))
		return -1;
	r->addr = map_shared(fd, SMALL);
	close(fd);
	/* And the pages are mapped, too. */
	return r->addr == MAP_FAILED || kt_region_wrong(r) ? -1 : 0;
}

static void test_ranges(struct __test_metadata *const _metadata, bool first, bool hot, int from,
			int to)
{
	struct kt_toucher toucher;
	struct kt_region r;

	ASSERT_EQ(0, make_ranges(&r, first, from));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, from));
	r.hot_step = hot;
	if (hot)
		ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(ranges_are_on(&r, first, false, to), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(r.nr / 2, count_ranges(&r, first, true, from));

	/* The default would change nothing, as this mapping itself has no policy. */
	ASSERT_EQ(0, kt_bind_two(r.addr, SMALL, from, to));
	EXPECT_TRUE(KT_WAIT(ranges_are_on(&r, first, true, to), KT_PATIENCE));
	if (hot)
		EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
	munmap(r.addr, SMALL);
}

/* Fails if shared memory is judged by its first page, or by the process's policy. */
TEST_F_TIMEOUT(policies, of_ranges_of_shared_memory, 2 * KT_TIMEOUT)
{
	TH_LOG("the first range is free");
	test_ranges(_metadata, false, variant->hot, self->from, self->to);
	TH_LOG("the first range is bound");
	test_ranges(_metadata, true, variant->hot, self->from, self->to);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
