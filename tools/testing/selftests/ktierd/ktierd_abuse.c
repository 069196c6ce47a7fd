// SPDX-License-Identifier: GPL-2.0
/*
 * Wrong input from everywhere, and programs that are made to cost others much: what is wrong is
 * refused and changes nothing, and what is large is paid for by who has it. Above each test stands
 * what change in the kernel would make it fail. What is refused is not worth a line in the kernel's
 * log, and each test looks for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define PAGES		16
#define NOBODY		65534
#define ENABLED		KT_SYSFS "enabled"
#define HUGE_PAGE	(2 * MIB)		/* what one page table maps */
#define KMALLOC_MAX	(4 * MIB)		/* a write this long is too much for a sysctl */
#define USER_END	0x7ffffffff000UL

FIXTURE(abuse) {
	struct kt_knobs saved;
	int log;
	size_t page;
	size_t len;
	char *mem;
};

FIXTURE_SETUP(abuse)
{
	if (geteuid() != 0)
		SKIP(return, "needs root");
	kt_knobs_save(&self->saved);
	self->page = kt_page();
	self->len = PAGES * self->page;
	self->mem = kt_map(self->len);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
}

/* What an emulator has the kernel say when it stood still for a while. */
static bool is_noise(const char *line)
{
	static const char * const noise[] = { "clocksource:", "hrtimer: interrupt took" };
	const char *text = strchr(line, ';');
	size_t i;

	for (i = 0; text && i < ARRAY_SIZE(noise); i++)
		if (!strncmp(text + 1, noise[i], strlen(noise[i])))
			return true;
	return false;
}

/* How much the kernel has said since, each line shown. */
static int log_lines(int log)
{
	char line[1024];
	int lines = 0;
	ssize_t len;

	while ((len = read(log, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[len > 0 ? len : 0] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (is_noise(line))
			continue;
		printf("# the kernel said: %s\n", line);
		lines++;
	}
	return lines;
}

FIXTURE_TEARDOWN(abuse)
{
	kt_knobs_restore(&self->saved);
	EXPECT_EQ(0, log_lines(self->log));
}

/* Are all settings as they were? */
static bool unchanged(const struct kt_knobs *before)
{
	struct kt_knobs now;

	kt_knobs_save(&now);
	return !memcmp(&now, before, sizeof(now));
}

/* What is written, which may have NUL bytes in it. */
struct text {
	const char *bytes;
	size_t len;
};

#define TEXT(string)	{ string, sizeof(string) - 1 }

static ssize_t put(const char *path, const void *bytes, size_t len, off_t at)
{
	int fd = open(path, O_WRONLY);
	ssize_t ret;

	if (fd < 0)
		return -errno;
	ret = pwrite(fd, bytes, len, at);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static void knob_path(char *path, size_t size, int knob)
{
	snprintf(path, size, KT_SYSCTL "%s", kt_knob_names[knob]);
}

/* Fails if something is taken that is no number, or not one, or too large for its type. */
TEST_F(abuse, a_sysctl_refuses_what_is_no_number)
{
	static const struct text bad[] = {
		TEXT("+1"), TEXT("-0"), TEXT("--1"), TEXT("0x"), TEXT("0xg"), TEXT("08"),
		TEXT("1e3"), TEXT("1,2"), TEXT("1;"), TEXT("1-2"), TEXT("0x100000000"),
		TEXT("0x1ffffffff"),
		TEXT("040000000000"), TEXT("4294967296"), TEXT("18446744073709551615"),
		TEXT("18446744073709551616"), TEXT("000000000000000000000000000005"), TEXT("\0"),
		TEXT("5\0"), TEXT("5\0z"), TEXT("\0z"), TEXT("\xff"), TEXT("5\xff"),
		TEXT("\t\n"), TEXT("true"), TEXT("inf"), TEXT("%d"),
	};
	char path[128];
	size_t i;
	int k;

	for (k = 0; k < KT_NR_KNOBS; k++) {
		knob_path(path, sizeof(path), k);
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(-EINVAL, put(path, bad[i].bytes, bad[i].len, 0))
				TH_LOG("%s: text %zu was taken", path, i);
			EXPECT_EQ(self->saved.value[k], kt_sysctl(kt_knob_names[k]));
		}
	}
	EXPECT_TRUE(unchanged(&self->saved));
}

/* Fails if a long text overruns something, or a bad address is read. */
TEST_F(abuse, a_sysctl_refuses_what_is_too_long_or_not_there)
{
	char *text = malloc(KMALLOC_MAX), path[128];
	int k;

	ASSERT_NE(NULL, text);
	for (k = 0; k < KT_NR_KNOBS; k++) {
		knob_path(path, sizeof(path), k);
		memset(text, '1', KMALLOC_MAX);
		EXPECT_EQ(-EINVAL, put(path, text, 5000, 0));
		EXPECT_EQ(-EINVAL, put(path, text, KMALLOC_MAX / 4, 0));
		EXPECT_EQ(-ENOMEM, put(path, text, KMALLOC_MAX, 0));
		memset(text, ' ', 5000);
		text[5000] = '5';
		EXPECT_EQ(-EINVAL, put(path, text, 5001, 0));
		EXPECT_EQ(-EFAULT, put(path, (void *)16, 4, 0));
		EXPECT_EQ(-EFAULT, put(path, NULL, 1, 0));
		EXPECT_EQ(0, put(path, text, 0, 0));
	}
	EXPECT_TRUE(unchanged(&self->saved));
	free(text);
}

/* Other values than the defaults, in the order of kt_knob_names. */
static const long other_values[KT_NR_KNOBS] = { 700, 7, 42, 12345, 9, 77, 5 };

/* Fails if these sysctls understand anything else than all others do. */
TEST_F(abuse, a_sysctl_takes_one_number_as_c_writes_it)
{
	static const char * const ways[] = {
		"%ld", "%#lx", "%#lX", "%#lo", " \t%ld", "%ld\n", "%ld \t\n", "%ld 6", "%ld\n6\n",
	};
	char path[128], text[64];
	size_t i;
	int k;

	for (k = 0; k < KT_NR_KNOBS; k++) {
		knob_path(path, sizeof(path), k);
		for (i = 0; i < ARRAY_SIZE(ways); i++) {
			ASSERT_EQ(0, kt_set_sysctl(kt_knob_names[k], self->saved.value[k]));
			snprintf(text, sizeof(text), ways[i], other_values[k]);
			EXPECT_EQ((long)strlen(text), put(path, text, strlen(text), 0));
			EXPECT_EQ(other_values[k], kt_sysctl(kt_knob_names[k]))
				TH_LOG("%s: '%s' was not taken", path, text);
		}
		ASSERT_EQ(0, kt_set_sysctl(kt_knob_names[k], self->saved.value[k]));
	}
}

/* Fails if a number is put together from several writes, or one further on in the file counts. */
TEST_F(abuse, a_sysctl_is_written_at_once_and_from_the_beginning)
{
	char path[128], text[32];
	int k, fd, len;

	if (kt_read_long("/proc/sys/kernel/sysctl_writes_strict") != 1)
		SKIP(return, "sysctl_writes_strict is not 1");
	for (k = 0; k < KT_NR_KNOBS; k++) {
		knob_path(path, sizeof(path), k);
		len = snprintf(text, sizeof(text), "%ld", other_values[k]);
		/* Where it does not count it is no error. */
		EXPECT_EQ(len, put(path, text, len, 1));
		EXPECT_EQ(len, put(path, text, len, 1L << 40));
		EXPECT_EQ(self->saved.value[k], kt_sysctl(kt_knob_names[k]));
		fd = open(path, O_RDWR);
		ASSERT_LE(0, fd);
		EXPECT_EQ(len, write(fd, text, len));
		EXPECT_EQ(other_values[k], kt_sysctl(kt_knob_names[k]));
		/* The next one is a number of its own. */
		EXPECT_EQ(-1, write(fd, "\n", 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(other_values[k], kt_sysctl(kt_knob_names[k]));
		close(fd);
		ASSERT_EQ(0, kt_set_sysctl(kt_knob_names[k], self->saved.value[k]));
	}
}

/* Fails if more than 0 and 1 are taken, or if a number that is cut to eight bits is. */
TEST_F(abuse, enabled_refuses_all_but_zero_and_one)
{
	static const struct text bad[] = {
		TEXT("+"), TEXT("-0"), TEXT("-1"), TEXT("0x0"), TEXT("0x1"), TEXT("256"),
		TEXT("257"),
		TEXT("65536"), TEXT("4294967296"), TEXT("4294967297"), TEXT("18446744073709551617"),
		TEXT("99999999999999999999999999"), TEXT("1 "), TEXT(" 1"), TEXT("1\n\n"),
		TEXT("1\n0\n"), TEXT("\0"), TEXT("\0z"), TEXT("Y"), TEXT("on"), TEXT("true"),
		TEXT("0.0"), TEXT("\xff"),
	};
	char *text = malloc(KMALLOC_MAX);
	size_t i;
	int on;

	ASSERT_NE(NULL, text);
	memset(text, '1', KMALLOC_MAX);
	for (on = 0; on <= 1; on++) {
		ASSERT_EQ(0, kt_set_enabled(on));
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			EXPECT_EQ(-EINVAL, put(ENABLED, bad[i].bytes, bad[i].len, 0))
				TH_LOG("text %zu was taken", i);
		EXPECT_EQ(-EINVAL, put(ENABLED, text, 5000, 0));
		EXPECT_EQ(-EINVAL, put(ENABLED, text, KMALLOC_MAX, 0));
		EXPECT_EQ(-EFAULT, put(ENABLED, NULL, 1, 0));
		EXPECT_EQ(0, put(ENABLED, text, 0, 0));
		EXPECT_EQ(on, kt_sysfs("enabled"));
	}
	/* sysfs knows no places in a file: a write is a write. */
	EXPECT_EQ(1, put(ENABLED, "0", 1, 7));
	EXPECT_EQ(0, kt_sysfs("enabled"));
	free(text);
}

static int files_seen, files_wrong;

/* Root may open what nobody can write only after it has changed the mode, and not write it then. */
static int check_read_only(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	int wrong = 0;

	if (type != FTW_F) {
		wrong += type != FTW_D || (st->st_mode & 0222 & ~0200);
	} else if (!strcmp(path, ENABLED)) {
		wrong += st->st_uid || (st->st_mode & 07777) != 0644;
	} else {
		wrong += st->st_uid || (st->st_mode & 07777) != 0444;
		wrong += put(path, "0\n", 2, 0) != -EACCES;
		wrong += open(path, O_RDWR) >= 0 || errno != EACCES;
		wrong += chmod(path, 0666) != 0;
		wrong += put(path, "0\n", 2, 0) != -EIO;
		wrong += chmod(path, 0444) != 0;
		files_seen++;
	}
	if (wrong || (unlink(path) == 0 || (errno != EPERM && errno != EISDIR))) {
		printf("# %s: %d of its answers are wrong\n", path, wrong);
		files_wrong++;
	}
	return 0;
}

/* Fails if a file that shows something can be written, removed, or is open to others. */
TEST_F(abuse, what_is_to_be_read_cant_be_written_by_root_either)
{
	ASSERT_EQ(0, nftw(KT_SYSFS, check_read_only, 8, FTW_PHYS));
	/* 25 and three for each node. */
	EXPECT_LE(28, files_seen);
	EXPECT_EQ(0, files_wrong);
	EXPECT_EQ(-1, mkdir(KT_SYSFS "new", 0777));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, creat(KT_SYSFS "new", 0666));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, rmdir(KT_SYSFS "failed"));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, creat(KT_SYSCTL "new", 0666));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, unlink(KT_SYSCTL "cpu_percent"));
	EXPECT_EQ(EACCES, errno);
}

/*
 * Privileges
 */

static int become_nobody(void)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		return -1;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* How many of the settings can be set, or not be read; of what is allowed, how much is not. */
static int liberties(void)
{
	char path[128];
	int k, wrong = 0;

	for (k = 0; k < KT_NR_KNOBS; k++) {
		knob_path(path, sizeof(path), k);
		wrong += kt_sysctl(kt_knob_names[k]) < 0;
		wrong += kt_set_sysctl(kt_knob_names[k], other_values[k]) != -EACCES;
		wrong += open(path, O_RDWR) >= 0 || errno != EACCES;
		wrong += !chmod(path, 0666) || errno != EPERM;
		wrong += !truncate(path, 0) || errno != EACCES;
	}
	wrong += kt_sysfs("enabled") < 0;
	wrong += kt_set_enabled(0) != -EACCES;
	wrong += !chmod(ENABLED, 0666) || errno != EPERM;
	wrong += !truncate(ENABLED, 0) || errno != EACCES;
	wrong += prctl(PR_SET_TIER, 1, 0, 0, 0) != 0;
	wrong += prctl(PR_SET_TIER, 0, 0, 0, 0) != 0;
	return wrong;
}

/* What a child finds wrong; 255 if it can't be what it should. */
static int in_child(int (*find)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(find(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 255;
	return WEXITSTATUS(status);
}

static int liberties_of_nobody(void *unused)
{
	return become_nobody() ? 255 : liberties();
}

/* Fails if a setting is open to all. */
TEST_F(abuse, nobody_sets_nothing)
{
	EXPECT_EQ(0, in_child(liberties_of_nobody, NULL));
	EXPECT_TRUE(unchanged(&self->saved));
}

static int become_root_of_a_namespace(void)
{
	if (become_nobody() || unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET))
		return -1;
	if (kt_write("/proc/self/setgroups", "deny") ||
	    kt_write("/proc/self/uid_map", "0 65534 1") ||
	    kt_write("/proc/self/gid_map", "0 65534 1") || setresuid(0, 0, 0))
		return -1;
	return geteuid();
}

/* In a process id namespace of its own, with a /proc of its own. */
static int liberties_of_first_process(void *unused)
{
	char *mem = kt_map(kt_page());
	int wrong;
	pid_t pid;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL) || mount("sys", "/sys", "sysfs", 0, NULL))
		return 254;
	wrong = liberties();
	pid = kt_spawn(NULL, NULL);
	if (pid < 0 || mem == MAP_FAILED)
		return 255;
	/* It has CAP_SYS_NICE, but not of the machine. */
	wrong += kt_advise_process(pid, mem, kt_page(), MADV_TIER, 0) != -EPERM;
	wrong += kt_marked(pid, mem) != 0;
	wrong += kt_advise_process(getpid(), mem, kt_page(), MADV_TIER, 0) != (ssize_t)kt_page();
	wrong += kt_marked(0, mem) != 1;
	kt_kill(pid);
	return wrong;
}

static int liberties_of_namespace_root(void *unused)
{
	if (become_root_of_a_namespace())
		return 255;
	return in_child(liberties_of_first_process, NULL);
}

/* Fails if a capability in a user namespace is enough for a setting, or for another's memory. */
TEST_F(abuse, root_of_a_user_namespace_sets_nothing)
{
	int wrong = in_child(liberties_of_namespace_root, NULL);

	if (wrong >= 254)
		SKIP(return, "no user namespaces, or no file systems in them");
	EXPECT_EQ(0, wrong);
	EXPECT_TRUE(unchanged(&self->saved));
}

/*
 * Calls
 */

/* Fails if a range is looked at before it is checked, or a check can be overflowed. */
TEST_F(abuse, madvise_refuses_wrong_ranges)
{
	unsigned long page = self->page, mem = (unsigned long)self->mem;
	const struct {
		unsigned long addr, len;
		int error;
	} bad[] = {
		{ mem, ~0UL - page + 2, EINVAL }, { mem, ~0UL, EINVAL }, { mem, -mem, EINVAL },
		{ mem + page - 1, page, EINVAL }, { mem + 1, ~0UL, EINVAL }, { 1, 0, EINVAL },
		{ 0, page, ENOMEM }, { -page, page, EINVAL }, { -page, 0, 0 }, { -page, 1, EINVAL },
		{ -2 * page, page, ENOMEM }, { 1UL << 63, page, ENOMEM },
		{ 1UL << 63, 1UL << 63, EINVAL },
		{ USER_END, page, ENOMEM }, { USER_END - page, 2 * page, ENOMEM },
		{ 0xffff888000000000UL, page, ENOMEM }, { 0xffffffffff600000UL, page, ENOMEM },
		{ 0x0000800000000000UL, page, ENOMEM }, { USER_END, 0, 0 },
	};
	static const int advice[] = { MADV_TIER, MADV_NOTIER };
	size_t i, a;
	int error;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		for (a = 0; a < ARRAY_SIZE(advice); a++) {
			error = 0;
			if (syscall(SYS_madvise, bad[i].addr, bad[i].len, advice[a]))
				error = errno;
			EXPECT_EQ(bad[i].error, error)
				TH_LOG("range %zu, advice %d", i, advice[a]);
		}
	EXPECT_EQ(0, kt_count_marked(0));
}

/* Fails if only a part of the number is looked at. */
TEST_F(abuse, madvise_refuses_what_is_no_advice)
{
	static const int bad[] = {
		95, 98, -96, -97, 96 | 1 << 8, 96 | 1 << 16, 97 | 1 << 30, (int)(96 | 1U << 31), -1,
		0x7fffffff, -0x7fffffff - 1,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, madvise(self->mem, self->len, bad[i]));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, madvise(NULL, 0, bad[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(0, kt_count_marked(0));
}

/* Fails if the upper half of an argument is cut off. */
TEST_F(abuse, prctl_looks_at_all_bits)
{
	static const unsigned long bits[] = { 1UL << 1, 1UL << 31, 1UL << 32, 1UL << 63, ~0UL };
	unsigned long arg[4];
	size_t i, a;
	int on;

	for (on = 0; on <= 1; on++) {
		ASSERT_EQ(0, prctl(PR_SET_TIER, on, 0, 0, 0));
		for (i = 0; i < ARRAY_SIZE(bits); i++)
			for (a = 0; a < ARRAY_SIZE(arg); a++) {
				memset(arg, 0, sizeof(arg));
				arg[a] = bits[i];
				EXPECT_EQ(-1, prctl(PR_GET_TIER, arg[0], arg[1], arg[2], arg[3]));
				EXPECT_EQ(EINVAL, errno);
				arg[0] |= !on;
				EXPECT_EQ(-1, prctl(PR_SET_TIER, arg[0], arg[1], arg[2], arg[3]));
				EXPECT_EQ(EINVAL, errno);
			}
		EXPECT_EQ(on, prctl(PR_GET_TIER, 0, 0, 0, 0));
		EXPECT_EQ(on, kt_marked(0, self->mem));
	}
}

static long process_madvise_errno(int pidfd, const struct iovec *vec, size_t nr, int advice,
				  unsigned int flags)
{
	long ret = syscall(SYS_process_madvise, pidfd, vec, nr, advice, flags);

	return ret < 0 ? -errno : ret;
}

/* Fails if flags, vectors or the process are not checked, or a refused call marks something. */
TEST_F(abuse, process_madvise_refuses_wrong_arguments)
{
	struct iovec vec = { .iov_base = self->mem, .iov_len = self->page };
	struct iovec *many = calloc(1025, sizeof(*many));
	int self_fd = syscall(SYS_pidfd_open, getpid(), 0), thread_fd, dead_fd, i;
	pid_t dead;

	ASSERT_LE(0, self_fd);
	ASSERT_NE(NULL, many);
	for (i = 0; i < 32; i++)
		EXPECT_EQ(-EINVAL, process_madvise_errno(self_fd, &vec, 1, MADV_TIER, 1U << i));
	EXPECT_EQ(-EINVAL, process_madvise_errno(self_fd, many, 1025, MADV_TIER, 0));
	EXPECT_EQ(-EINVAL, process_madvise_errno(self_fd, &vec, -1UL, MADV_TIER, 0));
	EXPECT_EQ(-EFAULT, process_madvise_errno(self_fd, NULL, 1, MADV_TIER, 0));
	EXPECT_EQ(-EFAULT, process_madvise_errno(self_fd, (void *)16, 2, MADV_TIER, 0));
	EXPECT_EQ(-EBADF, process_madvise_errno(-1, &vec, 1, MADV_TIER, 0));
	EXPECT_EQ(-EBADF, process_madvise_errno(self->log, &vec, 1, MADV_TIER, 0));
	EXPECT_EQ(0, process_madvise_errno(self_fd, &vec, 0, MADV_TIER, 0));
	vec.iov_len = 1UL << 63;
	EXPECT_EQ(-EINVAL, process_madvise_errno(self_fd, &vec, 1, MADV_TIER, 0));
	vec.iov_base = (void *)0xffff888000000000UL;
	vec.iov_len = self->page;
	EXPECT_EQ(-EFAULT, process_madvise_errno(self_fd, &vec, 1, MADV_TIER, 0));
	vec.iov_base = self->mem;

	/* A process without memory: the thread that makes kernel threads, and one that is dead. */
	thread_fd = syscall(SYS_pidfd_open, 2, 0);
	if (thread_fd >= 0)
		EXPECT_EQ(-ESRCH, process_madvise_errno(thread_fd, &vec, 1, MADV_TIER, 0));
	dead = fork();
	if (!dead)
		_exit(0);
	dead_fd = syscall(SYS_pidfd_open, dead, 0);
	ASSERT_LE(0, dead_fd);
	waitid(P_PID, dead, NULL, WEXITED | WNOWAIT);
	EXPECT_EQ(-ESRCH, process_madvise_errno(dead_fd, &vec, 1, MADV_TIER, 0));
	waitpid(dead, NULL, 0);
	EXPECT_EQ(-ESRCH, process_madvise_errno(dead_fd, &vec, 1, MADV_TIER, 0));
	EXPECT_EQ(0, kt_count_marked(0));
	free(many);
}

/* Fails if what was done before an error is not told, or what comes after it is done. */
TEST_F(abuse, process_madvise_tells_how_far_it_came)
{
	size_t page = self->page;
	struct iovec vec[3] = {
		{ .iov_base = self->mem, .iov_len = 2 * page },
		{ .iov_base = self->mem + 4 * page + 1, .iov_len = page },
		{ .iov_base = self->mem + 8 * page, .iov_len = page },
	};
	int fd = syscall(SYS_pidfd_open, getpid(), 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, process_madvise_errno(fd, vec + 1, 2, MADV_TIER, 0));
	EXPECT_EQ(0, kt_count_marked(0));
	EXPECT_EQ((long)(2 * page), process_madvise_errno(fd, vec, 3, MADV_TIER, 0));
	EXPECT_EQ(1, kt_marked(0, self->mem + page));
	EXPECT_EQ(0, kt_marked(0, self->mem + 2 * page));
	EXPECT_EQ(0, kt_marked(0, self->mem + 8 * page));
	EXPECT_EQ(1, kt_count_marked(0));
}

/*
 * What a program may cost others
 */

FIXTURE(cost) {
	struct kt_knobs saved;
	struct kt_cgroup cgroup;
	bool traced;
	int log;
	int top;
	int low;
};

FIXTURE_SETUP(cost)
{
	const char *why = kt_find_tiers(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	self->log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->log);
	ASSERT_LE(0, lseek(self->log, 0, SEEK_END));
}

FIXTURE_TEARDOWN(cost)
{
	if (self->traced)
		kt_trace_remove();
	kt_knobs_restore(&self->saved);
	kt_cgroup_remove(&self->cgroup);
	EXPECT_EQ(0, log_lines(self->log));
}

/* Memory of which one page in each table is there, and in use, by a child of its own. */
struct sparse {
	char *mem;
	size_t tables;
	size_t stride;		/* from one to the next */
	long passes;
};

#define TABLES		512
#define BLOCK_MIN	1088	/* 17 bits a page */
#define LEAF		512	/* what histories of 64 neighbours are found by */
#define NODE		560	/* and what 64 such are, at least */

static struct sparse *sparse_make(size_t tables, size_t stride)
{
	size_t bytes = tables * stride + HUGE_PAGE;
	struct sparse *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (s == MAP_FAILED || mem == MAP_FAILED || madvise(mem, bytes, MADV_NOHUGEPAGE))
		return NULL;
	s->mem = (char *)(((unsigned long)mem + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	s->tables = tables;
	s->stride = stride;
	return s;
}

static void sparse_touch(struct sparse *s)
{
	size_t i;

	for (i = 0; i < s->tables; i++)
		s->mem[i * s->stride] = 1;
	__atomic_fetch_add(&s->passes, 1, __ATOMIC_RELAXED);
}

static void *sparse_loop(void *arg)
{
	for (;;) {
		sparse_touch(arg);
		usleep(10000);
	}
	return NULL;
}

static int be_sparse(void *arg)
{
	pthread_t thread;

	sparse_touch(arg);
	return pthread_create(&thread, NULL, sparse_loop, arg);
}

/* Have another process mark it, or unmark it. A call takes less than 2 GiB. */
static bool sparse_advise(pid_t pid, const struct sparse *s, int advice)
{
	size_t step = HUGE_PAGE * 512, i;

	for (i = 0; i < s->tables * s->stride; i += step)
		if (kt_advise_process(pid, s->mem + i, step, advice, 0) != (ssize_t)step)
			return false;
	return true;
}

static int cgroup_limit(const struct kt_cgroup *cg, const char *file, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return kt_cgroup_set(cg, file, text);
}

static long slab_of(const struct kt_cgroup *cg)
{
	return kt_cgroup_stat(cg, "memory.stat", "slab");
}

/*
 * Histories of neighbours share a leaf, and leaves a node of a tree. What stands alone has its own.
 * The most is that, and some of what the kernel's own detectors add to each.
 */
static const struct layout {
	const char *name;
	size_t stride;
	long min;
	long max;
} layouts[] = {
	{ "neighbours", HUGE_PAGE, BLOCK_MIN, 1536 },
	{ "128 MiB apart", 64 * HUGE_PAGE, BLOCK_MIN + LEAF, 2048 },
	{ "8 GiB apart", 64UL * 64 * HUGE_PAGE, BLOCK_MIN + LEAF + NODE, 2816 },
};

/* What detectors add to a leaf, which is a power of two: as much again. */
static long added_to_leaf(void)
{
	return kt_read_long("/sys/kernel/slab/kmalloc-cg-512/slab_size") -
	       kt_read_long("/sys/kernel/slab/kmalloc-cg-512/object_size");
}

/* What histories of tables cost, each, and what is left of that when they are unmarked. */
static bool weigh_histories(const struct kt_cgroup *cg, const struct layout *layout, long *each,
			    long *left)
{
	struct sparse *s = sparse_make(TABLES, layout->stride);
	pid_t child = s ? kt_spawn_in(cg, be_sparse, s) : -1;
	bool done = child > 0;
	long before;

	sleep(3);	/* memory.stat is late by that much */
	before = slab_of(cg);
	done = done && before >= 0 && sparse_advise(child, s, MADV_TIER) &&
	       KT_WAIT(slab_of(cg) - before >= TABLES * layout->min, KT_PATIENCE) &&
	       kt_wait_scans(4);
	sleep(3);
	*each = (slab_of(cg) - before) / TABLES;
	done = done && sparse_advise(child, s, MADV_NOTIER);
	(void)!KT_WAIT(slab_of(cg) - before < TABLES * BLOCK_MIN / 8, KT_PATIENCE);
	*left = (slab_of(cg) - before) / TABLES;
	kt_kill(child);
	return done;
}

/*
 * Fails if histories are charged to nobody or to somebody else, cost more than they should, or are
 * not given back.
 */
TEST_F_TIMEOUT(cost, histories_are_charged_to_the_cgroup_of_the_process, 2 * KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	long each, left;
	size_t i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		EXPECT_TRUE(weigh_histories(&self->cgroup, &layouts[i], &each, &left));
		printf("# %s: %ld bytes for each of %d tables, %ld when they are unmarked\n",
		       layouts[i].name, each, TABLES, left);
		EXPECT_LE(layouts[i].min, each);
		EXPECT_GE(layouts[i].max + added_to_leaf(), each);
		EXPECT_GT(BLOCK_MIN / 8, left);
	}
}

/*
 * What a CPU has charged to a cgroup in advance is 64 pages. So many tables that their histories do
 * not fit into that.
 */
static size_t many_tables(void)
{
	return 2 * TABLES * sysconf(_SC_NPROCESSORS_CONF);
}

/* A child in a cgroup that is full. */
static pid_t spawn_full(const struct kt_cgroup *cg, struct sparse *s, long *limit)
{
	pid_t child = kt_spawn_in(cg, be_sparse, s);

	if (child < 0)
		return -1;
	/* Once it runs it needs nothing more. */
	(void)!KT_WAIT(__atomic_load_n(&s->passes, __ATOMIC_RELAXED) > 2, KT_PATIENCE);
	kt_cgroup_set(cg, "memory.swap.max", "0");
	*limit = kt_cgroup_long(cg, "memory.current");
	return cgroup_limit(cg, "memory.max", *limit) ? -1 : child;
}

/*
 * Fails if a limit is passed, if somebody is killed for the sake of histories, or if a process that
 * may have no more holds others up.
 */
TEST_F_TIMEOUT(cost, a_cgroup_that_is_full_has_no_more_histories, KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	struct sparse *s = sparse_make(many_tables(), HUGE_PAGE);
	struct kt_cgroup *cg = &self->cgroup;
	long all, before, limit, passes;
	pid_t child;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_NE(NULL, s);
	child = spawn_full(cg, s, &limit);
	ASSERT_LT(0, child);
	before = slab_of(cg);
	all = s->tables * BLOCK_MIN;
	ASSERT_TRUE(sparse_advise(child, s, MADV_TIER));

	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	EXPECT_LE(kt_cgroup_long(cg, "memory.current"), limit);
	printf("# full: %ld bytes of slab more, of %ld for all\n", slab_of(cg) - before, all);
	EXPECT_GT(all / 2, slab_of(cg) - before);
	EXPECT_EQ(0, kt_cgroup_stat(cg, "memory.events", "oom_kill"));
	passes = __atomic_load_n(&s->passes, __ATOMIC_RELAXED);
	EXPECT_TRUE(KT_WAIT(__atomic_load_n(&s->passes, __ATOMIC_RELAXED) > passes, KT_PATIENCE));

	/* With room it gets them. */
	ASSERT_EQ(0, kt_cgroup_set(cg, "memory.max", "max"));
	EXPECT_TRUE(KT_WAIT(slab_of(cg) - before >= all, KT_PATIENCE));
	kt_kill(child);
}

/*
 * memory.high slows down who goes on beyond it. Fails if that is the thread, which asks for memory
 * in its name: then all others wait as well.
 */
TEST_F_TIMEOUT(cost, a_cgroup_that_is_slowed_down_slows_nobody_else_down, KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	struct sparse *s = sparse_make(many_tables(), HUGE_PAGE);
	struct kt_cgroup *cg = &self->cgroup;
	double start = kt_now();
	long limit, scans;
	pid_t child;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_NE(NULL, s);
	child = spawn_full(cg, s, &limit);
	ASSERT_LT(0, child);
	/* Far beyond it, and with a little room, so that what the thread asks for can be had. */
	ASSERT_EQ(0, cgroup_limit(cg, "memory.high", limit / 4));
	ASSERT_EQ(0, cgroup_limit(cg, "memory.max", limit + MIB / 4));
	ASSERT_TRUE(sparse_advise(child, s, MADV_TIER));
	scans = kt_sysfs("scans");
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	printf("# others were placed after %.1f s, %ld rounds\n", kt_now() - start,
	       kt_sysfs("scans") - scans);
	kt_kill(child);
}

/* Processes that are marked and do nothing, each with memory of its own. */
static int crowd(pid_t *pids, int nr, const struct kt_cgroup *cg)
{
	int i;

	for (i = 0; i < nr; i++) {
		pids[i] = kt_spawn_in(cg, NULL, NULL);
		if (pids[i] < 0)
			break;
	}
	return i;
}

static void disperse(pid_t *pids, int nr)
{
	while (nr--)
		kt_kill(pids[nr]);
}

#define CROWD		400
#define SLOT_MIN	128	/* bytes of what is known of a process */
#define SLOT_MAX	704	/* the 440 of the manual, and what the kernel's detectors add */

/* Fails if the kernel keeps something for each process that its cgroup is not charged, or much. */
TEST_F_TIMEOUT(cost, what_is_known_of_a_process_is_charged, KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	struct kt_cgroup *cg = &self->cgroup;
	long slab[2][2], processes = kt_sysfs("processes");
	pid_t pids[CROWD];
	struct kt_region r;
	int marked, half;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_set_enabled(0));
	ASSERT_EQ(0, kt_region_map(&r, kt_page()));
	for (marked = 0; marked <= 1; marked++) {
		if (marked)
			ASSERT_EQ(0, kt_mark(&r));
		ASSERT_EQ(0, kt_cgroup_enter(cg, getpid()));
		for (half = 0; half < 2; half++) {
			ASSERT_EQ(CROWD / 2, crowd(pids + half * CROWD / 2, CROWD / 2, NULL));
			sleep(3);	/* memory.stat is late by that much */
			slab[marked][half] = slab_of(cg);
		}
		EXPECT_EQ(processes + marked * (CROWD + 1), kt_sysfs("processes"));
		disperse(pids, CROWD);
		printf("# %s: %ld bytes of slab for each process\n",
		       marked ? "marked" : "unmarked",
		       (slab[marked][1] - slab[marked][0]) / (CROWD / 2));
	}
	EXPECT_LE((slab[0][1] - slab[0][0]) + CROWD / 2 * SLOT_MIN, slab[1][1] - slab[1][0]);
	EXPECT_GE((slab[0][1] - slab[0][0]) + CROWD / 2 * SLOT_MAX, slab[1][1] - slab[1][0]);
	ASSERT_EQ(0, kt_set_enabled(1));
}

/* A process that makes marked processes, as fast as it can. */
static int be_forker(void *arg)
{
	struct kt_region *r = arg;
	pid_t pid;

	if (kt_mark(r))
		return -1;
	pid = fork();
	if (pid)
		return pid < 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		pid = fork();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* The mean length of the windows of some rounds, in microseconds. */
static double traced_windows(int *rounds)
{
	FILE *trace = kt_trace_open();
	unsigned long long sum = 0;
	unsigned int round, us;
	char *line;

	*rounds = 0;
	while ((line = kt_trace_line(trace, "cut"))) {
		if (sscanf(line, "round=%u window_us=%u", &round, &us) == 2) {
			sum += us;
			++*rounds;
		}
		free(line);
	}
	if (trace)
		fclose(trace);
	kt_trace_clear();
	return *rounds ? (double)sum / *rounds : 0;
}

#define WINDOW_MS	100

/* Fails if the window of all is over when somebody registers a process. */
TEST_F_TIMEOUT(cost, new_processes_do_not_cut_the_window_of_others, KT_TIMEOUT)
{
	const char *why = kt_trace_make();
	struct kt_region r, forked;
	pid_t forker = 0;
	double us;
	int with, rounds;

	if (why)
		SKIP(return, "%s", why);
	self->traced = true;
	ASSERT_EQ(0, kt_set_sysctl("scan_interval_ms", 4 * WINDOW_MS));
	ASSERT_EQ(0, kt_set_sysctl("sample_window_ms", WINDOW_MS));
	ASSERT_EQ(0, kt_region_make(&r, 8 * MIB, self->top));
	ASSERT_EQ(0, kt_region_map(&forked, kt_page()));
	ASSERT_EQ(0, kt_mark(&r));
	for (with = 0; with <= 1; with++) {
		if (with) {
			forker = kt_spawn(be_forker, &forked);
			ASSERT_LT(0, forker);
		}
		ASSERT_TRUE(kt_wait_scans(2));
		ASSERT_TRUE(kt_trace_rounds("cut", 6));
		us = traced_windows(&rounds);
		printf("# %s new processes: %d windows of %.0f us\n", with ? "with" : "without",
		       rounds, us);
		EXPECT_LE(5, rounds);
		/* Jiffies may end a little before the clock says so. */
		EXPECT_LE(WINDOW_MS * 990, us);
	}
	kt_kill(forker);
}

/* A process with as many mappings as it may have, all marked, and address ranges without end. */
struct vast {
	size_t mappings;
	size_t readable;
	size_t closed;
};

#define TIB		(1024 * 1024 * MIB)
#define SPARE_MAPPINGS	200

static int be_vast(void *arg)
{
	struct vast *v = arg;
	size_t page = kt_page(), i;
	char *mem = mmap(NULL, v->mappings * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *readable = mmap(NULL, v->readable, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *closed = mmap(NULL, v->closed, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || readable == MAP_FAILED || closed == MAP_FAILED)
		return -1;
	for (i = 0; i < v->mappings; i++)
		if (mprotect(mem + i * page, page, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE))
			return -1;
	return prctl(PR_SET_TIER, 1, 0, 0, 0);
}

/*
 * Fails if ranges without memory are walked page by page, if somebody has to wait until all of many
 * mappings are looked at, if the walk is not let go of the processor, or if the search for what is
 * to move is not counted with what cpu_percent limits: few pages move, and of many mappings none.
 */
TEST_F_TIMEOUT(cost, many_mappings_and_much_address_space_hold_nobody_up, KT_TIMEOUT)
{
	struct vast v = { .readable = 32 * TIB, .closed = 64 * TIB };
	long scans, scan_ms, migrate_ms, processes = kt_sysfs("processes");
	pid_t child;

	v.mappings = kt_read_long("/proc/sys/vm/max_map_count") - SPARE_MAPPINGS;
	child = kt_spawn(be_vast, &v);
	ASSERT_LT(0, child);
	EXPECT_EQ(processes + 1, kt_sysfs("processes"));
	/* A few pages a round, so that many rounds have to look for them. */
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1));
	ASSERT_TRUE(kt_wait_scans(2));
	scans = kt_sysfs("scans");
	scan_ms = kt_sysfs("scan_ms");
	migrate_ms = kt_sysfs("migrate_ms");
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	scans = kt_sysfs("scans") - scans;
	scan_ms = kt_sysfs("scan_ms") - scan_ms;
	migrate_ms = kt_sysfs("migrate_ms") - migrate_ms;
	printf("# %zu mappings: %ld rounds, %.2f ms of CPU time each, %ld ms for moving\n",
	       v.mappings, scans, (double)scan_ms / scans, migrate_ms);
	/* Checks of page tables make moves dearer than looks. */
	EXPECT_GT(scan_ms, (access(KT_KMEMLEAK, F_OK) ? 20 : 10) * migrate_ms);
	kt_kill(child);
	EXPECT_TRUE(KT_WAIT(kt_sysfs("processes") == processes, KT_PATIENCE));
}

#define SHARED_MAPPINGS	4000
#define RELATIVES	31
#define TIMES_DEARER	2

/* Each page of a file in a mapping of its own: backwards, so that neighbours do not become one. */
static char *map_backwards(int fd, size_t nr)
{
	size_t page = kt_page(), i;
	char *mem = mmap(NULL, nr * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (i = 0; mem != MAP_FAILED && i < nr; i++)
		if (mmap(mem + i * page, page, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
			 (nr - 1 - i) * page) == MAP_FAILED)
			return MAP_FAILED;
	return mem;
}

static char *map_marked(void)
{
	int fd = memfd_create("ktierd", MFD_CLOEXEC);
	size_t bytes = SHARED_MAPPINGS * kt_page();
	char *mem;

	if (fd < 0 || ftruncate(fd, bytes))
		return MAP_FAILED;
	mem = map_backwards(fd, SHARED_MAPPINGS);
	close(fd);
	return mem == MAP_FAILED || madvise(mem, bytes, MADV_TIER) ? MAP_FAILED : mem;
}

static int be_stranger(void *arg)
{
	(void)arg;
	return map_marked() == MAP_FAILED ? -1 : 0;
}

static int be_relative(void *arg)
{
	(void)arg;
	return 0;
}

/* CPU time of a round, in ms, while so many children are there that become what they are told. */
static double round_ms(int (*become)(void *arg))
{
	pid_t pids[RELATIVES];
	long scans = 0, scan_ms = 0;
	bool done = true;
	int i;

	for (i = 0; i < RELATIVES; i++) {
		pids[i] = kt_spawn(become, NULL);
		done = done && pids[i] > 0;
	}
	done = done && kt_wait_scans(2);
	scans = kt_sysfs("scans");
	scan_ms = kt_sysfs("scan_ms");
	done = done && kt_wait_scans(10);
	scan_ms = kt_sysfs("scan_ms") - scan_ms;
	scans = kt_sysfs("scans") - scans;
	for (i = 0; i < RELATIVES; i++)
		kt_kill(pids[i]);
	return done ? (double)scan_ms / scans : -1;
}

/*
 * Mappings that others have as well, and no page in any of them. Fails if for each of these all
 * others are asked what they have asked for and where they may have memory: then it takes longer
 * than if all had mappings of their own.
 */
TEST_F_TIMEOUT(cost, many_mappings_of_many_processes_hold_nobody_up, 2 * KT_TIMEOUT)
{
	double strangers, relatives;
	char *mem;

	strangers = round_ms(be_stranger);
	mem = map_marked();
	ASSERT_NE(MAP_FAILED, mem);
	relatives = round_ms(be_relative);
	munmap(mem, SHARED_MAPPINGS * kt_page());
	TH_LOG("%d processes with %d mappings: a round takes %.1f ms, and %.1f if they share them",
	       RELATIVES, SHARED_MAPPINGS, strangers, relatives);
	ASSERT_LT(0, strangers);
	ASSERT_LT(0, relatives);
	EXPECT_LT(relatives, TIMES_DEARER * strangers);
}

/* A process whose lock is mostly held for writing, a long time at once. */
struct hog {
	struct sparse *sparse;
	char *mem;
	size_t bytes;
	unsigned int free_us;
	double held_s;
	unsigned long calls;
};

#define HOG_MIN		(16 * MIB)
#define HOG_MAX		(2048 * MIB)
#define HOG_HELD_S	0.04

static double hold_lock(struct hog *h, int prot)
{
	double start = kt_now();

	return mprotect(h->mem, h->bytes, prot) ? -1 : kt_now() - start;
}

static void *hog_loop(void *arg)
{
	struct hog *h = arg;

	for (;;) {
		h->held_s = hold_lock(h, PROT_READ);
		usleep(h->free_us);
		hold_lock(h, PROT_READ | PROT_WRITE);
		usleep(h->free_us);
		__atomic_fetch_add(&h->calls, 2, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int be_hog(void *arg)
{
	struct hog *h = arg;
	pthread_t thread;

	for (h->bytes = HOG_MIN; h->bytes <= HOG_MAX; h->bytes *= 2) {
		if (madvise(h->mem, h->bytes, MADV_POPULATE_READ))
			return -1;
		if (hold_lock(h, PROT_READ) + hold_lock(h, PROT_READ | PROT_WRITE) > 2 * HOG_HELD_S)
			break;
	}
	if (h->bytes > HOG_MAX)
		h->bytes = HOG_MAX;
	if (madvise(h->sparse->mem, h->sparse->tables * HUGE_PAGE, MADV_TIER) ||
	    be_sparse(h->sparse))
		return -1;
	return pthread_create(&thread, NULL, hog_loop, h);
}

/*
 * Fails if the thread waits for a lock as long as its process likes, again and again in a round,
 * and all others with it.
 */
TEST_F_TIMEOUT(cost, who_holds_his_lock_holds_nobody_up, KT_TIMEOUT)
{
	struct hog *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
	long scans, calls;
	double start, placed_s;
	pid_t child;

	ASSERT_NE(MAP_FAILED, h);
	h->sparse = sparse_make(TABLES, HUGE_PAGE);
	ASSERT_NE(NULL, h->sparse);
	h->free_us = 15000;
	h->mem = mmap(NULL, HOG_MAX, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, h->mem);
	madvise(h->mem, HOG_MAX, MADV_NOHUGEPAGE);
	child = kt_spawn(be_hog, h);
	ASSERT_LT(0, child);
	scans = kt_sysfs("scans");
	calls = h->calls;
	start = kt_now();
	EXPECT_TRUE(kt_others_go_down(self->top, self->low));
	placed_s = kt_now() - start;
	printf("# others were placed after %.1f s, %ld rounds; lock held %ld times, %.0f ms\n",
	       placed_s, kt_sysfs("scans") - scans, h->calls - calls, h->held_s * 1000);
	EXPECT_LT(calls, h->calls);
	kt_kill(child);
}

/*
 * Processes that hold their locks for seconds, and sleep: fork() has mmap_lock for writing while it
 * copies page tables, and who charges them to a cgroup beyond its memory.high sleeps two seconds
 * after each 128.
 */
struct holders {
	struct sparse *sparse;
	bool go;
	int nr;
	pid_t pid[10];
};

#define LIMIT_S		0.1	/* what a lock is waited for in a round */
#define LIMIT_ALL	5	/* so many times that for all locks */

static void *hold_again_and_again(void *arg)
{
	struct holders *h = arg;
	pid_t pid;

	while (!__atomic_load_n(&h->go, __ATOMIC_RELAXED))
		usleep(1000);
	for (;;) {
		pid = fork();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return NULL;
}

static int be_holder(void *arg)
{
	struct holders *h = arg;
	pthread_t thread;

	sparse_touch(h->sparse);
	if (madvise(h->sparse->mem, HUGE_PAGE, MADV_TIER))
		return -1;
	return pthread_create(&thread, NULL, hold_again_and_again, h);
}

static struct holders *holders_make(const struct kt_cgroup *cg, int nr)
{
	struct holders *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED)
		return NULL;
	h->sparse = sparse_make(2 * TABLES, HUGE_PAGE);
	for (h->nr = 0; h->sparse && h->nr < nr; h->nr++) {
		h->pid[h->nr] = kt_spawn_in(cg, be_holder, h);
		if (h->pid[h->nr] < 0)
			break;
	}
	return h;
}

static char state_of(pid_t pid)
{
	char path[64], text[256], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	state = kt_read(path, text, sizeof(text)) > 0 ? strstr(text, ") ") : NULL;
	return state ? state[2] : 'Z';
}

/* Have a child ask for the lock, by reading a list of mappings: it gets it, and ends, or waits. */
static bool is_held(pid_t pid)
{
	char path[64], byte[2], state = 'Z';
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	child = fork();
	if (!child)
		_exit(kt_read(path, byte, sizeof(byte)));
	(void)!KT_WAIT((state = state_of(child)) == 'D' || state == 'Z', KT_PATIENCE);
	kt_kill(child);
	return state == 'D';
}

static int held(const struct holders *h)
{
	int nr = 0, i;

	for (i = 0; i < h->nr; i++)
		nr += is_held(h->pid[i]);
	return nr;
}

static void holders_end(struct holders *h)
{
	while (h->nr--)
		kt_kill(h->pid[h->nr]);
}

/* What was seen of how long rounds wait for the locks of some processes. */
struct waits {
	int busy;		/* in the first round that came to them */
	int first;		/* waited for to the limit in it */
	int later;		/* and in later rounds */
	double shortest;	/* of the waits to the limit */
	double all;		/* the sum of all waits in the first round */
};

static void add_wait(struct waits *w, bool first, int ret, double secs)
{
	bool long_one = secs >= LIMIT_S * 0.9;

	if (first) {
		w->busy += ret == -EBUSY;
		w->first += long_one;
		w->all += secs;
	} else {
		w->later += long_one;
	}
	if (long_one && (!w->shortest || secs < w->shortest))
		w->shortest = secs;
}

static int holder_nr(const struct holders *h, int pid)
{
	int i;

	for (i = 0; i < h->nr; i++)
		if (h->pid[i] == pid)
			break;
	return i;
}

/* The clearing walk is the first to want the lock; that of who is passed over is the only one. */
static void traced_waits(const struct holders *h, struct waits *w)
{
	double begin[ARRAY_SIZE(h->pid) + 1], now;
	unsigned int round, first = 0;
	FILE *trace = kt_trace_open();
	char line[512], *at;
	int pid, ret;

	memset(w, 0, sizeof(*w));
	while (trace && fgets(line, sizeof(line), trace)) {
		at = strstr(line, ": scan_");
		if (!at || !strstr(at, "walk=clear"))
			continue;
		*at = '\0';
		now = atof(strrchr(line, ' '));
		if (sscanf(at + 1, " scan_begin: pid=%d round=%u", &pid, &round) == 2) {
			begin[holder_nr(h, pid)] = now;
			first = first ? first : round;
		} else if (sscanf(at + 1, " scan_end: pid=%d round=%u walk=clear ret=%d", &pid,
				  &round, &ret) == 3 && holder_nr(h, pid) < h->nr) {
			add_wait(w, round == first, ret, now - begin[holder_nr(h, pid)]);
		}
	}
	if (trace)
		fclose(trace);
}

/* All were looked at, and then have their locks held; the next round is the first to wait. */
static bool wait_for_holders(const struct kt_cgroup *cg, struct holders *h, struct waits *w)
{
	bool done = kt_wait_scans(3) && !kt_set_enabled(0);

	sleep(1);
	cgroup_limit(cg, "memory.high", kt_cgroup_long(cg, "memory.current") / 8);
	__atomic_store_n(&h->go, true, __ATOMIC_RELAXED);
	done = done && KT_WAIT(held(h) == h->nr, KT_PATIENCE);
	kt_trace_clear();
	done = done && !kt_trace("scan_begin", true) && !kt_trace("scan_end", true) &&
	       !kt_set_enabled(1) && kt_wait_scans(4);
	kt_trace("scan_begin", false);
	kt_trace("scan_end", false);
	traced_waits(h, w);
	kt_cgroup_set(cg, "memory.high", "max");
	return done;
}

/*
 * Waits are counted by what they are at least, so that a host that is slow does no harm. Fails if a
 * round waits for each of many locks, if it waits for one as long as for all, or in later rounds
 * again for one that was not to be had; once may be chance.
 */
TEST_F_TIMEOUT(cost, a_round_waits_for_few_of_many_locks, 2 * KT_TIMEOUT)
{
	const char *why = kt_cgroup_make(&self->cgroup, "memory");
	static const int nr[] = { 1, 10 };
	struct holders *h;
	struct waits w;
	size_t i;

	why = why ? why : kt_trace_make();
	if (why)
		SKIP(return, "%s", why);
	self->traced = true;
	for (i = 0; i < ARRAY_SIZE(nr); i++) {
		h = holders_make(&self->cgroup, nr[i]);
		ASSERT_NE(NULL, h);
		EXPECT_EQ(nr[i], h->nr);
		EXPECT_TRUE(wait_for_holders(&self->cgroup, h, &w));
		printf("# %d locks held: waited for %d, %.0f ms or more, %.0f in all; later %d\n",
		       w.busy, w.first, w.shortest * 1000, w.all * 1000, w.later);
		holders_end(h);
		EXPECT_EQ(nr[i], w.busy);
		EXPECT_LE(1, w.first);
		EXPECT_GE(LIMIT_ALL + 1, w.first);
		EXPECT_GT(3 * LIMIT_S, w.shortest);
		EXPECT_GE(nr[i] + 1, w.first + w.later);
	}
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
