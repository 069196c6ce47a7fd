/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_PAGESET_H
#define KTIERD_LIB_PAGESET_H
/*
 * The pages of a process and where they are. Asking does not touch them: the
 * kernel looks at the page table only, and leaves the accessed bit alone.
 */
#include <stdbool.h>
#include <sys/types.h>

#define PAGESET_PAGE_SIZE	4096UL

struct pageset {
	pid_t pid;		/* 0: this process */
	unsigned long count;
	void **page;
	int *node;		/* or a negative errno */
	bool *hot;		/* for whoever counts hot ones by themselves */
};

void pageset_alloc(struct pageset *set, pid_t pid, unsigned long capacity);
void pageset_free(struct pageset *set);

/* Ask in which node each page is. */
void pageset_locate(struct pageset *set);

/* Move every page to the node that ->node names, leaving no policy behind. */
void pageset_move(const struct pageset *set);

/*
 * Call @visit for each writable private anonymous mapping of a process but its
 * stack. Ends the program if it may not look.
 */
typedef void (*mapping_visitor)(unsigned long from, unsigned long to, void *context);
void visit_anonymous_mappings(pid_t pid, mapping_visitor visit, void *context);

#endif
