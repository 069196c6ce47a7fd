# SPDX-License-Identifier: GPL-2.0
"""The bench's patterns, simulated: how well and how soon pages are placed."""

SECONDS = 80
MACHINE_PAGES = 163840

# As near to the oracle is converged, as in the bench.
CONVERGED = 0.95

# At the end, as so long before it.
TAIL = 0.25

PATTERNS = {
    "scattered": {"title": "Scattered hot pages"},
    "moving": {"title": "A hot block that moves", "changes": [20, 40, 60]},
    "halves": {"title": "Written half, read half"},
    "zipf": {"title": "Zipf 0.99"},
    "growing": {"title": "A process that grows", "changes": [20]},
    "idle": {"title": "Mostly idle memory"},
    "flat": {"title": "Flat random access"},
    "huge": {"title": "Huge pages"},
}


def converged_at(rounds, start, end):
    """When the share is near the oracle and stays so; None if it never is."""
    since = None
    for one in rounds:
        if one["t"] < start or one["t"] >= end:
            continue
        if one["share"] < CONVERGED * one["oracle"]:
            since = None
        elif since is None:
            since = one["t"]
    return since


def convergence(rounds, changes):
    """Seconds after the start, and after each change."""
    starts = [0, *changes]
    ends = [*changes, rounds[-1]["t"] + 1]
    found = [(start, converged_at(rounds, start, end)) for start, end in zip(starts, ends)]
    return [None if at is None else at - start for start, at in found]


def per_minute(rounds, keys):
    """Pages that these count, a minute, in percent of the memory."""
    minutes = sum(one["interval_ms"] for one in rounds) / 60000
    pages = sum(one[key] for one in rounds for key in keys)
    return pages / MACHINE_PAGES * 100 / minutes if minutes else 0


def restarts(rounds):
    """How often the load was taken to have changed."""
    return sum(new["windows"] < old["windows"] for old, new in zip(rounds, rounds[1:]))


def figures(run, changes):
    """What the report says of a pattern."""
    rounds = run["rounds"]
    end = rounds[-1]["t"] + rounds[-1]["interval_ms"] / 1000
    tail = [one for one in rounds if one["t"] >= end - (end - (changes or [0])[-1]) * TAIL]
    last = converged_at(rounds, (changes or [0])[-1], end)
    after = [one for one in rounds if last is not None and one["t"] > last]
    return {
        "share": sum(one["share"] for one in tail) / len(tail),
        "oracle": sum(one["oracle"] for one in tail) / len(tail),
        "converged_s": convergence(rounds, changes),
        "moved": per_minute(rounds, ("up", "down")),
        "moved_after": per_minute(after, ("up", "down")),
        "trips_after": per_minute(after, ("trips",)),
        "restarts": restarts(rounds),
        "interval_ms": rounds[-1]["interval_ms"],
        "window_us": rounds[-1]["window_us"],
        "series": [[one["t"], one["share"], one["oracle"]] for one in rounds],
    }


def simulate(simulator):
    return {name: figures(simulator.run("pattern", name, seconds=SECONDS),
                          pattern.get("changes", []))
            for name, pattern in PATTERNS.items()}


def checks(results):
    """(what must hold, whether it does, by which figures)."""
    for name, found in results.items():
        part = found["share"] / found["oracle"]
        yield f"{name}: at the end, the share is 95 % of the oracle's", part >= CONVERGED, \
            f"{part:.3f}"
    slow = [s for s in results["moving"]["converged_s"] if s is None or s > 10]
    yield "moving: converged within 10 s of each change", not slow, \
        f"{results['moving']['converged_s']}"
    for name in ("flat", "scattered", "idle", "huge"):
        found = results[name]["moved_after"]
        yield f"{name}: once converged, a minute moves less than 2 % of the memory", found < 2, \
            f"{found:.3f} %"
    for name in ("scattered", "flat", "zipf", "huge"):
        found = results[name]["restarts"]
        yield f"{name}: a load that does not change is not taken to", not found, f"{found} times"
