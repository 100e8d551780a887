"""Files of a command line: what is read is not written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the command line needs click")

import click
from click.testing import CliRunner, Result

from shrinker.cli.app import cli
from shrinker.cli.files import FileCommand, FileName

TEXT = "not touched\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file with a symbolic and a hard link, and another one."""
    monkeypatch.chdir(tmp_path)
    for name in ("file", "other"):
        Path(name).write_text(TEXT)
    Path("symbolic").symlink_to("file")
    Path("hard").hardlink_to("file")


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert Path("file").read_text() == TEXT
    return result


@pytest.mark.parametrize("name", ["file", "./file", "symbolic", "hard"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "-o", "{}", "file"],
        ["report", "--trace-events", "{}", "other", "file"],
        ["report", "--parquet", "{}", "file", "other"],
        ["report", "-o", "{}", "other", "--", "file"],
        ["report", "--trace-events", "{}", "file", "--", "other"],
        ["record", "-o", "{}", "--", "cat", "file"],
        ["bench", "-o", "{}", "--compare", "file"],
        ["bench", "-o", "{}", "--recording", "file"],
    ],
    ids=" ".join,
)
def test_an_input_is_not_written(arguments: list[str], name: str) -> None:
    """Under any of its names: exit code 2, one line, and nothing is written."""
    before = sorted(os.listdir())  # noqa: PTH208 - names
    result = invoke(*(text.format(name) for text in arguments))
    assert result.exit_code == 2
    shown = os.path.normpath(name) if arguments[0] == "bench" else name
    last = result.stderr.splitlines()[-1]
    assert last.endswith(
        f"{shown!r} is also an input ('file'), and would be overwritten."
    )
    assert sorted(os.listdir()) == before  # noqa: PTH208 - names


def test_nor_is_the_standard_input() -> None:
    """``report -o FILE - < FILE``."""
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, saved := os.dup(0))
        undo.callback(os.dup2, saved, 0)
        with Path("file").open() as file:
            os.dup2(file.fileno(), 0)
        result = invoke("report", "-o", "hard", "-")
    assert result.exit_code == 2
    assert "'hard' is also an input (the standard input)" in result.stderr


@pytest.mark.parametrize("command", ["report", "record"])
def test_an_output_has_a_name(command: str) -> None:
    """``-o "$UNSET"`` is a mistake."""
    result = invoke(command, "-o", "", "file")
    assert result.exit_code == 2
    assert "The name of the file is empty." in result.stderr


@pytest.mark.parametrize("name", ["new", "./new", "link"])
def test_two_outputs_are_two_files(name: str) -> None:
    """Where the file does not exist yet, too."""
    Path("link").symlink_to("new")
    result = invoke("report", "--trace-events", "new", "-o", name, "file")
    assert result.exit_code == 2
    assert "is written twice" in result.stderr
    assert not Path("new").exists()


@click.command(cls=FileCommand)
@click.option("-o", "output", type=FileName(readable=False, writable=True))
@click.argument("words", nargs=-1, type=FileName())
def copy(output: str, words: tuple[str, ...]) -> None:
    """Write nothing."""


@pytest.mark.parametrize("output", ["-", "new"])
def test_what_is_no_file_is_not_an_input(output: str) -> None:
    """``record -o - -- cat -`` and ``record -o new -- make new``."""
    result = CliRunner().invoke(copy, ["-o", output, "cat", output])
    assert (result.exit_code, result.output) == (0, "")


def test_devices_may_be_both() -> None:
    """/dev/null loses nothing."""
    result = invoke("report", "-o", "/dev/null", "--trace-events", "/dev/null", "-")
    assert result.exit_code == 1


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_options_that_name_files_say_whether_they_write(name: str) -> None:
    """An option for a file is a path; one that writes is writable."""
    for param in cli.commands[name].params:
        if isinstance(param, click.Option) and "FILE" in (param.metavar or ""):
            assert isinstance(param.type, click.Path)
            help_text = (param.help or "").lower()
            written = any(word in help_text for word in ("write", "goes", "compressed"))
            assert param.type.writable == written
    for param in cli.commands[name].params:
        if isinstance(param, click.Argument) and "FILE" in (param.metavar or ""):
            assert isinstance(param.type, FileName)
            assert not param.type.writable


@pytest.mark.parametrize("command", ["replay", "report"])
@pytest.mark.parametrize(
    ("names", "warnings"),
    [
        (["file", "other", "missing"], []),
        (["file", "file"], ["'file': given again, so its passes are counted again"]),
        (["missing", "missing"], ["'missing': given again, so its passes are counted"]),
        (
            ["file", "./file", "symbolic", "hard"],
            [
                f"{name!r}: the same file as 'file', so its passes are counted again"
                for name in ("./file", "symbolic", "hard")
            ],
        ),
    ],
)
def test_a_file_given_twice(
    command: str, names: list[str], warnings: list[str]
) -> None:
    """A warning names it, under any of its names; the exit code stays as it is."""
    if command == "report":
        pytest.importorskip("numpy", reason="the report needs numpy")
    done = invoke(command, *names)
    assert done.exit_code == invoke(command, names[0]).exit_code
    lines = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(lines) == len(warnings)
    for line, text in zip(lines, warnings, strict=True):
        assert line.startswith(f"warning: {text}")


def test_a_file_compared_with_itself() -> None:
    """That it is on both sides of ``--`` is said."""
    pytest.importorskip("numpy", reason="the report needs numpy")
    done = invoke("report", "file", "other", "--", "hard")
    expected = "warning: 'hard': the same file as 'file', so it is compared with itself"
    assert expected in done.stderr.splitlines()
