// SPDX-License-Identifier: GPL-2.0
/* The calls of tierfuzz that make processes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define CHILD_STEPS		20
#define MAX_LIFE_US		20000
#define STACK			(256UL << 10)
#define SHARERS			4	/* that may be at the same time */

/* The child's end: that of a child which found nothing wrong, or was killed. */
static void wait_for(pid_t pid, bool killed)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			wrong("waitpid() failed (%s)", strerror(errno));
	if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (status)
		wrong("a child %s %d", WIFSIGNALED(status) ? "was killed by signal" : "ended with",
		      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void be_child(struct fuzzer *me, u64 steps)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me->child = true;
	me->dice.state ^= 0x6368696c64ULL;
	if (me->alone) {
		if (damage == MARK_LOST_BY_FORK)
			model_advise(me->model, good_span(me), MADV_NOTIER);
		model_compare(me->model, 0);
	}
	while (steps--)
		step(me);
	if (me->alone)
		model_compare(me->model, 0);
	_exit(EXIT_SUCCESS);
}

/* A child, with marks of its own, that ends by itself or is killed. */
void do_fork(struct fuzzer *me)
{
	u64 steps = below(me, CHILD_STEPS), life_us = below(me, MAX_LIFE_US);
	bool killed = one_in(me, 4);
	pid_t pid;

	note(me, "fork(), %llu steps%s", steps, killed ? ", kill()" : "");
	pid = fork();
	if (!pid)
		be_child(me, steps);
	if (pid < 0)
		wrong("fork() failed (%s)", strerror(errno));
	if (killed) {
		usleep(life_us);
		kill(pid, SIGKILL);
	}
	wait_for(pid, killed);
}

/* Processes in the memory of this one. Their stacks are of few. */

static char stacks[SHARERS][STACK] __attribute__((aligned(64)));
static bool stack_taken[SHARERS];

static int take_stack(void)
{
	for (int i = 0; i < SHARERS; i++)
		if (!__atomic_exchange_n(&stack_taken[i], true, __ATOMIC_ACQUIRE))
			return i;
	return -1;
}

static int be_sharer(void *arg)
{
	struct fuzzer *me = arg;

	me->guest = true;
	for (u64 steps = 1 + below(me, 4); steps; steps--)
		step(me);
	me->guest = false;
	syscall(SYS_exit, EXIT_SUCCESS);
	return 0;
}

static void run_sharer(int (*run)(void *arg), void *arg)
{
	int stack = take_stack();
	pid_t pid;

	if (stack < 0)
		return;
	/* As it has our thread-local variables we must not run before it ends. */
	pid = clone(run, stacks[stack] + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);
	if (pid < 0)
		wrong("clone() failed (%s)", strerror(errno));
	wait_for(pid, false);
	__atomic_store_n(&stack_taken[stack], false, __ATOMIC_RELEASE);
}

/* The calls of another process, in this one's memory. */
void do_share(struct fuzzer *me)
{
	note(me, "clone(CLONE_VM)");
	run_sharer(be_sharer, me);
}

/* Programs */

static void exec_check(bool wanted)
{
	char *const arguments[] = { "tierfuzz", CHECK_EXEC, wanted ? "1" : "0", NULL };
	char *const environment[] = { NULL };

	execve("/proc/self/exe", arguments, environment);
	_exit(EXIT_UNABLE);
}

static int exec_in_sharer(void *arg)
{
	const struct fuzzer *me = arg;

	exec_check(me->model->process ^ (damage == SETTING_LOST_BY_EXEC));
	return 0;
}

/* Of PR_SET_TIER there is no telling what it is if others set it. */
void do_exec(struct fuzzer *me)
{
	bool killed = one_in(me, 4);
	u64 life_us = below(me, 4 * MAX_LIFE_US);
	pid_t pid;

	if (!me->alone)
		killed = true;
	note(me, "exec()%s", killed ? ", kill()" : "");
	if (me->alone && one_in(me, 2)) {
		run_sharer(exec_in_sharer, me);
		return;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Others may set it meanwhile: then the child does for itself. */
		if (!me->alone && prctl(PR_SET_TIER, me->dice.state & 1, 0, 0, 0))
			_exit(EXIT_UNABLE);
		exec_check((me->alone ? me->model->process : me->dice.state & 1) ^
			   (damage == SETTING_LOST_BY_EXEC));
	}
	if (pid < 0)
		wrong("fork() failed (%s)", strerror(errno));
	if (killed) {
		usleep(life_us);
		kill(pid, SIGKILL);
	}
	wait_for(pid, killed);
}

/* The mapping of /proc/self/maps that an address is in must be marked, or not. */
static bool mark_is(const void *address, bool wanted)
{
	unsigned long start, end, at = (unsigned long)address;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool inside = false, marked = false;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			inside = start <= at && at < end;
		if (inside && !strncmp(line, "VmFlags:", 8))
			marked = strstr(line, " ti");
	}
	if (smaps)
		fclose(smaps);
	return marked == wanted;
}

int check_executed(const char *wanted)
{
	static int data = 1;
	bool on = wanted[0] == '1';
	int local;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_GET_TIER, 0, 0, 0, 0) != on)
		return EXIT_FAILURE;
	return mark_is(&data, on) && mark_is(&local, on) && mark_is(sbrk(4096), on) ?
	       EXIT_SUCCESS : EXIT_FAILURE;
}

static const char garbage[] = "This is no program.", no_interpreter[] = "#!/nowhere\n";

/* What comes of it is seen before the new memory is there, or after, when that has to go. */
static int try_exec(struct fuzzer *me)
{
	static const struct {
		const char *text;
		int error;
	} files[] = {
		{ garbage, ENOEXEC }, { no_interpreter, ENOENT }, { "", ENOEXEC },
		{ "\177ELF\2\1\1", ENOEXEC },
	};
	char *const arguments[] = { "no program", NULL };
	u64 which = below(me, ARRAY_SIZE(files));
	int fd = memfd_create("no program", 0);	/* a script would not find one that is closed */

	if (fd < 0 || write(fd, files[which].text, strlen(files[which].text)) < 0 ||
	    fchmod(fd, 0700))
		return EXIT_UNABLE;
	fexecve(fd, arguments, arguments + 1);
	close(fd);
	return errno == files[which].error ? EXIT_SUCCESS : EXIT_FAILURE;
}

void do_failing_exec(struct fuzzer *me)
{
	pid_t pid;

	note(me, "an exec() that fails");
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (try_exec(me))
			_exit(EXIT_FAILURE);
		be_child(me, 2);
	}
	if (pid < 0)
		wrong("fork() failed (%s)", strerror(errno));
	wait_for(pid, false);
}

/* Another process that is marked from outside */

static void advise_other(struct fuzzer *me, struct model *model, int fd)
{
	struct span span = good_span(me);
	struct iovec vec = { .iov_base = (void *)span.addr, .iov_len = span.length };
	int advice = one_in(me, 3) ? MADV_NOTIER : MADV_TIER, wanted = EPERM;
	bool may = !geteuid();
	long ret;

	note(me, "process_madvise(another, %lx, %zx, %d)", span.addr, span.length, advice);
	ret = syscall(SYS_process_madvise, fd, &vec, 1, advice, 0);
	if (me->alone && may)
		wanted = model_advise(model, span, advice);
	if (me->alone || !may)
		check_errno("process_madvise() of another", ret, ERRNO(wanted));
	else
		check_errno("process_madvise() of another", ret, ERRNO(0) | ERRNO(EINVAL) |
			    ERRNO(ENOMEM) | ERRNO(EAGAIN));
}

void do_other_process(struct fuzzer *me)
{
	struct model model = *me->model;
	pid_t pid = fork();
	int fd;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	fd = pid < 0 ? -1 : syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		wrong("another process can't be made (%s)", strerror(errno));
	for (u64 times = 1 + below(me, 4); times; times--)
		advise_other(me, &model, fd);
	if (me->alone)
		model_compare(&model, pid);
	kill(pid, SIGKILL);
	wait_for(pid, true);
	close(fd);
}
