// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "sample.h"

void sample_next(struct sample *sample)
{
	machine_free(&sample->before);
	sample->before = sample->after;
	machine_read(&sample->after);
}

void sample_free(struct sample *sample)
{
	machine_free(&sample->before);
	machine_free(&sample->after);
}

double sample_seconds(const struct sample *sample)
{
	return sample->after.when - sample->before.when;
}

u64 grown(const struct sample *sample, enum figure figure)
{
	return sample->after.figure[figure] - sample->before.figure[figure];
}

u64 failed_more(const struct sample *sample, int reason)
{
	return sample->after.failed[reason] - sample->before.failed[reason];
}

u64 pages_to_kb(u64 pages)
{
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

double kb_per_second(const struct sample *sample, enum figure figure)
{
	return pages_to_kb(grown(sample, figure)) / sample_seconds(sample);
}

double cpu_percent(const struct sample *sample, enum figure figure)
{
	return grown(sample, figure) / sample_seconds(sample) / 10;
}

void sleep_until(double moment)
{
	struct timespec time = {
		.tv_sec = moment,
		.tv_nsec = (moment - (time_t)moment) * 1e9,
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}
