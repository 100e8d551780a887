"""Recorded events as Python values, one at a time, for whoever wants them."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.gfp import GFP
from shrinker.trace.parsing import Parser
from shrinker.trace.sources import open_trace, read_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["TraceCounts", "TraceReader", "TraceRecord", "read_events"]

_U64 = (1 << 64) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class TraceCounts:
    """What a trace has been found to hold so far, in lines.

    ``lost_events`` is in events, as the trace's own ``CPU:n [LOST m EVENTS]``
    lines say.
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
    """One event of a trace and what its line's header says."""

    event: ShrinkSlabStart | ShrinkSlabEnd
    line: int
    """From 1."""
    comm: str
    """The task's name; empty where the line has no header."""
    pid: int | None
    cpu: int | None
    time: int | None
    """Nanoseconds on the trace's clock."""


class TraceReader:
    """Iterates over the events of a trace, as TraceRecord.

    ``source`` is a path (``-`` for the standard input; ``.gz`` and ``.xz`` are
    decompressed) or an iterable of lines, str or bytes, with or without their
    line feeds.  Lines that are none of our events are skipped and counted.

    Iterating raises one of ``shrinker.trace.READ_ERRORS`` where the file
    cannot be read; each iteration reads it from the beginning.
    """

    def __init__(
        self, source: str | os.PathLike[str] | Iterable[str] | Iterable[bytes]
    ) -> None:
        """Read nothing yet."""
        self._source = source
        self._parser = Parser()

    @property
    def counts(self) -> TraceCounts:
        """What has been read since the last iteration began."""
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
        """Read from the beginning."""
        self._parser = parser = Parser()
        for chunk in self._chunks():
            for text, events in parser.feed(chunk):
                yield from _records(text, events)
        for text, events in parser.feed(b"", final=True):
            yield from _records(text, events)

    def _chunks(self) -> Iterator[bytes]:
        if isinstance(self._source, str | os.PathLike):
            with open_trace(self._source) as (text, _):
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
    """Yield the events of a trace, without their headers.

    ``source`` and errors are those of TraceReader.
    """
    return (record.event for record in TraceReader(source))


def _records(text: Any, events: Any) -> Iterator[TraceRecord]:
    for event in events:
        make = _MAKERS.get(event.kind)
        if make is None:
            continue
        header = event.flags & lib.TRACE_TEXT_HEADER
        yield TraceRecord(
            event=make(event, _name(text, event)),
            line=event.line,
            comm=_text(text, event.comm_offset, event.comm_length),
            pid=None if event.pid < 0 else event.pid,
            cpu=event.cpu if header else None,
            time=event.time if header else None,
        )


def _text(text: Any, offset: int, length: int) -> str:
    # SAFETY: offset and length lie inside the text, says trace_text_parse().
    return _decode(ffi.buffer(text + offset, length)[:])


@functools.lru_cache(maxsize=1024)
def _decode(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _name(text: Any, event: Any) -> str:
    return _text(text, event.function_offset, event.function_length)


def _memcg(event: Any) -> dict[str, int]:
    if not event.flags & lib.TRACE_TEXT_MEMCG:
        return {}
    return {"pid": event.payload_pid, "memcg_id": event.memcg_id}


def _start(event: Any, name: str) -> ShrinkSlabStart:
    return ShrinkSlabStart(
        scan_function=name,
        pointer=event.pointer,
        nid=event.nid,
        nr=event.nr,
        gfp_mask=GFP(event.gfp_mask),
        freeable=event.freeable,
        delta=event.delta & _U64,
        total_scan=event.total_scan,
        priority=event.priority,
        **_memcg(event),
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
