// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of what the bench is built on: that accesses are drawn as the
 * distribution says, and that its oracle is one.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist.h"
#include "pattern.h"

/* What floating point may be off. */
#define EPSILON		0.000001

#define UNITS		5000U
#define DRAWS		4000000U

/* A count of n differs from what is expected by so many times its square root. */
#define DEVIATIONS	6

static int tests, failures;

static void check(int good, const char *format, ...)
{
	va_list args;

	failures += !good;
	printf("%sok %d ", good ? "" : "not ", ++tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static struct pattern_options options = {
	.units = UNITS, .hot = 0.15, .hot_ops = 0.9, .writes = 0.3, .theta = 0.99,
	.touched = 0.05, .period_s = 10, .grown = 0.5, .seed = 7,
};

static uint32_t reads[UNITS], writes[UNITS];

static void draw_many(const struct dist *dist)
{
	struct dice dice = { .state = 3 };

	memset(reads, 0, sizeof(reads));
	memset(writes, 0, sizeof(writes));
	for (uint32_t i = 0; i < DRAWS; i++) {
		struct draw draw = dist_draw(dist, &dice);

		if (draw.thing >= dist->nr)
			abort();
		if (draw.write)
			writes[draw.thing]++;
		else
			reads[draw.thing]++;
	}
}

static int near(double count, double expected)
{
	return fabs(count - expected) <= DEVIATIONS * sqrt(expected) + 1;
}

/* Each thing, and its writes, as often as its segment says. */
static int drawn_as_said(const struct dist *dist)
{
	draw_many(dist);
	for (uint32_t s = 0; s < dist->nr_segments; s++) {
		const struct dist_segment *segment = &dist->segment[s];
		double each = segment->weight / segment->nr * DRAWS;

		for (uint32_t r = segment->first; r < segment->first + segment->nr; r++) {
			uint32_t thing = dist_place(dist, r);

			if (!near(reads[thing] + writes[thing], each) ||
			    !near(writes[thing], each * segment->writes)) {
				printf("# rank %u, thing %u: %u reads and %u writes, not %.0f\n", r,
				       thing, reads[thing], writes[thing], each);
				return 0;
			}
		}
	}
	return 1;
}

static int each_once(const struct dist *dist)
{
	static uint8_t seen[UNITS];

	memset(seen, 0, sizeof(seen));
	for (uint32_t r = 0; r < dist->nr; r++) {
		uint32_t thing = dist_place(dist, r);

		if (thing >= dist->nr || seen[thing]++)
			return 0;
	}
	return 1;
}

static double sum_of_weights(const struct dist *dist)
{
	double sum = 0;

	for (uint32_t s = 0; s < dist->nr_segments; s++)
		sum += dist->segment[s].weight;
	return sum;
}

static void test_pattern(const struct pattern *pattern)
{
	struct dist dist;

	pattern->make(&options, 3, &dist);
	check(each_once(&dist), "%s: each rank has a place of its own", pattern->name);
	check(fabs(sum_of_weights(&dist) - 1) < EPSILON, "%s: probabilities add up to 1",
	      pattern->name);
	check(drawn_as_said(&dist), "%s: accesses are drawn as the distribution says",
	      pattern->name);
}

/* The first and the last of many ranks, by the law itself. */
static void test_zipf(void)
{
	double sum = 0, first, last;
	struct dist_segment *end;
	struct dist dist;

	dist_zipf(&dist, UNITS, 0.99, 0);
	for (uint32_t r = 1; r <= UNITS; r++)
		sum += pow(r, -0.99);
	first = dist.segment[0].weight / dist.segment[0].nr;
	end = &dist.segment[dist.nr_segments - 1];
	last = end->weight / end->nr;
	check(fabs(first * sum - 1) < 0.01 && dist.segment[0].nr == 1,
	      "zipf: the first rank is as likely as the law says");
	check(fabs(last * sum * pow(UNITS, 0.99) - 1) < 0.05,
	      "zipf: the last rank is as likely as the law says");
}

static void test_oracle(void)
{
	struct dist dist;

	pattern_find("scattered")->make(&options, 0, &dist);
	check(fabs(pattern_oracle(&dist, UNITS / 2, WORTH_ALL) -
		   (0.9 + 0.1 * 0.35 / 0.85)) < EPSILON,
	      "oracle: the hot pages, and of the others as many as fit");
	check(pattern_oracle(&dist, 0, WORTH_ALL) == 0, "oracle: nothing fits into nothing");
	check(fabs(pattern_oracle(&dist, UNITS, WORTH_ALL) - 1) < EPSILON,
	      "oracle: everything fits into enough");
	pattern_find("halves")->make(&options, 0, &dist);
	check(fabs(pattern_oracle(&dist, UNITS / 4, WORTH_WRITES) - 0.5) < EPSILON,
	      "oracle: of the writes the written pages alone count");
}

static void test_changes(void)
{
	const struct pattern *moving = pattern_find("moving"), *growing = pattern_find("growing");
	struct dist before, after;

	moving->make(&options, 9.9, &before);
	moving->make(&options, 10, &after);
	check(before.rotate != after.rotate, "moving: the block jumps when the period is over");
	check(growing->units(&options, 0) == UNITS / 2 && growing->units(&options, 10) == UNITS &&
	      growing->units(&options, 20) == UNITS, "growing: memory grows for the period");
	growing->make(&options, 5, &after);
	check(dist_place(&after, after.segment[0].nr - 1) == after.nr - 1,
	      "growing: the newest is among the hot");
}

int main(void)
{
	int patterns_known = 0;

	while (patterns[patterns_known].name)
		patterns_known++;
	puts("TAP version 13");
	printf("1..%d\n", 3 * patterns_known + 9);
	for (const struct pattern *pattern = patterns; pattern->name; pattern++)
		test_pattern(pattern);
	test_zipf();
	test_oracle();
	test_changes();
	return failures != 0;
}
