"""One round: every line once, in a process of its own.  Started by ``measure``.

Its argument says what to do as a JSON object.  Writes a line of text for each line, a
pyperf benchmark suite of one benchmark in pyperf's own JSON.
"""

from __future__ import annotations

import datetime as dt
import gc
import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pyperf

if TYPE_CHECKING:
    from shrinker.bench.lines import Benchmark, Line, Run

__all__ = ["main"]

# Of the loops of a value; enough to bring back caches and the processor's clock.
_WARMUP_SHARE = 4


def main() -> None:
    """Measure what the command line asks for."""
    request = json.loads(sys.argv[1])
    module = importlib.import_module(request["module"])
    benchmark: Benchmark = module.benchmark(*request["arguments"])
    if benchmark.one_cpu:
        # The progress bar has the others.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    metadata = pyperf.Run([1.0]).get_metadata()
    metadata["round"] = request["round"]
    for line in benchmark.lines:
        metadata |= {
            "date": str(dt.datetime.now()),  # noqa: DTZ005 - pyperf's form
            "name": line.name,
            "unit": line.unit,
            "inner_loops": line.steps,
        }
        gc.collect()
        with line.open() as run:
            loops = request["loops"].get(line.name)
            runs = _runs(line, run, loops, request["min_time"], metadata)
        pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(sys.stdout)


def _runs(
    line: Line, run: Run, loops: int | None, min_time: float, metadata: dict[str, Any]
) -> list[Any]:
    """Return pyperf runs: a value by step, and the warmups before it.

    Without ``loops`` a calibration comes first, as pyperf has it: twice as many
    loops until a value takes ``min_time`` seconds.
    """
    warmups: list[tuple[int, float]] = []

    def made(values: list[float], **own: int) -> Any:
        described = metadata | own
        return pyperf.Run(
            values, warmups=warmups, metadata=described, collect_metadata=False
        )

    def warm_up(loops: int) -> float:
        seconds = run(loops)
        warmups.append((loops, seconds / (loops * line.steps)))
        return seconds

    if not line.timed:
        return [made([run(1)], loops=1)]
    if loops is not None:
        warm_up(max(loops // _WARMUP_SHARE, 1))
        return [made([run(loops) / (loops * line.steps)], loops=loops)]
    loops = 1
    while warm_up(loops) < min_time:
        loops *= 2
    calibration = made([], calibrate_loops=loops, loops=loops)
    warmups = []
    return [calibration, made([run(loops) / (loops * line.steps)], loops=loops)]


if __name__ == "__main__":
    main()
