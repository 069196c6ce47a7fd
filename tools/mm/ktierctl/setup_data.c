// SPDX-License-Identifier: GPL-2.0
/*
 * Does persistent memory hold data that would be lost, or does somebody use it?
 *
 * What is in use is never taken: mounted, swap, of a volume or an array, or open in
 * some process. What is not counts as data if a signature is known that it has (file
 * systems, partition tables, volumes, arrays, swap) or if it is not all zero at its
 * beginning: what a program wrote there without a file system can't be told from
 * nothing. A DAX device has no signature of that kind; what was memory once is full of
 * what was in that memory. So it is only looked for the pools of PMDK.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktierctl.h"
#include "setup.h"

/* So much from the beginning on has to be zero. */
#define LOOKED_AT	(16U << 20)

/* Is one of the links in a process' directory to the device? */
static bool has_open(const char *pid, const char *device)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	ssize_t length;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		found = !strcmp(target, device);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool has_mapped(const char *pid, const char *device)
{
	char path[64], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%.16s/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && getline(&line, &size, maps) > 0) {
		line[strcspn(line, "\n")] = '\0';
		found = strlen(line) > strlen(device) &&
			!strcmp(line + strlen(line) - strlen(device), device);
	}
	free(line);
	if (maps)
		fclose(maps);
	return found;
}

/* Has a process the device open? Says which one. */
static bool in_a_process(const char *device, char *words, int size)
{
	char path[PATH_MAX], name[32] = "";
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && !found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		found = has_open(entry->d_name, device) || has_mapped(entry->d_name, device);
		if (!found)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		read_line(path, name, sizeof(name));
		snprintf(words, size, "is open in process %s (%s)", entry->d_name, name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Where it is mounted, if that is what it is used for. */
static void say_use(const char *device, char *words, int size)
{
	char line[4096], where[1024], source[1024];
	FILE *mounts = fopen("/proc/self/mounts", "re");

	snprintf(words, size, "is in use, by swap, a volume or an array");
	while (mounts && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%1023s %1023s", source, where) == 2 &&
		    !strncmp(source, device, strlen(device)))
			snprintf(words, size, "is mounted at %s", where);
	if (mounts)
		fclose(mounts);
}

/*
 * The kernel gives a block device to one at a time, if asked so: mounts, volumes,
 * arrays and swap ask so, also for a partition.
 */
static bool is_claimed(const char *device, char *words, int size)
{
	int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return false;
	}
	if (errno != EBUSY)
		return false;
	say_use(device, words, size);
	return true;
}

/* The value of KEY=VALUE, or NULL. */
static const char *value_of(char *text, const char *key)
{
	static char value[64];
	char *found = strstr(text, key);

	if (!found)
		return NULL;
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(found + strlen(key), "\n"),
		 found + strlen(key));
	return value;
}

/* Has it a file system or the like? What is not known for sure counts. */
static bool has_signature(const char *device, char *words, int size)
{
	char *const argv[] = { "blkid", "-p", "-o", "export", (char *)device, NULL };
	struct output output = run_tool(argv);
	bool found = output.status != 2;
	const char *type;

	if (output.status && found) {
		snprintf(words, size, "can't be looked into ('blkid -p': %s)",
			 last_words(&output));
	} else if (found) {
		type = value_of(output.out, "\nTYPE=") ?: value_of(output.out, "\nPTTYPE=");
		snprintf(words, size, "holds data (%s)", type ?: "a signature");
	}
	output_free(&output);
	return found;
}

static bool all_zero(const unsigned char *data, size_t size)
{
	return !size || (!data[0] && !memcmp(data, data + 1, size - 1));
}

static bool begins_with_data(const char *device, char *words, int size)
{
	unsigned char *data = malloc(LOOKED_AT);
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t some = 0;

	if (!data)
		abort();
	words[0] = '\0';
	while (fd >= 0 && done < LOOKED_AT &&
	       (some = pread(fd, data + done, LOOKED_AT - done, done)) > 0)
		done += some;
	if (fd < 0 || some < 0)
		snprintf(words, size, "can't be looked into (%s)", strerror(errno));
	else if (!all_zero(data, done))
		snprintf(words, size, "has something in it that is no file system known here");
	if (fd >= 0)
		close(fd);
	free(data);
	return words[0];
}

enum holds namespace_holds(const struct namespace *namespace, char *words, int size)
{
	char device[64];

	if (!namespace->enabled || !namespace->block[0]) {
		snprintf(words, size, "is disabled (see 'ndctl enable-namespace')");
		return DATA;
	}
	snprintf(device, sizeof(device), "/dev/%s", namespace->block);
	if (is_claimed(device, words, size) || in_a_process(device, words, size))
		return USED;
	if (has_signature(device, words, size) || begins_with_data(device, words, size))
		return DATA;
	return NOTHING;
}

/* The pools of PMDK begin with these. */
static bool is_pool(const void *data)
{
	static const char * const signatures[] = { "PMEMOBJ", "PMEMBLK", "PMEMLOG", "PMEMPOOL" };

	for (size_t i = 0; i < ARRAY_SIZE(signatures); i++)
		if (!memcmp(data, signatures[i], 7))
			return true;
	return false;
}

enum holds dax_holds(const struct dax *dax, char *words, int size)
{
	enum holds holds = NOTHING;
	char device[64];
	void *data;
	int fd;

	snprintf(device, sizeof(device), "/dev/%s", dax->name);
	if (in_a_process(device, words, size))
		return USED;
	fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NOTHING;
	data = mmap(NULL, dax->align, PROT_READ, MAP_SHARED, fd, 0);
	if (data != MAP_FAILED && is_pool(data)) {
		snprintf(words, size, "holds data (a pool of PMDK)");
		holds = DATA;
	}
	if (data != MAP_FAILED)
		munmap(data, dax->align);
	close(fd);
	return holds;
}
