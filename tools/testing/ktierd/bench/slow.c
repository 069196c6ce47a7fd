// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "slow.h"

#define CALIBRATION_US	100000

const unsigned int slow_limit_us[SLOW_LIMITS] = { 50, 200, 1000 };
uint64_t slow_limit[SLOW_LIMITS];

static double stamps_a_us = 1;

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

void slow_calibrate(void)
{
	uint64_t start_us = clock_us(), start = slow_stamp(), us;

	do {
		us = clock_us() - start_us;
	} while (us < CALIBRATION_US);
	stamps_a_us = (double)(slow_stamp() - start) / us;
	for (int i = 0; i < SLOW_LIMITS; i++)
		slow_limit[i] = slow_limit_us[i] * stamps_a_us;
}

void slow_note(struct slow *slow, uint64_t took)
{
	for (int i = 0; i < SLOW_LIMITS; i++)
		if (took >= slow_limit[i])
			__atomic_store_n(&slow->count[i], slow->count[i] + 1, __ATOMIC_RELAXED);
	if (took > slow->longest)
		__atomic_store_n(&slow->longest, took, __ATOMIC_RELAXED);
}

void slow_add(struct slow *sum, const struct slow *slow)
{
	uint64_t longest = __atomic_load_n(&slow->longest, __ATOMIC_RELAXED);

	for (int i = 0; i < SLOW_LIMITS; i++)
		sum->count[i] += __atomic_load_n(&slow->count[i], __ATOMIC_RELAXED);
	if (longest > sum->longest)
		sum->longest = longest;
}

void slow_print(const struct slow *slow)
{
	for (int i = 0; i < SLOW_LIMITS; i++)
		printf(", \"slow_%uus\": %lu", slow_limit_us[i], slow->count[i]);
	printf(", \"longest_us\": %.0f", slow->longest / stamps_a_us);
}
