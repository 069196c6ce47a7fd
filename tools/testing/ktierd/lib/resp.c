// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "resp.h"
#include "util.h"

#define BUFFER_SIZE 262144

struct resp {
	int fd;
	char *out;
	size_t queued;		/* of what is to be sent */
	char *in;
	size_t begin, end;	/* of what was received and not yet taken */
};

struct resp *resp_try_connect(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct resp *resp;
	int fd;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		fail("the socket's path '%s' is too long.", socket_path);
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return NULL;
	}
	resp = allocate(1, sizeof(*resp));
	resp->fd = fd;
	resp->out = allocate(1, BUFFER_SIZE);
	resp->in = allocate(1, BUFFER_SIZE);
	return resp;
}

struct resp *resp_connect(const char *socket_path)
{
	struct resp *resp = resp_try_connect(socket_path);

	if (!resp)
		fail("no Redis server at '%s' (%s).", socket_path, strerror(errno));
	return resp;
}

void resp_close(struct resp *resp)
{
	close(resp->fd);
	free(resp->out);
	free(resp->in);
	free(resp);
}

void resp_flush(struct resp *resp)
{
	const char *from = resp->out;
	ssize_t sent;

	while (resp->queued) {
		sent = send(resp->fd, from, resp->queued, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			fail("the Redis server hung up (%s).", strerror(errno));
		from += sent;
		resp->queued -= sent;
	}
}

static void put(struct resp *resp, const void *bytes, size_t length)
{
	if (length > BUFFER_SIZE)
		fail("an argument of %zu bytes is too long.", length);
	if (length > BUFFER_SIZE - resp->queued)
		resp_flush(resp);
	memcpy(resp->out + resp->queued, bytes, length);
	resp->queued += length;
}

/* The line of a @type that is followed by a number. */
static void put_head(struct resp *resp, char type, size_t number)
{
	char line[32], *at = line + sizeof(line);

	*--at = '\n';
	*--at = '\r';
	do {
		*--at = '0' + number % 10;
		number /= 10;
	} while (number);
	*--at = type;
	put(resp, at, line + sizeof(line) - at);
}

void resp_command(struct resp *resp, int argc, const char *const argv[],
		  const size_t length[])
{
	put_head(resp, '*', argc);
	for (int i = 0; i < argc; i++) {
		put_head(resp, '$', length[i]);
		put(resp, argv[i], length[i]);
		put(resp, "\r\n", 2);
	}
}

/* Have at least one more byte in the buffer. */
static void receive(struct resp *resp)
{
	ssize_t got;

	if (resp->begin && resp->end == BUFFER_SIZE) {
		memmove(resp->in, resp->in + resp->begin, resp->end - resp->begin);
		resp->end -= resp->begin;
		resp->begin = 0;
	}
	if (resp->end == BUFFER_SIZE)
		fail("the Redis server sent a reply that is too long.");
	do {
		got = read(resp->fd, resp->in + resp->end, BUFFER_SIZE - resp->end);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		fail("the Redis server hung up (%s).",
		     got ? strerror(errno) : "end of file");
	resp->end += got;
}

/* The first line of what was received, without its CR LF. */
static size_t line_length(struct resp *resp)
{
	const char *end;

	while (!(end = memmem(resp->in + resp->begin, resp->end - resp->begin, "\r\n", 2)))
		receive(resp);
	return end - (resp->in + resp->begin);
}

const char *resp_reply(struct resp *resp, size_t *length)
{
	size_t line, head;
	long bulk;
	char type;

	if (resp->begin == resp->end) {
		resp->begin = 0;
		resp->end = 0;
	}
	line = line_length(resp);
	type = resp->in[resp->begin];
	if (type != '$') {
		/* A simple string, an error or a number: the line is the reply. */
		*length = line;
		resp->begin += line + 2;
		return resp->in + resp->begin - line - 2;
	}
	head = line + 2;
	bulk = strtol(resp->in + resp->begin + 1, NULL, 10);
	if (bulk < 0) {
		resp->begin += head;
		return NULL;
	}
	while (resp->end - resp->begin < head + bulk + 2)
		receive(resp);
	*length = bulk;
	resp->begin += head + bulk + 2;
	return resp->in + resp->begin - bulk - 2;
}
