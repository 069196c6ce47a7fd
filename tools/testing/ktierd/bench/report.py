# SPDX-License-Identifier: GPL-2.0
"""Tables of who did how well, and how each was set: report.md, and tables.rst
for the kernel's documentation."""

import os
import statistics
import textwrap

import check
import plots
from figures import (CONVERGED, TAIL, figures, grown, instructions_per_visit, mean,
                     returned_part)

NONE = "–"


class Table:
    """A table, set so that it is read as text, too."""

    def __init__(self, *head):
        self.rows = [list(head)]

    def add(self, *cells):
        self.rows.append([NONE if cell is None else str(cell) for cell in cells])

    def widths(self):
        return [max(len(row[i]) for row in self.rows) for i in range(len(self.rows[0]))]

    def rst(self):
        rule = "  ".join("=" * width for width in self.widths())
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, self.widths())).rstrip()
                 for row in self.rows]
        return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"

    def markdown(self):
        widths = self.widths()
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
                 for row in self.rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines) + "\n"


class Results:
    """What was measured, by workload and way, with the figures worked out."""

    def __init__(self, results):
        self.all = results
        self.workloads = results["workloads"]
        self.ways = results["ways"]
        self.titles = {}
        self.figures = {}
        for run in results["runs"]:
            if "title" in run or run["way"] not in self.titles:
                self.titles[run["way"]] = run.get("title", run["way"])
        for name in self.workloads:
            for way in self.ways:
                self.figures[name, way] = self.work_out(name, way)

    def run(self, workload, way, kind):
        return next((run for run in self.all["runs"] if run["workload"] == workload and
                     run["way"] == way and run["kind"] == kind and "error" not in run), None)

    def runs(self, workload, kind):
        return [run for run in self.all["runs"] if run["workload"] == workload and
                run["kind"] == kind and "error" not in run]

    def work_out(self, name, way):
        run, nothing = self.run(name, way, "metered"), self.run(name, "nothing", "metered")
        workload = self.workloads[name]
        if not run or not nothing:
            return None
        return figures(run, nothing, workload["seconds"], workload.get("changes", []))

    def why_not(self, name, way):
        tried = any(run["workload"] == name and run["way"] in (way, "nothing") and
                    "error" in run for run in self.all["runs"])
        return "failed" if tried else "not run"

    def values(self, key, name):
        """What each way has of a figure, in a workload: {way: value}."""
        return {way: self.figures[name, way][key] for way in self.ways
                if self.figures[name, way] and self.figures[name, way][key]}

    def table(self, cell, first="workload", skip=()):
        """A row a workload, a column a way; cell(figures, workload, way) is the text."""
        ways = [way for way in self.ways if way not in skip]
        table = Table(first, *(self.titles[way] for way in ways))
        for name, workload in self.workloads.items():
            cells = [cell(self.figures[name, way], name, way) if self.figures[name, way]
                     else self.why_not(name, way) for way in ways]
            if any(text not in (None, NONE) for text in cells):
                table.add(workload["title"], *cells)
        return table


def number(value, digits=2):
    return NONE if value is None else f"{value:.{digits}f}"


def speed_table(results, key):
    """The values, in bold where no other way has a better one, and their means."""
    def cell(values, name, _way):
        value, best = values[key], max(results.values(key, name).values())
        text = number(value)
        return f"**{text}**" if value and round(value, 2) == round(best, 2) else text

    table = results.table(cell)
    whole = [name for name in results.workloads
             if len(results.values(key, name)) == len(results.ways)]
    if len(whole) > 1:
        table.add("Geometric mean", *(
            number(statistics.geometric_mean(results.values(key, name)[way] for name in whole))
            for way in results.ways))
    return table


def beaten(results, key):
    """Where ktierd is not the best, in a sentence."""
    found, known = [], False
    for name, workload in results.workloads.items():
        values = results.values(key, name)
        known |= "ktierd" in values
        best = max(values, key=values.get, default=None)
        if "ktierd" in values and round(values["ktierd"], 2) < round(values[best], 2):
            found.append(f"{workload['title']} ({number(values['ktierd'])}; "
                         f"{results.titles[best]} {number(values[best])})")
    if not known:
        return ""
    return f" ktierd is behind in: {', '.join(found)}." if found else " ktierd is nowhere behind."


def share_cell(values, _name, _way):
    oracle = values["oracle_end"]
    text = number(values["share_end"], 3)
    return f"{text} ({values['share_end'] / oracle * 100:.0f} %)" if oracle else text


def cost_cell(results):
    def cell(values, name, way):
        plain = results.run(name, way, "plain")
        nothing = results.run(name, "nothing", "plain")
        again = NONE
        if plain and nothing:
            agreement = check.agreement(results.run(name, way, "metered"), plain)
            again = f"{agreement * 100:+.2f} %"
        return f"{values['throughput']:.3f} / {values['throughput_end']:.3f} ({again})"
    return cell


def convergence_cell(values, _name, _way):
    found = values["converged_s"]
    if found is None:
        return None
    return ", ".join("never" if t is None else f"{t:.0f}" for t in found)


def traffic_cell(values, _name, _way):
    moved = values["moved_mib"]
    text = f"{moved['all']:.0f}"
    if "up" in moved:
        text += f" ({moved['up']:.0f} / {moved['down']:.0f} / {moved['returns']:.0f})"
    return text


def traffic_end_cell(values, _name, _way):
    part = values["moved_a_minute_end"]
    return None if part is None else f"{part * 100:.2f} %"


def cpu_cell(values, _name, _way):
    threads = sorted(values["threads_percent"].items(), key=lambda item: -item[1])
    shown = [f"{name} {percent:.1f}" for name, percent in threads if percent >= 0.05]
    return ", ".join(shown) or NONE


def memory_cell(values, _name, _way):
    return number(values["slabs_kib"], 0) if values["slabs_kib"] else NONE


def pauses_table(results, name):
    """Each way's slow operations a million, beside those of nothing in the same round."""
    rounds = results.runs(name, "pauses")
    if not rounds:
        return None
    limits = [key for key in rounds[0]["end"] if key.startswith("slow_")]
    table = Table("way", *(f"over {key[5:-2]} µs" for key in limits), "longest",
                  "rounds with more than nothing")
    for way in results.ways:
        own = [run for run in rounds if run["way"] == way]
        base = {run["round"]: run for run in rounds if run["way"] == "nothing"}
        if not own:
            continue
        per_million = [statistics.median(run["end"][key] / run["end"]["ops"] * 1e6 for run in own)
                       for key in limits]
        more = sum(run["end"][limits[1]] / run["end"]["ops"] >
                   base[run["round"]]["end"][limits[1]] / base[run["round"]]["end"]["ops"]
                   for run in own if run["round"] in base)
        longest = statistics.median(run["end"]["longest_us"] for run in own) / 1000
        table.add(results.titles[way], *(number(value, 1) for value in per_million),
                  f"{longest:.1f} ms", NONE if way == "nothing" else f"{more} of {len(own)}")
    return table


def quality_table(results):
    table = Table("workload", "rounds", "precision", "recall", "worth")
    for name, workload in results.workloads.items():
        for run in results.runs(name, "quality"):
            since = workload["seconds"] * (1 - TAIL)
            tail = [r for r in run["quality"] if r["t"] >= since] or run["quality"][-1:]
            table.add(workload["title"], len(run["quality"]),
                      *(number(mean([r[key] for r in tail]), 3)
                        for key in ("precision", "recall", "worth")))
    return table if len(table.rows) > 1 else None


def settings(results):
    """How each way was set, as the guest said it."""
    lines = []
    for way in results.ways:
        run = next((run for run in results.all["runs"]
                    if run["way"] == way and run.get("settings") is not None), None)
        if not run:
            continue
        lines.append(f"\n### {results.titles[way]}\n")
        if not run["settings"]:
            lines.append("Nothing is set.\n")
        for setting in run["settings"]:
            why = f" — {setting['why']}" if setting["why"] else ""
            what = f"`{setting['file']}` = {setting['value']}" if setting["file"] \
                else setting["value"]
            lines.append(f"- {what}{why}")
    return "\n".join(lines) + "\n"


def disagreements(results):
    """Pairs of runs that differ more than they may."""
    found = []
    for name in results.workloads:
        for way in results.ways:
            metered, plain = (results.run(name, way, kind) for kind in ("metered", "plain"))
            if not metered or not plain:
                continue
            difference = check.agreement(metered, plain)
            if abs(difference) > check.AGREEMENT:
                found.append(f"{results.workloads[name]['title']}, {results.titles[way]}: "
                             f"{difference * 100:+.2f} %")
    return found


def sections(results):
    """(heading, text, table) of the report."""
    machine = results.all["machine"]
    yield ("Who wins where: modelled speed on Optane",
           "Operations a second against \"nothing\", over the whole run, if instructions took "
           "a cycle each, and what misses a cache of "
           f"{machine['cache_kib']} KiB took what it takes on Optane 100. More is better; the "
           f"best of a row is bold.{beaten(results, 'modelled_optane')}",
           speed_table(results, "modelled_optane"))
    yield (f"The same, in the last {TAIL * 100:.0f} % of the run",
           f"What it comes to once it has settled.{beaten(results, 'modelled_optane_end')}",
           speed_table(results, "modelled_optane_end"))
    yield ("On CXL", "The whole run, with the latencies of a CXL card (ASIC)."
           f"{beaten(results, 'modelled_cxl')}",
           speed_table(results, "modelled_cxl"))
    yield ("Share of the accesses that DRAM served, at the end",
           "By the memory meter: the load's own accesses in the last "
           f"{TAIL * 100:.0f} % of the time after the last change (of the workload \"{halves(results)}\" "
           "the writes; of programs all that user code does and misses the cache). In "
           "brackets: of what the oracle has.",
           results.table(share_cell))
    yield ("Cost: operations against \"nothing\"",
           "Operations a virtual second, which is a count of instructions: without any gain "
           "from faster memory. Whole run / end. In brackets how much a second run, without the "
           "meter, differs.",
           results.table(cost_cell(results)))
    yield ("Convergence", f"Seconds until the share is {CONVERGED * 100:.0f} % of the oracle's: "
           "after the start, and after each change.",
           results.table(convergence_cell, skip=("nothing",)))
    yield ("Traffic", "MiB migrated, by the kernel's counter. In brackets what the load saw of its "
           "own pages every 5 seconds: up / down / moves against the one before of the page.",
           results.table(traffic_cell, skip=("nothing", "interleave")))
    yield ("Traffic after convergence",
           "Percent of its memory that the load saw move in a minute, up and down together, in the "
           f"last {TAIL * 100:.0f} % of the time after the last change. It looks every 5 seconds, "
           "and does not see what comes back meanwhile.",
           results.table(traffic_end_cell, skip=("nothing", "interleave")))
    yield ("CPU of kernel threads", "Percent of the guest's only CPU.",
           results.table(cpu_cell, skip=("nothing", "interleave")))
    yield ("Memory of their data", "KiB in slabs of their own, at the end.",
           results.table(memory_cell, skip=("nothing", "interleave")))


def halves(results):
    return next((w["title"] for w in results.workloads.values() if w.get("share") == "writes"),
                "Written half, read half")


def sampled_table(results):
    """Of the metered runs of ktierd."""
    table = Table("workload", "rounds", "interval at the end, s", "window at the end, µs", "moves",
                  "returned")
    for name, workload in results.workloads.items():
        run = results.run(name, "ktierd", "metered")
        if not run:
            continue
        interval = run["ktierd"].get("scan_interval_effective_ms")
        returned = returned_part(run)
        table.add(workload["title"], grown(run, "scans"),
                  None if interval is None else f"{interval / 1000:.1f}",
                  run["ktierd"]["sample_window_us"],
                  grown(run, "pages_promoted") + grown(run, "pages_demoted"),
                  None if returned is None else f"{returned * 100:.1f} %")
    return table if len(table.rows) > 1 else None


def visits(results):
    table = Table("workload", "pages scanned", "instructions", "in the second half")
    for name, workload in results.workloads.items():
        for run in results.runs(name, "visits"):
            new, old = run["ktierd"]["pages_scanned"], run["ktierd_before"]["pages_scanned"]
            table.add(workload["title"], new - old, number(instructions_per_visit(run), 0),
                      number(instructions_per_visit(run, "ktierd_half"), 0))
    return table if len(table.rows) > 1 else None


def perf_table(results):
    table = Table("workload", "percent", "function")
    for run in results.all["runs"]:
        for percent, function in run.get("perf", [])[:15]:
            table.add(results.workloads[run["workload"]]["title"], f"{percent:.1f}", function)
    return table if len(table.rows) > 1 else None


def cpus(number):
    return f"{number} CPU{'s' if number != 1 else ''}"


def head(results):
    machine = results.all["machine"]
    lines = [
        "# ktierd beside its peers\n",
        f"{machine['date']}, commit {machine['commit']}, {results.all['took_s'] / 60:.0f} minutes "
        f"on {machine['host']}. Guest: {machine['dram']} DRAM, {machine['pmem']} PMEM, "
        f"{machine['qemu']}, {cpus(machine['cpus'])} and `-icount shift=1` (2 ns an instruction); "
        f"for pauses {cpus(machine['pause_cpus'])} without it.\n",
        "The same kernel and guest for all. Pages start interleaved over both tiers, half and "
        "half (not for weighted interleave, which is a rule for where they start, and not where "
        "memory grows); then the way of tiering is switched on and the load begins.\n"]
    for name, workload in results.workloads.items():
        lines.append(f"- **{workload['title']}** (`{workload['program']} {workload['args']}`, "
                     f"{workload['seconds']} s): {workload['what']}")
    return "\n".join(lines) + "\n"


def pauses_sections(results):
    for name, workload in results.workloads.items():
        table = pauses_table(results, name)
        if table:
            yield (f"Pauses: {workload['title']}",
                   "Without `-icount`, one guest at a time, the ways in turn. Operations in a "
                   "million that took longer; median of the rounds.", table)


def agreement_section(results):
    wrong = disagreements(results)
    table = Table("workload and way", "difference")
    for text in wrong:
        table.add(*text.rsplit(": ", 1))
    return ("Agreement of repeated runs",
            "These pairs of runs differ by more than 0.5 %." if wrong
            else "All pairs of runs agree within 0.5 %.", table if wrong else None)


def failed_section(results):
    table = Table("workload", "way", "kind", "what went wrong")
    for run in results.all["runs"]:
        if "error" in run:
            table.add(run["workload"], run["way"], run["kind"], run["error"])
    return ("Runs that failed", "", table) if len(table.rows) > 1 else None


def all_sections(results):
    """All with something to say."""
    yield from sections(results)
    yield ("How ktierd sampled",
           "Its rounds, the interval in effect and the length of its window at the end, the pages "
           "that it moved, and which part of these went back soon after an earlier move.",
           sampled_table(results))
    yield ("What sampling takes of ktierd",
           "Instructions of its thread a present page and visit, of which a round makes two. Pages "
           "of a table in which nothing was used are counted, too, though nobody looks at them.",
           visits(results))
    yield ("How well ktierd knows what is hot",
           "Beside the meter's counts of the same second, by page, in the last "
           f"{TAIL * 100:.0f} % of the run. Truly hot are pages accessed more often than the "
           "average one, as many as fit. Worth: what placing by ktierd's levels alone would "
           "serve, of what placing by the counts would. Pages in tables that sleep are taken to be "
           "idle.", quality_table(results))
    yield from pauses_sections(results)
    yield ("Where ktierd's thread spends its time", "Percent of its samples.", perf_table(results))
    yield agreement_section(results)
    yield failed_section(results)


def said(results):
    return [section for section in all_sections(results)
            if section and (section[2] or section[0].startswith("Agreement"))]


def markdown(results, images):
    parts = [head(results)]
    for heading, text, table in said(results):
        parts.append(f"\n## {heading}\n\n{text}\n\n{table.markdown() if table else ''}")
    parts.append("\n## Plots\n\n" + "".join(f"![{text}]({name})\n\n" for name, text in images))
    parts.append("\n## How each was set\n" + settings(results))
    return "".join(parts)


def rst(results):
    parts = [".. SPDX-License-Identifier: GPL-2.0\n"]
    for heading, text, table in said(results):
        text = "\n".join(textwrap.wrap(text.replace("`", "``"), 80))
        parts.append(f"\n{heading}\n{'-' * len(heading)}\n\n{text}\n\n"
                     f"{table.rst() if table else ''}")
    return "".join(parts)


def write(results, out):
    """Write report.md and the plots that it shows."""
    results = Results(results)
    images = plots.draw(results, out)
    with open(os.path.join(out, "report.md"), "w", encoding="utf-8") as file:
        file.write(markdown(results, images))
    with open(os.path.join(out, "tables.rst"), "w", encoding="utf-8") as file:
        file.write(rst(results))
