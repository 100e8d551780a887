"""The commands as such: help, version, missing packages, cheap imports."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from cli_support import run
from click.testing import CliRunner
from replay_support import DROP_CACHES

from shrinker.__main__ import main
from shrinker.cli.app import cli

if TYPE_CHECKING:
    from pathlib import Path


def test_help_names_the_commands() -> None:
    """-h and --help print what there is to do."""
    for option in ("-h", "--help"):
        result = run(option)
        assert result.returncode == 0
        for command in ("bench", "explain", "replay", "workers"):
            assert f"\n  {command} " in result.stdout
    assert "FILE" in run("replay", "-h").stdout


@pytest.mark.parametrize("command", ["bench", "explain", "replay", "workers"])
def test_help_fits_a_terminal(command: str) -> None:
    """No line is longer than 80 columns, and the exit codes stand at the end."""
    lines = run(command, "--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "  Exit codes:" in lines


def test_version() -> None:
    """--version prints one line."""
    assert run("--version").stdout.startswith("shrinker")


def test_missing_click_is_named(tmp_path: Path) -> None:
    """Without click, one line says what to install."""
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        " from shrinker.__main__ import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == (
        "shrinker: the command line needs click: pip install 'shrinker[cli]'\n"
    )


@pytest.mark.parametrize(
    "arguments", [["replay", str(DROP_CACHES)], ["explain", "--count=1"]]
)
def test_missing_rich_is_named(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that prints with rich says what to install."""
    for module in ("_terminal", "cli.explain", "cli.replay"):
        monkeypatch.delitem(sys.modules, f"shrinker.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 1
    assert done.output == "Error: this needs rich: pip install 'shrinker[cli]'\n"


def test_other_missing_modules_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module of no extra is raised as it is."""
    monkeypatch.setitem(sys.modules, "shrinker.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"shrinker\.cli"):
        main()


def test_help_imports_no_heavy_package(tmp_path: Path) -> None:
    """``--help`` imports neither rich nor pyperf nor matplotlib."""
    code = (
        "import sys, shrinker.cli.app;"
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
