"""``shrinker bench --scenario memcg``: what it sets up, measures and says."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line needs rich")
pyperf = pytest.importorskip("pyperf", reason="shrinker bench needs pyperf")

from click.testing import CliRunner

from shrinker.bench.memcg_points import (
    MEMORY_ROWS,
    NR_NODES,
    ROWS,
    SERIES,
    MemcgPoint,
    MemcgRow,
    Operation,
)
from shrinker.bench.memcg_results import memcg_result
from shrinker.bench.memcg_workloads import Machine
from shrinker.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def machine() -> Iterator[Machine]:
    """5 memcgs, 130 shrinkers, 3 bits set in each."""
    made = Machine(MemcgPoint(5, 130, 3))
    made.populate()
    yield made
    made.close()


# --- the workloads ---------------------------------------------------------------


def test_a_machine_is_what_its_point_says(machine: Machine) -> None:
    """Groups, shrinkers, bits: spread over all units of the map, on both nodes."""
    domain = machine.domain
    assert len(domain.shrinkers()) == 130
    assert domain.nr_nodes == NR_NODES == 2
    # Groups that C has made are in the tree, without a Memcg.
    assert machine._made == 5
    ffi = importlib.import_module("shrinker._ffi")
    for memcg in machine._memcgs:
        for nid in range(2):
            found = [i for i in range(192) if ffi.lib.mem_cgroup_has_bit(memcg, nid, i)]
            assert found == [0, 43, 86]


@pytest.mark.parametrize(
    ("operation", "walks", "inner"),
    [(Operation.WALK, 2, 2), (Operation.TURN, 10, 10)],
)
def test_a_walk_meets_the_shrinkers_whose_bits_are_set(
    machine: Machine, operation: Operation, walks: int, inner: int
) -> None:
    """3 passes for each group and node and none else; no scan call, no bit cleared."""
    run, loops = machine.run(operation)
    assert loops == inner
    for times in (1, 4):
        before = machine.domain.statistics()
        assert run(times) > 0
        after = machine.domain.statistics()
        assert after.walks - before.walks == walks * times
        assert after.passes - before.passes == 3 * walks * times
        assert after.scan_calls == 0


def test_what_is_created_is_removed_again(machine: Machine) -> None:
    """A loop leaves the tree as it was, and takes ids for the groups that it made."""
    first = machine.domain.create_memcg("before")
    creating, chunk = machine.run(Operation.CREATE)
    leaving, _ = machine.run(Operation.LEAVE)
    assert creating(2) > 0
    assert leaving(3) > 0
    second = machine.domain.create_memcg("after")
    assert second.id == first.id + 5 * chunk + 1
    for memcg in (first, second):
        memcg.offline()
        memcg.close()


def test_setting_bits_sets_those_of_one_group(machine: Machine) -> None:
    """All of them, on both nodes, and nothing else."""
    lib = importlib.import_module("shrinker._ffi").lib

    def bits() -> list[int]:
        return [
            sum(lib.mem_cgroup_has_bit(memcg, nid, i) for i in range(192))
            for memcg in machine._memcgs
            for nid in range(2)
        ]

    assert bits() == [3] * 10
    for shrinker in machine.domain.shrinkers():
        shrinker.close()
    # A walk clears the bits of shrinkers that are gone.
    machine.run(Operation.TURN)[0](1)
    assert bits() == [0] * 10
    run, inner = machine.run(Operation.SET)
    assert inner == 2
    assert run(3) > 0
    assert sorted(bits()) == [0] * 8 + [3] * 2


FRESH = """
import json
from shrinker.bench import memcg_workloads
from shrinker.bench.memcg_points import MemcgPoint, MemcgRow, Operation
row = MemcgRow(Operation.MEMORY, MemcgPoint(2000, 100, 10))
{before}
print(json.dumps(memcg_workloads.MemcgScenario().sized(row)))
"""


def in_a_fresh_process(before: str = "") -> subprocess.CompletedProcess[str]:
    """Measure memory where no other test has left any."""
    return subprocess.run(
        [sys.executable, "-c", FRESH.format(before=before)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_memory_is_what_the_process_grows_by() -> None:
    """A group's own account is in it, and the Python object comes on top."""
    done = in_a_fresh_process()
    assert done.returncode == 0, done.stderr
    resident, described = json.loads(done.stdout)
    own = described["memcg_memory"] / NR_NODES
    assert described["nr_max"] == 128
    # Not less than it says, but for what the process had left over, and with the
    # allocator's share.
    assert 0.9 * own < resident < 1.5 * own
    assert resident < described["resident_with_python"] < resident + 1000


def test_what_fails_in_the_child_is_an_error() -> None:
    """And not a figure."""
    done = in_a_fresh_process("memcg_workloads.resident = lambda: 1 // 0")
    assert done.returncode == 1
    assert "OSError: memory could not be measured" in done.stderr


def test_rows_are_what_the_documentation_names() -> None:
    """10 to 10,000 memcgs, 10 to 1,000 shrinkers, 0 to 100 bits; each row once."""
    assert [[getattr(p, s.varied) for p in s.points] for s in SERIES] == [
        [10, 100, 1000, 10_000],
        [10, 100, 1000],
        [10, 100, 1000],
        [0, 1, 10, 100],
    ]
    for series in SERIES:
        others = {"memcgs", "shrinkers", "bits"} - {series.varied}
        for name in others:
            assert len({getattr(point, name) for point in series.points}) == 1
    assert MemcgPoint(10_000, 100, 10) in {row.point for row in ROWS}
    assert len({row.name for row in ROWS}) == len(ROWS)


# --- the figures -----------------------------------------------------------------


def suite_of(nanoseconds: Callable[[MemcgRow, int], float], rounds: int = 6) -> Any:
    """Make a result up."""
    benchmarks = []
    for row in ROWS:
        memory = row.operation is Operation.MEMORY
        runs = [
            pyperf.Run(
                [500.0 if memory else nanoseconds(row, number) / 1e9],
                metadata={
                    "name": row.name,
                    "unit": "byte" if memory else "second",
                    "round": number,
                    "nr_max": 128,
                    "memcg_memory": 900,
                    "resident_with_python": 600.0,
                },
                collect_metadata=False,
            )
            for number in range(rounds)
        ]
        benchmarks.append(pyperf.Benchmark(runs))
    return pyperf.BenchmarkSuite(benchmarks)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down in the middle changes none."""

    def cost(row: MemcgRow, number: int) -> float:
        point = row.point
        ns = 10 + 5 * point.bits + point.shrinkers + point.memcgs / 10
        return ns * (1 + 9 * (number > 2))

    result = memcg_result(suite_of(cost))
    by_bits = result.series[3].costs
    # 0 bits: 10 + 100 + 1,000.
    walk = [costs.ratio[Operation.WALK].median for costs in by_bits]
    assert walk == pytest.approx([1, 1115 / 1110, 1160 / 1110, 1610 / 1110])
    assert all(c.ratio[Operation.WALK].spread < 1e-9 for c in by_bits)
    # Nothing is to be set at 0 bits, so the smallest is 1.
    assert Operation.SET not in by_bits[0].time
    assert by_bits[1].ratio[Operation.SET].median == 1
    assert by_bits[3].ratio[Operation.SET].median == pytest.approx(1610 / 1115)


def test_a_bits_cost_is_what_it_adds() -> None:
    """The walk without any is taken off, round by round."""
    result = memcg_result(
        suite_of(lambda row, number: 40 + number + 7 * row.point.bits)
    )
    for costs in result.series[3].costs[1:]:
        assert costs.per_bit[Operation.WALK].median == pytest.approx(7)
    assert not result.series[0].costs[0].per_bit
    (first, *_) = result.memory
    assert (first.own, first.resident.median, first.resident_with_python) == (
        450,
        500,
        600,
    )


# --- the command -----------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run as short as can be, through the command line."""
    directory = tmp_path_factory.mktemp("bench")
    done = subprocess.run(
        [sys.executable, "-m", "shrinker", "bench", "--scenario=memcg", "--fast",
         "--rounds=2", "--no-plot", "-o", "result.json"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return directory / "result.json", done.stdout


def test_the_result_is_pyperfs(measured: tuple[Path, str]) -> None:
    """A value a round for each row; memory in bytes, everything else in seconds."""
    suite = pyperf.BenchmarkSuite.load(str(measured[0]))
    assert suite.get_benchmark_names() == [row.name for row in ROWS]
    for row, benchmark in zip(ROWS, suite, strict=True):
        memory = row.operation is Operation.MEMORY
        assert benchmark.get_nvalue() == 2
        assert benchmark.get_unit() == ("byte" if memory else "second")
        metadata = benchmark.get_metadata()
        assert metadata["scenario"] == "memcg"
        assert metadata["memcgs"] == row.point.memcgs
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", "stats", str(measured[0])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_tables_have_every_row(measured: tuple[Path, str]) -> None:
    """A table a series, a line a point, a ratio a cell, within 80 columns."""
    lines = measured[1].splitlines()
    assert max(map(len, lines)) <= 80
    for series in SERIES:
        text = measured[1].partition(f"ns, by {series.title}")[2]
        for point in series.points:
            number = f"{getattr(point, series.varied):,}"
            line = re.search(rf"^ *{number} +(\S.*)$", text, re.MULTILINE)
            assert line is not None
            unset = Operation.SET in series.operations and not point.bits
            assert line[1].count("x") == len(series.operations) - unset
            if point is series.points[0]:
                assert line[1].count(" 1.0x") == line[1].count("x")
    assert measured[1].count("per bit  per bit") == 1
    memory = measured[1].partition("bytes for each memcg and node")[2]
    for row in MEMORY_ROWS:
        assert f"{row.point.shrinkers:,} shrinkers" in memory
    assert any(line.split() == ["result:", "result.json"] for line in lines)


def test_plots_are_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG and an SVG are written, with something on them, and their paths said."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    run = importlib.import_module("shrinker.bench.run")
    suite = suite_of(lambda row, number: 10 + number + row.point.bits)
    monkeypatch.setattr(run, "measure", lambda *_, **__: suite)
    monkeypatch.chdir(tmp_path)
    args = ["bench", "--scenario=memcg", "-o", "result.json", "--plot", "picture"]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    assert len(Path("picture.png").read_bytes()) > 50_000
    assert len(Path("picture.svg").read_text()) > 50_000
    assert "picture.png" in result.output
    assert "picture.svg" in result.output


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--scenario=nothing"], "nothing"),
        (["--scenario=memcg", "--recording=here"], "for --scenario loop"),
        (["--scenario=native", "--recording=here"], "for --scenario loop"),
    ],
)
def test_options_of_the_other_scenario_are_refused(
    args: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is measured."""
    run = importlib.import_module("shrinker.bench.run")

    def measure(*_: object, **__: object) -> None:
        pytest.fail("measured")

    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.chdir(tmp_path)
    Path("here").write_text("")
    result = CliRunner().invoke(cli, ["bench", *args])
    assert result.exit_code == 2
    assert text in result.output
