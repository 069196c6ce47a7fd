// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <time.h>

#include "util.h"

void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		fail("out of memory; give the machine more or ask for less.");
	return memory;
}

u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

bool read_text(const char *path, char *text, int size)
{
	FILE *file = fopen(path, "r");
	bool got;

	if (!file)
		return false;
	got = fgets(text, size, file);
	fclose(file);
	return got;
}

void run_command(const char *command)
{
	if (command && system(command))
		fail("the command '%s' failed.", command);
}

unsigned long parse_number(const char *what, const char *text, unsigned long min,
			   unsigned long max)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || !isdigit(text[0]) || *end || number < min || number > max)
		fail("%s takes a number from %lu to %lu, not '%s'.", what, min, max, text);
	return number;
}
