// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>

#include "args.h"

static double number_of(const char *text, double min, double max, struct argp_state *state)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max))
		argp_error(state, "'%s' is not a number from %.10g to %.10g.", text, min, max);
	return value;
}

static u64 size_of(const char *text, struct argp_state *state)
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

error_t args_set(const struct args_option *options, int key, const char *text,
		 struct argp_state *state)
{
	const struct args_option *option = options;

	while (option->key && option->key != key)
		option++;
	if (!option->key)
		return ARGP_ERR_UNKNOWN;

	switch (option->type) {
	case ARGS_NUMBER:
		*(double *)option->to = number_of(text, option->min, option->max, state);
		break;
	case ARGS_PERCENT:
		*(double *)option->to = number_of(text, option->min, option->max, state) / 100;
		break;
	case ARGS_COUNT:
		*(unsigned int *)option->to = number_of(text, option->min, option->max, state);
		break;
	case ARGS_SIZE:
		*(u64 *)option->to = size_of(text, state);
		break;
	case ARGS_TEXT:
		*(const char **)option->to = text;
		break;
	case ARGS_NONE:
		*(bool *)option->to = true;
		break;
	}
	return 0;
}
