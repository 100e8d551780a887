"""Adding passes up as they happen: by shrinker, by memory cgroup, or both."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import Any, NamedTuple

from shrinker._ffi import ffi, lib
from shrinker.replay.reader import Parser

__all__ = ["BY", "SORT_KEYS", "LiveTable", "Row", "Snapshot", "Window"]

# Rows and unfinished passes that are kept: the oldest are forgotten first.
_MAX_ROWS = 10_000
_MAX_RUNNING = 10_000
_MAX_CALLERS = 1_000
_NS = 1_000_000_000
_OFFSET = re.compile(r"\+0x[0-9a-f]+(/0x[0-9a-f]+)?")

BY = ("shrinker", "memcg", "both")
"""What a row can be."""


class _Key(NamedTuple):
    function: str
    pointer: int
    memcg_id: int | None


@dataclasses.dataclass(slots=True)
class Row:
    """What one shrinker, or the shrinkers of one memory cgroup, were asked for.

    ``function`` and ``pointer`` are None where the row is a memory cgroup, and
    ``memcg_id`` is None where it is a shrinker, or the kernel does not say.
    """

    function: str | None
    pointer: int | None
    memcg_id: int | None
    passes: int = 0
    empty: int = 0
    """Passes that scanned nothing."""
    asked: int = 0
    """Objects that the passes wanted to scan (total_scan)."""
    scanned: int = 0
    freed: int = 0
    seconds: float = 0.0
    """Time inside of its passes, also of one that is not over."""
    longest: float = 0.0
    """Seconds of the longest pass."""
    deferred: int = 0
    """Objects that the last pass on each node, and of each group, left."""
    counted: int = 0
    """Objects that these passes had counted."""
    priority: int | None = None
    """The lowest, which is the most urgent."""
    running: int = 0
    """Passes that have begun and are not over."""


SORT_KEYS = (
    *("time", "passes", "asked", "scanned"),
    *("freed", "longest", "deferred", "counted"),
)
"""What rows can be sorted by, largest first."""
_FIELDS = {"time": "seconds"}


@dataclasses.dataclass
class Window:
    """What came in a span of time."""

    seconds: float
    rows: list[Row]
    callers: dict[str, float]
    """Seconds inside of passes, by the name of the task that reclaims."""
    lost_events: int

    @property
    def passes(self) -> int:
        """Return the passes of all rows."""
        return sum(row.passes for row in self.rows)

    def sorted_by(self, key: str) -> list[Row]:
        """Return the rows, the largest first; ``key`` is one of SORT_KEYS."""
        field = _FIELDS.get(key, key)
        return sorted(
            self.rows,
            key=lambda row: (getattr(row, field), row.passes),
            reverse=True,
        )


class _Started(NamedTuple):
    """A pass that is not over."""

    key: _Key
    caller: str
    nid: int
    time: int
    total_scan: int
    freeable: int
    priority: int

    def inside(self, began: int, now: int) -> int:
        """Return its time from ``began``, or its start, to ``now``, in nanoseconds."""
        return max(now - max(self.time, began), 0)


@dataclasses.dataclass(slots=True)
class _Sum:
    """One shrinker in one memory cgroup.  Times are in nanoseconds."""

    passes: int = 0
    empty: int = 0
    asked: int = 0
    scanned: int = 0
    freed: int = 0
    inside: int = 0
    longest: int = 0
    priority: int | None = None
    last: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """What the last pass on each node left deferred, and had counted."""

    def add(self, later: _Sum) -> None:
        """Add what came later."""
        self.passes += later.passes
        self.empty += later.empty
        self.asked += later.asked
        self.scanned += later.scanned
        self.freed += later.freed
        self.inside += later.inside
        self.longest = max(self.longest, later.longest)
        self.priority = _lower(self.priority, later.priority)
        self.last.update(later.last)

    def copy(self) -> _Sum:
        """Return the same, that does not change with it."""
        return dataclasses.replace(self, last=dict(self.last))


@dataclasses.dataclass(slots=True)
class Snapshot:
    """What came in a span of time, to be looked at in several ways."""

    began: int
    now: int
    sums: dict[_Key, _Sum]
    callers: Counter[str]
    running: tuple[_Started, ...]
    lost_events: int

    def add_running(self, began: int) -> None:
        """Add the time of passes that are not over, from ``began`` on."""
        for started in self.running:
            inside = started.inside(began, self.now)
            each = _put(self.sums, started.key)
            each.inside += inside
            each.longest = max(each.longest, self.now - started.time)
            self.callers[started.caller] += inside

    def window(self, by: str = "shrinker") -> Window:
        """Return its rows; ``by`` is one of BY."""
        groups: dict[tuple[Any, ...], Row] = {}
        for key, each in self.sums.items():
            _add(_row_of(groups, key, by), each)
        for started in self.running:
            _row_of(groups, started.key, by).running += 1
        return Window(
            seconds=(self.now - self.began) / _NS,
            rows=list(groups.values()),
            callers={name: ns / _NS for name, ns in self.callers.most_common()},
            lost_events=self.lost_events,
        )


def _put(sums: dict[_Key, _Sum], key: _Key) -> _Sum:
    """Return the sum of a key, now the last; forget the first where it is too many."""
    each = sums.pop(key, None)
    if each is None:
        each = _Sum()
        if len(sums) >= _MAX_ROWS:
            del sums[next(iter(sums))]
    sums[key] = each
    return each


class LiveTable:
    """Adds the passes of a text up that is fed in chunks, as trace_pipe has it.

    Times are on the text's clock, which must be CLOCK_MONOTONIC for ``now``.  A task is
    in one pass at a time; where events were lost, passes without an end are forgotten.
    Memory is bounded: the rows that were touched longest ago are forgotten first.
    """

    def __init__(self, began: int) -> None:
        """Begin at ``began``, a time in nanoseconds."""
        self._parser = Parser()
        self._running: dict[int, _Started] = {}
        self._sums: dict[_Key, _Sum] = {}
        self._callers: Counter[str] = Counter()
        self._began = began
        self._lost = 0
        # All that came before this window.
        self._start_time = began
        self._whole: dict[_Key, _Sum] = {}
        self._whole_callers: Counter[str] = Counter()
        self._names: dict[bytes, str] = {}

    def feed(self, chunk: bytes) -> None:
        """Add what a chunk of the text says."""
        for text, events in self._parser.feed(chunk):
            for event in events:
                if event.kind == lib.TRACE_LINE_START:
                    self._start(text, event)
                elif event.kind == lib.TRACE_LINE_END:
                    self._end(text, event)
                elif event.kind == lib.TRACE_LINE_LOST:
                    self._running.clear()

    def take(self, now: int) -> tuple[Snapshot, Snapshot]:
        """Return what came since the last ``take``, and since the start; begin anew.

        ``now`` is a time in nanoseconds.  A pass that is not over is in both, with its
        time until now.
        """
        running = tuple(self._running.values())
        lost = int(self._parser.counts.lost)
        for key, each in self._sums.items():
            # The one that was touched last is the last.
            _put(self._whole, key).add(each)
        self._whole_callers += self._callers
        if len(self._whole_callers) > _MAX_CALLERS:
            largest = self._whole_callers.most_common(_MAX_CALLERS)
            self._whole_callers = Counter(dict(largest))
        last = Snapshot(
            self._began, now, self._sums, self._callers, running, lost - self._lost
        )
        whole = Snapshot(
            self._start_time,
            now,
            {key: each.copy() for key, each in self._whole.items()},
            self._whole_callers.copy(),
            running,
            lost,
        )
        for snapshot in last, whole:
            snapshot.add_running(self._began)
        for started in running:
            inside = started.inside(self._began, now)
            _put(self._whole, started.key).inside += inside
            self._whole_callers[started.caller] += inside
        self._began, self._lost = now, lost
        self._sums, self._callers = {}, Counter()
        return last, whole

    def _start(self, text: Any, event: Any) -> None:
        running = self._running
        running.pop(event.pid, None)
        if len(running) >= _MAX_RUNNING:
            del running[next(iter(running))]
        running[event.pid] = _Started(
            self._key(text, event),
            self._name(text, event.comm_offset, event.comm_length),
            event.nid,
            event.time,
            event.total_scan,
            event.freeable,
            event.priority,
        )

    def _end(self, text: Any, event: Any) -> None:
        key = self._key(text, event)
        each = _put(self._sums, key)
        each.passes += 1
        each.freed += event.retval
        counted = each.last.get(event.nid, (0, 0))[1]
        started = self._running.pop(event.pid, None)
        if started is not None and started.key == key:
            scanned = started.total_scan - event.total_scan
            each.asked += started.total_scan
            each.scanned += scanned
            each.empty += not scanned
            inside = started.inside(self._began, event.time)
            each.inside += inside
            each.longest = max(each.longest, event.time - started.time)
            each.priority = _lower(each.priority, started.priority)
            counted = started.freeable
            if len(self._callers) < _MAX_CALLERS or started.caller in self._callers:
                self._callers[started.caller] += inside
        each.last[event.nid] = (event.new_nr, counted)

    def _key(self, text: Any, event: Any) -> _Key:
        name = self._name(text, event.function_offset, event.function_length)
        memcg_id = event.memcg_id if event.flags & lib.TRACE_TEXT_MEMCG else None
        return _Key(name, event.pointer, memcg_id)

    def _name(self, text: Any, offset: int, length: int) -> str:
        # SAFETY: the parser keeps offset and length inside the text.
        name = ffi.buffer(text + offset, length)[:]
        found = self._names.get(name)
        if found is None:
            if len(self._names) >= _MAX_CALLERS:
                self._names.clear()
            # The offset is always 0 and the size of no use; a module's name is kept.
            found = _OFFSET.sub("", name.decode(errors="replace"))
            self._names[name] = found
        return found


def _row_of(groups: dict[tuple[Any, ...], Row], key: _Key, by: str) -> Row:
    function, pointer, memcg_id = key
    if by == "memcg":
        shown: tuple[Any, ...] = (None, None, memcg_id)
    elif by == "shrinker":
        shown = (function, pointer, None)
    else:
        shown = key
    row = groups.get(shown)
    if row is None:
        row = groups[shown] = Row(*shown)
    return row


def _add(row: Row, each: _Sum) -> None:
    row.passes += each.passes
    row.empty += each.empty
    row.asked += each.asked
    row.scanned += each.scanned
    row.freed += each.freed
    row.seconds += each.inside / _NS
    row.longest = max(row.longest, each.longest / _NS)
    for deferred, counted in each.last.values():
        row.deferred += deferred
        row.counted += counted
    row.priority = _lower(row.priority, each.priority)


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
