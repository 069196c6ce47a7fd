# SPDX-License-Identifier: GPL-2.0
"""Run guests, and make a dictionary of what came out of each."""

import json
import os
import shlex
import subprocess
import time

import quality

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../../.."))
BENCH = os.path.join(TOP, "tools/testing/ktierd/bench")
VM_RUN = os.path.join(TOP, "tools/testing/ktierd/vm/run")
METER = os.path.join(TOP, "build/bin/meter.so")

# Without merging, slabs of one user can be told from those of another. Addresses,
# random numbers and the time of day are the same in each run.
APPEND = "slab_nomerge nokaslr"
DETERMINISTIC = "-seed 1 -rtc base=2026-01-01T00:00:00,clock=vm"

# A guest that takes so much longer than expected is given up.
PATIENCE = 6


def run_key(result):
    """Which run a result is of, as Run.key has it."""
    return tuple(result[name] for name in ("workload", "way", "kind", "round", "seconds"))


class Run:
    """One guest: a workload under one way of tiering.

    kind is "metered" (-icount, with the memory meter), "plain" (-icount),
    "quality" (as metered, with the trace of what ktierd takes for hot), "perf"
    (as plain, with a profile of ktierd's thread), "visits" (as plain, to count what
    sampling takes) or "pauses" (no -icount, counting slow operations). round
    numbers repetitions.

    Under -icount there is one CPU. Of several each would have its turn until the
    next timer, and what a thread waits for it is taken for CPU time.
    """

    def __init__(self, name, workload, way, kind, seconds, round=1):
        self.workload_name = name
        self.workload = workload
        self.way = way
        self.kind = kind
        self.seconds = seconds
        self.round = round
        self.took_s = None

    @property
    def name(self):
        return f"{self.workload_name}-{self.way}-{self.kind}-{self.round}"

    @property
    def key(self):
        return self.workload_name, self.way, self.kind, self.round, self.seconds

    def command(self):
        """What the guest is to do."""
        args = shlex.split(self.workload["args"]) + [f"--seconds={self.seconds}"]
        kind = "metered" if self.kind in ("metered", "quality") else "plain"
        if self.workload["program"] == "tierload":
            args += ["--slow"] if self.kind == "pauses" else []
            args += ["--snapshots"] if self.kind == "quality" else []
            args += [] if any(a.startswith("--look") for a in args) else ["--look=5"]
        command = shlex.join([BENCH + "/guest", "run", self.way, kind,
                              self.workload["program"], *args])
        extra = {"quality": "BENCH_TRACE=1 ", "perf": "BENCH_PERF=1 ",
                 "visits": f"BENCH_HALF={self.seconds // 2} "}
        return extra.get(self.kind, "") + command

    def environment(self, directory, machine, patience_s):
        extra = DETERMINISTIC
        if self.kind in ("metered", "quality"):
            extra += (f" -plugin {METER},out={directory}/meter.jsonl,"
                     f"pages={directory}/pages,cache={machine['cache_kib']}")
        return dict(os.environ, CMD=self.command(), VM_DIR=f"{directory}/vm",
                    ICOUNT="0" if self.kind == "pauses" else "1",
                    CPUS=str(machine["pause_cpus" if self.kind == "pauses" else "cpus"]),
                    DRAM=machine["dram"], PMEM=machine["pmem"], PMEM_KIND="nvdimm",
                    TIMEOUT=str(patience_s), QEMU_EXTRA=extra, APPEND=APPEND)

    def start(self, out, machine, expected_s):
        """Boot the guest and wait for its end. Returns the result."""
        directory = os.path.join(out, "runs", self.name)
        subprocess.run(["rm", "-rf", directory], check=True)
        os.makedirs(directory)
        began = time.monotonic()
        environment = self.environment(directory, machine, max(600, int(expected_s * PATIENCE)))
        with open(f"{directory}/out.jsonl", "wb") as stdout, \
                open(f"{directory}/err", "wb") as stderr:
            status = subprocess.run([VM_RUN], env=environment, stdin=subprocess.DEVNULL,
                                    stdout=stdout, stderr=stderr).returncode
        self.took_s = time.monotonic() - began
        return self.result(directory, status)

    def result(self, directory, status):
        """What the files of the run say."""
        result = {"workload": self.workload_name, "way": self.way, "kind": self.kind,
                  "round": self.round, "seconds": self.seconds, "host_s": round(self.took_s, 1)}
        try:
            if status:
                raise ValueError(last_line(f"{directory}/err") or f"exit status {status}")
            result.update(parse_output(f"{directory}/out.jsonl"))
            if "share" in self.workload:
                result["share_of"] = self.workload["share"]
            if self.kind in ("metered", "quality"):
                result["meter"] = parse_meter(f"{directory}/meter.jsonl", result["ticks"])
            if self.kind == "quality":
                result["quality"] = quality.measure(directory, result)
            if self.kind == "perf":
                result["perf"] = quality.hottest_functions(f"{directory}/err")
        except (ValueError, KeyError, OSError) as error:
            result["error"] = str(error) or type(error).__name__
        return result


def last_line(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def json_lines(path):
    """The objects of a file of JSON lines; what is not JSON is an error."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{os.path.basename(path)}, line {number}: {error}") from None


def difference(after, before):
    """What was counted between two readings of counters."""
    return {key: after[key] - before.get(key, 0) for key in after}


def parse_output(path):
    """What the guest said: settings, counters, and the load's own lines."""
    result = {"settings": [], "ticks": [], "trace": []}
    counters = {}
    for line in json_lines(path):
        event = line.pop("event")
        if event in ("tick", "setting", "trace"):
            result[event + "s" if event != "trace" else event].append(line)
        elif event == "counters":
            counters[line.pop("when")] = line
        elif event == "way":
            result.update(title=line["title"], kernel=line["kernel"])
        elif event in ("start", "end"):
            result[event] = line
    if "end" not in result or len(result["ticks"]) < 2:
        raise ValueError("the load did not run to its end")
    if result["end"].get("wrong"):
        raise ValueError(f"{result['end']['wrong']} wrong replies")
    after, before = counters["after"], counters["before"]
    result["counted_s"] = after["t"] - before["t"]
    result["threads_ns"] = difference(after["threads"], before["threads"])
    result["vmstat"] = difference(after["vmstat"], before["vmstat"])
    result["ktierd"] = after["ktierd"]
    result["ktierd_before"] = before["ktierd"]
    if "half" in counters:
        result["ktierd_half"] = counters["half"]["ktierd"]
    result["slabs"] = after["slabs"]
    if not result["trace"]:
        del result["trace"]
    result["ops_per_s"] = rate(result["ticks"])
    return result


def rate(ticks, since_s=0):
    """Operations a second from the first tick at or after since_s on."""
    first = next(t for t in ticks if t["t"] >= since_s - 1e-6)
    last = ticks[-1]
    if last["t"] <= first["t"]:
        raise ValueError("too short for a rate")
    return (last["ops"] - first["ops"]) / (last["t"] - first["t"])


def parse_meter(path, ticks):
    """The meter's marks as counts of each tick: a list of one fewer than ticks."""
    marks = {}
    for line in json_lines(path):
        if line.get("errors"):
            raise ValueError("the meter: " + "; ".join(map(str, line["errors"])))
        marks[line["mark"]] = line
    counts = []
    for tick, following in zip(ticks, ticks[1:]):
        before, after = marks[tick["number"]], marks[following["number"]]
        counts.append({
            "t": following["t"],
            "watch": nested_difference(after["watch"], before["watch"]),
            **{tier: nested_difference(after[tier], before[tier])
               for tier in ("top", "lower", "other")},
        })
    return counts


def nested_difference(after, before):
    if isinstance(after, dict):
        return {key: nested_difference(after[key], before[key]) for key in after}
    return after - before
