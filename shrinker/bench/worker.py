"""One round: every row once, in a process of its own.  Started by ``measure``.

Reads what to do as a JSON object from standard input, and writes a line for
each row, a pyperf benchmark suite of one benchmark in pyperf's own JSON.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyperf

from shrinker.bench.memcg_workloads import MemcgScenario
from shrinker.bench.native.workloads import NativeScenario
from shrinker.bench.neighbours.workloads import NeighboursScenario
from shrinker.bench.peers.workloads import PeersScenario
from shrinker.bench.points import ROWS
from shrinker.bench.recording import load_recording
from shrinker.bench.scenario import ScenarioName
from shrinker.bench.threads.workloads import ThreadsScenario
from shrinker.bench.workloads import open_row, plan, scan_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.bench.points import Row
    from shrinker.bench.recording import Recording
    from shrinker.bench.scenario import Run, Scenario

__all__ = ["main"]

# Of the loops of a value; enough to bring back caches and the processor's clock.
_WARMUP_SHARE = 4


def main() -> None:
    """Measure what standard input asks for."""
    request = json.load(sys.stdin)
    scenario = _scenario(request)
    if scenario.one_cpu:
        _stay_on_one_cpu()
    metadata = pyperf.Run([1.0]).get_metadata()
    metadata["round"] = request["round"]
    for row in scenario.rows:
        if row.name not in request["loops"]:
            continue
        metadata["date"] = str(dt.datetime.now())  # noqa: DTZ005 - pyperf's form
        gc.collect()
        described = dict(metadata)
        if sized := scenario.sized(row):
            described |= scenario.describe(row) | sized[1]
            runs: _Measured = [([sized[0]], [], {"loops": 1})]
        else:
            run = scenario.open(row)
            described |= scenario.describe(row)
            runs = _per_pass(
                _runs(run, request["loops"][row.name], request["min_time"]),
                described["inner_loops"],
            )
        benchmark = pyperf.Benchmark(
            [
                pyperf.Run(
                    values,
                    warmups=warmups,
                    metadata=described | own,
                    collect_metadata=False,
                )
                for values, warmups, own in runs
            ]
        )
        pyperf.BenchmarkSuite([benchmark]).dump(sys.stdout)
    scenario.close()


def _scenario(request: dict[str, Any]) -> Scenario:
    name = request["scenario"]
    if name == ScenarioName.PEERS:
        return PeersScenario(Path(request["peers"]))
    if name == ScenarioName.LOOP:
        return _LoopScenario(load_recording(request["recording"]))
    return _SCENARIOS[name]()


_SCENARIOS: dict[str, Callable[[], Scenario]] = {
    ScenarioName.MEMCG: MemcgScenario,
    ScenarioName.NATIVE: NativeScenario,
    ScenarioName.NEIGHBOURS: NeighboursScenario,
    ScenarioName.THREADS: ThreadsScenario,
}


class _LoopScenario:
    """The reclaim loop."""

    rows = ROWS
    one_cpu = True

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._opened = contextlib.ExitStack()

    def open(self, row: Row) -> Run:
        self.close()
        return self._opened.enter_context(open_row(row, self._recording))

    def close(self) -> None:
        self._opened.close()

    def sized(self, _row: Row) -> None:
        return None

    def describe(self, row: Row) -> dict[str, Any]:
        return _describe(row, self._recording)


def _stay_on_one_cpu() -> None:
    """Leave the other processors to whoever draws the progress bar."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > 1:
        os.sched_setaffinity(0, cpus[-1:])


_Measured = list[tuple[list[float], list[tuple[int, float]], dict[str, Any]]]
"""Values, warmups with their loops, and metadata, of pyperf runs; in seconds."""


def _runs(run: Run, loops: int | None, min_time: float) -> _Measured:
    """Return pyperf runs: seconds of a value, loops and seconds of the warmups.

    Without ``loops`` a calibration comes first, as pyperf has it: twice as many
    loops until a value takes ``min_time`` seconds.
    """
    runs: _Measured = []
    warmups: list[tuple[int, float]] = []
    if loops is None:
        loops = 1
        while (seconds := run(loops)) < min_time:
            warmups.append((loops, seconds))
            loops *= 2
        warmups.append((loops, seconds))
        runs.append(([], warmups, {"calibrate_loops": loops, "loops": loops}))
        warmups = []
    else:
        few = max(loops // _WARMUP_SHARE, 1)
        warmups = [(few, run(few))]
    runs.append(([run(loops)], warmups, {"loops": loops}))
    return runs


def _per_pass(runs: _Measured, passes: int) -> _Measured:
    return [
        (
            [seconds / (own["loops"] * passes) for seconds in values],
            [(loops, seconds / (loops * passes)) for loops, seconds in warmups],
            own,
        )
        for values, warmups, own in runs
    ]


def _describe(row: Row, recording: Recording) -> dict[str, Any]:
    point = row.point
    planned = plan(point, recording)
    described: dict[str, Any] = {
        "name": row.name,
        "unit": "second",
        "inner_loops": planned.passes,
        "callbacks": str(row.callbacks),
        "point": point.label,
        "factor": str(point.factor),
        "shrinkers": len(planned.shrinkers),
        "scan_calls_per_pass": scan_calls(point, recording),
    }
    if len(planned.priorities) == 1:
        described |= {
            "priority": point.priority,
            "batch": point.batch,
            "objects": point.objects,
        }
    return described


if __name__ == "__main__":
    main()
