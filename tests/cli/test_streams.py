"""Output of the command line: any encoding, a full disk, a closed pipe, no stdout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import NAMES, invoke, made_up, no_measuring, usual
from cli_support import run
from replay_support import DROP_CACHES

from shrinker.cli.app import cli

ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF_8 = {"PYTHONIOENCODING": "utf-8"}
COMMANDS = [
    ["replay", DROP_CACHES],
    ["replay", "--json", DROP_CACHES],
    ["explain", "--count=MAX", "--priority=0"],
    ["explain", "--count=1000", "--json"],
    ["--help"],
    ["replay", "--help"],
    ["bench", "--help"],
    ["--version"],
]
each_command = pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda command: " ".join(map(str, command[:2]))
)


@pytest.mark.parametrize("environ", [ASCII, C_LOCALE], ids=["ascii", "C locale"])
@each_command
def test_ascii(command: list[object], environ: dict[str, str]) -> None:
    """The lines are those of UTF-8, with ASCII signs that are as wide."""
    done = run(*command, environ=environ, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    in_utf_8 = run(*command, environ=UTF_8, text=False).stdout.decode()
    lines = done.stdout.decode("ascii").splitlines()
    for line, other in zip(lines, in_utf_8.splitlines(), strict=True):
        if "events" not in line:  # The rate differs from run to run.
            assert line == other.replace("\N{BOX DRAWINGS LIGHT HORIZONTAL}", "-")


@pytest.mark.parametrize("environ", [ASCII, C_LOCALE, UTF_8])
def test_file_names_that_are_not_text(environ: dict[str, str], tmp_path: Path) -> None:
    """A file name may hold any bytes; those that are not characters are escaped."""
    name = os.fsdecode(b"caf\xc3\xa9-\xff.txt.xz")
    shutil.copy(DROP_CACHES, tmp_path / name)
    for path, code in ((tmp_path / name, 0), (tmp_path / f"no-{name}", 1)):
        done = run("replay", path, environ=environ, text=False)
        assert (done.returncode, done.stderr) == (code, b"")
        assert b"\\udcff.txt.xz" in done.stdout


def test_error_handler_of_the_user_is_kept() -> None:
    """PYTHONIOENCODING=ascii:replace writes question marks."""
    environ = {"PYTHONIOENCODING": "ascii:replace"}
    done = run("replay", DROP_CACHES, environ=environ)
    assert done.returncode == 0
    assert "????" in done.stdout
    assert "----" not in done.stdout


@each_command
def test_full_disk(command: list[object]) -> None:
    """One line and exit code 1, even where the whole output fits the buffer."""
    with Path("/dev/full").open("w") as full:
        done = run(*command, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "Error: writing the output: No space left on device\n"


@each_command
def test_closed_pipe(command: list[object]) -> None:
    """As in ``shrinker replay ... | head -1``: nothing on standard error."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = run(*command, stdout=pipe)
    assert (done.returncode, done.stderr) == (1, "")


def test_closed_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without standard output there is one line on standard error."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["explain", "--count", "1"])
    assert ended.value.code == 1
    assert "standard output is closed" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["replay", "report"])
def test_closed_standard_input(command: str) -> None:
    """``shrinker replay - <&-`` says that, and has no traceback."""
    if command == "report":
        pytest.importorskip("numpy", reason="the report needs numpy")
    line = f"{sys.executable} -m shrinker {command} - <&-"
    done = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, text=True, check=False
    )
    said = "-: the standard input is closed\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, said, "")


@pytest.mark.parametrize("name", NAMES)
def test_bench_in_ascii(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, legends, comparisons of every benchmark; ~ stands for the deviation."""
    no_measuring(monkeypatch, made_up(name))
    old = tmp_path / "old.json"
    made_up(name, lambda line, _: 3 * usual(line)).dump(str(old))
    new = str(tmp_path / "new.json")
    args = ["--no-plot", "-o", new, "--compare", str(old)]
    done = invoke(name, *args, charset="ascii")
    assert done.exit_code == 0, done.output
    assert " ~" in done.output
    assert "---" in done.output
    assert "\\" not in done.output
