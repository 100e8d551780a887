"""How a row of ``--scenario native`` is set up, and run.

Nothing of it waits, so it is timed by the thread's own clock, which stands while
another program has the processor.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.bench.machine import NativeMachine
from shrinker.bench.native.points import ROWS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.bench.native.points import NativeRow
    from shrinker.bench.scenario import Run

__all__ = ["NativeScenario"]

# Of a loop; it makes nothing of what calling C from Python costs.
_STEPS = 1000


class NativeScenario:
    """What a worker measures: see ``shrinker.bench.scenario``."""

    rows = ROWS
    one_cpu = True

    def __init__(self) -> None:
        self._machine: NativeMachine | None = None

    def open(self, row: NativeRow) -> Run:
        """Set a row up, instead of the one before it."""
        self.close()
        self._machine = machine = NativeMachine(row.shrinkers)
        if row.deferred:
            lib.bench_defer(machine.shrinkers[0], row.deferred)
        once = _ways(machine, row)

        def run(loops: int) -> float:
            # SAFETY: the machine's shrinkers are registered until `close`.
            start = thread_time()
            once(loops)
            return float(thread_time() - start)

        return run

    def close(self) -> None:
        """Remove what the last row has left."""
        machine, self._machine = self._machine, None
        if machine is not None:
            machine.close()

    def sized(self, _row: NativeRow) -> None:
        """Say that everything is timed."""

    def describe(self, row: NativeRow) -> dict[str, Any]:
        """Return the row's metadata; a value is for a step, pass or shrinker."""
        return {
            "name": row.name,
            "unit": "second",
            "scenario": "native",
            "inner_loops": _steps(row) * row.shrinkers,
            "shrinkers": row.shrinkers,
            "number": row.number,
        }


def _steps(row: NativeRow) -> int:
    """Return walks of a loop, or whatever else."""
    return max(_STEPS // row.shrinkers, 1)


def _ways(machine: NativeMachine, row: NativeRow) -> Callable[[int], object]:
    shrinker, number, steps = machine.shrinkers[0], row.number, _steps(row)
    if row.kind is Kind.LOOP:
        loop = lib.bench_calibrate_c2 if number == 2 else lib.bench_calibrate_c4  # noqa: PLR2004
        return lambda loops: loop(loops * steps)
    if row.kind is Kind.BARE:
        return lambda loops: lib.bench_bare_calls(shrinker, number, loops * steps)
    if row.kind is Kind.WALK:
        priorities = ffi.new("int[]", [number])
        c_domain = machine.domain._c
        return lambda loops: lib.bench_walk(c_domain, priorities, 1, loops * steps)
    reset = row.kind is Kind.RESET
    return lambda loops: lib.bench_pass(shrinker, number, reset, loops * steps)
