"""Rounds of all rows in turn, merged into one pyperf result.

pyperf is used as a library: its clock (``pyperf.perf_counter``), its loops,
warmups and calibration, its metadata, its ``Run``, ``Benchmark`` and
``BenchmarkSuite``, its files.  ``pyperf.Runner`` is not: it measures one
benchmark to its end, in all its processes, before it begins the next, so that a
machine that slows down meanwhile makes the later benchmarks look slow.  Here
each *round* is one process that measures all rows in turn, once each, and the
rounds' runs are merged by ``Benchmark.add_run``, as pyperf merges those of its
processes.  The first process calibrates, too.

Each run holds a single value.  Values of one process share its fate (memory
layout, neighbours), and pyperf's test of significance takes values to be
independent.

Drift then hits all rows alike, and a ratio is taken between two rows of the
same round, a second or less apart: see ``shrinker.bench.results``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import pyperf

from shrinker.bench.child import command, environment
from shrinker.bench.points import ROWS
from shrinker.bench.scenario import ScenarioName
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from shrinker.bench.scenario import AnyRow

__all__ = [
    "ALL_EFFORTS",
    "DEFAULT_EFFORT",
    "EFFORTS",
    "FAST_EFFORT",
    "Effort",
    "measure",
]

# pyperf's tests need a spread.
_MIN_ROUNDS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure."""

    rounds: int
    """At most, at least 2."""
    seconds: float
    """No round is begun that would end later, but for the second one."""
    min_time: float
    """Of a value, in seconds; up to twice that, and more where one loop takes
    longer."""


DEFAULT_EFFORT = Effort(rounds=20, seconds=80.0, min_time=0.02)
FAST_EFFORT = Effort(rounds=5, seconds=11.0, min_time=0.004)
EFFORTS = {False: DEFAULT_EFFORT, True: FAST_EFFORT}
"""By whether it is to be fast."""
MEMCG_EFFORTS = {
    False: Effort(rounds=20, seconds=55.0, min_time=0.01),
    True: Effort(rounds=5, seconds=12.0, min_time=0.002),
}
"""The same for memory cgroups; a round sets up more than it measures."""
PEERS_EFFORTS = {
    False: Effort(rounds=80, seconds=40.0, min_time=0.004),
    True: Effort(rounds=15, seconds=10.0, min_time=0.004),
}
"""The same for ways into Python: few rows and short values, so many rounds."""
NATIVE_EFFORTS = {
    False: Effort(rounds=60, seconds=50.0, min_time=0.004),
    True: Effort(rounds=12, seconds=12.0, min_time=0.004),
}
NEIGHBOURS_EFFORTS = {
    False: Effort(rounds=15, seconds=70.0, min_time=0.01),
    True: Effort(rounds=4, seconds=15.0, min_time=0.005),
}
THREADS_EFFORTS = {
    False: Effort(rounds=15, seconds=70.0, min_time=0.02),
    True: Effort(rounds=4, seconds=15.0, min_time=0.005),
}
ALL_EFFORTS = {
    ScenarioName.LOOP: EFFORTS,
    ScenarioName.MEMCG: MEMCG_EFFORTS,
    ScenarioName.PEERS: PEERS_EFFORTS,
    ScenarioName.NATIVE: NATIVE_EFFORTS,
    ScenarioName.NEIGHBOURS: NEIGHBOURS_EFFORTS,
    ScenarioName.THREADS: THREADS_EFFORTS,
}
"""By scenario, and by whether it is to be fast."""


def measure(
    effort: Effort,
    *,
    scenario: ScenarioName = ScenarioName.LOOP,
    recording: str | None = None,
    peers: str | None = None,
    rows: Sequence[AnyRow] = ROWS,
    progress: Callable[[int, AnyRow, float], None] | None = None,
    interrupted: Callable[[int], None] | None = None,
) -> Any:
    """Return a ``pyperf.BenchmarkSuite`` with a benchmark for each row.

    ``rows`` are of ``scenario``, in its order.  ``recording`` is the path of a
    trace, for the loop; None is the one in the package.  ``peers`` is the directory
    that compiled peers are in.
    ``progress(round, row, share)`` is called when a row has been measured;
    ``share``, 0 to 1, is how much of the work is done.

    KeyboardInterrupt ends it early: with two rounds complete they are returned,
    after ``interrupted(rounds)``; with fewer it is raised.

    Raises ``ShrinkerError`` where a round fails.
    """
    benchmarks: dict[str, Any] = {}
    loops: dict[str, int | None] = dict.fromkeys((row.name for row in rows), None)
    began, longest, complete = pyperf.perf_counter(), 0.0, 0

    def advance(row: AnyRow, done: int) -> None:
        if progress:
            elapsed = pyperf.perf_counter() - began
            share = max(
                (complete + done / len(rows)) / effort.rounds,
                min(elapsed / effort.seconds, 1.0),
            )
            progress(complete, row, min(share, 1.0))

    try:
        while complete < max(effort.rounds, _MIN_ROUNDS):
            round_began = pyperf.perf_counter()
            late = round_began - began + longest > effort.seconds
            if complete >= _MIN_ROUNDS and late:
                break
            request = {
                "scenario": scenario,
                "round": complete,
                "loops": loops,
                "min_time": effort.min_time,
                "recording": recording,
                "peers": peers,
            }
            measured = _whole_round(request, rows, advance)
            # All or nothing: an interruption leaves each row as many rounds.
            benchmarks = _merged(benchmarks, measured)
            # The first round is no measure for the others: it calibrates.
            if complete:
                longest = max(longest, pyperf.perf_counter() - round_began)
            else:
                loops = {
                    name: benchmark.get_runs()[-1].get_loops()
                    for name, benchmark in measured.items()
                }
            complete += 1
    except KeyboardInterrupt:
        if complete < _MIN_ROUNDS:
            raise
        if interrupted:
            interrupted(complete)
    return pyperf.BenchmarkSuite(list(benchmarks.values()))


def _whole_round(
    request: dict[str, Any],
    rows: Sequence[AnyRow],
    advance: Callable[[AnyRow, int], None],
) -> dict[str, Any]:
    """Return a ``pyperf.Benchmark`` for each row, by its name."""
    found = {}
    measured = _round(request)
    with contextlib.closing(measured):
        for done, (row, benchmark) in enumerate(zip(rows, measured, strict=True), 1):
            if benchmark.get_name() != row.name:
                raise ShrinkerError(f"expected {row.name}, got {benchmark.get_name()}")
            found[row.name] = benchmark
            advance(row, done)
    return found


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {
        name: pyperf.Benchmark(
            (old[name].get_runs() if name in old else []) + benchmark.get_runs()
        )
        for name, benchmark in new.items()
    }


def _round(request: dict[str, Any]) -> Generator[Any, None, None]:
    """Run one process; yield a ``pyperf.Benchmark`` for each row as it comes."""
    with tempfile.TemporaryFile("w+") as said:
        worker = subprocess.Popen(  # noqa: S603 - our own module
            command("shrinker.bench.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment(),
            text=True,
        )
        with _killed_on_error(worker):
            assert worker.stdin is not None  # noqa: S101 - for the type checker
            assert worker.stdout is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError), worker.stdin as stdin:
                json.dump(request, stdin)
            for line in worker.stdout:
                yield pyperf.BenchmarkSuite.loads(line).get_benchmarks()[0]
        if worker.wait():
            said.seek(0)
            last = said.read().strip().rpartition("\n")[2]
            raise ShrinkerError(last or f"a round ended with {worker.returncode}")


@contextlib.contextmanager
def _killed_on_error(worker: subprocess.Popen[str]) -> Iterator[None]:
    with worker:
        try:
            yield
        except BaseException:
            worker.kill()
            raise
