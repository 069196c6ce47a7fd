/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KTIERD_PURE_STRING_H
#define _KTIERD_PURE_STRING_H

#include <string.h>

#endif /* _KTIERD_PURE_STRING_H */
