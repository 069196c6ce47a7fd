// SPDX-License-Identifier: GPL-2.0
/*
 * Processes, mappings and nodes come and go while ktierd works on them. Above each test stands what
 * change in the kernel would make it fail; where that is a crash or a hang, the kernel's log says
 * so too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)
#define JUST_EXIT	"--just-exit"
#define BE_IDLE		"--be-idle"

FIXTURE(lifetime) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	long processes;
	int top;
	int low;
};

FIXTURE_SETUP(lifetime)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	self->processes = kt_sysfs("processes");
}

FIXTURE_TEARDOWN(lifetime)
{
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
}

/*
 * Two hundred children that end in the middle of things
 */

#define STORM_CHILDREN	200
#define STORM_AT_ONCE	4
#define STORM_MEMORY	(2 * MIB)
#define STORM_MAX_US	30000

enum ending { ENDS_ITSELF, ENDS_KILLED, ENDS_IN_EXEC, NR_ENDINGS };

static void storm_child(enum ending ending, unsigned int delay_us, bool whole_process)
{
	double end = kt_now() + delay_us / 1e6;
	char *mem = kt_map(STORM_MEMORY);
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mem == MAP_FAILED)
		_exit(1);
	if (whole_process ? prctl(PR_SET_TIER, 1, 0, 0, 0) : madvise(mem, STORM_MEMORY, MADV_TIER))
		_exit(2);
	do {
		for (i = 0; i < STORM_MEMORY; i += kt_page())
			mem[i] = i;
	} while (kt_now() < end || ending == ENDS_KILLED);
	if (ending == ENDS_IN_EXEC)
		kt_exec_self(JUST_EXIT, NULL);
	_exit(ending == ENDS_IN_EXEC);
}

/* Whether the child ended as it should. */
static bool storm_reap(pid_t pid, enum ending ending)
{
	int status;

	if (ending == ENDS_KILLED)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (ending == ENDS_KILLED)
		return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/*
 * Fails if an mm is walked after exit_mmap() began, if a slot is freed under the scanner or never,
 * or if exec forgets one of its two address spaces.
 */
TEST_F_TIMEOUT(lifetime, exit_in_the_middle_of_a_scan, KT_TIMEOUT)
{
	pid_t pids[STORM_AT_ONCE] = {};
	long scans = kt_sysfs("scans");
	unsigned int delay_us;
	struct kt_region r;
	int wrong = 0;
	int i, slot;

	/* Short rests, long windows, and something to walk besides. */
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", 50));
	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 100));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	srand(1);
	for (i = 0; i < STORM_CHILDREN + STORM_AT_ONCE; i++) {
		slot = i % STORM_AT_ONCE;
		if (pids[slot])
			wrong += !storm_reap(pids[slot], (i - STORM_AT_ONCE) % NR_ENDINGS);
		pids[slot] = 0;
		if (i >= STORM_CHILDREN)
			continue;
		delay_us = rand() % STORM_MAX_US;
		pids[slot] = fork();
		ASSERT_LE(0, pids[slot]);
		if (!pids[slot])
			storm_child(i % NR_ENDINGS, delay_us, i % 5 == 0);
		usleep(rand() % (STORM_MAX_US / STORM_AT_ONCE));
	}
	EXPECT_EQ(0, wrong);
	EXPECT_LT(scans, kt_sysfs("scans"));
	ASSERT_EQ(0, kt_unmark(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == self->processes, KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

static int eat_memory(void *arg)
{
	struct kt_cgroup *cg = arg;
	size_t bytes = 64 * MIB;
	char *mem = kt_map(bytes);
	size_t i;

	if (mem == MAP_FAILED || kt_cgroup_enter(cg, getpid()) || madvise(mem, bytes, MADV_TIER))
		return 1;
	for (i = 0; i < bytes; i += kt_page())
		mem[i] = 1;
	return 2;
}

/* Fails if an mm that the OOM reaper takes apart is still walked, or held. */
TEST_F_TIMEOUT(lifetime, an_oom_kill_in_the_middle_of_a_scan, KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	int status, i;
	pid_t pid;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_cgroup_set(&self->cgroup, "memory.max", "16M"));
	kt_cgroup_set(&self->cgroup, "memory.swap.max", "0");
	for (i = 0; i < 3; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(eat_memory(&self->cgroup));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == self->processes, KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
}

/* A region that the parent has marked, to be written by the child: these are its own pages then. */
struct inherited {
	struct kt_region r;
	int node;
};

static int write_inherited(void *arg)
{
	struct inherited *in = arg;

	return kt_region_fill(&in->r, 0, in->r.nr, in->node);
}

/* Fails if a forked child is not registered: it is marked, and never scanned. */
TEST_F_TIMEOUT(lifetime, a_forked_child_is_scanned, KT_TIMEOUT)
{
	struct inherited in = { .node = self->top };
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&in.r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&in.r));
	child = kt_spawn(write_inherited, &in);
	ASSERT_LT(0, child);
	/* Only the child's mark is left. */
	ASSERT_EQ(0, kt_unmark(&in.r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(child, &in.r, self->low), KT_PATIENCE));
	kt_kill(child);
	EXPECT_EQ(0, kt_region_wrong(&in.r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == self->processes, KT_PATIENCE));
}

/* After exec: say where the memory is, and leave it alone. */
static int be_idle(const char *fd)
{
	struct kt_region r;
	int top, low;

	if (kt_find_tiers(&top, &low) || kt_region_make(&r, SMALL, top))
		return 1;
	if (write(atoi(fd), &r, sizeof(r)) != sizeof(r))
		return 1;
	for (;;)
		pause();
}

/* Fails if exec does not register the new address space of a process that used the prctl. */
TEST_F_TIMEOUT(lifetime, an_executed_program_is_scanned, KT_TIMEOUT)
{
	struct kt_region r;
	char fd_text[16];
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_TIER, 1, 0, 0, 0);
		snprintf(fd_text, sizeof(fd_text), "%d", fd[1]);
		kt_exec_self(BE_IDLE, fd_text);
		_exit(1);
	}
	close(fd[1]);
	ASSERT_EQ(sizeof(r), read(fd[0], &r, sizeof(r)));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(pid, &r, self->low), KT_PATIENCE));
	kt_kill(pid);
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == self->processes, KT_PATIENCE));
}

/* Fails if the history, or a page on its way, is found by an address that is no longer its own. */
TEST_F_TIMEOUT(lifetime, memory_that_mremap_moved_goes_on, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region r;
	char *to;
	int i;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	for (i = 0; i < 20; i++) {
		to = kt_map(SMALL);
		ASSERT_NE(MAP_FAILED, to);
		ASSERT_EQ(to, mremap(r.addr, SMALL, SMALL, MREMAP_MAYMOVE | MREMAP_FIXED, to));
		r.addr = to;
		usleep(KT_POLL_US);
	}
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, true));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * Threads that map, mark, change and unmap
 */

#define STORM_THREADS	3
#define STORM_SECONDS	6
#define STORM_PAGES	256

struct storm {
	pthread_t thread;
	unsigned int seed;
	double end;
	unsigned long rounds;
	unsigned long wrong;
};

static unsigned long word_of(const struct storm *s, size_t i)
{
	return s->rounds * STORM_PAGES + i + s->seed;
}

/* Writes, or looks for, words in the pages from @first on. */
static void write_words(struct storm *s, char *mem, size_t first)
{
	size_t i;

	for (i = first; i < STORM_PAGES; i++)
		*(unsigned long *)(mem + i * kt_page()) = word_of(s, i);
}

static void check_words(struct storm *s, char *mem, size_t first)
{
	size_t i;

	for (i = 0; i < STORM_PAGES; i++)
		s->wrong += *(unsigned long *)(mem + i * kt_page()) !=
			    (i < first ? 0 : word_of(s, i));
}

static void *storm_thread(void *arg)
{
	struct storm *s = arg;
	size_t bytes = STORM_PAGES * kt_page();
	unsigned int state = s->seed;
	char *mem, *to;
	size_t gone;

	for (; kt_now() < s->end; s->rounds++) {
		mem = kt_map(bytes);
		if (mem == MAP_FAILED) {
			s->wrong++;
			break;
		}
		madvise(mem, bytes, MADV_TIER);
		write_words(s, mem, 0);
		usleep(rand_r(&state) % 20000);
		gone = rand_r(&state) % STORM_PAGES;
		madvise(mem, gone * kt_page(), MADV_DONTNEED);
		check_words(s, mem, gone);
		mprotect(mem, bytes / 2, PROT_READ);
		to = mremap(mem, bytes / 2, bytes / 2, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
		if (to != MAP_FAILED)
			munmap(to, bytes / 2);
		madvise(mem + bytes / 2, bytes / 4, MADV_NOTIER);
		usleep(rand_r(&state) % 20000);
		munmap(mem - kt_page(), bytes + 2 * kt_page());
	}
	return NULL;
}

/* Fails if a page is moved that is not mapped any more, or a mapping is used without the lock. */
TEST_F_TIMEOUT(lifetime, mappings_come_and_go, KT_TIMEOUT)
{
	struct storm storm[STORM_THREADS] = {};
	struct kt_region r;
	int i;

	ASSERT_EQ(0, kt_set_sysctl("cold_age_ms", 100));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	for (i = 0; i < STORM_THREADS; i++) {
		storm[i].seed = i + 1;
		storm[i].end = kt_now() + STORM_SECONDS;
		ASSERT_EQ(0, pthread_create(&storm[i].thread, NULL, storm_thread, &storm[i]));
	}
	for (i = 0; i < STORM_THREADS; i++) {
		pthread_join(storm[i].thread, NULL);
		EXPECT_EQ(0, storm[i].wrong);
		EXPECT_LT(0, storm[i].rounds);
	}
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
	ASSERT_EQ(0, kt_unmark(&r));
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == self->processes, KT_PATIENCE));
}

/* How many of @nr pages from @first on are on @node. */
static long part_on(const struct kt_region *r, size_t first, size_t nr, int node)
{
	struct kt_region part = *r;

	part.addr += first * kt_page();
	part.nr = nr;
	return kt_region_count(0, &part, KT_ALL, node);
}

#define HELD_FIRST	100
#define HELD_PAGES	8

/* Fails if pages pinned for I/O are moved, or tried again and again without a word. */
TEST_F_TIMEOUT(lifetime, pinned_pages_stay, KT_TIMEOUT)
{
	long pinned = kt_sysfs("failed/pinned");
	struct io_uring_params params = {};
	struct iovec vec;
	struct kt_region r;
	int ring;

	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0)
		SKIP(return, "no io_uring: %s", strerror(errno));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	vec.iov_base = r.addr + HELD_FIRST * kt_page();
	vec.iov_len = HELD_PAGES * kt_page();
	ASSERT_EQ(0, syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vec, 1));

	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(HELD_PAGES, part_on(&r, HELD_FIRST, HELD_PAGES, self->top));
	EXPECT_LT(pinned, kt_sysfs("failed/pinned"));

	ASSERT_EQ(0, syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	close(ring);
	EXPECT_TRUE(KT_WAIT(part_on(&r, HELD_FIRST, HELD_PAGES, self->low) == HELD_PAGES,
			    KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* Fails if a reference that is no pin is overlooked, and the page moved away under its holder. */
TEST_F_TIMEOUT(lifetime, pages_in_a_pipe_stay, KT_TIMEOUT)
{
	struct kt_region r;
	struct iovec vec;
	char *copy;
	int fd[2];

	ASSERT_EQ(0, pipe(fd));
	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	vec.iov_base = r.addr + HELD_FIRST * kt_page();
	vec.iov_len = HELD_PAGES * kt_page();
	ASSERT_EQ(vec.iov_len, vmsplice(fd[1], &vec, 1, 0));

	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(HELD_PAGES, part_on(&r, HELD_FIRST, HELD_PAGES, self->top));

	copy = kt_map(vec.iov_len);
	ASSERT_NE(MAP_FAILED, copy);
	ASSERT_EQ(vec.iov_len, read(fd[0], copy, vec.iov_len));
	EXPECT_EQ(0, memcmp(copy, vec.iov_base, vec.iov_len));
	EXPECT_TRUE(KT_WAIT(part_on(&r, HELD_FIRST, HELD_PAGES, self->low) == HELD_PAGES,
			    KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

static int unmark_region(void *arg)
{
	return kt_unmark(arg);
}

/* Fails if a page is moved although another process maps it that did not ask for it. */
TEST_F_TIMEOUT(lifetime, pages_shared_with_others_stay, KT_TIMEOUT)
{
	long shared = kt_sysfs("failed/shared");
	struct kt_region r;
	pid_t child;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	ASSERT_EQ(0, kt_mark(&r));
	child = kt_spawn(unmark_region, &r);
	ASSERT_LT(0, child);
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_EQ(r.nr, kt_region_count(0, &r, KT_ALL, self->top));
	EXPECT_LT(shared, kt_sysfs("failed/shared"));
	kt_kill(child);
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/*
 * The lower tier goes away and comes back
 */

/* Set the state of all memory blocks of @node; returns how many are not in it. */
static int set_blocks(int node, const char *state)
{
	char path[128], now[32];
	struct dirent *d;
	int not_in_it = 0;
	int block;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((d = readdir(dir))) {
		if (sscanf(d->d_name, "memory%d", &block) != 1)
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/state", block);
		kt_read(path, now, sizeof(now));
		if (!strncmp(now, state, strcspn(now, "\n")))
			continue;
		not_in_it += kt_write(path, state) != 0;
	}
	closedir(dir);
	return not_in_it;
}

#define NR_READERS	4

/* Which nodes are in which tier, again and again. */
static void read_tiers(void)
{
	int top, low;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		kt_find_tiers(&top, &low);
}

/*
 * Fails if a node is used after it is gone, or targets are not looked up again when it is back;
 * or if who reads which nodes are in a tier and who takes it away wait for each other.
 */
TEST_F_TIMEOUT(lifetime, the_lower_tier_goes_and_comes, KT_TIMEOUT)
{
	struct kt_toucher toucher;
	struct kt_region idle, hot;
	pid_t reader[NR_READERS];
	bool gone;
	int i;

	/* First, so that it shares no page of what is to move. */
	for (i = 0; i < NR_READERS; i++) {
		reader[i] = fork();
		if (!reader[i])
			read_tiers();
	}
	ASSERT_EQ(0, kt_region_make(&idle, SMALL, self->top));
	ASSERT_EQ(0, kt_region_make(&hot, SMALL, self->top));
	hot.hot_step = 8;
	ASSERT_EQ(0, kt_touch_start(&toucher, &hot, true));
	ASSERT_EQ(0, kt_mark(&idle));
	ASSERT_EQ(0, kt_mark(&hot));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &idle, self->low), KT_PATIENCE));

	gone = KT_WAIT(set_blocks(self->low, "offline") == 0, KT_PATIENCE);
	if (gone) {
		EXPECT_TRUE(kt_region_is_on(0, &idle, self->top));
		/* There is nowhere to go. */
		sleep(2);
		EXPECT_TRUE(kt_region_is_on(0, &idle, self->top));
	}
	EXPECT_TRUE(KT_WAIT(set_blocks(self->low, "online_movable") == 0, KT_PATIENCE));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &idle, self->low), KT_PATIENCE));
	for (i = 0; i < NR_READERS; i++)
		kt_kill(reader[i]);
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(&idle));
	EXPECT_EQ(0, kt_region_wrong(&hot));
	if (!gone)
		SKIP(return, "the lower tier's memory can't be taken offline");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], JUST_EXIT))
		return 0;
	if (argc > 2 && !strcmp(argv[1], BE_IDLE))
		return be_idle(argv[2]);
	kt_start();
	return test_harness_run(argc, argv);
}
