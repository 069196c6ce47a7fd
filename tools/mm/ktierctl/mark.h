/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_MARK_H
#define KTIERCTL_MARK_H
/* Mark the memory of running processes, or take the marks away. */
#include <stdbool.h>
#include <sys/types.h>

struct pids {
	pid_t *pid;
	int number;
};

/* Add what stands in a list such as "12,34". Returns false after complaining. */
bool pids_add(struct pids *pids, const char *list);
void pids_free(struct pids *pids);

/*
 * Mark all mappings of the processes, or unmark them, and tell of each how much that
 * was. With @children, those of all processes that descend from them, too. Returns the
 * exit status: all went well, or some process could not be marked.
 */
int mark_all(struct pids *pids, bool children, bool mark);

#endif
