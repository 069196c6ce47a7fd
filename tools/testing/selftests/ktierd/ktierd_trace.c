// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events ktierd:*, in a trace instance of our own. Above each test stands what change in
 * the kernel would make it fail.
 */
#include <errno.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "ktierd_test.h"

#define REGION		(16 * MIB)
#define HOT_LEVEL	17		/* the lowest level that goes by how often it is touched */
#define PROMOTE_LEVEL	(HOT_LEVEL + 1)	/* the lowest that may go up */
#define MAX_SHIFT	5
#define LEVELS		32
#define CLASSES		4
#define MAX_ROUNDS	64
#define TABLE		512		/* entries of a page table */

/* What events say. */
static const char cut_format[] =
	"round=%u window_us=%u touched=%llu capacity=%llu hot=%u shift=%u promote=%llu demote=%llu";
static const char end_format[] =
	": scan_end: pid=%d round=%u walk=%7s ret=%d pages=%llu touched=%llu written=%llu";
static const char cell_format[] =
	"round=%u level=%u class=%u top=%llu low=%llu were=%llu touched=%llu written=%llu rank=%u";

FIXTURE(trace) {
	struct kt_knobs saved;
	struct kt_toucher toucher;
	struct kt_region r;
	int *heat;
	bool *lower;
};

/* Memory of which some pages are hot and the others idle, for long enough to be known. */
FIXTURE_SETUP(trace)
{
	const char *why = kt_trace_make();

	if (why)
		SKIP(return, "%s", why);
	kt_knobs_save(&self->saved);
	ASSERT_EQ(0, kt_knobs_fast());
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));

	ASSERT_EQ(0, kt_region_make(&self->r, REGION,
				    kt_read_long("/sys/devices/system/node/online")));
	self->heat = calloc(self->r.nr, sizeof(*self->heat));
	self->lower = calloc(self->r.nr, sizeof(*self->lower));
	ASSERT_NE(NULL, self->heat);
	ASSERT_NE(NULL, self->lower);
	self->r.hot_step = 4;
	ASSERT_EQ(0, kt_mark(&self->r));
	ASSERT_EQ(0, kt_touch_start(&self->toucher, &self->r, false));
	ASSERT_TRUE(kt_wait_scans(20));
}

FIXTURE_TEARDOWN(trace)
{
	EXPECT_EQ(0, kt_touch_stop(&self->toucher));
	free(self->heat);
	free(self->lower);
	kt_knobs_restore(&self->saved);
	kt_trace_remove();
}

/* In an event: what is not there, and what is in a lower tier. */
#define ABSENT	0xff
#define LOWER	0x20

/* The heat of pages in this event, if it tells of this process's. Returns how many of ours. */
static size_t take_heat(const char *line, const struct kt_region *r, int *heat, bool *lower)
{
	unsigned long start = (unsigned long)r->addr, addr, page;
	unsigned int level;
	size_t found = 0;
	int pid, used;

	if (sscanf(line, "pid=%d addr=%lx levels=%n", &pid, &addr, &used) != 2 || pid != getpid())
		return 0;
	for (line += used; sscanf(line, "%2x", &level) == 1; line += 2) {
		page = (addr - start) / kt_page();
		if (addr >= start && page < r->nr) {
			heat[page] = level == ABSENT ? -1 : (int)(level & ~LOWER);
			lower[page] = level != ABSENT && level & LOWER;
			found++;
		}
		addr += kt_page();
	}
	return found;
}

/* What the last event of each page says: its heat, -1 if it is not there or has no event. */
static size_t traced_heat(const struct kt_region *r, int *heat, bool *lower)
{
	FILE *trace = kt_trace_open();
	size_t found = 0, i;
	char *line;

	for (i = 0; i < r->nr; i++)
		heat[i] = -1;
	while ((line = kt_trace_line(trace, "block"))) {
		found += take_heat(line, r, heat, lower);
		free(line);
	}
	if (trace)
		fclose(trace);
	return found;
}

/* Pages whose heat is not what it should be. */
static size_t wrong_heat(const struct kt_region *r, const int *heat)
{
	size_t wrong = 0, i;

	for (i = 0; i < r->nr; i++) {
		bool hot = i % r->hot_step == r->phase;
		bool told_hot = heat[i] >= HOT_LEVEL;

		if (heat[i] < 0 || hot != told_hot) {
			ksft_print_msg("page %zu, %s, has level %d\n", i, hot ? "hot" : "idle",
				       heat[i]);
			wrong++;
		}
	}
	return wrong;
}

/* Fails if an event is missing, or tells the heat of another page, or of none. */
TEST_F_TIMEOUT(trace, heat_of_each_page, KT_TIMEOUT)
{
	ASSERT_TRUE(kt_trace_rounds("block", 3));
	EXPECT_LE(self->r.nr, traced_heat(&self->r, self->heat, self->lower));
	EXPECT_EQ(0, wrong_heat(&self->r, self->heat));
}

/* Fails if a page is said to be where it is not. */
TEST_F_TIMEOUT(trace, tier_of_each_page, KT_TIMEOUT)
{
	const size_t half = self->r.nr / 2;
	struct kt_toucher toucher;
	size_t wrong = 0, i;
	struct kt_region r;
	int top, low;

	if (kt_find_tiers(&top, &low))
		SKIP(return, "no lower tier");
	ASSERT_EQ(0, kt_region_map(&r, REGION));
	ASSERT_EQ(0, kt_region_fill(&r, 0, half, low));
	ASSERT_EQ(0, kt_region_fill(&r, half, r.nr - half, top));
	ASSERT_EQ(0, kt_mark(&r));
	ASSERT_TRUE(kt_wait_scans(5));
	/* What sleeps has no events. */
	r.hot_step = 1;
	ASSERT_EQ(0, kt_touch_start(&toucher, &r, false));
	ASSERT_TRUE(kt_trace_rounds("block", 3));
	EXPECT_EQ(0, kt_touch_stop(&toucher));
	EXPECT_LE(r.nr, traced_heat(&r, self->heat, self->lower));
	for (i = 0; i < r.nr; i++)
		wrong += self->heat[i] < 0 || self->lower[i] != (i < half);
	EXPECT_EQ(0, wrong);
}

/* Fails if an event tells of pages of another VMA than the one that was walked. */
TEST_F_TIMEOUT(trace, a_vma_has_events_of_its_own, KT_TIMEOUT)
{
	size_t page = kt_page(), first = self->r.nr / 2 + 3, rounds;

	ASSERT_EQ(0, madvise(self->r.addr + first * page, 5 * page, MADV_DONTDUMP));
	ASSERT_TRUE(kt_wait_scans(3));
	rounds = kt_sysfs("scans");
	ASSERT_TRUE(kt_trace_rounds("block", 3));
	rounds = kt_sysfs("scans") - rounds;
	/* The first and the last round may be traced in part. */
	EXPECT_GE((rounds + 1) * self->r.nr, traced_heat(&self->r, self->heat, self->lower));
	EXPECT_EQ(0, wrong_heat(&self->r, self->heat));
}

/* Fails if there is no event, or if it does not tell what is known of the round. */
TEST_F_TIMEOUT(trace, what_a_round_found, KT_TIMEOUT)
{
	unsigned long long touched, capacity, promote, demote;
	unsigned int round, window, hot, shift, last = 0;
	int found = 0, fields;
	FILE *trace;
	char *line;

	ASSERT_TRUE(kt_trace_rounds("cut", 3));
	trace = kt_trace_open();
	ASSERT_NE(NULL, trace);
	while ((line = kt_trace_line(trace, "cut"))) {
		fields = sscanf(line, cut_format, &round, &window, &touched, &capacity, &hot,
				&shift, &promote, &demote);
		free(line);
		ASSERT_EQ(8, fields);
		if (found++)
			EXPECT_EQ(last + 1, round);
		last = round;
		EXPECT_LT(0, window);
		/* The hot ones, and perhaps not all of them in each window. */
		EXPECT_LT(0, touched);
		EXPECT_GE(self->r.nr / 2, touched);
		EXPECT_LT(self->r.nr / 4, capacity);
		/* All that may go up fits. */
		EXPECT_EQ(PROMOTE_LEVEL, hot);
		EXPECT_GE(MAX_SHIFT, shift);
		/* Nothing may move: the rate is 0. */
		EXPECT_EQ(0, promote);
		EXPECT_EQ(0, demote);
	}
	fclose(trace);
	EXPECT_LE(2, found);
}

struct scan {
	int pid;
	unsigned int round;
	char walk[8];
	int ret;
	unsigned long long pages;
	unsigned long long touched;
	unsigned long long written;
};

/* The walks of a process in a round, of both kinds. */
struct walks {
	unsigned int round;
	int clear;
	int read;
	bool in_order;
	struct scan last;	/* reading walk */
};

/* Which of both events it is: returns 1 for a begin, 0 for an end, -1 for none. */
static int take_scan(const char *line, struct scan *scan)
{
	const char *at = strstr(line, ": scan_begin: ");

	memset(scan, 0, sizeof(*scan));
	if (at)
		return sscanf(at, ": scan_begin: pid=%d round=%u walk=%7s", &scan->pid,
			      &scan->round, scan->walk) == 3 ? 1 : -1;
	at = strstr(line, ": scan_end: ");
	if (!at)
		return -1;
	return sscanf(at, end_format, &scan->pid, &scan->round, scan->walk, &scan->ret,
		      &scan->pages, &scan->touched, &scan->written) == 7 ? 0 : -1;
}

static void add_walk(struct walks *walks, const struct scan *scan)
{
	bool clear = !strcmp(scan->walk, "clear");

	/* Slices take turns: clear and read, clear and read. */
	if (walks->clear - walks->read != !clear)
		walks->in_order = false;
	walks->clear += clear;
	walks->read += !clear;
	if (!clear)
		walks->last = *scan;
}

/* Our walks by round, as many as there is room for. Returns how many rounds; -1 for no pairs. */
static int traced_walks(struct walks *walks, int max)
{
	FILE *trace = kt_trace_open();
	struct scan begin = {}, scan;
	char *line = NULL;
	size_t size = 0;
	int nr = 0, kind;

	while (trace && getline(&line, &size, trace) > 0 && nr >= 0) {
		kind = take_scan(line, &scan);
		if (kind < 0 || scan.pid != getpid())
			continue;
		/* What was traced first may be an end. */
		if (!kind && !begin.pid && !nr)
			continue;
		if (kind == !!begin.pid) {
			nr = -1;
			break;
		}
		if (kind) {
			begin = scan;
			continue;
		}
		if (strcmp(begin.walk, scan.walk) || begin.round != scan.round) {
			nr = -1;
			break;
		}
		begin.pid = 0;
		if (!nr || walks[nr - 1].round != scan.round) {
			if (nr == max)
				break;
			walks[nr++] = (struct walks){ .round = scan.round, .in_order = true };
		}
		add_walk(&walks[nr - 1], &scan);
	}
	free(line);
	if (trace)
		fclose(trace);
	return nr;
}

/*
 * Fails if a walk has no end, or another one's; if a slice is read that was not cleared or the
 * other way round; or if the walks of a round miss a page, count one twice, or take a read for a
 * write.
 */
TEST_F_TIMEOUT(trace, each_walk_of_a_round_begins_and_ends, KT_TIMEOUT)
{
	static struct walks walks[MAX_ROUNDS];
	int nr, i;

	/* Both at once: between one and the other a walk may begin or end. */
	ASSERT_EQ(0, kt_trace_record(false));
	ASSERT_EQ(0, kt_trace("scan_begin", true));
	ASSERT_EQ(0, kt_trace("scan_end", true));
	ASSERT_EQ(0, kt_trace_record(true));
	ASSERT_TRUE(kt_wait_scans(5));
	ASSERT_EQ(0, kt_trace_record(false));
	nr = traced_walks(walks, MAX_ROUNDS);
	ASSERT_LE(4, nr);
	/* Of the first and the last round a part may be missing. */
	for (i = 1; i < nr - 1; i++) {
		EXPECT_EQ(walks[i - 1].round + 1, walks[i].round);
		EXPECT_LE(1, walks[i].clear);
		EXPECT_EQ(walks[i].clear, walks[i].read);
		EXPECT_TRUE(walks[i].in_order);
		EXPECT_EQ(0, walks[i].last.ret);
		EXPECT_EQ(self->r.nr, walks[i].last.pages);
		EXPECT_LT(0, walks[i].last.touched);
		EXPECT_GE(self->r.nr / 2, walks[i].last.touched);
		EXPECT_EQ(0, walks[i].last.written);
	}
}

/* What the events of a round's cells say all together. */
struct cells {
	unsigned int round;
	unsigned long long pages;
	unsigned long long hot;
	int bad;
	bool met[LEVELS * CLASSES];
	bool ranked[LEVELS * CLASSES];
};

static void add_cell(struct cells *cells, unsigned int level, unsigned int class,
		     unsigned int rank)
{
	unsigned int cell = level * CLASSES + class;

	if (level >= LEVELS || class >= CLASSES || rank >= LEVELS * CLASSES ||
	    cells->met[cell] || cells->ranked[rank]) {
		ksft_print_msg("round %u: level %u, class %u, rank %u\n", cells->round, level,
			       class, rank);
		cells->bad++;
		return;
	}
	cells->met[cell] = true;
	cells->ranked[rank] = true;
}

/* All cells by round, as many as there is room for. Returns how many rounds. */
static int traced_cells(struct cells *cells, int max)
{
	unsigned long long top, low, were, touched, written;
	unsigned int round, level, class, rank;
	FILE *trace = kt_trace_open();
	char *line;
	int nr = 0;

	while ((line = kt_trace_line(trace, "cell"))) {
		if (sscanf(line, cell_format, &round, &level, &class, &top, &low, &were,
			   &touched, &written, &rank) != 9)
			round = -1;
		free(line);
		if (!nr || cells[nr - 1].round != round) {
			if (nr == max)
				break;
			memset(&cells[nr], 0, sizeof(*cells));
			cells[nr++].round = round;
		}
		add_cell(&cells[nr - 1], level, class, rank);
		cells[nr - 1].pages += top + low;
		if (level >= HOT_LEVEL)
			cells[nr - 1].hot += top + low;
		cells[nr - 1].bad += touched > were || written > touched;
	}
	if (trace)
		fclose(trace);
	return nr;
}

/* Marked memory in pages, of all nodes. */
static unsigned long long tracked(void)
{
	return kt_tracked_kb() * 1024ULL / kt_page();
}

/*
 * Fails if a page is in no cell or in two, if more are said to be touched than there were, or if a
 * cell has no rank of its own.
 */
TEST_F_TIMEOUT(trace, all_pages_are_in_one_cell, KT_TIMEOUT)
{
	static struct cells cells[MAX_ROUNDS];
	int nr, i;

	ASSERT_TRUE(kt_trace_rounds("cell", 5));
	nr = traced_cells(cells, MAX_ROUNDS);
	ASSERT_LE(4, nr);
	EXPECT_LE(self->r.nr, tracked());
	for (i = 1; i < nr - 1; i++) {
		EXPECT_EQ(cells[i - 1].round + 1, cells[i].round);
		EXPECT_EQ(0, cells[i].bad);
		EXPECT_EQ(tracked(), cells[i].pages);
		EXPECT_LE(self->r.nr / 4, cells[i].hot);
		EXPECT_GT(self->r.nr / 2, cells[i].hot);
	}
}

struct moves {
	long moved;
	long ours;
	int wrong_nid;
};

static struct moves traced_moves(const char *direction, int nid)
{
	FILE *trace = kt_trace_open();
	struct moves moves = {};
	long moved, stayed;
	char found[16];
	int pid, to;
	char *line;

	while ((line = kt_trace_line(trace, "migrate"))) {
		if (sscanf(line, "pid=%d nid=%d direction=%15s moved=%ld stayed=%ld", &pid, &to,
			   found, &moved, &stayed) != 5)
			moves.wrong_nid++;
		else if (!strcmp(found, direction)) {
			moves.moved += moved;
			moves.ours += pid == getpid() ? moved : 0;
			moves.wrong_nid += to != nid;
		}
		free(line);
	}
	if (trace)
		fclose(trace);
	return moves;
}

/* Fails if a batch has no event, or one that tells another process, direction, node or number. */
TEST_F_TIMEOUT(trace, each_batch_that_is_moved, KT_TIMEOUT)
{
	long promoted = kt_sysfs("pages_promoted");
	long demoted = kt_sysfs("pages_demoted");
	struct moves up, down;
	const char *why;
	int top, low;

	why = kt_find_tiers(&top, &low);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_trace("migrate", true));
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1048576));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_IDLE, low) >= KT_NEARLY_ALL,
			    KT_PATIENCE));
	/* Others become hot, which are below. */
	EXPECT_EQ(0, kt_touch_stop(&self->toucher));
	self->r.phase = 1;
	ASSERT_EQ(0, kt_touch_start(&self->toucher, &self->r, false));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_HOT, top) >= KT_NEARLY_ALL,
			    KT_PATIENCE));
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 0));
	/* The round that is under way may end. */
	ASSERT_TRUE(kt_wait_scans(2));
	ASSERT_EQ(0, kt_trace("migrate", false));

	up = traced_moves("promote", top);
	down = traced_moves("demote", low);
	EXPECT_EQ(kt_sysfs("pages_promoted") - promoted, up.moved);
	EXPECT_EQ(kt_sysfs("pages_demoted") - demoted, down.moved);
	EXPECT_LT(self->r.nr / 8, up.ours);
	EXPECT_LT(self->r.nr / 2, down.ours);
	EXPECT_EQ(0, up.wrong_nid);
	EXPECT_EQ(0, down.wrong_nid);
}

/* What the events of held page-table locks say, of one kind of work. */
struct holds {
	bool may_be_none;	/* nothing was looked at under the lock */
	long nr;
	unsigned long long entries;
	unsigned long long ns;
	long bad;
};

enum work { CLEAR, READ, MOVE, WORKS };

static const char * const works[WORKS] = { "clear", "read", "move" };

static void add_hold(struct holds *holds, const char *lock, unsigned int entries,
		     unsigned long long ns)
{
	/* Of a PMD there is one entry. */
	unsigned int most = !strcmp(lock, "pmd") ? 1 : TABLE;

	holds->nr++;
	holds->ns += ns;
	if (!strcmp(lock, "table"))
		holds->entries += entries;
	else if (strcmp(lock, "pmd"))
		holds->bad++;
	if (entries > most || (!entries && !holds->may_be_none))
		holds->bad++;
}

/* Those of our process, by what they were held for. */
static void traced_holds(struct holds holds[WORKS])
{
	FILE *trace = kt_trace_open();
	unsigned long long ns;
	char work[16], lock[16];
	unsigned int entries, i;
	char *line;
	int pid;

	memset(holds, 0, WORKS * sizeof(*holds));
	/* What was a candidate may be gone by the time the lock is had. */
	holds[MOVE].may_be_none = true;
	while ((line = kt_trace_line(trace, "held"))) {
		if (sscanf(line, "pid=%d work=%15s lock=%15s entries=%u ns=%llu", &pid, work,
			   lock, &entries, &ns) != 5)
			holds[CLEAR].bad++;
		else
			for (i = 0; i < WORKS; i++)
				if (pid == getpid() && !strcmp(work, works[i]))
					add_hold(&holds[i], lock, entries, ns);
		free(line);
	}
	if (trace)
		fclose(trace);
}

/*
 * Fails if a lock that a look takes has no event or two, if one tells of another process, of more
 * entries than a page table has or fewer than were looked at, or of another time than it was held.
 */
TEST_F_TIMEOUT(trace, each_lock_that_is_held, KT_TIMEOUT)
{
	struct holds holds[WORKS];
	long rounds = kt_sysfs("scans");
	double start = kt_now();

	ASSERT_TRUE(kt_trace_rounds("held", 3));
	start = kt_now() - start;
	rounds = kt_sysfs("scans") - rounds;
	traced_holds(holds);
	/* The first and the last round may be traced in part. */
	EXPECT_LE(2 * self->r.nr, holds[CLEAR].entries);
	EXPECT_GE((rounds + 1) * self->r.nr, holds[CLEAR].entries);
	/* A light look may have to be followed by a full one. */
	EXPECT_LE(2 * self->r.nr, holds[READ].entries);
	EXPECT_GE(2 * (rounds + 1) * self->r.nr, holds[READ].entries);
	/* Nothing may move: the rate is 0. */
	EXPECT_EQ(0, holds[MOVE].nr);
	for (int i = 0; i < WORKS; i++)
		EXPECT_EQ(0, holds[i].bad);
	EXPECT_LT(0, holds[CLEAR].ns);
	EXPECT_LT(0, holds[READ].ns);
	EXPECT_GE(start * 1e9, holds[CLEAR].ns + holds[READ].ns);
}

/* Fails if a lock under which pages are isolated has no event, or one that tells of too few. */
TEST_F_TIMEOUT(trace, each_lock_that_is_held_to_isolate, KT_TIMEOUT)
{
	struct holds holds[WORKS];
	const char *why;
	int top, low;
	long moved;

	why = kt_find_tiers(&top, &low);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, kt_trace("held", true));
	ASSERT_EQ(0, kt_set_sysctl("migrate_mbps", 1048576));
	EXPECT_TRUE(KT_WAIT(kt_region_percent(&self->r, KT_IDLE, low) >= KT_NEARLY_ALL,
			    KT_PATIENCE));
	ASSERT_EQ(0, kt_trace("held", false));
	moved = kt_region_count(getpid(), &self->r, KT_IDLE, low);

	traced_holds(holds);
	EXPECT_LT(self->r.nr / 2, moved);
	EXPECT_LE(moved, holds[MOVE].entries);
	EXPECT_EQ(0, holds[MOVE].bad);
	EXPECT_LT(0, holds[MOVE].ns);
}

int main(int argc, char **argv)
{
	kt_start();
	return test_harness_run(argc, argv);
}
