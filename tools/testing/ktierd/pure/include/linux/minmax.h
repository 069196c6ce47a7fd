/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_MINMAX_H
#define _KTIERD_PURE_MINMAX_H
/*
 * As in the kernel, the arguments are evaluated once and compared as what they
 * are. -Wsign-compare complains where the kernel's own would.
 */

#define min(x, y) ({			\
	__auto_type min_x = (x);	\
	__auto_type min_y = (y);	\
	min_x < min_y ? min_x : min_y;	\
})

#define max(x, y) ({			\
	__auto_type max_x = (x);	\
	__auto_type max_y = (y);	\
	max_x > max_y ? max_x : max_y;	\
})

#define min_t(type, x, y)	min((type)(x), (type)(y))
#define max_t(type, x, y)	max((type)(x), (type)(y))

#define clamp(value, lo, hi)	min(max(value, lo), hi)
#define clamp_t(type, value, lo, hi) \
	clamp((type)(value), (type)(lo), (type)(hi))

#endif /* _KTIERD_PURE_MINMAX_H */
