# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the DAMON ways share: a kdamond for each node, which watches the physical
# memory of that node. One demotes what is cold, the other promotes what is hot.
# Both look at the accessed bit of a page again before they move it.
#
# Age is in aggregation intervals and nr_accesses in samples, of which there are
# twenty an aggregation interval in all of them.

kdamonds=/sys/kernel/mm/damon/admin/kdamonds

# First and last byte + 1 of a node's memory.
node_range()
{
	awk -v node="$1," '
		/^Node/ { ours = $2 == node; spanned = 0 }
		ours && $1 == "spanned" { spanned = $2 }
		ours && $1 == "start_pfn:" && spanned {
			if (!found || $2 < first) first = $2
			if ($2 + spanned > end) end = $2 + spanned
			found = 1
		}
		END { printf "%.0f %.0f", first * 4096, end * 4096 }' /proc/zoneinfo
}

# kdamond NUMBER NODE: watch a node, at $sample_us, $aggregate_us, $update_us
kdamond()
{
	local context=$kdamonds/$1/contexts/0 range

	read -r -a range <<< "$(node_range "$2")"
	put 1 $kdamonds/$1/contexts/nr_contexts
	put paddr $context/operations
	put "$sample_us" $context/monitoring_attrs/intervals/sample_us
	put "$aggregate_us" $context/monitoring_attrs/intervals/aggr_us
	put "$update_us" $context/monitoring_attrs/intervals/update_us
	put "$min_regions" $context/monitoring_attrs/nr_regions/min
	put "$max_regions" $context/monitoring_attrs/nr_regions/max
	put 1 $context/targets/nr_targets
	put 1 $context/targets/0/regions/nr_regions
	put "${range[0]}" $context/targets/0/regions/0/start
	put "${range[1]}" $context/targets/0/regions/0/end
}

# scheme NUMBER ACTION TARGET REJECT MIN_ACCESSES MAX_ACCESSES MIN_AGE QUOTA_MS
# REJECT is Y to leave out what is young, N to leave out what is not.
scheme()
{
	local scheme=$kdamonds/$1/contexts/0/schemes/0

	put 1 $kdamonds/$1/contexts/0/schemes/nr_schemes
	put "$2" $scheme/action
	put "$3" $scheme/target_nid
	put "$apply_us" $scheme/apply_interval_us
	put 4096 $scheme/access_pattern/sz/min
	put 18446744073709551615 $scheme/access_pattern/sz/max
	put "$5" $scheme/access_pattern/nr_accesses/min
	put "$6" $scheme/access_pattern/nr_accesses/max
	put "$7" $scheme/access_pattern/age/min
	put 4294967295 $scheme/access_pattern/age/max
	put "$8" $scheme/quotas/ms
	put "$quota_bytes" $scheme/quotas/bytes
	put "$quota_ms" $scheme/quotas/reset_interval_ms
	put 0 $scheme/quotas/weights/sz_permil
	put "$weight_accesses" $scheme/quotas/weights/nr_accesses_permil
	put "$weight_age" $scheme/quotas/weights/age_permil
	put 1 $scheme/filters/nr_filters
	put young $scheme/filters/0/type
	put "$4" $scheme/filters/0/matching
	put none $scheme/watermarks/metric
}

begin()
{
	put 1 /sys/kernel/mm/numa/demotion_enabled \
		'without it promotion fills DRAM and allocations fail (say its authors)'
	put 2 $kdamonds/nr_kdamonds "$why"
	kdamond 0 0
	scheme 0 migrate_cold 1 Y 0 0 "$cold_age" "$cold_quota_ms"
	kdamond 1 1
	scheme 1 migrate_hot 0 N 1 20 0 "$hot_quota_ms"
	put on $kdamonds/0/state
	put on $kdamonds/1/state
}
