// SPDX-License-Identifier: GPL-2.0
/*
 * ktierd's trace events of one process, in a tracing instance of our own: whatever
 * else is traced on the machine is not disturbed by it. They are read as the kernel
 * has them in its buffers: text would have to be formatted there and parsed here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <traceevent/event-parse.h>
#include <traceevent/kbuffer.h>
#include <unistd.h>

#include "ktierctl.h"
#include "record.h"

#define TRACING		"/sys/kernel/tracing"
#define INSTANCES	TRACING "/instances"
#define EVENTS_SIZE	65536

struct field {
	int offset;
	int size;
};

struct trace {
	char dir[PATH_MAX / 2];
	struct tep_handle *tep;
	struct kbuffer *kbuffer;
	void *page;
	int *fds;		/* one for each CPU */
	int nr_fds;
	uint16_t block, cut;	/* numbers of the events */
	struct field addr, level, round, hot;
};

static bool write_file(const struct trace *trace, const char *name, const char *text)
{
	char path[PATH_MAX];
	bool done;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", trace->dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) >= 0;
	close(fd);
	return done;
}

/* Who was killed left his behind. */
static void remove_stale(void)
{
	DIR *dir = opendir(INSTANCES);
	struct dirent *entry;
	char path[PATH_MAX];
	int pid;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "ktierctl-%d", &pid) != 1 ||
		    !kill(pid, 0) || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), INSTANCES "/%s", entry->d_name);
		rmdir(path);
	}
	closedir(dir);
}

static bool make_instance(struct trace *trace)
{
	remove_stale();
	snprintf(trace->dir, sizeof(trace->dir), INSTANCES "/ktierctl-%d", getpid());
	if (!mkdir(trace->dir, 0700) || errno == EEXIST)
		return true;
	if (errno == ENOENT)
		complain("the kernel's trace events are not there: mount -t tracefs none " TRACING);
	else if (errno == EACCES || errno == EPERM)
		complain("record needs root: it reads the kernel's trace events.");
	else
		complain("the kernel made no tracing instance (%s).", strerror(errno));
	trace->dir[0] = '\0';
	return false;
}

static struct tep_event *read_format(struct trace *trace, const char *name)
{
	char path[PATH_MAX], *text;
	struct tep_event *event = NULL;
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "%s/events/ktierd/%s/format", trace->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	text = malloc(EVENTS_SIZE);
	size = text ? read(fd, text, EVENTS_SIZE) : -1;
	if (size > 0 && !tep_parse_event(trace->tep, text, size, "ktierd"))
		event = tep_find_event_by_name(trace->tep, "ktierd", name);
	free(text);
	close(fd);
	return event;
}

static bool find_field(struct tep_event *event, const char *name, struct field *field)
{
	struct tep_format_field *found = event ? tep_find_field(event, name) : NULL;

	if (!found)
		return false;
	*field = (struct field) { found->offset, found->size };
	return true;
}

static bool learn_formats(struct trace *trace)
{
	struct tep_event *block, *cut;

	trace->tep = tep_alloc();
	if (!trace->tep)
		return false;
	block = read_format(trace, "block");
	cut = read_format(trace, "cut");
	if (!find_field(block, "addr", &trace->addr) ||
	    !find_field(block, "level", &trace->level) ||
	    !find_field(cut, "round", &trace->round) ||
	    !find_field(cut, "hot", &trace->hot))
		return false;
	trace->block = block->id;
	trace->cut = cut->id;
	return true;
}

static bool open_buffers(struct trace *trace)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	char path[PATH_MAX];
	int fd;

	trace->fds = calloc(cpus, sizeof(*trace->fds));
	trace->page = malloc(getpagesize());
	trace->kbuffer = kbuffer_alloc(KBUFFER_LSIZE_SAME_AS_HOST, KBUFFER_ENDIAN_SAME_AS_HOST);
	if (!trace->fds || !trace->page || !trace->kbuffer)
		return false;
	for (long cpu = 0; cpu < cpus; cpu++) {
		snprintf(path, sizeof(path), "%s/per_cpu/cpu%ld/trace_pipe_raw", trace->dir, cpu);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			trace->fds[trace->nr_fds++] = fd;
	}
	return trace->nr_fds;
}

static bool start(const struct trace *trace, pid_t pid)
{
	char filter[32];

	snprintf(filter, sizeof(filter), "pid == %d", pid);
	return write_file(trace, "trace_clock", "mono") &&
	       write_file(trace, "events/ktierd/block/filter", filter) &&
	       write_file(trace, "events/ktierd/block/enable", "1") &&
	       write_file(trace, "events/ktierd/cut/enable", "1");
}

struct trace *trace_open(pid_t pid)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace)
		abort();
	if (!make_instance(trace))
		goto failed;
	if (!learn_formats(trace)) {
		complain("the kernel has not the trace events of ktierd that this ktierctl knows.");
		goto failed;
	}
	if (!open_buffers(trace) || !start(trace, pid)) {
		complain("the kernel does not trace ktierd (%s).", strerror(errno));
		goto failed;
	}
	return trace;

failed:
	trace_close(trace);
	return NULL;
}

void trace_close(struct trace *trace)
{
	if (trace->dir[0])
		write_file(trace, "events/enable", "0");
	for (int i = 0; i < trace->nr_fds; i++)
		close(trace->fds[i]);
	if (trace->dir[0] && rmdir(trace->dir))
		complain("%s could not be removed (%s).", trace->dir, strerror(errno));
	if (trace->kbuffer)
		kbuffer_free(trace->kbuffer);
	if (trace->tep)
		tep_free(trace->tep);
	free(trace->page);
	free(trace->fds);
	free(trace);
}

int trace_descriptors(const struct trace *trace, const int **fds)
{
	*fds = trace->fds;
	return trace->nr_fds;
}

static u64 number(const unsigned char *event, const struct field *field)
{
	uint32_t small;
	uint64_t large;

	if (field->size == sizeof(small)) {
		memcpy(&small, event + field->offset, sizeof(small));
		return small;
	}
	memcpy(&large, event + field->offset, sizeof(large));
	return large;
}

static void handle(const struct trace *trace, const unsigned char *event, u64 when,
		   const struct trace_handler *handler)
{
	uint16_t type;
	u64 where;

	memcpy(&type, event, sizeof(type));
	if (type == trace->block) {
		/* A dynamic array: where it is in the event, and how long. */
		where = number(event, &trace->level);
		handler->block(handler->data, number(event, &trace->addr),
			       event + (where & 0xffff), where >> 16, when);
	} else if (type == trace->cut) {
		handler->cut(handler->data, number(event, &trace->round),
			     number(event, &trace->hot), when);
	}
}

u64 trace_read(struct trace *trace, const struct trace_handler *handler)
{
	struct kbuffer *kbuffer = trace->kbuffer;
	unsigned long long when;
	const void *event;
	int missed;
	u64 lost = 0;

	for (int i = 0; i < trace->nr_fds; i++) {
		while (read(trace->fds[i], trace->page, getpagesize()) > 0) {
			kbuffer_load_subbuffer(kbuffer, trace->page);
			missed = kbuffer_missed_events(kbuffer);
			lost += missed < 0 ? 1 : missed;
			for (event = kbuffer_read_event(kbuffer, &when); event;
			     event = kbuffer_next_event(kbuffer, &when))
				handle(trace, event, when, handler);
		}
	}
	return lost;
}
