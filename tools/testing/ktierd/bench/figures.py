# SPDX-License-Identifier: GPL-2.0
"""From what runs counted to the figures of the report."""

from runs import rate

# A load has converged when the share is so near the oracle's.
CONVERGED = 0.95

# "At the end" is this part of the time, after the last change.
TAIL = 0.25

# What a guest's instruction takes under -icount shift=1, and on the modelled
# processor.
NS_AN_INSTRUCTION = 2
CYCLES_AN_INSTRUCTION = 1
CYCLES_A_NS = 3

# What a load that misses the cache takes, in cycles; and a store, of which only
# the bandwidth counts where it completes early: 64 bytes at the bandwidth that
# each of 20 cores of 3 GHz has of 85 GB/s (DRAM) and of 13.6 GB/s (Optane).
HARDWARE = {
    "optane": {"title": "Optane 100",
               "top": {"load": 249, "store": 64 / (85 / 20) * CYCLES_A_NS},
               "lower": {"load": 1077, "store": 64 / (13.6 / 20) * CYCLES_A_NS}},
    "cxl": {"title": "CXL, ASIC",
            "top": {"load": 391, "store": 391},
            "lower": {"load": 712, "store": 712}},
}


def accesses(count, kinds):
    return sum(count[kind] for kind in kinds)


def tier_share(counts, kinds):
    """Share of the top tier in what one or more ticks counted."""
    top = sum(accesses(count["top"], kinds) for count in counts)
    lower = sum(accesses(count["lower"], kinds) for count in counts)
    return top / (top + lower) if top + lower else None


def both(count):
    """User's and kernel's accesses together."""
    return {tier: {key: count[tier]["user"][key] + count[tier]["kernel"][key]
                   for key in count[tier]["user"]} for tier in ("top", "lower")}


def meter_series(run):
    """For each tick: the share of the load's own accesses that the top tier served.

    Of a program that is not ours all of the user's accesses that miss the cache
    are taken: its stack and tables are in the cache and tell nothing.
    """
    kinds = ("store",) if run.get("share_of") == "writes" else ("load", "store")
    of_program = "program" in run.get("start", {})
    series = []
    for count in run["meter"]:
        user = {tier: count[tier]["user"] for tier in ("top", "lower")}
        share = tier_share([user], ("load_miss", "store_miss")) if of_program \
            else tier_share([count["watch"]], kinds)
        series.append((count["t"], share))
    return series


def oracle_series(run):
    """(t, share that was possible at best) of the ticks with a look, if known."""
    key = "oracle" if run.get("share_of") != "writes" else "oracle_writes"
    return [(tick["t"], tick[key]) for tick in run["ticks"] if key in tick]


def at(series, t):
    """The value of the last point at or before t."""
    value = None
    for when, what in series:
        if when > t + 1e-6:
            break
        value = what
    return value if value is not None else (series[0][1] if series else None)


def phases(seconds, changes):
    """(from, to) of the times between changes."""
    times = [0, *(c for c in changes if c < seconds), seconds]
    return list(zip(times, times[1:]))


def convergence(series, oracle, seconds, changes):
    """Of each phase the seconds until the share is near the oracle's, or None."""
    found = []
    for start, end in phases(seconds, changes):
        hit = next((t for t, share in series
                    if start + 0.5 < t <= end + 0.5 and share is not None
                    and share >= CONVERGED * at(oracle, t)), None)
        found.append(None if hit is None else round(max(hit - start, 0), 1))
    return found


def tail_start(seconds, changes):
    last = phases(seconds, changes)[-1][0]
    return min(seconds - (seconds - last) * TAIL, seconds - 1)


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def modelled_cycles(counts, hardware):
    """Cycles of what was counted, on some hardware: instructions, and misses."""
    cycles = 0
    for count in map(both, counts):
        for tier in ("top", "lower"):
            for kind in ("load", "store"):
                cycles += count[tier][kind + "_miss"] * HARDWARE[hardware][tier][kind]
    return cycles


def modelled_ns_per_op(run, hardware, since_s=0):
    """What an operation takes on some hardware."""
    ticks = [tick for tick in run["ticks"] if tick["t"] >= since_s - 1e-6]
    counts = [count for count in run["meter"] if count["t"] > ticks[0]["t"]]
    ops = ticks[-1]["ops"] - ticks[0]["ops"]
    instructions = (ticks[-1]["t"] - ticks[0]["t"]) * 1e9 / NS_AN_INSTRUCTION
    cycles = instructions * CYCLES_AN_INSTRUCTION + modelled_cycles(counts, hardware)
    return cycles / CYCLES_A_NS / ops if ops else None


def moved_mib(run):
    """MiB that were migrated, whoever did it; and as the load saw its pages move.

    The kernel counts moves of DAMON without their direction. What comes back
    between two looks is not seen.
    """
    moved = {"all": run["vmstat"]["pgmigrate_success"] / 256}
    look = next((tick for tick in reversed(run["ticks"]) if "returns" in tick), None)
    if look:
        moved |= {key: look[key] / 256 for key in ("up", "down", "returns")}
    return moved


def moved_a_minute(run, since_s):
    """Part of its memory that the load saw move in a minute, from the first look on.

    That is the first at or after since_s, or the one before if it is the last.
    """
    looks = [tick for tick in run["ticks"] if "returns" in tick]
    if len(looks) < 2:
        return None
    last = looks[-1]
    first = next((look for look in looks[:-1] if look["t"] >= since_s - 1e-6), looks[-2])
    moves = sum(last[key] - first[key] for key in ("up", "down"))
    return moves / (last["top_pages"] + last["low_pages"]) * 60 / (last["t"] - first["t"])


def grown(run, name):
    """By how much a counter of ktierd has grown, if the kernel has it."""
    if name not in run.get("ktierd", {}):
        return None
    return run["ktierd"][name] - run["ktierd_before"][name]


def returned_part(run):
    """Part of ktierd's moves that took back an earlier one."""
    moves = (grown(run, "pages_promoted") or 0) + (grown(run, "pages_demoted") or 0)
    returned = grown(run, "pages_returned")
    return returned / moves if moves and returned is not None else None


def instructions_per_visit(run, since="ktierd_before"):
    """What sampling takes, of ktierd: a present page is visited twice a round."""
    if since not in run:
        return None
    visits = 2 * (run["ktierd"]["pages_scanned"] - run[since]["pages_scanned"])
    ns = (run["ktierd"]["scan_ms"] - run[since]["scan_ms"]) * 1e6
    return ns / NS_AN_INSTRUCTION / visits if visits else None


def threads_percent(run):
    """CPU time of the kernel's threads, by the time between the two readings."""
    return {name: ns / 1e7 / run["counted_s"] for name, ns in run["threads_ns"].items()
            if ns > 0}


def figures(run, nothing, seconds, changes):
    """All that the report says about one metered run."""
    since = tail_start(seconds, changes)
    series = meter_series(run)
    oracle = oracle_series(nothing)
    tail = [(t, share) for t, share in series if t > since]
    result = {
        "ops_per_s": run["ops_per_s"],
        "throughput": run["ops_per_s"] / nothing["ops_per_s"],
        "throughput_end": rate(run["ticks"], since) / rate(nothing["ticks"], since),
        "share": mean([share for _, share in series]),
        "share_end": mean([share for _, share in tail]),
        "oracle_end": at(oracle, seconds) if oracle else None,
        "converged_s": convergence(series, oracle, seconds, changes) if oracle else None,
        "moved_mib": moved_mib(run),
        "moved_a_minute_end": moved_a_minute(run, since),
        "threads_percent": threads_percent(run),
        "slabs_kib": sum(run["slabs"].values()) / 1024,
    }
    for hardware in HARDWARE:
        for key, start in (("", 0), ("_end", since)):
            own = modelled_ns_per_op(run, hardware, start)
            base = modelled_ns_per_op(nothing, hardware, start)
            result[f"modelled_{hardware}{key}"] = base / own if own and base else None
    return result
