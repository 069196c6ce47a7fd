/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_LIMITS_H
#define _KTIERD_PURE_LIMITS_H

#include <linux/types.h>

#define U32_MAX		((u32)~0U)
#define U64_MAX		((u64)~0ULL)

#endif /* _KTIERD_PURE_LIMITS_H */
