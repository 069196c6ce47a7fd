# SPDX-License-Identifier: GPL-2.0
"""Tests of how figures are worked out, on made-up runs."""

import copy
import os
import sys
import unittest

import numpy

sys.path.insert(0, os.path.dirname(__file__))

import check  # noqa: E402
import figures  # noqa: E402
import quality  # noqa: E402
import report  # noqa: E402

NO_TALLY = {"load": 0, "store": 0, "load_miss": 0, "store_miss": 0}


def tally(**counts):
    return dict(NO_TALLY, **counts)


def tier(user=None, kernel=None):
    return {"user": user or NO_TALLY, "kernel": kernel or NO_TALLY}


def count(t, top, low, **others):
    """What the meter counted in a tick: so many loads in each tier."""
    return dict({"t": t, "watch": {"top": tally(load=top), "lower": tally(load=low)},
                 "top": tier(tally(load=top, load_miss=top)),
                 "lower": tier(tally(load=low, load_miss=low)), "other": tier()}, **others)


def ticks(ops_per_s, seconds):
    return [{"number": t, "t": float(t), "ops": ops_per_s * t, "oracle": 0.9}
            for t in range(seconds + 1)]


class Shares(unittest.TestCase):
    def test_share_is_that_of_what_is_watched(self):
        run = {"meter": [count(1, 30, 10), count(2, 40, 0)]}
        self.assertEqual(figures.meter_series(run), [(1, 0.75), (2, 1.0)])

    def test_of_writes_if_they_are_what_counts(self):
        one = count(1, 30, 10)
        one["watch"] = {"top": tally(load=9, store=1), "lower": tally(store=3)}
        self.assertEqual(figures.meter_series({"meter": [one], "share_of": "writes"}), [(1, 0.25)])

    def test_of_a_program_what_misses_the_cache(self):
        one = count(1, 0, 0)
        one["top"] = tier(tally(load=1000, load_miss=2))
        one["lower"] = tier(tally(load=1000, load_miss=6))
        one["watch"]["top"] = tally(load=100)
        self.assertEqual(figures.meter_series({"start": {"program": "redis"}, "meter": [one]}),
                         [(1, 0.25)])


class Convergence(unittest.TestCase):
    oracle = [(0, 0.8)]

    def test_first_time_near_the_oracle(self):
        series = [(1, 0.5), (2, 0.75), (3, 0.77), (4, 0.7)]
        self.assertEqual(figures.convergence(series, self.oracle, 4, []), [3])

    def test_never(self):
        self.assertEqual(figures.convergence([(1, 0.5)], self.oracle, 1, []), [None])

    def test_begins_anew_after_a_change(self):
        series = [(1, 0.8), (2, 0.8), (3, 0.1), (4, 0.8)]
        self.assertEqual(figures.convergence(series, self.oracle, 4, [2]), [1, 2])

    def test_a_share_of_before_the_change_does_not_count(self):
        series = [(1, 0.1), (2, 0.8), (3, 0.1), (4, 0.1)]
        self.assertEqual(figures.convergence(series, self.oracle, 4, [2]), [2, None])


class Cost(unittest.TestCase):
    def test_agreement_is_over_the_shorter_time(self):
        metered = {"ticks": ticks(100, 10)}
        metered["ticks"][-1]["ops"] = 0
        plain = {"ticks": ticks(101, 5)}
        self.assertAlmostEqual(check.agreement(metered, plain), 0.01)

    def test_slow_memory_costs_what_it_takes(self):
        run = {"ticks": ticks(10, 1), "meter": [count(1, 0, 10)]}
        instructions = 1e9 / figures.NS_AN_INSTRUCTION
        cycles = instructions + 10 * figures.HARDWARE["optane"]["lower"]["load"]
        self.assertAlmostEqual(figures.modelled_ns_per_op(run, "optane"),
                               cycles / figures.CYCLES_A_NS / 10)


class Quality(unittest.TestCase):
    counts = numpy.array([90, 80, 1, 1, 1, 1, 0, 0], dtype=numpy.uint32)

    def test_perfect(self):
        levels = numpy.array([31, 30, 3, 3, 3, 3, 1, 1], dtype=numpy.uint8)
        found = quality.compare(levels, self.counts, 2, 18)
        self.assertEqual(found, {"precision": 1, "recall": 1, "worth": 1})

    def test_half_right(self):
        levels = numpy.array([31, 1, 30, 1, 1, 1, 1, 1], dtype=numpy.uint8)
        found = quality.compare(levels, self.counts, 2, 18)
        self.assertEqual((found["precision"], found["recall"]), (0.5, 0.5))
        self.assertAlmostEqual(found["worth"], 91 / 170)

    def test_nothing_said(self):
        levels = numpy.full(8, quality.ABSENT, dtype=numpy.uint8)
        self.assertEqual(quality.compare(levels, self.counts, 2, 18)["recall"], 0)


class Trace(unittest.TestCase):
    """What events say of pages, of which there are four."""

    address = 0x100000

    def levels(self, *events):
        """After each cut. An event is the text of a block's levels, or None for a cut."""
        trace = [{"t": t, "name": "cut", "args": "round=1 hot=18"} if levels is None else
                 {"t": t, "name": "block", "args": f"pid=1 addr={self.address:x} levels={levels}"}
                 for t, levels in enumerate(events)]
        return [list(found) for _, found, _ in quality.rounds(trace, self.address, 4)]

    def test_each_page_has_its_level(self):
        self.assertEqual(self.levels("1f1100ff", None), [[31, 17, 0, quality.ABSENT]])

    def test_the_tier_is_no_part_of_the_level(self):
        self.assertEqual(self.levels("3f3120ff", None), [[31, 17, 0, quality.ABSENT]])

    def test_other_events_say_nothing(self):
        trace = [{"t": 0, "name": "scan_begin", "args": "pid=1 round=1 walk=read"},
                 {"t": 1, "name": "cell", "args": "round=1 level=5 class=0"}]
        self.assertEqual(list(quality.rounds(trace, self.address, 4)), [])

    def test_a_huge_page_has_one_level_for_all(self):
        self.assertEqual(self.levels("12", None), [[18] * 4])

    def test_without_an_event_it_is_not_known(self):
        self.assertEqual(self.levels(None), [[quality.ABSENT] * 4])

    def test_asleep_is_idle(self):
        self.assertEqual(self.levels("110703ff", None, None, None)[1:],
                         [[7, 7, 3, quality.ABSENT]] * 2)

    def test_what_is_gone_is_not_asleep(self):
        self.assertEqual(self.levels("11070300", None, "ff070300", None, None)[1:],
                         [[quality.ABSENT, 7, 3, 0]] * 2)


class Traffic(unittest.TestCase):
    """Of a run of 20 s that looks at its pages every 5 s."""

    def run_of(self, *moves):
        looks = [{"t": 5.0 * i, "ops": i, "up": up, "down": up, "returns": 0,
                  "top_pages": 60, "low_pages": 40} for i, up in enumerate(moves)]
        return {"ticks": looks}

    def test_part_of_the_memory_a_minute(self):
        self.assertAlmostEqual(figures.moved_a_minute(self.run_of(0, 9, 9, 10, 11), 10), 0.24)

    def test_of_the_last_looks_if_the_time_is_short(self):
        self.assertAlmostEqual(figures.moved_a_minute(self.run_of(0, 9, 9, 9, 10), 19), 0.24)

    def test_not_known_without_looks(self):
        self.assertIsNone(figures.moved_a_minute({"ticks": ticks(1, 20)}, 10))

    def test_returned_is_a_part_of_the_moves(self):
        run = {"ktierd": {"pages_promoted": 30, "pages_demoted": 20, "pages_returned": 6},
               "ktierd_before": {"pages_promoted": 10, "pages_demoted": 0, "pages_returned": 2}}
        self.assertEqual(figures.returned_part(run), 0.1)

    def test_nothing_returned_where_nothing_moved(self):
        counters = {"pages_promoted": 1, "pages_demoted": 1, "pages_returned": 0}
        self.assertIsNone(figures.returned_part({"ktierd": counters, "ktierd_before": counters}))


class WellFormed(unittest.TestCase):
    results = {
        "format": 1,
        "machine": dict(dict.fromkeys(("dram", "pmem", "commit", "qemu", "host", "date"), "x"),
                        cpus=1, pause_cpus=2, cache_kib=1024),
        "workloads": {"w": {"title": "W", "what": "w", "program": "tierload", "args": "",
                            "seconds": 1}},
        "ways": ["nothing"],
        "runs": [{"workload": "w", "way": "nothing", "kind": "metered", "round": 1, "seconds": 1,
                  "host_s": 1, "ops_per_s": 1.0, "settings": [], "ticks": ticks(1, 1),
                  "meter": [count(1, 1, 1)], "counted_s": 1, "threads_ns": {}, "vmstat": {}, "slabs": {},
                  "start": {}, "end": {}}],
        "took_s": 1,
    }

    def test_good(self):
        self.assertEqual(check.problems(self.results), [])

    def test_something_is_missing(self):
        bad = copy.deepcopy(self.results)
        del bad["runs"][0]["meter"]
        self.assertEqual(len(check.problems(bad)), 1)

    def test_a_share_above_one(self):
        bad = copy.deepcopy(self.results)
        bad["runs"][0]["ticks"][1]["share"] = 1.5
        self.assertEqual(len(check.problems(bad)), 1)

    def test_a_way_was_not_run(self):
        self.assertEqual(check.problems(dict(self.results, ways=["nothing", "ktierd"])),
                         ["w, ktierd: was not run"])

    def test_a_run_failed(self):
        bad = copy.deepcopy(self.results)
        bad["runs"][0]["error"] = "the guest panicked"
        self.assertEqual(check.problems(bad), ["w, nothing, metered: the guest panicked"])


class Threads(unittest.TestCase):
    def test_percent_is_of_the_time_between_the_readings(self):
        run = {"threads_ns": {"ktierd": 2e9, "kswapd0": 0}, "counted_s": 40.0}
        self.assertEqual(figures.threads_percent(run), {"ktierd": 5.0})

    def test_a_visit_is_counted_from_the_start_and_from_half_time(self):
        run = {"ktierd_before": {"pages_scanned": 100, "scan_ms": 1},
               "ktierd": {"pages_scanned": 20100, "scan_ms": 5}}
        self.assertAlmostEqual(figures.instructions_per_visit(run), 50)
        self.assertIsNone(figures.instructions_per_visit(run, "ktierd_half"))
        run["ktierd_half"] = {"pages_scanned": 10100, "scan_ms": 4}
        self.assertAlmostEqual(figures.instructions_per_visit(run, "ktierd_half"), 25)


class Comparison(unittest.TestCase):
    """Who wins where."""

    def results(self, **speeds):
        """Of workloads a and b, the speed of each way."""
        ways = list(speeds)
        results = report.Results({"workloads": {name: {"title": name.upper(), "seconds": 9}
                                                for name in "ab"}, "ways": ways, "runs": []})
        results.titles = {way: way.title() for way in ways}
        for way, pair in speeds.items():
            for name, value in zip("ab", pair):
                results.figures[name, way] = {"speed": value} if value else None
        return results

    def test_the_best_are_bold_and_means_are_geometric(self):
        table = report.speed_table(self.results(nothing=(1, 1), ktierd=(1.5, 0.96)), "speed")
        self.assertEqual(table.rows[1:], [["A", "1.00", "**1.50**"], ["B", "**1.00**", "0.96"],
                                          ["Geometric mean", "1.00", "1.20"]])

    def test_what_did_not_run_is_said_and_has_no_part_in_the_mean(self):
        table = report.speed_table(self.results(nothing=(1, 1), ktierd=(1.5, None)), "speed")
        self.assertEqual(table.rows[1:], [["A", "1.00", "**1.50**"],
                                          ["B", "**1.00**", "not run"]])

    def test_losses_are_named(self):
        losses = report.beaten(self.results(nothing=(1, 1), damon=(1.1, 1.2),
                                            ktierd=(1.3, 0.9)), "speed")
        self.assertEqual(losses, " ktierd is behind in: B (0.90; Damon 1.20).")

    def test_no_losses(self):
        self.assertEqual(report.beaten(self.results(nothing=(1, 1), ktierd=(1.3, 1)), "speed"),
                         " ktierd is nowhere behind.")

    def test_nothing_is_said_without_ktierd(self):
        self.assertEqual(report.beaten(self.results(nothing=(1, 1), ktierd=(None, None)),
                                       "speed"), "")


if __name__ == "__main__":
    unittest.main()
