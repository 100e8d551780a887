"""Results of benchmarks that are made up, and commands that take them.

Imports what measures: ``pytest.importorskip`` what that needs before this.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import harness
import pyperf
import pytest
from click.testing import CliRunner

from shrinker.bench import loop
from shrinker.bench import run as bench_run
from shrinker.cli.app import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from click.testing import Result

    from shrinker.bench.lines import Benchmark

NAMES = (
    "loop",
    "native",
    "two_threads",
    "busy_threads",
    "memcg",
    "trampolines",
    "caches",
    "replay_reading",
)
"""Of all benchmarks; the first is that of ``shrinker bench``."""


# The recording is read only once.
_loop = functools.cache(loop.benchmark)


def factory(name: str) -> Callable[[], Benchmark]:
    """Return what makes a benchmark."""
    return _loop if name == "loop" else importlib.import_module(name).benchmark


def invoke(name: str, *args: str, charset: str = "utf-8") -> Result:
    """Run a benchmark's command in this process; nothing is compiled for it."""
    runner = CliRunner(charset=charset)
    if name == "loop":
        return runner.invoke(cli, ["bench", *args])
    return runner.invoke(harness.command(factory(name)), args)


def suite(
    values: Mapping[str, Sequence[float]], unit: str = "second", **metadata: str
) -> Any:
    """Make a result up, with a value a round."""
    return pyperf.BenchmarkSuite(
        [
            pyperf.Benchmark(
                [
                    pyperf.Run(
                        [value],
                        metadata={"name": name, "unit": unit, "round": number}
                        | metadata,
                        collect_metadata=False,
                    )
                    for number, value in enumerate(rounds)
                ]
            )
            for name, rounds in values.items()
        ]
    )


def usual(line: str, _round: int = 0) -> float:
    """Return seconds: scan calls take some, too."""
    return 1e-6 if "priority 12" in line else 2e-6


def made_up(
    name: str = "loop",
    seconds: Callable[[str, int], float] = usual,
    rounds: int = 3,
) -> Any:
    """Return a result of a benchmark, where ``seconds(line, round)`` are measured."""
    benchmarks = []
    for line in factory(name)().lines:
        values = [seconds(line.name, number) for number in range(rounds)]
        benchmarks += suite({line.name: values}, line.unit).get_benchmarks()
    return pyperf.BenchmarkSuite(benchmarks)


def fresh_memory(name: str, line: str = "") -> list[float]:
    """Return the bytes of lines, measured where no other test has left any memory."""
    code = f"""
import {name}
for one in {name}.benchmark().lines:
    if one.unit == "byte" and {line!r} in one.name:
        with one.open() as run:
            print(run(1))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [float(number) for number in done.stdout.split()]


def no_measuring(monkeypatch: pytest.MonkeyPatch, result: Any = None) -> None:
    """Have commands measure ``result``; measuring fails the test where it is None."""

    def measure(*_: object, **__: object) -> Any:
        return pytest.fail("measured") if result is None else result

    monkeypatch.setattr(bench_run, "measure", measure)
