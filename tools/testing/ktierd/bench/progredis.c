// SPDX-License-Identifier: GPL-2.0
/* redis-server: GET and SET through a Unix socket, pipelined. */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "../lib/resp.h"
#include "prog.h"

/* Values are of all sizes from here on, spread by key: 2^bits of them. */
#define MIN_BYTES	512
#define SPREAD_BITS	9
#define MEAN_BYTES	(MIN_BYTES + (1U << SPREAD_BITS) / 2)

#define DIRECTORY	"/tmp/progload-XXXXXX"

static char directory[sizeof(DIRECTORY)];
static char socket_path[sizeof(directory) + 16];
static struct resp *redis;

static u32 value_bytes(u32 key)
{
	return MIN_BYTES + (key * 0x9e3779b1U >> (32 - SPREAD_BITS));
}

static u32 keys(u64 bytes)
{
	return bytes / MEAN_BYTES;
}

static struct resp *wait_for(pid_t pid)
{
	struct resp *resp;

	for (int i = 0; i < CHILD_PAUSES; i++) {
		resp = resp_try_connect(socket_path);
		if (resp)
			return resp;
		child_pause(pid, prog_redis.command);
	}
	fail("%s does not listen at '%s'.", prog_redis.command, socket_path);
}

static void remove_socket(void)
{
	unlink(socket_path);
	rmdir(directory);
}

static void make_directory(void)
{
	memcpy(directory, DIRECTORY, sizeof(directory));
	if (!mkdtemp(directory))
		fail("cannot make a directory in /tmp (%s).", strerror(errno));
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	atexit(remove_socket);
}

/* A pure cache: nothing of it goes to a disk, and no network. */
static pid_t start(char *const prefix[])
{
	char *const argv[] = {
		(char *)prog_redis.command, "--port", "0", "--unixsocket", socket_path,
		"--save", "", "--appendonly", "no", "--dir", directory, NULL
	};
	pid_t pid;

	make_directory();
	pid = child_start(prefix, argv, false).pid;
	redis = wait_for(pid);
	/* There is but one connection. Now nothing is left behind if this ends early. */
	remove_socket();
	return pid;
}

static void queue_get(u32 key)
{
	char name[PROG_KEY_DIGITS];
	const char *const argv[] = { "GET", name };
	static const size_t length[] = { 3, sizeof(name) };

	prog_write_key(name, key);
	resp_command(redis, ARRAY_SIZE(argv), argv, length);
}

static void queue_set(const struct draw *draw)
{
	char name[PROG_KEY_DIGITS], value[PROG_MAX_VALUE];
	const char *const argv[] = { "SET", name, value };
	const size_t length[] = { 3, sizeof(name), value_bytes(draw->thing) };

	prog_write_key(name, draw->thing);
	memcpy(value, name, sizeof(name));
	memcpy(value + sizeof(name), prog_filler(draw), length[2] - sizeof(name));
	resp_command(redis, ARRAY_SIZE(argv), argv, length);
}

static bool reply_is_right(const struct draw *draw)
{
	size_t length;
	const char *reply = resp_reply(redis, &length);

	if (!reply)
		return false;
	if (draw->write)
		return length == 3 && !memcmp(reply, "+OK", 3);
	return length == value_bytes(draw->thing) && prog_value_is_of(reply, draw->thing);
}

static u32 batch(const struct draw *draws, u32 nr)
{
	u32 wrong = 0;

	for (u32 i = 0; i < nr; i++) {
		if (draws[i].write)
			queue_set(&draws[i]);
		else
			queue_get(draws[i].thing);
	}
	resp_flush(redis);
	for (u32 i = 0; i < nr; i++)
		wrong += !reply_is_right(&draws[i]);
	return wrong;
}

static void fill(u32 nr_keys)
{
	struct draw draws[PROG_BATCH];
	u32 nr;

	for (u32 key = 0; key < nr_keys; key += nr) {
		nr = nr_keys - key < PROG_BATCH ? nr_keys - key : PROG_BATCH;
		for (u32 i = 0; i < nr; i++)
			draws[i] = (struct draw) { .thing = key + i, .write = true };
		if (batch(draws, nr))
			fail("%s did not store all values.", prog_redis.command);
	}
}

const struct program prog_redis = {
	.name = "redis", .command = "redis-server", .keys = keys,
	.start = start, .fill = fill, .batch = batch,
};
