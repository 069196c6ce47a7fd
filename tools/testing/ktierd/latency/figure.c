// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "latency.h"

/* Nanoseconds up to FIGURE_FINE one by one, then octaves in as many parts. */
static unsigned int bucket_of(u64 ns)
{
	unsigned int octave, bucket;

	if (ns < FIGURE_FINE)
		return ns;
	octave = 63 - __builtin_clzll(ns / FIGURE_FINE);
	bucket = (octave + 1) * FIGURE_FINE + (ns >> octave) - FIGURE_FINE;
	return bucket < FIGURE_BUCKETS ? bucket : FIGURE_BUCKETS - 1;
}

/* The longest time of a bucket. */
static u64 bucket_end(unsigned int bucket)
{
	unsigned int octave;

	if (bucket < FIGURE_FINE)
		return bucket;
	octave = bucket / FIGURE_FINE - 1;
	return ((bucket % FIGURE_FINE + FIGURE_FINE + 1ULL) << octave) - 1;
}

void figure_add(struct figure *figure, u64 ns)
{
	figure->nr++;
	figure->sum += ns;
	figure->over += ns > NSEC_PER_MSEC;
	figure->bucket[bucket_of(ns)]++;
	if (ns > figure->longest)
		figure->longest = ns;
}

void figure_merge(struct figure *into, const struct figure *from)
{
	into->nr += from->nr;
	into->sum += from->sum;
	into->over += from->over;
	if (from->longest > into->longest)
		into->longest = from->longest;
	for (unsigned int i = 0; i < FIGURE_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

/* What all but one in a thousand do not exceed. */
static u64 most(const struct figure *figure)
{
	u64 left = figure->nr / 1000, end;
	unsigned int i = FIGURE_BUCKETS - 1;

	for (; i && figure->bucket[i] <= left; i--)
		left -= figure->bucket[i];
	end = bucket_end(i);
	return end < figure->longest ? end : figure->longest;
}

void figure_head(void)
{
	printf("%-42s %9s %10s %10s %10s %9s %8s\n", "", "number", "mean us", "99.9 % us",
	       "longest us", "> 1 ms %", "entries");
}

void figure_print(const char *what, const struct figure *figure)
{
	if (!figure->nr) {
		printf("%-42s %9d\n", what, 0);
		return;
	}
	printf("%-42s %9llu %10.2f %10.1f %10.1f %9.4f", what, figure->nr,
	       figure->sum / 1e3 / figure->nr, most(figure) / 1e3, figure->longest / 1e3,
	       100.0 * figure->over / figure->nr);
	if (figure->entries)
		printf(" %8llu", figure->entries);
	printf("\n");
}
