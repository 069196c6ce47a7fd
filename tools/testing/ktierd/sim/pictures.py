# SPDX-License-Identifier: GPL-2.0
"""The plots of the simulator's report."""

import math

import growth
from behaviour import PATTERNS
from plots import COLOURS, OURS, grid, legend_below, pyplot, save

MARKS = ["o", "s", "^"]
SCENARIO_COLOURS = dict(zip(growth.SCENARIOS, [COLOURS[1], OURS, COLOURS[3]]))


def share(results, out):
    """Share over time, beside the oracle's."""
    figure, axes = grid(len(results))
    for axis, (name, found) in zip(axes, results.items()):
        times, own, oracle = zip(*found["series"])
        axis.plot(times, oracle, color="black", linestyle="--", linewidth=1, label="oracle")
        axis.plot(times, own, color=OURS, linewidth=2, label="simulated ktierd")
        for change in PATTERNS[name].get("changes", []):
            axis.axvline(change, color="#bbbbbb", linewidth=0.8)
        axis.set_title(PATTERNS[name]["title"], fontsize=10)
        axis.set_ylim(0, 1.03)
        axis.set_xlim(0, max(times))
        axis.set_xlabel("seconds", fontsize=8)
        axis.set_ylabel("writes from DRAM" if name == "halves" else "accesses from DRAM",
                        fontsize=8)
        axis.grid(alpha=0.25)
    legend_below(figure, axes[0])
    return save(figure, out, "share.png"), "Share of the accesses that DRAM served, over time"


def size_axis(axis, memories):
    axis.set_xscale("log", base=2)
    axis.set_xticks(memories)
    axis.set_xticklabels([growth.size(memory) for memory in memories], rotation=40, fontsize=7,
                         ha="right")
    axis.minorticks_off()
    axis.grid(alpha=0.25)


def lines(axis, results, values):
    """A line a scenario."""
    for mark, (name, scenario) in zip(MARKS, results["scenarios"].items()):
        points = [(x, y) for x, y in values(scenario) if y is not None]
        axis.plot(*zip(*points), color=SCENARIO_COLOURS[name], marker=mark, markersize=4,
                  label=growth.SCENARIOS[name])


def limits(axis, scale):
    """From 0, or whole decades."""
    axis.set_yscale(scale)
    low, high = axis.get_ylim()
    if scale == "linear":
        axis.set_ylim(0, high * 1.15)
    else:
        axis.set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))


def by_memory(key, factor=1):
    return lambda scenario: [(one["memory"], one[key] and one[key] * factor)
                             for one in scenario["memory"]]


def with_memory(results, out):
    """What grows with memory, and what does not."""
    figure, axes = grid(6)
    memories = [one["memory"] for one in results["scenarios"]["idle"]["memory"]]
    plots = [("scan_s", 1, "seconds of a CPU for a round", "log"),
             ("history", 1 / growth.GIB, "GiB of histories", "log"),
             ("seconds", 1, "seconds until converged", "log"),
             ("rounds", 1, "rounds until converged", "linear"),
             ("traffic", 100, "moved a round in the end, % of the memory", "linear"),
             ("heat_part", 100, "of a round's instructions: heat.c, %", "linear")]
    for axis, (key, factor, label, scale) in zip(axes, plots):
        lines(axis, results, by_memory(key, factor))
        size_axis(axis, memories)
        limits(axis, scale)
        axis.set_title(label, fontsize=9)
    legend_below(figure, axes[0])
    return save(figure, out, "memory.png"), "Growth with memory, DRAM an eighth, one process"


def with_processes(results, out):
    """What grows with the number of processes."""
    figure, axes = grid(3)
    plots = [("scan_s", 1, "seconds of a CPU for a round", "log"),
             ("rounds", 1, "rounds until converged", "linear"),
             ("traffic", 100, "moved a round in the end, % of the memory", "linear")]
    for axis, (key, factor, label, scale) in zip(axes, plots):
        lines(axis, results, lambda scenario, key=key, factor=factor: [
            (one["mms"], one[key] and one[key] * factor) for one in scenario["mms"]])
        axis.set_xscale("log")
        limits(axis, scale)
        axis.set_xlabel("processes", fontsize=8)
        axis.set_title(label, fontsize=9)
        axis.grid(alpha=0.25)
    legend_below(figure, axes[0])
    return save(figure, out, "processes.png"), \
        f"Growth with the number of processes, {growth.size(growth.MMS_MEMORY)}"


def draw(results, out):
    """Draw all plots. Returns (file name, description) of each."""
    return [share(results["behaviour"], out), with_memory(results["growth"], out),
            with_processes(results["growth"], out)]
