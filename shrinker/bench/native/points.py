"""What ``shrinker bench --scenario native`` measures, and the goals.

Two loops are the measure, whatever the machine (``csrc/python/bench_callbacks.h``):

* **C2**: one indirect call that returns a constant, one atomic exchange, one atomic
  addition: about what a pass cannot do without;
* **C4**: C2, an atomic increment and a decrement: the same for a walk that counts
  references.

Callbacks count 1,000 objects and free what they are asked for: at priority 12, 3 and 0
a pass makes 0, 1 and 15 scan calls where nothing was deferred.  *Calls* are these
callbacks from an empty loop, which no pass can be faster than.
"""

from __future__ import annotations

import dataclasses
import enum

from shrinker.bench.lines import Goal, Line, Section

__all__ = ["C2", "C4", "ROWS", "SECTIONS", "Kind", "NativeRow"]

_NS = 1e9


class Kind(enum.StrEnum):
    """What a row runs."""

    LOOP = "loop"
    BARE = "calls"
    """Callbacks without a pass around them."""
    RESET = "reset"
    """Passes, the deferred work forgotten before each."""
    CARRIED = "carried"
    """Passes, the deferred work carried over from one to the next."""
    WALK = "walk"


@dataclasses.dataclass(frozen=True, slots=True)
class NativeRow:
    """What a pyperf benchmark holds: seconds of a loop, a pass, or a shrinker."""

    kind: Kind
    what: str
    """The rest of its name."""
    number: int
    """LOOP: 2 or 4; BARE: scan calls; otherwise the priority."""
    shrinkers: int = 1
    deferred: int = 0
    """Objects put off before the first pass."""

    @property
    def name(self) -> str:
        """Name of its benchmark."""
        return f"{self.kind}: {self.what}"


C2 = NativeRow(Kind.LOOP, "C2", 2)
C4 = NativeRow(Kind.LOOP, "C4", 4)

_BARE = tuple(
    NativeRow(Kind.BARE, what, scans)
    for scans, what in (
        (0, "a count"),
        (1, "a count, 1 scan"),
        (15, "a count, 15 scans"),
    )
)
_RESET = {
    NativeRow(Kind.RESET, f"priority {priority}", priority): goal
    for priority, goal in ((12, 1.15), (3, 1.3), (0, 4.3))
}
_CARRIED = {
    NativeRow(Kind.CARRIED, "priority 12", 12): 1.5,
    NativeRow(Kind.CARRIED, "priority 12, from 100", 12, deferred=100): 1.5,
    NativeRow(Kind.CARRIED, "priority 3", 3): 1.95,
    NativeRow(Kind.CARRIED, "priority 0", 0): 5.4,
}
_WALKS = {
    NativeRow(Kind.WALK, f"{n:,} at priority {priority}", priority, n): goal
    for priority, n, goal in (
        (12, 1, 0.75),
        (12, 10, 0.75),
        (12, 100, 0.75),
        (12, 1000, 0.75),
        (12, 10_000, 0.9),
        (0, 1, 2.9),
        (0, 100, 2.9),
        (0, 1000, 2.9),
    )
}


def _lines(goals: dict[NativeRow, float], loop: NativeRow) -> tuple[Line, ...]:
    return tuple(
        Line(row.name, row.name, loop.name, loop.what, Goal(goal))
        for row, goal in goals.items()
    )


SECTIONS: tuple[Section, ...] = (
    Section("the loops", "ns", _NS, tuple(Line(r.what, r.name) for r in (C2, C4))),
    Section(
        "a pass",
        "ns",
        _NS,
        (
            *(Line(row.name, row.name, C2.name, C2.what) for row in _BARE),
            *_lines({**_RESET, **_CARRIED}, C2),
        ),
    ),
    Section("a walk, for each shrinker", "ns", _NS, _lines(_WALKS, C4)),
)

# Each loop in the middle of what it is compared with, by time.
_PASSES = (*_BARE, *_RESET, *_CARRIED)
ROWS: tuple[NativeRow, ...] = (
    *_PASSES[:5],
    C2,
    *_PASSES[5:],
    *tuple(_WALKS)[:4],
    C4,
    *tuple(_WALKS)[4:],
)
"""All rows, in the order of a round."""
