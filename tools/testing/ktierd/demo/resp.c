// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "demo.h"
#include "resp.h"

#define BUFFER_SIZE 262144

struct resp {
	int fd;
	FILE *out;
	char *in;
	size_t begin, end;	/* of what was received and not yet taken */
};

struct resp *resp_connect(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct resp *resp = allocate(1, sizeof(*resp));

	if (strlen(socket_path) >= sizeof(address.sun_path))
		fail("the socket's path '%s' is too long.", socket_path);
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	resp->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (resp->fd < 0 ||
	    connect(resp->fd, (struct sockaddr *)&address, sizeof(address)))
		fail("no Redis server at '%s' (%s).", socket_path, strerror(errno));
	resp->out = fdopen(resp->fd, "w");
	resp->in = allocate(1, BUFFER_SIZE);
	if (!resp->out || setvbuf(resp->out, NULL, _IOFBF, BUFFER_SIZE))
		fail("out of memory.");
	return resp;
}

void resp_close(struct resp *resp)
{
	fclose(resp->out);
	free(resp->in);
	free(resp);
}

void resp_command(struct resp *resp, int argc, const char *const argv[],
		  const size_t length[])
{
	fprintf(resp->out, "*%d\r\n", argc);
	for (int i = 0; i < argc; i++) {
		fprintf(resp->out, "$%zu\r\n", length[i]);
		fwrite(argv[i], 1, length[i], resp->out);
		fputs("\r\n", resp->out);
	}
}

void resp_flush(struct resp *resp)
{
	if (fflush(resp->out))
		fail("the Redis server hung up (%s).", strerror(errno));
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
