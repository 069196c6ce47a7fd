// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a virtual machine: what its guest uses is hot, although the program that runs the guest
 * never touches it. Only a secondary MMU has accessed bits of it, and ktierd has to ask for these
 * through MMU notifiers. Above each test stands what change in the kernel would make it fail.
 *
 * The guest is one processor, without paging, and a loop of a few instructions that uses the hot
 * pages of a region once and then halts, which brings it back here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#ifdef __x86_64__

#include <linux/kernel-page-flags.h>
#include <linux/kvm.h>

#define REGION		(32 * MIB)
#define SMALL		(8 * MIB)
#define HUGE		(2 * MIB)
#define NR_HUGE		8
#define HUGE_REGION	(NR_HUGE * HUGE)

#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

/* Every eighth page is hot, where a test does not say otherwise. */
#define HOT_STEP	8

/* Physical addresses of the guest: its programs, its own counters, the region. */
#define PROGRAMS_AT	0x100000UL
#define COUNTERS_AT	0x200000UL
#define REGION_AT	0x40000000UL

/* Three pages below 4 GiB that nobody else uses: processors of Intel's ask for them. */
#define TSS_AT		0xfffbd000UL

/* Where in their page the two programs are. */
#define READ_PROGRAM	0
#define WRITE_PROGRAM	2048

/* What the guest counts in a page, between what the page says about itself. */
#define COUNTER		2048

/* Rounds. */
#define LONG_REST	80

/* The guest uses its pages all the time, but for a moment in which others may use the CPU. */
#define REST_US		500

static const uint8_t read_program[] = {
	0x8b, 0x06,	/* mov (%esi), %eax	*/
	0x01, 0xd6,	/* add %edx, %esi	*/
	0x49,		/* dec %ecx		*/
	0x75, 0xf9,	/* jnz to the beginning	*/
	0xf4,		/* hlt			*/
};

/* Counts in the page, and in memory of its own that nobody moves. */
static const uint8_t write_program[] = {
	0xff, 0x06,	/* incl (%esi)		*/
	0xff, 0x07,	/* incl (%edi)		*/
	0x01, 0xd6,	/* add %edx, %esi	*/
	0x01, 0xdf,	/* add %ebx, %edi	*/
	0x49,		/* dec %ecx		*/
	0x75, 0xf5,	/* jnz to the beginning	*/
	0xf4,		/* hlt			*/
};

struct guest {
	struct kt_region *region;
	unsigned long region_at;
	uint32_t *counters;	/* one for each page of the region */
	struct kvm_run *run;
	int vm;
	int vcpu;
	pthread_t thread;
	bool write;
	bool stop;
	unsigned long sweeps;	/* how often it has used its hot pages since it was started */
	unsigned long wrong;	/* how often it came back other than by halting */
};

/* Why there can be no guests, or NULL. */
static const char *why_no_guests;

/* Not in a test: a process that once had a guest never again is one without. */
static void find_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm;

	if (fd < 0) {
		why_no_guests = "no /dev/kvm, or it can't be opened";
		return;
	}
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		why_no_guests = "another version of KVM's interface";
	else if (vm < 0)
		why_no_guests = "no virtual machines: neither AMD-V nor VMX";
	if (vm >= 0)
		close(vm);
	close(fd);
}

static int give_memory(struct guest *g, uint32_t slot, unsigned long at, const void *addr,
		       size_t bytes)
{
	struct kvm_userspace_memory_region memory = {
		.slot = slot,
		.guest_phys_addr = at,
		.memory_size = bytes,
		.userspace_addr = (unsigned long)addr,
	};

	return ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &memory) ? -errno : 0;
}

static int give_all_memory(struct guest *g)
{
	size_t bytes = (g->region->nr * sizeof(*g->counters) + kt_page() - 1) & -kt_page();
	char *programs = kt_map(kt_page());

	g->counters = kt_map(bytes);
	if (programs == MAP_FAILED || g->counters == MAP_FAILED)
		return -ENOMEM;
	memcpy(programs + READ_PROGRAM, read_program, sizeof(read_program));
	memcpy(programs + WRITE_PROGRAM, write_program, sizeof(write_program));
	return give_memory(g, 0, PROGRAMS_AT, programs, kt_page()) ?:
	       give_memory(g, 1, COUNTERS_AT, g->counters, bytes) ?:
	       give_memory(g, 2, g->region_at, g->region->addr, g->region->nr * kt_page());
}

/* All of the address space. */
static struct kvm_segment flat_segment(int selector, int type)
{
	return (struct kvm_segment) {
		.selector = selector, .type = type, .limit = 0xffffffff,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
}

/* Protected, 32 bit, without paging. */
static int set_mode(const struct guest *g)
{
	struct kvm_sregs sregs;

	if (ioctl(g->vcpu, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.cs = flat_segment(8, 11);		/* code that can be read */
	sregs.ds = flat_segment(16, 3);		/* data that can be written */
	sregs.es = sregs.ds;
	sregs.ss = sregs.ds;
	sregs.cr0 |= 1;				/* PE */
	return ioctl(g->vcpu, KVM_SET_SREGS, &sregs) ? -errno : 0;
}

static int make_processor(struct guest *g, int kvm)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	if (g->vcpu < 0 || size < 0)
		return -errno;
	g->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	return g->run == MAP_FAILED ? -errno : set_mode(g);
}

/* A guest that has the region at @region_at. It ends with the test's process. */
static int guest_make_at(struct guest *g, struct kt_region *r, unsigned long region_at)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int err;

	memset(g, 0, sizeof(*g));
	g->region = r;
	g->region_at = region_at;
	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0)
		return -errno;
	ioctl(g->vm, KVM_SET_TSS_ADDR, TSS_AT);
	err = give_all_memory(g) ?: make_processor(g, kvm);
	close(kvm);
	return err;
}

static int guest_make(struct guest *g, struct kt_region *r)
{
	return guest_make_at(g, r, REGION_AT);
}

/* At the beginning of a program, and before the first hot page. */
static int set_registers(const struct guest *g)
{
	const struct kt_region *r = g->region;
	struct kvm_regs regs = {
		.rip = PROGRAMS_AT + (g->write ? WRITE_PROGRAM : READ_PROGRAM),
		.rflags = 2,	/* the bit that is always set */
		.rsi = g->region_at + r->phase * kt_page() + COUNTER,
		.rdx = r->hot_step * kt_page(),
		.rdi = COUNTERS_AT + r->phase * sizeof(*g->counters),
		.rbx = r->hot_step * sizeof(*g->counters),
		.rcx = (r->nr - r->phase + r->hot_step - 1) / r->hot_step,
	};

	return ioctl(g->vcpu, KVM_SET_REGS, &regs);
}

static bool sweep(struct guest *g)
{
	int ret = set_registers(g);

	while (!ret) {
		ret = ioctl(g->vcpu, KVM_RUN, 0);
		if (!ret)
			return g->run->exit_reason == KVM_EXIT_HLT;
		if (errno == EINTR || errno == EAGAIN)
			ret = 0;
	}
	return false;
}

static void *guest_loop(void *arg)
{
	struct guest *g = arg;

	while (!__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) {
		if (sweep(g))
			g->sweeps++;
		else
			g->wrong++;
		usleep(REST_US);
	}
	return NULL;
}

/* Have the guest use the region's hot pages until told to stop. */
static int guest_start(struct guest *g, bool write)
{
	g->write = write;
	g->stop = false;
	g->sweeps = 0;
	return -pthread_create(&g->thread, NULL, guest_loop, g);
}

/* Returns how often something went wrong. */
static unsigned long guest_stop(struct guest *g)
{
	__atomic_store_n(&g->stop, true, __ATOMIC_RELAXED);
	pthread_join(g->thread, NULL);
	printf("# the guest came by %lu times\n", g->sweeps);
	return g->wrong + !g->sweeps;
}

/* How many pages do not hold what the guest has counted in them. */
static long counted_wrong(const struct guest *g)
{
	const struct kt_region *r = g->region;
	long wrong = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		wrong += *(uint32_t *)(r->addr + i * kt_page() + COUNTER) != g->counters[i];
	return wrong;
}

static bool is_placed(const struct kt_region *r, int top, int low)
{
	return kt_region_percent(r, KT_HOT, top) >= KT_NEARLY_ALL &&
	       kt_region_percent(r, KT_IDLE, low) >= KT_NEARLY_ALL;
}

static void say_where(const struct kt_region *r, int top, int low)
{
	printf("# hot: %ld%% top, %ld%% low; idle: %ld%% top, %ld%% low\n",
	       kt_region_percent(r, KT_HOT, top), kt_region_percent(r, KT_HOT, low),
	       kt_region_percent(r, KT_IDLE, top), kt_region_percent(r, KT_IDLE, low));
}

static const char *find_all(int *top, int *low)
{
	return why_no_guests ?: kt_find_tiers(top, low);
}

FIXTURE(guest) {
	struct kt_knobs saved;
	int top;
	int low;
};

FIXTURE_SETUP(guest)
{
	const char *why = find_all(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(guest)
{
	kt_knobs_restore(&self->saved);
}

FIXTURE(use) {
	struct kt_knobs saved;
	int top;
	int low;
};

FIXTURE_VARIANT(use) {
	bool write;
};

FIXTURE_VARIANT_ADD(use, read) { .write = false };
FIXTURE_VARIANT_ADD(use, write) { .write = true };

FIXTURE_SETUP(use)
{
	const char *why = find_all(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
}

FIXTURE_TEARDOWN(use)
{
	kt_knobs_restore(&self->saved);
}

/*
 * Half of the region starts in each tier. Fails if the reading walk does not ask the secondary MMU:
 * then nothing comes up; if the clearing walk does not clear there, or takes all of a table for
 * used: then the idle half stays up; or if a guest that rests still looks busy.
 */
TEST_F_TIMEOUT(use, what_a_guest_uses_comes_up_and_goes_down_when_it_rests, KT_TIMEOUT)
{
	struct kt_region r;
	struct guest g;

	ASSERT_EQ(0, kt_region_map(&r, REGION));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, kt_region_fill(&r, 0, r.nr / 2, self->top));
	ASSERT_EQ(0, kt_region_fill(&r, r.nr / 2, r.nr / 2, self->low));
	ASSERT_EQ(0, guest_make(&g, &r));
	ASSERT_EQ(0, guest_start(&g, variant->write));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(is_placed(&r, self->top, self->low), 2 * KT_PATIENCE)) {
		say_where(&r, self->top, self->low);
	}
	EXPECT_EQ(0, guest_stop(&g));

	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE)) {
		say_where(&r, self->top, self->low);
	}
	EXPECT_EQ(0, kt_region_wrong(&r));
	EXPECT_EQ(0, counted_wrong(&g));
}

/*
 * The guest writes to other pages again and again, and so they go up and down under its writes.
 * Fails if a move loses what the guest writes meanwhile.
 */
TEST_F_TIMEOUT(guest, it_can_write_to_what_is_being_moved, KT_TIMEOUT)
{
	long promoted = kt_sysfs("pages_promoted");
	long demoted = kt_sysfs("pages_demoted");
	struct kt_region r;
	struct guest g;
	int phase;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->low));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, guest_make(&g, &r));
	ASSERT_EQ(0, kt_mark(&r));
	for (phase = 0; phase < 4; phase++) {
		r.phase = phase;
		ASSERT_EQ(0, guest_start(&g, true));
		EXPECT_TRUE(KT_WAIT(is_placed(&r, self->top, self->low), KT_PATIENCE)) {
			say_where(&r, self->top, self->low);
		}
		EXPECT_EQ(0, guest_stop(&g));
		EXPECT_EQ(0, counted_wrong(&g));
	}
	EXPECT_EQ(0, kt_region_wrong(&r));
	EXPECT_LE(promoted + 3 * (long)r.nr / HOT_STEP, kt_sysfs("pages_promoted"));
	EXPECT_LE(demoted + 2 * (long)r.nr / HOT_STEP, kt_sysfs("pages_demoted"));
}

/*
 * Fails if page tables in which nothing was used for long are no longer looked at, without asking
 * the secondary MMU: then a guest that has rested is never seen again.
 */
TEST_F_TIMEOUT(guest, it_is_seen_again_after_a_long_rest, KT_TIMEOUT)
{
	struct kt_region r;
	struct guest g;
	int i;

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	r.hot_step = HOT_STEP;
	ASSERT_EQ(0, guest_make(&g, &r));
	ASSERT_EQ(0, guest_start(&g, false));
	ASSERT_EQ(0, kt_mark(&r));
	EXPECT_TRUE(KT_WAIT(is_placed(&r, self->top, self->low), KT_PATIENCE));
	EXPECT_EQ(0, guest_stop(&g));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &r, self->low), KT_PATIENCE));
	/* Where nothing happens, histories are forgotten after some dozens of rounds. */
	for (i = 0; i < LONG_REST; i += 20)
		ASSERT_TRUE(kt_wait_scans(20));

	ASSERT_EQ(0, guest_start(&g, false));
	EXPECT_TRUE(KT_WAIT(is_placed(&r, self->top, self->low), KT_PATIENCE)) {
		say_where(&r, self->top, self->low);
	}
	EXPECT_EQ(0, guest_stop(&g));
	EXPECT_EQ(0, kt_region_wrong(&r));
}

/* How many pages are marked dirty themselves, apart from what page tables say. */
static long count_dirty(const struct kt_region *r)
{
	int map = open("/proc/self/pagemap", O_RDONLY), flags = open("/proc/kpageflags", O_RDONLY);
	long dirty = map < 0 || flags < 0 ? -1 : 0;
	uint64_t entry, flag;
	size_t i;

	for (i = 0; i < r->nr && dirty >= 0; i++) {
		if (pread(map, &entry, sizeof(entry),
			  ((unsigned long)r->addr / kt_page() + i) * sizeof(entry)) <= 0 ||
		    pread(flags, &flag, sizeof(flag),
			  (entry & ((1ULL << 55) - 1)) * sizeof(flag)) <= 0)
			dirty = -1;
		else
			dirty += flag >> KPF_DIRTY & 1;
	}
	close(map);
	close(flags);
	return dirty;
}

static bool nearly_all_dirty(const struct kt_region *r)
{
	return count_dirty(r) * 100 >= KT_NEARLY_ALL * (long)r->nr;
}

/*
 * Whose dirty bit is cleared is marked dirty first, and that stays. Nothing moves here, because a
 * move marks pages, too. Fails if dirty bits are cleared that a secondary MMU relies on, of memory
 * whose writes it does not tell us of.
 */
TEST_F_TIMEOUT(guest, its_dirty_bits_are_left_alone, KT_TIMEOUT)
{
	struct kt_region plain, r;
	struct kt_toucher toucher;
	struct guest g;
	long young;

	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	ASSERT_EQ(0, kt_region_make(&plain, SMALL, self->top));
	if (count_dirty(&plain) < 0)
		SKIP(return, "can't read /proc/kpageflags");
	/* The opposite, as long as this process has no guest. */
	plain.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &plain, true));
	ASSERT_EQ(0, kt_mark(&plain));
	EXPECT_TRUE(KT_WAIT(nearly_all_dirty(&plain), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	ASSERT_EQ(0, kt_unmark(&plain));

	ASSERT_EQ(0, kt_region_make(&r, SMALL, self->top));
	r.hot_step = 1;
	ASSERT_EQ(0, guest_make(&g, &r));
	ASSERT_EQ(0, guest_start(&g, true));
	young = kt_sysfs("pages_young");
	ASSERT_EQ(0, kt_mark(&r));
	/* So often was it seen that it is used, and in all of the windows that ask for writes. */
	EXPECT_TRUE(KT_WAIT(kt_sysfs("pages_young") >= young + 20 * (long)r.nr, KT_PATIENCE));
	EXPECT_EQ(0, guest_stop(&g));
	EXPECT_GE((100 - KT_NEARLY_ALL) * (long)r.nr / 100, count_dirty(&r));
	EXPECT_EQ(0, counted_wrong(&g));
}

FIXTURE(huge) {
	struct kt_knobs saved;
	struct kt_region r;
	int top;
	int low;
};

FIXTURE_VARIANT(huge) {
	unsigned long region_at;
};

/* KVM maps it by huge pages, or has to map it by small ones. */
FIXTURE_VARIANT_ADD(huge, aligned) { .region_at = REGION_AT };
FIXTURE_VARIANT_ADD(huge, askew) { .region_at = REGION_AT + 4096 };

static long huge_bytes(const struct kt_region *r)
{
	struct kt_vma vma;

	return kt_vma_at(0, r->addr, &vma) ? vma.huge_kb * 1024 : -1;
}

/* A region of huge pages in @node. False if there are none. */
static bool make_huge_region(struct kt_region *r, int node)
{
	if (kt_region_map(r, HUGE_REGION + HUGE))
		return false;
	r->addr = (char *)(((unsigned long)r->addr + HUGE - 1) & -HUGE);
	r->origin = r->addr;
	r->nr = HUGE_REGION / kt_page();
	return !madvise(r->addr, HUGE_REGION, MADV_HUGEPAGE) &&
	       !kt_region_fill(r, 0, r->nr, node) && huge_bytes(r) == HUGE_REGION;
}

/* Compaction helps to get huge pages after tests that filled the memory. */
FIXTURE_SETUP(huge)
{
	const char *why = find_all(&self->top, &self->low);

	if (why)
		SKIP(return, "%s", why);
	if (kt_read_long(HUGE_SIZE) != HUGE)
		SKIP(return, "no huge pages of 2 MiB");
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	kt_write("/proc/sys/vm/compact_memory", "1");
	if (!make_huge_region(&self->r, self->low))
		SKIP(return, "no huge pages in the lower tier");
}

FIXTURE_TEARDOWN(huge)
{
	kt_knobs_restore(&self->saved);
}

/* Whether the huge pages of even number are on @even, the others on @odd. */
static bool alternate(const struct kt_region *r, int even, int odd)
{
	int *nodes = kt_nodes_of(0, r->addr, r->nr);
	size_t per_huge = HUGE / kt_page();
	bool yes = true;
	size_t i;

	for (i = 0; i < r->nr; i++)
		yes &= nodes[i] == (i / per_huge % 2 ? odd : even);
	free(nodes);
	return yes;
}

/*
 * Of every other huge page one small page is used, and it is not the first. Fails if a huge page is
 * split for a guest's sake, or judged by its neighbours, or if the secondary MMU is asked for one
 * address of it only: that is enough where it has huge pages as well, and misses the use else.
 */
TEST_F_TIMEOUT(huge, what_a_guest_uses_comes_up_whole, KT_TIMEOUT)
{
	struct guest g;

	self->r.hot_step = 2 * HUGE / kt_page();
	self->r.phase = 7;
	ASSERT_EQ(0, guest_make_at(&g, &self->r, variant->region_at));
	ASSERT_EQ(0, guest_start(&g, true));
	ASSERT_EQ(0, madvise(self->r.addr, HUGE_REGION, MADV_TIER));
	EXPECT_TRUE(KT_WAIT(alternate(&self->r, self->top, self->low), KT_PATIENCE));
	EXPECT_EQ(0, guest_stop(&g));
	EXPECT_EQ(HUGE_REGION, huge_bytes(&self->r));

	EXPECT_TRUE(KT_WAIT(alternate(&self->r, self->low, self->low), KT_PATIENCE));
	EXPECT_EQ(HUGE_REGION, huge_bytes(&self->r));
	EXPECT_EQ(0, kt_region_wrong(&self->r));
	EXPECT_EQ(0, counted_wrong(&g));
}

#else /* !__x86_64__ */

static void find_kvm(void)
{
}

TEST(guest)
{
	SKIP(return, "there is a program for guests of x86 only");
}

#endif /* __x86_64__ */

int main(int argc, char **argv)
{
	kt_start();
	find_kvm();
	return test_harness_run(argc, argv);
}
