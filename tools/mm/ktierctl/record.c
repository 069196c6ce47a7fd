// SPDX-License-Identifier: GPL-2.0
/* ktierctl record: how hot the pages of a process are over time, and in which tier. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
#include "ktierctl.h"
#include "record.h"

static int record(const struct command *self, int argc, char **argv);

const struct command command_record = {
	.name = "record",
	.synopsis = "record -p PID -o FILE [-t SECONDS] [OPTION...]",
	.summary = "record how hot the memory of a process is, and in which tier",
	.text =
"  -p, --pid=PID           the process; its memory has to be marked\n"
"  -o, --output=FILE       where to; a file that is there is overwritten\n"
"  -t, --time=SECONDS      for so long; else until the process ends, or ^C\n"
"      --interval=SECONDS  between two looks (1; at least 0.1)\n"
"      --cells=N           pages, drawn at random, that stand for all (4096);\n"
"                          if there are no more than that, all are recorded\n"
"  -h, --help              show this\n"
"\n"
"'ktierctl plot FILE' makes a picture of it, also while the record goes on. FILE\n"
"grows by 8 KiB a look at most, 5 MiB in ten minutes, and usually by much less. A\n"
"record may be ended by any signal; what was written until then is good.\n"
"\n"
"This needs root. The kernel traces its work for the record (ktierd:block and\n"
"ktierd:cut), in a tracing instance that is removed in the end.\n"
"\n"
"Exit status: 0 recorded, 1 it could not be, 2 wrong usage.\n",
	.run = record,
};

/* So many rounds without a word of a page: its page table is asleep. */
#define SILENT_ROUNDS	3

#define INTERVAL_MIN	0.1
#define CELLS_MIN	64
#define CELLS_MAX	65536

struct recording {
	pid_t pid;
	const char *file;
	double seconds;
	double interval;
	unsigned long most;

	FILE *out;
	struct trace *trace;
	struct cells cells;
	struct mappings mappings;
	struct pollfd *polled;		/* the process, signals, the trace */
	int nr_polled;
	double start;
	bool mappings_old;		/* there is something in none of them */
	u64 huge;			/* pages of a huge page */
	u64 page;
	u64 round, hot, lost;
	u64 cuts[SILENT_ROUNDS];	/* when the last rounds were, the last first */
	u64 frames;
};

static void got_block(void *data, u64 address, const unsigned char *states,
		      unsigned int count, u64 when)
{
	struct recording *rec = data;
	struct mapping *mapping = mapping_find(&rec->mappings, address);
	bool whole = false;

	if (!mapping)
		rec->mappings_old = true;
	/* One state is that of one page or, where one fits in, of a huge page. */
	if (count == 1 && !(address % (rec->huge * rec->page)))
		whole = mapping && mapping->to - address >= rec->huge * rec->page;
	cells_learn(&rec->cells, address / rec->page, whole ? rec->huge : count, states, whole,
		    when);
}

static void got_cut(void *data, u64 round, u64 hot, u64 when)
{
	struct recording *rec = data;

	if (when <= rec->cuts[0])
		return;
	memmove(rec->cuts + 1, rec->cuts, sizeof(rec->cuts) - sizeof(rec->cuts[0]));
	rec->cuts[0] = when;
	rec->round = round;
	rec->hot = hot;
}

static void take_events(struct recording *rec)
{
	const struct trace_handler handler = { got_block, got_cut, rec };

	rec->lost += trace_read(rec->trace, &handler);
}

static void write_mappings(struct recording *rec)
{
	for (size_t i = 0; i < rec->cells.count; i++) {
		u64 page = sample_page(rec->cells.cell[i].number, rec->cells.order);
		struct mapping *mapping = mapping_find(&rec->mappings, page * rec->page);

		if (!mapping || mapping->written)
			continue;
		fprintf(rec->out, "m %llx-%llx %s\n", mapping->from, mapping->to,
			mapping->name);
		mapping->written = true;
	}
}

/* Up to so many cells that are not new are written again to save a line. */
#define GAP	6

/* The cells from here on that go into one line; 0 if this one need not be written. */
static size_t run_of(const struct cells *cells, size_t at)
{
	size_t end = at, i;

	for (i = at; i < cells->count && i <= end + GAP; i++) {
		if (cells->cell[i].number != cells->cell[at].number + (i - at))
			break;
		if (cells->cell[i].state != cells->cell[i].written)
			end = i + 1;
	}
	return cells->cell[at].state == cells->cell[at].written ? 0 : end - at;
}

static void write_cells(struct recording *rec)
{
	struct cells *cells = &rec->cells;
	size_t run;

	for (size_t i = 0; i < cells->count; i += run ?: 1) {
		run = run_of(cells, i);
		if (!run)
			continue;
		fprintf(rec->out, "p %llx ", cells->cell[i].number);
		for (size_t j = i; j < i + run; j++) {
			fprintf(rec->out, "%02x", cells->cell[j].state);
			cells->cell[j].written = cells->cell[j].state;
		}
		fputc('\n', rec->out);
	}
}

static void write_frame_head(struct recording *rec)
{
	struct process process = { .pid = rec->pid };
	const u64 *figure = process.figure;

	process_read(&process);
	fprintf(rec->out, "f %.3f %llu %llu", now() - rec->start, rec->round, rec->hot);
	fprintf(rec->out, " %llu %llu %llu %llu %llu %llu %llu %llu\n", figure[TOP_KB],
		figure[LOW_KB], figure[HOT_TOP_KB], figure[HOT_LOW_KB], figure[COLD_TOP_KB],
		figure[COLD_LOW_KB], figure[PROMOTED], figure[DEMOTED]);
	if (rec->lost)
		fprintf(rec->out, "l %llu\n", rec->lost);
	rec->lost = 0;
	rec->frames++;
}

/* False if the process is gone. */
static bool write_frame(struct recording *rec)
{
	if (rec->mappings_old && !mappings_read(&rec->mappings, rec->pid, NULL, 0))
		return false;
	rec->mappings_old = false;
	if (cells_fit(&rec->cells))
		fprintf(rec->out, "o %u\n", rec->cells.order);
	if (!cells_locate(&rec->cells, rec->pid, rec->cuts[SILENT_ROUNDS - 1]))
		return false;
	write_mappings(rec);
	write_frame_head(rec);
	write_cells(rec);
	fflush(rec->out);
	return true;
}

static void write_header(struct recording *rec)
{
	char path[64], name[64] = "?";
	struct utsname kernel;

	snprintf(path, sizeof(path), "/proc/%d/comm", rec->pid);
	read_line(path, name, sizeof(name));
	uname(&kernel);
	fprintf(rec->out, "%s %d\n", RECORD_MAGIC, RECORD_VERSION);
	fprintf(rec->out, "i pid %d\ni name %s\n", rec->pid, name);
	fprintf(rec->out, "i kernel %s\ni page %llu\n", kernel.release, rec->page);
	fprintf(rec->out, "i started %lld\ni interval %g\n", (long long)time(NULL),
		rec->interval);
	fprintf(rec->out, "o %u\n", rec->cells.order);
}

enum input {
	PROCESS,
	SIGNALS,
	TRACE,
};

/*
 * Wait until @until and take what comes until then. NULL, or why it was the last time.
 */
static const char *wait_until(struct recording *rec, double until)
{
	double left;

	while ((left = until - now()) > 0) {
		if (poll(rec->polled, rec->nr_polled, left * 1000 + 1) <= 0)
			continue;
		if (rec->polled[SIGNALS].revents)
			return "signal";
		take_events(rec);
		if (rec->polled[PROCESS].revents)
			return "exited";
	}
	take_events(rec);
	return NULL;
}

static void record_frames(struct recording *rec)
{
	double end = rec->seconds ? rec->start + rec->seconds : 1e300;
	const char *reason = NULL;
	double next = rec->start;

	while (!reason) {
		next += rec->interval;
		/* Who was stopped for a while need not catch up. */
		if (next < now())
			next = now();
		reason = wait_until(rec, next < end ? next : end);
		if (!write_frame(rec) && !reason)
			reason = "exited";
		if (!reason && now() >= end)
			reason = "time";
		if (ferror(rec->out))
			return;
	}
	fprintf(rec->out, "e %.3f %s\n", now() - rec->start, reason);
}

/* Any of them ends it in good order. */
static int open_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int open_process(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 && errno == ESRCH)
		complain("there is no process %d.", pid);
	else if (fd < 0)
		complain("%d is no process (%s); a thread is recorded with its process.", pid,
			 strerror(errno));
	return fd;
}

static void warn_if_unmarked(const struct recording *rec)
{
	struct process process = { .pid = rec->pid };

	if (!process_read(&process))
		complain("process %d has no marked memory to record; this marks it:\n"
			 "  ktierctl run --pid %d", rec->pid, rec->pid);
}

static bool set_up_polling(struct recording *rec)
{
	const int *fds;
	int nr = trace_descriptors(rec->trace, &fds);

	rec->nr_polled = TRACE + nr;
	rec->polled = calloc(rec->nr_polled, sizeof(*rec->polled));
	if (!rec->polled)
		abort();
	for (int i = 0; i < rec->nr_polled; i++)
		rec->polled[i].events = POLLIN;
	for (int i = 0; i < nr; i++)
		rec->polled[TRACE + i].fd = fds[i];
	rec->polled[PROCESS].fd = open_process(rec->pid);
	rec->polled[SIGNALS].fd = open_signals();
	return rec->polled[PROCESS].fd >= 0 && rec->polled[SIGNALS].fd >= 0;
}

static bool open_output(struct recording *rec)
{
	rec->out = fopen(rec->file, "we");
	if (!rec->out)
		complain("%s can't be written (%s).", rec->file, strerror(errno));
	return rec->out;
}

static int close_record(struct recording *rec)
{
	bool wrong = ferror(rec->out);
	struct stat file = { };

	wrong |= fflush(rec->out) != 0;
	fstat(fileno(rec->out), &file);
	wrong |= fclose(rec->out) != 0;
	if (wrong) {
		complain("%s could not be written (%s).", rec->file, strerror(errno));
		return EXIT_FAILURE;
	}
	printf("%s: %.0f s of process %d, %llu looks at %zu pages, one of each %s; %s.\n",
	       rec->file, now() - rec->start, rec->pid, rec->frames, rec->cells.count,
	       size_text((rec->page << rec->cells.order) / 1024).s,
	       size_text((file.st_size + 1023) / 1024).s);
	return EXIT_SUCCESS;
}

static int record_process(struct recording *rec)
{
	int status = EXIT_FAILURE;

	if (!set_up_polling(rec))
		return status;
	if (!mappings_read(&rec->mappings, rec->pid, &rec->cells, rec->most)) {
		complain("process %d is a kernel thread or has ended: it has no memory.",
			 rec->pid);
		return status;
	}
	warn_if_unmarked(rec);
	if (!open_output(rec))
		return status;
	rec->start = now();
	write_header(rec);
	record_frames(rec);
	return close_record(rec);
}

static u64 pages_of_huge_page(u64 page)
{
	u64 size;

	if (!read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", &size) || !size)
		return 1;
	return size / page;
}

enum {
	OPTION_INTERVAL = 256,
	OPTION_CELLS,
};

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "output", required_argument, NULL, 'o' },
	{ "time", required_argument, NULL, 't' },
	{ "interval", required_argument, NULL, OPTION_INTERVAL },
	{ "cells", required_argument, NULL, OPTION_CELLS },
	OPTION_HELP,
	OPTION_END,
};

static bool set_option(const struct command *self, struct recording *rec, int option)
{
	unsigned long pid;

	switch (option) {
	case 'p':
		if (!parse_count(self, "process", optarg, 1, 1UL << 22, &pid))
			return false;
		rec->pid = pid;
		return true;
	case 'o':
		rec->file = optarg;
		return true;
	case 't':
		return parse_seconds(self, optarg, 1e6, &rec->seconds);
	case OPTION_INTERVAL:
		if (!parse_seconds(self, optarg, 3600, &rec->interval))
			return false;
		if (rec->interval < INTERVAL_MIN)
			rec->interval = INTERVAL_MIN;
		return true;
	default:
		return parse_count(self, "number of cells", optarg, CELLS_MIN, CELLS_MAX,
				   &rec->most);
	}
}

/* Returns -1, or what to exit with. */
static int parse_options(const struct command *self, struct recording *rec, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "+:p:o:t:h", options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return wrong_option(self, option, argv);
		if (option == 'h') {
			print_command_help(self);
			return EXIT_SUCCESS;
		}
		if (!set_option(self, rec, option))
			return EXIT_USAGE;
	}
	if (optind < argc)
		complain("record has no use for '%s'.", argv[optind]);
	else if (!rec->pid)
		complain("record needs a process, -p PID; 'ktierctl top' shows some.");
	else if (!rec->file)
		complain("record needs a file to write to: -o FILE");
	else
		return -1;
	return usage_error(self);
}

static int record(const struct command *self, int argc, char **argv)
{
	struct recording rec = { .interval = 1, .most = 4096, .page = getpagesize() };
	int status = parse_options(self, &rec, argc, argv);

	if (status >= 0)
		return status;
	if (!ktierd_is_there())
		return EXIT_FAILURE;
	rec.huge = pages_of_huge_page(rec.page);
	rec.trace = trace_open(rec.pid);
	if (!rec.trace)
		return EXIT_FAILURE;
	status = record_process(&rec);
	trace_close(rec.trace);
	if (rec.polled) {
		close(rec.polled[PROCESS].fd);
		close(rec.polled[SIGNALS].fd);
	}
	mappings_free(&rec.mappings);
	cells_free(&rec.cells);
	free(rec.polled);
	return status;
}
