"""Rounds of all lines in turn, merged into one pyperf result.

pyperf is used as a library: its clock, its metadata, its ``Run``, ``Benchmark`` and
``BenchmarkSuite``, its files.  ``pyperf.Runner`` is not: it measures one benchmark to
its end, in all its processes, before it begins the next, so that a machine that slows
down meanwhile makes the later benchmarks look slow.  Here each *round* is one process
(``shrinker.bench.worker``) that measures all lines once each.  The first one
calibrates, too.  The rounds' runs are merged as pyperf merges those of its processes.

Each run holds a single value.  Values of one process share its fate (memory layout,
other programs), and pyperf's test of significance takes values to be independent.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pyperf

from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.bench.lines import Benchmark, Effort, Line

__all__ = ["measure"]

# pyperf's tests need a spread.
_MIN_ROUNDS = 2


def measure(
    benchmark: Benchmark,
    effort: Effort,
    *,
    progress: Callable[[int, Line, float], None] = lambda *_: None,
    interrupted: Callable[[int], None] = lambda _: None,
) -> Any:
    """Return a ``pyperf.BenchmarkSuite`` with a benchmark for each line.

    ``progress(round, line, share)`` is called when a line has been measured; ``share``,
    0 to 1, is how much of the work is done.

    KeyboardInterrupt ends it early: with two rounds complete they are returned, after
    ``interrupted(rounds)``; with fewer it is raised.

    Raises ``ShrinkerError`` where a round fails.
    """
    lines = benchmark.lines
    runs: dict[str, list[Any]] = {line.name: [] for line in lines}
    loops: dict[str, int | None] = dict.fromkeys(runs)
    began, longest, complete = pyperf.perf_counter(), 0.0, 0

    try:
        while complete < max(effort.rounds, _MIN_ROUNDS):
            round_began = pyperf.perf_counter()
            late = round_began - began + longest > effort.seconds
            if complete >= _MIN_ROUNDS and late:
                break
            request = {
                "module": benchmark.module,
                "arguments": benchmark.arguments,
                "round": complete,
                "loops": loops,
                "min_time": effort.min_time,
            }
            measured: dict[str, list[Any]] = {}
            with _round(request) as found:
                for line, one in zip(lines, found, strict=True):
                    if one.get_name() != line.name:
                        raise ShrinkerError(f"{one.get_name()} is not {line.name}")
                    measured[line.name] = one.get_runs()
                    done = complete + len(measured) / len(lines)
                    spent = (pyperf.perf_counter() - began) / effort.seconds
                    share = max(done / effort.rounds, spent)
                    progress(complete, line, min(share, 1.0))
            # All or nothing: an interruption leaves each line as many rounds.
            for name, more in measured.items():
                runs[name] += more
            # The first round is no measure for the others: it calibrates.
            if complete:
                longest = max(longest, pyperf.perf_counter() - round_began)
            else:
                loops = {name: more[-1].get_loops() for name, more in measured.items()}
            complete += 1
    except KeyboardInterrupt:
        if complete < _MIN_ROUNDS:
            raise
        interrupted(complete)
    return pyperf.BenchmarkSuite([pyperf.Benchmark(own) for own in runs.values()])


@contextlib.contextmanager
def _round(request: dict[str, Any]) -> Iterator[Iterator[Any]]:
    """Run one process; yields a ``pyperf.Benchmark`` for each line as it comes.

    Raises ``ShrinkerError`` where it fails.
    """
    command = [sys.executable, "-P", "-m", "shrinker.bench.worker", json.dumps(request)]
    # Imports are looked for where ours were, not in the current directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(  # noqa: S603 - our own module
            command, stdout=subprocess.PIPE, stderr=said, env=environment, text=True
        ) as worker,
    ):

        def found() -> Iterator[Any]:
            assert worker.stdout is not None  # noqa: S101 - for the type checker
            for line in worker.stdout:
                yield pyperf.BenchmarkSuite.loads(line).get_benchmarks()[0]
            if worker.wait():
                said.seek(0)
                last = said.read().strip().rpartition("\n")[2]
                raise ShrinkerError(last or f"a round ended with {worker.returncode}")

        try:
            yield found()
        finally:
            worker.kill()
