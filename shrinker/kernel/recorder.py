"""Recording: from the ring buffer of an instance to a file."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import platform
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from shrinker.kernel.stop import Stop
from shrinker.kernel.writer import Writer
from shrinker.replay.reader import Parser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shrinker.kernel.tracefs import Instance


__all__ = ["Recorded", "record"]

# A buffer takes tens of thousands of events: far more than come meanwhile.
_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 1.0
_COMMAND_ENDS_WITHIN_SECONDS = 5.0


@dataclasses.dataclass
class Recorded:
    """What is in the file so far."""

    file: str
    seconds: float = 0.0
    """Since the events were switched on."""
    passes: int = 0
    """Events ``mm_shrink_slab_end``."""
    starts: int = 0
    """Events ``mm_shrink_slab_start``."""
    other_events: int = 0
    lost_events: int = 0
    """As the kernel counts them; at the end only."""
    stored_bytes: int = 0
    buffer_bytes: int = 0
    """For each processor."""
    returncode: int | None = None
    """Of the command that ended by itself; negative: the signal that ended it."""
    still_running: int | None = None
    """The pid of the command, where it did not end when it was asked to."""
    left_behind: str | None = None
    """The instance, where somebody else reads it, so that it could not be removed."""


def record(
    name: str,
    instance: Instance,
    *,
    seconds: float | None = None,
    command: Sequence[str] = (),
    progress: Callable[[Recorded], None] | None = None,
) -> Recorded:
    """Record until ``seconds`` are over, ``command`` ends, or a signal comes.

    ``name`` is the file, as in Writer.  ``progress`` is called about once a second.
    A command that still runs at the end gets SIGTERM; after Ctrl-C, which a terminal
    sends to both, only if it goes on.  Raises KernelError, or OSError where the file
    cannot be written or the command not started; everything is put back before.
    """
    state = Recorded(name)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(Stop())
        writer = stack.enter_context(Writer(name))
        child = None
        try:
            with instance:
                text = _Text(instance, writer, state)
                text.head()
                began = time.monotonic()
                if command:
                    child = subprocess.Popen(command)  # noqa: S603 - the user's own
                deadline = None if seconds is None else began + seconds
                while not text.copy_until(stop, deadline, child, progress):
                    pass
                instance.stop()
                state.seconds = time.monotonic() - began
                text.drain()
        finally:
            if instance.left_behind:
                state.left_behind = str(instance.path)
            if child is not None:
                _end(child, stop, state)
    state.stored_bytes = writer.stored_bytes
    return state


class _Text:
    """Text on its way from the buffer to the file."""

    def __init__(self, instance: Instance, writer: Writer, state: Recorded) -> None:
        self._instance = instance
        self._writer = writer
        self._state = state
        self._parser = Parser()
        self._began = self._flushed = time.monotonic()

    def head(self) -> None:
        """Write what the recording is; readers skip lines that begin with ``#``."""
        system = os.uname()
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._state.buffer_bytes = self._instance.buffer_bytes
        self._writer.write(
            f"# shrinker record: Linux {system.release} {platform.machine()},"
            f" {os.cpu_count()} processors, {now}\n"
            f"# {self._instance.buffer_bytes >> 10} KiB for each processor;"
            f" events: {' '.join(self._instance.events)}\n".encode()
        )

    def copy_until(
        self,
        stop: Stop,
        deadline: float | None,
        child: subprocess.Popen[bytes] | None,
        progress: Callable[[Recorded], None] | None,
    ) -> bool:
        """Copy what is there, and wait for more; return whether it is time to end."""
        wait = _POLL_SECONDS
        for chunk in self._instance.read():
            self._copy(chunk)
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                wait = 0.0  # There is more, but signals and the time count too.
                break
        now = time.monotonic()
        if now - self._flushed > _FLUSH_SECONDS:
            self._flushed = now
            self._writer.flush()
            if progress is not None:
                self._state.seconds = now - self._began
                self._state.lost_events = self._instance.losses().total
                progress(self._state)
        if deadline is not None:
            wait = min(wait, deadline - now)
        stop.wait(wait)
        over = deadline is not None and time.monotonic() >= deadline
        ended = child is not None and child.poll() is not None
        return stop.signal is not None or over or ended

    def drain(self) -> None:
        """Copy the rest, and note what was lost."""
        for chunk in self._instance.read():
            self._copy(chunk)
        self._count(b"", final=True)
        self._state.lost_events = self._instance.losses().total

    def _copy(self, chunk: bytes) -> None:
        self._writer.write(chunk)
        self._count(chunk)

    def _count(self, chunk: bytes, *, final: bool = False) -> None:
        for _ in self._parser.feed(chunk, final=final):
            pass
        counts = self._parser.counts
        self._state.passes, self._state.starts = counts.ends, counts.starts
        self._state.other_events = counts.others
        self._state.stored_bytes = self._writer.stored_bytes


def _end(process: subprocess.Popen[bytes], stop: Stop, state: Recorded) -> None:
    """Wait for the command, asking it to end where it still runs; bounded."""
    state.returncode = process.poll()
    if state.returncode is not None:
        return
    if stop.signal == signal.SIGINT and _ends(process):
        return
    process.terminate()
    if not _ends(process):
        state.still_running = process.pid


def _ends(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_COMMAND_ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True
