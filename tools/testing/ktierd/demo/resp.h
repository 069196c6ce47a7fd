/* SPDX-License-Identifier: GPL-2.0 */
/* As much of RESP, the protocol of Redis, as the demonstration needs. */
#ifndef KTIERD_RESP_H
#define KTIERD_RESP_H

#include <stddef.h>

struct resp;

/* Everything here ends the program with a sentence if the server is gone. */
struct resp *resp_connect(const char *socket_path);
void resp_close(struct resp *resp);

/* Queue a command of @argc arguments. Sent by resp_flush(). */
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
