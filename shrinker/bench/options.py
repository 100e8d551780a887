"""Options of every command that measures: ``shrinker bench`` and ``benchmarks/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shrinker._number import Number

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measuring"]

_OPTIONS = (
    click.option("--fast", is_flag=True, help="A short run, 10 to 20 seconds."),
    click.option(
        "--rounds", type=Number(2), help="At most so many of all lines, 2 or more."
    ),
    click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        metavar="FILE",
        help="Where the result goes, in pyperf's JSON; bench-results/<time>.json.  The"
        " directory must exist, but for bench-results.",
    ),
    click.option(
        "--plot",
        # Neither read nor written: its name gets other ends.
        type=click.Path(readable=False, path_type=Path),
        metavar="PATH",
        help="Where the plots go, as PATH.png and PATH.svg; beside the result.",
    ),
    click.option("--no-plot", is_flag=True, help="Draw nothing."),
    click.option(
        "--compare",
        "compare_with",
        type=click.Path(exists=True, dir_okay=False),
        metavar="OLD.json",
        help="Name the lines that are slower or faster than in an older result.",
    ),
)


def measuring(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, which are those of ``shrinker.bench.run.run``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
