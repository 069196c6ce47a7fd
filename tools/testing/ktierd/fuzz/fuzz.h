/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_FUZZ_FUZZ_H
#define KTIERD_FUZZ_FUZZ_H
/* What the parts of tierfuzz know of each other. */
#include <sys/types.h>

#include "../lib/dice.h"
#include "../lib/util.h"

#define PAGE_SIZE		4096UL
#define ARENA			0x600000000000UL	/* far from all other mappings */
#define ARENA_PAGES		64UL
#define ARENA_END		(ARENA + ARENA_PAGES * PAGE_SIZE)

#ifndef MADV_TIER
#define MADV_TIER		96
#define MADV_NOTIER		97
#endif
#ifndef PR_SET_TIER
#define PR_SET_TIER		0x54494552
#define PR_GET_TIER		0x54494553
#endif

/* What is mapped at a page. */
enum kind {
	NOTHING,
	ANONYMOUS,
	SHARED,
	FILE_PRIVATE,
	FILE_SHARED,
	DROPPABLE,		/* can't be tiered, nor can the next */
	SECRET,
	NR_KINDS,
};

/* What is known of the arena, and of the process. */
struct model {
	struct {
		unsigned char kind;
		bool mark;
	} page[ARENA_PAGES];
	bool process;		/* PR_SET_TIER */
};

/* An errno as a bit, for sets of them; 0 stands for success. */
#define ERRNO(number)	(1ULL << (number))

/* Addresses for a call. Whole pages of the arena, unless it is made to be wrong. */
struct span {
	unsigned long addr;
	size_t length;
};

/* Who makes calls. One that is alone knows what comes of them. */
struct fuzzer {
	struct dice dice;
	bool alone;
	bool child;		/* one of fork() */
	bool guest;		/* a child in its parent's memory */
	struct model *model;
};

struct options {
	unsigned int seconds, seed, first, rounds, threads;
	bool knobs, self_check;
};

/* fuzz.c */

extern struct options option;
extern unsigned int round_now;

u64 draw(struct fuzzer *me);
u64 below(struct fuzzer *me, u64 limit);
bool one_in(struct fuzzer *me, u64 n);

/* Note a call, for the report and the tally. */
void note(struct fuzzer *me, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tell that something is wrong, with the calls that came before, and end it all. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Errors that the checker is to find: see --self-check. */
enum damage {
	NO_DAMAGE,
	MARK_FORGOTTEN,
	MARK_INVENTED,
	MARK_LOST_BY_MPROTECT,
	MARK_LOST_BY_MREMAP,
	MARK_LOST_BY_FORK,
	HOLE_IGNORED,
	REFUSAL_IGNORED,
	SETTING_INVERTED,
	SETTING_LOST_BY_EXEC,
	NR_DAMAGES,
};

extern enum damage damage;

/* model.c */

bool kind_is_tierable(enum kind kind);
void model_set(struct model *model, struct span span, enum kind kind, bool mark);
bool model_has_hole(const struct model *model, struct span span);
bool model_is_empty(const struct model *model, struct span span);

/* Do to the model what advice does; returns the errno. */
int model_advise(struct model *model, struct span span, int advice);
void model_set_process(struct model *model, bool on);

/* Is it all as /proc/PID/smaps has it? 0 is this process. */
void model_compare(const struct model *model, pid_t pid);

/* After a failure that may have unmapped pages of a span: which ones it did. */
void model_take_holes(struct model *model, struct span span);

/*
 * What can be said when nobody knows what was done: nothing is marked that can't
 * be tiered, unless all of the process was to be marked, or is by mistake.
 */
void model_check_unknown(bool process_was_on);
void model_check_none_marked(void);

/* calls.c */

void calls_init(void);
void forget_arena(struct fuzzer *me);
void step(struct fuzzer *me);

/* Was PR_SET_TIER set since this was last asked? */
bool process_was_on(void);

const char *call_name(unsigned int call);
unsigned int nr_calls(void);
u64 call_count(unsigned int call);

/* What a call answers must be one of the set. */
void check_errno(const char *what, long ret, u64 allowed);
struct span good_span(struct fuzzer *me);

/* processes.c */

void do_fork(struct fuzzer *me);
void do_share(struct fuzzer *me);
void do_exec(struct fuzzer *me);
void do_failing_exec(struct fuzzer *me);
void do_other_process(struct fuzzer *me);

#define CHECK_EXEC	"--check-exec"

/* In a program executed with this option: is it marked as it should be? The exit status. */
int check_executed(const char *wanted);

#endif
