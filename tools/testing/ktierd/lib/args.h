/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_ARGS_H
#define KTIERD_LIB_ARGS_H
/* Options that set a variable, for argp. What is wrong with one ends the program. */
#include <argp.h>

#include "util.h"

/* What an option's argument is, and what variable it goes to. */
enum args_type {
	ARGS_NUMBER,		/* double */
	ARGS_PERCENT,		/* double, as a share of 1 */
	ARGS_COUNT,		/* unsigned int */
	ARGS_SIZE,		/* u64, in bytes: the argument may have K, M or G */
	ARGS_TEXT,		/* const char * */
	ARGS_NONE,		/* bool, set to true: there is no argument */
};

/**
 * struct args_option - an option that sets a variable
 * @key: of the option, as argp has it; 0 ends a table
 * @type: what its argument is
 * @to: the variable
 * @min: the least that a number may be, as it is given
 * @max: and the most
 */
struct args_option {
	int key;
	enum args_type type;
	void *to;
	double min;
	double max;
};

/* Returns ARGP_ERR_UNKNOWN if no option of the table has this key. */
error_t args_set(const struct args_option *options, int key, const char *text,
		 struct argp_state *state);

#endif
