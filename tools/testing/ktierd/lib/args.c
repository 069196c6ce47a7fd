// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>

#include "args.h"

double args_number(const char *text, double min, double max, struct argp_state *state)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max))
		argp_error(state, "'%s' is not a number from %g to %g.", text, min, max);
	return value;
}

u64 args_size(const char *text, struct argp_state *state)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	char *end;
	u64 size;

	errno = 0;
	size = strtoull(text, &end, 10);
	suffix = *end ? strchr(suffixes, *end) : NULL;
	if (suffix) {
		size <<= 10 * (suffix - suffixes + 1);
		end++;
	}
	if (errno || *end || text[0] < '1' || text[0] > '9')
		argp_error(state, "'%s' is not a size such as 256M.", text);
	return size;
}
