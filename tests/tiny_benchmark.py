"""A benchmark of next to nothing, for the tests of what measures."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from shrinker.bench.lines import Benchmark, Column, Effort, Line, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.bench.lines import Run

TINY = Effort(rounds=2, seconds=3600.0, min_time=1e-5)
"""Its processes may start as slowly as they like."""


@contextlib.contextmanager
def opened() -> Iterator[Run]:
    """A loop takes a microsecond."""
    yield lambda loops: loops * 1e-6


@contextlib.contextmanager
def processors() -> Iterator[Run]:
    """Not a time: on how many processors it may run."""
    yield lambda _: float(len(os.sched_getaffinity(0)))


def benchmark(reason: str = "") -> Benchmark:
    """Return a line of each kind.  Raises ``ValueError`` for a reason."""
    if reason:
        raise ValueError(reason)
    first = Line("first", opened, steps=2)
    second = Line("processors", processors, timed=False, unit="byte")
    return Benchmark(
        module="tiny_benchmark",
        title="Next to nothing",
        legend="",
        tables=[Table("both", [Column("")], [Row("a", [first]), Row("b", [second])])],
        effort=TINY,
        fast=TINY,
    )
