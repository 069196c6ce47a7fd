# SPDX-License-Identifier: GPL-2.0
"""What the tests of ktierctl's records share: TAP, and records read by other code than
ktierctl's own. The format is described in tools/mm/ktierctl/record.h."""

import os
import subprocess
import sys

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../../.."))
PATH = os.environ["PATH"] + ":" + os.path.join(TOP, "build/bin")
ENV = dict(os.environ, PATH=PATH, TERM="dumb")

ABSENT = 0xff
LOW = 0x20
HEAT = 0x1f
UNKNOWN = 0x40
HOT = 17


class Tap:
    """Prints a result for each check; what failed is explained."""

    def __init__(self, plan):
        self.plan = plan
        self.number = 0
        self.failed = False
        print("TAP version 13")
        print("1..%d" % plan, flush=True)

    def check(self, name, good, why=""):
        self.number += 1
        if not good:
            self.failed = True
            for line in str(why).splitlines() or ["no more is known"]:
                print("# " + line)
        print("%s %d %s" % ("ok" if good else "not ok", self.number, name), flush=True)

    def end(self):
        if self.number != self.plan:
            print(f"# planned {self.plan} results, gave {self.number}")
        sys.exit(1 if self.failed or self.number != self.plan else 0)


def ktierctl(*arguments, **how):
    """Run it. The result has stdout, stderr and returncode."""
    how.setdefault("env", ENV)
    return subprocess.run(["ktierctl", *map(str, arguments)], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, **how)


def is_sentence(text):
    """One message of ktierctl's, and nothing else."""
    return text.startswith("ktierctl: ") and text.count("\n") == 1


def sample_page(cell, order):
    """The page that stands for a cell of 2^order pages."""
    word = (1 << 64) - 1
    while order:
        order -= 1
        mixed = ((cell * 0x9e3779b97f4a7c15 + order) & word) * 0xbf58476d1ce4e5b9 & word
        cell = cell * 2 + (mixed >> 63)
    return cell


class Frame:
    """States by page, and the figures, at a time."""

    def __init__(self, fields, states, order):
        self.time = float(fields[0])
        (self.round, self.hot, self.top, self.low, self.hot_top, self.hot_low, self.cold_top,
         self.cold_low, self.promoted, self.demoted) = map(int, fields[1:])
        self.states = states
        self.order = order


class Record:
    """All of a record. Frames know all states, not only what is new."""

    def __init__(self, path):
        self.info = {}
        self.mappings = []
        self.frames = []
        self.lost = 0
        self.end = None
        order = 0
        states = {}
        with open(path, encoding="utf-8") as lines:
            self.magic = next(lines, "").strip()
            for line in lines:
                if not line.endswith("\n"):
                    break
                kind, rest = line[0], line[2:].rstrip("\n")
                if kind == "i":
                    key, value = rest.split(" ", 1)
                    self.info[key] = value
                elif kind == "m":
                    where, name = rest.split(" ", 1)
                    start, end = (int(x, 16) for x in where.split("-"))
                    self.mappings.append((start, end, name))
                elif kind == "o":
                    order = int(rest)
                    states = {}
                elif kind == "f":
                    states = dict(states)
                    self.frames.append(Frame(rest.split(), states, order))
                elif kind == "p":
                    cell, digits = rest.split()
                    for i, state in enumerate(bytes.fromhex(digits)):
                        states[sample_page(int(cell, 16) + i, order)] = state
                elif kind == "l":
                    self.lost += int(rest)
                elif kind == "e":
                    self.end = rest.split()
