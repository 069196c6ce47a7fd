// SPDX-License-Identifier: GPL-2.0
/*
 * Moving pages: isolate, batch, move, put back, and count why not.
 *
 * A walk over the blocks that have something to move isolates folios under the
 * page-table lock.  Once a batch is together the walk lets go of all locks, and
 * migrate_pages() moves it: asynchronously, which batches its TLB flushes and
 * never waits for a folio.  A thread of the application that faults on a page
 * in a batch waits for that batch, so its size bounds what tiering can cost
 * anyone at once.
 *
 * Pages are allocated at the target or not at all.  Promotion never goes into
 * reclaim, nor below the low watermarks, nor into the headroom (see room.c).
 * Demotion wakes the target's kswapd, so that a lower tier that is full makes room
 * for a later try.
 */

#include <linux/error-injection.h>
#include <linux/memory-tiers.h>
#include <linux/mempolicy.h>
#include <linux/migrate.h>
#include <linux/sched/cputime.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <trace/events/ktierd.h>

#include "../internal.h"
#include "internal.h"

/*
 * A walk stops for its batch when it has this many pages, in the middle of a page
 * table if need be.  Who touches one of them waits for all; and for isolating
 * them the page-table lock is held.
 */
#define KTIERD_BATCH_PAGES	64

/* After a round that mostly failed, let up to this many pass. */
#define KTIERD_BACKOFF_MAX	8U

/**
 * struct ktierd_move - moving pages of a process in one direction
 * @walk: the walk that isolates them
 * @quota: what is still to be moved
 * @promote: up, else down
 * @room_known: which top-tier nodes have room is known, since mmap_lock is held
 * @batch: pages that are isolated
 * @first: address of the first of them
 * @moved: pages that were moved
 * @failed: pages that were wanted and stayed
 */
struct ktierd_move {
	struct ktierd_walk walk;
	struct ktierd_quota *quota;
	bool promote;
	bool room_known;
	unsigned int batch;
	unsigned long first;
	u64 moved;
	u64 failed;
};

/* CPU time of the thread in batches, apart from finding what goes into them. */
static u64 migrate_ns;

/*
 * What is isolated, by target node.  Large folios apart: migrate_pages() gives
 * a list up when an allocation fails, and a want of huge pages must not stop
 * small ones.
 */
static struct {
	struct list_head small;
	struct list_head large;
} *isolated;

/**
 * struct target - where pages of a node go
 * @known: that is worked out
 * @why: why they can't go anywhere, or KTIERD_MOVABLE
 * @nid: the node
 */
struct target {
	bool known;
	enum ktierd_fail why;
	int nid;
};

/* By node, worked out once for each VMA and lock hold. */
static struct {
	struct target own;
	struct target shared;	/* of what others map, too */
} *targets;

/* Top-tier nodes with room, the same. */
static nodemask_t roomy;

/* Batches of all processes, one after the other; never 0. */
static u32 batch_nr = 1;

const char * const ktierd_fail_names[KTIERD_NR_FAILS] = {
	[KTIERD_BUSY]		= "busy",
	[KTIERD_PINNED]		= "pinned",
	[KTIERD_SHARED]		= "shared",
	[KTIERD_LOCKED]		= "locked",
	[KTIERD_POLICY]		= "policy",
	[KTIERD_CPUSET]		= "cpuset",
	[KTIERD_NO_ROOM]	= "no_room",
	[KTIERD_HUGE_NO_ROOM]	= "huge_no_room",
	[KTIERD_RATE]		= "rate",
	[KTIERD_LAZYFREE]	= "lazyfree",
	[KTIERD_DIRTY]		= "dirty",
	[KTIERD_PARTIAL]	= "partial",
};

/* Whether a huge page that should have come up has found no room. */
static bool huge_lacked;

static atomic64_t pages_promoted;
static atomic64_t pages_demoted;
static atomic64_t pages_returned;
static atomic64_t pages_failed[KTIERD_NR_FAILS];

u64 ktierd_pages_promoted(void)
{
	return atomic64_read(&pages_promoted);
}

u64 ktierd_pages_demoted(void)
{
	return atomic64_read(&pages_demoted);
}

/* Pages that were moved back soon after they had been moved. */
u64 ktierd_pages_returned(void)
{
	return atomic64_read(&pages_returned);
}

u64 ktierd_pages_failed(enum ktierd_fail why)
{
	return atomic64_read(&pages_failed[why]);
}

/**
 * ktierd_count_fail() - count pages that should have moved
 * @slot: whose they are; NULL for those of any process
 * @why: why they stayed
 * @nr_pages: how many
 */
void ktierd_count_fail(struct ktierd_slot *slot, enum ktierd_fail why,
		       u64 nr_pages)
{
	if (slot)
		WRITE_ONCE(slot->stat.failed[why],
			   slot->stat.failed[why] + nr_pages);
	atomic64_add(nr_pages, &pages_failed[why]);
	count_vm_events(KTIERD_PAGES_FAILED, nr_pages);
}

static void count_stay(struct ktierd_move *move, enum ktierd_fail why,
		       unsigned int nr_pages)
{
	ktierd_count_fail(move->walk.slot, why, nr_pages);
	move->failed += nr_pages;
}

static void count_returned(struct ktierd_stat *stat, u64 nr_pages)
{
	WRITE_ONCE(stat->returned, stat->returned + nr_pages);
	atomic64_add(nr_pages, &pages_returned);
}

static void count_moved(struct ktierd_move *move, u64 nr_pages)
{
	struct ktierd_stat *stat = &move->walk.slot->stat;

	move->moved += nr_pages;
	if (move->promote) {
		WRITE_ONCE(stat->promoted, stat->promoted + nr_pages);
		atomic64_add(nr_pages, &pages_promoted);
		count_vm_events(KTIERD_PAGES_PROMOTED, nr_pages);
	} else {
		WRITE_ONCE(stat->demoted, stat->demoted + nr_pages);
		atomic64_add(nr_pages, &pages_demoted);
		count_vm_events(KTIERD_PAGES_DEMOTED, nr_pages);
	}
}

/**
 * struct ktierd_dst - where migrate_pages() gets target folios
 * @nid: the target node
 * @promote: it is in the top tier, and has headroom to keep
 * @no_room: a folio was not to be had
 * @room: pages that it may take in all without touching that
 * @floor: pages that must be free afterwards, as ktierd_node_free_about() counts:
 *	others allocate as well.  If they are not, room is looked for anew
 * @nr_pages: pages that were got and not given back: those that have moved
 */
struct ktierd_dst {
	int nid;
	bool promote;
	bool no_room;
	u64 room;
	u64 floor;
	u64 nr_pages;
};

static void dst_find_room(struct ktierd_dst *dst)
{
	u64 free = ktierd_node_free_about(dst->nid);
	u64 room = ktierd_node_room(dst->nid);

	dst->room = dst->nr_pages + room;
	dst->floor = free - min(free, room);
}

static bool dst_fits(const struct ktierd_dst *dst, unsigned int nr_pages)
{
	return dst->room >= dst->nr_pages + nr_pages &&
	       ktierd_node_free_about(dst->nid) >= dst->floor + nr_pages;
}

static bool dst_has_room(struct ktierd_dst *dst, unsigned int nr_pages)
{
	/* The node may have gone offline since it was chosen. */
	if (!node_state(dst->nid, N_MEMORY))
		return false;
	if (!dst->promote || dst_fits(dst, nr_pages))
		return true;
	/* A processor may have taken more than it needs: what is at hand counts. */
	dst_find_room(dst);
	return dst_fits(dst, nr_pages);
}

static gfp_t dst_gfp(const struct ktierd_dst *dst, unsigned int order)
{
	gfp_t gfp = order ? GFP_TRANSHUGE_LIGHT :
			    GFP_HIGHUSER_MOVABLE | __GFP_NOMEMALLOC |
			    __GFP_NOWARN;

	gfp &= ~__GFP_RECLAIM;
	if (!dst->promote)
		gfp |= __GFP_KSWAPD_RECLAIM;
	return gfp | __GFP_THISNODE;
}

static struct folio *dst_alloc(struct folio *src, unsigned long private)
{
	struct ktierd_dst *dst = (struct ktierd_dst *)private;
	unsigned int order = folio_order(src);
	struct folio *folio = NULL;

	if (dst_has_room(dst, 1U << order))
		folio = __folio_alloc_node(dst_gfp(dst, order), order,
					   dst->nid);
	if (folio) {
		dst->nr_pages += 1U << order;
		return folio;
	}
	dst->no_room = true;
	if (dst->promote && 1U << order == KTIERD_BLOCK_PAGES)
		WRITE_ONCE(huge_lacked, true);
	return NULL;
}

/**
 * ktierd_huge_lacked() - was there no room above for a huge page?
 *
 * Return: true if so since this was asked last.
 */
bool ktierd_huge_lacked(void)
{
	bool lacked = READ_ONCE(huge_lacked);

	WRITE_ONCE(huge_lacked, false);
	return lacked;
}

static void dst_put(struct folio *folio, unsigned long private)
{
	struct ktierd_dst *dst = (struct ktierd_dst *)private;

	dst->nr_pages -= folio_nr_pages(folio);
	folio_put(folio);
}

static enum ktierd_fail why_left(struct folio *folio,
				 const struct ktierd_dst *dst)
{
	if (folio_maybe_dma_pinned(folio))
		return KTIERD_PINNED;
	if (folio_test_locked(folio) || folio_test_writeback(folio))
		return KTIERD_LOCKED;
	if (dst->no_room)
		return folio_test_large(folio) ? KTIERD_HUGE_NO_ROOM :
						 KTIERD_NO_ROOM;
	return KTIERD_BUSY;
}

/* As reclaim does, count it on the node in the top tier. */
static void count_cgroup(struct mem_cgroup *memcg, bool promote, int from,
			 int to, u64 nr_pages)
{
	int nid = promote ? to : from;

	mod_lruvec_state(mem_cgroup_lruvec(memcg, NODE_DATA(nid)),
			 promote ? PGPROMOTE_KTIERD : PGDEMOTE_KTIERD, nr_pages);
}

/* Of one cgroup, and if they are demoted from one node. */
static void move_alike(struct ktierd_move *move, struct list_head *list, int nid)
{
	struct ktierd_slot *slot = move->walk.slot;
	struct ktierd_dst dst = {
		.nid		= nid,
		.promote	= move->promote,
	};
	struct folio *folio = list_first_entry(list, struct folio, lru);
	struct mem_cgroup *memcg = get_mem_cgroup_from_folio(folio);
	int from = folio_nid(folio);
	u64 stayed = move->failed;
	bool allowed;

	if (move->promote)
		dst_find_room(&dst);
	allowed = ktierd_owner_allows(slot->slot.mm, nid);
	if (allowed)
		migrate_pages(list, dst_alloc, dst_put, (unsigned long)&dst,
			      MIGRATE_ASYNC, MR_KTIERD, NULL);
	count_moved(move, dst.nr_pages);
	count_cgroup(memcg, move->promote, from, nid, dst.nr_pages);
	mem_cgroup_put(memcg);

	list_for_each_entry(folio, list, lru)
		count_stay(move, allowed ? why_left(folio, &dst) :
					   KTIERD_CPUSET,
			   folio_nr_pages(folio));
	if (!list_empty(list))
		ktierd_history_stale(slot, move->first, move->walk.next,
				     batch_nr);
	putback_movable_pages(list);
	if (trace_migrate_enabled())
		trace_migrate(ktierd_slot_pid(slot), nid, move->promote,
			      dst.nr_pages, move->failed - stayed);
}

/* What is on a list is nearly always alike. */
static void move_list(struct ktierd_move *move, struct list_head *list, int nid)
{
	struct folio *first, *folio, *next;
	LIST_HEAD(alike);

	while (!list_empty(list)) {
		first = list_first_entry(list, struct folio, lru);
		list_for_each_entry_safe(folio, next, list, lru)
			if (folio_memcg(folio) == folio_memcg(first) &&
			    (move->promote ||
			     folio_nid(folio) == folio_nid(first)))
				list_move_tail(&folio->lru, &alike);
		move_alike(move, &alike, nid);
	}
}

/**
 * struct leaving - nodes that a process has lost, and whose pages have to go
 * @work: a worker may wait, which the thread must not
 * @mm: the process
 * @lost: the nodes
 */
struct leaving {
	struct work_struct work;
	struct mm_struct *mm;
	nodemask_t lost;
};

static void leave_nodes(struct work_struct *work)
{
	struct leaving *leaving = container_of(work, struct leaving, work);
	struct mm_struct *mm = leaving->mm;
	struct ktierd_limits now;

	/* It may have got some of them back. */
	if (ktierd_owner_limits(mm, &now)) {
		nodes_andnot(leaving->lost, leaving->lost, now.cpuset);
		if (!nodes_empty(leaving->lost))
			do_migrate_pages(mm, &leaving->lost, &now.cpuset,
					 ktierd_cpusets_move_all() ?
					 MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
	}
	mmput(mm);
	kfree(leaving);
}

/*
 * A cpuset that shrinks moves what it finds on the nodes that it loses.  It does
 * not find what was isolated here just then; so have that done once more.
 */
static void leave_lost_nodes(const struct ktierd_move *move)
{
	struct mm_struct *mm = move->walk.slot->slot.mm;
	struct ktierd_limits now;
	struct leaving *leaving;
	nodemask_t lost;

	if (!ktierd_owner_limits(mm, &now))
		return;
	nodes_andnot(lost, move->walk.owner.cpuset, now.cpuset);
	if (!nodes_intersects(lost, node_states[N_MEMORY]))
		return;
	/* Rare enough to reclaim a little for; without it pages would stay there. */
	leaving = kmalloc(sizeof(*leaving),
			  GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	if (!leaving || !mmget_not_zero(mm)) {
		kfree(leaving);
		return;
	}
	INIT_WORK(&leaving->work, leave_nodes);
	leaving->mm = mm;
	leaving->lost = lost;
	queue_work(system_unbound_wq, &leaving->work);
}

/* No lock is held. */
static void move_batch(struct ktierd_walk *walk)
{
	struct ktierd_move *move = container_of(walk, struct ktierd_move, walk);
	u64 start;
	int nid;

	move->room_known = false;
	if (move->batch) {
		start = task_sched_runtime(current);
		for_each_node_state(nid, N_POSSIBLE) {
			move_list(move, &isolated[nid].small, nid);
			move_list(move, &isolated[nid].large, nid);
		}
		leave_lost_nodes(move);
		ktierd_share_again(walk->slot);
		move->batch = 0;
		batch_nr = batch_nr + 1 ?: 1;
		WRITE_ONCE(migrate_ns, migrate_ns +
					   task_sched_runtime(current) - start);
	}
	if (!READ_ONCE(ktierd_tunables.migrate_mbps))
		move->quota->pages = 0;
}

/* May pages of the VMA go where the move would take them? */
static bool vma_allowed(const struct ktierd_move *move,
			struct vm_area_struct *vma)
{
	nodemask_t nodes = move->walk.round->top;

	if (!move->promote)
		nodes_andnot(nodes, node_states[N_MEMORY], nodes);
	return ktierd_policy_by_page(vma) ||
	       ktierd_allowed(&nodes, &move->walk.vma) == KTIERD_MOVABLE;
}

/* Once for all VMAs: there may be many, and none of them need have pages. */
static void learn_room(struct ktierd_move *move)
{
	int nid;

	nodes_clear(roomy);
	for_each_node_mask(nid, move->walk.round->top)
		if (ktierd_node_room(nid))
			node_set(nid, roomy);
	move->room_known = true;
}

static bool move_enter(struct ktierd_walk *walk, struct vm_area_struct *vma)
{
	struct ktierd_move *move = container_of(walk, struct ktierd_move, walk);

	if (!move->quota->pages || !ktierd_walk_limits(walk, vma) ||
	    !vma_allowed(move, vma))
		return false;
	ktierd_share_learn(walk, vma);
	memset(targets, 0, sizeof(*targets) * nr_node_ids);
	if (move->promote && !move->room_known)
		learn_room(move);
	return true;
}

static void work_out_target(struct ktierd_move *move, int nid,
			    const struct ktierd_limits *limits,
			    struct target *target)
{
	const nodemask_t *top = &move->walk.round->top;

	if (move->promote)
		target->why = ktierd_promotion_target(nid, top, limits, &roomy,
						      &target->nid);
	else
		target->why = ktierd_demotion_target(nid, top, limits,
						     &target->nid);
	target->known = true;
}

static const struct target *find_target(struct ktierd_move *move,
					struct vm_area_struct *vma,
					unsigned long addr, int nid, bool shared)
{
	struct target *target = shared ? &targets[nid].shared :
					 &targets[nid].own;
	bool by_page = ktierd_policy_by_page(vma), its_own = false;
	struct ktierd_limits limits;

	if (target->known && !by_page)
		return target;
	limits = move->walk.vma;
	if (by_page)
		its_own = ktierd_vma_limits(vma, addr, &move->walk.owner,
					    &limits);
	if (shared)
		ktierd_share_limits(&limits, !its_own);
	work_out_target(move, nid, &limits, target);
	return target;
}

/*
 * The page-table lock is held, which keeps the folio.  It stands alone so that
 * it can be made to fail.
 */
static noinline int ktierd_isolate_folio(struct folio *folio, struct list_head *list)
{
	return isolate_folio_to_list(folio, list) ? 0 : -EBUSY;
}
ALLOW_ERROR_INJECTION(ktierd_isolate_folio, ERRNO);

static bool wanted(const struct ktierd_move *move, unsigned int rank)
{
	return move->promote ? ktierd_quota_wants_hot(move->quota, rank) :
			       ktierd_quota_wants_cold(move->quota, rank);
}

/* How hot the pages of the block are that is looked at. */
static struct ktierd_levels known[KTIERD_GROUPS];
/* And those that others map, too: as hot as their hottest use. */
static struct ktierd_shared known_shared;

/* Ahead of the page-table lock. */
static void learn_levels(const struct ktierd_move *move,
			 const struct ktierd_block *block, unsigned long addr)
{
	unsigned int cold_ticks = move->walk.round->cold_ticks, group;
	u64 top = move->promote ? 0 : ~0ULL;

	for (group = 0; group < ktierd_block_groups(block); group++)
		ktierd_levels_get(&known[group], &block->group[group].heat, top,
				  cold_ticks);
	if (!block->shared)
		return;
	memset(known_shared.pages, 0xff, sizeof(known_shared.pages));
	memset(known_shared.top, (u8)top, sizeof(known_shared.top));
	ktierd_share_levels(&known_shared, addr, block->shape == KTIERD_HUGE,
			    cold_ticks);
	for (group = 0; group < ktierd_block_groups(block); group++)
		ktierd_levels_max(&known_shared.levels[group], &known[group],
				  ~0ULL);
}

static unsigned int page_rank(struct ktierd_move *move,
			      const struct ktierd_block *block, unsigned int i,
			      bool shared)
{
	const struct ktierd_plan *plan = &move->walk.slot->budget->plan;
	const struct ktierd_levels *levels;
	unsigned int level;

	if (block->shape == KTIERD_IDLE) {
		level = ktierd_idle_level(block->idle,
					  move->walk.round->cold_ticks);
		return plan->rank[level][0];
	}
	levels = shared ? &known_shared.levels[i / KTIERD_GROUP_PAGES] :
			  &known[i / KTIERD_GROUP_PAGES];
	i %= KTIERD_GROUP_PAGES;
	level = ktierd_levels_at(levels, i);
	return plan->rank[level][ktierd_levels_class(levels, i)];
}

/* Pages of a group that may be wanted: of levels that are, on the other side. */
static u64 candidates(const struct ktierd_move *move,
		      const struct ktierd_block *block, unsigned int group)
{
	u32 levels = move->quota->levels;
	u64 top, pages;

	if (block->shape == KTIERD_IDLE)
		return ~0ULL;
	top = block->group[group].top;
	pages = ktierd_levels_among(&known[group], levels);
	if (block->shared)
		pages |= ktierd_levels_among(&known_shared.levels[group],
					     levels);
	if (!block->stale)
		pages &= move->promote ? ~top : top;
	return pages;
}

/**
 * struct mapped - a folio that may move, and where a process maps it
 * @folio: the folio
 * @vma: the VMA
 * @addr: its first page there
 * @block: histories of its pages
 * @first: its first page in the block
 * @nr: pages of it that are mapped, 1 for a huge page
 * @whole: that is all of it
 * @shared: others map it as well
 */
struct mapped {
	struct folio *folio;
	struct vm_area_struct *vma;
	unsigned long addr;
	struct ktierd_block *block;
	unsigned int first;
	unsigned int nr;
	bool whole;
	bool shared;
};

static unsigned int mapped_pages(const struct mapped *it)
{
	return it->whole ? folio_nr_pages(it->folio) : it->nr;
}

/* Why does it stay?  If it does not it is isolated, for the node @to. */
static enum ktierd_fail isolate(struct ktierd_move *move,
				const struct mapped *it, int *to)
{
	bool asked = it->shared && ktierd_share_asked() == KTIERD_ALL_ASKED;
	const struct target *target;
	enum ktierd_fail why;
	struct list_head *list;

	why = it->whole ? ktierd_folio_movable(it->folio, asked) :
			  KTIERD_PARTIAL;
	if (why != KTIERD_MOVABLE) {
		it->block->stale = true;	/* that was not known */
		return why;
	}
	target = find_target(move, it->vma, it->addr, folio_nid(it->folio),
			     it->shared);
	if (target->why != KTIERD_MOVABLE)
		return target->why;

	list = folio_test_large(it->folio) ? &isolated[target->nid].large :
					     &isolated[target->nid].small;
	if (ktierd_isolate_folio(it->folio, list))
		return KTIERD_BUSY;
	/* Not to the youngest generation over there. */
	if (!move->promote)
		folio_clear_active(it->folio);
	*to = target->nid;
	return KTIERD_MOVABLE;
}

/*
 * Pages of a table that others map, too, and that have been isolated: the others
 * are told when the page-table lock is dropped.  And which of them are known to
 * have been moved before, lately.
 */
static struct {
	u64 moved[KTIERD_GROUPS];
	u64 before[KTIERD_GROUPS];
	bool any;
} to_tell;

static void tell_others(struct ktierd_stat *stat, unsigned long addr, bool huge)
{
	unsigned int group, returned = 0;

	if (!to_tell.any)
		return;
	ktierd_share_moved(addr, to_tell.moved, to_tell.before, huge);
	for (group = 0; group < KTIERD_GROUPS; group++)
		returned += hweight64(to_tell.before[group]);
	count_returned(stat, huge ? returned * KTIERD_BLOCK_PAGES : returned);
	memset(&to_tell, 0, sizeof(to_tell));
}

static void note_returned(struct ktierd_stat *stat, const struct mapped *it,
			  unsigned int group, u64 page, bool before)
{
	if (it->shared) {
		to_tell.any = true;
		to_tell.moved[group] |= page;
		to_tell.before[group] |= before ? page : 0;
	} else if (before) {
		count_returned(stat, mapped_pages(it) / it->nr);
	}
}

static void note_moved(const struct ktierd_move *move, const struct mapped *it,
		       unsigned int i, int from, int to)
{
	unsigned int group = i / KTIERD_GROUP_PAGES;
	u64 page = 1ULL << i % KTIERD_GROUP_PAGES;
	struct ktierd_heat *heat;

	it->block->batch = batch_nr;
	ktierd_history_moved(it->block, i, from, to, move->promote);
	if (it->block->shape == KTIERD_IDLE)
		return;
	heat = &it->block->group[group].heat;
	note_returned(&move->walk.slot->stat, it, group, page, heat->moved & page);
	ktierd_heat_moved(heat, page);
}

static void note_isolated(struct ktierd_move *move, const struct mapped *it,
			  int from, int to)
{
	unsigned int i;

	for (i = 0; i < it->nr; i++)
		note_moved(move, it, it->first + i, from, to);
	if (!move->batch)
		move->first = it->addr;
	move->batch += mapped_pages(it);
	if (move->batch >= KTIERD_BATCH_PAGES)
		move->walk.stop = true;
}

/*
 * Is it too early to say whether a shared page is to move?  Whether all have
 * asked could not be told, or nobody knew that it is one when it was counted.
 */
static bool too_early(const struct mapped *it)
{
	return it->shared && ktierd_share_asked() != KTIERD_NOT_ASKED &&
	       (ktierd_share_asked() == KTIERD_ASK_LATER || !it->block->shared);
}

/* There is nothing left to look for: what is isolated is moved, and that is it. */
static void enough(struct ktierd_move *move)
{
	move->walk.stop = true;
	move->walk.enough = true;
}

/* Isolate a folio if it is to move. */
static void consider(struct ktierd_move *move, struct mapped *it)
{
	int nid = folio_nid(it->folio), to;
	unsigned int i, rank = 0;
	enum ktierd_fail why;

	if (node_isset(nid, move->walk.round->top) == move->promote)
		return;
	it->shared = folio_likely_mapped_shared(it->folio);
	if (too_early(it)) {
		it->block->stale = true;
		return;
	}
	for (i = 0; i < it->nr; i++)
		rank = max(rank, page_rank(move, it->block, it->first + i,
					   it->shared && it->block->shared));
	if (!wanted(move, rank))
		return;

	why = isolate(move, it, &to);
	if (why != KTIERD_MOVABLE) {
		count_stay(move, why, mapped_pages(it));
		return;
	}
	ktierd_quota_take(move->quota, rank, mapped_pages(it));
	note_isolated(move, it, nid, to);
	if (!move->quota->pages)
		enough(move);
}

/**
 * struct table - a page table whose pages may move
 * @vma: the VMA
 * @addr: address of its entry 0
 * @pte: its entry 0
 * @first: first entry that is in the VMA, and was not considered yet
 * @end: and the end of those
 * @block: histories of its pages
 * @pages: which of them may be wanted
 * @looks: how often an entry was looked at
 */
struct table {
	struct vm_area_struct *vma;
	unsigned long addr;
	pte_t *pte;
	unsigned int first;
	unsigned int end;
	struct ktierd_block *block;
	u64 pages[KTIERD_GROUPS];
	unsigned int looks;
};

/*
 * The entry with which a large folio begins if it is mapped here as a whole.  The
 * entries in between are left to table_batch().
 */
static unsigned int folio_begin(const struct table *table, struct folio *folio,
				unsigned int i)
{
	unsigned long pfn = pte_pfn(ptep_get(table->pte + i));
	unsigned int before = min_t(unsigned long, i - table->first,
				    pfn - folio_pfn(folio));
	pte_t pte = ptep_get(table->pte + i - before);

	if (!pte_present(pte) || pte_pfn(pte) != pfn - before)
		return i;
	return i - before;
}

static unsigned int table_batch(struct table *table, struct folio *folio,
				unsigned int i)
{
	const fpb_t flags = FPB_IGNORE_DIRTY | FPB_IGNORE_SOFT_DIRTY;
	unsigned int nr;

	nr = folio_pte_batch(folio, table->addr + i * PAGE_SIZE,
			     table->pte + i, ptep_get(table->pte + i),
			     table->end - i, flags, NULL, NULL, NULL);
	table->looks += nr;
	return nr;
}

/* Return: the entry to go on with. */
static unsigned int consider_pte(struct ktierd_move *move, struct table *table,
				 unsigned int i)
{
	unsigned long addr = table->addr + i * PAGE_SIZE;
	unsigned int begin = i, nr = 1;
	pte_t ptent = ptep_get(table->pte + i);
	struct folio *folio;

	if (!pte_present(ptent))
		return i + 1;
	folio = ktierd_pte_folio(table->vma, addr, ptent);
	if (!folio)
		return i + 1;
	table->looks += !folio_test_large(folio);
	if (folio_test_large(folio)) {
		begin = folio_begin(table, folio, i);
		nr = table_batch(table, folio, begin);
		/* What is mapped in different ways is not whole anyway. */
		if (begin + nr <= i) {
			begin = i;
			nr = table_batch(table, folio, begin);
		}
	}
	consider(move, &(struct mapped){
		.folio	= folio,
		.vma	= table->vma,
		.addr	= table->addr + begin * PAGE_SIZE,
		.block	= table->block,
		.first	= begin,
		.nr	= nr,
		.whole	= nr == folio_nr_pages(folio),
	});
	return begin + nr;
}

/* Up to the end, or until a batch is together. */
static void consider_table(struct ktierd_move *move, struct table *table)
{
	unsigned int i = table->first;

	while (i < table->end && !move->walk.stop) {
		u64 left = table->pages[i / KTIERD_GROUP_PAGES] >>
			   i % KTIERD_GROUP_PAGES;

		if (!left) {
			i = round_up(i + 1, KTIERD_GROUP_PAGES);
		} else if (!(left & 1)) {
			i += __ffs64(left);
		} else {
			i = consider_pte(move, table, i);
			table->first = i;
		}
	}
	/* The rest of it goes with the next batch. */
	if (i < table->end)
		move->walk.next = table->addr + i * PAGE_SIZE;
}

/* Which pages of a table may be wanted?  False if it is none. */
static bool find_candidates(struct ktierd_move *move, struct table *table)
{
	unsigned int group;
	u64 any = 0;

	for (group = 0; group < KTIERD_GROUPS; group++) {
		table->pages[group] = candidates(move, table->block, group);
		any |= table->pages[group];
	}
	return any;
}

/* Has the block anything that would go in this direction? */
static bool block_wanted(const struct ktierd_move *move,
			 const struct ktierd_block *block)
{
	if (!block || block->read != move->walk.round->nr ||
	    !move->quota->pages)
		return false;
	/* What has fallen asleep was idle for long enough. */
	if (block->windows < KTIERD_SIGHTINGS &&
	    (move->promote || block->shape != KTIERD_IDLE))
		return false;
	return (move->promote ? block->levels_low : block->levels_top) &
	       move->quota->levels;
}

static void move_table(struct ktierd_move *move, struct table *table, pmd_t *pmd,
		       enum page_walk_action *action)
{
	unsigned long addr = table->addr + table->first * PAGE_SIZE;
	spinlock_t *ptl;	/* of the table */
	pte_t *start;
	u64 since;

	start = pte_offset_map_lock(table->vma->vm_mm, pmd, addr, &ptl);
	if (!start) {
		*action = ACTION_AGAIN;
		return;
	}
	__acquire(ptl);
	since = ktierd_held_since();
	table->pte = start - table->first;
	consider_table(move, table);
	if (since)
		ktierd_trace_held(table->vma->vm_mm, KTIERD_TRACE_MOVE, false,
				  table->looks, since);
	pte_unmap_unlock(start, ptl);
	tell_others(&move->walk.slot->stat, table->addr, false);
}

static void move_huge(struct ktierd_move *move, struct vm_area_struct *vma,
		      unsigned long addr, pmd_t *pmd, struct ktierd_block *block)
{
	struct folio *folio = ktierd_pmd_folio(vma, addr, *pmd);

	if (!folio || block->shape != KTIERD_HUGE)
		return;
	consider(move, &(struct mapped){
		.folio	= folio,
		.vma	= vma,
		.addr	= addr,
		.block	= block,
		.nr	= 1,
		.whole	= true,
	});
}

static void move_pmd(struct ktierd_walk *walk, struct vm_area_struct *vma,
		     pmd_t *pmd, unsigned long addr, unsigned long end,
		     enum page_walk_action *action)
{
	struct ktierd_move *move = container_of(walk, struct ktierd_move, walk);
	struct table table = {
		.vma	= vma,
		.addr	= addr & PMD_MASK,
		.first	= pte_index(addr),
		.end	= pte_index(addr) + ((end - addr) >> PAGE_SHIFT),
		.block	= ktierd_history_find(walk->slot, addr),
	};
	spinlock_t *ptl;	/* of the PMD */
	u64 since;

	if (!block_wanted(move, table.block))
		return;
	learn_levels(move, table.block, table.addr);
	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		__acquire(ptl);	/* which sparse can't see */
		since = ktierd_held_since();
		move_huge(move, vma, addr, pmd, table.block);
		if (since)
			ktierd_trace_held(vma->vm_mm, KTIERD_TRACE_MOVE, true,
					  1, since);
		spin_unlock(ptl);
		tell_others(&walk->slot->stat, table.addr, true);
		return;
	}
	if (table.block->shape == KTIERD_HUGE)	/* split since it was sampled */
		return;
	if (find_candidates(move, &table))
		move_table(move, &table, pmd, action);
}

static void move_process(struct ktierd_slot *slot,
			 const struct ktierd_round *round, bool promote)
{
	struct ktierd_pace *pace = promote ? &slot->promote : &slot->demote;
	struct ktierd_plan *plan = &slot->budget->plan;
	struct ktierd_move move = {
		.walk = {
			.slot		= slot,
			.round		= round,
			.end		= ULONG_MAX,
			.pmd		= move_pmd,
			.enter		= move_enter,
			.unlocked	= move_batch,
		},
		.quota		= promote ? &plan->promote : &plan->demote,
		.promote	= promote,
	};

	if (!move.quota->pages)
		return;
	if (pace->rest) {
		pace->rest--;
		return;
	}
	ktierd_share_begin(slot);
	ktierd_walk_mm(&move.walk);

	if (move.failed > move.moved) {
		pace->backoff = clamp(pace->backoff * 2, 1U, KTIERD_BACKOFF_MAX);
		pace->rest = pace->backoff;
	} else if (move.moved) {
		pace->backoff = 0;
	}
}

/**
 * ktierd_migrate_demote() - move pages of a process down
 * @slot: the process; of the plan of its budget is left what was not moved
 * @round: the round that has sampled it
 */
void ktierd_migrate_demote(struct ktierd_slot *slot,
			   const struct ktierd_round *round)
{
	move_process(slot, round, false);
}

/**
 * ktierd_migrate_promote() - move pages of a process up
 * @slot: the process; of the plan of its budget is left what was not moved
 * @round: the round that has sampled it
 */
void ktierd_migrate_promote(struct ktierd_slot *slot,
			    const struct ktierd_round *round)
{
	move_process(slot, round, true);
}

/**
 * ktierd_migrate_ns() - what moving itself has taken of a CPU
 *
 * Return: nanoseconds since boot, without the search for what moves.
 */
u64 ktierd_migrate_ns(void)
{
	return READ_ONCE(migrate_ns);
}

/**
 * ktierd_migrate_init() - get memory for what is kept by node
 *
 * Return: 0, or -ENOMEM.
 */
int __init ktierd_migrate_init(void)
{
	int nid;

	isolated = kcalloc(nr_node_ids, sizeof(*isolated), GFP_KERNEL);
	targets = kcalloc(nr_node_ids, sizeof(*targets), GFP_KERNEL);
	if (!isolated || !targets)
		return -ENOMEM;
	for (nid = 0; nid < nr_node_ids; nid++) {
		INIT_LIST_HEAD(&isolated[nid].small);
		INIT_LIST_HEAD(&isolated[nid].large);
	}
	return 0;
}
