"""The command line as a user runs it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console


def run(
    *arguments: object, environ: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run ``shrinker``; its output is text, by default captured.

    ``environ`` is added to the environment without its PYTHON variables, and
    ``options`` to those of ``subprocess.run``.
    """
    if environ is not None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        options["env"] = clean | environ
    command = [sys.executable, "-m", "shrinker", *map(str, arguments)]
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    done = subprocess.run(command, check=False, **(captured | options))
    assert "Traceback" not in str(done.stderr)
    return done


def console(text: TextIO, width: int | None) -> Console:
    """Return what prints to a text of that many columns; None is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - tests without rich are skipped

    return Console(
        file=text,
        width=width or 80,
        force_terminal=width is not None,
        color_system=None,
        highlight=False,
    )
