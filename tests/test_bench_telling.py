"""What ``shrinker bench`` says before it measures, when it is ended, and afterwards.

Results are made up; how long anything takes is not tested.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import made_up, option, usual
from click.testing import CliRunner

from shrinker.bench import run as bench_run
from shrinker.bench.peers.points import Peer
from shrinker.bench.scenario import ScenarioName
from shrinker.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SCENARIOS = list(ScenarioName)
RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty directory, with every peer built."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_run, "build", lambda _: {})


def bench(name: ScenarioName, *args: str) -> Result:
    return CliRunner().invoke(
        cli, ["bench", option(name), "--no-plot", "-o", "new.json", *args]
    )


def measured(monkeypatch: pytest.MonkeyPatch, suite: Any) -> None:
    monkeypatch.setattr(bench_run, "measure", lambda *_, **__: suite)


# --- before ------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_result_of_another_scenario_is_refused_before_measuring(
    name: ScenarioName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the file; nothing is built, measured or written."""

    def too_late(*_: object, **__: object) -> None:
        pytest.fail("measured")

    monkeypatch.setattr(bench_run, "measure", too_late)
    monkeypatch.setattr(bench_run, "build", too_late)
    other = SCENARIOS[SCENARIOS.index(name) - 1]
    made_up(other).dump("old.json")
    result = bench(name, "--compare=old.json")
    assert result.exit_code == 1
    assert result.output.startswith("Error: old.json: has none of the rows")
    assert result.output.count("\n") == 1


def test_peers_that_cannot_be_built_are_nothing_to_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An old result of those only is refused before measuring, too."""
    suite = made_up(ScenarioName.PEERS)
    names = [name for name in suite.get_benchmark_names() if Peer.C_API in name]
    only = type(suite)([suite.get_benchmark(name) for name in names])
    only.dump("old.json")
    measured(monkeypatch, suite)
    assert bench(ScenarioName.PEERS, "--compare=old.json").exit_code == 0
    monkeypatch.setattr(bench_run, "build", lambda _: {Peer.C_API: "no compiler"})
    result = bench(ScenarioName.PEERS, "--compare=old.json")
    assert (result.exit_code, "old.json: has none" in result.output) == (1, True)


# --- while ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_early_interruption_says_that_nothing_is_kept(
    name: ScenarioName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before two rounds: exit code 1, one line with the reason, no file."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_run, "measure", interrupted)
    result = bench(name)
    assert result.exit_code == 1
    promise, said = result.output.splitlines()
    assert "Ctrl-C keeps two or more rounds" in promise
    assert said == (
        "Error: interrupted before two rounds were complete; nothing is kept"
    )
    assert list(tmp_path.iterdir()) == []


# --- after ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_tables_say_how_many_rounds_they_rest_on(
    name: ScenarioName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as were made, not as many as there might have been."""
    for rounds in (2, 13):
        measured(monkeypatch, made_up(name, rounds=rounds))
        result = bench(name)
        assert result.exit_code == 0
        assert f"Medians of {rounds} rounds;" in " ".join(result.output.split())


@pytest.mark.parametrize("name", SCENARIOS)
def test_tables_look_alike(name: ScenarioName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not indented, not cut, within 80 columns, whatever was measured."""
    rng = random.Random(1)  # noqa: S311 - no secret
    suite = made_up(name, lambda row, _: usual(row) * rng.uniform(1, 80))
    measured(monkeypatch, suite)
    made_up(name, lambda row, _: usual(row) * rng.uniform(30, 31)).dump("old.json")
    result = bench(name, "--compare=old.json")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    rules = [place for place, line in enumerate(lines) if RULE in line]
    assert rules
    for place in rules:
        assert set(lines[place]) == {RULE}
        assert lines[place - 2].strip()
        assert not lines[place + 1].startswith(" ")
    assert max(map(len, lines)) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in result.output
    assert [line for line in lines if line != line.rstrip()] == []


def test_memcg_has_a_column_for_each_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time and its ratio have a header each."""
    measured(monkeypatch, made_up(ScenarioName.MEMCG))
    lines = bench(ScenarioName.MEMCG).output.splitlines()
    (place,) = (i for i, line in enumerate(lines) if "ns, by memcgs" in line)
    header, _, first = lines[place + 2 : place + 5]
    assert header.split() == [*"create x leave x bits x walk x turn x ±".split()]  # noqa: SIM905
    assert first.split()[2::2] == ["1.0x"] * 5
    # Right-aligned below their headers.
    for column in re.finditer(r"\S+", header):
        assert first[column.end() - 1] != " "
        assert first[column.end() : column.end() + 1].strip() == ""


# --- compared ------------------------------------------------------------------------


def rows_of(result: Result) -> dict[str, list[str]]:
    """Return what stands behind the new time of each row that is named."""
    found = re.findall(r"^(\w+: .*?)  +\S+  +\S+  x (.*)$", result.output, re.MULTILINE)
    return {name: re.split(r"  +", cells) for name, cells in found}


def test_changed_says_the_row_the_machine_or_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row: both tests say so.  The machine: it changed as the peer did, or less.
    Nothing: against the peer it is lost in the noise, or there is no peer; the
    legend's words for it are those in the table."""

    def now(row: str, number: int) -> float:
        if row == "native: default":  # By itself; pure Python stays.
            return 3 * usual(row)
        if row.endswith(": batch 1"):  # With pure Python.
            return 2 * usual(row)
        if row == "native: batch 1,024":  # Twice as long, while pure Python jumps.
            return 2 * usual(row)
        if row == "pure: batch 1,024":
            return usual(row) * (1 + 1.5 * (number % 3))
        if row.endswith(": 1 shrinker"):  # Less than pure Python.
            return usual(row) * (4 if "pure" in row else 2)
        return usual(row)

    rng = random.Random(2)  # noqa: S311 - no secret
    measured(
        monkeypatch,
        made_up(seconds=lambda row, n: now(row, n) * rng.uniform(0.99, 1.01), rounds=6),
    )
    made_up(seconds=lambda row, _: usual(row) * rng.uniform(0.99, 1.01), rounds=6).dump(
        "old.json"
    )
    result = bench(ScenarioName.LOOP, "--compare=old.json")
    assert result.exit_code == 0, result.output
    rows = rows_of(result)
    assert rows["native: default"][2] == "the row"
    assert rows["native: default"][1].startswith("x 3.0")
    assert rows["native: batch 1"][1:] == ["-", "the machine"]
    assert rows["native: batch 1,024"][1:] == ["-", "-"]
    assert rows["pure: batch 1"][1:] == ["-", "-"]
    assert rows["native: 1 shrinker"][2] == "the machine"
    assert rows["native: 1 shrinker"][1] in ("x 0.49", "x 0.50", "x 0.51")
    legend = " ".join(result.output.partition("pyperf's")[2].split())
    for words in (
        "- is within the noise",
        "the row, if",
        "the machine, if",
        "- cannot",
    ):
        assert words in legend
    assert "peer" not in result.output


def test_without_anything_to_hold_rows_against(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory cgroups: neither the columns nor their explanation."""
    measured(monkeypatch, made_up(ScenarioName.MEMCG, lambda row, _: 3 * usual(row)))
    made_up(ScenarioName.MEMCG).dump("old.json")
    result = bench(ScenarioName.MEMCG, "--compare=old.json")
    after = result.output.partition("Slower than in old.json")[2]
    header = next(line for line in after.splitlines() if line.strip())
    assert header.split() == ["row", "old", "ns", "new", "ns", "time"]
    assert "vs C" not in after
    assert "changed" not in after.replace("unchanged", "")
