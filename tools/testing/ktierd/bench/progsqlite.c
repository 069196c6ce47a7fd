// SPDX-License-Identifier: GPL-2.0
/*
 * The sqlite3 shell with a database in memory: SQL goes in through a pipe and
 * rows come out of another.
 *
 * The shell can't keep a statement for later, and to compile one takes far more
 * than to look up a row. So a batch is one update of all rows that are written,
 * and one query that looks up all that are read: one by one by primary key, in
 * their order and each as often as it was drawn. A last row tells that all is
 * done, and how many rows were changed ever.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "prog.h"

#define STRING_OF(text)	#text
#define STRING(macro)	STRING_OF(macro)

#define VALUE_BYTES	500
#define FILLER_BYTES	(VALUE_BYTES - PROG_KEY_DIGITS)
#define LINE_BYTES	(VALUE_BYTES + 1)

#define END		"end|"
#define END_BYTES	32U	/* at most, of the last line */

/* Of SQL a batch takes less than of rows. */
#define BUFFER_BYTES	(PROG_BATCH * LINE_BYTES + 1024)

static struct child child;
static u64 changed;	/* rows */

static char sql[BUFFER_BYTES];
static size_t sql_bytes;
static char reply[BUFFER_BYTES];
static size_t reply_bytes;

static u32 keys(u64 bytes)
{
	return bytes / VALUE_BYTES;
}

/* Never a file of the user's, and not one error passed over. */
static pid_t start(char *const prefix[])
{
	char *const argv[] = {
		(char *)prog_sqlite.command, "-batch", "-bail", "-init", "/dev/null", ":memory:",
		NULL
	};

	child = child_start(prefix, argv, true);
	return child.pid;
}

static void add(const char *text, size_t bytes)
{
	memcpy(sql + sql_bytes, text, bytes);
	sql_bytes += bytes;
}

static void add_text(const char *text)
{
	add(text, strlen(text));
}

static void add_filler(const struct draw *draw)
{
	add(prog_filler(draw), FILLER_BYTES);
}

/* Without zeroes before it, which JSON does not allow. */
static void add_key(u32 key)
{
	char digits[PROG_KEY_DIGITS];
	int zeroes = 0;

	prog_write_key(digits, key);
	while (zeroes < PROG_KEY_DIGITS - 1 && digits[zeroes] == '0')
		zeroes++;
	add(digits + zeroes, PROG_KEY_DIGITS - zeroes);
}

/* Is the last of these the first write of its row? */
static bool is_new(const struct draw *draws, u32 last)
{
	for (u32 i = 0; i < last; i++)
		if (draws[i].write && draws[i].thing == draws[last].thing)
			return false;
	return true;
}

/* All rows get the same, but for the key that they begin with. */
static void add_update(const struct draw *draws, u32 nr)
{
	bool any = false;

	for (u32 i = 0; i < nr; i++) {
		if (!draws[i].write)
			continue;
		if (!any) {
			add_text("UPDATE t SET v=substr(v,1," STRING(PROG_KEY_DIGITS) ")||'");
			add_filler(&draws[i]);
		}
		add_text(any ? "," : "' WHERE id IN (");
		add_key(draws[i].thing);
		changed += is_new(draws, i);
		any = true;
	}
	if (any)
		add_text(");\n");
}

/* Returns how many rows there will be. */
static u32 add_select(const struct draw *draws, u32 nr)
{
	u32 rows = 0;

	for (u32 i = 0; i < nr; i++) {
		if (draws[i].write)
			continue;
		add_text(rows++ ? "," : "SELECT v FROM json_each('[");
		add_key(draws[i].thing);
	}
	if (rows)
		add_text("]') k CROSS JOIN t ON t.id=k.value;\n");
	return rows;
}

static void send_sql(void)
{
	const char *from = sql;
	ssize_t sent;

	add_text("SELECT 'end',total_changes();\n");
	while (sql_bytes) {
		sent = write(child.in, from, sql_bytes);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			fail("%s takes no more (%s).", prog_sqlite.command, strerror(errno));
		from += sent;
		sql_bytes -= sent;
	}
}

/* Rows begin with a digit, so that the last line can't be a part of one. */
static const char *last_line(void)
{
	size_t tail = reply_bytes < END_BYTES ? reply_bytes : END_BYTES;
	const char *end = reply + reply_bytes;

	if (!tail || end[-1] != '\n')
		return NULL;
	return memmem(end - tail, tail, END, strlen(END));
}

/* Read all replies to what was sent. Returns the last line. */
static const char *receive(void)
{
	const char *last;
	ssize_t got;

	reply_bytes = 0;
	do {
		if (reply_bytes == sizeof(reply))
			fail("%s says too much.", prog_sqlite.command);
		got = read(child.out, reply + reply_bytes, sizeof(reply) - reply_bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			fail("%s ended before its time.", prog_sqlite.command);
		reply_bytes += got;
		last = last_line();
	} while (!last);
	return last;
}

static bool last_is_right(const char *last)
{
	return strtoull(last + strlen(END), NULL, 10) == changed;
}

static u32 check_rows(const struct draw *draws, u32 nr)
{
	const char *row = reply;
	u32 wrong = 0;

	for (u32 i = 0; i < nr; i++) {
		if (draws[i].write)
			continue;
		wrong += row[VALUE_BYTES] != '\n' || !prog_value_is_of(row, draws[i].thing);
		row += LINE_BYTES;
	}
	return wrong;
}

static u32 batch(const struct draw *draws, u32 nr)
{
	const char *last;
	u32 rows;

	add_update(draws, nr);
	rows = add_select(draws, nr);
	send_sql();
	last = receive();
	if (last - reply != rows * LINE_BYTES)
		return nr;
	return check_rows(draws, nr) + !last_is_right(last);
}

/* One statement, which is a transaction by itself. */
static void fill(u32 nr_keys)
{
	const struct draw draw = { .write = true };

	add_text("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);\n"
		 "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<");
	add_key(nr_keys - 1);
	add_text(") INSERT INTO t SELECT i,printf('%0" STRING(PROG_KEY_DIGITS) "d',i)||'");
	add_filler(&draw);
	add_text("' FROM n;\n");
	send_sql();
	changed = nr_keys;
	if (!last_is_right(receive()))
		fail("%s did not store all values.", prog_sqlite.command);
}

const struct program prog_sqlite = {
	.name = "sqlite", .command = "sqlite3", .keys = keys,
	.start = start, .fill = fill, .batch = batch,
};
