"""``Policy``: what to do about memory, as a machine of states without side effects.

It has no thread, no clock and reads no file: ``look`` is told the time, the levels of
memory and what a pressure source said, and answers with a ``Decision``; who carries it
out tells ``reclaimed`` what came of it; ``rest`` says when to look again.

- *Shortage.*  Free memory (and what counts as such, see ``credit``) is below *low*:
  reclaim the deficit up to *high*.  It is an *episode* until *high* is reached, or
  nothing has happened for ``hold`` seconds.
- *Event.*  A source says that memory is short while it is not by our figures: walk one
  priority.
- *Priority* starts at 12 for both, at one more urgent each further time, and goes back
  by one for every ``RELAX`` quiet seconds.
- *Cool-down.*  Figures lag behind what was done.  After a reclaim only falling below
  *min* is acted upon for a while.
- *Breaker.*  Where reclaim brings nothing, or caches are small beside the process,
  useful caches would be emptied over and over for no gain.

Caches that weigh their entries count in pages of 4 KiB, others count entries.  What an
object is worth is learned from how much memory fell by what was freed, and taken to be
a page where that says less: an allocator keeps, it does not give more than was held.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE
from shrinker.pressure.breaker import Breaker, BreakerState
from shrinker.pressure.credit import Credit
from shrinker.pressure.watermarks import Watermarks
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shrinker.pressure.memory import MemoryLevel

__all__ = ["Action", "Decision", "News", "Outcome", "Policy", "Rest", "kept_bytes"]

MIB = 1 << 20
RELAX = 5.0
"""Quiet seconds after which the next reclaim starts one priority less urgent."""
SMALL = 100
"""Caches are small where this many times what they hold is less than the rest."""
PROBE = 4
"""Of small caches, one object in so many is freed to see what it is worth."""
DEAREST = 1024 * PAGE_SIZE
"""Bytes that an object is believed to be worth at most."""
TELLING = MIB
"""Bytes by which memory must fall before anything is learned from it."""
DIRECT_PAGES = 2048
"""Objects that direct reclaim asks for at most: 8 MiB, eight times the largest
allowance below *min*, so that caches shrink by it even if all their users insert at
once; and for entries of 100 bytes some 80,000, a few tens of milliseconds."""
WEIGH_EVERY = 1.0
"""Seconds between two counts of all caches that only serve the credit."""


class Action(enum.Enum):
    """What is to be done."""

    NOTHING = "nothing"
    """All is well, or nothing would help."""
    WEIGH = "weigh"
    """Count what all caches hold, and look again with it; nothing has changed."""
    RECLAIM = "reclaim"
    """Run the priority ladder for ``pages``."""
    EASE = "ease"
    """Walk one priority."""
    PROBE = "probe"
    """Reclaim a part of small caches, to see what their objects are worth."""
    WAKE = "wake"
    """Leave it to the background thread."""


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """A change that somebody should hear of."""

    kind: str
    """``breaker opened``, ``breaker closed`` or ``watermarks``."""
    text: str
    """What happened and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and what led to it."""

    action: Action
    """What to do."""
    reason: str
    """Why, in words."""
    level: MemoryLevel
    """The level that decided."""
    marks: Watermarks
    """Its watermarks."""
    credit: int
    """Bytes that are charged, but count as free."""
    pages: int = 0
    """Objects to reclaim."""
    deficit: int = 0
    """Bytes from what is free up to *high*."""
    priority: int = DEF_PRIORITY
    """The priority to start at."""
    weight: int | None = None
    """What all caches held, in pages, where it was counted."""
    against: int = 0
    """Bytes that caches may be small beside: the deficit, or the whole process."""
    news: tuple[News, ...] = ()
    """What has changed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision."""

    freed: int
    """Objects freed."""
    priority: int
    """The last priority that was walked."""
    after: MemoryLevel
    """The level that decided, afterwards."""
    weight: int | None = None
    """What all caches hold now, in pages, where that is known."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rest:
    """When to look again."""

    until: float | None
    """The time at which to look, at the latest; ``None``: nothing is under way."""
    distance: int | None
    """Bytes to the next watermark that matters; ``None``: none does before then."""
    allowance: int
    """Bytes that caches may grow by before somebody looks."""
    under_pressure: bool
    """Whether caches should stay as they are."""


class Policy:
    """Decides; see the module.

    ``rule`` gives the watermarks for a limit.  ``cooldown`` and ``hold`` are seconds.
    """

    def __init__(
        self,
        rule: Callable[[int], Watermarks] = Watermarks.of,
        *,
        cooldown: float = 1.0,
        hold: float = 5.0,
    ) -> None:
        self._rule = rule
        self._cooldown = cooldown
        self._hold = hold
        self._marks: dict[int, Watermarks] = {}
        self._credit = Credit()
        self._breaker = Breaker()
        self._priority = DEF_PRIORITY
        self._relaxed_at = 0.0
        self._cool_until = 0.0
        self._weigh_at = 0.0
        self._in_episode = False
        self._trouble_at = 0.0
        self._event_until = 0.0
        self._hold_until = 0.0
        self._bytes_per_object = float(PAGE_SIZE)
        self._news: list[News] = []

    @property
    def priority(self) -> int:
        """The priority at which the next reclaim will start, if it starts now."""
        return self._priority

    @property
    def in_episode(self) -> bool:
        """Whether memory is short."""
        return self._in_episode

    @property
    def bytes_per_object(self) -> float:
        """What an object is taken to be worth."""
        return self._bytes_per_object

    def breaker(self, now: float) -> BreakerState:
        """Return how the breaker stands."""
        return self._breaker.state(now)

    def judge(
        self, levels: Sequence[MemoryLevel], weight: int | None = None
    ) -> tuple[MemoryLevel, Watermarks, int]:
        """Return the level that is shortest, its watermarks and its credit.

        Shortest is what stands lowest between its own watermarks.
        """
        found: tuple[MemoryLevel, Watermarks, int] | None = None
        lowest = 0.0
        for level in levels:
            marks = self.watermarks(level)
            credit = self._credit.worth(level, marks, weight)
            height = (level.free + credit - marks.min) / (marks.high - marks.min)
            if found is None or height < lowest:
                found, lowest = (level, marks, credit), height
        if found is None:
            raise ValueError("there must be at least one level")
        return found

    def look(
        self,
        now: float,
        levels: Sequence[MemoryLevel],
        *,
        event: str | None = None,
        weight: int | None = None,
        resident: int = 0,
    ) -> Decision:
        """Decide what the background does.

        ``event`` is what a source said, ``weight`` what all caches hold, in pages,
        ``resident`` the process's own memory in bytes.
        """
        level, marks, credit = self.judge(levels, weight)
        free = level.free + credit
        short, danger = free < marks.low, free < marks.min
        plain = Decision(Action.NOTHING, "", level, marks, credit, weight=weight)
        open_ = self._breaker.state(now) is BreakerState.OPEN
        ready = not open_ and (danger or now >= self._cool_until)
        credit_decides = level.free < marks.low <= free and now >= self._weigh_at
        if weight is None and (credit_decides or ((short or event) and ready)):
            return dataclasses.replace(plain, action=Action.WEIGH)
        if weight is not None:
            self._weigh_at = now + WEIGH_EVERY

        self._advance(now, event=event is not None, short=short, full=free < marks.high)
        if not short and event is None:
            return self._with_news(plain, "all is well")
        what = _say(free, credit, marks, event)
        if not ready:
            why = "the breaker is open" if open_ else "cooling down"
            return self._with_news(plain, f"{what}; {why}")
        assert weight is not None  # noqa: S101 - asked for above
        deficit = max(0, marks.high - free)
        plain = dataclasses.replace(
            plain,
            deficit=deficit,
            priority=self._priority,
            against=max(deficit, resident),
        )
        return self._help(now, plain, what, short=short)

    def _help(self, now: float, plain: Decision, what: str, *, short: bool) -> Decision:
        """Decide how to reclaim, now that it may be done."""
        small = self._small(plain)
        if not short:
            if small:
                return self._with_news(plain, f"{what}; the caches are small")
            return self._act(plain, Action.EASE, 0, what)
        if plain.weight == 0:
            self._trip(now, "the caches are empty, there is nothing left to give")
            return self._with_news(plain, f"{what}; the caches are empty")
        if small:
            pages = -(-(plain.weight or 0) // PROBE)
            return self._act(plain, Action.PROBE, pages, f"{what}; caches are small")
        pages = max(1, int(plain.deficit // self._bytes_per_object))
        return self._act(plain, Action.RECLAIM, pages, what)

    def look_direct(self, now: float, levels: Sequence[MemoryLevel]) -> Decision:
        """Decide what somebody does who has just made a cache grow.

        Counts nothing and changes no state but the credit's: it must be quick.
        """
        level, marks, credit = self.judge(levels)
        free = level.free + credit
        plain = Decision(Action.NOTHING, "all is well", level, marks, credit)
        if free >= marks.low:
            return plain
        what = _say(free, credit, marks, None)
        if free >= marks.min:
            return dataclasses.replace(plain, action=Action.WAKE, reason=what)
        if self._breaker.state(now) is BreakerState.OPEN:
            return dataclasses.replace(plain, reason=f"{what}; the breaker is open")
        deficit = marks.high - free
        return dataclasses.replace(
            plain,
            action=Action.RECLAIM,
            reason=what,
            deficit=deficit,
            pages=max(1, min(int(deficit // self._bytes_per_object), DIRECT_PAGES)),
            priority=self._priority,
        )

    def reclaimed(
        self, now: float, decision: Decision, outcome: Outcome
    ) -> tuple[News, ...]:
        """Take note of what came of a decision; returns what has changed."""
        freed = outcome.freed
        self._learn(freed, decision.level.used - outcome.after.used)
        marks = self.watermarks(outcome.after)
        kept = kept_bytes(decision, outcome)
        old = self._credit.worth(outcome.after, marks)
        self._credit.grant(kept + old, outcome.after, marks, outcome.weight)
        self._cool_until = now + self._cooldown
        if decision.action is Action.PROBE and self._small(decision):
            self._trip(now, "the caches are small beside what is needed")
        elif freed:
            if self._breaker.succeeded():
                self._tell("breaker closed", "reclaim brings something again")
        elif outcome.priority == 0 and self._breaker.failed(now):
            self._tell_open("several reclaims in a row have freed nothing")
        news, self._news = tuple(self._news), []
        return news

    def rest(self, now: float, levels: Sequence[MemoryLevel]) -> Rest:
        """Return when to look again, and what caches may do until then."""
        level, marks, credit = self.judge(levels)
        free = level.free + credit
        least = min(MIB, max(marks.min // 8, 1 << 16))
        times = []
        distance: int | None = free - marks.low
        if free < marks.low:
            if self._breaker.state(now) is BreakerState.OPEN:
                times.append(self._breaker.until)
                distance = None
            elif free >= marks.min:
                distance = free - marks.min
                times.append(max(now, self._cool_until))
        elif level.free < marks.low:
            times.append(max(now, self._weigh_at))
        if self._in_episode and free >= marks.low:
            times.append(max(self._trouble_at + self._hold, self._event_until))
        elif now < self._hold_until:
            times.append(self._hold_until)
        return Rest(
            until=min(times, default=None),
            distance=distance,
            # Half of what is really free at most: a credit may be mistaken.
            allowance=max(least, min(free - marks.min, level.free) // 2),
            under_pressure=(
                self._in_episode
                or now < self._hold_until
                or level.free < marks.min  # Whatever is credited on top.
            ),
        )

    def watermarks(self, level: MemoryLevel) -> Watermarks:
        """Return the watermarks of a level."""
        marks = self._marks.get(level.limit)
        if marks is None:
            marks = self._rule(level.limit)
            if not marks.fits(level.limit):
                marks = Watermarks.of(level.limit)
                text = f"do not fit {level.where} of {level.limit} bytes: using {marks}"
                self._tell("watermarks", f"the given watermarks {text}")
            if len(self._marks) >= 16:  # noqa: PLR2004 - limits may change for ever
                self._marks.clear()
            self._marks[level.limit] = marks
        return marks

    def _advance(self, now: float, *, event: bool, short: bool, full: bool) -> None:
        """Enter or leave an episode, and relax the priority where all is quiet."""
        if event:
            self._event_until = now + self._hold
        if event or short:
            if not self._in_episode:
                self._relax(now)
            self._in_episode = True
            self._trouble_at = self._relaxed_at = now
            return
        self._relax(now)
        if not self._in_episode or now < self._event_until:
            return
        quiet = now >= self._trouble_at + self._hold
        if quiet or not full:
            self._in_episode = False
            self._hold_until = now if quiet else now + self._hold

    def _relax(self, now: float) -> None:
        steps = int((now - self._relaxed_at) // RELAX)
        if steps > 0:
            self._priority = min(DEF_PRIORITY, self._priority + steps)
            self._relaxed_at += steps * RELAX

    def _act(self, plain: Decision, action: Action, pages: int, why: str) -> Decision:
        self._priority = max(0, self._priority - 1)
        decision = dataclasses.replace(plain, action=action, pages=pages)
        return self._with_news(decision, why)

    def _learn(self, freed: int, fell: int) -> None:
        if not freed or max(fell, freed * PAGE_SIZE) < TELLING:
            return
        seen = min(max(fell / freed, PAGE_SIZE), DEAREST)
        self._bytes_per_object += (seen - self._bytes_per_object) / 2

    def _small(self, decision: Decision) -> bool:
        held = (decision.weight or 0) * self._bytes_per_object
        return held * SMALL < decision.against

    def _trip(self, now: float, why: str) -> None:
        if self._breaker.trip(now):
            self._tell_open(why)

    def _tell_open(self, why: str) -> None:
        text = f"{why}; trying again from time to time"
        self._tell("breaker opened", text)

    def _tell(self, kind: str, text: str) -> None:
        self._news.append(News(kind, text))

    def _with_news(self, decision: Decision, reason: str) -> Decision:
        news, self._news = tuple(self._news), []
        return dataclasses.replace(decision, reason=reason, news=news)


def kept_bytes(decision: Decision, outcome: Outcome) -> int:
    """Return the bytes that were freed and are still charged to the process."""
    fell = decision.level.used - outcome.after.used
    return max(0, outcome.freed * PAGE_SIZE - max(0, fell))


def _say(free: int, credit: int, marks: Watermarks, event: str | None) -> str:
    """Say where memory stands."""
    said = f"{free / MIB:.1f} MiB free"
    if credit:
        said += f" ({credit / MIB:.1f} of it kept by the allocator)"
    for name in ("min", "low", "high"):
        mark = getattr(marks, name)
        if free < mark:
            said += f", below {name} ({mark / MIB:.1f} MiB)"
            break
    return f"{event}; {said}" if event else said
