// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "ktierd.h"

#define KTIERD		"/sys/kernel/mm/ktierd"

static clockid_t ktierd_clock;

bool ktierd_is_there(void)
{
	return !access(KTIERD "/enabled", F_OK);
}

u64 ktierd_count(const char *name)
{
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), "%s/%s", KTIERD, name);
	if (!read_text(path, text, sizeof(text)))
		fail("cannot read %s; boot a kernel built with CONFIG_KTIERD=y.", path);
	return strtoull(text, NULL, 10);
}

static pid_t find_thread(const char *name)
{
	char path[PATH_MAX], comm[64];
	struct dirent *entry;
	pid_t found = 0;
	DIR *proc = opendir("/proc");

	if (!proc)
		fail("cannot read /proc (%s).", strerror(errno));
	while (!found && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (!read_text(path, comm, sizeof(comm)))
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		if (!strcmp(comm, name))
			found = atoi(entry->d_name);
	}
	closedir(proc);
	return found;
}

void ktierd_find(void)
{
	pid_t pid;

	if (!ktierd_count("enabled"))
		fail("ktierd is switched off; do 'echo 1 > %s/enabled' first.", KTIERD);
	pid = find_thread("ktierd");
	if (!pid || clock_getcpuclockid(pid, &ktierd_clock))
		fail("there is no thread ktierd; see the kernel's log, 'dmesg'.");
}

static void switch_on(void)
{
	FILE *file = fopen(KTIERD "/enabled", "w");

	if (file) {
		fputs("1", file);
		fclose(file);
	}
}

void ktierd_switch(bool on)
{
	static bool promised;
	FILE *file;

	if (!promised && atexit(switch_on))
		fail("out of memory.");
	promised = true;
	file = fopen(KTIERD "/enabled", "w");
	if (!file || fprintf(file, "%d", on) < 0 || fclose(file))
		fail("cannot write to %s/enabled (%s); run it as root.", KTIERD,
		     strerror(errno));
}

void ktierd_figures(struct figures *figures)
{
	struct timespec cpu;

	if (clock_gettime(ktierd_clock, &cpu))
		fail("the thread ktierd is gone; see the kernel's log, 'dmesg'.");
	figures->cpu_ns = cpu.tv_sec * NSEC_PER_SEC + cpu.tv_nsec;
	figures->promoted = ktierd_count("pages_promoted");
	figures->demoted = ktierd_count("pages_demoted");
}
