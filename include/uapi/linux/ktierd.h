/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_KTIERD_H
#define _UAPI_LINUX_KTIERD_H
/*
 * Memory tiering, for programs whose <sys/mman.h> and <sys/prctl.h> are older than it.
 * May be included before or after these, <linux/mman.h> and <linux/prctl.h>, which
 * define the same. See Documentation/admin-guide/mm/ktierd.rst.
 */

/* madvise(), process_madvise() */
#ifndef MADV_TIER
#define MADV_TIER	96	/* keep hot pages in the top memory tier */
#endif
#ifndef MADV_NOTIER
#define MADV_NOTIER	97	/* cancel MADV_TIER */
#endif

/* prctl(): tiering of the whole process, present and future mappings */
#ifndef PR_SET_TIER
#define PR_SET_TIER	0x54494552
#endif
#ifndef PR_GET_TIER
#define PR_GET_TIER	0x54494553
#endif

#endif /* _UAPI_LINUX_KTIERD_H */
