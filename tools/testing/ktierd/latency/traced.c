// SPDX-License-Identifier: GPL-2.0
/*
 * A trace instance of our own: what ktierd holds and for how long, and which
 * pages are being moved from when to when.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "latency.h"

#define INSTANCE	"/sys/kernel/tracing/instances/tierlatency"
#define BUFFER_KIB	196608L		/* of all processors: 4 million events */

#define MAX_HELD	4

static u64 work_since;

static void write_text(const char *name, const char *format, ...)
{
	char path[PATH_MAX], text[256];
	va_list args;
	int fd, size;

	va_start(args, format);
	size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", INSTANCE, name);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0 || write(fd, text, size) != size)
		fail("cannot write %s to %s (%s).", text, path, strerror(errno));
	close(fd);
}

static void switch_on(const char *event, const char *filter)
{
	char name[128];

	snprintf(name, sizeof(name), "events/%s/filter", event);
	if (filter)
		write_text(name, "%s", filter);
	snprintf(name, sizeof(name), "events/%s/enable", event);
	write_text(name, "1");
}

static void remove_instance(void)
{
	rmdir(INSTANCE);
}

void traced_make(void)
{
	remove_instance();
	if (mkdir(INSTANCE, 0700) || atexit(remove_instance))
		fail("cannot make a trace instance (%s); run it as root.", strerror(errno));
	write_text("trace_clock", "mono");
	write_text("buffer_size_kb", "%ld", BUFFER_KIB / sysconf(_SC_NPROCESSORS_ONLN));
}

void traced_start(const struct load *load)
{
	static const char threads[] =
		"comm == \"" KTIERD_NAME "\" || comm == \"" MAPPER_NAME "\"";
	unsigned long from = (unsigned long)load->base;
	char ours[128];

	snprintf(ours, sizeof(ours), "addr >= 0x%lx && addr < 0x%lx", from,
		 from + load->pages * PAGE_SIZE);
	switch_on("ktierd/held", NULL);
	switch_on("ktierd/migrate", NULL);
	switch_on("migrate/set_migration_pte", ours);
	switch_on("migrate/remove_migration_pte", ours);
	switch_on("thp/set_migration_pmd", ours);
	switch_on("thp/remove_migration_pmd", ours);
	switch_on("mmap_lock/mmap_lock_start_locking", threads);
	switch_on("mmap_lock/mmap_lock_acquire_returned", threads);
	switch_on("mmap_lock/mmap_lock_released", threads);
}

void traced_work(u64 now)
{
	work_since = now;
}

/* Reading what was traced */

/* An event: what it says is at the end. */
struct event {
	u64 ns;
	char name[64];
	bool ktierd;
	const char *text;
};

/* What is known while the trace is read. */
struct reading {
	struct traced *traced;
	const struct load *load;
	u64 *set;		/* by page: since when it is being moved, or 0 */
	size_t capacity;	/* of traced->move */
	size_t batch;		/* the first move of the batch */
	u64 held[MAX_HELD];	/* since when ktierd has mmap_lock of processes */
	unsigned int nr_held;	/* of how many: others' within that of the walk's */
	u64 wanted;		/* since when the mapper wants it, or 0 */
};

/* Lines are: ktierd-35  [000] .....  12.345678: held: pid=..., with a comment at the top. */
static bool parse(const char *line, struct event *event)
{
	const char *cpu = strstr(line, " [");
	u64 secs, usecs;
	int used = 0;

	if (line[0] == '#' || !cpu ||
	    sscanf(cpu, " [%*u] %*s %llu.%llu: %63[a-z_]: %n", &secs, &usecs, event->name,
		   &used) != 3 || !used)
		return false;
	event->ns = secs * NSEC_PER_SEC + usecs * 1000;
	event->text = cpu + used;
	line += strspn(line, " ");
	event->ktierd = !strncmp(line, KTIERD_NAME "-", strlen(KTIERD_NAME "-"));
	return true;
}

/* True if the text could not be understood. */
static bool take_held(struct reading *reading, const struct event *event)
{
	static const char * const works[] = { "clear", "read", "move" };
	char work[16], lock[16];
	struct figure *figure;
	u64 entries, ns;
	unsigned int i;

	if (sscanf(event->text, "pid=%*d work=%15s lock=%15s entries=%llu ns=%llu", work, lock,
		   &entries, &ns) != 4)
		return true;
	for (i = 0; i < ARRAY_SIZE(works) && strcmp(work, works[i]); i++)
		;
	if (i == ARRAY_SIZE(works))
		return true;
	i += !strcmp(lock, "pmd") ? ROW_PMD_CLEAR : ROW_TABLE_CLEAR;
	figure = &reading->traced->row[i];
	figure_add(figure, ns);
	if (entries > figure->entries)
		figure->entries = entries;
	return false;
}

static bool take_mmap_lock(struct reading *reading, const struct event *event)
{
	struct figure *row = reading->traced->row;
	const char *what = event->name + strlen("mmap_lock_");

	if (event->ktierd) {
		if (!strcmp(what, "acquire_returned") && strstr(event->text, "success=true")) {
			if (reading->nr_held == MAX_HELD)
				return true;
			reading->held[reading->nr_held++] = event->ns;
		}
		if (!strcmp(what, "released") && reading->nr_held)
			figure_add(&row[ROW_MMAP_HELD],
				   event->ns - reading->held[--reading->nr_held]);
		return false;
	}
	if (strstr(event->text, "write=true") && !strcmp(what, "start_locking"))
		reading->wanted = event->ns;
	if (!strcmp(what, "acquire_returned") && reading->wanted) {
		figure_add(&row[reading->wanted < work_since ? ROW_MMAP_REST : ROW_MMAP_WAITED],
			   event->ns - reading->wanted);
		reading->wanted = 0;
	}
	return false;
}

static void add_move(struct reading *reading, struct move move)
{
	struct traced *traced = reading->traced;

	if (traced->nr_moves == reading->capacity) {
		reading->capacity = reading->capacity * 2 + 1024;
		traced->move = realloc(traced->move, reading->capacity * sizeof(move));
		if (!traced->move)
			fail("out of memory.");
	}
	traced->move[traced->nr_moves++] = move;
	figure_add(&traced->row[move.pages > 1 ? ROW_MOVED_HUGE : ROW_MOVED_SMALL],
		   move.to - move.from);
}

static bool take_migration(struct reading *reading, const struct event *event)
{
	bool huge = strstr(event->name, "_pmd");
	unsigned long addr;
	size_t page;

	if (sscanf(event->text, "addr=%lx", &addr) != 1)
		return true;
	page = (addr - (unsigned long)reading->load->base) / PAGE_SIZE;
	if (page >= reading->load->pages)
		return true;
	if (event->name[0] == 's') {
		reading->set[page] = event->ns;
	} else if (reading->set[page]) {
		add_move(reading, (struct move){
			.from = reading->set[page], .to = event->ns, .page = page,
			.pages = huge ? TABLE_PAGES : 1,
		});
		reading->set[page] = 0;
	}
	return false;
}

/* All that was moved since the last one was this process's. */
static bool take_batch(struct reading *reading, const struct event *event)
{
	struct traced *traced = reading->traced;
	u64 moved, stayed;
	int pid;

	if (sscanf(event->text, "pid=%d nid=%*d direction=%*s moved=%llu stayed=%llu", &pid,
		   &moved, &stayed) != 3)
		return true;
	for (; reading->batch < traced->nr_moves; reading->batch++)
		traced->move[reading->batch].pid = pid;
	if (moved + stayed > traced->batch)
		traced->batch = moved + stayed;
	return false;
}

static bool take(struct reading *reading, const struct event *event)
{
	if (!strcmp(event->name, "held"))
		return take_held(reading, event);
	if (!strcmp(event->name, "migrate"))
		return take_batch(reading, event);
	if (!strncmp(event->name, "mmap_lock_", strlen("mmap_lock_")))
		return take_mmap_lock(reading, event);
	return take_migration(reading, event);
}

static int by_page_and_time(const void *a, const void *b)
{
	const struct move *one = a, *two = b;

	if (one->page != two->page)
		return one->page < two->page ? -1 : 1;
	return one->from < two->from ? -1 : one->from > two->from;
}

static void read_trace(struct reading *reading)
{
	FILE *trace = fopen(INSTANCE "/trace", "r");
	struct event event;
	char line[512];

	if (!trace)
		fail("cannot read the trace (%s).", strerror(errno));
	while (fgets(line, sizeof(line), trace))
		if (parse(line, &event) && take(reading, &event))
			fail("this is not understood: %s", line);
	fclose(trace);
}

static u64 lost_events(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	char path[PATH_MAX], line[128];
	u64 lost = 0, value;
	FILE *file;

	for (long cpu = 0; cpu < cpus; cpu++) {
		snprintf(path, sizeof(path), "%s/per_cpu/cpu%ld/stats", INSTANCE, cpu);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "overrun: %llu", &value) == 1 ||
			    sscanf(line, "commit overrun: %llu", &value) == 1 ||
			    sscanf(line, "dropped events: %llu", &value) == 1)
				lost += value;
		if (file)
			fclose(file);
	}
	return lost;
}

void traced_stop(struct traced *traced, const struct load *load)
{
	struct reading reading = { .traced = traced, .load = load };

	write_text("tracing_on", "0");
	write_text("events/enable", "0");
	reading.set = allocate(load->pages, sizeof(*reading.set));
	traced->lost = lost_events();
	read_trace(&reading);
	free(reading.set);
	qsort(traced->move, traced->nr_moves, sizeof(*traced->move), by_page_and_time);
}

/* The first move of this page, or of one behind it. */
static size_t first_move(const struct traced *traced, u32 page)
{
	size_t from = 0, to = traced->nr_moves, middle;

	while (from < to) {
		middle = from + (to - from) / 2;
		if (traced->move[middle].page < page)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool moving(const struct traced *traced, const struct touch *touch, u32 page, u32 pages)
{
	for (size_t i = first_move(traced, page); i < traced->nr_moves; i++) {
		const struct move *move = &traced->move[i];

		if (move->page != page)
			return false;
		if (move->pages == pages && move->pid == touch->pid &&
		    move->from < touch->from + touch->ns && touch->from < move->to)
			return true;
	}
	return false;
}

bool traced_moving(const struct traced *traced, const struct touch *touch)
{
	return moving(traced, touch, touch->page, 1) ||
	       moving(traced, touch, touch->page - touch->page % TABLE_PAGES, TABLE_PAGES);
}
