"""``shrinker explain``: its text has every number, in lines that fit a terminal."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from click.testing import CliRunner
from explain_support import ENDLESS, INPUTS, Arguments

from shrinker import PassResult, run_pass
from shrinker.cli.app import cli
from shrinker.events import ShrinkSlabStart
from shrinker.explain import explain

if TYPE_CHECKING:
    from pathlib import Path


def call(given: Arguments, *extra: str) -> str:
    """Return the output of ``shrinker explain``, which must succeed."""
    options = [f"--{name}={value}" for name, value in given._asdict().items()]
    done = CliRunner().invoke(cli, ["explain", *options, *extra])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("given", INPUTS + ENDLESS)
def test_json_is_the_explanation(given: Arguments) -> None:
    """--json prints the explanation of these arguments, as one object."""
    assert json.loads(call(given, "--json")) == explain(**given._asdict()).to_json()


@pytest.mark.parametrize("given", INPUTS + ENDLESS)
def test_text_has_every_result(given: Arguments) -> None:
    """The text has what each step computed, and no line is longer than 80 columns."""
    explanation = explain(**given._asdict())
    output = call(given)
    for step in explanation.steps:
        assert f"{step.value:,}" in output, step.title
    assert not explanation.ends or f"{explanation.result.nr_deferred:,}" in output
    assert max(map(len, output.splitlines())) <= 80
    words = " ".join(output.split())
    for text in explanation.warnings:
        assert f"! {text}" in words


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Arguments(0, deferred=7), "returned 0: the count is not known"),
        (Arguments(2**64 - 2, deferred=7), "returned EMPTY: the cache is empty"),
    ],
)
def test_count_that_ends_the_pass(given: Arguments, text: str) -> None:
    """A count of 0 or EMPTY leaves the counter alone; the text says so."""
    words = " ".join(call(given).split())
    assert text in words
    assert "the deferred counter stays at 7" in words


def test_the_formula_is_filled_in() -> None:
    """An example, line by line."""
    output = call(Arguments(1000, deferred=300, priority=1))
    for line in (
        "delta = (1,000 >> 1) * 4 / 2 = 1,000",
        "total_scan = min((300 >> 1) + 1,000, 2 * 1,000) = 1,150",
        "8 x scan_objects(128)",
        "nr_deferred = min(max(300 + 1,000 - 1,024, 0), 2 * 1,000) = 276",
        "returned = 1,024",
    ):
        assert line in output


@pytest.mark.parametrize("given", INPUTS)
def test_lines_are_wrapped_between_terms(given: Arguments) -> None:
    """Indented lines, no line that ends in an operator, no blanks at an end."""
    lines = call(given).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line for line in lines if re.search(r"(\*|/|>>|\+|-|=)$", line)] == []
    if not explain(given.count).steps:
        return
    at = lines.index("     while total_scan >= batch or total_scan >= freeable:")
    assert lines[at + 1] == "         scan_objects(min(batch, total_scan))"
    # Only the first line of a paragraph is not indented.
    for before, line in itertools.pairwise(lines):
        assert line.startswith(" ") or before in ("", lines[0]) or not line


def test_equal_scan_calls_take_one_line() -> None:
    """However many they are."""
    output = call(Arguments(2**20, priority=0))
    assert "16,384 x scan_objects(128)" in output
    assert len(output.splitlines()) < 50


def test_many_different_scan_calls_are_shortened() -> None:
    """Of calls that ask for changing numbers, the first 6 and last 2 runs are shown."""
    given = Arguments(2**63, deferred=2**52, priority=4, batch=-(2**62) - 2)
    runs = explain(**given._asdict()).scans
    hidden = sum(run.times for run in runs[6:-2])
    lines = call(given).splitlines()
    at = lines.index(f"     ... {hidden:,} more calls ...")
    calls = [i for i, line in enumerate(lines) if re.search(r"scan_objects\(\d", line)]
    assert calls == [*range(at - 6, at), at + 1, at + 2]


def start(passed: PassResult, priority: int, nr: int) -> str:
    """Return the line that a kernel prints where this pass starts."""
    event = ShrinkSlabStart(
        scan_function="super_cache_scan+0x0/0x1a0",
        pointer=0xFFFF888003A4C000,
        nid=0,
        nr=nr,
        gfp_mask=0xCC0,
        freeable=passed.freeable or 0,
        delta=passed.delta or 0,
        total_scan=passed.total_scan or 0,
        priority=priority,
    )
    return f"  kswapd0-42  [001] .....  12.345678: mm_shrink_slab_start: {event}"


@pytest.mark.parametrize("count", [1000, 4096, 1, 2**62, 2**64 - 1])
@pytest.mark.parametrize("seeks", [0, 1, 2, 8])
@pytest.mark.parametrize("priority", [0, 3, 12])
def test_pasted_line(count: int, seeks: int, priority: int) -> None:
    """A start line says what the options say; seeks is one that gives its delta."""
    deferred = 500
    passed = run_pass(
        count, nr_deferred=deferred, seeks=seeks, priority=priority, max_calls=1000
    )
    line = start(passed, priority, deferred)
    done = CliRunner().invoke(cli, ["explain", "--json", line])
    assert done.exit_code == 0, done.output
    explained = json.loads(done.output)
    assert explained["count"] == count
    assert explained["deferred"] == deferred
    assert explained["priority"] == priority
    steps = {step["name"]: step["value"] for step in explained["steps"]}
    assert steps["delta"] == passed.delta
    words = CliRunner().invoke(cli, ["explain", "--json", "--", *line.split()])
    assert words.output == done.output, "a shell without quotes"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no start"], 1, "no mm_shrink_slab_start"),
        (["no start", "--count", "3"], 2, "either --count or a line"),
    ],
)
def test_line_is_none(arguments: list[str], code: int, message: str) -> None:
    """What is no start line, or more than that, is refused with the reason."""
    done = CliRunner().invoke(cli, ["explain", *arguments])
    assert done.exit_code == code
    assert message in done.output


def test_a_file_is_no_line(tmp_path: Path) -> None:
    """The error says which command reads files; the name can be pasted in a shell."""
    path = tmp_path / "a recording.txt"
    path.write_text("text\n")
    done = CliRunner().invoke(cli, ["explain", str(path)])
    assert done.exit_code == 1
    assert f"shrinker replay '{path}'" in done.output
    other = CliRunner().invoke(cli, ["explain", "x" * 10_000])
    assert "the line has no mm_shrink_slab_start" in other.output


@pytest.mark.parametrize(
    "option", ["--deferred", "--priority", "--seeks", "--pgs-scanned", "--lru-pgs"]
)
def test_a_line_with_an_option_that_it_gives(option: str) -> None:
    """What the line says is not asked for again, also where it is the default."""
    line = start(run_pass(1000, priority=3), 3, 0)
    done = CliRunner().invoke(cli, ["explain", line, option, "2"])
    assert done.exit_code == 2
    assert f"The line gives {option} already: leave it out." in done.output


def test_a_line_with_a_batch() -> None:
    """No line says the batch, and in 4.19.y delta depends on it."""
    passed = run_pass(9000, batch=1024, era="B-4.19")
    line = start(passed, 12, 0)
    done = CliRunner().invoke(cli, ["explain", "--json", "--batch", "1024", line])
    assert done.exit_code == 0, done.output
    explained = json.loads(done.output)
    assert (explained["era"], explained["batch"]) == ("B-4.19", 1024)
    assert explained["delta"] == passed.delta == 1024


def test_no_seeks_gives_the_delta() -> None:
    """A delta that the formula never gives is named, not explained."""
    passed = dataclasses.replace(run_pass(1000, priority=3), delta=999)
    line = start(passed, 3, 0)
    done = CliRunner().invoke(cli, ["explain", line])
    assert done.exit_code == 1
    assert "no seeks of any era gives delta 999" in done.output
    done = CliRunner().invoke(cli, ["explain", "--era", "B", line])
    assert "no seeks of era B gives delta 999 for 1,000 cache items" in done.output


PAGES = {"pgs_scanned": 32, "lru_pgs": 40}


@pytest.mark.parametrize(
    ("era", "settings"),
    [
        ("B", {"nr_deferred": 5000, "priority": 6}),
        ("A", {"nr_deferred": 5000, **PAGES}),
        ("A", {"nr_deferred": 5000, "seeks": 7, **PAGES}),
        ("A", {"nr_deferred": 5000, "seeks": 129, **PAGES}),
    ],
)
def test_pasted_line_of_an_older_kernel(era: str, settings: dict[str, Any]) -> None:
    """Its era is one that gives delta and total_scan; pages stand for the priority."""
    passed = run_pass(1000, era=era, **settings)
    line = start(passed, settings.get("priority", 0), settings["nr_deferred"])
    if "pgs_scanned" in settings:
        pages = "pgs_scanned 32 lru_pgs 40"
        line = line.replace(" cache items", f" {pages} cache items")
        line = line.removesuffix(" priority 0")
    explained = json.loads(CliRunner().invoke(cli, ["explain", "--json", line]).output)
    steps = {step["name"]: step["value"] for step in explained["steps"]}
    assert explained["era"] == era
    assert explained["seeks"] == settings.get("seeks", 2)
    assert steps["delta"] == passed.delta
    assert passed.total_scan in steps.values()


def test_an_era_is_shown_as_asked() -> None:
    """Also for a line of another one, where it gives the same delta."""
    passed = run_pass(1000, nr_deferred=5000, priority=6, era="B")
    line = start(passed, 6, 5000)
    for era in ("B", "C"):
        done = CliRunner().invoke(cli, ["explain", "--json", "--era", era, line])
        assert json.loads(done.output)["era"] == era
