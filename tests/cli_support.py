"""The command line as a user runs it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any


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
