"""Processes of the same interpreter that import the same package as we do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import shrinker

__all__ = ["command", "environment"]


def command(module: str, *args: str) -> list[str]:
    """Return the command that runs a module of the package.

    Nothing is imported from the current directory.
    """
    return [sys.executable, "-P", "-m", module, *args]


def environment() -> dict[str, str]:
    """Return our environment, led to the package, wherever we have it from."""
    paths = [str(Path(shrinker.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
