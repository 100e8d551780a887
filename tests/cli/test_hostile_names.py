"""Names of files, functions and tasks that would spoil what a terminal shows."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from cli_support import console, run
from report_support import Writer

from shrinker._terminal import NameTable, Terminal
from shrinker.cli.files import as_word
from shrinker.cli.record import _print_recorded
from shrinker.cli.replay import progress
from shrinker.cli.top import _line, _table, _View
from shrinker.kernel.live import LiveTable
from shrinker.kernel.objects import CgroupPaths
from shrinker.kernel.recorder import Recorded
from shrinker.pressure.shared.overview import Group, WorkerRow, describe

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = os.fsdecode(b"caf\xc3\xa9-\xff\x1b[31m\r-[red]")
SHOWN = "caf\xe9-\\udcff\\x1b[31m\\r-[red]"
UTF_8 = {"PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return a recording whose file, function and task have hostile names."""
    writer = Writer()
    for pointer in (1, 2):
        writer.add(
            "f\u202e_scan", pointer, scanned=10, freed=9, comm="a\x1b[2J", priority=1
        )
    path = tmp_path / f"new\nline-{HOSTILE}.txt"
    return writer.write(tmp_path, path.name)


def shown(*arguments: object, code: int = 0) -> str:
    """Return what a command prints on both streams; fail for what spoils a terminal."""
    done = run(*arguments, environ=UTF_8, encoding="utf-8", errors="surrogateescape")
    assert done.returncode == code, done
    text: str = done.stdout + done.stderr
    assert text.replace("\n", "").isprintable()
    return text


COMMANDS = [
    ["replay"],
    ["report"],
    ["report", "--by=shrinker", "--by=caller"],
    ["report", "--what-if", "seeks=0"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_that_print(command: list[str], recording: Path) -> None:
    """Names are escaped; a line break begins no line of its own."""
    if command[0] == "report":
        pytest.importorskip("numpy", reason="the report needs numpy")
    text = shown(*command, recording)
    assert "f\\u202e_scan" in text
    if command[1:2] != ["--what-if"]:
        assert f"new\\nline-{SHOWN}.txt" in text
    assert not any(line.startswith("line-") for line in text.splitlines())


@pytest.mark.parametrize("command", ["replay", "report"])
def test_files_that_cannot_be_read(command: str, tmp_path: Path) -> None:
    """Of a missing one the name is escaped, in all forms of output."""
    if command == "report":
        pytest.importorskip("numpy", reason="the report needs numpy")
    name = tmp_path / f"none\n{HOSTILE}"
    said = f"none\\n{SHOWN}: No such file"
    for more in [], ["--json"], ["--csv"]:
        if command == "report":
            assert said in shown(command, *more, name, code=1)
    if command == "replay":
        assert said in shown(command, name, code=1)
    again = shown(command, name, name, code=1)
    assert "given again" in again


def test_data_has_the_names(recording: Path) -> None:
    """JSON has a name as it is; what UTF-8 cannot hold is escaped in CSV and HTML."""
    pytest.importorskip("numpy", reason="the report needs numpy")
    pytest.importorskip("jinja2", reason="the HTML is made with jinja2")
    name = str(recording)
    (file,) = json.loads(run("replay", "--json", recording).stdout)["files"]
    assert file["file"] == name
    report = json.loads(run("report", "--json", recording).stdout)
    assert report["recordings"][0]["file"] == name
    rows = run("report", "--csv", recording, environ=UTF_8, text=False).stdout
    first = next(csv.DictReader(io.StringIO(rows.decode(), newline="")))
    assert first["recording"] == name.replace("\udcff", "\\udcff")
    page, events = recording.parent / "page.html", recording.parent / "events.json"
    done = run("report", "-o", page, "--trace-events", events, recording)
    assert (done.returncode, done.stderr) == (0, "")
    html = page.read_text(encoding="utf-8")
    assert SHOWN in html
    assert "\x1b" not in html
    text = events.read_text(encoding="utf-8")
    assert json.loads(text)["traceEvents"][0]["args"]["name"] == name


def test_no_directory_of_the_output(recording: Path) -> None:
    """Errors of what is to be written name it escaped."""
    pytest.importorskip("numpy", reason="the report needs numpy")
    nowhere = recording.parent / HOSTILE / "page.html"
    assert f"{SHOWN}: no such dir" in shown("report", "-o", nowhere, recording, code=1)


@pytest.mark.parametrize("command", ["workers", "top", "bench"])
def test_a_file_too_many(command: str) -> None:
    """What click says of the command line quotes it."""
    assert f"argument ({SHOWN})" in shown(command, HOSTILE, code=2)


def test_an_older_result_that_is_none(recording: Path) -> None:
    """The name is on one line there, too."""
    pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
    text = shown("bench", "--no-plot", "--compare", recording, code=1)
    assert f"new\\nline-{SHOWN}.txt: no result" in text


def test_a_file_that_is_no_line(recording: Path) -> None:
    """What ``explain`` suggests can be pasted into a shell."""
    text = shown("explain", recording, code=1)
    _, _, suggested = text.partition(": shrinker replay ")
    word = suggested.partition("  checks each pass")[0]
    listed = subprocess.run(
        ["/bin/bash", "-c", f"ls {word} && cat {word}"], capture_output=True, check=True
    )
    assert listed.stdout.startswith(os.fsencode(recording))


@pytest.mark.parametrize(
    "name", ["plain", "two words", "it's", "it's\n\\\t$HOME", HOSTILE, "\u200bz\n1"]
)
def test_words_for_a_shell(name: str) -> None:
    """A shell reads the name; nothing in it is obeyed by a terminal."""
    word = as_word(name)
    assert word.isprintable()
    done = subprocess.run(
        ["/bin/bash", "-c", f"printf %s {word}"], capture_output=True, check=True
    )
    assert done.stdout == name.encode(errors="surrogateescape")


def test_what_record_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The name in its sentence, and in a command to paste."""
    _print_recorded(Recorded(file=f"a\n{HOSTILE}", starts=1, passes=1))
    said = capsys.readouterr().err
    assert said.startswith(f"a\\n{SHOWN}: 1 passes")
    assert "shrinker replay $'a\\x0acaf" in said
    assert said.replace("\n", "").isprintable()


def test_top() -> None:
    """Rows and the lines around them."""
    table = LiveTable(0)
    writer = Writer()
    writer.add("f\u202e_scan", 1, comm="a\x1b[2J")
    table.feed("".join(f"{line}\n" for line in writer.lines).encode())
    window = table.take(10**9)[0].window("shrinker")
    view = _View("shrinker", "time", names_memcg=False)
    made = _table(list(window.rows), view, CgroupPaths(), wide=True)
    assert [row[0] for row in made.rows] == ["f\\u202e_scan"]
    assert _line(f"held now: {HOSTILE}").plain == f"held now: {SHOWN}"


def test_workers() -> None:
    """A cgroup may have any name."""
    row: dict[str, Any] = dict.fromkeys(WorkerRow.__dataclass_fields__, 1)
    groups = [Group(f"cgroup v2 /a\n{HOSTILE}", "", (WorkerRow(**row),))]
    assert describe(groups).splitlines()[0] == f"workers under cgroup v2 /a\\n{SHOWN}"


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar stays on one line."""
    drawn = io.StringIO()
    drawn.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("TERM", "xterm")
    file = "a\n\x1b[2J[red].txt"
    with progress((file,)) as advance:
        assert advance is not None
        advance(file, 10)
    assert r"a\n\x1b[2J[red].txt" in drawn.getvalue()


@pytest.mark.parametrize("width", [None, 20, 200])
def test_terminal(width: int | None) -> None:
    """Tables, titles, rows as paragraphs, prose and lines are all shown escaped."""
    text = io.StringIO()
    terminal = Terminal(console(text, width))
    hostile = "a\nb\x1b[2J\udcff"
    table = NameTable(hostile, "name")
    table.add_column("cell")
    table.add_row(hostile, hostile)
    terminal.print_table(table)
    terminal.print_paragraph(hostile)
    terminal.print_line(hostile)
    terminal.print(hostile.replace("\n", ""))
    assert text.getvalue().replace("\n", "").isprintable()
    assert text.getvalue().count(r"a\nb") >= (4 if width != 20 else 3)
