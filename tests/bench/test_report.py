"""Tables and comparisons on the terminal, of results that are made up."""

from __future__ import annotations

import io
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import NAMES, factory, invoke, made_up, no_measuring, suite, usual
from rich.console import Console

from shrinker._terminal import Terminal
from shrinker.bench.report import print_results, short_number, short_ratio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
LOST = "\N{EN DASH}"
LABELS = [row.label for row in factory("loop")().tables[0].rows]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty directory."""
    monkeypatch.chdir(tmp_path)


def bench(name: str, *args: str) -> Result:
    result = invoke(name, "--no-plot", "-o", "new.json", *args)
    assert result.exit_code == 0, result.output
    return result


def shown(result: Any, width: int = 80, name: str = "loop") -> list[str]:
    text = io.StringIO()
    console = Console(
        file=text, width=width, force_terminal=True, color_system=None, highlight=False
    )
    print_results(Terminal(console), factory(name)(), result)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def loop_suite(factor: Callable[[str, int], float], rounds: int = 10) -> Any:
    """Make a result of the loop up: ``factor`` times what lines usually take."""
    kinds = {"native": 4e-8, "python": 6e-6, "pure": 2e-6}
    chance = random.Random(1)  # noqa: S311 - no secret

    def seconds(name: str, number: int) -> float:
        kind, _, label = name.partition(": ")
        idle = "priority 12" in label or label in ("no shrinker", "recording")
        scans = 0 if idle else {"priority 0": 8, "batch 1": 128}.get(label, 1)
        return (
            kinds[kind]
            * (1 + scans)
            * factor(name, number)
            * chance.uniform(0.99, 1.01)
        )

    return made_up("loop", seconds, rounds)


def figures_of(label: str, table: str) -> list[list[str]]:
    """Return the cells of the lines that begin with ``label``."""
    pattern = rf"^ ?{re.escape(label)}  +(\d.*)$"
    return [found.split() for found in re.findall(pattern, table, re.MULTILINE)]


# --- numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.057, "0.06"),
        (5.678, "5.68"),
        (56.78, "56.8"),
        (5678.9, "5,679"),
        (-12.3, "-12.3"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    """Or all that stand before the point."""
    assert short_number(value) == text


def test_ratios_have_a_bound() -> None:
    """Beyond 999 they would not fit: under a tracer or a debugger, say."""
    assert short_ratio(1.064) == "1.06x"
    assert short_ratio(999) == "999x"
    assert short_ratio(81362) == ">999x"


# --- tables ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_tables_say_how_many_rounds_they_rest_on(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as were made, not as many as there might have been."""
    for rounds in (2, 13):
        no_measuring(monkeypatch, made_up(name, rounds=rounds))
        output = " ".join(bench(name).output.split())
        assert f"Medians of {rounds} rounds;" in output


@pytest.mark.parametrize("name", NAMES)
def test_tables_look_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not indented, not cut, within 80 columns, whatever was measured."""
    chance = random.Random(1)  # noqa: S311 - no secret
    no_measuring(
        monkeypatch, made_up(name, lambda line, _: usual(line) * chance.uniform(1, 80))
    )
    old = made_up(name, lambda line, _: usual(line) * chance.uniform(30, 31))
    old.dump("old.json")
    result = bench(name, "--compare=old.json")
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


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_has_its_place(name: str) -> None:
    """A header for each value and each ratio, right above it; a row for each label."""
    tables = factory(name)().tables
    lines = shown(made_up(name, lambda line, n: usual(line) * (1 + n / 100)), 100, name)
    rules = [place for place, line in enumerate(lines) if RULE in line]
    assert len(rules) == len(tables)
    for table, place in zip(tables, rules, strict=True):
        ratios = sum(bool(column.ratio) for column in table.columns)
        cells = bool(table.notes) + len(table.columns) + ratios + 1
        header = lines[place - 1]
        # Words of one header are one blank apart.
        ends = [found.end() for found in re.finditer(r"\S+( \S+)*", header)]
        assert len(ends) == cells
        body = [line for line in lines[place + 1 :] if line][: len(table.rows)]
        for row, line in zip(table.rows, body, strict=True):
            assert line.startswith(row.label)
            full = all(cell and cell.against for cell in row.cells)
            if full and ratios == len(table.columns):
                found = re.findall(r"\S+", line[len(row.label) :])
                assert len(found) == cells
            assert all(line[end : end + 1].strip() == "" for end in ends)


def test_the_loop_fits_on_a_noisy_machine() -> None:
    """Large numbers and a wide spread, at 80 columns: nothing is cut."""
    lines = shown(
        loop_suite(lambda name, n: 10 * (1 + 1.5 * (n % 3) * ("pure" in name)))
    )
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    for label in LABELS:
        assert re.search(rf"^{re.escape(label)}  .*%$", text, re.MULTILINE)


def test_points_of_a_factor_stand_together() -> None:
    """With an empty line before the next."""
    lines = shown(loop_suite(lambda _name, _round: 1.0))
    place = next(i for i, line in enumerate(lines) if line.startswith("default "))
    assert [not line for line in lines[place : place + 6]] == [
        False, True, False, False, True, False,
    ]  # fmt: skip


def test_what_is_lost_in_the_noise_is_a_dash() -> None:
    """Neither a negative time nor one that varies by more than half of itself."""

    def factor(name: str, number: int) -> float:
        if name == "pure: priority 0":
            return 0.05
        return 1 + number % 2 if name == "python: batch 1" else 1.0

    clean = shown(loop_suite(lambda _name, _round: 1.0))
    assert LOST not in "".join(clean)
    lines = shown(loop_suite(factor))
    calls = "\n".join(lines).partition("ns per scan call")[2]
    (cells,) = figures_of("priority 0", calls)
    assert cells[0] == "64"
    assert float(cells[1]) > 0
    assert cells[2] == cells[4] == cells[5] == LOST
    (cells,) = figures_of("default", calls)
    assert len(cells) == 7
    assert any(line.startswith(f"{LOST}: lost in the noise") for line in lines)


def test_a_row_without_any_known_value_has_no_spread() -> None:
    """Dashes alone."""
    lines = shown(
        loop_suite(lambda name, _: 0.001 if name.endswith("batch 1") else 1.0)
    )
    calls = "\n".join(lines).partition("ns per scan call")[2]
    (row,) = [
        line.split() for line in calls.splitlines() if line.startswith("batch 1 ")
    ]
    assert row == ["batch", "1", "1,024", *[LOST] * 6]


def test_a_large_spread_has_a_bound() -> None:
    """Beyond 99 % it would not fit."""
    lines = shown(loop_suite(lambda _, n: (1e-4, 1, 100)[n % 3], rounds=3))
    (cells,) = figures_of("default", "\n".join(lines).partition("ns per scan")[0])
    assert cells[-1] == ">99%"


def test_tables_without_rows_are_left_out() -> None:
    """And so are rows, and cells, that were not measured."""
    lines = shown(suite({"native: default": [1e-6, 2e-6]}))
    text = "\n".join(lines)
    assert "ns per pass" in text
    assert "ns per scan call" not in text
    (cells,) = figures_of("default", text)
    assert cells == ["8", "1,500", LOST, "33%"]


# --- comparisons ----------------------------------------------------------------------


def rows_of(result: Result) -> dict[str, list[str]]:
    """Return what stands behind the new time of each line that is named."""
    found = re.findall(r"^(\w+: .*?)  +\S+  +\S+  x (.*)$", result.output, re.MULTILINE)
    return {name: re.split(r"  +", cells) for name, cells in found}


def test_changed_says_the_line_the_machine_or_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line: both tests say so.  The machine: it changed as the peer did, or less.
    Nothing: against the peer it is lost in the noise, or there is no peer; the
    legend's words for it are those in the table."""

    def now(line: str, number: int) -> float:
        if line == "native: default":  # By itself; pure Python stays.
            return 3 * usual(line)
        if line.endswith(": batch 1"):  # With pure Python.
            return 2 * usual(line)
        if line == "native: batch 1,024":  # Twice as long, while pure Python jumps.
            return 2 * usual(line)
        if line == "pure: batch 1,024":
            return usual(line) * (1 + 1.5 * (number % 3))
        if line.endswith(": 1 shrinker"):  # Less than pure Python.
            return usual(line) * (4 if "pure" in line else 2)
        return usual(line)

    chance = random.Random(2)  # noqa: S311 - no secret

    def noisy(seconds: Callable[[str, int], float]) -> Any:
        return made_up(
            seconds=lambda line, n: seconds(line, n) * chance.uniform(0.99, 1.01),
            rounds=6,
        )

    no_measuring(monkeypatch, noisy(now))
    noisy(usual).dump("old.json")
    result = bench("loop", "--compare=old.json")
    rows = rows_of(result)
    assert rows["native: default"][2] == "the line"
    assert rows["native: default"][1].startswith("x 3.0")
    assert rows["native: batch 1"][1:] == ["-", "the machine"]
    assert rows["native: batch 1,024"][1:] == ["-", "-"]
    assert rows["pure: batch 1"][1:] == ["-", "-"]
    assert rows["native: 1 shrinker"][2] == "the machine"
    assert rows["native: 1 shrinker"][1] in ("x 0.49", "x 0.50", "x 0.51")
    # What changed by itself comes first, the largest change at the top.
    assert next(iter(rows)) == "native: default"
    legend = " ".join(result.output.partition("pyperf's")[2].split())
    for words in (
        "- is within the noise",
        "the line, if",
        "the machine, if",
        "- cannot",
    ):
        assert words in legend
    assert "slower (1 by itself), 0 faster (0 by itself)" in result.output


@pytest.mark.parametrize("name", [name for name in NAMES if name != "loop"])
def test_the_same_twice_is_unchanged(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line, by a line written in C where there is one."""
    made_up(name).dump("old.json")
    no_measuring(monkeypatch, made_up(name))
    result = " ".join(bench(name, "--compare=old.json").output.split())
    count = len(factory(name)().lines)
    assert "0 slower (0 by itself), 0 faster (0 by itself)," in result
    assert f"{count} unchanged: pyperf's t-test" in result
    assert ("vs C:" in result) == (factory(name)().machine_is == "C")


def test_without_anything_to_hold_lines_against(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory cgroups: neither the columns nor their explanation; bytes are bytes."""
    no_measuring(monkeypatch, made_up("memcg", lambda line, _: 3e9 * usual(line)))
    made_up("memcg", lambda line, _: 1e9 * usual(line)).dump("old.json")
    result = bench("memcg", "--compare=old.json")
    after = result.output.partition("Slower than in old.json")[2]
    header = next(line for line in after.splitlines() if line.strip())
    assert header.split() == ["line", "old", "ns", "new", "ns", "time"]
    assert "vs C" not in after
    assert "changed" not in after.replace("unchanged", "")
    assert re.search(r"^memory: .* 2,000 B +6,000 B +x 3.00$", after, re.MULTILINE)


def test_remarks_stand_before_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes two results hard to compare comes first."""
    made_up(rounds=2).dump("old.json")
    few = [b for b in made_up() if b.get_name() != "native: default"]
    no_measuring(monkeypatch, type(made_up())(few))
    output = bench("loop", "--compare=old.json").output
    notes = [line for line in output.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: 2 rounds against 3: the test takes 2 of each",
        "note: 1 lines are in one of the results only",
    ]
    assert output.index(notes[-1]) < output.index("unchanged: pyperf's")
