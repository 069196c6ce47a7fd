/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_MACHINE_H
#define KTIERCTL_MACHINE_H
/*
 * What the kernel tells of ktierd, of the machine's memory and of processes. The
 * files are described in Documentation/admin-guide/mm/ktierd.rst.
 */
#include <stdbool.h>
#include <sys/types.h>

typedef unsigned long long u64;

#define KTIERD_DIR	"/sys/kernel/mm/ktierd"
#define NODES_DIR	"/sys/devices/system/node"
#define TIERS_DIR	"/sys/devices/virtual/memory_tiering"

/* The files in KTIERD_DIR with one number each; figure_names[] has their names. */
enum figure {
	ENABLED,
	PROCESSES,
	SCANS,
	PAGES_SCANNED,
	PAGES_YOUNG,
	PAGES_DIRTY,
	PAGES_PROMOTED,
	PAGES_DEMOTED,
	PAGES_RETURNED,
	INTERVAL_MS,
	WINDOW_US,
	HOT_THRESHOLD,
	SCAN_MS,
	MIGRATE_MS,
	NR_FIGURES
};

extern const char * const figure_names[NR_FIGURES];

/* The sysctls vm.ktierd_*, without that prefix. */
enum setting {
	SCAN_INTERVAL_MS,
	SAMPLE_WINDOW_MS,
	CPU_PERCENT,
	COLD_AGE_MS,
	HEADROOM_PERCENT,
	MIGRATE_MBPS,
	WRITE_WEIGHT,
	NR_SETTINGS
};

struct setting_kind {
	const char *name;
	u64 by_default;
};

extern const struct setting_kind settings[NR_SETTINGS];

/* Why pages stay where they are: the files in failed/. */
#define NR_REASONS	12

struct reason {
	const char *name;
	const char *means;	/* "pages that ..." */
	const char *advice;	/* what to do if these are many; NULL: nothing */
};

extern const struct reason reasons[NR_REASONS];

struct node {
	int id;
	int tier;		/* the kernel's number; -1 if it has none */
	bool lower;		/* in a lower tier */
	u64 size_kb;
	u64 free_kb;
	u64 tracked_kb;
	u64 hot_kb;
	u64 cold_kb;
	u64 promoted;		/* pages, to this node */
	u64 demoted;		/* from this node */
};

/* All of the above at one moment. */
struct machine {
	double when;		/* seconds since some moment */
	u64 figure[NR_FIGURES];
	u64 failed[NR_REASONS];
	u64 setting[NR_SETTINGS];
	struct node *nodes;	/* those with memory, by number */
	int nr_nodes;
	bool has_lower_tier;
};

/* The lines of /proc/PID/ktierd_stat up to those of failed_. */
enum process_figure {
	REGISTERED,
	TOP_KB,
	LOW_KB,
	HOT_TOP_KB,
	HOT_LOW_KB,
	COLD_TOP_KB,
	COLD_LOW_KB,
	YOUNG,
	DIRTY,
	PROMOTED,
	DEMOTED,
	RETURNED,
	NR_PROCESS_FIGURES
};

struct process {
	pid_t pid;
	uid_t uid;
	char name[16];		/* as comm in /proc/PID/stat */
	u64 figure[NR_PROCESS_FIGURES];
};

/* The first line of a small file. False if there is none. */
bool read_line(const char *path, char *line, int size);
/* The number in it. 0 and false if there is none. */
bool read_number(const char *path, u64 *value);

/* Take the first range off a list of nodes such as "0-1,4". False at its end. */
bool next_range(const char **list, unsigned int *first, unsigned int *last);

double now(void);

/* Is there ktierd? If not, complains, with what to do. */
bool ktierd_is_there(void);

/* Can be read before anything is known of ktierd. */
bool has_lower_tier(void);

void machine_read(struct machine *machine);
void machine_free(struct machine *machine);

/* The sum over the top or the lower tiers of a field of struct node. */
u64 sum_over_tier(const struct machine *machine, bool lower, size_t field);
#define SUM(machine, lower, field) sum_over_tier(machine, lower, offsetof(struct node, field))

/*
 * Of the process process->pid; the rest is zero before. False if it is not
 * registered, gone, or not the caller's business.
 */
bool process_read(struct process *process);

/*
 * All processes that ktierd looks after and that the caller may look at, by PID;
 * their number. *list is to be freed. -1: this kernel does not tell.
 */
int processes_read(struct process **list);

#endif
