"""Rounds: processes that measure every line, merged into one result of pyperf's."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pyperf = pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")

import tiny_benchmark
from tiny_benchmark import TINY

from shrinker import ShrinkerError
from shrinker.bench.measure import measure

if TYPE_CHECKING:
    from shrinker.bench.lines import Line


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A result as a file; nothing listens to its progress."""
    path = str(tmp_path_factory.mktemp("measured") / "result.json")
    measure(tiny_benchmark.benchmark(), TINY).dump(path)
    return path


def test_the_result_is_pyperfs(measured: str) -> None:
    """A value a round for each line, in its unit; warmups, calibration, metadata."""
    suite = pyperf.BenchmarkSuite.load(measured)
    assert suite.get_benchmark_names() == ["first", "processors"]
    timed, size = suite.get_benchmarks()
    assert [timed.get_unit(), size.get_unit()] == ["second", "byte"]
    assert timed.get_values() == pytest.approx((5e-7, 5e-7))
    calibration, *runs = timed.get_runs()
    # 16 loops of a microsecond are the first power of 2 that takes 10.
    assert calibration.get_metadata()["calibrate_loops"] == 16
    assert [loops for loops, _ in calibration.warmups] == [1, 2, 4, 8, 16]
    assert not calibration.values
    assert [run.get_loops() for run in runs] == [16, 16]
    assert [run.warmups for run in runs] == [(), ((4, pytest.approx(5e-7)),)]
    assert [run.get_metadata()["round"] for run in timed.get_runs()] == [0, 0, 1]
    assert [run.get_loops() for run in size.get_runs()] == [1, 1]
    assert {"cpu_count", "hostname"} <= suite.get_metadata().keys()


@pytest.mark.parametrize("command", ["stats", "hist", "compare_to"])
def test_pyperfs_own_commands_take_it(measured: str, command: str) -> None:
    """The file is as good as one that pyperf wrote."""
    files = [measured] * (2 if command == "compare_to" else 1)
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", command, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_one_processor_is_enough(measured: str) -> None:
    """A round stays on one, unless the benchmark needs more."""
    suite = pyperf.BenchmarkSuite.load(measured)
    assert suite.get_benchmark("processors").get_values() == (1.0, 1.0)


class Rounds:
    """Counts what ``measure`` tells; ends it when a line of a round is measured."""

    def __init__(self, until: tuple[int, str] | None = None) -> None:
        self.until = until
        self.shares: list[float] = []
        self.kept: list[int] = []

    def measure(self, **effort: Any) -> Any:
        return measure(
            tiny_benchmark.benchmark(),
            dataclasses.replace(TINY, **effort),
            progress=self.advance,
            interrupted=self.kept.append,
        )

    def advance(self, number: int, line: Line, share: float) -> None:
        self.shares.append(share)
        if (number, line.name) == self.until:
            raise KeyboardInterrupt


def test_progress_goes_up_to_1() -> None:
    """A step for each line of each round."""
    rounds = Rounds()
    rounds.measure()
    assert rounds.shares == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_interruption_keeps_complete_rounds() -> None:
    """Ctrl-C in the third round: two values a line, and that is said."""
    rounds = Rounds(until=(2, "processors"))
    suite = rounds.measure(rounds=5)
    assert rounds.kept == [2]
    assert [benchmark.get_nvalue() for benchmark in suite] == [2, 2]


def test_interruption_before_two_rounds_ends_it() -> None:
    """There is nothing to keep."""
    rounds = Rounds(until=(1, "first"))
    with pytest.raises(KeyboardInterrupt):
        rounds.measure(rounds=5)
    assert rounds.kept == []


def test_rounds_end_in_time() -> None:
    """After two rounds none is begun that would end too late."""
    suite = Rounds().measure(rounds=10, seconds=0.001)
    assert [benchmark.get_nvalue() for benchmark in suite] == [2, 2]


def test_a_round_that_fails_is_an_error() -> None:
    """The last line that its process said."""
    failing = dataclasses.replace(tiny_benchmark.benchmark(), arguments=("no memory",))
    with pytest.raises(ShrinkerError, match="ValueError: no memory"):
        measure(failing, TINY)


def test_another_line_than_expected_is_an_error() -> None:
    """Another version of the package on the path, say: not a wrong name."""
    ours = tiny_benchmark.benchmark()
    lines = [dataclasses.replace(line, name=f"my {line.name}") for line in ours.lines]
    rows = [
        row._replace(cells=[line])
        for row, line in zip(ours.tables[0].rows, lines, strict=True)
    ]
    table = dataclasses.replace(ours.tables[0], rows=rows)
    with pytest.raises(ShrinkerError, match="first is not my first"):
        measure(dataclasses.replace(ours, tables=[table]), TINY)
