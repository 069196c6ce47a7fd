// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that several processes map: they move if all of these have asked, to where all of them may
 * have memory, and as the hottest use of them says. Above each test stands what change in the
 * kernel would make it fail. ktierd_lifetime has the case of one who has not asked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)
#define HOT_STEP	8

FIXTURE(shared) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	int top;
	int low;
};

FIXTURE_SETUP(shared)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(shared)
{
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

static struct kt_toucher child_toucher;

static int read_hot(void *arg)
{
	return kt_touch_start(&child_toucher, arg, false);
}

/* Fails if the pages of a family stay although all of it has asked. */
TEST_F_TIMEOUT(shared, those_of_a_family_that_has_asked_move, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	child = kt_spawn(NULL, NULL);
	ASSERT_LT(0, child);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_TRUE(kt_region_is_on(child, &r, self->low));

	r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(child, &r, self->top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	kt_kill(child);
	EXPECT_EQ(0, kt_region_wrong(&r));
}

static int have_a_child(void *arg)
{
	return kt_spawn(NULL, NULL) > 0 ? 0 : -1;
}

/*
 * Fails if a relative who is found by two ways counts twice: pages that move for the first time
 * would seem to have been moved before.
 */
TEST_F_TIMEOUT(shared, those_of_three_generations_move_once, KT_TIMEOUT)
{
	long returned, moved;
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	kt_set_enabled(0);
	ASSERT_EQ(0, kt_mark(&r));
	child = kt_spawn(have_a_child, NULL);
	ASSERT_LT(0, child);
	returned = kt_sysfs("pages_returned");
	moved = kt_sysfs("pages_demoted");
	kt_set_enabled(1);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_GE((long)r.nr / 16, kt_sysfs("pages_returned") - returned);
	EXPECT_LE((long)r.nr * KT_NEARLY_ALL / 100, kt_sysfs("pages_demoted") - moved);
	EXPECT_GE((long)r.nr + (long)r.nr / 16, kt_sysfs("pages_demoted") - moved);
	kt_kill(child);
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Two cold ages, or more. */
static bool wait_cold_ages(void)
{
	sleep(6);
	return kt_wait_scans(20);
}

/*
 * What one uses and the other does not: hot pages come up and stay, and the others go down and
 * stay; no page goes to and fro between the two opinions of it.
 */
static void hot_stay_up(struct __test_metadata *_metadata, struct kt_region *r, int top, int low)
{
	long moved, returned;

	/* Who gets no processor for a second is not to be taken for idle. */
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 3000));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(r, KT_HOT, top) >= KT_NEARLY_ALL &&
			    kt_region_percent(r, KT_IDLE, low) >= KT_NEARLY_ALL, KT_PATIENCE));
	/* The last few may still be on their way. */
	EXPECT_TRUE(wait_cold_ages());
	moved = kt_sysfs("pages_promoted") + kt_sysfs("pages_demoted");
	returned = kt_sysfs("pages_returned");
	EXPECT_TRUE(wait_cold_ages());
	EXPECT_LE(KT_NEARLY_ALL, kt_region_percent(r, KT_HOT, top));
	EXPECT_LE(KT_NEARLY_ALL, kt_region_percent(r, KT_IDLE, low));
	moved = kt_sysfs("pages_promoted") + kt_sysfs("pages_demoted") - moved;
	returned = kt_sysfs("pages_returned") - returned;
	TH_LOG("%ld moved, %ld of them back", moved, returned);
	EXPECT_GE((long)(r->nr / HOT_STEP * 2 / 5), moved);
	EXPECT_GE((long)(r->nr / HOT_STEP / 10), returned);
}

/* Fails if the one who does not use them has his way. */
TEST_F_TIMEOUT(shared, what_the_child_uses_is_hot, KT_TIMEOUT)
{
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->low));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, kt_mark(&r));
	child = kt_spawn(read_hot, &r);
	ASSERT_LT(0, child);
	hot_stay_up(_metadata, &r, self->top, self->low);
	kt_kill(child);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

TEST_F_TIMEOUT(shared, what_the_parent_uses_is_hot, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, kt_mark(&r));
	child = kt_spawn(NULL, NULL);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	hot_stay_up(_metadata, &r, self->top, self->low);
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	kt_kill(child);
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if the family's history is asked at an address that was that of a table asleep. */
TEST_F_TIMEOUT(shared, what_slept_before_the_fork_is_hot, KT_TIMEOUT)
{
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_TRUE(kt_wait_scans(40));
	child = kt_spawn(read_hot, &r);
	ASSERT_LT(0, child);
	hot_stay_up(_metadata, &r, self->top, self->low);
	kt_kill(child);
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * A file in memory that two processes map in places of their own
 */

struct file_user {
	int fd;
	size_t skip;		/* pages at the beginning that it does not map */
	bool ask;
	struct kt_region r;	/* of the whole file */
	struct kt_region own;
};

static int map_file(struct file_user *u, const struct kt_region *whole)
{
	size_t page = kt_page();

	u->own = *whole;
	u->own.nr -= u->skip;
	u->own.seq += u->skip;
	u->own.origin += u->skip * page;
	u->own.addr = mmap(NULL, u->own.nr * page, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
			   u->skip * page);
	return u->own.addr == MAP_FAILED ? -errno : 0;
}

/* The parent's mapping is not there yet. */
static int use_file(void *arg)
{
	struct file_user *u = arg;
	int err = map_file(u, &u->r);

	if (!err && u->ask)
		err = kt_mark(&u->own);
	if (err || !u->own.hot_step)
		return err;
	return kt_touch_start(&child_toucher, &u->own, false);
}

/* A file of pages that say who they are, all of them on @node. */
static int make_file(struct file_user *u, size_t bytes, int node)
{
	u->fd = memfd_create("ktierd", MFD_CLOEXEC);
	if (u->fd < 0 || ftruncate(u->fd, bytes))
		return -errno;
	u->r.nr = bytes / kt_page();
	u->r.seq = calloc(u->r.nr, sizeof(*u->r.seq));
	u->r.addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, 0);
	if (!u->r.seq || u->r.addr == MAP_FAILED)
		return -ENOMEM;
	u->r.origin = u->r.addr;
	return kt_region_fill(&u->r, 0, u->r.nr, node);
}

/*
 * Fails if the other's history is asked at the wrong address: it maps the file from the 5th page
 * on, and of those every 8th is hot, which is the file's 5th, 13th and so on.
 */
TEST_F_TIMEOUT(shared, a_file_that_another_maps_elsewhere, KT_TIMEOUT)
{
	struct file_user u = { .skip = 5, .ask = true };
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, make_file(&u, SMALL, self->low));
	r = u.r;
	u.r.hot_step = HOT_STEP;
	munmap(r.addr, r.nr * kt_page());
	child = kt_spawn(use_file, &u);
	ASSERT_LT(0, child);
	r.addr = mmap(NULL, r.nr * kt_page(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		      u.fd, 0);
	ASSERT_NE(MAP_FAILED, r.addr);
	ASSERT_EQ(0, kt_mark(&r));
	r.hot_step = HOT_STEP;
	r.phase = u.skip % HOT_STEP;
	hot_stay_up(_metadata, &r, self->top, self->low);
	kt_kill(child);
	EXPECT_EQ(0, kt_region_wrong(&r));
	close(u.fd);
}

/* Fails if one who has not asked is not noticed, or is remembered when he is gone. */
TEST_F_TIMEOUT(shared, a_file_that_another_maps_who_has_not_asked, KT_TIMEOUT)
{
	struct file_user u = { .ask = false };
	long shared = kt_sysfs("failed/shared");
	pid_t child;

	ASSERT_EQ(0, make_file(&u, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&u.r));
	u.r.hot_step = 1;
	child = kt_spawn(use_file, &u);
	ASSERT_LT(0, child);
	u.r.hot_step = 0;
	/* The child has a marked copy of our mapping, too, but its own is not. */
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(u.r.nr, kt_region_count(0, &u.r, KT_ALL, self->top));
	EXPECT_LT(shared, kt_sysfs("failed/shared"));
	kt_kill(child);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &u.r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&u.r));
	close(u.fd);
}

/* Fails if only the limits of the process that is walked count. */
TEST_F_TIMEOUT(shared, none_goes_where_one_of_them_may_not_be, KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "cpuset");
	long refused = kt_sysfs("failed/cpuset");
	struct kt_region r;
	char text[32];
	pid_t child;

	if (why)
		SKIP(return, "%s", why);
	snprintf(text, sizeof(text), "%d", self->top);
	ASSERT_EQ(0, kt_cgroup_set(&self->cgroup, "cpuset.mems", text));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	child = kt_spawn_in(&self->cgroup, NULL, NULL);
	ASSERT_LT(0, child);
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));
	EXPECT_LT(refused, kt_sysfs("failed/cpuset"));
	kt_kill(child);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

#define SIBLINGS	3

/* Fails if a page is counted with each process that maps it. */
TEST_F_TIMEOUT(shared, a_page_is_counted_once, KT_TIMEOUT)
{
	long alone, together, kb = 4 * SMALL / 1024;
	pid_t child[SIBLINGS];
	struct kt_region r;
	int i;

	ASSERT_EQ(0, kt_region_make(&r, kb * 1024, self->low));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT((alone = kt_tracked_kb()) >= kb, KT_PATIENCE));
	for (i = 0; i < SIBLINGS; i++) {
		child[i] = kt_spawn(NULL, NULL);
		EXPECT_LT(0, child[i]);
	}
	EXPECT_TRUE(kt_wait_scans(20));
	/* It is by chance, and others may come and go. */
	EXPECT_TRUE(KT_WAIT((together = kt_tracked_kb()) < alone + kb / 2 &&
			    together > alone - kb / 2, KT_PATIENCE));
	TH_LOG("%ld kB alone, %ld kB of %d processes", alone, together, SIBLINGS + 1);
	for (i = 0; i < SIBLINGS; i++)
		kt_kill(child[i]);
}

#define MANY	40		/* more than the kernel asks */
#define ENOUGH	10

/* Fails if as many as are not asked are taken to have asked. */
TEST_F_TIMEOUT(shared, those_of_too_many_stay, KT_TIMEOUT)
{
	long shared = kt_sysfs("failed/shared");
	struct kt_region r;
	pid_t child[MANY];
	int i;

	ASSERT_EQ(0, kt_region_make(&r, MIB, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	for (i = 0; i < MANY; i++) {
		child[i] = kt_spawn(NULL, NULL);
		EXPECT_LT(0, child[i]);
	}
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));
	EXPECT_LT(shared, kt_sysfs("failed/shared"));
	for (i = ENOUGH; i < MANY; i++)
		kt_kill(child[i]);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	for (i = 0; i < ENOUGH; i++)
		kt_kill(child[i]);
	EXPECT_EQ(0, kt_region_wrong(&r));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
