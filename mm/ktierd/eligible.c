// SPDX-License-Identifier: GPL-2.0
/*
 * Which VMAs, folios and target nodes are allowed.
 *
 * The owner of memory decides where it may live, not the thread that moves it.
 * So nothing here asks about current: cpuset and mempolicy are those of the
 * mm's owner and of the VMA.
 */

#include <linux/cgroup.h>
#include <linux/cpuset.h>
#include <linux/dax.h>
#include <linux/hugetlb.h>
#include <linux/ksm.h>
#include <linux/memory-tiers.h>
#include <linux/mempolicy.h>
#include <linux/mm_inline.h>
#include <linux/sched/task.h>
#include <linux/secretmem.h>

#include "../internal.h"
#include "internal.h"

/**
 * ktierd_vma_tierable() - can the pages of a VMA be tiered at all?
 * @vma: the VMA
 *
 * Return: false for what has no pages of its own (VM_IO, VM_PFNMAP, DAX, the
 * vdso), whose pages can't move (secretmem) or are not worth it (droppable),
 * and for hugetlb, whose pages are reserved by node.
 */
bool ktierd_vma_tierable(struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_HUGETLB | VM_DROPPABLE))
		return false;
	if (!vma_is_anonymous(vma) && !vma->vm_file)
		return false;
	return !vma_is_dax(vma) && !vma_is_secretmem(vma);
}

/**
 * ktierd_vma_wanted() - does a walk go into a VMA?
 * @vma: the VMA, mmap_lock held
 *
 * Asked on every pass: mlock sets VM_IO for a moment, and mprotect comes and
 * goes.
 *
 * Return: true if it is marked and its pages can be sampled and moved.
 */
bool ktierd_vma_wanted(struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_TIER) && ktierd_vma_tierable(vma) &&
	       vma_is_accessible(vma) && vma_migratable(vma);
}

/*
 * Modes that name the nodes where memory must be.  The others name a node to
 * try first and allow any after it, so they limit nothing.
 */
static void policy_nodes(struct mempolicy *pol, nodemask_t *nodes)
{
	switch (pol ? pol->mode : MPOL_DEFAULT) {
	case MPOL_BIND:
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		*nodes = pol->nodes;
		break;
	default:
		nodes_setall(*nodes);
	}
}

/**
 * ktierd_owner_limits() - where the owner of an mm lets its memory live
 * @mm: the mm
 * @limits: the answer
 *
 * A task that fork has not let go yet is in nobody's cpuset.
 *
 * Return: false if there is no owner, or it is not known yet where it belongs:
 * then nothing may be moved.
 */
bool ktierd_owner_limits(struct mm_struct *mm, struct ktierd_limits *limits)
{
	struct task_struct *task;
	bool known = false;

	rcu_read_lock();
	task = rcu_dereference(mm->owner);
	if (task && !(READ_ONCE(task->__state) & TASK_NEW)) {
		limits->cpuset = cpuset_mems_allowed(task);
		task_lock(task);
		policy_nodes(task->mempolicy, &limits->policy);
		task_unlock(task);
		known = true;
	}
	rcu_read_unlock();
	return known;
}

/**
 * ktierd_cpusets_move_all() - does a cpuset that shrinks move its memory?
 *
 * Return: true if it does, also what others map.  Of version 1 it may be told to,
 * which is not to be seen here, and by default moves nothing.
 */
bool ktierd_cpusets_move_all(void)
{
#ifdef CONFIG_CPUSETS
	return cgroup_subsys_on_dfl(cpuset_cgrp_subsys);
#else
	return false;
#endif
}

/**
 * ktierd_policy_by_page() - may the pages of a VMA have policies of their own?
 * @vma: the VMA
 *
 * Return: true of shared memory, which may have one for each range of the file.
 */
bool ktierd_policy_by_page(struct vm_area_struct *vma)
{
	return vma->vm_ops && vma->vm_ops->get_policy;
}

/**
 * ktierd_vma_limits() - where the pages of a VMA may live
 * @vma: the VMA, mmap_lock held
 * @addr: the page; shared memory may have several policies
 * @owner: limits of the owner of its mm
 * @limits: the answer; may be @owner
 *
 * Return: true if the memory has a policy of its own.
 */
bool ktierd_vma_limits(struct vm_area_struct *vma, unsigned long addr,
		       const struct ktierd_limits *owner,
		       struct ktierd_limits *limits)
{
	struct mempolicy *pol;
	pgoff_t ilx;

	*limits = *owner;
	pol = __get_vma_policy(vma, addr, &ilx);
	if (!pol)
		return false;
	policy_nodes(pol, &limits->policy);
	mpol_cond_put(pol);
	return true;
}

/**
 * ktierd_owner_allows() - is a node still in the cpuset of an mm's owner?
 * @mm: the mm
 * @nid: the node
 *
 * Asked again right before pages move there, because a cpuset may have shrunk
 * since they were chosen.
 *
 * Return: true if it is.
 */
bool ktierd_owner_allows(struct mm_struct *mm, int nid)
{
	struct ktierd_limits limits;

	return ktierd_owner_limits(mm, &limits) &&
	       node_isset(nid, limits.cpuset);
}

/* Migration would split it. What changes under our feet, migration sees. */
static bool folio_half_unmapped(struct folio *folio)
{
	return folio_order(folio) > 1 &&
	       /* a look without the queue's lock; its owner may be at it */
	       !data_race(list_empty(&folio->_deferred_list)) &&
	       folio_test_partially_mapped(folio) && !folio_wholly_mapped(folio);
}

/**
 * ktierd_folio_movable() - may a folio be moved?
 * @folio: the folio, mapped and the page-table lock held
 * @asked: all who may map it have asked for tiering
 *
 * What is found here may change the next moment; migration checks references
 * and the lock again, and fails.
 *
 * Return: KTIERD_MOVABLE, or why not.
 */
enum ktierd_fail ktierd_folio_movable(struct folio *folio, bool asked)
{
	if (folio_test_ksm(folio) ||
	    (!asked && folio_likely_mapped_shared(folio)))
		return KTIERD_SHARED;
	if (folio_maybe_dma_pinned(folio))
		return KTIERD_PINNED;
	/* Memory has failed, and somebody is about to take it away. */
	if (folio_contain_hwpoisoned_page(folio))
		return KTIERD_BUSY;
	if (folio_test_anon(folio) && !folio_test_swapbacked(folio))
		return KTIERD_LAZYFREE;
	if (folio_is_file_lru(folio) && folio_test_dirty(folio))
		return KTIERD_DIRTY;
	if (folio_test_locked(folio) || folio_test_writeback(folio))
		return KTIERD_LOCKED;
	if (folio_half_unmapped(folio))
		return KTIERD_PARTIAL;
	return KTIERD_MOVABLE;
}

/**
 * ktierd_dirty_known() - may the dirty bit of a mapped folio be cleared?
 * @vma: the VMA, a private one without secondary MMUs
 * @folio: the folio, mapped and the page-table lock held
 *
 * Only if PG_dirty can stand for it.  Of a folio in the swap cache the bit is
 * the only record that swap is stale; with MADV_FREE it is what keeps the page;
 * of page cache a file system may have been told by it, or has to be; and KSM
 * marks its zero page with it.
 *
 * Return: true if so.
 */
bool ktierd_dirty_known(struct vm_area_struct *vma, struct folio *folio)
{
	return folio_test_anon(folio) && !folio_test_ksm(folio) &&
	       folio_test_swapbacked(folio) && !folio_test_swapcache(folio);
}

/**
 * ktierd_tiers() - which nodes are in the top tier, and is there a lower one?
 * @top: the nodes with memory that are
 *
 * Return: true if there is memory in a lower tier.
 */
bool ktierd_tiers(nodemask_t *top)
{
	bool lower = false;
	int nid;

	nodes_clear(*top);
	for_each_node_state(nid, N_MEMORY) {
		/* It is coming online, and has no tier yet: not the top one. */
		if (!rcu_access_pointer(NODE_DATA(nid)->memtier))
			continue;
		if (node_is_toptier(nid))
			node_set(nid, *top);
		else
			lower = true;
	}
	return lower && !nodes_empty(*top);
}

/**
 * ktierd_allowed() - which of some nodes may memory live on?
 * @nodes: the nodes, and afterwards those of them that are allowed
 * @limits: where it may live
 *
 * Return: KTIERD_MOVABLE, or why there is none.
 */
enum ktierd_fail ktierd_allowed(nodemask_t *nodes,
				const struct ktierd_limits *limits)
{
	nodes_and(*nodes, *nodes, node_states[N_MEMORY]);
	if (nodes_empty(*nodes))
		return KTIERD_NO_ROOM;
	nodes_and(*nodes, *nodes, limits->cpuset);
	if (nodes_empty(*nodes))
		return KTIERD_CPUSET;
	nodes_and(*nodes, *nodes, limits->policy);
	if (nodes_empty(*nodes))
		return KTIERD_POLICY;
	return KTIERD_MOVABLE;
}

static int nearest(int from, const nodemask_t *nodes)
{
	int nid, best = NUMA_NO_NODE;

	for_each_node_mask(nid, *nodes)
		if (best == NUMA_NO_NODE ||
		    node_distance(from, nid) < node_distance(from, best))
			best = nid;
	return best;
}

/**
 * ktierd_demotion_target() - where a page of a top-tier node goes down to
 * @nid: the node it is on
 * @top: the top-tier nodes
 * @limits: where it may live
 * @target: the nearest allowed node of a lower tier with a page free, or, if
 *	all are full, the nearest
 *
 * Return: KTIERD_MOVABLE, or why there is none.
 */
enum ktierd_fail ktierd_demotion_target(int nid, const nodemask_t *top,
					const struct ktierd_limits *limits,
					int *target)
{
	enum ktierd_fail why;
	nodemask_t nodes, roomy;
	int low;

	node_get_allowed_targets(NODE_DATA(nid), &nodes);
	nodes_andnot(nodes, nodes, *top);
	why = ktierd_allowed(&nodes, limits);
	if (why != KTIERD_MOVABLE)
		return why;

	nodes_clear(roomy);
	for_each_node_mask(low, nodes)
		if (ktierd_node_takes(low))
			node_set(low, roomy);
	*target = nearest(nid, nodes_empty(roomy) ? &nodes : &roomy);
	return KTIERD_MOVABLE;
}

/**
 * ktierd_promotion_target() - where a page of a lower tier goes up to
 * @nid: the node it is on
 * @top: the top-tier nodes
 * @limits: where it may live
 * @roomy: those of them with room
 * @target: the nearest allowed of these
 *
 * Return: KTIERD_MOVABLE, or why there is none.
 */
enum ktierd_fail ktierd_promotion_target(int nid, const nodemask_t *top,
					 const struct ktierd_limits *limits,
					 const nodemask_t *roomy, int *target)
{
	nodemask_t nodes = *top;
	enum ktierd_fail why = ktierd_allowed(&nodes, limits);

	if (why != KTIERD_MOVABLE)
		return why;
	nodes_and(nodes, nodes, *roomy);
	*target = nearest(nid, &nodes);
	return *target == NUMA_NO_NODE ? KTIERD_NO_ROOM : KTIERD_MOVABLE;
}
