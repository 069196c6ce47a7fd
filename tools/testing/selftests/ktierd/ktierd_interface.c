// SPDX-License-Identifier: GPL-2.0
/*
 * Marking memory: madvise, process_madvise, prctl, and what smaps shows. Above each test stands
 * what change in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE		0x08
#endif
#ifndef __NR_memfd_secret
#define __NR_memfd_secret	447
#endif
#ifndef __NR_mseal
#define __NR_mseal		462
#endif

#define PAGES		16
#define NOBODY		65534

FIXTURE(mark) {
	char *mem;
	size_t page;
	size_t len;
};

FIXTURE_SETUP(mark)
{
	self->page = kt_page();
	self->len = PAGES * self->page;
	self->mem = kt_map(self->len);
	ASSERT_NE(MAP_FAILED, self->mem);
}

FIXTURE_TEARDOWN(mark)
{
	munmap(self->mem, self->len);
}

static int advise(void *addr, size_t len, int advice)
{
	return madvise(addr, len, advice) ? -errno : 0;
}

static int set_tier(unsigned long on)
{
	return prctl(PR_SET_TIER, on, 0, 0, 0) < 0 ? -errno : 0;
}

static int get_tier(void)
{
	int on = prctl(PR_GET_TIER, 0, 0, 0, 0);

	return on < 0 ? -errno : on;
}

/* Whether all pages from @first on are marked (1), unmarked (0), unmapped (-1). */
static bool marks_are(const char *mem, int first, int nr, int marked)
{
	size_t page = kt_page();
	int i;

	for (i = first; i < first + nr; i++)
		if (kt_marked(0, mem + i * page) != marked)
			return false;
	return true;
}

/* Fails if madvise() does not know the advice, or takes any number for it. */
TEST(an_empty_range_tells_whether_it_is_supported)
{
	EXPECT_EQ(0, advise(NULL, 0, MADV_TIER));
	EXPECT_EQ(0, advise(NULL, 0, MADV_NOTIER));
	EXPECT_EQ(-EINVAL, advise(NULL, 0, MADV_TIER - 1));
	EXPECT_EQ(-EINVAL, advise(NULL, 0, 1000));
}

/* Fails if madvise() does not set VM_TIER, NOTIER does not clear it, or smaps does not name it. */
TEST_F(mark, tier_marks_and_notier_clears)
{
	EXPECT_EQ(0, kt_marked(0, self->mem));
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_NOTIER));
	EXPECT_EQ(0, kt_marked(0, self->mem));
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, self->mem));
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, self->mem));
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_NOTIER));
	EXPECT_EQ(0, kt_marked(0, self->mem));
}

/* Fails if the flag is set on the whole VMA instead of on the range, or is ignored in merging. */
TEST_F(mark, marking_a_part_splits_the_mapping)
{
	unsigned long start = (unsigned long)self->mem;
	struct kt_vma vma;

	ASSERT_EQ(0, advise(self->mem + 4 * self->page, 4 * self->page, MADV_TIER));
	EXPECT_TRUE(marks_are(self->mem, 0, 4, 0));
	EXPECT_TRUE(marks_are(self->mem, 4, 4, 1));
	EXPECT_TRUE(marks_are(self->mem, 8, PAGES - 8, 0));
	ASSERT_TRUE(kt_vma_at(0, self->mem + 5 * self->page, &vma));
	EXPECT_EQ(start + 4 * self->page, vma.start);
	EXPECT_EQ(start + 8 * self->page, vma.end);

	ASSERT_EQ(0, advise(self->mem + 5 * self->page, self->page, MADV_NOTIER));
	EXPECT_TRUE(marks_are(self->mem, 4, 1, 1));
	EXPECT_TRUE(marks_are(self->mem, 5, 1, 0));
	EXPECT_TRUE(marks_are(self->mem, 6, 2, 1));

	ASSERT_EQ(0, advise(self->mem, self->len, MADV_NOTIER));
	ASSERT_TRUE(kt_vma_at(0, self->mem, &vma));
	EXPECT_EQ(start, vma.start);
	EXPECT_EQ(start + self->len, vma.end);
}

/* Fails if the advice is handled before the range has been checked. */
TEST_F(mark, a_bad_range_is_refused)
{
	EXPECT_EQ(-EINVAL, advise(self->mem + 1, self->page, MADV_TIER));
	EXPECT_EQ(-EINVAL, advise(self->mem + 1, 0, MADV_TIER));
	EXPECT_EQ(-EINVAL, advise(self->mem, -1UL, MADV_TIER));
	EXPECT_EQ(-EINVAL, advise(self->mem, -self->page, MADV_TIER));
	EXPECT_TRUE(marks_are(self->mem, 0, PAGES, 0));
	EXPECT_EQ(0, advise(self->mem, 1, MADV_TIER));
	EXPECT_TRUE(marks_are(self->mem, 0, 1, 1));
	EXPECT_TRUE(marks_are(self->mem, 1, PAGES - 1, 0));
}

/* Fails if a hole ends the walk, or is not reported. */
TEST_F(mark, a_hole_is_reported_and_the_rest_marked)
{
	ASSERT_EQ(0, munmap(self->mem + 6 * self->page, 2 * self->page));
	EXPECT_EQ(-ENOMEM, advise(self->mem, self->len, MADV_TIER));
	EXPECT_TRUE(marks_are(self->mem, 0, 6, 1));
	EXPECT_TRUE(marks_are(self->mem, 6, 2, -1));
	EXPECT_TRUE(marks_are(self->mem, 8, PAGES - 8, 1));
	EXPECT_EQ(-ENOMEM, advise(self->mem, self->len, MADV_NOTIER));
	EXPECT_TRUE(marks_are(self->mem, 0, 6, 0));
	EXPECT_TRUE(marks_are(self->mem, 8, PAGES - 8, 0));
}

/* Fails if VM_IO and VM_PFNMAP are not refused: [vvar] has both. */
TEST(device_memory_is_refused)
{
	size_t page = kt_page();
	struct kt_vma vma;
	void *mem;
	int fd;

	if (!kt_vma_named(0, "[vvar]", &vma))
		SKIP(return, "no [vvar] mapping");
	EXPECT_EQ(-EINVAL, advise((void *)vma.start, vma.end - vma.start, MADV_TIER));
	EXPECT_EQ(0, kt_marked(0, (void *)vma.start));

	fd = open("/dev/mem", O_RDONLY);
	if (fd < 0)
		return;
	mem = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0xf0000);
	if (mem != MAP_FAILED) {
		EXPECT_EQ(-EINVAL, advise(mem, page, MADV_TIER));
		EXPECT_EQ(0, kt_marked(0, mem));
	}
	close(fd);
}

/* Fails if only VM_IO and VM_PFNMAP are refused: the vdso is ordinary memory, of the kernel's. */
TEST(the_vdso_is_refused)
{
	struct kt_vma vma;

	if (!kt_vma_named(0, "[vdso]", &vma))
		SKIP(return, "no [vdso] mapping");
	EXPECT_EQ(-EINVAL, advise((void *)vma.start, vma.end - vma.start, MADV_TIER));
	EXPECT_EQ(0, kt_marked(0, (void *)vma.start));
}

/* Fails if the memory of a device is not refused. */
TEST(dax_memory_is_refused)
{
	size_t huge = 2 * MIB;
	void *mem = MAP_FAILED;
	glob_t found = {};
	int fd = -1;

	if (!glob("/dev/dax[0-9]*", 0, NULL, &found))
		fd = open(found.gl_pathv[0], O_RDWR);
	globfree(&found);
	if (fd >= 0)
		mem = mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "no DAX device, or it is not ours to map");
	EXPECT_EQ(-EINVAL, advise(mem, huge, MADV_TIER));
	EXPECT_EQ(0, kt_marked(0, mem));
}

/* Fails if hugetlb mappings are not refused. */
TEST(hugetlb_is_refused)
{
	size_t huge = 2 * MIB;
	void *mem;

	mem = mmap(NULL, huge, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | (21 << 26), -1, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "no hugetlb mapping: %s", strerror(errno));
	EXPECT_EQ(-EINVAL, advise(mem, huge, MADV_TIER));
	EXPECT_EQ(0, kt_marked(0, mem));
}

/* Fails if memory that must not be read by the kernel is not refused. */
TEST(secret_memory_is_refused)
{
	size_t page = kt_page();
	int fd = syscall(__NR_memfd_secret, 0);
	void *mem;

	if (fd < 0)
		SKIP(return, "no memfd_secret: %s", strerror(errno));
	ASSERT_EQ(0, ftruncate(fd, page));
	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(-EINVAL, advise(mem, page, MADV_TIER));
	EXPECT_EQ(0, kt_marked(0, mem));
}

/* Fails if droppable mappings are not refused. */
TEST(droppable_memory_is_refused)
{
	size_t page = kt_page();
	void *mem;

	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_DROPPABLE, -1, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "no droppable mapping: %s", strerror(errno));
	EXPECT_EQ(-EINVAL, advise(mem, page, MADV_TIER));
	EXPECT_EQ(0, kt_marked(0, mem));
}

/* Fails if only private anonymous memory is accepted. */
TEST(file_and_shared_memory_are_accepted)
{
	size_t page = kt_page();
	void *shared, *file;
	int fd;

	shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	EXPECT_EQ(0, advise(shared, page, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, shared));

	fd = open("/proc/self/exe", O_RDONLY);
	ASSERT_LE(0, fd);
	file = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	EXPECT_EQ(0, advise(file, page, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, file));
}

/* Fails if marking is taken for a change of the memory, which a seal forbids. */
TEST_F(mark, sealed_memory_can_be_marked)
{
	char *mem = kt_map(self->len);

	ASSERT_NE(MAP_FAILED, mem);
	if (syscall(__NR_mseal, mem, self->len, 0))
		SKIP(return, "no mseal: %s", strerror(errno));
	EXPECT_EQ(0, advise(mem, self->len, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, mem));
}

/* Fails if one of these operations builds the VMA's flags anew. */
TEST_F(mark, marks_survive_mprotect_mlock_and_mremap)
{
	size_t half = self->len / 2;
	char *moved;

	/* Pages in all of it, so that parts of it merge again. */
	memset(self->mem, 1, self->len);
	ASSERT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	ASSERT_EQ(0, mprotect(self->mem, half, PROT_READ));
	EXPECT_TRUE(marks_are(self->mem, 0, PAGES, 1));
	ASSERT_EQ(0, mprotect(self->mem, half, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(marks_are(self->mem, 0, PAGES, 1));
	ASSERT_EQ(0, mlock(self->mem, half));
	EXPECT_TRUE(marks_are(self->mem, 0, PAGES, 1));
	ASSERT_EQ(0, munlock(self->mem, half));
	EXPECT_TRUE(marks_are(self->mem, 0, PAGES, 1));

	moved = mremap(self->mem, self->len, 2 * self->len, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, moved);
	ASSERT_NE(self->mem, moved);
	self->mem = moved;
	self->len *= 2;
	EXPECT_TRUE(marks_are(self->mem, 0, 2 * PAGES, 1));
}

/* Fails if fork drops VM_TIER. */
TEST_F(mark, marks_survive_fork)
{
	pid_t child;

	ASSERT_EQ(0, advise(self->mem, self->len / 2, MADV_TIER));
	child = kt_spawn(NULL, NULL);
	ASSERT_LT(0, child);
	EXPECT_EQ(1, kt_marked(child, self->mem));
	EXPECT_EQ(0, kt_marked(child, self->mem + self->len / 2));
	kt_kill(child);
}

/* Fails if process_madvise() does not know both, or marks the caller instead of the target. */
TEST_F(mark, another_process_can_be_marked)
{
	ssize_t half = self->len / 2;
	pid_t child;

	if (geteuid() != 0)
		SKIP(return, "needs root");
	child = kt_spawn(NULL, NULL);
	ASSERT_LT(0, child);
	EXPECT_EQ(half, kt_advise_process(child, self->mem, half, MADV_TIER, 0));
	EXPECT_EQ(1, kt_marked(child, self->mem));
	EXPECT_EQ(0, kt_marked(child, self->mem + half));
	EXPECT_EQ(0, kt_marked(0, self->mem));
	EXPECT_EQ(half, kt_advise_process(child, self->mem, half, MADV_NOTIER, 0));
	EXPECT_EQ(0, kt_marked(child, self->mem));
	EXPECT_EQ(-EINVAL, kt_advise_process(child, self->mem, half, MADV_TIER, 1));
	EXPECT_EQ(-EINVAL, kt_advise_process(child, self->mem, half, MADV_TIER - 1, 0));
	EXPECT_EQ(-EINVAL, kt_advise_process(child, self->mem + 1, half, MADV_TIER, 0));
	kt_kill(child);
}

static int become_nobody(void *unused)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		return -1;
	/* Changing the user made it undumpable: let its own user look at it. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* In a child without privileges: the answer to marking @target. */
static int advise_as_nobody(pid_t target, void *addr, size_t len)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (become_nobody(NULL))
			_exit(255);
		_exit(-kt_advise_process(target, addr, len, MADV_TIER, 0));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

/* Fails if process_madvise() takes the advice before it has asked for the permissions. */
TEST_F(mark, another_process_needs_permission)
{
	pid_t same, other;

	if (geteuid() != 0)
		SKIP(return, "needs root");
	other = kt_spawn(NULL, NULL);
	ASSERT_LT(0, other);
	same = kt_spawn(become_nobody, NULL);
	ASSERT_LT(0, same);
	/* May not look into it. */
	EXPECT_EQ(-EACCES, advise_as_nobody(other, self->mem, self->len));
	EXPECT_EQ(0, kt_marked(other, self->mem));
	/* May, but has no CAP_SYS_NICE. */
	EXPECT_EQ(-EPERM, advise_as_nobody(same, self->mem, self->len));
	EXPECT_EQ(0, kt_marked(same, self->mem));
	kt_kill(other);
	kt_kill(same);
}

/* Fails if marking one's own memory needs a privilege, or the settings need none. */
TEST_F(mark, an_ordinary_user_marks_memory_but_sets_nothing)
{
	if (geteuid() != 0)
		SKIP(return, "needs root to become somebody else");
	ASSERT_EQ(0, become_nobody(NULL));
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, self->mem));
	EXPECT_EQ(0, set_tier(1));
	EXPECT_EQ(1, get_tier());
	EXPECT_EQ(-EACCES, kt_set_sysctl("scan_interval_ms", 1000));
	EXPECT_EQ(-EACCES, kt_set_enabled(0));
	EXPECT_LE(0, kt_sysfs("enabled"));
}

/* Fails if an argument is not checked, or a refused call changes something. */
TEST(prctl_checks_its_arguments)
{
	int on;

	for (on = 0; on <= 1; on++) {
		ASSERT_EQ(0, set_tier(on));
		EXPECT_EQ(-EINVAL, set_tier(2));
		EXPECT_EQ(-EINVAL, set_tier(-1UL));
		EXPECT_EQ(-1, prctl(PR_SET_TIER, !on, 1, 0, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, prctl(PR_SET_TIER, !on, 0, 1, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, prctl(PR_SET_TIER, !on, 0, 0, 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, prctl(PR_GET_TIER, 1, 0, 0, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, prctl(PR_GET_TIER, 0, 1, 0, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, prctl(PR_GET_TIER, 0, 0, 1, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, prctl(PR_GET_TIER, 0, 0, 0, 1));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(on, get_tier());
	}
}

/* Fails if prctl marks present mappings only, future ones only, or neither heap nor stack. */
TEST_F(mark, prctl_covers_the_whole_process)
{
	char *brk_before, *later;
	struct kt_vma vma;
	int local;

	brk_before = sbrk(4 * self->page);
	ASSERT_NE((void *)-1, brk_before);
	ASSERT_EQ(0, get_tier());
	ASSERT_EQ(0, kt_count_marked(0));

	ASSERT_EQ(0, set_tier(1));
	EXPECT_EQ(1, get_tier());
	EXPECT_EQ(1, kt_marked(0, self->mem));
	EXPECT_EQ(1, kt_marked(0, &local));
	EXPECT_EQ(1, kt_marked(0, brk_before));
	later = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, later);
	EXPECT_EQ(1, kt_marked(0, later));

	/* The heap stays one mapping when it grows. */
	ASSERT_NE((void *)-1, sbrk(1024 * self->page));
	EXPECT_EQ(1, kt_marked(0, (char *)sbrk(0) - 1));
	ASSERT_TRUE(kt_vma_at(0, brk_before, &vma));
	EXPECT_GE(vma.end, (unsigned long)sbrk(0));

	/* What can't be tiered is left out without an error. */
	if (kt_vma_named(0, "[vvar]", &vma))
		EXPECT_FALSE(vma.tier);
}

/* Fails if switching off leaves a mapping marked, or the default of new ones. */
TEST_F(mark, prctl_off_unmarks_everything)
{
	char *later;

	ASSERT_EQ(0, advise(self->mem, self->page, MADV_TIER));
	ASSERT_EQ(0, set_tier(1));
	ASSERT_LT(0, kt_count_marked(0));
	ASSERT_EQ(0, set_tier(0));
	EXPECT_EQ(0, get_tier());
	EXPECT_EQ(0, kt_count_marked(0));
	later = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, later);
	EXPECT_EQ(0, kt_marked(0, later));
	/* And is not a lock-out. */
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	EXPECT_EQ(1, kt_marked(0, self->mem));
}

/* Fails if one's answer is derived from the other's state. */
TEST_F(mark, madvise_and_prctl_do_not_mix)
{
	ASSERT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	EXPECT_EQ(0, get_tier());
	ASSERT_EQ(0, set_tier(1));
	EXPECT_EQ(0, advise(self->mem, self->len, MADV_NOTIER));
	EXPECT_EQ(0, kt_marked(0, self->mem));
	EXPECT_EQ(1, get_tier());
}

/* What this program, started with REPORT, finds marked: its exit status is a set of bits. */
#define REPORT		"--report-marks"
#define REPORT_PRCTL	0x1
#define REPORT_STACK	0x2
#define REPORT_HEAP	0x4
#define REPORT_MAPPING	0x8
#define REPORT_DATA	0x10
#define REPORT_ALL	0x1f

static int report_marks(void)
{
	static int data = 1;
	char *heap = sbrk(kt_page());
	char *mem = kt_map(kt_page());
	int local;

	return (get_tier() == 1 ? REPORT_PRCTL : 0) |
	       (kt_marked(0, &local) == 1 ? REPORT_STACK : 0) |
	       (kt_marked(0, heap) == 1 ? REPORT_HEAP : 0) |
	       (kt_marked(0, mem) == 1 ? REPORT_MAPPING : 0) |
	       (kt_marked(0, &data) == 1 ? REPORT_DATA : 0);
}

static int report_after_exec(void)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		kt_exec_self(REPORT, NULL);
		_exit(255);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Fails if exec or fork forgets the prctl, or exec keeps what madvise marked. */
TEST_F(mark, prctl_survives_fork_and_exec)
{
	ASSERT_EQ(0, advise(self->mem, self->len, MADV_TIER));
	EXPECT_EQ(0, report_after_exec());
	ASSERT_EQ(0, set_tier(1));
	EXPECT_EQ(REPORT_ALL, report_after_exec());
	ASSERT_EQ(0, set_tier(0));
	EXPECT_EQ(0, report_after_exec());
}

static int prctl_off(void *unused)
{
	return set_tier(0);
}

/* Fails if parent and child share the state. */
TEST_F(mark, a_child_can_leave_without_its_parent)
{
	pid_t child;

	ASSERT_EQ(0, set_tier(1));
	child = kt_spawn(prctl_off, NULL);
	ASSERT_LT(0, child);
	EXPECT_EQ(0, kt_count_marked(child));
	EXPECT_EQ(1, get_tier());
	EXPECT_EQ(1, kt_marked(0, self->mem));
	kt_kill(child);

	child = kt_spawn(NULL, NULL);
	ASSERT_LT(0, child);
	EXPECT_EQ(1, kt_marked(child, self->mem));
	kt_kill(child);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], REPORT))
		return report_marks();
	kt_start();
	return test_harness_run(argc, argv);
}
