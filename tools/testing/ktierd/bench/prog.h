/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_BENCH_PROG_H
#define KTIERD_BENCH_PROG_H
/* What progload does with any program, and what it has to know of each. */
#include <stdbool.h>
#include <sys/types.h>

#include "../lib/pageset.h"
#include "../lib/util.h"
#include "dist.h"

/* Operations that are sent before their replies are read. */
#define PROG_BATCH	64

/* A value begins with its key as a decimal number of so many digits. */
#define PROG_KEY_DIGITS	10
#define PROG_MAX_VALUE	1024U	/* bytes */

/**
 * struct program - a program that keeps values by key in its memory
 * @name: its name on the command line, and @command the file to execute
 * @keys: how many keys have this many bytes of values
 * @start: run it, with these words before its own
 * @fill: have it store a value for each key
 * @batch: read or write the drawn keys' values. Returns how many replies were
 *	wrong.
 */
struct program {
	const char *name;
	const char *command;
	u32 (*keys)(u64 bytes);
	pid_t (*start)(char *const prefix[]);
	void (*fill)(u32 nr_keys);
	u32 (*batch)(const struct draw *draws, u32 nr);
};

extern const struct program prog_redis, prog_sqlite;

/* Values */

void prog_values_init(void);
void prog_write_key(char *text, u32 key);
/* What a value has behind its key if @draw wrote it: as much of this as is needed. */
const char *prog_filler(const struct draw *draw);
bool prog_value_is_of(const char *value, u32 key);

/* The child */

/**
 * struct child - the program that runs, or what is to become it
 * @in: its standard input, or -1: that is /dev/null
 * @out: its standard output, or -1: likewise
 */
struct child {
	pid_t pid;
	int in;
	int out;
};

/* How often to wait for something, at most. */
#define CHILD_PAUSES	3000

/* Run @argv with @prefix before it, with pipes if @piped. Dies with this process. */
struct child child_start(char *const prefix[], char *const argv[], bool piped);
/* Wait a while for something else. Ends this program if the child has ended. */
void child_pause(pid_t pid, const char *command);
/* Wait until prefixes have become @command. Ends this program if they don't. */
void child_wait_for(pid_t pid, const char *command);
u64 child_cpu_ns(pid_t pid);
unsigned long child_rss_kib(pid_t pid);
void child_stop(pid_t pid);

/* Its anonymous pages */

struct child_pages {
	unsigned long top;
	unsigned long low;
};

struct child_pages pages_count(pid_t pid);
/* Move each page to the top tier or to a lower one, by the throw of a coin. */
void pages_interleave(pid_t pid, u32 seed);
/* The largest of its mappings. */
void pages_largest(pid_t pid, unsigned long *start, unsigned long *end);

#endif
