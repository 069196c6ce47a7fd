// SPDX-License-Identifier: GPL-2.0
/*
 * redisdemo: fill an unmodified Redis server, query a hot part of its keys,
 * and show where the pages of the hot and the idle keys' values are.
 *
 * What a key's value is follows from the key, so every reply can be checked
 * whole. Each value begins with a mark that nothing else in the server's memory
 * carries: looking for the marks once, from outside, tells which page belongs
 * to which key.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "../lib/resp.h"
#include "demo.h"

/*
 * With its header a value just fills a page of the server's memory, so a page
 * is as hot as one key is. Of smaller values a page would hold several.
 */
#define VALUE_WORDS	500
#define VALUE_SIZE	(VALUE_WORDS * sizeof(u64))
#define VALUES_PER_MIB	256

#define MARK		0xb1e55ed0c0ffee00ULL
#define MARK_SIZE	(2 * sizeof(u64))

#define PIPELINE	32	/* commands sent before replies are read */
#define IN_FLIGHT	128	/* queries sent and not yet answered */
#define ERRORS_SHOWN	5
#define DOTS		20	/* of progress */
#define PATIENCE	3	/* times as long, where queries are slow */
#define LEFT_OUT_PERCENT 1	/* at most, of the keys, is not measured */

struct value {
	u64 mark;
	u64 key;
	u64 word[VALUE_WORDS - 2];
};

static struct options option = {
	.takes_socket = true,
	.mib = 200,
	.seconds = 40,
	.hot_percent = 10,
	.seed = 1,
};

static struct pageset pages;
static u32 nr_keys, nr_hot;
static u32 *hot_key;
static bool *is_hot;

static atomic_ulong queries, wrong_replies;
static atomic_bool stop;

static const char help[] =
"Usage: redisdemo --socket=PATH [OPTION...]\n"
"\n"
"Fill the Redis server that listens at PATH, query a part of its keys without\n"
"pause, check every reply, and print each second where the values' pages are.\n"
"\n"
"  --mib=N          size of all values, in MiB (200)\n"
"  --hot-percent=N  share of the keys that is queried (10)\n"
"  --seconds=N      how long (40); up to three times that if the hot pages need it\n"
"  --seed=N         of the draw of the hot keys (1)\n"
"  --summary=FILE   append the summary to FILE instead of printing it\n"
"  --help           print this\n"
"\n"
"Exit status: 0 all bars met, 1 one not met, 2 could not run.\n";

/* Keys and values */

static void make_value(u32 key, struct value *value)
{
	u64 word = (key + 1) * 0x9e3779b97f4a7c15ULL;

	value->mark = MARK;
	value->key = key;
	for (int i = 0; i < VALUE_WORDS - 2; i++)
		value->word[i] = word += 0xd1342543de82ef95ULL;
}

static void queue_get(struct resp *redis, u32 key)
{
	char name[32];
	const char *const argv[] = { "GET", name };
	size_t length[] = { 3, snprintf(name, sizeof(name), "key:%u", key) };

	resp_command(redis, 2, argv, length);
}

static void queue_set(struct resp *redis, u32 key)
{
	struct value value;
	char name[32];
	const char *const argv[] = { "SET", name, (const char *)&value };
	size_t length[] = {
		3, snprintf(name, sizeof(name), "key:%u", key), sizeof(value)
	};

	make_value(key, &value);
	resp_command(redis, 3, argv, length);
}

static void queue_strlen(struct resp *redis, u32 key)
{
	char name[32];
	const char *const argv[] = { "STRLEN", name };
	size_t length[] = { 6, snprintf(name, sizeof(name), "key:%u", key) };

	resp_command(redis, 2, argv, length);
}

static void check_get(struct resp *redis, u32 key)
{
	struct value value;
	const char *reply;
	size_t length;

	reply = resp_reply(redis, &length);
	make_value(key, &value);
	if (reply && length == sizeof(value) && !memcmp(reply, &value, length))
		return;
	if (atomic_fetch_add(&wrong_replies, 1) < ERRORS_SHOWN)
		fprintf(stderr, "redisdemo: the server's value of key:%u is wrong.\n", key);
}

static void expect(struct resp *redis, u32 key, const char *wanted)
{
	size_t length;
	const char *reply = resp_reply(redis, &length);

	if (!reply || length != strlen(wanted) || memcmp(reply, wanted, length))
		fail("the server answered '%.*s' for key:%u.",
		     reply ? (int)length : 0, reply, key);
}

static void check_set(struct resp *redis, u32 key)
{
	expect(redis, key, "+OK");
}

static void check_strlen(struct resp *redis, u32 key)
{
	char wanted[32];

	snprintf(wanted, sizeof(wanted), ":%zu", VALUE_SIZE);
	expect(redis, key, wanted);
}

/* A command that asks and a function that takes the reply, for every key. */
static void for_all_keys(const char *what,
			 void (*queue)(struct resp *redis, u32 key),
			 void (*check)(struct resp *redis, u32 key))
{
	struct resp *redis = resp_connect(option.socket);
	u32 dots = 0;

	printf("%s ", what);
	for (u32 key = 0; key < nr_keys;) {
		u32 last = nr_keys - key < PIPELINE ? nr_keys : key + PIPELINE;

		for (u32 i = key; i < last; i++)
			queue(redis, i);
		resp_flush(redis);
		for (; key < last; key++)
			check(redis, key);
		for (; dots < (u64)DOTS * key / nr_keys; dots++)
			putchar('.');
		fflush(stdout);
	}
	putchar('\n');
	resp_close(redis);
}

/*
 * The load: all hot keys, again and again, in the order in which they were drawn,
 * and every reply checked. Even a slow machine gets round before any is cold.
 */
static void *query_hot_keys(void *unused)
{
	struct resp *redis = resp_connect(option.socket);
	u32 asked = 0, answered = 0;

	(void)unused;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		/* The server is to have work while the replies are checked. */
		for (; asked - answered < IN_FLIGHT; asked++)
			queue_get(redis, hot_key[asked % nr_hot]);
		resp_flush(redis);
		for (int i = 0; i < PIPELINE; i++, answered++)
			check_get(redis, hot_key[answered % nr_hot]);
		atomic_fetch_add_explicit(&queries, PIPELINE, memory_order_relaxed);
	}
	resp_close(redis);
	return NULL;
}

static u64 queries_done(void)
{
	return atomic_load(&queries);
}

static pid_t server_pid(void)
{
	static const char *const argv[] = { "INFO", "server" };
	static const size_t argument_length[] = { 4, 6 };
	struct resp *redis = resp_connect(option.socket);
	const char *reply, *line = NULL;
	size_t length;
	pid_t pid = 0;

	resp_command(redis, 2, argv, argument_length);
	resp_flush(redis);
	reply = resp_reply(redis, &length);
	if (reply)
		line = memmem(reply, length, "\nprocess_id:", 12);
	if (line)
		pid = atoi(line + 12);
	if (pid <= 0)
		fail("the server at '%s' does not tell its process id.", option.socket);
	resp_close(redis);
	return pid;
}

/* Where the values are in the server's memory */

/*
 * A value found at @address. What stands behind the end of a line is a copy in a
 * buffer of the protocol and not the value.
 */
static void note_value(const char *found, unsigned long address, u32 *seen)
{
	u64 key;

	memcpy(&key, found + sizeof(u64), sizeof(key));
	if (key >= nr_keys || found[-1] == '\n')
		return;
	if (!seen[key]++)
		pages.page[key] = (void *)address;
}

/* Look at @size bytes read from @address; a mark has a byte before and 16 in all. */
static void search(const char *memory, size_t size, unsigned long address, u32 *seen)
{
	const u64 mark = MARK;
	const char *end = memory + size - sizeof(u64);
	const char *found = memory + 1;

	while (found < end && (found = memmem(found, end - found, &mark, sizeof(mark)))) {
		note_value(found, address + (found - memory), seen);
		found += sizeof(mark);
	}
}

struct finding {
	int mem;	/* the server's memory, as a file */
	u32 *seen;	/* how often each key's value was */
};

static void search_mapping(unsigned long from, unsigned long to, void *context)
{
	static char memory[1048576 + MARK_SIZE + 1];
	const struct finding *finding = context;
	ssize_t got;

	/* Each read begins with the end of the one before: a mark may straddle it. */
	for (; to - from > MARK_SIZE; from += got - MARK_SIZE) {
		size_t size = to - from < sizeof(memory) ? to - from : sizeof(memory);

		got = pread(finding->mem, memory, size, from);
		if (got <= (ssize_t)MARK_SIZE)
			return;
		search(memory, got, from, finding->seen);
	}
}

/*
 * Of a few values an old copy is left in memory that the server freed. Which one
 * is the value can't be told from outside: leave these keys out of the measuring.
 */
static void leave_out_doubtful(const u32 *seen)
{
	u32 left_out = 0;

	for (u32 key = 0; key < nr_keys; key++) {
		if (seen[key] == 1)
			continue;
		pages.page[key] = NULL;
		left_out++;
	}
	if (left_out > nr_keys * LEFT_OUT_PERCENT / 100)
		fail("%u of %u values were not found in the server's memory, or twice.",
		     left_out, nr_keys);
	if (left_out)
		printf("Values not measured, as found in memory not at all or twice: %u\n",
		       left_out);
}

/* Find each key's value in the server's anonymous memory: once, from outside. */
static void find_values(pid_t pid)
{
	struct finding finding = { .seen = allocate(nr_keys, sizeof(*finding.seen)) };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	finding.mem = open(path, O_RDONLY);
	if (finding.mem < 0)
		fail("cannot look into process %d (%s); run it as root.", pid, strerror(errno));
	visit_anonymous_mappings(pid, search_mapping, &finding);
	close(finding.mem);

	leave_out_doubtful(finding.seen);
	free(finding.seen);
}

static int by_address(const void *a, const void *b)
{
	const u32 *x = a, *y = b;

	return pages.page[*x] < pages.page[*y] ? -1 : pages.page[*x] > pages.page[*y];
}

/*
 * From the address of each key's value to the set of pages. A page in which a
 * hot and an idle key meet is a hot one.
 */
static void values_to_pages(void)
{
	struct pageset set;
	u32 *key = allocate(nr_keys, sizeof(*key));

	for (u32 i = 0; i < nr_keys; i++)
		key[i] = i;
	qsort(key, nr_keys, sizeof(*key), by_address);
	pageset_alloc(&set, pages.pid, 2UL * nr_keys);
	for (u32 i = 0; i < nr_keys; i++) {
		unsigned long address = (unsigned long)pages.page[key[i]];
		unsigned long last = address + VALUE_SIZE - 1;

		if (!address)
			continue;
		for (address &= ~(DEMO_PAGE_SIZE - 1); address <= last; address += DEMO_PAGE_SIZE) {
			if (!set.count || set.page[set.count - 1] != (void *)address)
				set.page[set.count++] = (void *)address;
			set.hot[set.count - 1] |= is_hot[key[i]];
		}
	}
	free(key);
	free(pages.page);
	pages = set;
}

/* Every page, hot or idle, to DRAM or to PMEM by the throw of a coin. */
static void place_pages(void)
{
	int node[] = { tiers_first_node(TIER_TOP), tiers_first_node(TIER_LOWER) };
	struct dice coin = { .state = option.seed ^ MARK };

	for (unsigned long i = 0; i < pages.count; i++)
		pages.node[i] = node[roll_below(&coin, 2)];
	pageset_move(&pages);
}

static void choose_hot_keys(void)
{
	struct dice dice = { .state = option.seed };

	nr_keys = option.mib * VALUES_PER_MIB;
	nr_hot = nr_keys * option.hot_percent / 100;
	hot_key = draw(&dice, nr_keys, nr_hot);
	is_hot = allocate(nr_keys, sizeof(*is_hot));
	for (u32 i = 0; i < nr_hot; i++)
		is_hot[hot_key[i]] = true;
}

static bool summarize(const struct report *report)
{
	FILE *out = summary_open(option.summary);
	bool met;

	fprintf(out, "redis-server: %lu MiB in %u values, %u of the keys hot, %.0f s\n",
		option.mib, nr_keys, nr_hot, report->time_s);
	met = judge_hot(out, report, "the hot keys' pages");
	met &= judge(out, !wrong_replies);
	fprintf(out, "%5lu replies had wrong data, to %lu queries and %u in a last check\n",
		wrong_replies, queries, nr_keys);
	fprintf(out, "           %5.1f %% of the idle keys' pages are in PMEM\n",
		shown(percent(report->last.idle_lower, report->last.idle)));
	summary_cost(out, report);
	if (out != stdout)
		fclose(out);
	return met;
}

int main(int argc, char **argv)
{
	struct report report = {
		.set = &pages,
		.work = "queries",
		.work_done = queries_done,
	};
	pthread_t load;
	pid_t pid;

	parse_options(argc, argv, help, &option);
	if (!option.socket)
		fail("--socket=PATH says where the server listens; see 'redisdemo --help'.");
	report.seconds = option.seconds;
	report.patience = PATIENCE * option.seconds;
	tiers_learn();
	ktierd_find();
	choose_hot_keys();
	pid = server_pid();

	printf("redis-server is process %d. It gets %u values of %zu bytes, which just\n"
	       "fill a page each. %u of the keys, drawn with seed %lu, are hot: queried by GET\n"
	       "without pause, in the order drawn, and every reply is checked whole. Half of the\n"
	       "pages, drawn too, are first moved to PMEM (node %d), the others to DRAM (node %d);\n"
	       "ktierd is switched off for that moment.\n\n",
	       pid, nr_keys, VALUE_SIZE, nr_hot, option.seed,
	       tiers_first_node(TIER_LOWER), tiers_first_node(TIER_TOP));
	for_all_keys("SET of all keys              ", queue_set, check_set);
	pageset_alloc(&pages, pid, nr_keys);
	find_values(pid);
	values_to_pages();

	/*
	 * However long filling took, nothing is to be cold when the report
	 * begins, nor hot for having been touched now.
	 */
	ktierd_switch(false);
	for_all_keys("STRLEN, so that none is cold ", queue_strlen, check_strlen);
	place_pages();
	ktierd_switch(true);

	if (pthread_create(&load, NULL, query_hot_keys, NULL))
		fail("cannot start a thread.");
	report_run(&report);
	stop = true;
	pthread_join(load, NULL);
	putchar('\n');
	for_all_keys("GET of all keys, checked     ", queue_get, check_get);
	return summarize(&report) ? DEMO_MET : DEMO_NOT_MET;
}
