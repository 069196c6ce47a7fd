// SPDX-License-Identifier: GPL-2.0
/*
 * ktierd: memory tiering that an application asks for.
 *
 * A process is registered when it first marks memory, with MADV_TIER or
 * PR_SET_TIER, and until it has none or is gone.  The thread goes round all
 * registered processes once an interval: it samples which of their marked pages
 * are used (sample.c), asks what should move (policy.c), moves that down and
 * then up (migrate.c), and rests.  Down comes first, because it makes the room.
 *
 * A slot stands for a registered process.  It holds a reference on the mm
 * (mm_count), never on the address space (mm_users), so that nobody's exit
 * waits for the thread.  Instead:
 *
 * - ktierd_lock protects the list, the hash and the cursor, which is the slot
 *   that the thread works on.
 * - An exiting process takes its slot off the list and frees it, unless it is
 *   the cursor.  Then it leaves that to the thread, and takes mmap_lock for
 *   writing once: behind this, the thread has let go of the page tables, and
 *   looks at ktierd_slot_alive() before it goes on.
 * - The thread does not wait for mmap_lock for long: whoever holds it may wait
 *   for anything. It tries for a while and else leaves the process for the next
 *   round.
 * - A process is registered with mmap_lock held for writing (or, in exec,
 *   before anyone knows its mm), and the thread drops one that has no marked
 *   VMA with mmap_lock held for reading, so that the two can't miss each other.
 */

#define pr_fmt(fmt) "ktierd: " fmt

#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/oom.h>
#include <linux/sched/cputime.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/ktierd.h>

/* Windows are tuned between this and the scan interval, and begin with that. */
#define KTIERD_WINDOW_MIN_US	1000
#define KTIERD_WINDOW_START_US	(20 * USEC_PER_MSEC)

/* The cold age is counted in about this many ticks, of one scan at least. */
#define KTIERD_COLD_TICKS	128

/* What the rate allows does not add up for longer than this. */
#define KTIERD_BURST_MS		(10 * MSEC_PER_SEC)

static DEFINE_SPINLOCK(ktierd_lock);
static LIST_HEAD(slots);
static DEFINE_HASHTABLE(slot_hash, 10);
static struct ktierd_slot *cursor;
static unsigned int nr_slots;
static struct kmem_cache *slot_cache;

static DECLARE_WAIT_QUEUE_HEAD(ktierd_wait);
static bool available __read_mostly;
static bool enabled = true;
/* Counts changes of what the thread works by; read before the values are. */
static atomic_t changes = ATOMIC_INIT(0);

/* The thread's own; others read single words. */
static struct ktierd_round round;
static struct ktierd_plan plan;
static u64 tick_start_ms;
static u64 last_move_ms;
static u64 nr_rounds;
static u64 sampling_ns;		/* a round takes, averaged over some */
static u64 scan_ns;
static u64 migrate_ns;

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

unsigned int ktierd_nr_processes(void)
{
	return READ_ONCE(nr_slots);
}

u64 ktierd_nr_rounds(void)
{
	return READ_ONCE(nr_rounds);
}

/* CPU time that the thread has spent on sampling. */
u64 ktierd_scan_ns(void)
{
	return READ_ONCE(scan_ns);
}

/* CPU time that the thread has spent on moving pages. */
u64 ktierd_migrate_ns(void)
{
	return READ_ONCE(migrate_ns);
}

unsigned int ktierd_window_us(void)
{
	return READ_ONCE(round.window_us);
}

unsigned int ktierd_hot_level(void)
{
	return READ_ONCE(plan.hot);
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
 * ktierd_slot_alive() - may a process still be walked?
 * @slot: the cursor; mmap_lock held
 *
 * Return: false if it exits, or lost pages to the OOM reaper.
 */
bool ktierd_slot_alive(struct ktierd_slot *slot)
{
	struct mm_struct *mm = slot->slot.mm;

	return !READ_ONCE(slot->exiting) && atomic_read(&mm->mm_users) &&
	       !check_stable_address_space(mm);
}

static bool slot_gone(struct ktierd_slot *slot)
{
	return slot->exiting || !atomic_read(&slot->slot.mm->mm_users);
}

/* ktierd_lock held. */
static void unlink_slot(struct ktierd_slot *slot)
{
	hash_del(&slot->slot.hash);
	list_del(&slot->slot.mm_node);
	WRITE_ONCE(nr_slots, nr_slots - 1);
}

static void free_slot(struct ktierd_slot *slot)
{
	struct mm_struct *mm = slot->slot.mm;

	ktierd_history_free(slot);
	mm_slot_free(slot_cache, slot);
	mmdrop(mm);
}

/**
 * __ktierd_enter() - register a process
 * @mm: its mm, not registered yet; mmap_lock held for writing unless nobody
 *	else knows of it
 *
 * Return: 0, or -ENOMEM.
 */
int __ktierd_enter(struct mm_struct *mm)
{
	struct ktierd_slot *slot = mm_slot_alloc(slot_cache);
	struct mm_slot *mm_slot;

	if (!slot)
		return -ENOMEM;
	xa_init_flags(&slot->blocks, XA_FLAGS_ACCOUNT);
	mm_slot = &slot->slot;

	mmgrab(mm);
	spin_lock(&ktierd_lock);
	mm_slot_insert(slot_hash, mm, mm_slot);
	/* In front, so that a walk over the list does not run after forks. */
	list_add(&mm_slot->mm_node, &slots);
	WRITE_ONCE(nr_slots, nr_slots + 1);
	set_bit(MMF_VM_TIER, &mm->flags);
	spin_unlock(&ktierd_lock);

	wake_up(&ktierd_wait);
	return 0;
}

/**
 * __ktierd_exit() - unregister a process whose page tables will be taken away
 * @mm: its mm; mmap_lock not held
 *
 * When this returns the thread does not look at the page tables any more.
 */
void __ktierd_exit(struct mm_struct *mm)
{
	struct ktierd_slot *slot = NULL;
	struct mm_slot *mm_slot;
	bool busy = false;

	spin_lock(&ktierd_lock);
	mm_slot = mm_slot_lookup(slot_hash, mm);
	if (mm_slot) {
		slot = mm_slot_entry(mm_slot, struct ktierd_slot, slot);
		busy = slot == cursor;
		if (busy)
			WRITE_ONCE(slot->exiting, true);
		else
			unlink_slot(slot);
	}
	spin_unlock(&ktierd_lock);

	if (busy) {
		mmap_write_lock(mm);
		mmap_write_unlock(mm);
	} else if (slot) {
		clear_bit(MMF_VM_TIER, &mm->flags);
		free_slot(slot);
	}
}

/* No mark is left, nor will new mappings have one; mmap_lock held. */
static bool mm_unmarked(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	if (mm->def_flags & VM_TIER)
		return false;
	for_each_vma(vmi, vma)
		if (vma->vm_flags & VM_TIER)
			return false;
	return true;
}

/*
 * Take the cursor on to the next slot, and free the one it comes from if that
 * has had its day. If it has not, then an exit may free slot and mm as soon as
 * ktierd_lock is dropped.
 */
static struct ktierd_slot *leave_slot(struct ktierd_slot *slot)
{
	struct mm_struct *mm = slot->slot.mm;
	struct list_head *next;
	bool locked, drop;

	locked = !slot->marked && slot->cleared == round.nr &&
		 mmap_read_trylock(mm);
	drop = locked && ktierd_slot_alive(slot) && mm_unmarked(mm);

	spin_lock(&ktierd_lock);
	next = slot->slot.mm_node.next;
	cursor = next == &slots ? NULL :
		 list_entry(next, struct ktierd_slot, slot.mm_node);
	if (drop)
		clear_bit(MMF_VM_TIER, &mm->flags);
	drop |= slot_gone(slot);
	if (drop)
		unlink_slot(slot);
	if (locked)
		mmap_read_unlock(mm);
	spin_unlock(&ktierd_lock);

	if (drop)
		free_slot(slot);
	return cursor;
}

/**
 * ktierd_next_slot() - go through the registered processes
 * @slot: the one before, NULL to begin; not to be used afterwards
 *
 * The thread must go through to the end: until then the slot is its cursor, and
 * an exit waits for it.
 *
 * Return: the next one, NULL if there is none.
 */
struct ktierd_slot *ktierd_next_slot(struct ktierd_slot *slot)
{
	if (slot)
		return leave_slot(slot);

	spin_lock(&ktierd_lock);
	cursor = list_first_entry_or_null(&slots, struct ktierd_slot,
					  slot.mm_node);
	spin_unlock(&ktierd_lock);
	return cursor;
}

/**
 * ktierd_madvise() - MADV_TIER and MADV_NOTIER
 * @vma: the VMA, mmap_lock held for writing
 * @advice: which of the two
 * @vm_flags: its flags, to be changed
 *
 * Return: 0; -EINVAL for a VMA that can't be tiered; -ENOMEM if the process
 * could not be registered.
 */
int ktierd_madvise(struct vm_area_struct *vma, int advice,
		   unsigned long *vm_flags)
{
	struct mm_struct *mm = vma->vm_mm;

	if (advice == MADV_NOTIER) {
		*vm_flags &= ~VM_TIER;
		return 0;
	}
	if (!ktierd_vma_tierable(vma))
		return -EINVAL;
	if (!test_bit(MMF_VM_TIER, &mm->flags) && __ktierd_enter(mm))
		return -ENOMEM;
	*vm_flags |= VM_TIER;
	return 0;
}

static void mark_all(struct mm_struct *mm, bool on)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (!on)
			vm_flags_clear(vma, VM_TIER);
		else if (ktierd_vma_tierable(vma))
			vm_flags_set(vma, VM_TIER);
	}
}

/**
 * ktierd_set_process() - PR_SET_TIER
 * @mm: the process
 * @on: 1 marks all its mappings, present and future, as far as they can be
 *	tiered; 0 takes all marks away
 *
 * Return: 0; -EINVAL for any other @on, or where there is no tiering; -EINTR if
 * killed; -ENOMEM if the process could not be registered.
 */
int ktierd_set_process(struct mm_struct *mm, unsigned long on)
{
	int ret = 0;

	if (on > 1 || !ktierd_available())
		return -EINVAL;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (on && !test_bit(MMF_VM_TIER, &mm->flags))
		ret = __ktierd_enter(mm);
	if (!ret) {
		if (on)
			mm->def_flags |= VM_TIER;
		else
			mm->def_flags &= ~VM_TIER;
		mark_all(mm, on);
	}
	mmap_write_unlock(mm);
	return ret;
}

/**
 * ktierd_get_process() - PR_GET_TIER
 * @mm: the process
 *
 * Return: what PR_SET_TIER has set, 1 or 0; -EINVAL where there is no tiering.
 */
int ktierd_get_process(struct mm_struct *mm)
{
	if (!ktierd_available())
		return -EINVAL;
	return !!(READ_ONCE(mm->def_flags) & VM_TIER);
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

/* Sleep, unless something has changed since @seen. */
static void rest(u64 ns, int seen)
{
	wait_event_freezable_timeout(ktierd_wait, kthread_should_stop() ||
				     seen != atomic_read(&changes),
				     nsecs_to_jiffies(ns) + 1);
}

static void wait_window(unsigned int us, int seen)
{
	/* A jiffy is too coarse for a short one. */
	if (us <= KTIERD_WINDOW_START_US)
		usleep_range_state(us, us + us / 8, TASK_IDLE);
	else
		rest((u64)us * NSEC_PER_USEC, seen);
}

/*
 * The tick is as long as the cold age asks for, and so its length may change;
 * what is counted so far is brought to the new length block by block.
 */
static void begin_tick(unsigned int interval_ms)
{
	unsigned int cold_age_ms = READ_ONCE(ktierd_tunables.cold_age_ms);
	unsigned int ticks;

	round.tick_ms = max(interval_ms,
			    DIV_ROUND_UP(cold_age_ms, KTIERD_COLD_TICKS));
	round.cold_ticks = cold_age_ms ?
			   DIV_ROUND_UP(cold_age_ms, round.tick_ms) + 1 : 0;
	ticks = min((now_ms() - tick_start_ms) / round.tick_ms,
		    (u64)KTIERD_IDLE_MAX);
	round.tick += ticks;
	tick_start_ms = ticks == KTIERD_IDLE_MAX ? now_ms() :
			tick_start_ms + (u64)ticks * round.tick_ms;
}

static void begin_round(void)
{
	unsigned int interval_ms = READ_ONCE(ktierd_tunables.scan_interval_ms);
	unsigned int window_ms = READ_ONCE(ktierd_tunables.sample_window_ms);

	if (!++round.nr)
		round.nr = 1;
	begin_tick(interval_ms);
	if (window_ms)
		WRITE_ONCE(round.window_us,
			   min(window_ms, interval_ms) * USEC_PER_MSEC);
}

static void sample(int seen)
{
	struct ktierd_slot *slot = NULL;

	ktierd_sample_begin();
	while ((slot = ktierd_next_slot(slot)))
		ktierd_sample_clear(slot, &round);
	wait_window(round.window_us, seen);
	while ((slot = ktierd_next_slot(slot)))
		if (slot->cleared == round.nr)
			ktierd_sample_read(slot, &round);
}

static u64 may_move(void)
{
	u64 now = now_ms();
	u64 ms = min(now - last_move_ms, (u64)KTIERD_BURST_MS);
	u64 mbps = READ_ONCE(ktierd_tunables.migrate_mbps);

	last_move_ms = now;
	return mbps * ms * (SZ_1M / PAGE_SIZE) / MSEC_PER_SEC;
}

static void tune_window(u64 touched, u64 capacity)
{
	unsigned int max_us = READ_ONCE(ktierd_tunables.scan_interval_ms) *
			      USEC_PER_MSEC;

	if (READ_ONCE(ktierd_tunables.sample_window_ms))
		return;
	WRITE_ONCE(round.window_us,
		   ktierd_policy_window(round.window_us, touched, capacity,
					KTIERD_WINDOW_MIN_US, max_us));
}

static void make_plan(void)
{
	struct ktierd_census census;
	u64 touched = ktierd_sample_end(&census), capacity;

	ktierd_top_room(&round.top, &census.room, &census.shortfall);
	census.may_move = may_move();
	ktierd_policy_plan(&census, &plan);
	capacity = ktierd_policy_capacity(&census);
	trace_ktierd_cut(round.nr, round.window_us, touched, capacity,
			 plan.cut, plan.hot, plan.promote.pages,
			 plan.demote.pages);
	tune_window(touched, capacity);
	/* A rate of 0 asks for nothing, so it holds nothing up. */
	if (READ_ONCE(ktierd_tunables.migrate_mbps))
		ktierd_count_fail(KTIERD_RATE, plan.promote.over_rate +
				  plan.demote.over_rate);
}

static void migrate(void)
{
	struct ktierd_slot *slot = NULL;

	if (!plan.demote.pages && !plan.promote.pages)
		return;
	/* Folios in per-CPU batches are not on the LRU, and look busy. */
	lru_add_drain_all();
	while ((slot = ktierd_next_slot(slot)))
		ktierd_migrate_demote(slot, &round, &plan.demote);
	while ((slot = ktierd_next_slot(slot)))
		ktierd_migrate_promote(slot, &round, &plan.promote);
}

/* What a round takes is uneven: do not rest half a minute after a slow one. */
static void average_sampling(u64 ns)
{
	sampling_ns = sampling_ns ? (3 * sampling_ns + ns) / 4 : ns;
}

static void go_round(void)
{
	u64 start = cpu_ns(), sampled;
	int seen = atomic_read(&changes);
	bool whole;

	begin_round();
	sample(seen);
	/* If it was disabled meanwhile it has seen a part only. */
	whole = ktierd_enabled();
	if (whole)
		make_plan();
	sampled = cpu_ns();
	if (whole)
		migrate();

	average_sampling(sampled - start);
	WRITE_ONCE(scan_ns, scan_ns + sampled - start);
	WRITE_ONCE(migrate_ns, migrate_ns + cpu_ns() - sampled);
	WRITE_ONCE(nr_rounds, nr_rounds + 1);
}

/* The interval, or longer if scanning would take more CPU than it may. */
static void rest_of_interval(u64 start_ns)
{
	while (has_work() && !kthread_should_stop()) {
		int seen = atomic_read(&changes);
		u64 ns = READ_ONCE(ktierd_tunables.scan_interval_ms) *
			 (u64)NSEC_PER_MSEC;
		u64 passed = ktime_get_ns() - start_ns;

		ns = max(ns, sampling_ns * 100 /
			     READ_ONCE(ktierd_tunables.cpu_percent));
		if (passed >= ns)
			break;
		rest(ns - passed, seen);
	}
}

static int ktierd(void *unused)
{
	set_freezable();
	set_user_nice(current, MAX_NICE);

	while (!kthread_should_stop()) {
		u64 start_ns;

		if (!ktierd_nr_processes())
			ktierd_sample_forget();
		wait_event_freezable(ktierd_wait, has_work() ||
				     kthread_should_stop());
		start_ns = ktime_get_ns();
		if (ktierd_tiers(&round.top))
			go_round();
		rest_of_interval(start_ns);
	}
	return 0;
}

static int __init ktierd_init(void)
{
	struct task_struct *task;
	int ret = -ENOMEM;

	if (!arch_has_hw_pte_young()) {
		pr_info("this processor keeps no accessed bits: no tiering\n");
		return 0;
	}

	slot_cache = KMEM_CACHE(ktierd_slot, 0);
	if (slot_cache)
		ret = ktierd_history_init();
	if (!ret)
		ret = ktierd_sample_init();
	if (!ret)
		ret = ktierd_migrate_init();
	if (!ret)
		ret = ktierd_sysfs_init();
	if (ret)
		goto fail;

	plan.hot = KTIERD_LEVEL_PROMOTE;
	round.window_us = KTIERD_WINDOW_START_US;
	tick_start_ms = now_ms();
	last_move_ms = tick_start_ms;
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
