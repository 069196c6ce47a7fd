// SPDX-License-Identifier: GPL-2.0
/*
 * Which processes are looked after.
 *
 * A process is registered when it first marks memory, with MADV_TIER or
 * PR_SET_TIER, and until it has none or is gone.  A slot stands for it.  It
 * holds a reference on the mm (mm_count), never on the address space
 * (mm_users), so that nobody's exit waits for the thread.  Instead:
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

#include <linux/mman.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "internal.h"

static DEFINE_SPINLOCK(ktierd_lock);
static LIST_HEAD(slots);
static DEFINE_HASHTABLE(slot_hash, 10);
static struct ktierd_slot *cursor;
static unsigned int nr_slots;
static struct kmem_cache *slot_cache;

unsigned int ktierd_nr_processes(void)
{
	return READ_ONCE(nr_slots);
}

/* The process of an mm; 0 if it has no owner any more. */
pid_t ktierd_mm_pid(struct mm_struct *mm)
{
	struct task_struct *owner;
	pid_t pid;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	pid = owner ? owner->tgid : 0;
	rcu_read_unlock();
	return pid;
}

/* For trace events. */
pid_t ktierd_slot_pid(struct ktierd_slot *slot)
{
	return ktierd_mm_pid(slot->slot.mm);
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
	xa_init_flags(&slot->leaves, XA_FLAGS_ACCOUNT);
	slot->budget = ktierd_budget();
	/* Not in this round: while it is being forked it is in nobody's cgroup. */
	slot->round = ktierd_round_nr();
	slot->next = ULONG_MAX;
	mm_slot = &slot->slot;

	mmgrab(mm);
	spin_lock(&ktierd_lock);
	mm_slot_insert(slot_hash, mm, mm_slot);
	/* In front, so that a walk over the list does not run after forks. */
	list_add(&mm_slot->mm_node, &slots);
	WRITE_ONCE(nr_slots, nr_slots + 1);
	set_bit(MMF_VM_TIER, &mm->flags);
	spin_unlock(&ktierd_lock);

	ktierd_arrived();
	return 0;
}

/**
 * ktierd_slots_lock() - look at processes that are not the cursor
 *
 * None of them goes until ktierd_slots_unlock().  A spinlock is held.
 */
void ktierd_slots_lock(void)
	__acquires(&ktierd_lock)
{
	spin_lock(&ktierd_lock);
}

/**
 * ktierd_slots_unlock() - and let them go
 */
void ktierd_slots_unlock(void)
	__releases(&ktierd_lock)
{
	spin_unlock(&ktierd_lock);
}

/**
 * ktierd_slot_find() - the slot of a process
 * @mm: its mm, of which nothing is asked but where it is; ktierd_slots_lock() held
 *
 * Return: the slot, NULL if there is none.
 */
struct ktierd_slot *ktierd_slot_find(struct mm_struct *mm)
{
	struct mm_slot *mm_slot = mm_slot_lookup(slot_hash, mm);

	return mm_slot ? mm_slot_entry(mm_slot, struct ktierd_slot, slot) : NULL;
}

/**
 * __ktierd_fork() - register a child
 * @mm: its mm, which nobody else knows of
 * @oldmm: its parent's, which is registered; mmap_lock held for writing
 */
void __ktierd_fork(struct mm_struct *mm, struct mm_struct *oldmm)
{
	struct ktierd_slot *parent;

	ktierd_slots_lock();
	parent = ktierd_slot_find(oldmm);
	if (parent)
		WRITE_ONCE(parent->forked, true);
	ktierd_slots_unlock();
	__ktierd_enter(mm);
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
		if (busy) {
			WRITE_ONCE(slot->exiting, true);
			/* If exec failed, the owner goes on and we keep mm. */
			WRITE_ONCE(mm->owner, NULL);
		} else {
			unlink_slot(slot);
		}
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

	locked = !slot->marked && slot->cleared == ktierd_round_nr() &&
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

/**
 * ktierd_registry_init() - get ready to register processes
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_registry_init(void)
{
	slot_cache = KMEM_CACHE(ktierd_slot, SLAB_ACCOUNT);
	return slot_cache ? 0 : -ENOMEM;
}
