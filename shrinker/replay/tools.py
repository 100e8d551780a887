"""Recordings in the binary formats of perf, trace-cmd and Perfetto.

Those tools print them.  They are not installed with this package: where one is missing,
the error says what to install.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from shrinker.replay.text import stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

__all__ = [
    "PERFETTO_ENDINGS",
    "TOOLS",
    "Tool",
    "local_copy",
    "perfetto_lines",
    "printed_by",
]

_COPY_BYTES = 1 << 20
_MAX_COMPLAINT = 200
PERFETTO_ENDINGS = (".pftrace", ".perfetto-trace", ".perfetto")
"""Endings of file names: the content does not tell the format."""


class Tool(NamedTuple):
    """A program that prints a recording."""

    command: tuple[str, ...]
    """To be followed by the file's name."""
    install: str


_PERF = Tool(
    # Only what is needed: no call chains.  -f: also files of other users.
    ("perf", "script", "-f", "-F", "comm,tid,cpu,time,event,trace", "-i"),
    "perf (Debian: linux-perf, Ubuntu: linux-tools-generic, Fedora: perf)",
)
TOOLS = {
    b"PERFILE2": _PERF,
    b"2ELIFREP": _PERF,
    b"\x17\x08\x44tracing": Tool(
        ("trace-cmd", "report", "-i"), "trace-cmd (the package has that name)"
    ),
}
"""By the first bytes of the file."""


class _Printed(io.RawIOBase):
    """What a program prints.  At its end: ValueError, if the program has failed."""

    def __init__(self, process: subprocess.Popen[bytes], complaints: BinaryIO) -> None:
        super().__init__()
        self._process = process
        self._complaints = complaints

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some of the text; return its length in bytes, 0 at the end."""
        room = memoryview(buffer).cast("B")
        text = cast("BinaryIO", self._process.stdout).read(len(room))
        room[: len(text)] = text
        if not text and self._process.wait():
            self._complaints.seek(0)
            lines = self._complaints.read().decode(errors="replace").split("\n")
            said = [line.strip() for line in lines if line.strip()] or ["no message"]
            program = " ".join(cast("list[str]", self._process.args)[:2])
            raise ValueError(f"{program} failed: {said[-1][:_MAX_COMPLAINT]}")
        return len(text)


@contextlib.contextmanager
def printed_by(
    tool: Tool, stream: BinaryIO, path: str | os.PathLike[str] | None
) -> Iterator[BinaryIO]:
    """Yield what a tool prints of a recording.

    ``path`` is None where the recording is not a file, but in ``stream``.  Raises
    ValueError where the tool is not installed.
    """
    program = shutil.which(tool.command[0])
    if program is None:
        raise ValueError(
            f"`{' '.join(tool.command[:2])}` has to print this file, and is not"
            f" installed: install {tool.install}, or print it on another machine"
        )
    with contextlib.ExitStack() as stack:
        if path is None:
            path = stack.enter_context(local_copy(stream))
        complaints = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(  # noqa: S603 - a fixed command, and a file
            [program, *tool.command[1:], os.path.abspath(path)],  # noqa: PTH100
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        stack.callback(_end, process)
        yield io.BufferedReader(_Printed(process, complaints))


@contextlib.contextmanager
def local_copy(stream: BinaryIO) -> Iterator[str]:
    """Yield the name of a file that has what ``stream`` has, for other programs.

    It is in no directory: nothing stays where a signal ends this process.
    """
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, _COPY_BYTES)
        copy.flush()
        yield f"/proc/{os.getpid()}/fd/{copy.fileno()}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    cast("BinaryIO", process.stdout).close()


_EVENTS = """
select event.ts, event.cpu, event.name, event.arg_set_id, thread.tid,
       thread.name as comm
from ftrace_event as event join thread using (utid)
where event.name in ('mm_shrink_slab_start', 'mm_shrink_slab_end')
order by event.ts"""
_FIELDS = "select key, display_value from args where arg_set_id = {}"


def perfetto_lines(path: str | os.PathLike[str]) -> BinaryIO:
    """Return the events of a Perfetto trace as lines.

    Raises ValueError where the package is not installed, or cannot read the file.
    """
    try:
        processor: Any = importlib.import_module("perfetto.trace_processor")
    except ModuleNotFoundError as exc:
        raise ValueError(
            "Perfetto's own format; to read it: pip install 'shrinker[perfetto]'"
        ) from exc
    return stream_of(_perfetto(processor, os.fspath(path)))


def _perfetto(processor: Any, path: str) -> Iterator[bytes]:
    try:
        with processor.TraceProcessor(trace=path) as trace:
            for event in trace.query(_EVENTS):
                fields = " ".join(
                    f"{field.key}={field.display_value}"
                    for field in trace.query(_FIELDS.format(event.arg_set_id))
                )
                seconds, nanoseconds = divmod(event.ts, 10**9)
                yield (
                    f"{event.comm or '<...>'}-{event.tid} [{event.cpu:03}] ....."
                    f" {seconds}.{nanoseconds:09}: {event.name}: {fields}\n"
                ).encode()
    except Exception as exc:
        # The package documents no exceptions of its own.
        raise ValueError(f"the perfetto package failed: {exc}") from exc
