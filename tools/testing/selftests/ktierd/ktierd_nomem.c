// SPDX-License-Identifier: GPL-2.0
/*
 * There is no memory to register a process: the call fails as the manual says, changes nothing, and
 * can be made again. Each allocation of a call is made to fail in its turn (fail-nth, see
 * Documentation/fault-injection), once of any slab cache and once of that of the slots alone. Above
 * each test stands what change in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define DEBUG		"/sys/kernel/debug/"
#define NTH		"/proc/thread-self/fail-nth"
#define CACHE		"/sys/kernel/slab/ktierd_slot/failslab"
#define BE_REGISTERED	"--be-registered"

#define PAGES		16
#define MAX_NTH		4000	/* no call has that many allocations */

/* Slab allocations that may wait fail as well, no others do, and the log says nothing of it. */
static struct setting {
	const char *path;
	const char *value;
	char saved[32];
} settings[] = {
	{ DEBUG "failslab/verbose", "0" },
	{ DEBUG "failslab/ignore-gfp-wait", "N" },
	{ DEBUG "failslab/cache-filter", "N" },
	{ DEBUG "fail_page_alloc/min-order", "20" },
};

static void save_settings(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (kt_read(settings[i].path, settings[i].saved, sizeof(settings[i].saved)) < 0)
			settings[i].saved[0] = '\0';
}

static void change_settings(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		kt_write(settings[i].path, settings[i].value);
}

static void restore_settings(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].saved[0])
			kt_write(settings[i].path, settings[i].saved);
	kt_write(CACHE, "0");
}

/* A test that runs out of time is killed before its teardown. */
static pid_t main_pid;

static void restore_at_exit(void)
{
	if (getpid() == main_pid && geteuid() == 0)
		restore_settings();
}

static char *mem;		/* that is to be marked */
static char no_program[64];	/* a file that may be executed, and is no program */

FIXTURE(nomem) {
	struct kt_knobs saved;
	long processes;
};

FIXTURE_VARIANT(nomem) {
	bool slots;		/* none but these can fail */
};

FIXTURE_VARIANT_ADD(nomem, any) { .slots = false };
FIXTURE_VARIANT_ADD(nomem, slots) { .slots = true };

static bool make_no_program(void)
{
	static const char text[] = "no program\n";
	bool done;
	int fd;

	snprintf(no_program, sizeof(no_program), "/tmp/ktierd-nomem-XXXXXX");
	fd = mkstemp(no_program);
	done = fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text) && !fchmod(fd, 0700);
	close(fd);
	return done;
}

FIXTURE_SETUP(nomem)
{
	int top, low;
	const char *why = kt_find_tiers(&top, &low);

	if (why)
		SKIP(return, "%s", why);
	if (access(NTH, W_OK) || access(DEBUG "failslab", F_OK))
		SKIP(return, "needs CONFIG_FAULT_INJECTION_DEBUG_FS and CONFIG_FAILSLAB");
	if (variant->slots && kt_write(CACHE, "1"))
		SKIP(return, "slots have no slab cache of their own");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	change_settings();
	if (variant->slots)
		ASSERT_EQ(0, kt_write(DEBUG "failslab/cache-filter", "Y"));
	self->processes = kt_sysfs("processes");
	mem = kt_map(PAGES * kt_page());
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_TRUE(make_no_program());
}

FIXTURE_TEARDOWN(nomem)
{
	restore_settings();
	kt_knobs_restore(&self->saved);
	unlink(no_program);
	/* Whatever has failed, nothing is left of it. */
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == self->processes, KT_PATIENCE));
}

/* What can be seen of a process. */
struct seen {
	int marked;
	int set;
	int registered;
};

static struct seen look(void)
{
	return (struct seen) {
		.marked = kt_count_marked(0),
		.set = prctl(PR_GET_TIER, 0, 0, 0, 0),
		.registered = kt_value_after("/proc/self/ktierd_stat", "registered"),
	};
}

static bool marks_are_same(const struct seen *a, const struct seen *b)
{
	return a->marked == b->marked && a->set == b->set;
}

static bool same(const struct seen *a, const struct seen *b)
{
	return marks_are_same(a, b) && a->registered == b->registered;
}

/**
 * struct job - a call whose allocations fail
 * @prepare: what the process does before, may be NULL
 * @call: the call; returns 0 or a negative errno
 * @finish: what is left to do when nothing fails any more, may be NULL
 * @success: what the call returns if nothing fails
 * @errors: what it may return else
 * @done: is what is to be seen after success as it should be?
 * @slot_first: it may fail after the process was registered
 */
struct job {
	int (*prepare)(void);
	int (*call)(void);
	void (*finish)(void);
	int success;
	int errors[2];
	bool (*done)(const struct seen *before, const struct seen *after);
	bool slot_first;
};

/* What became of it, told by the process that made the call. */
static struct outcome {
	struct seen before;
	bool failed;		/* an allocation, and perhaps the call */
	int error;
	struct seen after;
	bool dropped;		/* what had been registered in vain is no more */
	int again;
	struct seen later;
	bool born;		/* of a child, by the child */
	struct seen child;
	struct seen child_later;
} *outcome;

static int nth_fd;

static bool set_nth(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(nth_fd, text, len, 0) == len;
}

/* Has anything failed? From now on nothing does. */
static bool has_failed(void)
{
	char left[16] = "";
	ssize_t len = pread(nth_fd, left, sizeof(left) - 1, 0);

	return set_nth(0) && len > 0 && !atoi(left);
}

static void make_call(const struct job *job, unsigned int nth)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	nth_fd = open(NTH, O_RDWR);
	if (nth_fd < 0 || (job->prepare && job->prepare()))
		_exit(1);
	outcome->before = look();
	if (!set_nth(nth))
		_exit(2);
	outcome->error = job->call();
	outcome->failed = has_failed();
	if (job->finish)
		job->finish();
	outcome->after = look();
	outcome->dropped = !job->slot_first || outcome->error == job->success ||
			   KT_WAIT(look().registered == outcome->before.registered, KT_PATIENCE);
	outcome->again = outcome->error;
	if (outcome->error != job->success) {
		outcome->again = job->call();
		if (job->finish)
			job->finish();
	}
	outcome->later = look();
	_exit(0);
}

static bool errno_is_documented(const struct job *job, int error)
{
	return error == job->errors[0] || error == job->errors[1];
}

/* How much of it is not as it should be. */
static int judge(const struct job *job, const struct outcome *o)
{
	bool kept = job->slot_first ? marks_are_same(&o->before, &o->after) :
				      same(&o->before, &o->after);
	int wrong = 0;

	if (o->error == job->success) {
		wrong += !job->done(&o->before, &o->after);
	} else {
		wrong += !o->failed || !errno_is_documented(job, o->error);
		wrong += !kept || !o->dropped;
	}
	wrong += o->again != job->success;
	wrong += !job->done(&o->before, &o->later);
	return wrong;
}

static void tell(unsigned int nth, const struct outcome *o)
{
	printf("# allocation %u: error %d; marked, set, registered: %d %d %d, %d %d %d;", nth,
	       o->error, o->before.marked, o->before.set, o->before.registered,
	       o->after.marked, o->after.set, o->after.registered);
	printf(" again: error %d; %d %d %d; %sdropped\n", o->again, o->later.marked, o->later.set,
	       o->later.registered, o->dropped ? "" : "not ");
}

/* In a process of its own. Returns whether that came to its end. */
static bool try_call(const struct job *job, unsigned int nth)
{
	int status;
	pid_t pid;

	memset(outcome, 0, sizeof(*outcome));
	fflush(stdout);
	pid = fork();
	if (!pid)
		make_call(job, nth);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

/* How often what happened. */
struct count {
	unsigned int allocations;
	unsigned int calls;		/* that failed with one of them */
	unsigned int unregistered;	/* children */
	unsigned int wrong;
};

static void count_children(struct count *count)
{
	const struct outcome *o = outcome;

	if (!o->born)
		return;
	count->unregistered += !o->child.registered;
	if (marks_are_same(&o->before, &o->child) && marks_are_same(&o->before, &o->child_later) &&
	    o->child_later.registered)
		return;
	printf("# a child: %d %d %d, and after it has asked again %d %d %d\n", o->child.marked,
	       o->child.set, o->child.registered, o->child_later.marked, o->child_later.set,
	       o->child_later.registered);
	count->wrong++;
}

/* Have one allocation after the other fail, until the call has no more of them. */
static struct count fail_each(const struct job *job)
{
	struct count count = {};
	unsigned int nth;
	int wrong;

	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	for (nth = 1; nth < MAX_NTH; nth++) {
		if (outcome == MAP_FAILED || !try_call(job, nth)) {
			printf("# allocation %u: the process did not come to its end\n", nth);
			count.wrong++;
			break;
		}
		wrong = judge(job, outcome);
		if (wrong)
			tell(nth, outcome);
		count.wrong += wrong;
		count_children(&count);
		if (!outcome->failed)
			break;
		count.allocations++;
		count.calls += outcome->error != job->success;
	}
	printf("# %u allocations failed, and %u calls with them\n", count.allocations, count.calls);
	return count;
}

static int mark_all(void)
{
	return madvise(mem, PAGES * kt_page(), MADV_TIER) ? -errno : 0;
}

static int mark_part(void)
{
	return madvise(mem + kt_page(), kt_page(), MADV_TIER) ? -errno : 0;
}

static bool one_more_mark(const struct seen *before, const struct seen *after)
{
	return after->marked == before->marked + 1 && after->set == before->set &&
	       after->registered == 1;
}

/* Fails if what could not be registered is marked, and never looked at; or with another errno. */
TEST_F_TIMEOUT(nomem, madvise_marks_nothing, KT_TIMEOUT)
{
	const struct job job = {
		.call = mark_all,
		.errors = { -EAGAIN },
		.done = one_more_mark,
	};
	struct count count = fail_each(&job);

	EXPECT_EQ(0, count.wrong);
	/* A whole mapping needs a slot and nothing else. */
	EXPECT_LE(1, count.calls);
	if (variant->slots)
		EXPECT_EQ(1, count.calls);
}

/*
 * Here the mapping has to be split, after the process was registered. Fails if a part is marked
 * that should not be, or if a process without marks stays registered.
 */
TEST_F_TIMEOUT(nomem, madvise_of_a_part_marks_nothing, 2 * KT_TIMEOUT)
{
	const struct job job = {
		.call = mark_part,
		.errors = { -EAGAIN },
		.done = one_more_mark,
		.slot_first = true,
	};
	struct count count = fail_each(&job);

	EXPECT_EQ(0, count.wrong);
	EXPECT_LE(variant->slots ? 1 : 2, count.calls);
	if (variant->slots)
		EXPECT_EQ(1, count.calls);
}

static int set_tier(void)
{
	return prctl(PR_SET_TIER, 1, 0, 0, 0) ? -errno : 0;
}

static bool all_marked(const struct seen *before, const struct seen *after)
{
	return after->marked > before->marked && after->set == 1 && after->registered == 1;
}

/* Fails if new mappings, or those that were there, are marked of what could not be registered. */
TEST_F_TIMEOUT(nomem, prctl_changes_nothing, KT_TIMEOUT)
{
	const struct job job = {
		.call = set_tier,
		.errors = { -ENOMEM },
		.done = all_marked,
	};
	struct count count = fail_each(&job);

	EXPECT_EQ(0, count.wrong);
	EXPECT_LE(1, count.calls);
	if (variant->slots)
		EXPECT_EQ(1, count.calls);
}

static int execute_no_program(void)
{
	execl(no_program, no_program, NULL);
	return -errno;
}

/* A program run by one that has set it: 0 if it is registered. */
static int be_registered(void)
{
	struct seen now = look();

	return now.set != 1 || now.registered != 1 || !now.marked;
}

/*
 * The new address space is registered and, as this is no program, unregistered again. Fails if exec
 * goes on without a slot, or if the slot of what was given up is forgotten or freed twice.
 */
TEST_F_TIMEOUT(nomem, exec_fails_and_the_caller_lives, 2 * KT_TIMEOUT)
{
	const struct job job = {
		.prepare = set_tier,
		.call = execute_no_program,
		.success = -ENOEXEC,
		.errors = { -ENOMEM, -E2BIG },	/* that for a page of the arguments */
		.done = same,
	};
	struct count count = fail_each(&job);
	int status;
	pid_t pid;

	EXPECT_EQ(0, count.wrong);
	EXPECT_LE(1, count.calls);
	if (variant->slots)
		EXPECT_EQ(1, count.calls);
	pid = fork();
	if (!pid)
		_exit(set_tier() || kt_exec_self(BE_REGISTERED, NULL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
}

static pid_t child;

/* By itself: libc has work of its own to do in fork(). */
static int fork_marked(void)
{
	child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (child)
		return child < 0 ? -errno : 0;
	outcome->child = look();
	if (!outcome->child.registered && mark_all())
		_exit(1);
	outcome->child_later = look();
	outcome->born = true;
	_exit(0);
}

static void reap(void)
{
	if (child > 0)
		waitpid(child, NULL, 0);
}

/*
 * Fails if a fork fails for want of a slot, if its child then has no marks, can't be registered
 * later or looks registered; or if the slot of a child that is not born is not freed.
 */
TEST_F_TIMEOUT(nomem, fork_goes_on_without_a_slot, 4 * KT_TIMEOUT)
{
	const struct job job = {
		.prepare = mark_all,
		.call = fork_marked,
		.finish = reap,
		.errors = { -ENOMEM, -EAGAIN },
		.done = same,
	};
	struct count count = fail_each(&job);

	EXPECT_EQ(0, count.wrong);
	EXPECT_LE(1, count.unregistered);
	printf("# %u children were not registered\n", count.unregistered);
	if (variant->slots) {
		EXPECT_EQ(0, count.calls);
		EXPECT_EQ(1, count.unregistered);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], BE_REGISTERED))
		return be_registered();
	kt_start();
	main_pid = getpid();
	save_settings();
	atexit(restore_at_exit);
	return test_harness_run(argc, argv);
}
