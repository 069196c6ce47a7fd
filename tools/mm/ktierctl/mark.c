// SPDX-License-Identifier: GPL-2.0
/* Marks of running processes, by process_madvise(). */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "format.h"
#include "ktierctl.h"
#include "machine.h"
#include "mark.h"

#ifndef MADV_TIER
#define MADV_TIER	96
#define MADV_NOTIER	97
#endif

/* What was done to a process. */
struct result {
	int mappings;		/* that took the advice */
	u64 bytes;
	int passed;		/* mappings that can't be tiered */
	u64 passed_bytes;
	char names[128];	/* of the first of them */
	int gone;		/* that were unmapped meanwhile */
	int error;		/* that ended it, or 0 */
};

struct mapping {
	struct iovec range;
	char name[64];
};

struct mappings {
	struct mapping *list;
	int number;
};

static void *grow(void *list, int number, size_t size)
{
	if (number & (number - 1))
		return list;
	list = realloc(list, 2 * (number + 1) * size);
	if (!list)
		abort();
	return list;
}

static bool has_pid(const struct pids *pids, pid_t pid)
{
	for (int i = 0; i < pids->number; i++)
		if (pids->pid[i] == pid)
			return true;
	return false;
}

static void add_pid(struct pids *pids, pid_t pid)
{
	if (has_pid(pids, pid))
		return;
	pids->pid = grow(pids->pid, pids->number, sizeof(*pids->pid));
	pids->pid[pids->number++] = pid;
}

bool pids_add(struct pids *pids, const char *list)
{
	const char *rest = list;
	long pid;
	char *end;

	do {
		pid = strtol(rest, &end, 10);
		if (*rest < '0' || *rest > '9' || (*end && *end != ',') || pid < 1 ||
		    pid > INT_MAX) {
			complain("'%s' is not the number of a process, nor a list of such.", list);
			return false;
		}
		add_pid(pids, pid);
		rest = end + 1;
	} while (*end);
	return true;
}

void pids_free(struct pids *pids)
{
	free(pids->pid);
	*pids = (struct pids) { 0 };
}

/* 0 if the process is gone. */
static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *behind_name;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_line(path, line, sizeof(line)))
		return 0;
	behind_name = strrchr(line, ')');
	if (behind_name)
		sscanf(behind_name, ") %*c %d", &parent);
	return parent;
}

/* Once through /proc: those whose parent is there already. */
static bool add_one_generation(struct pids *pids)
{
	int before = pids->number;
	struct dirent *entry;
	DIR *dir;
	pid_t pid;

	dir = opendir("/proc");
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		pid = atoi(entry->d_name);
		if (pid > 0 && has_pid(pids, parent_of(pid)))
			add_pid(pids, pid);
	}
	closedir(dir);
	return pids->number > before;
}

/* One of the lines of /proc/PID/maps. */
static void add_mapping(struct mappings *mappings, const char *line)
{
	unsigned long start, end;
	struct mapping *mapping;
	int name = 0;

	if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &name) < 2)
		return;
	if (name && !strncmp(line + name, "[vsyscall]", 10))	/* is the kernel's */
		return;
	mappings->list = grow(mappings->list, mappings->number, sizeof(*mapping));
	mapping = &mappings->list[mappings->number++];
	mapping->range.iov_base = (void *)start;
	mapping->range.iov_len = end - start;
	snprintf(mapping->name, sizeof(mapping->name), "%.*s",
		 (int)strcspn(line + name, "\n"), line + name);
	if (!name || !mapping->name[0])
		snprintf(mapping->name, sizeof(mapping->name), "%lx-%lx", start, end);
}

/* Returns 0 or an errno. */
static int read_mappings(pid_t pid, struct mappings *mappings)
{
	size_t size = 0;
	char path[64];
	char *line = NULL;
	FILE *maps;
	int error;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? ESRCH : errno;
	errno = 0;
	while (getline(&line, &size, maps) > 0)
		add_mapping(mappings, line);
	error = errno;
	free(line);
	fclose(maps);
	return error;
}

/* A mapping did not take the advice. False: nor would any other. */
static bool note_refusal(struct result *result, const struct mapping *mapping, int error)
{
	int used = strlen(result->names);

	switch (error) {
	case EINVAL:
		result->passed++;
		result->passed_bytes += mapping->range.iov_len;
		if (result->passed <= 3)
			snprintf(result->names + used, sizeof(result->names) - used, " %.36s",
				 mapping->name);
		return true;
	case ENOMEM:
		result->gone++;
		return true;
	default:
		result->error = error;
		return false;
	}
}

/* How far the advice has come. */
struct position {
	int mapping;
	size_t offset;		/* in that mapping */
};

/* Fill @ranges with what comes next. Returns how many these are. */
static int next_ranges(const struct mappings *mappings, struct position at,
		       struct iovec ranges[UIO_MAXIOV])
{
	int number = 0;

	for (; number < UIO_MAXIOV && at.mapping < mappings->number; number++) {
		ranges[number] = mappings->list[at.mapping++].range;
		ranges[number].iov_base = (char *)ranges[number].iov_base + at.offset;
		ranges[number].iov_len -= at.offset;
		at.offset = 0;
	}
	return number;
}

static void go_on(const struct mappings *mappings, struct position *at, size_t bytes,
		  struct result *result)
{
	size_t left;

	result->bytes += bytes;
	while (bytes) {
		left = mappings->list[at->mapping].range.iov_len - at->offset;
		if (bytes < left) {
			at->offset += bytes;
			return;
		}
		bytes -= left;
		at->mapping++;
		at->offset = 0;
		result->mappings++;
	}
}

/*
 * One call takes UIO_MAXIOV ranges of 2 GiB together, and ends before the first that
 * refuses. Why that one did is known when it is the first of another call.
 */
static void advise(int pidfd, const struct mappings *mappings, int advice, struct result *result)
{
	struct iovec ranges[UIO_MAXIOV];
	struct position at = { 0 };
	ssize_t bytes;
	int number;

	while ((number = next_ranges(mappings, at, ranges))) {
		bytes = syscall(SYS_process_madvise, pidfd, ranges, number, advice, 0);
		if (bytes > 0) {
			go_on(mappings, &at, bytes, result);
		} else if (note_refusal(result, &mappings->list[at.mapping], errno)) {
			at.mapping++;
			at.offset = 0;
		} else {
			return;
		}
	}
}

/* The descriptor is opened before anything is read, so that all is of one process. */
static void advise_process(pid_t pid, int advice, struct result *result)
{
	struct mappings mappings = { 0 };
	int pidfd = syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0) {
		result->error = errno;
		return;
	}
	result->error = read_mappings(pid, &mappings);
	if (!result->error)
		advise(pidfd, &mappings, advice, result);
	free(mappings.list);
	close(pidfd);
}

static void tell_error(pid_t pid, const char *name, int error)
{
	switch (error) {
	case ESRCH:
		complain("there is no process %d (any more).", pid);
		break;
	case EINVAL:
		complain("%d is a thread; give the number of its process, Tgid in /proc/%d/status.",
			 pid, pid);
		break;
	case EPERM:
	case EACCES:
		complain("you may not change the memory of process %d%s; be root.\n"
			 "It takes CAP_SYS_NICE and the right to trace the process.", pid, name);
		break;
	case EAGAIN:
		complain("process %d%s: too many mappings (vm.max_map_count), or no free memory.",
			 pid, name);
		break;
	default:
		complain("process %d%s: %s.", pid, name, strerror(error));
	}
}

static void tell_result(pid_t pid, const char *name, bool mark, const struct result *result)
{
	printf("%d%s: %s %s in %d %s", pid, name, mark ? "marked" : "unmarked",
	       size_text(result->bytes >> 10).s, result->mappings,
	       result->mappings == 1 ? "mapping" : "mappings");
	if (result->passed)
		printf("; passed over %d that can't be tiered, %s:%s%s", result->passed,
		       size_text(result->passed_bytes >> 10).s, result->names,
		       result->passed > 3 ? " ..." : "");
	if (result->gone)
		printf("; %d went away meanwhile", result->gone);
	putchar('\n');
}

static bool mark_one(pid_t pid, bool mark)
{
	char path[64], comm[32], name[40] = "";
	struct result result = { 0 };

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (read_line(path, comm, sizeof(comm)))
		snprintf(name, sizeof(name), " (%s)", comm);
	advise_process(pid, mark ? MADV_TIER : MADV_NOTIER, &result);
	if (result.mappings || result.passed)
		tell_result(pid, name, mark, &result);
	if (result.error)
		tell_error(pid, name, result.error);
	else if (!result.mappings && !result.passed)
		complain("process %d%s has no memory: it belongs to the kernel, or has ended.",
			 pid, name);
	return result.mappings && !result.error;
}

int mark_all(struct pids *pids, bool children, bool mark)
{
	int status = EXIT_SUCCESS;

	while (children && add_one_generation(pids))
		;
	for (int i = 0; i < pids->number; i++)
		if (!mark_one(pids->pid[i], mark))
			status = EXIT_REFUSED;
	return status;
}
