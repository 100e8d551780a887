"""A replay on the terminal: a progress bar, tables, or JSON."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TransferSpeedColumn

from shrinker.trace.results import MAX_SEEKS
from shrinker.trace.sources import STDIN
from shrinker.trace.terminal import NameTable, Terminal, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.trace.results import (
        FileReplay,
        Interval,
        Replay,
        ReplayedShrinker,
    )

__all__ = ["print_json", "print_replay", "progress"]

_OFFSET = re.compile(r"\+0x[0-9a-f]+(/0x[0-9a-f]+)?")
_COUNTS: dict[str, Callable[[FileReplay], int]] = {
    "passes": lambda file: file.passes,
    "exact": lambda file: file.exact,
    "inexact": lambda file: file.inexact,
    "overlap": lambda file: file.overlaps,
    "adopted": lambda file: file.adopted,
    "alone": lambda file: file.orphan_starts + file.orphan_ends,
    "bad": lambda file: file.malformed_lines,
    "lost": lambda file: file.lost_events,
}
"""The columns of the recordings; from the third on, only where one is not 0."""
_ALWAYS = ("passes", "exact")
_LEGEND = {
    "overlap": "exact passes whose deferred counter another walker changed meanwhile",
    "adopted": "exact passes that began with deferred work from before the recording",
    "alone": "starts without an end and ends without a start",
    "bad": "lines of our events that could not be read",
    "lost": "events that the trace itself calls lost",
    "seeks": "the values of seeks that explain every delta",
    "batch": "the batch sizes that allow what was scanned",
    "counters": "deferred counters by NUMA node, or one set for all nodes",
}
"""What a column means, in the order of the columns."""
_DOCS = "docs/replay.md"
_PROGRESS_NAME = 24
# The JSON has more.
_MAX_SHOWN = 20
# Of fewer it says more about the start of the interpreter.
_MIN_EVENTS = 10_000


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
            name = escape(shortened(Path(file).name, _PROGRESS_NAME))
            bar.update(task, completed=sum(done.values()), description=name)

        yield advance


def print_json(result: Replay) -> None:
    """Print one JSON object on standard output."""
    json.dump(result.to_json(), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_replay(result: Replay, console: Console | None = None) -> None:
    """Print tables of the files, the shrinkers and the problems."""
    terminal = Terminal(console)
    total = result.total
    if total.events:
        tables = [_files(result)]
        tables += [_shrinkers(file) for file in result.files if file.shrinkers]
        for table in tables:
            terminal.print_table(table)
        _print_legend(terminal, {name for table in tables for name in table.headers})
    _print_problems(terminal, result)
    if total.events:
        terminal.print(_summary(total))


def _size(file: str) -> int | None:
    if file == STDIN:
        return None
    try:
        return Path(file).stat().st_size
    except (OSError, ValueError):
        return 0


def _files(result: Replay) -> NameTable:
    shown = {
        name: count
        for name, count in _COUNTS.items()
        if name in _ALWAYS or any(map(count, result.files))
    }
    # The names stand whole above the tables of shrinkers, and beside problems.
    table = NameTable("Recordings", "file", always_cut=True)
    for name in shown:
        table.add_column(name)
    for file in result.files:
        table.add_row(
            Path(file.file).name,
            *(f"{count(file):,}" for count in shown.values()),
            style="red" if file.error or file.inexact else None,
        )
    return table


_COUNTERS = {None: "", True: "by node", False: "one set"}


def _shrinkers(file: FileReplay) -> NameTable:
    table = NameTable(f"Shrinkers of {file.file}", "scan function")
    columns: dict[str, tuple[bool, Callable[[ReplayedShrinker], str]]] = {
        "pointer": (True, lambda s: f"{s.pointer:x}"),
        "passes": (True, lambda s: f"{s.passes:,}"),
        "exact": (True, lambda s: f"{s.exact:,}"),
        "seeks": (False, lambda s: _interval(s.seeks.interval, MAX_SEEKS)),
        "batch": (False, lambda s: _interval(s.batch)),
        "counters": (False, lambda s: _COUNTERS[s.numa_aware]),
    }
    if not any(_COUNTERS[shrinker.numa_aware] for shrinker in file.shrinkers):
        del columns["counters"]
    for header, (right, _) in columns.items():
        table.add_column(header, right=right)
    for shrinker in file.shrinkers:
        table.add_row(
            # The offset is always 0 and the size says nothing; a module's name does.
            _OFFSET.sub("", shrinker.scan_function),
            *(text(shrinker) for _, text in columns.values()),
        )
    return table


def _interval(interval: Interval, most: int | None = None) -> str:
    low, high = interval
    if low is None or high is None:
        return "any"
    if low == high:
        return f"{low:,}"
    return f"{low:,} or more" if high == most else f"{low:,}-{high:,}"


def _print_legend(terminal: Terminal, headers: set[str]) -> None:
    for name, meaning in _LEGEND.items():
        if name in headers:
            terminal.print(f"[bold]{name}[/]: {meaning}")
    terminal.print(f"{_DOCS} tells more.\n")


def _print_problems(terminal: Terminal, result: Replay) -> None:
    total = result.total
    for reason, count in total.inexact_reasons.items():
        terminal.print(f"inexact: {count:,} x {escape(reason)}")
    for problem in total.problems[:_MAX_SHOWN]:
        where = problem.file + ("" if problem.line is None else f":{problem.line}")
        terminal.print_line(f"[red]{escape(where)}[/]: {escape(problem.reason)}")
    more = len(total.problems) - _MAX_SHOWN + total.problems_omitted
    if more > 0:
        terminal.print(f"... and {more:,} more")
    for file in result.files:
        if file.unknown_lines:
            some = file.unknown_lines
            lines = "1 line was" if some == 1 else f"{some:,} lines were"
            terminal.print_line(
                f"{escape(file.file)}: {lines} not recognised, the first is line"
                f" {file.first_unknown_line}"
            )


def _summary(total: FileReplay) -> str:
    if total.passes:
        share = 100 * total.exact / total.passes
        said = [f"{total.exact:,} of {total.passes:,} passes exact ({share:.6g} %)"]
    else:
        said = ["no pass is complete"]
    flaws = {
        f"bad line{'s' * (total.malformed_lines != 1)}": total.malformed_lines,
        "alone": total.orphan_starts + total.orphan_ends,
        "lost": total.lost_events,
        "not followed": total.untracked_events,
    }
    said += [f"{count:,} {what}" for what, count in flaws.items() if count]
    if total.events >= _MIN_EVENTS and total.seconds:
        said.append(f"{total.events / total.seconds:,.0f} events/s")
    return ", ".join(said)
