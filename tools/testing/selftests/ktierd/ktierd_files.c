// SPDX-License-Identifier: GPL-2.0
/*
 * Page cache and shared memory: they move when they are marked, and keep their dirty bits. Above
 * each test stands what change in the kernel would make it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define SMALL		(8 * MIB)
#define DISK		(64 * MIB)
#define SWAP		(64 * MIB)
#define WRITEBACK	"/proc/sys/vm/dirty_writeback_centisecs"
#define DROP_CACHES	"/proc/sys/vm/drop_caches"

enum medium { EXT4, TMPFS, MEMFD, ANONYMOUS };

/* A file, what it is in, and a mapping of it. */
struct file {
	struct kt_knobs saved;
	char writeback[16];
	struct kt_zram disk;
	char dir[64];
	char name[96];
	bool mounted;
	int fd;
	struct kt_region r;
	int top;
	int low;
};

/* Returns NULL, or why there is none. */
static const char *mount_fs(enum medium medium, struct kt_zram *disk, const char *dir)
{
	char command[96];
	const char *why;

	if (medium == TMPFS)
		return mount("none", dir, "tmpfs", 0, NULL) ? "can't mount a tmpfs" : NULL;
	why = kt_zram_make(disk, DISK);
	if (why)
		return why;
	snprintf(command, sizeof(command), "mkfs.ext4 -q %s >/dev/null 2>&1", disk->path);
	if (system(command))
		return "needs mkfs.ext4";
	return mount(disk->path, dir, "ext4", 0, NULL) ? "can't mount ext4" : NULL;
}

static int open_file(enum medium medium, const char *path)
{
	int fd = medium == MEMFD ? memfd_create("ktierd", 0) : open(path, O_CREAT | O_RDWR, 0600);

	if (fd >= 0 && ftruncate(fd, SMALL)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Between inaccessible pages; the region's content is what it was. */
static int map_file(struct kt_region *r, int fd, bool shared)
{
	char *addr = kt_map(SMALL);

	if (addr == MAP_FAILED)
		return -ENOMEM;
	r->addr = mmap(addr, SMALL, PROT_READ | PROT_WRITE,
		       (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED |
		       (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	return r->addr == MAP_FAILED ? -errno : 0;
}

/* Have all of it mapped, and on a node. */
static int place(const struct kt_region *r, int node)
{
	if (kt_region_wrong(r))
		return -EIO;
	return KT_WAIT(!kt_bind(r->addr, SMALL, node) && !kt_unbind(r->addr, SMALL) &&
		       kt_region_count(0, r, KT_ALL, node) == (long)r->nr, KT_PATIENCE) ?
	       0 : -EBUSY;
}

static const char *find_place(struct file *f, enum medium medium)
{
	const char *why;

	snprintf(f->dir, sizeof(f->dir), "/tmp/ktierd-files-XXXXXX");
	if (!mkdtemp(f->dir))
		return "can't make a directory";
	snprintf(f->name, sizeof(f->name), "%s/file", f->dir);
	if (medium != EXT4 && medium != TMPFS)
		return NULL;
	why = mount_fs(medium, &f->disk, f->dir);
	f->mounted = !why;
	return why;
}

/*
 * What is written there is on disk, and clean, and in the top tier. Private mappings have no pages
 * of their own. Returns NULL, or why there is none.
 */
static const char *file_make(struct file *f, enum medium medium, bool shared)
{
	const char *why = kt_find_tiers(&f->top, &f->low);

	memset(&f->r, 0, sizeof(f->r));
	f->disk.number = -1;
	f->fd = -1;
	kt_knobs_save(&f->saved);
	kt_read(WRITEBACK, f->writeback, sizeof(f->writeback));
	if (!why)
		why = find_place(f, medium);
	if (why)
		return why;
	if (medium != ANONYMOUS) {
		f->fd = open_file(medium, f->name);
		if (f->fd < 0)
			return "can't make a file";
	}
	f->r.nr = SMALL / kt_page();
	f->r.seq = calloc(f->r.nr, sizeof(*f->r.seq));
	if (!f->r.seq || map_file(&f->r, f->fd, true))
		return "can't map the file";
	f->r.origin = f->r.addr;
	kt_region_stamp(&f->r);
	if (msync(f->r.addr, SMALL, MS_SYNC))
		return "can't write the file to disk";
	if (!shared) {
		munmap(f->r.addr, SMALL);
		if (map_file(&f->r, f->fd, false))
			return "can't map the file";
	}
	if (kt_knobs_fast())
		return "can't set the knobs";
	return place(&f->r, f->top) ? "can't put the file into the top tier" : NULL;
}

static void file_remove(struct file *f)
{
	if (f->r.addr)
		munmap(f->r.addr, SMALL);
	if (f->fd >= 0)
		close(f->fd);
	kt_write(WRITEBACK, f->writeback);
	if (f->mounted)
		umount(f->dir);
	rmdir(f->dir);
	kt_zram_remove(&f->disk);
	kt_knobs_restore(&f->saved);
}

/*
 * Clean pages
 */

FIXTURE(clean) {
	struct file file;
};

FIXTURE_VARIANT(clean) {
	enum medium medium;
	bool shared;
};

FIXTURE_VARIANT_ADD(clean, ext4_shared) { .medium = EXT4, .shared = true };
FIXTURE_VARIANT_ADD(clean, ext4_private) { .medium = EXT4, .shared = false };
FIXTURE_VARIANT_ADD(clean, tmpfs_shared) { .medium = TMPFS, .shared = true };
FIXTURE_VARIANT_ADD(clean, tmpfs_private) { .medium = TMPFS, .shared = false };
FIXTURE_VARIANT_ADD(clean, memfd) { .medium = MEMFD, .shared = true };
FIXTURE_VARIANT_ADD(clean, anonymous) { .medium = ANONYMOUS, .shared = true };

FIXTURE_SETUP(clean)
{
	const char *why = file_make(&self->file, variant->medium, variant->shared);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(clean)
{
	file_remove(&self->file);
}

/* Fails if only private anonymous memory is sampled, or moved, in either direction. */
TEST_F_TIMEOUT(clean, pages_move_down_and_up, KT_TIMEOUT)
{
	struct kt_region *r = &self->file.r;
	struct kt_toucher toucher;

	ASSERT_EQ(0, kt_mark(r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, r, self->file.low), KT_PATIENCE));
	r->hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, r, false));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, r, self->file.top), KT_PATIENCE));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_EQ(0, kt_region_wrong(r));
}

/*
 * Dirty pages
 */

FIXTURE(dirty) {
	struct file file;
	struct kt_zram swap;
};

FIXTURE_VARIANT(dirty) {
	enum medium medium;
};

FIXTURE_VARIANT_ADD(dirty, ext4) { .medium = EXT4 };
FIXTURE_VARIANT_ADD(dirty, tmpfs) { .medium = TMPFS };
FIXTURE_VARIANT_ADD(dirty, memfd) { .medium = MEMFD };
FIXTURE_VARIANT_ADD(dirty, anonymous) { .medium = ANONYMOUS };

FIXTURE_SETUP(dirty)
{
	const char *why = file_make(&self->file, variant->medium, true);

	self->swap.number = -1;
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(dirty)
{
	file_remove(&self->file);
	kt_swap_remove(&self->swap);
}

/*
 * To where they are kept when they are not in memory: dirty bits alone say that they must be taken
 * there.
 */
static const char *write_out(struct file *f, enum medium medium, struct kt_zram *swap)
{
	struct kt_region *r = &f->r;
	const char *why;

	if (medium == EXT4) {
		munmap(r->addr, SMALL);
		r->addr = NULL;
		sync();
		kt_write(DROP_CACHES, "1");
		return map_file(r, f->fd, true) ? "can't map the file again" : NULL;
	}
	why = kt_swap_make(swap, SWAP);
	if (why)
		return why;
	return KT_WAIT(!madvise(r->addr, SMALL, MADV_PAGEOUT) &&
		       kt_region_count(0, r, KT_ALL, -ENOENT) * 100 >=
		       KT_NEARLY_ALL * (long)r->nr, KT_PATIENCE) ? NULL : "can't swap it out";
}

/*
 * Pages are written all the time, and sampled and moved; then they are read, and sampled; and then
 * they leave memory. Fails if a dirty bit of a page is cleared that somebody else asks for it: then
 * it is dropped, or what is older comes back.
 */
TEST_F_TIMEOUT(dirty, pages_are_kept, KT_TIMEOUT)
{
	long scanned = kt_sysfs("pages_scanned"), dirty = kt_sysfs("pages_dirty");
	struct kt_region *r = &self->file.r;
	bool alone = !kt_sysfs("processes");
	struct kt_toucher toucher;
	const char *why;

	r->hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, r, true));
	ASSERT_EQ(0, kt_mark(r));
	ASSERT_TRUE(kt_wait_scans(10));
	sync();
	ASSERT_TRUE(kt_wait_scans(10));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	ASSERT_EQ(0, kt_touch_start(&toucher, r, false));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	sync();
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, r, self->file.low), KT_PATIENCE));

	/* It was looked at, and nobody asked for dirty bits of such memory. */
	EXPECT_LT(scanned + 10 * (long)r->nr, kt_sysfs("pages_scanned"));
	if (alone)
		EXPECT_EQ(dirty, kt_sysfs("pages_dirty"));
	why = write_out(&self->file, variant->medium, &self->swap);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(0, kt_region_wrong(r));
}

FIXTURE(disk) {
	struct file file;
};

FIXTURE_SETUP(disk)
{
	const char *why = file_make(&self->file, EXT4, true);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(disk)
{
	file_remove(&self->file);
}

/*
 * A half is written, and nobody writes it to disk. Fails if dirty pages of a file are moved, which
 * may wait for the disk; or are not looked at again when they are clean.
 */
TEST_F_TIMEOUT(disk, dirty_pages_stay_until_they_are_clean, KT_TIMEOUT)
{
	struct kt_region clean = self->file.r, dirty = self->file.r;
	long refused = kt_sysfs("failed/dirty");
	size_t i;

	ASSERT_EQ(0, kt_write(WRITEBACK, "0"));
	clean.nr /= 2;
	dirty.nr -= clean.nr;
	dirty.addr += clean.nr * kt_page();
	dirty.origin += clean.nr * kt_page();
	dirty.seq += clean.nr;
	for (i = 0; i < dirty.nr; i++)
		dirty.seq[i]++;
	kt_region_stamp(&dirty);
	ASSERT_EQ(0, kt_mark(&self->file.r));
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &clean, self->file.low), KT_PATIENCE));
	ASSERT_TRUE(kt_wait_scans(20));
	EXPECT_EQ(dirty.nr, kt_region_count(0, &dirty, KT_ALL, self->file.top));
	EXPECT_LT(refused, kt_sysfs("failed/dirty"));

	sync();
	EXPECT_TRUE(KT_WAIT(kt_region_is_on(0, &dirty, self->file.low), KT_PATIENCE));
	EXPECT_EQ(NULL, write_out(&self->file, EXT4, NULL));
	EXPECT_EQ(0, kt_region_wrong(&self->file.r));
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
