/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_KTIERD_H
#define KTIERD_LIB_KTIERD_H
/* The kernel's thread: let it work or rest, and what it did. */
#include <stdbool.h>

#include "util.h"

/* What ktierd did, or did since some other such figures were taken. */
struct figures {
	u64 promoted;	/* pages */
	u64 demoted;	/* pages */
	u64 cpu_ns;	/* the thread's own CPU time */
};

/* Has this kernel ktierd? */
bool ktierd_is_there(void);
/* Find the thread. Ends the program if this kernel has no ktierd. */
void ktierd_find(void);
/* Let it work or rest. When the program ends it works. */
void ktierd_switch(bool on);
void ktierd_figures(struct figures *figures);
/* What a file of /sys/kernel/mm/ktierd says. Ends the program if there is none. */
u64 ktierd_count(const char *name);

#endif
