"""``shrinker bench --scenario native``, ``neighbours`` and ``threads``.

How long anything takes is not tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pyperf = pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from click.testing import CliRunner

from shrinker._ffi import lib
from shrinker.bench.compare import compare
from shrinker.bench.kinds import KINDS
from shrinker.bench.lines import Goal, Line, Section, line_results
from shrinker.bench.machine import NativeMachine
from shrinker.bench.native.points import C2, C4
from shrinker.bench.native.points import SECTIONS as NATIVE_SECTIONS
from shrinker.bench.native.workloads import NativeScenario
from shrinker.bench.neighbours.points import SECTIONS as NEIGHBOURS_SECTIONS
from shrinker.bench.neighbours.workloads import python_domain
from shrinker.bench.scenario import ScenarioName
from shrinker.bench.threads.points import SECTIONS as THREADS_SECTIONS
from shrinker.bench.threads.workloads import side_by_side
from shrinker.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = {
    ScenarioName.NATIVE: NATIVE_SECTIONS,
    ScenarioName.NEIGHBOURS: NEIGHBOURS_SECTIONS,
    ScenarioName.THREADS: THREADS_SECTIONS,
}


def suite(values: dict[str, list[float]]) -> Any:
    """Make a result up, a value a round."""
    return pyperf.BenchmarkSuite(
        [
            pyperf.Benchmark(
                [
                    pyperf.Run(
                        [value],
                        metadata={"name": name, "unit": "second", "round": number},
                        collect_metadata=False,
                    )
                    for number, value in enumerate(rounds)
                ]
            )
            for name, rounds in values.items()
        ]
    )


# --- lines and goals --------------------------------------------------------------


def met(goal: Goal, own: list[float], other: list[float], **line: Any) -> bool | None:
    section = Section("s", "ns", 1e9, (Line("a", "a", "b", goal=goal, **line),))
    [(_, [one])] = line_results(suite({"a": own, "b": other}), [section])
    return one.met


@pytest.mark.parametrize(
    ("goal", "line", "expected"),
    [
        (Goal(2.0), {}, True),
        (Goal(1.9), {}, False),
        (Goal(1.0, allowance=3.0), {}, True),
        (Goal(1.0, allowance=2.0), {}, False),
        (Goal(0.5, at_least=True), {"rate": True}, True),
        (Goal(0.6, at_least=True), {"rate": True}, False),
    ],
)
def test_goals(goal: Goal, line: dict[str, Any], expected: bool) -> None:
    """Twice as long, round by round, though the machine was slower in one of them."""
    assert met(goal, [6.0, 60.0, 6.0], [3.0, 30.0, 3.0], **line) is expected


def test_the_goals_are_the_issues() -> None:
    """What was asked for, by row; nobody relaxes them unseen."""
    goals = {
        line.row: (line.goal.limit, line.goal.at_least, line.goal.allowance)
        for sections in SECTIONS.values()
        for section in sections
        for line in section.lines
        if line.goal
    }
    assert goals["reset: priority 12"] == (1.15, False, 0)
    assert goals["reset: priority 3"] == (1.3, False, 0)
    assert goals["reset: priority 0"] == (4.3, False, 0)
    assert goals["carried: priority 12"] == (1.5, False, 0)
    assert goals["carried: priority 3"] == (1.95, False, 0)
    assert goals["carried: priority 0"] == (5.4, False, 0)
    assert goals["walk: 1,000 at priority 12"] == (0.75, False, 0)
    assert goals["walk: 10,000 at priority 12"] == (0.9, False, 0)
    assert goals["walk: 100 at priority 0"] == (2.9, False, 0)
    assert goals["Python walk beside 4 busy threads"] == (3, False, 0.04)
    assert goals["another thread's turn beside a native walk"] == (0.9, True, 0)
    assert goals["apart, priority 12, 2 threads"] == (1.8, True, 0)
    assert goals["shared, priority 0, 2 threads"] == (1.3, True, 0)


@pytest.mark.parametrize("name", SECTIONS)
def test_lines_are_of_rows_that_there_are(name: ScenarioName) -> None:
    """Each row once; each line and what it is compared with is a row."""
    rows = [row.name for row in KINDS[name].rows]
    assert len(set(rows)) == len(rows)
    for section in SECTIONS[name]:
        for line in section.lines:
            assert line.row in rows
            assert line.against is None or line.against in rows


# --- workloads --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "passes", "scans"),
    [
        ("reset: priority 12", 1000, 0),
        ("reset: priority 3", 1000, 1000),
        ("reset: priority 0", 1000, 15_000),
        ("walk: 100 at priority 12", 1000, 0),
        ("walk: 100 at priority 0", 1000, 15_000),
    ],
)
def test_native_rows_do_what_they_are_called(
    name: str, passes: int, scans: int
) -> None:
    """A loop makes so many passes and scan calls."""
    scenario = NativeScenario()
    (row,) = (row for row in scenario.rows if row.name == name)
    run = scenario.open(row)
    assert scenario._machine is not None
    domain = scenario._machine.domain
    assert run(1) > 0
    after = domain.statistics()
    described = scenario.describe(row)
    scenario.close()
    assert after.passes == passes == described["inner_loops"]
    assert after.scan_calls == scans


def test_loops_are_the_measure() -> None:
    """Passes are held against C2, walks against C4."""
    for section in NATIVE_SECTIONS[1:]:
        loop = C4 if section.title.startswith("a walk") else C2
        assert {line.against for line in section.lines} == {loop.name}


def test_python_walk_is_100_shrinkers_with_64_batches() -> None:
    """As the goal has it."""
    with python_domain() as domain:
        domain.shrink_slab(priority=0)
        statistics = domain.statistics()
    assert (statistics.passes, statistics.scan_calls) == (100, 6400)


def test_side_by_side_runs_every_step() -> None:
    """One thread: each alone in turn; two: both."""
    for threads in (1, 2):
        done: list[tuple[str, int]] = []
        steps = [
            lambda loops, done=done, which=which: done.append((which, loops))
            for which in "ab"
        ]
        assert side_by_side(steps, threads)(10_000) > 0
        assert sorted(done) == [("a", 10_000), ("b", 10_000)]


def test_a_machine_frees_what_it_has_made() -> None:
    """All of its shrinkers are walked over, and none afterwards."""
    machine = NativeMachine(5)
    assert lib.bench_walk_ns(machine.domain._c, 12, 3) > 0
    assert machine.domain.statistics().passes == 15
    machine.close()
    assert machine._made == 0


# --- comparing --------------------------------------------------------------------


def test_a_slower_row_is_told_from_a_slower_machine() -> None:
    """By the loop in C of the same round."""
    rows = [row.name for row in KINDS[ScenarioName.NATIVE].rows]
    old = suite({name: [1.0, 1.01, 0.99, 1.0] for name in rows})
    new = suite({name: [2.0, 2.02, 1.98, 2.0] for name in rows})
    itself = suite(
        {
            name: [2.0, 2.02, 1.98, 2.0] if "walk" in name else [1.0, 1.01, 0.99, 1.0]
            for name in rows
        }
    )
    reference = KINDS[ScenarioName.NATIVE].reference
    machine = compare(old, new, reference).changes
    assert all(change.slower and not change.itself for change in machine)
    changed = [c for c in compare(old, itself, reference).changes if c.slower]
    assert {c.name for c in changed} == {name for name in rows if "walk" in name}
    assert all(change.itself for change in changed)


# --- the command ------------------------------------------------------------------


@pytest.mark.parametrize("name", SECTIONS)
def test_the_command(
    name: ScenarioName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row in the file, every goal on the screen, a picture, a comparison."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    output = tmp_path / "out.json"
    args = ["bench", f"--scenario={name}", "--fast", "--rounds=2", "-o", str(output)]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    found = pyperf.BenchmarkSuite.load(str(output)).get_benchmark_names()
    assert found == [row.name for row in KINDS[name].rows]
    table = result.output.partition("result:")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    goals = [line for section in SECTIONS[name] for line in section.lines if line.goal]
    # The last lines count them.
    assert f"of {len(goals)} goals are met" in table
    assert output.with_suffix(".png").stat().st_size > 20_000
    assert output.with_suffix(".svg").stat().st_size > 10_000
    # Not measured again: the same twice is unchanged.
    monkeypatch.setattr(
        "shrinker.bench.run.measure",
        lambda *_, **__: pyperf.BenchmarkSuite.load(str(output)),
    )
    args[-1] = str(tmp_path / "new.json")
    again = CliRunner().invoke(cli, [*args, "--no-plot", "--compare", str(output)])
    assert again.exit_code == 0, again.output
    count = len(KINDS[name].rows)
    assert "0 slower (0 by itself), 0 faster (0 by itself)" in again.output
    assert f"{count} unchanged: pyperf's t-test" in again.output.replace("\n", " ")
