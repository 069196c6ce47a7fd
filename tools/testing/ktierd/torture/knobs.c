// SPDX-License-Identifier: GPL-2.0
/*
 * tortureknobs: all settings of ktierd are written from several threads at once,
 * with good values and with garbage. Garbage must be EINVAL, and must change
 * nothing: nobody writes other values than those of a short list, so that one that
 * is not on it came from garbage.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../lib/args.h"

#define MAX_THREADS	64
#define SYSCTL		"/proc/sys/vm/ktierd_"

/* The first of the values is a hurried one. */
struct knob {
	const char *path;
	const char *good[5];
	const char *garbage[6];
};

static const struct knob knobs[] = {
	{ SYSCTL "scan_interval_ms", { "100", "150", "300" }, { "99", "0", "3600001" } },
	{ SYSCTL "sample_window_ms", { "50", "0", "1", "100" }, { "3600001", "301", "1000" } },
	{ SYSCTL "cpu_percent", { "50", "1", "100" }, { "0", "101", "1000" } },
	{ SYSCTL "cold_age_ms", { "500", "0", "1", "86400000" }, { "86400001", "90000000" } },
	{ SYSCTL "headroom_percent", { "3", "0", "10", "50" }, { "51", "100", "1000" } },
	{ SYSCTL "migrate_mbps", { "1048576", "0", "1", "1024" }, { "1048577", "2000000" } },
	{ SYSCTL "write_weight", { "2", "0", "1", "8" }, { "9", "16", "255" } },
	{ "/sys/kernel/mm/ktierd/enabled", { "1", "0" }, { "2", "10", "256", "257", "0x1" } },
};

/* What is garbage for all. */
static const char * const garbage[] = {
	"-1", "-100", "x", "1x", "0y1", "1,2", "1.5", "4294967296", "4294967396",
	"18446744073709551616", "99999999999999999999999999999", " ", "\n", "--1", "\377\1",
};

static struct {
	unsigned int seed, threads, cold_age;
	double seconds;
} option = {
	.seed = 1,
	.threads = 4,
	.cold_age = 500,
	.seconds = 3,
};

static u64 nr_good, nr_garbage, end_ns;

/* 0 or the error. */
static int write_knob(const struct knob *knob, const char *value)
{
	int fd = open(knob->path, O_WRONLY | O_CLOEXEC), error;

	if (fd < 0)
		fail("cannot open %s (%s).", knob->path, strerror(errno));
	error = write(fd, value, strlen(value)) < 0 ? errno : 0;
	close(fd);
	return error;
}

static void read_knob(const struct knob *knob, char *value, int size)
{
	if (!read_text(knob->path, value, size))
		fail("cannot read %s (%s).", knob->path, strerror(errno));
	value[strcspn(value, "\n")] = '\0';
}

static unsigned int count_of(const char * const *list, unsigned int max)
{
	unsigned int nr = 0;

	while (nr < max && list[nr])
		nr++;
	return nr;
}

static void wrong(const struct knob *knob, const char *written, const char *what)
{
	fprintf(stderr, "tortureknobs: WRONG: %s: '%s' was written: %s; seed %u\n", knob->path,
		written, what, option.seed);
	exit(EXIT_FAILURE);
}

static void write_good(const struct knob *knob, const char *value)
{
	int error = write_knob(knob, value);

	if (error)
		wrong(knob, value, strerror(error));
	__atomic_fetch_add(&nr_good, 1, __ATOMIC_RELAXED);
}

static void write_garbage(const struct knob *knob, const char *value)
{
	int error = write_knob(knob, value);

	if (error != EINVAL)
		wrong(knob, value, error ? strerror(error) : "that is taken");
	__atomic_fetch_add(&nr_garbage, 1, __ATOMIC_RELAXED);
}

/* Others write it, too, but nobody anything else. */
static void check_good(const struct knob *knob, const char *written)
{
	char value[64], text[128];

	read_knob(knob, value, sizeof(value));
	for (unsigned int i = 0; i < count_of(knob->good, ARRAY_SIZE(knob->good)); i++)
		if (!strcmp(value, knob->good[i]))
			return;
	snprintf(text, sizeof(text), "it is '%s' now", value);
	wrong(knob, written, text);
}

static const char *some(const char * const *list, unsigned int max, unsigned int *random)
{
	return list[rand_r(random) % count_of(list, max)];
}

static const char *some_garbage(const struct knob *knob, unsigned int *random)
{
	if (rand_r(random) % 2)
		return some(garbage, ARRAY_SIZE(garbage), random);
	return some(knob->garbage, ARRAY_SIZE(knob->garbage), random);
}

static void *write_at_random(void *arg)
{
	unsigned int random = option.seed + *(unsigned int *)arg * 7919;

	while (now_ns() < end_ns) {
		const struct knob *knob = &knobs[rand_r(&random) % ARRAY_SIZE(knobs)];
		const char *value;

		if (rand_r(&random) % 2) {
			value = some(knob->good, ARRAY_SIZE(knob->good), &random);
			write_good(knob, value);
		} else {
			value = some_garbage(knob, &random);
			write_garbage(knob, value);
		}
		check_good(knob, value);
	}
	return NULL;
}

static void write_at_once(void)
{
	unsigned int index[MAX_THREADS];
	pthread_t thread[MAX_THREADS];
	unsigned int i;

	end_ns = now_ns() + (u64)(option.seconds * NSEC_PER_SEC);
	for (i = 0; i < option.threads; i++) {
		index[i] = i;
		if (pthread_create(&thread[i], NULL, write_at_random, &index[i]))
			fail("cannot start a thread.");
	}
	for (i = 0; i < option.threads; i++)
		pthread_join(thread[i], NULL);
}

/* Nobody else writes now: each bit of garbage leaves the value as it is. */
static void check_unchanged(const struct knob *knob, const char *value)
{
	char before[64], after[64];

	read_knob(knob, before, sizeof(before));
	write_garbage(knob, value);
	read_knob(knob, after, sizeof(after));
	if (strcmp(before, after))
		wrong(knob, value, "it has changed something");
}

static void write_one_by_one(const struct knob *knob)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(garbage); i++)
		check_unchanged(knob, garbage[i]);
	for (i = 0; i < count_of(knob->garbage, ARRAY_SIZE(knob->garbage)); i++)
		check_unchanged(knob, knob->garbage[i]);
}

/* What all the others need, and a cold age. */
static void hurry(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(knobs); i++) {
		char value[32];

		snprintf(value, sizeof(value), "%u", option.cold_age);
		write_good(&knobs[i], strstr(knobs[i].path, "cold_age") ? value : knobs[i].good[0]);
	}
}

enum { OPT_SECONDS = 256, OPT_SEED, OPT_THREADS, OPT_COLD_AGE };

static const char doc[] =
"Write all settings of ktierd, good values and garbage, and then those with which\n"
"it moves as much as it can.\n"
"\vExit status: 0 all was as it should be, 1 it was not, 2 it could not run.";

static const struct argp_option options[] = {
	{ "seconds", OPT_SECONDS, "S", 0, "how long; 0: only set what is set in the end (3)", 0 },
	{ "seed", OPT_SEED, "N", 0, "of all that is drawn (1)", 0 },
	{ "threads", OPT_THREADS, "N", 0, "that write (4)", 0 },
	{ "cold-age", OPT_COLD_AGE, "MS", 0, "in the end (500)", 0 },
	{ }
};

static const struct args_option simple[] = {
	{ OPT_SECONDS, ARGS_NUMBER, &option.seconds, 0, 1e6 },
	{ OPT_SEED, ARGS_COUNT, &option.seed, 0, 4e9 },
	{ OPT_THREADS, ARGS_COUNT, &option.threads, 1, MAX_THREADS },
	{ OPT_COLD_AGE, ARGS_COUNT, &option.cold_age, 0, 86400000 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	return args_set(simple, key, arg, state);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	hurry();
	if (!option.seconds)
		return EXIT_SUCCESS;
	write_at_once();
	hurry();
	for (unsigned int i = 0; i < ARRAY_SIZE(knobs); i++)
		write_one_by_one(&knobs[i]);
	printf("tortureknobs: %llu good values, %llu times garbage\n", nr_good, nr_garbage);
	return EXIT_SUCCESS;
}
