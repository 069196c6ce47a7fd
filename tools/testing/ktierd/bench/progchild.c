// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prog.h"

/* Between the two processes a batch and its replies have room, whatever it holds. */
#define PIPE_BYTES	(256 << 10)

#define PAUSE_NS	10000000

static char **join(char *const prefix[], char *const argv[])
{
	size_t nr_prefix = 0, nr_argv = 0;
	char **all;

	while (prefix[nr_prefix])
		nr_prefix++;
	while (argv[nr_argv])
		nr_argv++;
	all = allocate(nr_prefix + nr_argv + 1, sizeof(*all));
	memcpy(all, prefix, nr_prefix * sizeof(*all));
	memcpy(all + nr_prefix, argv, nr_argv * sizeof(*all));
	return all;
}

/* The child's side. Its standard error remains ours: there it says what it lacks. */
static void become(char **argv, int in, int out, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_UNABLE);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: cannot run '%s' (%s).\n", program_invocation_short_name, argv[0],
		strerror(errno));
	_exit(EXIT_UNABLE);
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		fail("cannot make a pipe (%s).", strerror(errno));
	/* Less is enough for all but the largest batches: go on if it is refused. */
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
}

struct child child_start(char *const prefix[], char *const argv[], bool piped)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in[2] = { null, -1 }, out[2] = { -1, null };
	char **all = join(prefix, argv);
	pid_t parent = getpid();
	struct child child;

	if (piped) {
		make_pipe(in);
		make_pipe(out);
		signal(SIGPIPE, SIG_IGN);
	}
	child.pid = fork();
	if (child.pid < 0)
		fail("cannot start a process (%s).", strerror(errno));
	if (!child.pid)
		become(all, in[0], out[1], parent);
	if (piped) {
		close(in[0]);
		close(out[1]);
	}
	close(null);
	free(all);
	child.in = in[1];
	child.out = out[0];
	return child;
}

void child_pause(pid_t pid, const char *command)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS };

	if (waitpid(pid, NULL, WNOHANG))
		fail("%s ended before its time.", command);
	nanosleep(&pause, NULL);
}

static bool child_is(pid_t pid, const char *command)
{
	char path[64], name[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!read_text(path, name, sizeof(name)))
		return false;
	name[strcspn(name, "\n")] = '\0';
	return !strcmp(name, command);
}

void child_wait_for(pid_t pid, const char *command)
{
	for (int i = 0; i < CHILD_PAUSES; i++) {
		if (child_is(pid, command))
			return;
		child_pause(pid, command);
	}
	fail("process %d is not %s: the prefix must become what it runs.", pid, command);
}

u64 child_cpu_ns(pid_t pid)
{
	struct timespec cpu;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &cpu))
		fail("the CPU time of process %d is not known.", pid);
	return cpu.tv_sec * NSEC_PER_SEC + cpu.tv_nsec;
}

unsigned long child_rss_kib(pid_t pid)
{
	unsigned long pages = 0;
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (read_text(path, text, sizeof(text)))
		sscanf(text, "%*u %lu", &pages);
	return pages * (PAGESET_PAGE_SIZE / 1024);
}

void child_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
