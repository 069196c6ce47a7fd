/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERD_LIB_RESP_H
#define KTIERD_LIB_RESP_H
/*
 * As much of RESP, the protocol of Redis, as is needed here, at little cost: a
 * load is to be the server's work and not that of who asks.
 */
#include <stddef.h>

struct resp;

/* NULL, with errno, if no server listens there. */
struct resp *resp_try_connect(const char *socket_path);

/* Everything below ends the program with a sentence if the server is gone. */
struct resp *resp_connect(const char *socket_path);
void resp_close(struct resp *resp);

/* Queue a command of @argc arguments. Sent by resp_flush(), or earlier. */
void resp_command(struct resp *resp, int argc, const char *const argv[],
		  const size_t length[]);
void resp_flush(struct resp *resp);

/*
 * Take one reply. Returns its text, valid until the next call, and the text's
 * length; NULL for the null reply. A reply that is not a bulk string is returned
 * with the character that tells its type: "+OK", "-ERR why".
 */
const char *resp_reply(struct resp *resp, size_t *length);

#endif
