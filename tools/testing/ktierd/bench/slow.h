/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_BENCH_SLOW_H
#define KTIERD_BENCH_SLOW_H
/* Operations that took much longer than they should: what a user sees as pauses. */
#include <stdint.h>
#include <time.h>

#define SLOW_LIMITS	3

/**
 * struct slow - what one thread has seen
 * @last: stamp of the end of the last operation
 * @longest: in stamps
 * @count: operations that took longer than each of slow_limit_us[]
 */
struct slow {
	uint64_t last;
	uint64_t longest;
	uint64_t count[SLOW_LIMITS];
};

extern const unsigned int slow_limit_us[SLOW_LIMITS];
extern uint64_t slow_limit[SLOW_LIMITS];	/* in stamps */

/* The time in a unit that slow_calibrate() finds out. */
static inline uint64_t slow_stamp(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
#endif
}

/* Count one that was slow. Another thread may read meanwhile, with slow_add(). */
void slow_note(struct slow *slow, uint64_t took);

static inline void slow_begin(struct slow *slow)
{
	slow->last = slow_stamp();
}

static inline void slow_next(struct slow *slow)
{
	uint64_t now = slow_stamp(), took = now - slow->last;

	slow->last = now;
	if (__builtin_expect(took < slow_limit[0], 1))
		return;
	slow_note(slow, took);
}

/* Compare stamps with the clock, for a tenth of a second. Before all else. */
void slow_calibrate(void);

void slow_add(struct slow *sum, const struct slow *slow);

/* Print members of a JSON object. */
void slow_print(const struct slow *slow);

#endif
