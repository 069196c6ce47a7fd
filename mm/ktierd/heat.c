// SPDX-License-Identifier: GPL-2.0
/*
 * A page's history, and what it says about the page.
 *
 * Two facts come in a scan.  The clearing walk tells whether the page was
 * *used* at any time since the clearing walk before; that is exact, and tells
 * used from idle.  The reading walk tells whether it was *touched* in the short
 * window between the two; repeated over eight windows, that tells hot from
 * warm.  Neither can stand for the other: over a second everything in a busy
 * process is used, and in 20 ms a page touched once a second is nearly always
 * untouched and yet not cold.
 *
 * Idleness is counted in ticks, not in scans, so that one byte spans any cold
 * age; the caller chooses the tick and says how many have passed.
 */

#include <linux/bitops.h>
#include <linux/minmax.h>

#include "heat.h"

/**
 * ktierd_heat_age() - what the clearing walk found
 * @heat: the page's history
 * @used: the page was used since the last clearing walk
 * @ticks: ticks that have passed since that walk
 */
void ktierd_heat_age(struct ktierd_heat *heat, bool used, unsigned int ticks)
{
	if (used)
		heat->idle_ticks = 0;
	else
		heat->idle_ticks = min(heat->idle_ticks + ticks,
				       (unsigned int)KTIERD_IDLE_MAX);
}

/**
 * ktierd_heat_rescale() - count idleness in ticks of another length
 * @heat: the page's history
 * @from_ms: length of the ticks so far
 * @to_ms: length of the ticks from now on
 */
void ktierd_heat_rescale(struct ktierd_heat *heat, unsigned int from_ms,
			 unsigned int to_ms)
{
	u64 idle_ms = (u64)heat->idle_ticks * from_ms;

	heat->idle_ticks = min(idle_ms / to_ms, (u64)KTIERD_IDLE_MAX);
}

/**
 * ktierd_heat_window() - what the reading walk found
 * @heat: the page's history
 * @touched: the page was touched in the window, and so used as well
 */
void ktierd_heat_window(struct ktierd_heat *heat, bool touched)
{
	heat->windows = (heat->windows << 1) | touched;
	if (touched)
		heat->idle_ticks = 0;
}

/**
 * ktierd_heat_demoted() - forget the windows of a page that goes down
 * @heat: the page's history
 *
 * It has to be seen again, and more than once, before it comes back up: a page
 * near the cut must not travel to and fro.
 */
void ktierd_heat_demoted(struct ktierd_heat *heat)
{
	heat->windows = 0;
}

/**
 * ktierd_heat_merge() - the history of a whole from that of its parts
 * @into: history of the whole so far
 * @from: history of one more part
 *
 * A huge page is touched if any part of it is, and idle only if all are.
 */
void ktierd_heat_merge(struct ktierd_heat *into, const struct ktierd_heat *from)
{
	into->windows |= from->windows;
	into->idle_ticks = min(into->idle_ticks, from->idle_ticks);
}

/**
 * ktierd_heat_level() - how hot a page is
 * @heat: the page's history
 * @cold_ticks: idle for this many ticks is cold; 0: nothing is
 *
 * The warm levels are powers of two of idleness: what separates two pages is
 * the ratio of their idle times, not the difference.
 *
 * Return: a level below KTIERD_LEVELS, higher is hotter.
 */
unsigned int ktierd_heat_level(const struct ktierd_heat *heat,
			       unsigned int cold_ticks)
{
	if (cold_ticks && heat->idle_ticks >= cold_ticks)
		return KTIERD_LEVEL_COLD;
	if (heat->windows)
		return KTIERD_LEVEL_USED + hweight8(heat->windows);
	return KTIERD_LEVEL_USED - min(fls(heat->idle_ticks),
				       KTIERD_LEVEL_USED - 1);
}
