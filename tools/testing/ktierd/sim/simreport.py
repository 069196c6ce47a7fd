# SPDX-License-Identifier: GPL-2.0
"""What was simulated, as tables: report.md, and tables.rst for the kernel's documentation."""

import os

import growth
import pictures
from behaviour import CONVERGED, PATTERNS
from growth import GIB, TIB, size
from report import NONE, Table, number


def seconds(value):
    if value is None:
        return "never"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def percent(value, digits=2):
    return NONE if value is None else f"{value * 100:.{digits}f} %"


def count(value):
    return "never" if value is None else f"{value:.0f}"


def behaviour_table(results):
    table = Table("pattern", "share at the end (of the oracle's)", "converged after, s",
                  "moved a minute, once converged", "of it to and fro", "interval, s",
                  "window, ms", "restarts")
    for name, found in results.items():
        table.add(PATTERNS[name]["title"],
                  f"{found['share']:.3f} ({found['share'] / found['oracle'] * 100:.1f} %)",
                  ", ".join(seconds(t) for t in found["converged_s"]),
                  f"{found['moved_after']:.2f} %", f"{found['trips_after']:.2f} %",
                  number(found["interval_ms"] / 1000, 1),
                  number(found["window_us"] / 1000, 2), found["restarts"])
    return table


def size_table(found, key, what):
    table = Table(key, "instructions a round", "CPU time a round, s", "histories, GiB",
                  "rounds until converged", "seconds until converged",
                  "moved until converged", "moved a round in the end", what)
    for one in found:
        table.add(size(one["memory"]) if key == "memory" else f"{one[key]:,}",
                  f"{one['scan']:.3g}", f"{one['scan_s']:.3g}", f"{one['history'] / GIB:.3g}",
                  count(one["rounds"]), seconds(one["seconds"]), percent(one["moved"]),
                  percent(one["traffic"], 4), f"{one['restarts']:.0f}")
    return table


def slope_table(results):
    table = Table("scenario", "instructions a round", "histories", "work until converged",
                  "rounds, 16 GiB to 64 TiB", "added by a process")
    for name, scenario in results["scenarios"].items():
        first, last = scenario["mms"][0], scenario["mms"][-1]
        rounds = [count(one["rounds"]) for one in scenario["memory"]]
        table.add(growth.SCENARIOS[name],
                  *(number(growth.exponents(scenario, key), 4)
                    for key in ("scan", "history", "work")),
                  f"{rounds[0]} to {rounds[-1]}",
                  f"{(last['scan'] - first['scan']) / (last['mms'] - first['mms']):.0f}")
    return table


def count_table(results):
    table = Table("scenario", "heat.c a group and round, 16 GiB", "64 TiB", "64 processes",
                  "policy.c a round, 16 GiB", "64 TiB", "64 processes")
    for name, scenario in results["scenarios"].items():
        if scenario["counts"]:
            table.add(growth.SCENARIOS[name],
                      *(f"{scenario['counts'][which][kind]:,.0f}" for kind in ("heat", "policy")
                        for which in ("small", "large", "many")))
    return table


def idle_table(found):
    table = Table("idle memory", "instructions a round", "against the first",
                  "rounds until converged", "work until converged, against the first")
    for idle, one in zip(growth.IDLE, found):
        table.add(size(idle), f"{one['scan']:.3g}", number(one["scan"] / found[0]["scan"], 3),
                  count(one["rounds"]), number(one["work"] / found[0]["work"], 3))
    return table


def memory_text(memory):
    return f"{memory / TIB:.2f} TiB" if memory >= TIB else f"{memory / GIB:.0f} GiB"


def serve_table(results):
    table = Table("scenario", "of a CPU",
                  *(f"every {interval} s" for interval in growth.INTERVALS_S))
    for name, scenario in results["scenarios"].items():
        for part in growth.PERCENTS:
            table.add(growth.SCENARIOS[name], f"{part} %",
                      *(memory_text(growth.largest(scenario["memory"], interval, part))
                        for interval in growth.INTERVALS_S))
    return table


def serve_answer(results):
    """What 8 TiB take that are mostly idle."""
    found = results["scenarios"]["idle"]["memory"]
    needed = growth.percent_for(found, 8 * TIB, 10)
    return (f"8 TiB that are mostly idle take {needed:.0f} % of a CPU to be scanned every 10 s. "
            f"With 5 % one thread can do that for "
            f"{memory_text(growth.largest(found, 10, 5))}, and with 15 % for "
            f"{memory_text(growth.largest(found, 10, 15))}.  8 TiB are scanned every "
            f"{needed / 5 * 10:.0f} s with 5 %, and every {needed / 15 * 10:.0f} s with 15 %.")


def variant_table(results):
    table = Table("scenario", "memory", "share at the end, of the oracle's",
                  "rounds until converged", "seconds until converged", "moved until converged",
                  "restarts")
    for name, found in results.items():
        for one in found:
            table.add(growth.SCENARIOS[name], size(one["memory"]), percent(one["share"], 1),
                      count(one["rounds"]), seconds(one["seconds"]), percent(one["moved"]),
                      f"{one['restarts']:.0f}")
    return table


def cost_table(costs):
    table = Table("cost", "value")
    for name, value in costs.items():
        table.add(name, f"{value:g}")
    return table


def sections(results):
    """(heading, text, table) of each."""
    grown = results["growth"]
    yield ("Behaviour", f"""The patterns of the bench, 640 MiB, half of it in DRAM at first, and
3 % more fit.  Converged is at {CONVERGED * 100:.0f} % of the oracle's share and stays there
until the next change.  A restart is when the load was taken to have changed.""",
           behaviour_table(results["behaviour"]))
    for name, what in growth.SCENARIOS.items():
        yield (f"Memory: {what}", "One process; DRAM is an eighth; cpu_percent is 5.",
               size_table(grown["scenarios"][name]["memory"], "memory", "restarts"))
    for name, what in growth.SCENARIOS.items():
        yield (f"Processes: {what}", f"{size(growth.MMS_MEMORY)} in all.",
               size_table(grown["scenarios"][name]["mms"], "mms", "restarts"))
    yield ("Exponents", "How things grow with memory, as a power of it.", slope_table(grown))
    yield ("More idle memory", f"""{size(growth.TOUCHED)} in tables that are touched,
{size(growth.TOUCHED_DRAM)} of DRAM, and more and more memory that is not touched.""",
           idle_table(grown["idle"]))
    yield ("Instructions, counted", """By Callgrind, in heat.c and policy.c alone, without what is
done for each page that moves.""", count_table(grown))
    yield ("What one thread can serve", serve_answer(grown), serve_table(grown))
    for title, found in grown.get("variants", {}).items():
        yield title, growth.VARIANTS[title]["what"], variant_table(found)
    yield ("Costs", "The model: instructions, and bytes.", cost_table(results["costs"]))


def tap_lines(checked):
    """As TAP, with the figures of what does not hold."""
    yield "TAP version 13"
    yield f"1..{len(checked)}"
    for position, (what, good, why) in enumerate(checked, 1):
        if good is None:
            yield f"ok {position} {what} # SKIP {why}"
        else:
            if not good:
                yield f"# {why}"
            yield f"{'ok' if good else 'not ok'} {position} {what}"


def check_table(checked):
    table = Table("", "what must hold", "found")
    for what, good, why in checked:
        table.add({True: "holds", False: "**does not**", None: "not known"}[good], what, why)
    return table


def write(results, checked, out):
    images = pictures.draw(results, out)
    with open(os.path.join(out, "report.md"), "w", encoding="utf-8") as file:
        print("# ktierd, simulated\n", file=file)
        print(f"By the kernel's own heat.c and policy.c, with seed {results['seed']}"
              f"{', quick' if results['quick'] else ''}. What it assumes stands in "
              "tools/testing/ktierd/sim/scenario.c and round.c.\n", file=file)
        for name, title in images:
            print(f"![{title}]({name})\n", file=file)
        for heading, text, table in sections(results):
            print(f"## {heading}\n\n{text}\n\n{table.markdown()}", file=file)
        print(f"## Checks\n\n{check_table(checked).markdown()}", file=file)
    with open(os.path.join(out, "tables.rst"), "w", encoding="utf-8") as file:
        for heading, text, table in sections(results):
            print(f"{heading}\n{'-' * len(heading)}\n\n{text}\n\n{table.rst()}\n", file=file)
