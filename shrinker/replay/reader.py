"""Recordings as events: the C parser, and its events as Python values."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.gfp import GFP
from shrinker.replay.files import open_recording, read_chunks
from shrinker.values import ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "EXPECTED",
    "Parser",
    "TraceCounts",
    "TraceReader",
    "TraceRecord",
    "read_events",
]

# Room for the events of one call of the C parser.  Few chunks have more; for those
# the parser is called again.
_MAX_EVENTS = 4096

EXPECTED = {
    lib.TRACE_TEXT_NO_HEADER: "a task, processor and time before the event's name",
    lib.TRACE_TEXT_NO_NAME: "the rest of the event's name",
    lib.TRACE_TEXT_NO_FUNCTION: "a scan function",
    lib.TRACE_TEXT_NO_POINTER: "the shrinker's pointer",
    lib.TRACE_TEXT_NO_NID: "'nid: ' and a node",
    lib.TRACE_TEXT_NO_MEMCG: "'pid: ' and 'memcg_id: ' with their numbers",
    lib.TRACE_TEXT_NO_NR: "the deferred objects that the pass took over",
    lib.TRACE_TEXT_NO_GFP: "'gfp_flags ' and names of flags",
    lib.TRACE_TEXT_NO_PAGES: "'pgs_scanned ' and 'lru_pgs ' with their numbers",
    lib.TRACE_TEXT_NO_FREEABLE: "'cache items ' and a number",
    lib.TRACE_TEXT_NO_DELTA: "'delta ' and a number",
    lib.TRACE_TEXT_NO_NEW_NR: "'new scan count ' and a number",
    lib.TRACE_TEXT_NO_TOTAL_SCAN: "'total_scan ' and a number",
    lib.TRACE_TEXT_NO_PRIORITY: "'priority ' and a number",
    lib.TRACE_TEXT_NO_RETVAL: "'last shrinker return val ' and a number",
    lib.TRACE_TEXT_OTHER_PAYLOAD: "the payload of this event, not that of the other"
    " one, which perf script prints for a group of events: record again with"
    " -e EVENT,EVENT in place of {EVENT,EVENT}:S",
    lib.TRACE_TEXT_TRAILING: "the end of the line",
    lib.TRACE_TEXT_TOO_LONG: f"at most {lib.TRACE_TEXT_LINE_MAX} bytes",
}
"""What was expected where a malformed line goes wrong, by its error code."""


class Parser:
    """Makes arrays of ``struct trace_text_event`` of a recording, fed in chunks.

    Memory depends neither on the length of the recording nor on that of a line.

    Invariants: ``_rest`` is the beginning of an incomplete line, at most
    TRACE_TEXT_LINE_MAX bytes; ``counts`` and ``_events`` own their memory.
    """

    def __init__(self) -> None:
        """Begin before the first line."""
        self.counts: Any = ffi.new("struct trace_text_counts *")
        self._events: Any = ffi.new("struct trace_text_event[]", _MAX_EVENTS)
        self._nr_events: Any = ffi.new("size_t *")
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes, *, final: bool = False) -> Iterator[tuple[Any, Any]]:
        """Yield ``(text, events)`` for the lines that ``chunk`` completes.

        ``events`` is an array of ``struct trace_text_event``; its offsets count from
        the beginning of ``text``, a ``char[]``.  Both are valid until the next pair
        is asked for.  With ``final`` the rest after the last line feed is a line, too.
        """
        if self._skipping:
            # The rest of a line that was too long, and has been counted.
            _, line_feed, chunk = chunk.partition(b"\n")
            self._skipping = not line_feed
        data = self._rest + chunk if self._rest else chunk
        self._rest = b""
        text = ffi.from_buffer("char[]", data)
        done = 0
        while done < len(data):
            consumed = self._parse(text + done, len(data) - done, final=final)
            if not consumed:
                # There is no line feed: the line is incomplete, or too long.
                if len(data) - done <= lib.TRACE_TEXT_LINE_MAX:
                    break
                consumed = self._parse(text + done, len(data) - done, final=True)
                self._skipping = True
            if self._nr_events[0]:
                yield text + done, self._events[0 : self._nr_events[0]]
            done += consumed
        self._rest = data[done:]

    def _parse(self, text: Any, length: int, *, final: bool) -> int:
        # SAFETY: text points to length bytes, which the caller keeps.
        return int(
            lib.trace_text_parse(
                text,
                length,
                final,
                self.counts.lines + 1,
                self._events,
                _MAX_EVENTS,
                self._nr_events,
                self.counts,
            )
        )


@dataclasses.dataclass(frozen=True, slots=True)
class TraceCounts:
    """What has been read of a recording so far, in lines.

    ``lost_events`` is in events: the sum of m over the recording's own lines
    ``CPU:n [LOST m EVENTS]``.
    """

    lines: int
    starts: int
    ends: int
    other_events: int
    malformed_lines: int
    unknown_lines: int
    lost_events: int


@dataclasses.dataclass(frozen=True, slots=True)
class TraceRecord:
    """One event of a recording, and the header of its line."""

    event: ShrinkSlabStart | ShrinkSlabEnd
    line: int
    """From 1."""
    comm: str
    """Name of the task; empty where the line has no header."""
    pid: int | None
    cpu: int | None
    time: int | None
    """In nanoseconds, on the clock of the recording."""


class TraceReader:
    """Iterates over the events of a recording, as TraceRecord.

    ``source`` is a path (``-`` for the standard input; what is compressed is
    decompressed) or an iterable of lines, str or bytes, with or without their
    line feeds.  Lines that are not one of the two events are skipped and counted.

    Each iteration reads the file from the beginning, and raises one of
    ``shrinker.replay.READ_ERRORS`` where it cannot be read.
    """

    def __init__(
        self, source: str | os.PathLike[str] | Iterable[str] | Iterable[bytes]
    ) -> None:
        """Read nothing yet."""
        self._source = source
        self._parser = Parser()

    @property
    def counts(self) -> TraceCounts:
        """Return what has been read since the last iteration began."""
        counts = self._parser.counts
        return TraceCounts(
            lines=counts.lines,
            starts=counts.starts,
            ends=counts.ends,
            other_events=counts.others,
            malformed_lines=counts.malformed,
            unknown_lines=counts.unknown,
            lost_events=counts.lost,
        )

    def __iter__(self) -> Iterator[TraceRecord]:
        """Read the source from the beginning."""
        self._parser = parser = Parser()
        for chunk in self._chunks():
            for text, events in parser.feed(chunk):
                yield from _records(text, events)
        for text, events in parser.feed(b"", final=True):
            yield from _records(text, events)

    def _chunks(self) -> Iterator[bytes]:
        if isinstance(self._source, str | os.PathLike):
            with open_recording(self._source) as (text, _):
                yield from read_chunks(text)
            return
        for line in self._source:
            data = (
                line.encode(errors="surrogateescape") if isinstance(line, str) else line
            )
            yield data if data.endswith(b"\n") else data + b"\n"


def read_events(
    source: str | os.PathLike[str] | Iterable[str] | Iterable[bytes],
) -> Iterator[ShrinkSlabStart | ShrinkSlabEnd]:
    """Yield the events of a recording, without their headers.

    ``source`` and what is raised are as in TraceReader.
    """
    return (record.event for record in TraceReader(source))


def _records(text: Any, events: Any) -> Iterator[TraceRecord]:
    for event in events:
        make = _MAKERS.get(event.kind)
        if make is None:
            continue
        name = _text(text, event.function_offset, event.function_length)
        yield TraceRecord(
            event=make(event, name),
            line=event.line,
            comm=_text(text, event.comm_offset, event.comm_length),
            pid=None if event.pid < 0 else event.pid,
            cpu=None if event.cpu < 0 else event.cpu,
            time=event.time if event.flags & lib.TRACE_TEXT_TIME else None,
        )


def _text(text: Any, offset: int, length: int) -> str:
    # SAFETY: trace_text_parse() keeps offset and length inside the text.
    return _decode(ffi.buffer(text + offset, length)[:])


@functools.lru_cache(maxsize=1024)
def _decode(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _memcg(event: Any) -> dict[str, int]:
    if not event.flags & lib.TRACE_TEXT_MEMCG:
        return {}
    return {"pid": event.payload_pid, "memcg_id": event.memcg_id}


def _pages(event: Any) -> dict[str, int]:
    if not event.flags & lib.TRACE_TEXT_PAGES:
        return {}
    return {"pgs_scanned": event.pgs_scanned, "lru_pgs": event.lru_pgs}


def _start(event: Any, name: str) -> ShrinkSlabStart:
    return ShrinkSlabStart(
        scan_function=name,
        pointer=event.pointer,
        nid=event.nid,
        nr=event.nr,
        gfp_mask=GFP(event.gfp_mask),
        freeable=event.freeable,
        delta=event.delta & ULONG_MAX,
        total_scan=event.total_scan,
        priority=event.priority,
        **_memcg(event),
        **_pages(event),
    )


def _end(event: Any, name: str) -> ShrinkSlabEnd:
    return ShrinkSlabEnd(
        scan_function=name,
        pointer=event.pointer,
        nid=event.nid,
        nr=event.nr,
        new_nr=event.new_nr,
        total_scan=event.total_scan,
        retval=event.retval,
        **_memcg(event),
    )


_MAKERS: dict[int, Callable[[Any, str], ShrinkSlabStart | ShrinkSlabEnd]] = {
    lib.TRACE_LINE_START: _start,
    lib.TRACE_LINE_END: _end,
}
