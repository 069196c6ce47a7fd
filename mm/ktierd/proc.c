// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/ktierd_stat: what is known of a process and was done for it, as
 * "name value" lines.  They are described in
 * Documentation/admin-guide/mm/ktierd.rst.
 */

#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>

#include "internal.h"

/* Copied while the thread goes on counting: each figure is true by itself. */
static bool get_stat(struct mm_struct *mm, struct ktierd_stat *stat)
{
	struct ktierd_slot *slot;

	if (!test_bit(MMF_VM_TIER, &mm->flags))
		return false;
	ktierd_slots_lock();
	slot = ktierd_slot_find(mm);
	if (slot) {
		/* The thread does not take the lock to count. */
		data_race(*stat = slot->stat);
	}
	ktierd_slots_unlock();
	return slot;
}

static void show_pages(struct seq_file *m, const char *name, u64 nr_pages)
{
	seq_printf(m, "%s %llu\n", name, nr_pages);
}

static void show_kb(struct seq_file *m, const char *name, u64 nr_pages)
{
	show_pages(m, name, nr_pages << (PAGE_SHIFT - 10));
}

/* All but what the rate held up, which is known for all processes together. */
static void show_failed(struct seq_file *m, const struct ktierd_stat *stat)
{
	int why;

	for (why = 0; why < KTIERD_NR_FAILS; why++)
		if (why != KTIERD_RATE)
			seq_printf(m, "failed_%s %llu\n", ktierd_fail_names[why],
				   stat->failed[why]);
}

static void show_stat(struct seq_file *m, const struct ktierd_stat *stat)
{
	show_kb(m, "top_kb", stat->top.pages);
	show_kb(m, "low_kb", stat->low.pages);
	show_kb(m, "hot_top_kb", stat->top.hot_pages);
	show_kb(m, "hot_low_kb", stat->low.hot_pages);
	show_kb(m, "cold_top_kb", stat->top.cold_pages);
	show_kb(m, "cold_low_kb", stat->low.cold_pages);
	show_pages(m, "pages_young", stat->young);
	show_pages(m, "pages_dirty", stat->dirty);
	show_pages(m, "pages_promoted", stat->promoted);
	show_pages(m, "pages_demoted", stat->demoted);
	show_pages(m, "pages_returned", stat->returned);
	show_failed(m, stat);
}

/**
 * ktierd_proc_stat() - show /proc/PID/ktierd_stat
 * @m: where to
 * @ns: not used
 * @pid: not used
 * @task: the process
 *
 * Return: 0; -EACCES if the reader may not look into the process, as for
 * /proc/PID/smaps; -ESRCH if it has no memory; -EINTR if the reader is killed.
 */
int ktierd_proc_stat(struct seq_file *m, struct pid_namespace *ns,
		     struct pid *pid, struct task_struct *task)
{
	struct mm_struct *mm = mm_access(task, PTRACE_MODE_READ_FSCREDS);
	struct ktierd_stat stat = {};

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	seq_printf(m, "registered %d\n", get_stat(mm, &stat));
	show_stat(m, &stat);
	mmput(mm);
	return 0;
}
