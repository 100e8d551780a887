"""``Policy``: what to do about memory, as a machine of states without side effects.

It has no thread, no clock and reads no file: ``look`` is told the time, the levels of
memory and what a pressure source said, and answers with a ``Decision``; who carries it
out tells ``reclaimed`` what came of it; ``rest`` says when to look again.

- *Shortage.*  Free memory (and what counts as such, see ``credit``) is below *low*:
  reclaim the deficit up to *high*.  It is an *episode* until *high* is reached, or
  nothing has happened for ``hold`` seconds.
- *Event.*  A source says that memory is short while it is not by our figures: reclaim
  one object.  Above *high* that is all, since it may be others who stall; below, it is
  an episode, too.
- *Priority* starts at 12 for both.  It is one more urgent after a shortage whose
  deficit was not covered, and 12 again after one that was: the ladder gets urgent by
  itself.  It is one more urgent after each event; see ``urgency``.
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
from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE
from shrinker.pressure.breaker import Breaker, BreakerState
from shrinker.pressure.credit import Credit
from shrinker.pressure.decisions import (
    Action,
    Decision,
    News,
    Outcome,
    Rest,
    kept_bytes,
)
from shrinker.pressure.urgency import Urgency
from shrinker.pressure.watermarks import Watermarks
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shrinker.pressure.memory import MemoryLevel

__all__ = ["Action", "Decision", "News", "Outcome", "Policy", "Rest", "kept_bytes"]

MIB = 1 << 20
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


class Policy:
    """Decides; see the module.

    ``rule`` gives the watermarks for a limit.  ``cooldown`` and ``hold`` are seconds.
    """

    def __init__(
        self,
        rule: Callable[[int], Watermarks] = Watermarks.of,
        *,
        cooldown: float = 0.2,
        hold: float = 0.5,
    ) -> None:
        self._rule = rule
        self._cooldown = cooldown
        self._hold = hold
        self._marks: dict[int, Watermarks] = {}
        self._credit = Credit()
        self._breaker = Breaker()
        self._shortages = Urgency()
        self._events = Urgency()
        self._cool_until = 0.0
        self._weigh_at = 0.0
        self._in_episode = False
        self._trouble_at = 0.0
        self._event_until = 0.0
        self._hold_until = 0.0
        self._bytes_per_object = float(PAGE_SIZE)
        self._worth_known = False
        self._news: list[News] = []

    @property
    def priority(self) -> int:
        """The priority at which a shortage would start to reclaim, if it were now."""
        return self._shortages.priority

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

        heard = event is not None
        self._relax(now, event=heard, short=short)
        self._advance(now, event=heard, short=short, below_high=free < marks.high)
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
            priority=(self._shortages if short else self._events).priority,
            against=max(deficit, resident),
        )
        return self._help(now, plain, what, short=short)

    def _help(self, now: float, plain: Decision, what: str, *, short: bool) -> Decision:
        """Decide how to reclaim, now that it may be done."""
        small = self._small(plain)
        if not short:
            return self._ease(plain, what, small=small)
        if plain.weight == 0:
            self._trip(now, "the caches are empty, there is nothing left to give")
            return self._with_news(plain, f"{what}; the caches are empty")
        if small:
            pages = -(-(plain.weight or 0) // PROBE)
            action, what = Action.PROBE, f"{what}; caches are small"
        else:
            pages, action = self._pages(plain.deficit), Action.RECLAIM
        self._shortages.rise()  # Until it is seen that the deficit was covered.
        decision = dataclasses.replace(plain, action=action, pages=pages)
        return self._with_news(decision, what)

    def _ease(self, plain: Decision, what: str, *, small: bool) -> Decision:
        """Decide what an event brings that is no shortage."""
        if plain.weight == 0:
            return self._with_news(plain, f"{what}; the caches are empty")
        priority = plain.priority
        if small:
            if self._worth_known:
                return self._with_news(plain, f"{what}; the caches are small")
            priority = DEF_PRIORITY  # They have little that could be shown to be much.
        else:
            self._events.rise()
        decision = dataclasses.replace(
            plain, action=Action.EASE, pages=1, priority=priority
        )
        return self._with_news(decision, what)

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
            pages=min(self._pages(deficit), DIRECT_PAGES),
            priority=self._shortages.priority,
        )

    def reclaimed(
        self, now: float, decision: Decision, outcome: Outcome
    ) -> tuple[News, ...]:
        """Take note of what came of a decision; returns what has changed."""
        freed = outcome.freed
        if decision.action is Action.RECLAIM and freed >= self._pages(decision.deficit):
            self._shortages.fall()
        self._learn(freed, decision.level.used - outcome.after.used)
        marks = self.watermarks(outcome.after)
        kept = kept_bytes(decision, outcome)
        old = self._credit.worth(outcome.after, marks)
        self._credit.grant(kept + old, outcome.after, marks, outcome.weight)
        self._cool_until = now + self._cooldown
        if decision.action is Action.PROBE and freed:
            self._worth_known = True
            if self._small(decision):
                self._trip(now, "the caches are small beside what is needed")
                freed = 0
        if freed:
            if self._breaker.succeeded():
                self._tell("breaker closed", "reclaim brings something again")
        elif self._fruitless(decision, outcome) and self._breaker.failed(now):
            self._tell_open(self._nothing(decision.weight))
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

    def known(self, level: MemoryLevel) -> Watermarks | None:
        """Return the watermarks of a level that was looked at, changing nothing."""
        return self._marks.get(level.limit)

    def watermarks(self, level: MemoryLevel) -> Watermarks:
        """Return the watermarks of a level."""
        marks = self._marks.get(level.limit)
        if marks is None:
            marks, wrong = Watermarks.by(self._rule, level.limit)
            if wrong:
                text = f"{wrong} {level.where} of {level.limit} bytes: using {marks}"
                self._tell("watermarks", f"the given watermarks {text}")
            if len(self._marks) >= 16:  # noqa: PLR2004 - limits may change for ever
                self._marks.clear()
            self._marks[level.limit] = marks
        return marks

    def _advance(
        self, now: float, *, event: bool, short: bool, below_high: bool
    ) -> None:
        """Enter or leave an episode."""
        event = event and below_high
        if event:
            self._event_until = now + self._hold
        if event or short:
            self._in_episode = True
            self._trouble_at = now
            return
        if not self._in_episode or now < self._event_until:
            return
        quiet = now >= self._trouble_at + self._hold
        if quiet or not below_high:
            self._in_episode = False
            self._hold_until = now if quiet else now + self._hold

    def _relax(self, now: float, *, event: bool, short: bool) -> None:
        for urgency, disturbed in ((self._shortages, short), (self._events, event)):
            urgency.relax(now)
            if disturbed:
                urgency.disturb(now)

    def _pages(self, deficit: int) -> int:
        """Return how many objects make up for it."""
        return max(1, int(deficit // self._bytes_per_object))

    def _learn(self, freed: int, fell: int) -> None:
        if not freed or max(fell, freed * PAGE_SIZE) < TELLING:
            return
        self._worth_known = True
        seen = min(max(fell / freed, PAGE_SIZE), DEAREST)
        self._bytes_per_object += (seen - self._bytes_per_object) / 2

    def _small(self, decision: Decision) -> bool:
        held = (decision.weight or 0) * self._bytes_per_object
        return held * SMALL < decision.against

    def _fruitless(self, decision: Decision, outcome: Outcome) -> bool:
        """Return whether nothing came of asking everybody for everything.

        Not of an event: there was no need, and when there is, that is tried first.
        """
        return (
            not outcome.freed
            and outcome.priority == 0
            and decision.action is not Action.EASE
        )

    def _nothing(self, weight: int | None) -> str:
        said = "reclaim freed nothing"
        if weight is not None:
            said += f" of {weight:,} objects"
        return (
            said if self._worth_known else f"{said} (give unweighed caches a weigher)"
        )

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


def _say(free: int, credit: int, marks: Watermarks, event: str | None) -> str:
    """Say where memory stands."""
    said = f"{free / MIB:.1f} MiB free"
    if credit:
        said += f" ({credit / MIB:.1f} of it kept by the allocator)"
    for name in ("min", "low", "high"):
        mark = getattr(marks, name)
        if free < mark:
            said += f", below {name} ({mark / MIB:.1f})"
            break
    return f"{event}; {said}" if event else said
