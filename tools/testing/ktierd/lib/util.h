/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_UTIL_H
#define KTIERD_LIB_UTIL_H
/* What every program needs. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef unsigned int u32;
typedef unsigned long long u64;

#define NSEC_PER_SEC	1000000000ULL

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Exit status: wrong usage, or not the machine for it. */
#define EXIT_UNABLE	2

/* End the program with a sentence. */
#define fail(format, ...)						\
	do {								\
		fprintf(stderr, "%s: " format "\n",			\
			program_invocation_short_name, ##__VA_ARGS__);	\
		exit(EXIT_UNABLE);					\
	} while (0)

/* Zeroed memory. Ends the program if there is none. */
void *allocate(size_t count, size_t size);
u64 now_ns(void);

/* Have the shell run a command, if there is one. Ends the program if it fails. */
void run_command(const char *command);

/* What stands for @what as a number. Ends the program with a sentence if it is none. */
unsigned long parse_number(const char *what, const char *text, unsigned long min,
			   unsigned long max);

/* The first line of a file, with its end. False if there is none. */
bool read_text(const char *path, char *text, int size);

#endif
