"""What a result says: values and ratios round by round, differences, the noise."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import NAMES, factory, suite

from shrinker import ShrinkerError
from shrinker.bench.lines import Benchmark, Column, Difference, Line, Row, Table
from shrinker.bench.results import Shown, by_line, load, shown, shown_rows


def line(name: str, against: Line | None = None, **settings: Any) -> Line:
    return Line(name, contextlib.nullcontext, against=against, **settings)


A = line("a")
B = line("b", A)
FASTER = line("b", A, rate=True)


def show(cell: Line | Difference | None, **values: list[float]) -> Shown | None:
    return shown(cell, by_line(suite(values)))


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    """Values are taken round by round, and so are ratios."""
    found = show(B, a=[3.0, 30.0, 3.0], b=[6.0, 60.0, 6.0])
    assert found is not None
    assert found.value is not None
    assert found.ratio is not None
    assert (found.value.median, found.value.rounds) == (6, 3)
    assert (found.ratio.median, found.ratio.spread) == (2, 0)


def test_a_rate_is_the_other_way_round() -> None:
    """How many times as fast."""
    found = show(FASTER, a=[3.0, 30.0], b=[6.0, 60.0])
    assert found is not None
    assert found.ratio is not None
    assert found.ratio.median == 0.5


def test_rounds_that_only_one_line_has_are_no_ratio() -> None:
    """The others count."""
    found = show(B, a=[1.0], b=[2.0, 9.0, 9.0])
    assert found is not None
    assert found.ratio is not None
    assert (found.ratio.median, found.ratio.rounds) == (2, 1)


def test_what_was_not_measured_is_not_shown() -> None:
    """Neither a line without values, nor its ratio, nor a cell without a line."""
    assert show(B, a=[1.0]) is None
    assert show(None, a=[1.0]) is None
    found = show(B, b=[1.0])
    assert found is not None
    assert found.ratio is None


def test_a_difference_is_taken_round_by_round() -> None:
    """By step; compared with the difference of the two others."""
    two = Difference(FASTER, line("idle b", line("idle a")), steps=4)
    values = {
        "a": [30.0, 300.0, 30.0],
        "idle a": [10.0, 100.0, 10.0],
        "b": [20.0, 200.0, 20.0],
        "idle b": [16.0, 160.0, 16.0],
    }
    found = shown(two, by_line(suite(values)))
    assert found is not None
    assert found.value is not None
    assert found.ratio is not None
    assert found.value.median == pytest.approx(1)
    assert found.ratio.median == pytest.approx(5)


@pytest.mark.parametrize("idle", [[2.0, 2.0, 2.0], [1.0, 0.1, 0.99], [1.0, 1.0, 1.0]])
def test_a_difference_may_be_lost_in_the_noise(idle: list[float]) -> None:
    """Where it is not above 0, or varies by more than half of itself."""
    lost = Difference(line("b"), line("idle"), steps=1)
    found = shown(lost, by_line(suite({"b": [1.0, 1.0, 1.0], "idle": idle})))
    assert found == Shown(None, None)


def test_a_ratio_to_a_lost_difference_is_lost() -> None:
    """The value is not."""
    values = {
        "a": [1.0, 1.0],
        "idle a": [2.0, 2.0],
        "b": [3.0, 3.0],
        "idle b": [1.0] * 2,
    }
    cell = Difference(B, line("idle b", line("idle a")), steps=1)
    found = shown(cell, by_line(suite(values)))
    assert found is not None
    assert found.value is not None
    assert found.value.median == 2
    assert found.ratio is None


def test_rows_of_which_nothing_was_measured_are_left_out() -> None:
    """And of the others every cell is kept."""
    table = Table(
        "t",
        [Column("x"), Column("y")],
        [Row("gone", [line("gone"), None]), Row("b", [A, B])],
    )
    ((row, cells),) = shown_rows(table, by_line(suite({"a": [1.0]})))
    assert row.label == "b"
    assert [cell is None for cell in cells] == [False, True]


def test_values_are_in_the_unit_of_the_table() -> None:
    """Nanoseconds, say."""
    table = Table("t", [Column("ns")], [Row("a", [A])])
    ((_, [cell]),) = shown_rows(table, by_line(suite({"a": [2e-9]})))
    assert cell is not None
    assert cell.value is not None
    assert cell.value.median == pytest.approx(2)


def test_runs_without_a_round_are_counted() -> None:
    """A file that pyperf itself wrote can be read; runs of warmups have no value."""
    pyperf = pytest.importorskip("pyperf")
    runs = [
        pyperf.Run([], warmups=[(1, 1.0)], metadata={"name": "a", "loops": 1}),
        pyperf.Run([2.0, 4.0], metadata={"name": "a"}),
    ]
    found = by_line(pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]))
    assert found == {"a": {1: 3.0}}


@pytest.mark.parametrize("text", ["no result\n", "[]\n", '{"version": "1.0"}'])
def test_files_that_are_no_results(text: str, tmp_path: Any) -> None:
    """One line that names the file."""
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(ShrinkerError, match="file: no result of pyperf"):
        load(str(path))
    with pytest.raises(ShrinkerError, match="missing: No such file"):
        load(str(tmp_path / "missing"))


# --- the lines of all benchmarks ----------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_complete(name: str) -> None:
    """Each line once; what it is compared with is measured, and its machine's line."""
    benchmark = factory(name)()
    names = [line.name for line in benchmark.lines]
    assert len(set(names)) == len(names)
    for one in benchmark.lines:
        assert one.against is None or one.against.name in names
    assert set(benchmark.machine.values()) <= set(names)
    assert all(line != machine for line, machine in benchmark.machine.items())
    for table in benchmark.tables:
        for row in table.rows:
            assert len(row.cells) == len(table.columns)
            for cell in row.cells:
                if isinstance(cell, Difference):
                    assert {cell.line.name, cell.less.name} <= set(names)


@pytest.mark.parametrize("name", NAMES)
def test_the_process_of_a_round_finds_the_same_lines(name: str) -> None:
    """By the module that the benchmark names."""
    benchmark = factory(name)()
    own = __import__(benchmark.module, fromlist=["benchmark"])
    again: Benchmark = own.benchmark(*benchmark.arguments)
    assert [line.name for line in again.lines] == [
        line.name for line in benchmark.lines
    ]


def test_an_order_comes_before_the_tables() -> None:
    """Lines that it leaves out follow in theirs."""
    c = line("c")
    table = Table("t", [Column("x")], [Row(one.name, [one]) for one in (A, B, c)])
    made = Benchmark("module", "title", [table], "legend", order=[c, A])
    assert [one.name for one in made.lines] == ["c", "a", "b"]


def test_what_tells_how_fast_the_machine_was() -> None:
    """What a line is compared with, or one line for all that are timed, or nothing."""
    size = line("size", unit="byte")
    table = Table("t", [Column("x")], [Row(one.name, [one]) for one in (A, B, size)])

    def machine(**settings: Any) -> dict[str, str]:
        return Benchmark("module", "title", [table], "legend", **settings).machine

    assert machine() == {"b": "a"}
    assert machine(machine_line=B) == {"a": "b"}
    assert machine(machine_is="") == {}
