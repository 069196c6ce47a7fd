// SPDX-License-Identifier: GPL-2.0
#include <math.h>
#include <string.h>

#include "dist.h"

/* Parts of an octave of ranks, all of one probability: exact to some 2 %. */
#define OCTAVE_PARTS	16

/* Beyond so many ranks a sum of powers is taken as an integral. */
#define SUM_LIMIT	64

void dist_begin(struct dist *dist, uint32_t nr)
{
	uint32_t bits = 4;

	memset(dist, 0, sizeof(*dist));
	dist->nr = nr;
	while (bits < 32 && (1ULL << bits) < nr)
		bits++;
	dist->mask = (1ULL << bits) - 1;
	dist->shift = bits / 2;
}

void dist_add(struct dist *dist, uint32_t nr, double weight, double writes)
{
	struct dist_segment *segment = &dist->segment[dist->nr_segments];

	if (!nr)
		return;
	if (dist->nr_segments)
		segment->first = segment[-1].first + segment[-1].nr;
	segment->nr = nr;
	segment->weight = weight;
	segment->writes = writes;
	dist->writes[dist->nr_segments++] = writes * 65536;
}

/* Fill each entry of the table up to the average with what another has too much. */
void dist_end(struct dist *dist)
{
	uint32_t size = 1, low[DIST_SEGMENTS], high[DIST_SEGMENTS];
	uint32_t nr_low = 0, nr_high = 0;
	double share[DIST_SEGMENTS] = { 0 };

	while (size < dist->nr_segments)
		size *= 2;
	dist->table_mask = size - 1;
	for (uint32_t i = 0; i < size; i++) {
		if (i < dist->nr_segments)
			share[i] = dist->segment[i].weight * size;
		if (share[i] < 1)
			low[nr_low++] = i;
		else
			high[nr_high++] = i;
	}
	while (nr_low && nr_high) {
		uint32_t a = low[--nr_low], b = high[nr_high - 1];

		dist->alias[a].threshold = share[a] * UINT32_MAX;
		dist->alias[a].other = b;
		share[b] -= 1 - share[a];
		if (share[b] < 1) {
			nr_high--;
			low[nr_low++] = b;
		}
	}
	/* What is left is full but for rounding. */
	while (nr_high) {
		dist->alias[high[--nr_high]].threshold = UINT32_MAX;
		dist->alias[high[nr_high]].other = high[nr_high];
	}
	while (nr_low) {
		dist->alias[low[--nr_low]].threshold = UINT32_MAX;
		dist->alias[low[nr_low]].other = low[nr_low];
	}
}

void dist_set_scattered(struct dist *dist, uint32_t seed)
{
	dist->scattered = true;
	dist->salt = seed * 0x2545f491U;
}

/* The sum of (r + 1)^-theta over ranks from @first on. */
static double zipf_mass(uint32_t first, uint32_t nr, double theta)
{
	double sum = 0, power = 1 - theta;

	if (nr <= SUM_LIMIT) {
		for (uint32_t r = first; r < first + nr; r++)
			sum += pow(r + 1.0, -theta);
		return sum;
	}
	if (fabs(power) < 0.000001)
		return log((first + nr + 0.5) / (first + 0.5));
	return (pow(first + nr + 0.5, power) - pow(first + 0.5, power)) / power;
}

static uint32_t zipf_step(uint32_t first)
{
	uint32_t octave = 1;

	while (octave * 2ULL <= first + 1ULL)
		octave *= 2;
	return octave < OCTAVE_PARTS ? 1 : octave / OCTAVE_PARTS;
}

void dist_zipf(struct dist *dist, uint32_t nr, double theta, double writes)
{
	uint32_t first, step;
	double sum = 0;

	dist_begin(dist, nr);
	for (first = 0; first < nr; first += step) {
		step = zipf_step(first);
		if (step > nr - first)
			step = nr - first;
		sum += zipf_mass(first, step, theta);
		dist_add(dist, step, zipf_mass(first, step, theta), writes);
	}
	for (uint32_t i = 0; i < dist->nr_segments; i++)
		dist->segment[i].weight /= sum;
	dist_end(dist);
}
