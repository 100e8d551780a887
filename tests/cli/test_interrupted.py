"""Ctrl-C: a command ends with 130 and prints nothing, from its first import on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from typing import TYPE_CHECKING

from replay_support import DROP_CACHES

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "import sys; from shrinker.__main__ import main; sys.exit(main())"
HOOK = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            if "--jobs" in sys.orig_argv:
                return  # In a process that reads, and in the first one of these.
            sys.meta_path.remove(self)
            try:
                os.mkdir("interrupted")
            except FileExistsError:
                return
            os.killpg(0, signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


def interrupted(
    start: list[str], at: str, folder: Path, *, ignored: bool = False
) -> subprocess.CompletedProcess[str]:
    """Start a program, and press Ctrl-C at the import of a module."""
    (folder / "sitecustomize.py").write_text(HOOK)
    paths = [str(folder), *sys.path]
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "INTERRUPT_AT": at,
    }
    handler = signal.SIG_IGN if ignored else signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)
    try:
        return subprocess.run(
            [sys.executable, *start],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("start", [["-m", "shrinker"], ["-c", SCRIPT], ["script"]])
@pytest.mark.parametrize(
    "at",
    [
        "shrinker.cache",
        "_cffi_backend",
        "shrinker.pressure",
        "shrinker.__main__",
        "click",
        "shrinker.cli.app",
        "shrinker.cli.streams",
        "shrinker.cli.replay",
        "rich.progress",
    ],
)
def test_while_it_starts(start: list[str], at: str, tmp_path: Path) -> None:
    """At any import: of the package, of click, of what the command needs."""
    if at == "shrinker.__main__" and start != ["-m", "shrinker"]:
        at = "shrinker._ffi"  # A script imports the package before its handler.
    (tmp_path / "script").write_text(SCRIPT.replace("; ", "\n"))
    done = interrupted([*start, "replay", str(DROP_CACHES)], at, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def two_files(directory: Path) -> list[str]:
    """Return the names of a recording and of its copy: given twice it is warned of."""
    copied = shutil.copy(DROP_CACHES, directory / "copy.txt.xz")
    return [str(DROP_CACHES), str(copied)]


@pytest.mark.parametrize("at", ["shrinker.cache", "numpy", "shrinker.report.columns"])
def test_while_processes_start(at: str, tmp_path: Path) -> None:
    """``report --jobs``: a terminal sends it to them, too, and none says a word."""
    pytest.importorskip("numpy", reason="the report needs numpy")
    start = ["-m", "shrinker", "report", "--jobs", "2", *two_files(tmp_path)]
    done = interrupted(start, at, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_in_the_background(tmp_path: Path) -> None:
    """Where Ctrl-C is ignored, as by scripts, it stays so."""
    start = ["-m", "shrinker", "replay", str(DROP_CACHES)]
    done = interrupted(start, "shrinker.cache", tmp_path, ignored=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_processes_in_the_background(tmp_path: Path) -> None:
    """And in the processes of ``report --jobs``."""
    pytest.importorskip("numpy", reason="the report needs numpy")
    start = ["-m", "shrinker", "report", "--jobs", "2", *two_files(tmp_path)]
    done = interrupted(start, "shrinker.report.columns", tmp_path, ignored=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "start", [["-c", "import shrinker"], ["-m", "program"], ["shrinker"]]
)
def test_a_library_raises(start: list[str], tmp_path: Path) -> None:
    """A program that imports the package handles Ctrl-C as it wants."""
    for name in ("program.py", "shrinker"):
        (tmp_path / name).write_text("import shrinker\n")
    done = interrupted(start, "shrinker.cache", tmp_path)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr
