// SPDX-License-Identifier: GPL-2.0
/* Which operations there are, and how often each is done. */
#define _GNU_SOURCE
#include "operations.h"

/* What would have been done so often must have been done once. */
#define MISSED		20
/* A chase needs somebody who hammers on a page just then: one in 160 found one. */
#define MISSED_CHASES	2000
/* One thread in six has a file, and is the slower for it. */
#define MISSED_FILE	300
/* A huge page has to be free, which one in 30 or less is where memory is full. */
#define MISSED_HUGE	300

/* Who does it: a child has one thread, and other threads' memory only as a copy. */
enum who {
	ALL,
	NO_CHILD,
	CHILD,
};

struct operation {
	const char *name;
	unsigned int weight;
	bool (*run)(struct worker *me);
	enum who who;
};

static const struct operation operations[] = {
	{ "write", 1500, do_write, ALL },
	{ "patch", 2500, do_patch, ALL },
	{ "bump", 1200, do_bump, ALL },
	{ "verify", 2500, do_verify, ALL },
	{ "sweep", 1200, do_sweep, ALL },
	{ "hammer", 4, do_hammer, ALL },
	{ "chase", 200, do_chase, NO_CHILD },

	{ "reuse", 60, do_reuse, ALL },
	{ "pageout", 40, do_pageout, ALL },
	{ "pageout-other", 60, do_pageout_other, NO_CHILD },
	{ "cold", 50, do_cold, ALL },
	{ "free", 50, do_free, ALL },
	{ "dontneed", 20, do_dontneed, ALL },
	{ "populate", 30, do_populate, ALL },
	{ "collapse", 15, do_collapse, ALL },
	{ "merge", 10, do_merge, ALL },
	{ "unmerge", 1, do_unmerge, ALL },
	{ "unmark", 10, do_unmark, ALL },

	{ "protect", 40, do_protect, ALL },
	{ "lock", 10, do_lock, ALL },
	{ "remap", 15, do_remap, ALL },
	{ "mremap", 10, do_mremap, ALL },
	{ "nodes", 40, do_nodes, ALL },
	{ "nodes-other", 40, do_nodes_other, NO_CHILD },

	{ "direct", 60, do_direct, NO_CHILD },
	{ "fixed", 10, do_fixed, NO_CHILD },
	{ "pipe", 15, do_pipe, ALL },
	{ "peek", 20, do_peek, ALL },
	{ "inject", 20, do_inject, ALL },

	{ "drop", 100, do_drop, ALL },
	{ "file-read", 40, do_file_read, ALL },
	{ "file-write", 40, do_file_write, ALL },
	{ "disk-read", 40, do_disk_read, ALL },
	{ "disk-write", 40, do_disk_write, ALL },

	{ "missing", 8, do_missing, NO_CHILD },
	{ "write-protect", 8, do_write_protect, NO_CHILD },
	{ "soft-dirty", 6, do_soft_dirty, NO_CHILD },

	{ "fork", 5, do_fork, NO_CHILD },
	{ "core", 2, do_core, NO_CHILD },
	{ "process", 50, do_process, CHILD },
};

const unsigned int nr_operations = ARRAY_SIZE(operations);

const char *operation_name(unsigned int operation)
{
	return operations[operation].name;
}

static unsigned int weight_for(const struct operation *operation, bool child)
{
	return operation->who == (child ? NO_CHILD : CHILD) ? 0 : operation->weight;
}

static unsigned int all_weights(bool child)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < nr_operations; i++)
		total += weight_for(&operations[i], child);
	return total;
}

static bool is_of_file(const struct operation *one)
{
	return one->run == do_drop || one->run == do_file_read || one->run == do_file_write ||
	       one->run == do_disk_read || one->run == do_disk_write;
}

/* How often it would have been done had it not failed. */
static u64 enough_for(const struct operation *one)
{
	if (is_of_file(one))
		return MISSED_FILE;
	if (one->run == do_collapse)
		return MISSED_HUGE;
	return one->run == do_chase ? MISSED_CHASES : MISSED;
}

/* Some want a file that was not given. */
static bool operation_is_possible(const struct operation *one)
{
	if (one->run == do_core)
		return option.core;
	if (is_of_file(one))
		return option.files;
	return direct_fd >= 0 || (one->run != do_direct && one->run != do_fixed);
}

bool operation_is_missed(unsigned int operation, u64 steps, u64 child_steps)
{
	const struct operation *one = &operations[operation];
	u64 wanted = steps * weight_for(one, false) / all_weights(false) +
		     child_steps * weight_for(one, true) / all_weights(true);

	return operation_is_possible(one) && wanted >= enough_for(one);
}

static unsigned int some_operation(struct worker *me)
{
	u64 left = below(me, all_weights(me->child));
	unsigned int i;

	for (i = 0; left >= weight_for(&operations[i], me->child); i++)
		left -= weight_for(&operations[i], me->child);
	return i;
}

static void count(u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void step(struct worker *me)
{
	struct tally *tally = me->tally;

	me->operation = some_operation(me);
	me->steps++;
	count(operations[me->operation].run(me) ? &tally->done[me->operation] :
						  &tally->in_vain[me->operation]);
	if (me->child)
		count(&tally->in_children);
	damage_during(me);
}
