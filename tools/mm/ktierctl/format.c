// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "format.h"

/* Divide by 1024 until it has at most four digits before the point. */
static int scale(double *value)
{
	int unit = 0;

	for (; *value >= 1000 && unit < 4; unit++)
		*value /= 1024;
	return unit;
}

/* Digits behind the point, so that there are about three. */
static int digits(double value, int unit)
{
	if (!unit || value >= 99.95 || value == (u64)value)
		return 0;
	return value >= 9.995 ? 1 : 2;
}

struct text size_text(u64 kb)
{
	static const char * const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = kb;
	int unit = scale(&value);
	struct text text;

	snprintf(text.s, sizeof(text.s), "%.*f %s", digits(value, unit), value, units[unit]);
	return text;
}

struct text short_size(u64 kb)
{
	double value = kb;
	int unit = scale(&value);
	struct text text;

	snprintf(text.s, sizeof(text.s), "%.*f%c", digits(value, unit), value, "KMGTP"[unit]);
	return text;
}

struct text time_text(u64 us)
{
	struct text text;

	if (us < 1000)
		snprintf(text.s, sizeof(text.s), "%llu us", us);
	else if (us < 1000000)
		snprintf(text.s, sizeof(text.s), "%.3g ms", us / 1e3);
	else if (us < 120000000)
		snprintf(text.s, sizeof(text.s), "%.3g s", us / 1e6);
	else
		snprintf(text.s, sizeof(text.s), "%.3g min", us / 6e7);
	return text;
}

struct text percent_text(u64 part, u64 whole)
{
	struct text text = { "-" };

	if (whole)
		snprintf(text.s, sizeof(text.s), "%.1f %%", 100.0 * part / whole);
	return text;
}
