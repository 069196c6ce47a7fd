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

void slow_add(struct slow *sum, const struct slow *slow)
{
	for (int i = 0; i < SLOW_LIMITS; i++)
		sum->count[i] += slow->count[i];
	if (slow->longest > sum->longest)
		sum->longest = slow->longest;
}

void slow_print(const struct slow *slow)
{
	for (int i = 0; i < SLOW_LIMITS; i++)
		printf(", \"slow_%uus\": %lu", slow_limit_us[i], slow->count[i]);
	printf(", \"longest_us\": %.0f", slow->longest / stamps_a_us);
}
