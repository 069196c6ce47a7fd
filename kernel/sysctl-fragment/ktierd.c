// SPDX-License-Identifier: GPL-2.0
/*
 * sysctl vm.ktierd_*: the values an administrator sets.
 *
 * A value out of range is EINVAL and changes nothing.  One in range takes
 * effect at once: the thread is woken and begins its next step with it.
 */

#include <linux/init.h>
#include <linux/ktierd.h>
#include <linux/sysctl.h>

struct ktierd_tunables ktierd_tunables = {
	.scan_interval_ms	= 1000,
	.sample_window_ms	= 0,
	.cpu_percent		= 5,
	.cold_age_ms		= 120 * 1000,
	.headroom_percent	= 3,
	.migrate_mbps		= 1024,
	.write_weight		= 2,
};

static int ktierd_tunable(const struct ctl_table *table, int write,
			  void *buffer, size_t *lenp, loff_t *ppos)
{
	int ret = proc_douintvec_minmax(table, write, buffer, lenp, ppos);

	if (!ret && write)
		ktierd_tunables_changed();
	return ret;
}

/*
 * The window is at most the interval of that moment.  An interval that is made
 * shorter later cuts the window where it is used, without changing it here.
 */
static int ktierd_window(const struct ctl_table *table, int write,
			 void *buffer, size_t *lenp, loff_t *ppos)
{
	unsigned int interval_ms = READ_ONCE(ktierd_tunables.scan_interval_ms);
	struct ctl_table limited = *table;

	limited.extra2 = &interval_ms;
	return ktierd_tunable(&limited, write, buffer, lenp, ppos);
}

static const unsigned int min_interval_ms = 100;
static const unsigned int max_interval_ms = 60 * 60 * 1000;
static const unsigned int max_cold_age_ms = 24 * 60 * 60 * 1000;
static const unsigned int min_cpu_percent = 1;
static const unsigned int max_cpu_percent = 100;
static const unsigned int max_headroom_percent = 50;
static const unsigned int max_mbps = 1024 * 1024;
static const unsigned int max_write_weight = 8;
static const unsigned int zero;

#define KTIERD_TUNABLE(_name, _handler, _min, _max)		\
	{							\
		.procname	= "ktierd_" #_name,		\
		.data		= &ktierd_tunables._name,	\
		.maxlen		= sizeof(unsigned int),		\
		.mode		= 0644,				\
		.proc_handler	= _handler,			\
		.extra1		= (void *)&(_min),		\
		.extra2		= (void *)&(_max),		\
	}

static struct ctl_table ktierd_table[] = {
	KTIERD_TUNABLE(scan_interval_ms, ktierd_tunable, min_interval_ms,
		       max_interval_ms),
	KTIERD_TUNABLE(sample_window_ms, ktierd_window, zero, max_interval_ms),
	KTIERD_TUNABLE(cpu_percent, ktierd_tunable, min_cpu_percent,
		       max_cpu_percent),
	KTIERD_TUNABLE(cold_age_ms, ktierd_tunable, zero, max_cold_age_ms),
	KTIERD_TUNABLE(headroom_percent, ktierd_tunable, zero,
		       max_headroom_percent),
	KTIERD_TUNABLE(migrate_mbps, ktierd_tunable, zero, max_mbps),
	KTIERD_TUNABLE(write_weight, ktierd_tunable, zero, max_write_weight),
};

static int __init ktierd_sysctl_init(void)
{
	register_sysctl_init("vm", ktierd_table);
	return 0;
}
subsys_initcall(ktierd_sysctl_init);
