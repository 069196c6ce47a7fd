// SPDX-License-Identifier: GPL-2.0
/*
 * tierfuzz: do the calls that mark memory, and those that make, change and end
 * what is marked, do what they should, in whatever order they come?
 *
 * All calls are drawn from a seed, wrong arguments included, and go to an arena
 * of few pages. In a round the program first is alone: then a model knows what
 * every call has to answer, and what is mapped and marked, which is compared with
 * what /proc/self/smaps shows. Then threads, children, and processes that share
 * the memory call all at once: of that only what a call may answer at all is
 * known, and that the kernel has to survive it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/args.h"
#include "fuzz.h"

#define MAX_THREADS		32
#define ALONE_STEPS		200	/* of a round */
#define TOGETHER_STEPS		150	/* of each thread */
#define COMPARE_STEPS		4	/* from one look at smaps to the next, about */
#define PROGRESS_S		10
#define NOTES			24
#define NOTE_SIZE		112
#define CHECK_ROUNDS		12	/* of the self-check */

struct options option = {
	.seconds = 600,
	.threads = 4,
};

unsigned int round_now;
enum damage damage;

/* The last calls, of all threads. */
static char notes[NOTES][NOTE_SIZE];
static unsigned int nr_notes;

u64 draw(struct fuzzer *me)
{
	return dice_roll(&me->dice);
}

u64 below(struct fuzzer *me, u64 limit)
{
	return draw(me) % limit;
}

bool one_in(struct fuzzer *me, u64 n)
{
	return !below(me, n);
}

void note(struct fuzzer *me, const char *format, ...)
{
	unsigned int n = __atomic_fetch_add(&nr_notes, 1, __ATOMIC_RELAXED) % NOTES;
	const char *who = me->guest ? "sharer: " : me->child ? "child: " : "";
	va_list arguments;
	int length;

	length = snprintf(notes[n], NOTE_SIZE, "%s%s", me->alone ? "" : "together: ", who);
	va_start(arguments, format);
	vsnprintf(notes[n] + length, NOTE_SIZE - length, format, arguments);
	va_end(arguments);
}

void wrong(const char *format, ...)
{
	char text[NOTES * NOTE_SIZE + 1024];
	va_list arguments;
	int length;

	length = snprintf(text, sizeof(text), "tierfuzz: WRONG: ");
	va_start(arguments, format);
	length += vsnprintf(text + length, 512, format, arguments);
	va_end(arguments);
	length += snprintf(text + length, 256,
			   "; seed %u, round %u (--seed=%u --first=%u --rounds=1)\n  after:\n",
			   option.seed, round_now, option.seed, round_now);
	for (unsigned int i = 0; i < NOTES; i++) {
		const char *one = notes[(nr_notes + i) % NOTES];

		if (one[0])
			length += snprintf(text + length, sizeof(text) - length, "    %s\n", one);
	}
	if (write(STDERR_FILENO, text, length) < 0)
		_exit(EXIT_UNABLE);
	_exit(EXIT_FAILURE);
}

/* Rounds */

static u64 random_of(unsigned int who)
{
	struct fuzzer mix = { .dice.state = (u64)option.seed << 32 | round_now };

	mix.dice.state = draw(&mix) + who;
	return draw(&mix);
}

static void damage_mark(struct fuzzer *me)
{
	size_t page = below(me, ARENA_PAGES);

	if (damage == MARK_INVENTED && me->model->page[page].kind != NOTHING)
		me->model->page[page].mark = true;
}

static void be_alone(struct model *model)
{
	struct fuzzer me = { .dice.state = random_of(0), .alone = true, .model = model };

	forget_arena(&me);
	process_was_on();
	for (unsigned int i = 0; i < ALONE_STEPS; i++) {
		step(&me);
		if (i == ALONE_STEPS / 2)
			damage_mark(&me);
		if (one_in(&me, COMPARE_STEPS))
			model_compare(model, 0);
	}
	model_compare(model, 0);
}

static void *work(void *arg)
{
	struct fuzzer *me = arg;

	for (unsigned int i = 0; i < TOGETHER_STEPS; i++)
		step(me);
	return NULL;
}

static void be_together(struct model *model)
{
	struct fuzzer fuzzers[MAX_THREADS], me = { .alone = true, .model = model };
	pthread_t threads[MAX_THREADS];

	forget_arena(&me);
	process_was_on();
	for (unsigned int i = 0; i < option.threads; i++) {
		fuzzers[i] = (struct fuzzer){ .dice.state = random_of(i + 1), .model = model };
		if (pthread_create(&threads[i], NULL, work, &fuzzers[i]))
			fail("cannot start a thread.");
	}
	for (unsigned int i = 0; i < option.threads; i++)
		pthread_join(threads[i], NULL);
	model_check_unknown(process_was_on());
	forget_arena(&me);
	model_check_none_marked();
}

static void print_progress(u64 started_ns)
{
	printf("%5.0f s: %u rounds;", (now_ns() - started_ns) / 1e9, round_now - option.first + 1);
	for (unsigned int call = 0; call < nr_calls(); call++)
		printf(" %s %llu", call_name(call), call_count(call));
	printf("\n");
	fflush(stdout);
}

static void fuzz(void)
{
	u64 started_ns = now_ns(), progress_ns = started_ns;
	u64 end_ns = started_ns + option.seconds * NSEC_PER_SEC;
	unsigned int rounds = option.rounds ? option.rounds : UINT32_MAX;
	struct model *model = allocate(1, sizeof(*model));

	calls_init();
	for (round_now = option.first; rounds--; round_now++) {
		be_alone(model);
		be_together(model);
		if (now_ns() - progress_ns > PROGRESS_S * NSEC_PER_SEC) {
			progress_ns = now_ns();
			print_progress(started_ns);
		}
		if (now_ns() >= end_ns)
			break;
	}
	print_progress(started_ns);
	free(model);
}

/* The check of the checker */

static const char * const damages[NR_DAMAGES] = {
	[NO_DAMAGE] = "nothing",
	[MARK_FORGOTTEN] = "MADV_TIER does not mark",
	[MARK_INVENTED] = "a mark that nobody made",
	[MARK_LOST_BY_MPROTECT] = "mprotect() takes marks away",
	[MARK_LOST_BY_MREMAP] = "mremap() takes marks away",
	[MARK_LOST_BY_FORK] = "fork() takes marks away",
	[HOLE_IGNORED] = "a hole is no error",
	[REFUSAL_IGNORED] = "memory that can't be tiered can",
	[SETTING_INVERTED] = "PR_GET_TIER tells the opposite",
	[SETTING_LOST_BY_EXEC] = "exec() inverts PR_SET_TIER",
};

static void fuzz_silently(enum damage kind)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	damage = kind;
	option.rounds = CHECK_ROUNDS;
	fuzz();
	exit(EXIT_SUCCESS);
}

static const char *verdict(int status, int wanted)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) > EXIT_FAILURE)
		return "COULD NOT RUN";
	if (wanted == EXIT_SUCCESS)
		return WEXITSTATUS(status) ? "WRONG" : "nothing wrong";
	return WEXITSTATUS(status) ? "noticed" : "NOT NOTICED";
}

/* Is it noticed if the kernel does not do what the model says, and nothing if it does? */
static bool notices(enum damage kind)
{
	int status, wanted = kind == NO_DAMAGE ? EXIT_SUCCESS : EXIT_FAILURE;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		fuzz_silently(kind);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		fail("cannot start a process (%s).", strerror(errno));
	printf("tierfuzz: told to expect: %s: %s\n", damages[kind], verdict(status, wanted));
	return WIFEXITED(status) && WEXITSTATUS(status) == wanted;
}

static int self_check(void)
{
	unsigned int good = 0;

	for (enum damage kind = NO_DAMAGE; kind < NR_DAMAGES; kind++)
		good += notices(kind);
	printf("tierfuzz: self-check: %u of %u as they should be\n", good, NR_DAMAGES);
	return good == NR_DAMAGES ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The command line */

enum {
	OPT_SECONDS = 256, OPT_SEED, OPT_FIRST, OPT_ROUNDS, OPT_THREADS, OPT_KNOBS, OPT_SELF_CHECK,
};

static const char doc[] =
"Make calls that mark memory for ktierd, and calls that make, change and end\n"
"what is marked, at random, and see that all do what they should.\n"
"\vExit status: 0 nothing was wrong, 1 something was, 2 it could not run.";

static const struct argp_option options[] = {
	{ "seconds", OPT_SECONDS, "N", 0, "how long (600)", 0 },
	{ "seed", OPT_SEED, "N", 0, "of all that is drawn (by chance)", 0 },
	{ "first", OPT_FIRST, "N", 0, "the round to begin with (0)", 0 },
	{ "rounds", OPT_ROUNDS, "N", 0, "how many rounds at most (as many as there is time for)",
	  0 },
	{ "threads", OPT_THREADS, "N", 0, "that call at the same time (4)", 0 },
	{ "knobs", OPT_KNOBS, NULL, 0, "turn ktierd's knobs, too; for root", 0 },
	{ "self-check", OPT_SELF_CHECK, NULL, 0,
	  "have the model wrong, and see that it is noticed", 0 },
	{ }
};

static const struct args_option simple[] = {
	{ OPT_SECONDS, ARGS_COUNT, &option.seconds, 1, 1e7 },
	{ OPT_SEED, ARGS_COUNT, &option.seed, 1, UINT32_MAX },
	{ OPT_FIRST, ARGS_COUNT, &option.first, 0, 1e9 },
	{ OPT_ROUNDS, ARGS_COUNT, &option.rounds, 1, 1e9 },
	{ OPT_THREADS, ARGS_COUNT, &option.threads, 1, MAX_THREADS },
	{ OPT_KNOBS, ARGS_NONE, &option.knobs, 0, 0 },
	{ OPT_SELF_CHECK, ARGS_NONE, &option.self_check, 0, 0 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is one argument too many", arg);
	return args_set(simple, key, arg, state);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };

	if (argc == 3 && !strcmp(argv[1], CHECK_EXEC))
		return check_executed(argv[2]);
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	while (!option.seed)
		if (getrandom(&option.seed, sizeof(option.seed), 0) < 0)
			fail("there is no chance (%s).", strerror(errno));
	printf("tierfuzz: seed %u, %u threads, %u s\n", option.seed, option.threads,
	       option.seconds);
	fflush(stdout);
	if (madvise(NULL, 0, MADV_TIER))
		fail("this kernel has no ktierd.");
	if (option.self_check)
		return self_check();
	fuzz();
	printf("tierfuzz: nothing was wrong\n");
	return EXIT_SUCCESS;
}
