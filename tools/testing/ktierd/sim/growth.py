# SPDX-License-Identifier: GPL-2.0
"""How work, memory, convergence and traffic grow with the size of a machine."""

import math
import statistics

import numpy

GIB = 1 << 30
TIB = 1 << 40

SCENARIOS = {
    "idle": "mostly idle",
    "busy": "mostly busy, scattered",
    "huge": "mostly huge pages",
}

MEMORIES = [16 * GIB, 64 * GIB, 256 * GIB, TIB, 4 * TIB, 16 * TIB, 64 * TIB]
MMS = [1, 10, 100, 1000, 10000]
MMS_MEMORY = TIB
QUICK_MEMORIES = [16 * GIB, TIB, 64 * TIB]
QUICK_MMS = [1, 100, 10000]

# At constant touched memory and DRAM: so much in tables that are idle.
TOUCHED = 64 * GIB
TOUCHED_DRAM = 32 * GIB
IDLE = [64 * GIB, 128 * GIB, 256 * GIB, 512 * GIB]

# Pages that are held one by one.
SAMPLE = 65536
HUGE_BYTES = 2 << 20

CONVERGED = 0.95
NEAR = 0.9
ROUNDS = 120
MMS_ROUNDS = 60
# After this part of the rounds it has converged, and all that is cold went down.
SETTLED = 2 / 3

INTERVALS_S = [1, 10, 60]
PERCENTS = [5, 15, 100]

# Two walks of a process take this much more than in the model, at most.
MM_LIMIT = 1.1

VARIANTS = {
    "Windows that are as long as a walk": {
        "what": """Why ktierd samples in slices: if all processes were cleared before the first is
read, a window would be at least as long as a walk, and be thrown away where that
is far too long.""",
        "options": {"long_window": 1},
        "memories": [4 * GIB, 16 * GIB, 64 * GIB, 256 * GIB, TIB],
    },
    "Few huge pages watched": {
        "what": """128 blocks are watched in a round; of huge pages, that is 128 pages.""",
        "options": {"watched": 128},
        "scenarios": ["huge"],
        "memories": [16 * GIB, TIB],
    },
    "With the rate limit": {
        "what": """vm.ktierd_migrate_mbps is 1024, and what it allows adds up for 10 s at most.""",
        "options": {"mbps": 1024, "rounds": 2000},
        "memories": [16 * GIB, TIB, 64 * TIB],
    },
}


def size(memory):
    return f"{memory / TIB:g} TiB" if memory >= TIB else f"{memory / GIB:g} GiB"


def slope(xs, ys):
    """The exponent: of y, if it grows as a power of x."""
    return float(numpy.polyfit(numpy.log(xs), numpy.log(ys), 1)[0])


def rounds_to_converge(rounds):
    """Until the share stays near the oracle; None if it never does."""
    far = [number for number, one in enumerate(rounds)
           if one["share"] < CONVERGED * one["oracle"]]
    first = far[-1] + 1 if far else 0
    return None if first == len(rounds) else first + 1


def heat_instructions(run, heat):
    """What the model has for heat.c, and what was counted instead."""
    groups = {"small": 8 * run["small"], "huge": run["huge"]}
    model = sum(groups[kind] * run["costs"]["heat_" + kind] for kind in groups)
    return model, model if heat is None else sum(groups.values()) * heat


def figures(run, heat=None):
    """What the report says of a machine. @heat: of heat.c, counted instructions a group."""
    rounds = run["rounds"]
    number = rounds_to_converge(rounds)
    before = rounds[:number or len(rounds)]
    after = rounds[max(number or 0, int(len(rounds) * SETTLED)):]
    model, counted = heat_instructions(run, heat)
    # Without demoting what is cold, which is a question of time.
    exchanged = 2 * sum(one["up"] for one in before)
    scan = run["scan"] + counted - model
    moves = sum(one["up"] + one["down"] for one in after)
    minutes = sum(one["interval_ms"] for one in after) / 60000
    return {
        "memory": run["pages"] * 4096, "mms": run["mms"],
        "scan": scan, "heat_part": counted / scan,
        "scan_s": scan / run["costs"]["instructions_per_s"],
        "history": run["history"],
        "rounds": number,
        "seconds": before[-1]["t"] + before[-1]["interval_ms"] / 1000 if number else None,
        "work": len(before) * scan + exchanged * run["costs"]["page_moved"],
        "moved": sum(one["up"] + one["down"] for one in before) / run["pages"],
        "traffic": moves / run["pages"] / len(after) if after else None,
        "traffic_min": moves / run["pages"] / minutes if after else None,
        "restarts": sum(new["windows"] < old["windows"] for old, new in zip(rounds, rounds[1:])),
        "share": rounds[-1]["share"] / rounds[-1]["oracle"],
        "interval_s": rounds[-1]["interval_ms"] / 1000,
        "window_us": rounds[-1]["window_us"],
    }


def middle(found):
    """Of machines that differ by their seed: the medians."""
    result = {}
    for key in found[0]:
        value = statistics.median_low(math.inf if one[key] is None else one[key]
                                      for one in found)
        result[key] = None if value == math.inf else value
    return result


def machine(simulator, seeds, scenario, heat, **options):
    """A machine, with as many seeds as there are."""
    options = {"rounds": ROUNDS, "sample": SAMPLE} | options
    return middle([figures(simulator.run("machine", scenario, seed=simulator.seed + seed,
                                         **options), heat)
                   for seed in range(seeds)])


def count(simulator, scenario):
    """Instructions in the smallest machine, the largest, and one of many processes."""
    small = simulator.count(scenario, memory=MEMORIES[0])
    if not small:
        return None
    return {"small": small, "large": simulator.count(scenario, memory=MEMORIES[-1]),
            "many": simulator.count(scenario, memory=MMS_MEMORY, mms=64)}


def grow(simulator, memories, mms, seeds, scenario):
    """One scenario in all sizes."""
    counts = count(simulator, scenario)

    def heat(memory):
        """In proportion to how far up the scale of sizes it is, between what was counted."""
        if not counts:
            return None
        up = math.log(memory / MEMORIES[0]) / math.log(MEMORIES[-1] / MEMORIES[0])
        return counts["small"]["heat"] * (1 - up) + counts["large"]["heat"] * up

    return {
        "counts": counts,
        "memory": [machine(simulator, seeds, scenario, heat(memory), memory=memory)
                   for memory in memories],
        "mms": [machine(simulator, seeds, scenario, counts and counts["many"]["heat"],
                        memory=MMS_MEMORY, mms=number, rounds=MMS_ROUNDS) for number in mms],
    }


def grow_idle(simulator, seeds, heat):
    """The same memory is touched, and ever more is not."""
    return [machine(simulator, seeds, "idle", heat, memory=TOUCHED + idle, busy=TOUCHED,
                    dram=TOUCHED_DRAM) for idle in IDLE]


def variants(simulator):
    """What becomes of it if the thread does its part in another way."""
    return {title: {name: [machine(simulator, 1, name, None, memory=memory, **options)
                           for memory in variant["memories"]]
                    for name in variant.get("scenarios", SCENARIOS)}
            for title, variant in VARIANTS.items() for options in [variant["options"]]}


def simulate(simulator, quick):
    memories, mms, seeds = (QUICK_MEMORIES, QUICK_MMS, 1) if quick else (MEMORIES, MMS, 3)
    results = {"scenarios": {name: grow(simulator, memories, mms, seeds, name)
                             for name in SCENARIOS}}
    counts = results["scenarios"]["idle"]["counts"]
    results["idle"] = grow_idle(simulator, seeds, counts and counts["small"]["heat"])
    if not quick:
        results["variants"] = variants(simulator)
    return results


def largest(found, interval_s, percent):
    """The memory that can be scanned so often, with so much of a CPU."""
    last = found[-1]
    # Work is proportional to memory but for what is asserted.
    return last["memory"] * interval_s * percent / 100 / last["scan_s"]


def percent_for(found, memory, interval_s):
    """The part of a CPU that it takes to scan this memory so often."""
    last = found[-1]
    return last["scan_s"] * memory / last["memory"] / interval_s * 100


def exponents(scenario, key):
    """How something grows with memory."""
    found = scenario["memory"]
    return slope([one["memory"] for one in found], [one[key] for one in found])


def large(scenario, found):
    """Those with as many pages as the sample: with fewer, chance takes more rounds."""
    page = HUGE_BYTES if scenario == "huge" else 4096
    return [one for one in found if one["memory"] >= SAMPLE * page]


def near_in_the_end(found):
    """The share in the end, as a part of the oracle's."""
    shares = [one["share"] for one in found]
    return min(shares) >= NEAR, ", ".join(f"{one:.3f}" for one in shares)


def not_more_rounds(found):
    """Not more than one round more than the first needs."""
    rounds = [one["rounds"] for one in found]
    good = None not in rounds and max(rounds) <= rounds[0] + 1
    return good, ", ".join("never" if one is None else str(one) for one in rounds)


def no_restarts(found):
    restarts = [one["restarts"] for one in found]
    return not any(restarts), ", ".join(map(str, restarts))


def memory_checks(name, scenario):
    for key, what in (("scan", "instructions of a round"), ("history", "memory of histories"),
                      ("work", "instructions until converged")):
        found = exponents(scenario, key)
        yield f"{name}: {what} grow with memory to at most the 1.05th power", found <= 1.05, \
            f"{found:.4f}"
    yield f"{name}: rounds until converged do not grow with memory", \
        *not_more_rounds(large(name, scenario["memory"]))
    yield f"{name}: in all sizes, the share comes to {NEAR * 100:.0f} % of the oracle's", \
        *near_in_the_end(scenario["memory"])
    found = [one["traffic"] for one in scenario["memory"]]
    good = None not in found and max(found) <= found[0] * 1.5 + 0.0005
    yield f"{name}: the part of the memory that a round moves in the end does not grow with it", \
        good, ", ".join(f"{one:.5f}" for one in found if one is not None)
    yield f"{name}: in all sizes, a load that does not change is not taken to", \
        *no_restarts(scenario["memory"])


def mms_checks(name, scenario, mm_cost):
    first, last = scenario["mms"][0], scenario["mms"][-1]
    added = (last["scan"] - first["scan"]) / (last["mms"] - first["mms"])
    limit = MM_LIMIT * 2 * mm_cost
    yield f"{name}: a process adds at most {limit:.0f} instructions to a round", added <= limit, \
        f"{added:.0f}"
    yield f"{name}: rounds until converged do not grow with processes", \
        *not_more_rounds(scenario["mms"])
    work = last["work"] / first["work"]
    yield f"{name}: work until converged is at most 1.3 times that for one process", \
        work <= 1.3, f"{work:.3f} times, with {last['mms']} processes"


def count_checks(name, counts):
    for kind, limit in (("heat", 1.1), ("policy", 1.1)):
        for which, what in (("large", "64 TiB"), ("many", "64 processes")):
            ratio = counts[which][kind] / counts["small"][kind]
            yield f"{name}: {kind}.c takes about as many instructions with {what}", \
                ratio <= limit, f"{ratio:.3f} times {counts['small'][kind]:.0f}"


def checks(results, costs):
    """(what must hold, whether it does or None if that is not known, by which figures)."""
    for name, scenario in results["scenarios"].items():
        yield from memory_checks(name, scenario)
        yield from mms_checks(name, scenario, costs["mm"])
        counts = scenario["counts"]
        if not counts:
            yield f"{name}: what heat.c and policy.c take was counted", None, "no valgrind"
            continue
        yield from count_checks(name, counts)
        limit = costs["heat_huge" if name == "huge" else "heat_small"]
        yield f"{name}: heat.c takes at most {limit:.0f} instructions a group and round", \
            counts["small"]["heat"] <= limit, f"{counts['small']['heat']:.0f}"
    few, many = results["idle"][0], results["idle"][-1]
    for key, what in (("scan", "a round"), ("work", "until converged")):
        ratio = many[key] / few[key]
        yield f"8 times the idle memory takes at most 1.3 times the work {what}", ratio <= 1.3, \
            f"{ratio:.3f}"
    yield "rounds until converged do not grow with idle memory", *not_more_rounds(results["idle"])
