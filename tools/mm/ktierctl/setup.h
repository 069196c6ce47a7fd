/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_SETUP_H
#define KTIERCTL_SETUP_H
/*
 * Making memory nodes of persistent memory and CXL memory.
 *
 *	setup.c		the command: what is to be done, and that it was done
 *	setup_find.c	what there is, by ndctl and daxctl
 *	setup_data.c	does something hold data, or is it in use?
 *	setup_tool.c	runs other programs
 */
#include <stdbool.h>

#include "machine.h"

/* A DAX device. */
struct dax {
	char name[32];		/* "dax0.0" */
	u64 size;
	u64 align;
	int node;		/* that it is or will be, or -1 */
	bool memory;		/* it is: mode system-ram */
	bool movable;
	int blocks, online;	/* of memory, if it is */
};

/* A part of persistent memory. */
struct namespace {
	char name[32];		/* "namespace0.0" */
	char region[32];
	char mode[16];		/* raw, sector, fsdax or devdax */
	char block[32];		/* "pmem0", or nothing */
	char dax[32];		/* the DAX device, or nothing */
	u64 size;
	bool enabled;
};

/* Persistent memory that was not divided into namespaces yet. */
struct region {
	char name[32];
	u64 available;
};

struct devices {
	struct dax *dax;
	int nr_dax;
	struct namespace *namespaces;
	int nr_namespaces;
	struct region *regions;
	int nr_regions;
};

/* What there is. False after complaining: a tool is missing, or failed. */
bool devices_find(struct devices *devices);
void devices_free(struct devices *devices);

/* NULL if there is none of the name. */
struct dax *dax_find(const struct devices *devices, const char *name);

/* What the next namespace of a region will be named. */
bool find_seed(const char *region, char *name, int size);

enum holds {
	NOTHING,
	DATA,			/* only force takes it */
	USED,			/* nothing does */
};

/* What it holds, in words for a sentence that begins with its name. */
enum holds namespace_holds(const struct namespace *namespace, char *words, int size);
enum holds dax_holds(const struct dax *dax, char *words, int size);

/* What a program printed. */
struct output {
	int status;		/* its exit status; EXIT_NOT_FOUND if it is not there */
	char *out;
	char *err;
};

/* Run a program, with its output caught. */
struct output run_tool(char *const argv[]);
void output_free(struct output *output);

/* The last line that it wrote to stderr, or how it ended. */
const char *last_words(struct output *output);

#endif
