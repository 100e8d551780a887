"""The passes of a recording as columns: one numpy array with a field for each figure.

A start and the next end of the same task and shrinker are a pass, as in the replay.
C makes rows of them (``csrc/replay/pairs.c``), a chunk at a time, and hashes of names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinker._ffi import ffi, lib
from shrinker.gfp import GFP

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["PASS", "Collector"]

PASS = np.dtype(
    [
        ("start_line", "u8"),
        ("end_line", "u8"),
        ("start_ns", "i8"),
        ("end_ns", "i8"),
        ("count", "i8"),
        ("before", "i8"),
        ("delta", "i8"),
        ("asked", "i8"),
        ("scanned", "i8"),
        ("freed", "i8"),
        ("deferred", "i8"),
        ("memcg", "u8"),
        ("gfp_mask", "u4"),
        ("shrinker", "i4"),
        ("comm", "i4"),
        ("caller", "i4"),
        ("pid", "i4"),
        ("cpu", "i4"),
        ("node", "i4"),
        ("priority", "i2"),
        ("timed", "?"),
    ]
)
"""The fields of a pass; docs/report.md says what they mean."""

_MIN_ENTRIES = 4096
_SWAPPER = re.compile(r"kswapd\d+$")
_KWORKER = re.compile(r"kworker/")
_UNKNOWN_CALLER = "unknown"


def _raw_type() -> np.dtype[Any]:
    """Return ``struct trace_pass`` as numpy sees it."""
    names, formats, offsets = [], [], []
    for name, field in ffi.typeof("struct trace_pass").fields:
        letter = "u" if field.type.cname.startswith("u") else "i"
        names.append(name)
        formats.append(f"{letter}{ffi.sizeof(field.type)}")
        offsets.append(field.offset)
    return np.dtype(
        {
            "names": names,
            "formats": formats,
            "offsets": offsets,
            "itemsize": ffi.sizeof("struct trace_pass"),
        }
    )


_RAW = _raw_type()
_COPIED = tuple(name for name in PASS.names or () if name in (_RAW.names or ()))
# Rows as bytes: numpy joins and sorts them faster than rows with fields.
_ROW = np.dtype((np.void, PASS.itemsize))


class Collector:
    """Makes an array of PASS of what ``Parser.feed`` yields.

    Invariant: ``_pairs`` has the passes that have no end yet, in ``_entries``, which it
    refers to.
    """

    def __init__(self) -> None:
        """Begin before the first event."""
        self.shrinkers: dict[int, tuple[str, int]] = {}
        """Scan function and pointer, by their hash, in the order of the lines."""
        self._comms: dict[int, str] = {}
        self._pairs: Any = ffi.new("struct trace_pairs *")
        self._entries: Any = None
        self._found: Any = ffi.new("size_t[2]")
        self._blocks: list[Array] = []
        self._hashes: list[Array] = []

    def __call__(self, text: Any, events: Any) -> None:
        """Take the events of a chunk."""
        pairs, nr_events = self._pairs, len(events)
        if 2 * (pairs.nr_used + nr_events) > pairs.size:
            self._make_room(nr_events)
        passes = np.empty(nr_events, _RAW)
        names = ffi.new("struct trace_pairs_name[]", nr_events)
        # SAFETY: Parser.feed() keeps text and events until its next pair; there is room
        # for each event.
        lib.trace_pairs_feed(
            pairs,
            text,
            events,
            nr_events,
            ffi.from_buffer("struct trace_pass[]", passes),
            self._found,
            names,
            self._found + 1,
        )
        nr_passes, nr_names = self._found
        for name in names[0:nr_names]:
            event = events[name.event]
            if name.function not in self.shrinkers:
                function = _text(text, event.function_offset, event.function_length)
                self.shrinkers[name.function] = function, event.pointer
            if name.comm not in self._comms:
                comm = _text(text, event.comm_offset, event.comm_length)
                self._comms[name.comm] = comm
        if nr_passes:
            self._keep(passes[:nr_passes])

    def _keep(self, raw: Array) -> None:
        """Take passes over, while they are in the processor's cache."""
        passes = np.empty(len(raw), PASS)
        for name in _COPIED:
            passes[name] = raw[name]
        flags = raw["flags"]
        passes["timed"] = (flags & lib.TRACE_TEXT_TIME) != 0
        passes["priority"][(flags & lib.TRACE_TEXT_PAGES) != 0] = -1
        self._blocks.append(passes.view(_ROW))
        self._hashes.append(np.stack((raw["function"], raw["comm"])))

    def _make_room(self, nr_events: int) -> None:
        """Go on with a table that has room, and without passes that have ended."""
        least = 4 * (self._pairs.nr_open + nr_events)
        size = max(_MIN_ENTRIES, 1 << least.bit_length())
        entries = ffi.new("struct trace_pairs_entry[]", size)
        # SAFETY: the size is a power of two; _entries has what _pairs refers to.
        lib.trace_pairs_move(self._pairs, entries, size)
        self._entries = entries

    def passes(self) -> tuple[Array, list[str]]:
        """Return the passes, in the order of their starts, and the callers' names."""
        rows = np.concatenate(self._blocks or [np.empty(0, _ROW)])
        functions, comms = np.concatenate(
            self._hashes or [np.empty((2, 0), "u8")], axis=1
        )
        passes = rows.view(PASS)
        passes["shrinker"] = _numbers(functions, list(self.shrinkers))
        passes["comm"] = _numbers(comms, list(self._comms))
        order = np.argsort(passes["start_line"], kind="stable")
        passes = rows[order].view(PASS)
        return passes, _name_callers(passes, list(self._comms.values()))


def _text(text: Any, offset: int, length: int) -> str:
    # SAFETY: the parser gives no offset beyond the text, which the caller keeps.
    name: bytes = ffi.buffer(text + offset, length)[:]
    return name.decode(errors="backslashreplace")


def _numbers(hashes: Array, known: list[int]) -> Array:
    """Return the place of each hash among the known ones."""
    found = np.array(known, "u8")
    order = np.argsort(found)
    numbers: Array = order[np.searchsorted(found, hashes, sorter=order)]
    return numbers


def _name_callers(passes: Array, comms: list[str]) -> list[str]:
    """Fill in the column ``caller``; return the name that each number stands for."""
    tasks, task = np.unique(
        (passes["comm"].astype("i8") << 32) | (passes["pid"].astype("i8") & 0xFFFFFFFF),
        return_inverse=True,
    )
    # Writing to drop_caches walks at priority 0 alone; reclaim comes there from 12.
    other = (passes["priority"] != 0) | (passes["gfp_mask"] != int(GFP.KERNEL))
    drops = np.bincount(task, weights=other, minlength=len(tasks)) == 0
    names: dict[str, int] = {}
    numbers = np.empty(len(tasks), "i4")
    for place, packed in enumerate(tasks):
        name = _caller(comms[int(packed) >> 32], drops=bool(drops[place]))
        numbers[place] = names.setdefault(name, len(names))
    passes["caller"] = numbers[task]
    return list(names)


def _caller(comm: str, *, drops: bool) -> str:
    if not comm or comm == "<...>":
        return _UNKNOWN_CALLER
    if _SWAPPER.match(comm):
        return "kswapd"
    if drops:
        return "drop_caches"
    return f"direct: {'kworker' if _KWORKER.match(comm) else comm}"
