/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_ARGS_H
#define KTIERD_LIB_ARGS_H
/* Arguments of options, for argp. What is wrong with one ends the program. */
#include <argp.h>

#include "util.h"

double args_number(const char *text, double min, double max, struct argp_state *state);

/* In bytes, with the suffix K, M or G or with none. */
u64 args_size(const char *text, struct argp_state *state);

#endif
