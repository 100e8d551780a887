"""Would the replay notice?  Recordings are damaged on purpose, to find out.

Each field of an event is changed by one and by a large step, one field of one
event at a time, on a seeded sample of events; the whole recording is replayed
by the code that ``shrinker replay`` uses, and a change counts as found where
more passes are inexact, or more events alone, than without it.

``python benchmarks/replay_sensitivity.py FILE...`` prints the share that was
found for each field; docs/replay.md has the table and what cannot be found.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import random
import sys
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.replay.files import open_recording
from shrinker.replay.reader import Parser
from shrinker.replay.session import Session

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

__all__ = ["FIELDS", "Found", "Recording", "negative_control"]

START, END = lib.TRACE_LINE_START, lib.TRACE_LINE_END

FIELDS = {
    "start": ("pid", "pointer", "nid", "nr", "gfp_mask", "freeable", "delta",
              "total_scan", "priority"),
    "end": ("pid", "pointer", "nid", "nr", "new_nr", "total_scan", "retval"),
}  # fmt: skip
"""The fields of each event, under the names of the event values."""

STEPS = {"nid": 16, "priority": 7}
"""The large step, where it is not 1,000,003: what the field can hold."""
LARGE_STEP = 1_000_003
EVENTS_FED = 1024
"""Events that are replayed at once: about as many as one chunk of a file has."""


@dataclasses.dataclass(slots=True)
class Found:
    """Of how many changes how many were found."""

    found: int = 0
    tried: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.found / self.tried if self.tried else 0.0


class Recording:
    """A recording in memory, to be replayed again and again.

    Invariant: the offsets in ``events`` count from ``_text``, which is kept.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read all of it.  Raises one of READ_ERRORS."""
        with open_recording(path) as (text, _):
            data = text.read()
        self._text = ffi.from_buffer("char[]", data)
        arrays = []
        for base, events in Parser().feed(data, final=True):
            # The parser's own memory is used again, and counts from base.
            copy = ffi.new("struct trace_text_event[]", len(events))
            ffi.memmove(copy, events, ffi.sizeof(copy))
            shift = base - ffi.cast("char *", self._text)
            for event in copy:
                event.function_offset += shift
            arrays.append(copy)
        self.events: Any = ffi.new("struct trace_text_event[]", sum(map(len, arrays)))
        filled = 0
        for array in arrays:
            ffi.memmove(self.events + filled, array, ffi.sizeof(array))
            filled += len(array)

    def faults(self) -> int:
        """Replay it as it is now; return passes inexact and events alone."""
        session = Session()
        for begin in range(0, len(self.events), EVENTS_FED):
            end = min(begin + EVENTS_FED, len(self.events))
            session.feed(self._text, self.events[begin:end])
        session.finish()
        totals = session.totals()
        exact = sum(s.tallies[s.reading].exact for s in session.shrinkers())
        alone = totals.orphan_starts + totals.orphan_ends
        return int(totals.passes - exact + alone)

    def of_kind(self, kind: int) -> list[int]:
        """Return the positions of all starts, or of all ends."""
        return [i for i, event in enumerate(self.events) if event.kind == kind]


def negative_control(
    recording: Recording, sample: int = 25, seed: int = 0
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield ``(event, field, step, found)`` for each change that was tried.

    ``sample`` events of each kind are taken; ``step`` is "1" or "large", in
    both directions where the field can hold the result.
    """
    chance = random.Random(seed)  # noqa: S311
    before = recording.faults()
    for event_name, kind in (("start", START), ("end", END)):
        places = recording.of_kind(kind)
        for place in chance.sample(places, min(sample, len(places))):
            for field in FIELDS[event_name]:
                for step, name in _steps(field):
                    if not _change(recording.events[place], field, step):
                        continue
                    found = recording.faults() > before
                    _change(recording.events[place], field, -step)
                    yield event_name, field, name, found


def _steps(field: str) -> tuple[tuple[int, str], ...]:
    large = STEPS.get(field, LARGE_STEP)
    return (1, "1"), (-1, "1"), (large, "large"), (-large, "large")


def _change(event: Any, field: str, step: int) -> bool:
    value = getattr(event, field) + step
    if field in ("nid", "pid", "pointer", "gfp_mask") and value < 0:
        return False
    try:
        setattr(event, field, value)
    except OverflowError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a Markdown table for the recordings; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/replay_sensitivity.py",
        description="Damage recordings on purpose and see what replay notices.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--sample", type=int, default=25, help="events of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    tally: dict[tuple[str, str, str], Found] = collections.defaultdict(Found)
    for file in options.files:
        recording = Recording(file)
        for event, field, step, found in negative_control(
            recording, options.sample, options.seed
        ):
            tally[event, field, step].tried += 1
            tally[event, field, step].found += found
    out = sys.stdout.write
    out("| event | field | by 1 | by a large step |\n|---|---|---|---|\n")
    for event, fields in FIELDS.items():
        for field in fields:
            cells = (tally[event, field, step] for step in ("1", "large"))
            shares = (f"{c.found} of {c.tried} ({c.share:.0%})" for c in cells)
            out(f"| {event} | {field} | {' | '.join(shares)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
