"""Bytes of a trace in, parsed events out: the C reader, fed piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXPECTED", "Parser"]

# More lines than a chunk mostly has; a fuller chunk takes another turn.
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
    lib.TRACE_TEXT_NO_FREEABLE: "'cache items ' and a number",
    lib.TRACE_TEXT_NO_DELTA: "'delta ' and a number",
    lib.TRACE_TEXT_NO_NEW_NR: "'new scan count ' and a number",
    lib.TRACE_TEXT_NO_TOTAL_SCAN: "'total_scan ' and a number",
    lib.TRACE_TEXT_NO_PRIORITY: "'priority ' and a number",
    lib.TRACE_TEXT_NO_RETVAL: "'last shrinker return val ' and a number",
    lib.TRACE_TEXT_TRAILING: "the end of the line",
    lib.TRACE_TEXT_TOO_LONG: f"at most {lib.TRACE_TEXT_LINE_MAX} bytes",
}
"""What a malformed line lacks, by its error code."""


class Parser:
    """A trace in pieces of any size, as arrays of ``struct trace_text_event``.

    Memory does not depend on the length of the trace, nor on that of a line.

    Invariants: ``_rest`` is the beginning of a line without its line feed, no
    longer than a line may be; ``counts`` and ``_events`` own their memory.
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

        ``text`` is a ``char[]`` that the events' offsets count from, ``events``
        an array; both are valid until the next one is asked for.  ``final``
        makes a line of what is left at the end.
        """
        if self._skipping:
            # The rest of a line that was too long, and counted as it was.
            _, feed, chunk = chunk.partition(b"\n")
            self._skipping = not feed
        data = self._rest + chunk if self._rest else chunk
        self._rest = b""
        text = ffi.from_buffer("char[]", data)
        done = 0
        while done < len(data):
            overlong = False
            consumed = self._parse(text + done, len(data) - done, final=final)
            if not consumed:
                overlong = len(data) - done > lib.TRACE_TEXT_LINE_MAX
                if not overlong:
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
