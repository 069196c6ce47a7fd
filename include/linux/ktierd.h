/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KTIERD_H
#define _LINUX_KTIERD_H
/*
 * Memory tiering that an application asks for: what the rest of the kernel
 * needs to know of ktierd.  See Documentation/admin-guide/mm/ktierd.rst.
 */

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched/coredump.h>

#ifdef CONFIG_KTIERD

/**
 * struct ktierd_tunables - what an administrator sets by sysctl vm.ktierd_*
 * @scan_interval_ms: how often each registered process is sampled
 * @sample_window_ms: time between clearing and reading accessed bits; 0: tuned
 * @cpu_percent: of one CPU, at most, for scanning
 * @cold_age_ms: idle this long is cold and demoted at any rate; 0: never so
 * @headroom_percent: of each top-tier node that promotion leaves free, or to page
 *	cache that was used once
 * @migrate_mbps: MiB a second and direction; 0: sample, count and move nothing
 * @write_weight: how many reads a write is worth; 0: dirty bits are left alone
 *
 * Written by the sysctl handlers only, one word at a time; read with
 * READ_ONCE() by the thread, which takes a new value at its next step.
 */
struct ktierd_tunables {
	unsigned int scan_interval_ms;
	unsigned int sample_window_ms;
	unsigned int cpu_percent;
	unsigned int cold_age_ms;
	unsigned int headroom_percent;
	unsigned int migrate_mbps;
	unsigned int write_weight;
};

extern struct ktierd_tunables ktierd_tunables;

bool ktierd_available(void);
int ktierd_madvise(struct vm_area_struct *vma, int advice,
		   unsigned long *vm_flags);
int ktierd_set_process(struct mm_struct *mm, unsigned long on);
int ktierd_get_process(struct mm_struct *mm);
void ktierd_tunables_changed(void);
bool __ktierd_looks_after(struct vm_area_struct *vma);
int ktierd_proc_stat(struct seq_file *m, struct pid_namespace *ns,
		     struct pid *pid, struct task_struct *task);

int __ktierd_enter(struct mm_struct *mm);
void __ktierd_fork(struct mm_struct *mm, struct mm_struct *oldmm);
void __ktierd_exit(struct mm_struct *mm);

/* Are the pages of a VMA being placed?  Then nobody else had better do so. */
static inline bool ktierd_looks_after(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_TIER && __ktierd_looks_after(vma);
}

/*
 * Best effort: a child that finds no memory for it is registered by its next
 * madvise() or prctl(), and not sampled until then.
 */
static inline void ktierd_fork(struct mm_struct *mm, struct mm_struct *oldmm)
{
	if (test_bit(MMF_VM_TIER, &oldmm->flags))
		__ktierd_fork(mm, oldmm);
}

static inline int ktierd_execve(struct mm_struct *mm)
{
	return mm->def_flags & VM_TIER ? __ktierd_enter(mm) : 0;
}

static inline void ktierd_exit(struct mm_struct *mm)
{
	if (test_bit(MMF_VM_TIER, &mm->flags))
		__ktierd_exit(mm);
}

#else /* !CONFIG_KTIERD */

static inline bool ktierd_available(void)
{
	return false;
}

static inline int ktierd_madvise(struct vm_area_struct *vma, int advice,
				 unsigned long *vm_flags)
{
	return -EINVAL;
}

static inline int ktierd_set_process(struct mm_struct *mm, unsigned long on)
{
	return -EINVAL;
}

static inline int ktierd_get_process(struct mm_struct *mm)
{
	return -EINVAL;
}

static inline bool ktierd_looks_after(struct vm_area_struct *vma)
{
	return false;
}

static inline void ktierd_fork(struct mm_struct *mm, struct mm_struct *oldmm)
{
}

static inline int ktierd_execve(struct mm_struct *mm)
{
	return 0;
}

static inline void ktierd_exit(struct mm_struct *mm)
{
}

#endif /* CONFIG_KTIERD */
#endif /* _LINUX_KTIERD_H */
