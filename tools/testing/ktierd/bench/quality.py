# SPDX-License-Identifier: GPL-2.0
"""How well sampling knows what is hot: ktierd's levels beside the meter's counts."""

import re
import struct

import numpy

PAGE = 4096
BLOCK_PAGES = 512

# Heat is a level below this; up to WARM it says how long ago a page was used.
LEVELS = 32
WARM = 7
# The event's word for a page that is not there.
ABSENT = 0xff
LEVEL = 0x1f  # without what says that it is in a lower tier
HEAD = struct.Struct("=8sQQQ")


def snapshots(path):
    """The meter's counts by page: {number: accesses of each page}."""
    found = {}
    with open(path, "rb") as file:
        while head := file.read(HEAD.size):
            magic, number, _, pages = HEAD.unpack(head)
            if magic != b"KTMETER1":
                raise ValueError("the meter's snapshots are not what they should be")
            counts = numpy.frombuffer(file.read(8 * pages), dtype=numpy.uint32)
            found[number] = counts.reshape(2, pages).sum(axis=0)
    return found


def rounds(trace, address, pages):
    """(time, level of each page, arguments of the cut) of each round.

    A page without an event is in a table that sleeps: nothing in it was used. It
    has the level that it had last, as far as that is one of idleness.
    """
    last = numpy.full(pages, ABSENT, dtype=numpy.uint8)
    levels, told = last.copy(), numpy.zeros(pages, dtype=bool)
    for event in trace:
        if event["name"] not in ("block", "cut"):
            continue
        args = dict(word.split("=") for word in event["args"].split())
        if event["name"] == "cut":
            asleep = ~told & (last != ABSENT)
            levels[asleep] = numpy.minimum(last[asleep], WARM)
            yield event["t"], levels, {key: int(value) for key, value in args.items()}
            last = levels
            levels, told = numpy.full_like(last, ABSENT), numpy.zeros_like(told)
            continue
        first = (int(args["addr"], 16) - address) // PAGE
        if 0 <= first < pages:
            block = numpy.frombuffer(bytes.fromhex(args["levels"]), dtype=numpy.uint8)
            block = numpy.resize(block, BLOCK_PAGES) if len(block) == 1 else block
            block = numpy.where(block == ABSENT, block, block & numpy.uint8(LEVEL))
            here = levels[first:first + len(block)]
            numpy.minimum(here, block[:len(here)], out=here)
            told[first:first + len(block)] = True


def compare(levels, counts, capacity, hot_level):
    """Precision and recall of "hot", and what placing by levels would be worth.

    Truly hot are pages that are accessed more often than the average one, the
    most accessed first, as many as fit. Worth is the share of the accesses that
    the hottest pages by level serve, of what the hottest by count do, when the
    top tier is filled with them.
    """
    there = levels != ABSENT
    order = numpy.argsort(-counts.astype(numpy.int64), kind="stable")[:capacity]
    truly = numpy.zeros(len(counts), dtype=bool)
    truly[order] = counts[order] > counts.mean()
    said = there & (levels >= hot_level)
    both = numpy.count_nonzero(said & truly)
    best = int(counts[order].sum())
    served, room = 0.0, capacity
    for level in range(LEVELS - 1, -1, -1):
        at_level = counts[there & (levels == level)]
        take = min(room, len(at_level))
        # Which of the pages of one level are taken is chance.
        served += at_level.sum() * take / len(at_level) if take else 0
        room -= take
    return {"precision": both / numpy.count_nonzero(said) if said.any() else None,
            "recall": both / numpy.count_nonzero(truly) if truly.any() else None,
            "worth": served / best if best else None}


def measure(directory, result):
    """For each round of ktierd, what it took for hot against what was."""
    trace = result.pop("trace")
    start = result["start"]
    pages = start["size_kib"] * 1024 // PAGE
    counts = snapshots(f"{directory}/pages")
    ticks = result["ticks"]
    found = []
    for when, levels, cut in rounds(trace, start["address"], pages):
        t = when - result["end"]["began"]
        tick = next((tick for tick in ticks if tick["t"] >= t), None)
        if t < 0 or tick is None or tick["number"] not in counts or tick["number"] == 0:
            continue
        found.append({"t": round(t, 3), "window_us": cut["window_us"], "hot": cut["hot"],
                      **compare(levels, counts[tick["number"]],
                                start["capacity_kib"] * 1024 // PAGE, cut["hot"])})
    if not found:
        raise ValueError("no round of ktierd was traced")
    return found


def hottest_functions(path):
    """What perf report said: [(percent, function)], the hottest first."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return [(float(match[1]), match[2]) for match in
                (re.match(r"\s*(\d+\.\d+)%.*\[k\]\s+(\S+)", line) for line in file) if match]
