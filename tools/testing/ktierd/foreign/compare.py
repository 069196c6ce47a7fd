#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compare what programs did under ktierd with what they do without it.

Reads the output of "guest" and the kernel logs of its guests. Prints TAP with one
result a program, then the table. Ends with 1 if anything fails under ktierd that
passes without.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL_LOG = os.path.join(HERE, "..", "vm", "kernel-log")

PASS, FAIL, SKIP, LOST = "pass", "fail", "skip", "lost"
WAYS = ("without", "with")

KSFT_SKIP = 4
STRESS_NG_SKIPS = (3, 4)    # no resources, not implemented
TIMED_OUT = (124, 137)

# A test differs if it failed under ktierd so much more often than without; once
# only, and not again, is chance. But not of programs that see that their memory is
# right: what is lost once is lost.
BAD_ROUNDS = 2
STRICT_GROUPS = ("stress-ng", "postgresql")

# A known failure whose reason begins with this is one that happens now and then. Then
# how often it does so under ktierd tells nothing, unless the test does not come to a
# result there.
CHANCE = "chance"

# A report of the kernel has at most so many lines: a stall is told with the registers
# and the stack of each processor.
REPORT_LINES = 200

# The thread's own reports say so, in one of these ways. Nothing excuses them.
OURS = re.compile(r"\[ktierd:\d+\]|\bComm: ktierd(\s|$)|\btask(:ktierd\s|\sktierd:)")
BY_US = " by ktierd"


class Run:
    """One run of a program, and what came of its tests."""

    def __init__(self, group, way, round_, program):
        self.group, self.way, self.round, self.program = group, way, int(round_), program
        self.status = None
        self.seconds = self.promoted = self.demoted = 0
        self.results = {}

    def end(self, lines, status, seconds, promoted, demoted):
        self.status, self.seconds = int(status), int(seconds)
        self.promoted, self.demoted = int(promoted), int(demoted)
        for name, verdict in tests(lines):
            self.note(name, verdict)
        self.note("ends well", self.verdict())

    def note(self, name, verdict):
        unique, n = name, 1
        while unique in self.results:
            n += 1
            unique = f"{name} ({n})"
        self.results[unique] = verdict

    def verdict(self):
        if self.status == 0:
            return PASS
        skips = STRESS_NG_SKIPS if self.group == "stress-ng" else (KSFT_SKIP,)
        return SKIP if self.status in skips else FAIL


def settled(name):
    """A test's name without what differs from run to run."""
    name = re.sub(r"\x1b\[[0-9;]*m", "", name)
    name = re.sub(r"0x[0-9a-f]+", "0x", name)
    name = re.sub(r"(\bExtra pages) \d.*", r"\1", name)
    return " ".join(name.split())


def tests(lines):
    """The tests that a program says it made: TAP, or one of two other ways."""
    collapse, seen = None, set()
    for line in lines:
        tap = re.match(r"(not )?ok \d+ *-? *(.*?) *(# *(SKIP|XFAIL)\b.*)?$", line)
        if tap and line in seen:
            continue    # what a child had in its buffer, too
        seen.add(line)
        uffd = re.match(r"Testing (.*)\.\.\. (done|skipped|failed)\b", line)
        khugepaged = re.match(r"Run test: (.*)", line)
        if tap:
            verdict = FAIL if tap[1] and not tap[4] else SKIP if tap[4] else PASS
            yield settled(tap[2]), verdict
        elif uffd:
            yield settled(uffd[1]), {"done": PASS, "skipped": SKIP, "failed": FAIL}[uffd[2]]
        elif khugepaged:
            if collapse:
                yield collapse
            collapse = (settled(khugepaged[1]), PASS)
        elif collapse and re.search(r"(Fail|Unexpected)(\x1b\[0m)?$", line.rstrip()):
            collapse = (collapse[0], FAIL)
    if collapse:
        yield collapse


def read_runs(path):
    """All runs in the output of a guest; complaints if it did not come to its end."""
    runs, run, lines, done = [], None, [], False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("@begin\t"):
                run, lines = Run(*line.split("\t")[1:5]), []
                runs.append(run)
            elif line.startswith("@end\t") and run:
                run.end(lines, *line.split("\t")[1:5])
                run = None
            elif line == "@done":
                done = True
            elif run:
                lines.append(line)
    complaints = [] if done else [f"the guest of {os.path.basename(path)} did not come to its end" +
                                  (f": it was in {run.program}, {run.way} ktierd" if run else "")]
    return runs, complaints


class Program:
    """All runs of one program, both ways."""

    def __init__(self, group, name):
        self.group, self.name = group, name
        self.runs = {way: {} for way in WAYS}

    def results(self, test):
        """Its verdicts by way, one a round in which it ran both ways."""
        rounds = sorted(set(self.runs["without"]) | set(self.runs["with"]))
        return {way: [self.runs[way][r].results.get(test, LOST) if r in self.runs[way] else LOST
                      for r in rounds] for way in WAYS}

    def tests(self):
        names = {}
        for way in WAYS:
            for run in self.runs[way].values():
                names.update(dict.fromkeys(run.results))
        return list(names)

    def moved(self):
        runs = self.runs["with"].values()
        return sum(r.promoted for r in runs), sum(r.demoted for r in runs)

    def suspects(self):
        """Tests of which the first round is worse under ktierd."""
        return [t for t in self.tests() if worse(self.results(t), 0)]

    def judge(self):
        """Tests that differ, those that are flaky, and those that fail without."""
        differ, flaky, base = [], [], []
        enough = 1 if self.group in STRICT_GROUPS else BAD_ROUNDS
        for test in self.tests():
            results = self.results(test)
            without, under = results["without"], results["with"]
            bad = sum(worse(results, n) for n in range(len(under)))
            without_bad = sum(v in (FAIL, LOST) for v in without)
            if not bad:
                if any(v in (FAIL, LOST) for v in without):
                    base.append(test)
                if len(set(without)) > 1:
                    flaky.append(test)
            elif bad - without_bad >= enough or len(under) == 1:
                differ.append(test)
            else:
                flaky.append(test)
        return differ, flaky, base


def worse(results, n):
    without, under = results["without"][n], results["with"][n]
    return without in (PASS, SKIP) and under in (FAIL, LOST) or (without, under) == (PASS, SKIP)


def read_list(path):
    """Lines "GROUP: PROGRAM[: TEST] | REASON" as pairs of patterns and reasons."""
    pairs = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line and not line.startswith("#"):
                what, _, reason = line.partition("|")
                pairs.append((what.strip(), reason.strip()))
    return pairs


def listed(pairs, text):
    """The reason that the first matching line gives; "*" stands for anything."""
    for what, reason in pairs:
        if re.fullmatch(re.escape(what).replace(r"\*", ".*"), text):
            return reason or "listed"
    return None


def kernel_reports(path):
    """What the kernel reported, by way; what was before the first program is without."""
    parts = {way: [] for way in WAYS}
    way = "without"
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            mark = re.search(r"foreign: (without|with) \d+ ", line)
            way = mark[1] if mark else way
            parts[way].append(line)
    return {way: complaints(parts[way]) for way in WAYS}


def where(report):
    """The kernel function that a report is about, if it says so, and if it is ktierd's."""
    rip = re.search(r"RIP: 0010:(\w+)", "".join(report))
    return (f" in {rip[1]}" if rip else "") + (BY_US if any(map(OURS.search, report)) else "")


def complaints(lines):
    """What vm/kernel-log finds: kinds of reports, each with one of them."""
    with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
        file.write("init: \n")
        file.writelines(lines)
        file.flush()
        out = subprocess.run([KERNEL_LOG, file.name], capture_output=True, text=True,
                             check=False).stdout
    reports = re.findall(r"^not ok \d+ kernel log line (\d+):\[ *[\d.]+\](.*)", out, re.M)
    starts = [int(number) - 2 for number, _ in reports]
    found = {}
    for (_, text), start, end in zip(reports, starts, starts[1:] + [len(lines)]):
        text = text.strip() + where(lines[start:min(end, start + REPORT_LINES)])
        kind = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\[.*?:\d+\]|\d+", "N", text)
        found.setdefault(kind, text)
    return found


class Tap:
    """TAP, the plan at its end."""

    def __init__(self):
        self.n = self.failed = 0
        print("TAP version 13")

    def result(self, good, text, notes=()):
        self.n += 1
        for note in notes:
            print(f"# {note}")
        print(f"{'ok' if good else 'not ok'} {self.n} {text}", flush=True)
        self.failed += not good

    def end(self):
        print(f"1..{self.n}")


def summary(run):
    """"pass", or how many of its tests passed, failed and were skipped."""
    if not run or run.status is None:
        return "lost"
    many = {t: v for t, v in run.results.items() if t != "ends well"}
    if run.status in TIMED_OUT:
        return "time is up"
    if len(many) < 2:
        return run.results["ends well"]
    count = collections.Counter(many.values())
    return ", ".join(f"{count[v]} {v}" for v in (PASS, FAIL, SKIP) if count[v])


def history(program, test):
    results = program.results(test)
    return ", ".join(f"{way}: {' '.join(results[way])}" for way in WAYS)


def by_chance(program, test, reason):
    return (reason or "").startswith(CHANCE) and LOST not in program.results(test)["with"]


def judge_program(tap, program, known, moving):
    """One line of TAP. Returns same, differ or flaky."""
    differ, flaky, base = program.judge()
    name = f"{program.group}: {program.name}"
    reason = {t: listed(known, f"{name}: {t}") or listed(known, name) for t in program.tests()}
    flaky += [t for t in differ if by_chance(program, t, reason[t])]
    differ = [t for t in differ if t not in flaky]
    promoted, demoted = program.moved()
    notes = [f"DIFFERS {t}: {history(program, t)}" for t in differ]
    notes += [f"flaky {t}: {history(program, t)}" + (f": {reason[t]}" if reason[t] else "")
              for t in flaky]
    notes += [f"fails without, too: {t}: {reason[t] or 'not among the known failures'}"
              for t in base]
    still = listed(moving, name) and not (promoted + demoted)
    if still:
        notes.append("no page moved, though it should have had some moved")
    tap.result(not differ and not still,
               f"{name} # {promoted} promoted, {demoted} demoted", notes)
    return "differ" if differ or still else "flaky" if flaky else "same"


def judge_groups(tap, programs, moving):
    """One line of TAP for each group of which pages must have moved somewhere."""
    moved = collections.defaultdict(list)
    for program in programs:
        moved[program.group].append(program.moved())
    for group, pairs in moved.items():
        if listed(moving, group):
            promoted, demoted = (sum(numbers) for numbers in zip(*pairs))
            tap.result(promoted + demoted, f"{group}: pages of its programs moved "
                       f"# {promoted} promoted, {demoted} demoted")


def judge_kernel(tap, path, known):
    reports = kernel_reports(path)
    notes, new = [], False
    for kind, text in reports["with"].items():
        if kind.endswith(BY_US):
            continue
        reason = "it does so without, too" if kind in reports["without"] else \
            listed(known, f"kernel: {kind}")
        notes.append(f"reported: {text}: {reason or 'NOT WITHOUT'}")
        new = new or not reason
    for way in WAYS:
        ours = [text for kind, text in reports[way].items() if kind.endswith(BY_US)]
        notes += [f"reported: {text}: ITS OWN, {way} programs under it" for text in ours]
        new = new or bool(ours)
    tap.result(not new, f"{os.path.basename(path)}: the kernel reports nothing under ktierd "
               "that it does not without", notes)


def collect(logs):
    programs, lost = {}, []
    for path in logs:
        runs, said = read_runs(path)
        lost += said
        for run in runs:
            key = (run.group, run.program)
            program = programs.setdefault(key, Program(*key))
            program.runs[run.way][run.round] = run
    return programs, lost


def table(programs):
    """For Documentation/mm/ktierd.rst."""
    head = ("program", "without", "under ktierd", "promoted", "demoted")
    rows = []
    for p in programs.values():
        first = [p.runs[way].get(0) for way in WAYS]
        rows.append((f"{p.group}: {p.name}", summary(first[0]), summary(first[1]),
                     *(str(n) for n in p.moved())))
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    rule = "  ".join("=" * w for w in widths)
    lines = [rule, "  ".join(h.ljust(w) for h, w in zip(head, widths)).rstrip(), rule]
    lines += ["  ".join(c.rjust(w) if i > 2 else c.ljust(w)
                        for i, (c, w) in enumerate(zip(row, widths))) for row in rows]
    return "\n".join(lines + [rule])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="+", help="outputs of guest, or with .console kernel logs")
    parser.add_argument("--suspects", action="store_true",
                        help="only name what is to be repeated: group, tab, program")
    parser.add_argument("--known", default=os.path.join(HERE, "known"))
    parser.add_argument("--moving", default=os.path.join(HERE, "moving"))
    parser.add_argument("--table", help="a file for the table")
    args = parser.parse_args()
    consoles = [path for path in args.logs if path.endswith(".console")]
    programs, lost = collect([path for path in args.logs if path not in consoles])

    if args.suspects:
        for program in programs.values():
            if program.suspects():
                print(f"{program.group}\t{program.name}")
        return 0

    tap = Tap()
    count = collections.Counter()
    known, moving = read_list(args.known), read_list(args.moving)
    for program in programs.values():
        count[judge_program(tap, program, known, moving)] += 1
    judge_groups(tap, programs.values(), moving)
    for path in consoles:
        judge_kernel(tap, path, known)
    tap.result(not lost and bool(programs), "all guests came to their end", lost)
    tap.end()
    text = table(programs)
    if args.table:
        with open(args.table, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    print("".join(f"# {line}\n" for line in text.splitlines()), end="")
    print(f"# {count['same']} the same, {count['differ']} differ, {count['flaky']} flaky")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
