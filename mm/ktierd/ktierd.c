// SPDX-License-Identifier: GPL-2.0
/*
 * ktierd: memory tiering that an application asks for.
 *
 * The thread goes round all registered processes (registry.c) once an interval:
 * it samples which of their marked pages are used (sample.c), asks what should
 * move (policy.c), moves that down and then up (migrate.c), and rests.  Down
 * comes first, because it makes the room.
 */

#define pr_fmt(fmt) "ktierd: " fmt

#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/sched/cputime.h>
#include <linux/sched/types.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <uapi/linux/sched/types.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/ktierd.h>

/*
 * Windows are tuned between this and the scan interval, and begin with that.
 * The shortest is no sleep at all: the walks themselves take their time.
 */
#define KTIERD_WINDOW_MIN_US	5
#define KTIERD_WINDOW_START_US	(20 * USEC_PER_MSEC)

/*
 * A window that was more than this many times as long as it was to be, and this
 * much longer, tells nothing.
 */
#define KTIERD_LATE_TIMES	4
#define KTIERD_LATE_US		1000

/* An interval this many windows long lets pages that were not used fade. */
#define KTIERD_RESTED_WINDOWS	8

/* The cold age is counted in about this many ticks, of one interval at least. */
#define KTIERD_COLD_TICKS	13

/* What was moved is noted until the end of such an epoch. */
#define KTIERD_EPOCH_MS		(32 * MSEC_PER_SEC)

/* Others that move this part of the marked pages are noticed. */
#define KTIERD_OTHERS_PART	256

/*
 * What pages of a level do is learned from about this many pages, and from fewer
 * while the placement is stable.
 */
#define KTIERD_WATCH_UNITS	65536
#define KTIERD_WATCH_STABLE	32768

/*
 * The clearing walks of a slice take at most this part of a window, or this
 * long; so all its pages have about the same window.
 */
#define KTIERD_SLICE_PART	4
#define KTIERD_SLICE_MIN_NS	(200 * NSEC_PER_USEC)

/* It may run ahead of its share of a CPU by this much. */
#define KTIERD_CREDIT_NS	(500 * (s64)NSEC_PER_MSEC)

/*
 * How long the thread wants to run at once.  The end of a window must not wait
 * for the time slices of others.
 */
#define KTIERD_RUN_NS		(100 * NSEC_PER_USEC)

/* What the rate allows does not add up for longer than this, or an interval. */
#define KTIERD_BURST_MS		(10 * MSEC_PER_SEC)

static DECLARE_WAIT_QUEUE_HEAD(ktierd_wait);
static bool available __read_mostly;
static bool enabled = true;
static bool lower_tier;		/* there is one, as of the last round */
/* Counts changes of what the thread works by; read before the values are. */
static atomic_t changes = ATOMIC_INIT(0);
/* Counts who was registered; it ends a rest, but not a window. */
static atomic_t arrivals = ATOMIC_INIT(0);

/* What all processes share. */
static struct ktierd_budget everyone;

/* The thread's own; others read single words. */
static struct ktierd_round round;
static unsigned int last_slots;
static unsigned int interval_ms;	/* in effect */
static u64 last_round_ms;
static u64 tick_start_ms;
static u64 last_move_ms;
static u64 nr_rounds;
static s64 credit_ns;		/* of CPU time; less than 0 is a debt */
static u64 credit_at_ns;
static struct {
	u64 start_ns;			/* of the present one */
	u64 total_us;
	unsigned int nr;
	unsigned int late;
} windows;				/* of a round's slices */
static u64 scan_ns;

/**
 * ktierd_available() - can this machine do memory tiering?
 *
 * Return: true if so; else MADV_TIER and PR_SET_TIER are EINVAL.
 */
bool ktierd_available(void)
{
	return available;
}

bool ktierd_enabled(void)
{
	return READ_ONCE(enabled);
}

u64 ktierd_nr_rounds(void)
{
	return READ_ONCE(nr_rounds);
}

/* CPU time that the thread has spent on all but moving pages. */
u64 ktierd_scan_ns(void)
{
	return READ_ONCE(scan_ns);
}

unsigned int ktierd_window_us(void)
{
	return READ_ONCE(round.window_us);
}

/* From the start of one round to that of the next. */
unsigned int ktierd_interval_ms(void)
{
	return READ_ONCE(interval_ms);
}

unsigned int ktierd_hot_level(void)
{
	return READ_ONCE(everyone.plan.hot);
}

/* A page-table lock, held since then, is about to be given back. */
void ktierd_trace_held(struct mm_struct *mm, u8 work, bool pmd,
		       unsigned int entries, u64 since)
{
	u64 ns = local_clock() - since;

	trace_held(ktierd_mm_pid(mm), work, pmd, entries, ns);
}

/**
 * __ktierd_looks_after() - are the pages of a VMA being placed?
 * @vma: a marked VMA, mmap_lock held
 *
 * Return: true if it can be tiered, its process is registered, there is somewhere
 * to go, and the thread is enabled.
 */
bool __ktierd_looks_after(struct vm_area_struct *vma)
{
	return ktierd_enabled() && READ_ONCE(lower_tier) &&
	       test_bit(MMF_VM_TIER, &vma->vm_mm->flags) &&
	       ktierd_vma_wanted(vma);
}

/**
 * ktierd_tunables_changed() - let the thread look at its tunables again
 */
void ktierd_tunables_changed(void)
{
	atomic_inc(&changes);
	wake_up(&ktierd_wait);
}

/**
 * ktierd_set_enabled() - let the thread work, or rest
 * @on: which of the two
 */
void ktierd_set_enabled(bool on)
{
	WRITE_ONCE(enabled, on);
	ktierd_tunables_changed();
}

/**
 * ktierd_arrived() - a process was registered
 *
 * It may end a rest.
 */
void ktierd_arrived(void)
{
	atomic_inc(&arrivals);
	wake_up(&ktierd_wait);
}

/* The present round, or the last one. */
u32 ktierd_round_nr(void)
{
	return READ_ONCE(round.nr);
}

/* What a process that is registered now lives on. */
struct ktierd_budget *ktierd_budget(void)
{
	return &everyone;
}

static bool has_work(void)
{
	return ktierd_enabled() && ktierd_nr_processes();
}

static u64 now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

static u64 cpu_ns(void)
{
	return task_sched_runtime(current);
}

/* What may end a rest. */
static int news(void)
{
	return atomic_read(&changes) + atomic_read(&arrivals);
}

/* Sleep, unless there have been news since @seen. */
static void rest(u64 ns, int seen)
{
	wait_event_freezable_timeout(ktierd_wait, kthread_should_stop() ||
				     seen != news(),
				     nsecs_to_jiffies(ns) + 1);
}

/* Sleep, unless a tunable is changed: those who come now are none of this window's. */
static void rest_in_window(u64 ns)
{
	int seen = atomic_read(&changes);

	wait_event_freezable_timeout(ktierd_wait, kthread_should_stop() ||
				     seen != atomic_read(&changes),
				     nsecs_to_jiffies(ns) + 1);
}

static void begin_slice(void)
{
	u64 ns = (u64)round.window_us * NSEC_PER_USEC / KTIERD_SLICE_PART;

	windows.start_ns = ktime_get_ns();
	round.slice_end_ns = windows.start_ns +
			     max(ns, (u64)KTIERD_SLICE_MIN_NS);
}

static u64 window_passed_us(void)
{
	return div_u64(ktime_get_ns() - windows.start_ns, NSEC_PER_USEC);
}

/*
 * Wait until a window is over that began when the first bits were cleared: the
 * reading walks take about as long as the clearing ones, so it is as long for
 * all.  Nobody knows how long the thread waits in truth before somebody lets it
 * run.
 */
static void wait_window(void)
{
	u64 us = round.window_us, passed = window_passed_us();

	if (passed < us && us > KTIERD_WINDOW_START_US)
		rest_in_window((us - passed) * NSEC_PER_USEC);
	else if (passed + KTIERD_WINDOW_MIN_US < us)	/* jiffies are too coarse */
		usleep_range_state(us - passed, us - passed + us / 8,
				   TASK_IDLE);

	passed = window_passed_us();
	round.late = passed > us * KTIERD_LATE_TIMES + KTIERD_LATE_US;
	windows.total_us += passed;
	windows.late += round.late;
	windows.nr++;
}

/*
 * The tick is as long as the cold age asks for, and so its length may change;
 * what is counted so far is brought to the new length block by block.
 */
static void begin_tick(unsigned int interval)
{
	unsigned int cold_age_ms = READ_ONCE(ktierd_tunables.cold_age_ms);
	unsigned int ticks;

	round.tick_ms = max(interval,
			    DIV_ROUND_UP(cold_age_ms, KTIERD_COLD_TICKS));
	round.cold_ticks = cold_age_ms ?
			   DIV_ROUND_UP(cold_age_ms, round.tick_ms) + 1 : 0;
	ticks = min((now_ms() - tick_start_ms) / round.tick_ms,
		    (u64)KTIERD_IDLE_MAX);
	round.tick += ticks;
	tick_start_ms = ticks == KTIERD_IDLE_MAX ? now_ms() :
			tick_start_ms + (u64)ticks * round.tick_ms;
}

/**
 * ktierd_nr_events() - how often has something happened since boot?
 * @item: what
 *
 * Return: the sum over all processors, also those that are offline.
 */
u64 ktierd_nr_events(enum vm_event_item item)
{
	u64 nr = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		nr += READ_ONCE(per_cpu(vm_event_states, cpu).event[item]);
	return nr;
}

/*
 * Has anybody reclaimed since this was asked last?  A cgroup that does, at a limit
 * of its own or when told to, does not count as PGSCAN_DIRECT.
 */
static bool reclaim_active(void)
{
	u64 now = ktierd_nr_events(PGSCAN_ANON) + ktierd_nr_events(PGSCAN_FILE);
	static u64 before;
	bool active = now != before;

	before = now;
	return active;
}

/*
 * Has anybody else moved as many pages, from wherever to wherever, as would make
 * a difference to ours, since that was so last?
 */
static bool others_move(void)
{
	u64 now = ktierd_nr_events(PGMIGRATE_SUCCESS) - ktierd_pages_promoted() -
		  ktierd_pages_demoted();
	static u64 before;
	u64 pages = 0;
	s64 more;
	int nid;

	for_each_node_state(nid, N_MEMORY)
		pages += ktierd_node_pages(nid);
	more = now - before;
	/* Those of a processor that goes offline may be missed once, or counted twice. */
	if (more < 0)
		before = now;
	if (more <= (s64)(pages / KTIERD_OTHERS_PART))
		return false;
	before = now;
	return true;
}

static void begin_round(void)
{
	unsigned int interval = READ_ONCE(ktierd_tunables.scan_interval_ms);
	unsigned int window_ms = READ_ONCE(ktierd_tunables.sample_window_ms);

	WRITE_ONCE(round.nr, round.nr + 1 ?: 1);
	begin_tick(interval);
	if (window_ms)
		WRITE_ONCE(round.window_us,
			   min(window_ms, interval) * USEC_PER_MSEC);
	round.epoch = now_ms() / KTIERD_EPOCH_MS + 1;
	round.write_weight = READ_ONCE(ktierd_tunables.write_weight);
	round.dirty = everyone.record.windows < KTIERD_DIRTY_WINDOWS;
	round.shift = ktierd_policy_shift(&everyone.record);
	round.rested = (now_ms() - last_round_ms) * USEC_PER_MSEC >
		       (u64)round.window_us * KTIERD_RESTED_WINDOWS;
	round.reclaim = reclaim_active();
	round.others = others_move();
	/* What was known of places is not true any more. */
	if (round.others)
		everyone.record.stable_ms = 0;
	round.stable = ktierd_policy_stable(&everyone.record);
	round.watch = div_u64(everyone.census.nr_units,
			      round.stable ? KTIERD_WATCH_STABLE :
					     KTIERD_WATCH_UNITS) + 1;
}

/*
 * Clear bits until the slice is full: of one process at least, however long it
 * took to come to it.  Was there any?  And is there @more for another slice?
 */
static bool clear_slice(bool *more)
{
	struct ktierd_slot *slot = NULL;
	bool began = false;

	*more = false;
	while ((slot = ktierd_next_slot(slot))) {
		cond_resched();
		slot->sliced = false;
		if (slot->round == round.nr && slot->next == ULONG_MAX)
			continue;	/* it had its turn */
		if (!began)
			begin_slice();
		else if (ktime_get_ns() >= round.slice_end_ns)
			*more = true;
		if (!*more)
			*more = ktierd_sample_clear(slot, &round) > 0;
		began = true;
	}
	return began;
}

static void read_slice(void)
{
	struct ktierd_slot *slot = NULL;

	while ((slot = ktierd_next_slot(slot))) {
		cond_resched();
		if (slot->sliced)
			ktierd_sample_read(slot, &round);
	}
}

/*
 * A window for all marked memory would have to be longer than the walk that
 * clears its bits.  So clear and read it in slices.
 */
static void sample(void)
{
	bool more;

	ktierd_policy_begin(&everyone);
	ktierd_census_begin();
	memset(&windows, 0, sizeof(windows));
	while (clear_slice(&more)) {
		wait_window();
		read_slice();
		if (!more || !ktierd_enabled())
			break;
	}
	everyone.census.window_us = windows.nr ?
				    div_u64(windows.total_us, windows.nr) :
				    round.window_us;
	ktierd_census_end(&everyone.census);
}

static u64 may_move(void)
{
	u64 now = now_ms();
	u64 ms = min(now - last_move_ms,
		     max((u64)KTIERD_BURST_MS, (u64)interval_ms));
	u64 mbps = READ_ONCE(ktierd_tunables.migrate_mbps);

	last_move_ms = now;
	return mbps * ms * (SZ_1M / PAGE_SIZE) / MSEC_PER_SEC;
}

static void tune_window(void)
{
	unsigned int max_us = READ_ONCE(ktierd_tunables.scan_interval_ms) *
			      USEC_PER_MSEC;
	u64 us = round.window_us;

	if (READ_ONCE(ktierd_tunables.sample_window_ms) || !windows.nr)
		return;
	/* What can't be had is not worth a try. */
	if (windows.late * 2 > windows.nr)
		us = min(us * 2, (u64)max_us);
	else if (!windows.late)
		us = ktierd_policy_window(&everyone, KTIERD_WINDOW_MIN_US,
					  max_us);
	WRITE_ONCE(round.window_us, us);
}

static void trace_cells(const struct ktierd_budget *budget)
{
	const struct ktierd_census *census = &budget->census;
	const struct ktierd_record *record = &budget->record;
	unsigned int l, c;

	if (!trace_cell_enabled())
		return;
	for (l = 0; l < KTIERD_LEVELS; l++)
		for (c = 0; c < KTIERD_CLASSES; c++)
			if (census->top.nr[l][c] || census->low.nr[l][c] ||
			    record->were.nr[l][c])
				trace_cell(round.nr, l, c, census->top.nr[l][c],
					   census->low.nr[l][c],
					   record->were.nr[l][c],
					   record->touched.nr[l][c],
					   record->written.nr[l][c],
					   budget->plan.rank[l][c]);
}

static void make_plan(void)
{
	struct ktierd_census *census = &everyone.census;
	struct ktierd_plan *plan = &everyone.plan;
	u64 now = now_ms();

	ktierd_top_room(&round.top, census);
	census->may_move = may_move();
	census->write_weight = round.write_weight;
	ktierd_policy_plan(&everyone, min(now - last_round_ms, (u64)UINT_MAX));
	last_round_ms = now;
	ktierd_top_make_room(&round.top, plan->lacks);
	if (ktierd_nr_processes() > last_slots)
		everyone.record.stable_ms = 0;
	last_slots = ktierd_nr_processes();

	trace_cut(round.nr, census->window_us, census->nr_touched,
		  ktierd_policy_capacity(&everyone), plan->hot, round.shift,
		  plan->promote.pages, plan->demote.pages);
	trace_cells(&everyone);
	tune_window();
	/* A rate of 0 asks for nothing, so it holds nothing up. */
	if (READ_ONCE(ktierd_tunables.migrate_mbps))
		ktierd_count_fail(NULL, KTIERD_RATE, plan->promote.over_rate +
				  plan->demote.over_rate);
	ktierd_count_fail(NULL, KTIERD_NO_ROOM,
			  plan->lacks - min(plan->lacks, plan->exchange));
}

static void migrate(void)
{
	const struct ktierd_plan *plan = &everyone.plan;
	struct ktierd_slot *slot = NULL;

	if (!plan->demote.pages && !plan->promote.pages)
		return;
	/* Folios in per-CPU batches are not on the LRU, and look busy. */
	lru_add_drain_all();
	while ((slot = ktierd_next_slot(slot)))
		ktierd_migrate_demote(slot, &round);
	while ((slot = ktierd_next_slot(slot)))
		ktierd_migrate_promote(slot, &round);
}

/*
 * All but moving itself lives on credit: some is given as time passes, and a round
 * takes its CPU time from it.  So a few rounds in a row may take more than their
 * share.  A search for pages that finds none costs no less than one that does.
 */
static void give_credit(void)
{
	u64 now = ktime_get_ns();
	u64 passed = min(now - credit_at_ns, (u64)NSEC_PER_SEC * 3600);

	credit_ns += div_u64(passed * READ_ONCE(ktierd_tunables.cpu_percent),
			     100);
	credit_ns = min(credit_ns, KTIERD_CREDIT_NS);
	credit_at_ns = now;
}

static void go_round(void)
{
	u64 start = cpu_ns(), moving = ktierd_migrate_ns(), used;

	begin_round();
	sample();
	/* If it was disabled meanwhile it has seen a part only. */
	if (ktierd_enabled()) {
		make_plan();
		migrate();
	}
	moving = ktierd_migrate_ns() - moving;
	used = cpu_ns() - start - moving;

	give_credit();
	credit_ns -= used;
	WRITE_ONCE(scan_ns, scan_ns + used);
	WRITE_ONCE(nr_rounds, nr_rounds + 1);
}

/*
 * The interval as it was set; longer where nothing changes, or if scanning would
 * take more CPU than it may.
 */
static u64 interval_ns(u64 start_ns)
{
	unsigned int set_ms = READ_ONCE(ktierd_tunables.scan_interval_ms);
	u64 ns = ktierd_policy_interval(&everyone.record, set_ms) *
		 (u64)NSEC_PER_MSEC;

	if (ktierd_nr_processes() > last_slots)
		ns = set_ms * (u64)NSEC_PER_MSEC;
	give_credit();
	if (credit_ns < 0)
		ns = max(ns, credit_at_ns - start_ns +
			     div_u64((u64)-credit_ns * 100,
				     READ_ONCE(ktierd_tunables.cpu_percent)));
	WRITE_ONCE(interval_ms, div_u64(ns, NSEC_PER_MSEC));
	return ns;
}

static void rest_of_interval(u64 start_ns)
{
	while (has_work() && !kthread_should_stop()) {
		int seen = news();
		u64 ns = interval_ns(start_ns);
		u64 passed = ktime_get_ns() - start_ns;

		if (passed >= ns)
			break;
		rest(ns - passed, seen);
	}
}

/*
 * It limits itself, so it needs no low priority; with one, it would not run at
 * all where no processor is idle.
 */
static void set_priority(void)
{
	const struct sched_attr attr = {
		.size		= sizeof(attr),
		.sched_policy	= SCHED_NORMAL,
		.sched_runtime	= KTIERD_RUN_NS,
	};

	if (sched_setattr_nocheck(current, &attr))
		pr_warn("can't set its time slice\n");
}

static int ktierd(void *unused)
{
	set_freezable();
	set_priority();

	while (!kthread_should_stop()) {
		u64 start_ns;

		if (!ktierd_nr_processes())
			ktierd_census_forget();
		wait_event_freezable(ktierd_wait, has_work() ||
				     kthread_should_stop());
		start_ns = ktime_get_ns();
		WRITE_ONCE(lower_tier, ktierd_tiers(&round.top));
		if (lower_tier)
			go_round();
		rest_of_interval(start_ns);
	}
	return 0;
}

static int __init ktierd_init(void)
{
	struct task_struct *task;
	int ret;

	if (!arch_has_hw_pte_young()) {
		pr_info("this processor keeps no accessed bits: no tiering\n");
		return 0;
	}

	ret = ktierd_registry_init();
	if (!ret)
		ret = ktierd_history_init();
	if (!ret)
		ret = ktierd_sample_init();
	if (!ret)
		ret = ktierd_census_init();
	if (!ret)
		ret = ktierd_migrate_init();
	if (!ret)
		ret = ktierd_sysfs_init();
	if (ret)
		goto fail;

	everyone.plan.hot = KTIERD_LEVEL_PROMOTE;
	round.window_us = KTIERD_WINDOW_START_US;
	tick_start_ms = now_ms();
	last_move_ms = tick_start_ms;
	last_round_ms = tick_start_ms;
	credit_at_ns = ktime_get_ns();
	credit_ns = KTIERD_CREDIT_NS;
	round.watch = 1;
	task = kthread_run(ktierd, NULL, "ktierd");
	if (IS_ERR(task)) {
		ret = PTR_ERR(task);
		goto fail;
	}
	available = true;
	return 0;

fail:
	pr_err("can't start: error %d\n", ret);
	return ret;
}
subsys_initcall(ktierd_init);
