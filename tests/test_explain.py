"""``shrinker explain``: its numbers are the core's, and no input is a traceback."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from click.testing import CliRunner

from shrinker import StallError, run_pass
from shrinker.cli import cli
from shrinker.explain import MAX_CALLS, explain

if TYPE_CHECKING:
    from pathlib import Path

MAX = 2**63 - 1
EMPTY = 2**64 - 2

INPUTS = [
    (1000, 0, 0, 2, 0),
    (4095, 0, 12, 2, 0),
    (4095, 8190, 12, 2, 0),
    (262144, 0, 12, 2, 0),
    (101, 0, 1, 2, 0),
    (1000, 0, 12, 0, 0),
    (1000, -2, 0, 2, 0),
    (100, 10**6, 0, 2, 0),
    (100, 0, 0, 2, 1024),
    (10**6, 0, 0, -1, 0),
    (123457, 99, 3, 7, 1000),
    (0, 77, 12, 2, 0),
    (EMPTY, 77, 12, 2, 0),
    (MAX, 0, 0, 2, 0),
    (2**62, 10**15, 0, 1, 0),
    (2**61, 2**62, 0, 2, 2**62),
    (2**63 + 2**61, 0, 0, 1, 0),
    (2**64 - 1, 0, 12, 2, 0),
    (2**32, 0, 0, 2, 2**20),
]


def call(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["explain", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def options(
    count: int, deferred: int, priority: int, seeks: int, batch: int
) -> list[str]:
    return [
        f"--count={count}",
        f"--deferred={deferred}",
        f"--priority={priority}",
        f"--seeks={seeks}",
        f"--batch={batch}",
    ]


@pytest.mark.parametrize("given", INPUTS)
def test_the_numbers_are_those_of_run_pass(given: tuple[int, ...]) -> None:
    """Every number of the JSON, and every step's result, is a field of the pass."""
    count, deferred, priority, seeks, batch = given
    expected = run_pass(
        count, nr_deferred=deferred, priority=priority, seeks=seeks, batch=batch
    )
    code, output = call(*options(*given), "--json")
    said = json.loads(output)
    assert code == 0
    for name in (
        "returned", "nr_deferred", "delta", "total_scan", "total_scan_left",
        "nr_before", "nr_after", "freeable", "retval",
    ):  # fmt: skip
        assert said[name] == getattr(expected, name), name
    scans = [run["nr_to_scan"] for run in said["scans"] for _ in range(run["times"])]
    assert scans == list(expected.scans)
    assert said["scan_calls"] == len(expected.scans)
    assert said["ends"] is True
    fields = {"nr": "nr_before"}
    for step in said["steps"]:
        name = fields.get(step["name"], step["name"])
        assert step["value"] == getattr(expected, name)
    assert len(said["steps"]) == (0 if expected.delta is None else 7)


@pytest.mark.parametrize("given", INPUTS)
def test_the_text_says_each_result(given: tuple[int, ...]) -> None:
    """What a pass computed is in its text, and no line is longer than a terminal."""
    explanation = explain(*given[:1], **dict(zip(
        ("deferred", "priority", "seeks", "batch"), given[1:], strict=True
    )))  # fmt: skip
    code, output = call(*options(*given))
    assert code == 0
    for step in explanation.steps:
        assert f"{step.value:,}" in output, step.title
    assert f"{explanation.result.nr_deferred:,}" in output
    assert max(map(len, output.splitlines())) <= 80


def test_the_formula_is_filled_in() -> None:
    """The example of the documentation, line by line."""
    _, output = call("--count", 1000, "--deferred", 300, "--priority", 1)
    for line in (
        "delta = (1,000 >> 1) * 4 / 2 = 1,000",
        "total_scan = min((300 >> 1) + 1,000, 2 * 1,000) = 1,150",
        "8 x scan_objects(128)",
        "nr_deferred = min(max(300 + 1,000 - 1,024, 0), 2 * 1,000) = 276",
        "returned = 1,024",
    ):
        assert line in output


def remark_of(given: tuple[int, ...], title: str) -> str:
    count, deferred, priority, seeks, batch = given
    explanation = explain(
        count, deferred=deferred, priority=priority, seeks=seeks, batch=batch
    )
    (step,) = [step for step in explanation.steps if step.title.startswith(title)]
    return step.remark


@pytest.mark.parametrize(
    ("given", "remark"),
    [
        ((1000, -(2**63), 0, 2, 0), "the counter was negative, and is reset to 0"),
        ((1000, -3000, 12, 2, 0), "the counter was negative, and is reset to 0"),
        # 1,500 below 0 by the halved counter, 2,000 scanned for 1,000 due.
        ((4000, -6000, 2, 2, 1), "more was scanned than was due"),
        ((1000, 0, 0, 2, 0), ""),
    ],
)
def test_debt_is_forgiven_only_where_there_is_one(
    given: tuple[int, ...], remark: str
) -> None:
    """Nothing scanned is not too much scanned."""
    said = remark_of(given, "put off")
    assert said.startswith(remark)
    assert bool(said) == bool(remark)


def test_more_freed_than_there_is_is_said() -> None:
    """The callback that is assumed frees what it is asked for; a cache cannot."""
    said = remark_of((1000, 0, 0, 2, 0), "the answer")
    assert "15 scan calls" in said
    assert "more than the 1,000 there are" in said
    assert "a real cache would be empty after 8 scan calls" in said
    assert "real cache" not in remark_of((1000, 0, 1, 2, 0), "the answer")


@pytest.mark.parametrize("given", INPUTS)
def test_lines_are_broken_with_care(given: tuple[int, ...]) -> None:
    """Hanging indents, no product torn apart, no blanks at the end of a line."""
    _, output = call(*options(*given))
    lines = output.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line for line in lines if re.search(r"(\*|/|>>|\+|-|=)$", line)] == []
    if not explain(given[0]).steps:
        return
    at = lines.index("     while total_scan >= batch or total_scan >= freeable:")
    assert lines[at + 1] == "         scan_objects(min(batch, total_scan))"
    # Only what opens a paragraph stands at the margin.
    for before, line in itertools.pairwise(lines):
        assert line.startswith(" ") or before in ("", lines[0]) or not line


def test_many_different_scan_calls_are_summarised() -> None:
    """Calls of one size take a line, however many they are."""
    _, output = call("--count", 2**20, "--priority", 0)
    assert "16,384 x scan_objects(128)" in output
    assert len(output.splitlines()) < 50


def warnings(*args: object) -> str:
    code, output = call(*args, "--json")
    assert code == 0
    return "\n".join(json.loads(output)["warnings"])


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--count", "2**62"), "cannot be doubled"),
        (("--count", "MAX"), "CountObjects.MAX among them"),
        (("--count", "MAX"), "left at -2: negative"),
        (("--count", "2**63"), "turns into a negative number"),
        (("--count", 2**64 - 1), "SHRINK_STOP"),
        (("--count", "2**61", "--deferred", "2**62", "--priority", 0), "wraps to"),
        (("--count", 1000, "--deferred", -2), "is negative"),
        (("--count", 1000, "--seeks", -1), "4,294,967,295"),
        (("--count", "2**32", "--priority", 0, "--batch", "2**20"), "32 bits"),
        (("--count", 1000, "--batch", -1, "--priority", 0), "negative batch"),
    ],
)
def test_what_wraps_is_said(args: tuple[object, ...], text: str) -> None:
    """Each case of "The edges of 64 bits" that can be typed in has its warning."""
    assert text in warnings(*args)


@pytest.mark.parametrize(
    "args",
    [
        ("--count", 1000),
        ("--count", 2**61 - 1, "--deferred", 2**62 - 2, "--priority", 0,
         "--batch", 2**62),
        ("--count", 2**30, "--batch", 2**20, "--priority", 1),
    ],
)  # fmt: skip
def test_no_warning_where_nothing_wraps(args: tuple[object, ...]) -> None:
    """Exact arithmetic is not warned of, up to the last count that is exact."""
    assert not [line for line in warnings(*args).splitlines() if "32 bits" not in line]


@pytest.mark.parametrize(
    "given",
    [
        (2**63, 0, 12, 2, 0),
        (2**63 + 32, 0, 0, 2, 0),
        (2**63 + 10**9, 0, 0, 2, 0),
        (1000, 0, 0, 2, -128),
    ],
)
def test_a_pass_that_never_ends_is_explained(given: tuple[int, ...]) -> None:
    """No traceback, no endless loop: the beginning, and why it goes on."""
    count, deferred, priority, seeks, batch = given
    with pytest.raises(StallError) as raised:
        run_pass(
            count,
            nr_deferred=deferred,
            priority=priority,
            seeks=seeks,
            batch=batch,
            max_calls=MAX_CALLS,
        )
    code, output = call(*options(*given), "--json")
    said = json.loads(output)
    assert code == 0
    assert said["ends"] is False
    assert said["total_scan_left"] == raised.value.partial.total_scan_left
    assert "never ends" in said["warnings"][-1]
    assert "never ends" in call(*options(*given))[1]


def test_a_pass_that_ends_late_is_no_endless_one() -> None:
    """A big cache takes many calls; their number is said, not that it hangs."""
    code, output = call("--count", 10**9, "--priority", 0)
    assert code == 0
    assert "15,525,000 more calls" in output
    assert "never ends" not in output


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--count", "many"],
        ["--count", "-1"],
        ["--count", "2**64"],
        ["--count", "99999**999"],
        ["--count", "1.5"],
        ["--count", "2**"],
        ["--count", "1**1234"],
        ["--count", ""],
        ["--count", "1000", "--priority", "64"],
        ["--count", "1000", "--priority", "-1"],
        ["--count", "1000", "--seeks", "2**31"],
        ["--count", "1000", "--batch", "2**63"],
        ["--count", "1000", "--deferred", "-2**63-1"],
        ["--count", "1000", "extra"],
        ["--what"],
    ],
)
def test_bad_input_is_a_usage_error(args: list[str]) -> None:
    """Exit code 2 and a message, never a traceback."""
    code, output = call(*args)
    assert code == 2
    assert "Usage" in output


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4096", 4096),
        ("0x1000", 4096),
        ("4,096", 4096),
        ("4_096", 4096),
        ("2**12", 4096),
        ("2^62-1", 2**62 - 1),
        ("0010", 10),
        ("max", MAX),
        ("EMPTY", EMPTY),
    ],
)
def test_numbers_in_all_spellings(text: str, value: int) -> None:
    """Large numbers may be written as people write them."""
    _, output = call("--count", text, "--json")
    assert json.loads(output)["count"] == value


def test_the_command_line_loads_what_it_needs_when_it_needs_it(tmp_path: Path) -> None:
    """``--help`` imports neither rich nor pyperf nor matplotlib."""
    code = (
        "import sys, shrinker.cli;"
        "print([m for m in ('rich', 'pyperf', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
