# SPDX-License-Identifier: GPL-2.0
"""Runs of the simulator, and what Callgrind counts in them."""

import json
import os
import re
import shutil
import subprocess

COUNTED_ROUNDS = 12

# A large machine has few of its blocks watched.
COUNTED_WATCHED = 4096

# Files of which the instructions are counted, and what is left out: what is
# done for each page that moves.
COUNTED = ("heat.c", "policy.c")
FOR_MOVES = ("ktierd_quota_take", "ktierd_levels_at", "ktierd_levels_class", "one_of")


class Simulator:
    """The program, built for this."""

    def __init__(self, here, out, seed):
        subprocess.run(["make", "-s", "-C", here, f"OUTPUT={out}"], check=True)
        self.program = os.path.join(out, "ktierd-sim")
        self.out = out
        self.seed = seed
        self.runs = 0

    def command(self, kind, name, options):
        options = {"seed": self.seed} | options
        return [self.program, kind, name,
                *(f"{key.replace('_', '-')}={value}" for key, value in options.items())]

    def run(self, kind, name, **options):
        done = subprocess.run(self.command(kind, name, options), check=True, text=True,
                              stdout=subprocess.PIPE)
        self.runs += 1
        return json.loads(done.stdout)

    def count(self, name, **options):
        """Instructions of heat.c a group and round, and of policy.c a round.

        None if there is no Callgrind.
        """
        if not shutil.which("valgrind"):
            return None
        path = os.path.join(self.out, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}"]
        options = {"rounds": COUNTED_ROUNDS, "watched": COUNTED_WATCHED} | options
        done = subprocess.run(command + self.command("machine", name, options), check=True,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.runs += 1
        groups = json.loads(done.stdout)["groups"]
        with open(path, encoding="utf-8") as file:
            counted = instructions(file)
        os.remove(path)
        return {"heat": counted["heat.c"] / groups / COUNTED_ROUNDS,
                "policy": counted["policy.c"] / COUNTED_ROUNDS}


def instructions(lines):
    """What functions of the counted files took themselves, from a file of Callgrind's.

    A name stands there with a number at first, and the number alone after that.
    A line after "calls=" is what the called function took.
    """
    names = {"fl": {}, "fn": {}}
    counted = dict.fromkeys(COUNTED, 0)
    file = function = ""
    called = False
    for line in lines:
        found = re.match(r"(fl|fi|fe|fn)=\((\d+)\)(?: (.*))?$", line)
        if found:
            kind, number, name = found.groups()
            known = names["fn" if kind == "fn" else "fl"]
            name = known.setdefault(number, name and os.path.basename(name))
            if kind == "fn":
                function = name
            else:
                file = name
        elif re.match(r"c?(fl|fi|fn|ob)=\((\d+)\)", line) and line.startswith("c"):
            remember(line, names)
        elif line.startswith("calls="):
            called = True
        elif re.match(r"[+\-*\d]", line):
            if not called and file in counted and function not in FOR_MOVES:
                counted[file] += int(line.split()[1])
            called = False
    return counted


def remember(line, names):
    """The name of what is called may stand nowhere else."""
    found = re.match(r"c(fl|fi|fn)=\((\d+)\) (.*)$", line)
    if found:
        kind, number, name = found.groups()
        names["fn" if kind == "fn" else "fl"].setdefault(number, os.path.basename(name))
