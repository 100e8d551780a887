"""A replay on the terminal: a progress bar, tables, or JSON."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from shrinker.trace.results import MAX_SEEKS
from shrinker.trace.sources import STDIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.trace.results import FileReplay, Interval, Replay

__all__ = ["print_json", "print_replay", "progress"]

_OFFSET = re.compile(r"\+0x[0-9a-f]+(/0x[0-9a-f]+)?")
_FILE_WIDTH = 120
_COUNTS = (
    "passes",
    "exact",
    "inexact",
    "overlap",
    "adopted",
    "alone",
    "bad",
    "lost",
)
# The JSON has more.
_MAX_SHOWN = 20


@contextlib.contextmanager
def progress(files: tuple[str, ...]) -> Iterator[Callable[[str, int], None] | None]:
    """Yield what ``replay_files`` tells its progress; None off a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    sizes = {file: _size(file) for file in files}
    columns = TextColumn("{task.description}"), BarColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        total = None if None in sizes.values() else sum(s or 0 for s in sizes.values())
        task = bar.add_task("", total=total)
        done: dict[str, int] = {}

        def advance(file: str, position: int) -> None:
            done[file] = position
            bar.update(task, completed=sum(done.values()), description=escape(file))

        yield advance


def print_json(result: Replay) -> None:
    """Print one JSON object on standard output."""
    json.dump(result.to_json(), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_replay(result: Replay) -> None:
    """Print tables of the files, the shrinkers and the problems."""
    # A file or a pipe has no width; names should stay whole in it.
    width, height = (None, None) if sys.stdout.isatty() else (_FILE_WIDTH, 100)
    console = Console(highlight=False, width=width, height=height)
    total = result.total
    if total.events:
        console.print(_files(result))
        for file in result.files:
            if file.shrinkers:
                console.print(_shrinkers(file))
    _print_problems(console, total)
    console.print(_summary(total))


def _size(file: str) -> int | None:
    if file == STDIN:
        return None
    try:
        return Path(file).stat().st_size
    except (OSError, ValueError):
        return 0


def _files(result: Replay) -> Table:
    table = Table(title="Recordings", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("file", overflow="fold")
    for name in _COUNTS:
        table.add_column(name, justify="right", no_wrap=True)
    for file in result.files:
        table.add_row(
            escape(Path(file.file).name),
            f"{file.passes:,}",
            f"{file.exact:,}",
            f"{file.inexact:,}",
            f"{file.overlaps:,}",
            f"{file.adopted:,}",
            f"{file.orphan_starts + file.orphan_ends:,}",
            f"{file.malformed_lines:,}",
            f"{file.lost_events:,}",
            style="red" if file.error or file.inexact else None,
        )
    return table


def _shrinkers(file: FileReplay) -> Table:
    title = f"Shrinkers of {escape(file.file)}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("scan function", overflow="fold")
    table.add_column("pointer", no_wrap=True)
    table.add_column("passes", justify="right")
    table.add_column("exact", justify="right")
    table.add_column("seeks")
    table.add_column("batch")
    table.add_column("counters")
    for shrinker in file.shrinkers:
        counters = {None: "", True: "by node", False: "one set"}[shrinker.numa_aware]
        table.add_row(
            # The offset is always 0 and the size says nothing; a module's name does.
            escape(_OFFSET.sub("", shrinker.scan_function)),
            f"{shrinker.pointer:016x}",
            f"{shrinker.passes:,}",
            f"{shrinker.exact:,}",
            _interval(shrinker.seeks.interval, MAX_SEEKS),
            _interval(shrinker.batch),
            counters,
        )
    return table


def _interval(interval: Interval, most: int | None = None) -> str:
    low, high = interval
    if low is None or high is None:
        return "any"
    if low == high:
        return str(low)
    return f"{low}-" if high == most else f"{low}-{high:,}"


def _print_problems(console: Console, total: FileReplay) -> None:
    for reason, count in total.inexact_reasons.items():
        console.print(f"inexact: {count:,} x {reason}")
    for problem in total.problems[:_MAX_SHOWN]:
        where = (
            problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        )
        console.print(
            f"[red]{escape(where)}[/]: {escape(problem.reason)}", soft_wrap=True
        )
    more = len(total.problems) - _MAX_SHOWN + total.problems_omitted
    if more > 0:
        console.print(f"... and {more:,} more")


def _summary(total: FileReplay) -> str:
    if not total.events:
        return "No event of a shrinker could be read."
    if not total.passes:
        return "No pass is complete."
    share = 100 * total.exact / total.passes
    rate = total.events / total.seconds if total.seconds else 0.0
    return (
        f"{total.exact:,} of {total.passes:,} passes exact ({share:.6g} %),"
        f" {rate:,.0f} events/s"
    )
