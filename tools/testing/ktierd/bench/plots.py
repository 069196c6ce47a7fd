# SPDX-License-Identifier: GPL-2.0
"""The plots of the report."""

import os
import textwrap

import matplotlib
import numpy

from figures import HARDWARE, meter_series, oracle_series

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  # pylint: disable=wrong-import-position

# Told apart by people who see colours differently, and by lightness (Okabe, Ito).
COLOURS = ["#777777", "#56b4e9", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#f0e442"]
OURS = "#d55e00"
DPI = 110


def colour(results, way):
    others = [other for other in results.ways if other != "ktierd"]
    palette = [c for c in COLOURS if c != OURS]
    return OURS if way == "ktierd" else palette[others.index(way) % len(palette)]


def save(figure, out, name):
    figure.savefig(os.path.join(out, name), dpi=DPI, bbox_inches="tight")
    pyplot.close(figure)
    return name


def grid(count, width=4.6, height=2.9):
    """Axes for so many small plots, in rows of up to three."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure, axes = pyplot.subplots(rows, columns, squeeze=False,
                                   figsize=(width * columns, height * rows + 0.4))
    flat = list(axes.flat)
    for unused in flat[count:]:
        unused.axis("off")
    return figure, flat


def legend_below(figure, axis):
    handles, labels = axis.get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.0),
                  ncol=len(labels), frameon=False)


def share(results, out):
    """Share of the accesses that DRAM served, over time."""
    figure, axes = grid(len(results.workloads))
    labelled = axes[0]
    for axis, (name, workload) in zip(axes, results.workloads.items()):
        nothing = results.run(name, "nothing", "metered")
        oracle = oracle_series(nothing) if nothing else []
        if oracle:
            axis.plot(*zip(*oracle), color="black", linestyle="--", linewidth=1, label="oracle")
            labelled = axis
        for way in results.ways:
            run = results.run(name, way, "metered")
            if run:
                axis.plot(*zip(*meter_series(run)), color=colour(results, way),
                          label=results.titles[way], linewidth=2 if way == "ktierd" else 1.3)
        for change in workload.get("changes", []):
            axis.axvline(change, color="#bbbbbb", linewidth=0.8)
        axis.set_title(workload["title"], fontsize=10)
        axis.set_ylim(0, 1.02)
        axis.set_xlim(0, workload["seconds"])
        axis.set_xlabel("seconds", fontsize=8)
        axis.set_ylabel("writes from DRAM" if workload.get("share") == "writes"
                        else "accesses from DRAM", fontsize=8)
        axis.grid(alpha=0.25)
    legend_below(figure, labelled)
    return save(figure, out, "share.png"), "Share of the accesses that DRAM served, over time"


def bars(results, out, key, name, title, label):
    """A group of bars a workload, one a way."""
    figure, axis = pyplot.subplots(figsize=(max(5, 1.35 * len(results.workloads) + 2), 3.8))
    width = 0.8 / len(results.ways)
    for number, way in enumerate(results.ways):
        values = [(results.figures[workload, way] or {}).get(key) or 0
                  for workload in results.workloads]
        axis.bar(numpy.arange(len(values)) + (number - (len(results.ways) - 1) / 2) * width,
                 values, width, color=colour(results, way), label=results.titles[way])
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_xticks(range(len(results.workloads)))
    axis.set_xticklabels([textwrap.fill(w["title"], 14) for w in results.workloads.values()],
                         fontsize=8)
    axis.set_ylabel(label, fontsize=9)
    axis.set_title(title, fontsize=11)
    axis.grid(axis="y", alpha=0.25)
    axis.legend(fontsize=8, ncol=len(results.ways), loc="upper center",
                bbox_to_anchor=(0.5, -0.2), frameon=False)
    return save(figure, out, name), title


def placement(results, out):
    """Where the memory was: a cell is a part of the memory, over time."""
    names = [name for name in results.workloads
             if any("map" in tick for way in results.ways
                    for tick in (results.run(name, way, "metered") or {"ticks": []})["ticks"])]
    if not names:
        return None
    figure, axes = pyplot.subplots(len(names), len(results.ways), squeeze=False,
                                   figsize=(2.5 * len(results.ways), 1.9 * len(names)))
    image = None
    for number, (row, name) in enumerate(zip(axes, names)):
        for axis, way in zip(row, results.ways):
            run = results.run(name, way, "metered")
            looks = [tick for tick in run["ticks"] if "map" in tick] if run else []
            if looks:
                image = axis.imshow(numpy.array([tick["map"] for tick in looks]).T, origin="upper",
                                    aspect="auto", vmin=0, vmax=100, cmap="cividis",
                                    extent=(0, run["ticks"][-1]["t"], 1, 0))
            axis.set_yticks([])
            axis.tick_params(labelsize=7)
            if axis is row[0]:
                first = "hottest\nfirst" if looks and run["start"].get("scattered") else "by\naddress"
                axis.set_ylabel(f"{results.workloads[name]['title']}\n({first})", fontsize=7)
            if number == 0:
                axis.set_title(results.titles[way], fontsize=9)
            if number == len(names) - 1:
                axis.set_xlabel("seconds", fontsize=8)
    figure.tight_layout()
    if image:
        figure.colorbar(image, ax=axes, label="% of the pages in DRAM", shrink=0.5, pad=0.01)
    return save(figure, out, "placement.png"), "Where the memory was"


def draw(results, out):
    """Draw all plots. Returns (file name, description) of each."""
    if not any(results.figures.values()):
        return []
    images = [share(results, out)]
    for hardware, what in HARDWARE.items():
        images.append(bars(results, out, f"modelled_{hardware}", f"modelled-{hardware}.png",
                           f"Modelled speed on {what['title']}, whole run",
                           "against nothing"))
    images.append(bars(results, out, "throughput", "cost.png",
                       "Operations per instruction-counted second, whole run",
                       "against nothing"))
    images.append(placement(results, out))
    return [image for image in images if image]
