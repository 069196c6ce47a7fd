# SPDX-License-Identifier: GPL-2.0
"""Are results well formed, and are they what they should be?"""

import json
import os

import jsonschema

# Two runs of the same under -icount must agree so well.
AGREEMENT = 0.005


def schema():
    with open(os.path.join(os.path.dirname(__file__), "results.schema.json"),
              encoding="utf-8") as file:
        return json.load(file)


def problems(results):
    """Sentences on what is wrong; empty if nothing is."""
    validator = jsonschema.Draft7Validator(schema())
    found = [f"results.json: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
             for error in validator.iter_errors(results)]
    found += [f"{run['workload']}, {run['way']}, {run['kind']}: {run['error']}"
              for run in results["runs"] if "error" in run]
    done = {(run["workload"], run["way"]) for run in results["runs"] if run["kind"] == "metered"}
    found += [f"{workload}, {way}: was not run" for workload in results["workloads"]
              for way in results["ways"] if (workload, way) not in done]
    return found


def agreement(metered, plain):
    """Relative difference of the operations of two runs, over the time of the shorter."""
    end = plain["ticks"][-1]
    same = min(metered["ticks"], key=lambda tick: abs(tick["t"] - end["t"]))
    return (end["ops"] / end["t"]) / (same["ops"] / same["t"]) - 1
