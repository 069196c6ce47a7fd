/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KTIERCTL_FORMAT_H
#define KTIERCTL_FORMAT_H
/* Numbers as people read them. */
#include "machine.h"

struct text {
	char s[24];
};

/* "12 KiB", "9.5 MiB", "1.25 TiB": three digits or more, no more than needed. */
struct text size_text(u64 kb);

/* The same in six characters at most, for tables: "12K", "9.5M". */
struct text short_size(u64 kb);

/* "250 us", "20 ms", "1.5 s", "2 min" */
struct text time_text(u64 us);

/* "97.3 %"; of nothing it is "-". */
struct text percent_text(u64 part, u64 whole);

#endif
