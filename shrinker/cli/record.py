"""How ``shrinker record`` prints: a line while it records, and what is in the file."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from shrinker._names import printable
from shrinker.cli.files import as_word
from shrinker.kernel.recorder import record
from shrinker.kernel.tracefs import (
    CALLERS,
    CONTEXT,
    SHRINKER_EVENTS,
    Instance,
    default_buffer_bytes,
    find_tracefs,
)
from shrinker.kernel.writer import STDOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shrinker.kernel.recorder import Recorded

__all__ = ["record_and_print"]

_SIGNALLED = 128  # Added to the signal's number, as shells do.


def record_and_print(
    output: str | None,
    *,
    seconds: float | None,
    buffer_kib: int | None,
    context: bool,
    command: Sequence[str],
) -> int:
    """Record, and say what is in the file, on standard error; return the exit code."""
    tracefs = find_tracefs()
    for name in tracefs.remove_stale():
        # Its name is shrinker-PID-START.
        pid = name.split("-")[1]
        _say(
            f"removed {name}: shrinker record or top, pid {pid}, was killed and had"
            " left this trace instance behind; nothing that runs was touched"
        )
    instance = Instance(
        tracefs,
        SHRINKER_EVENTS + CALLERS + (CONTEXT if context else ()),
        default_buffer_bytes() if buffer_kib is None else buffer_kib << 10,
    )
    name = output or time.strftime("shrinker-%Y%m%d-%H%M%S.txt.gz")
    with _progress() as progress:
        recorded = record(
            name, instance, seconds=seconds, command=command, progress=progress
        )
    _print_recorded(recorded)
    code = recorded.returncode or 0
    return _SIGNALLED - code if code < 0 else code


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Recorded], None] | None]:
    """Yield the ``progress`` of ``record``; None where there is no terminal."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        live.update(Text("recording; Ctrl-C ends it"), refresh=True)

        def show(state: Recorded) -> None:
            line = Text(
                f"{state.seconds:,.0f} s: {_contents(state)}; Ctrl-C ends it",
                no_wrap=True,
                overflow="ellipsis",
            )
            live.update(line, refresh=True)

        yield show


def _contents(state: Recorded) -> str:
    parts = [f"{state.passes:,} passes"]
    if state.lost_events:
        parts.append(f"{state.lost_events:,} events lost")
    parts.append(_size(state.stored_bytes))
    return ", ".join(parts)


def _size(stored: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if stored < 1000:  # noqa: PLR2004 - as the units
            return f"{stored:.3g} {unit}"
        stored /= 1000
    return f"{stored:.3g} GB"


def _print_recorded(state: Recorded) -> None:
    name = "standard output" if state.file == STDOUT else state.file
    _say(
        f"{name}: {state.passes:,} passes and {state.other_events:,} other events in"
        f" {state.seconds:,.1f} s, {_size(state.stored_bytes)}"
    )
    if state.lost_events:
        kib = state.buffer_bytes >> 10
        _say(
            f"{state.lost_events:,} events were lost: try --buffer {4 * kib}"
            f" (KiB for each processor; it was {kib})"
        )
    if state.left_behind is not None:
        _say(
            f"{state.left_behind} is still being read; later: rmdir {state.left_behind}"
        )
    if state.still_running is not None:
        _say(f"the command still runs: pid {state.still_running}")
    if not state.starts and not state.passes:
        _say("no shrinker was asked for anything meanwhile")
    elif state.file != STDOUT:
        _say(f"shrinker replay {as_word(state.file)}  explains them")


def _say(text: str) -> None:
    # A terminal that has gone away must not hide what was recorded.
    with contextlib.suppress(OSError):
        click.echo(printable(text), err=True)
