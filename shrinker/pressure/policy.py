"""``Policy``: what to do about memory, as a state machine without side effects.

It has no thread and no clock, and reads no file.  ``decide`` is told the time, the
levels of memory and what a pressure source said, and returns a ``Decision``.  The
caller carries it out and reports to ``reclaimed`` what came of it.  ``next_look`` says
when to look again.

- *Shortage*: free memory (with the credit, see ``estimates``) is below *low*.  Reclaim
  the deficit, up to *high*.  This is an *episode* until *high* is reached, or until
  nothing has happened for ``hold`` seconds.
- *Event*: a source says that memory is short, the figures do not.  Reclaim one object.
  Above *high* that is all, since other processes may stall; below, an episode begins.
- *Priority* starts at 12 for both.  After a shortage whose deficit was not covered it
  is one more urgent, after one that was covered it is 12 again: the walk gets more
  urgent by itself.  After each event it is one more urgent (``backoff.Urgency``).
- *Reach*: where *high* could not be reached with all caches empty, *low* and *high*
  come down (``Watermarks.within``), so that caches are not emptied for nothing.
- *Cool-down*: figures lag behind a reclaim.  For a while after it, only falling below
  *min* leads to the next one.
- *Breaker*: where reclaim frees nothing, or caches that are small beside the process
  have given all below *min*, it would empty useful caches again and again for no gain.

Caches that weigh their entries count in pages of 4 KiB, others count entries.  What an
object is worth is learned from how much memory fell by what was freed.  It is at least
a page: where memory fell by less, the allocator kept the rest.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING

from shrinker.growth import PAGE_SIZE
from shrinker.pressure.backoff import Breaker, BreakerState, Urgency
from shrinker.pressure.decisions import (
    Action,
    Change,
    Decision,
    NextLook,
    ReclaimOutcome,
    kept_bytes,
)
from shrinker.pressure.estimates import Credit
from shrinker.pressure.watermarks import Watermarks
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shrinker.pressure.limits.memory import MemoryLevel

__all__ = ["Policy"]

MIB = 1 << 20
SMALL_CACHE_DIVISOR = 100
"""Caches are small where they hold less than the process or the deficit by this."""
REGROWN = 2
"""Below *min*, small caches are asked again at so many times what counts as small."""
FIRST_SHARE_DIVISOR = 4
"""The first reclaim asks for one object in so many at most, to see what it is worth."""
UNKNOWN_BYTES_PER_OBJECT = MIB
"""What an object may be worth, as long as no reclaim has shown it: rather too much, so
that caches are asked once before they are taken to be small."""
MAX_BYTES_PER_OBJECT = 1024 * PAGE_SIZE
MIN_LEARNING_BYTES = MIB
"""Memory must fall by so much before anything is learned from it."""
MAX_DIRECT_OBJECTS = 2048
"""What direct reclaim asks for at most.  As pages it is 8 MiB, eight times the largest
allowance below *min*, so caches shrink even if all their users insert at once.  For
entries of 100 bytes it is some 80,000, a few tens of milliseconds."""
COUNT_PERIOD_SECONDS = 1.0
"""How often all caches are counted where only the credit needs it."""
MIN_ALLOWANCE_BYTES, MAX_ALLOWANCE_BELOW_MIN_BYTES = 1 << 16, MIB
"""Below *min* an eighth of it may be added before the next look, within these."""
LOWERED_SECONDS = 60.0
"""Watermarks must have been within reach for so long before that is said again."""
_NOTHING_ELSEWHERE: Mapping[str, int] = MappingProxyType({})
MAX_KNOWN_LIMITS = 16
"""A limit may change without end; watermarks are kept for so many."""


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
        self._tripped_as_small = False
        self._shortages = Urgency()
        self._events = Urgency()
        self._cool_until = 0.0
        self._used_after = ("", 0)
        self._count_at = 0.0
        self._in_episode = False
        self._trouble_at = 0.0
        self._event_until = 0.0
        self._hold_until = 0.0
        self._bytes_per_object = float(PAGE_SIZE)
        self._worth_known = False
        # Where caches were counted last, and what would be free there without them.
        self._reach = ("", 0)
        self._lowered = False
        self._lowered_until = 0.0
        self._changes: list[Change] = []

    @property
    def priority(self) -> int:
        """The priority at which a shortage would start to reclaim now."""
        return self._shortages.priority

    @property
    def in_episode(self) -> bool:
        """Whether memory is short."""
        return self._in_episode

    @property
    def bytes_per_object(self) -> float:
        """What an object is believed to be worth."""
        return self._bytes_per_object

    def breaker(self, now: float) -> BreakerState:
        """Return the breaker's state."""
        return self._breaker.state(now)

    def shortest(
        self, levels: Sequence[MemoryLevel], weight: int | None = None
    ) -> tuple[MemoryLevel, Watermarks, int]:
        """Return the level that is shortest, its watermarks and its credit.

        That is the level which stands lowest between its own watermarks.
        """
        found: tuple[MemoryLevel, Watermarks, int] | None = None
        lowest = 0.0
        for level in levels:
            marks = self._marks_within_reach(level)
            credit = self._credit.worth(level, marks, weight)
            height = (level.free + credit - marks.min) / (marks.high - marks.min)
            if found is None or height < lowest:
                found, lowest = (level, marks, credit), height
        if found is None:
            raise ValueError("there must be at least one level")
        return found

    def decide(
        self,
        now: float,
        levels: Sequence[MemoryLevel],
        *,
        event: str | None = None,
        weight: int | None = None,
        resident: int = 0,
        asked: bool = False,
        elsewhere: Mapping[str, int] = _NOTHING_ELSEWHERE,
    ) -> Decision:
        """Decide what the background does.

        ``event`` is what a source said, ``weight`` what all caches hold, in pages,
        ``resident`` the process's own memory in bytes.  ``asked`` says that another
        worker found memory short and asks this one for its part, ``elsewhere`` how many
        bytes the caches of the other workers hold under each level.
        """
        level, marks, credit = self.shortest(levels, weight)
        free = level.free + credit
        if weight is not None:
            self._count_at = now + COUNT_PERIOD_SECONDS
            marks = self._measure_reach(
                now, level, free + elsewhere.get(level.where, 0), weight
            )
        short, danger = free < marks.low or asked, free < marks.min
        plain = Decision(Action.NOTHING, "", level, marks, credit, weight=weight)
        open_ = self._breaker.state(now) is BreakerState.OPEN
        ask = open_ and danger and self._tripped_as_small
        if ask and weight is not None:
            held = weight * self._bytes_per_object
            compared = max(marks.high - free, resident)
            open_ = held * SMALL_CACHE_DIVISOR < REGROWN * compared
        ready = not open_ and (danger or self._is_cool(now, level, marks))
        count_due = now >= self._count_at and self._count_decides(level, free)
        if weight is None and (count_due or ask or ((short or event) and ready)):
            return dataclasses.replace(plain, action=Action.COUNT)

        heard = event is not None
        self._relax(now, event=heard, short=short)
        self._advance(now, event=heard, short=short, below_high=free < marks.high)
        if not short and event is None:
            return self._with_changes(plain, "all is well")
        what = _describe(free, credit, marks, event)
        if asked and free >= marks.low:
            what += ", another worker asks for a part"
        if not ready:
            why = "the breaker is open" if open_ else "cooling down"
            return self._with_changes(plain, f"{what}; {why}")
        deficit = max(0, marks.high - free)
        plain = dataclasses.replace(
            plain,
            deficit=deficit,
            priority=(self._shortages if short else self._events).priority,
            compared_with=max(deficit, resident),
        )
        if short:
            return self._relieve_shortage(now, plain, what)
        return self._answer_event(plain, what)

    def _is_cool(self, now: float, level: MemoryLevel, marks: Watermarks) -> bool:
        """Return whether the cool-down is over, or memory use has grown since."""
        where, used = self._used_after
        grown = where == level.where and level.used > used + marks.min // 4
        return grown or now >= self._cool_until

    def _relieve_shortage(self, now: float, plain: Decision, what: str) -> Decision:
        if plain.weight == 0:
            self._trip(now, "the caches are empty, there is nothing left to give")
            self._tripped_as_small = True
            return self._with_changes(plain, f"{what}; the caches are empty")
        self._shortages.rise()  # Until the deficit is known to be covered.
        pages = self._pages(plain.deficit)
        in_danger = plain.level.free + plain.credit < plain.marks.min
        if not self._worth_known and not in_danger:
            # A few objects may be worth the whole deficit: find out first.
            pages = min(pages, -(-(plain.weight or 0) // FIRST_SHARE_DIVISOR))
        decision = dataclasses.replace(plain, action=Action.RECLAIM, objects=pages)
        return self._with_changes(decision, what)

    def _answer_event(self, plain: Decision, what: str) -> Decision:
        if plain.weight == 0:
            return self._with_changes(plain, f"{what}; the caches are empty")
        priority = plain.priority
        if self._small(plain):
            if self._worth_known:
                return self._with_changes(plain, f"{what}; the caches are small")
            priority = DEF_PRIORITY  # Too small to be worth asking harder.
        else:
            self._events.rise()
        decision = dataclasses.replace(
            plain, action=Action.EASE, objects=1, priority=priority
        )
        return self._with_changes(decision, what)

    def narrow(self, decision: Decision, part: int) -> Decision:
        """Return a reclaim of this worker's part, in bytes, of a shared shortage."""
        if part <= 0:
            self._shortages.reset()  # Others cover the deficit.
            reason = f"{decision.reason}; other workers free it"
            return dataclasses.replace(
                decision, action=Action.NOTHING, objects=0, reason=reason
            )
        pages = min(decision.objects, self._pages(part))
        return dataclasses.replace(decision, deficit=part, objects=pages)

    def decide_direct(self, now: float, levels: Sequence[MemoryLevel]) -> Decision:
        """Decide what a thread does that has just made a cache grow.

        This must be quick: it counts nothing and changes no state but the credit's.
        """
        level, marks, credit = self.shortest(levels)
        free = level.free + credit
        plain = Decision(Action.NOTHING, "all is well", level, marks, credit)
        if free >= marks.low:
            return plain
        what = _describe(free, credit, marks, None)
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
            objects=min(self._pages(deficit), MAX_DIRECT_OBJECTS),
            priority=self._shortages.priority,
        )

    def reclaimed(
        self, now: float, decision: Decision, outcome: ReclaimOutcome
    ) -> tuple[Change, ...]:
        """Learn what came of a decision; returns what has changed."""
        freed = outcome.freed
        if decision.action is Action.RECLAIM and freed >= self._pages(decision.deficit):
            self._shortages.reset()
        self._learn(freed, outcome.fell)
        marks = self._marks_within_reach(outcome.after)
        kept = kept_bytes(outcome)
        old = self._credit.worth(outcome.after, marks)
        self._credit.grant(kept + old, outcome.after, marks, outcome.weight)
        if decision.action is Action.EASE or decision.objects >= self._pages(
            decision.deficit
        ):  # Otherwise it was a test of what objects are worth: more is to be freed.
            self._cool_until = now + self._cooldown
            self._used_after = (outcome.after.where, outcome.after.used)
        if freed and decision.action is Action.RECLAIM:
            self._worth_known = True
        asked_for_all = (
            decision.action is Action.RECLAIM
            and outcome.priority == 0
            and not outcome.held
        )
        if freed and asked_for_all and decision.weight and self._small(decision):
            self._trip(now, "the caches are small beside what is needed")
            self._tripped_as_small = True
            freed = 0
        if freed:
            self._tripped_as_small = False
            if self._breaker.succeeded():
                self._tell("breaker closed", "reclaim frees memory again")
        elif self._fruitless(decision, outcome) and self._breaker.failed(now):
            self._tell_open(self._freed_nothing(decision.weight))
        return self._take_changes()

    def next_look(self, now: float, levels: Sequence[MemoryLevel]) -> NextLook:
        """Return when to look again, and what caches may do until then."""
        level, marks, credit = self.shortest(levels)
        free = level.free + credit
        least = max(marks.min // 8, MIN_ALLOWANCE_BYTES)
        least = min(least, MAX_ALLOWANCE_BELOW_MIN_BYTES)
        times = []
        distance: int | None = free - marks.low
        if free < marks.low:
            is_open = self._breaker.state(now) is BreakerState.OPEN
            if free >= marks.min:  # Caches may fill also while the breaker is open.
                distance = free - marks.min
            elif is_open:
                distance = None
                if self._tripped_as_small:
                    times.append(now + self._cooldown)
            if is_open:
                times.append(self._breaker.until)
            elif free >= marks.min:
                times.append(max(now, self._cool_until))
        elif self._count_decides(level, free):
            times.append(max(now, self._count_at))
        if self._in_episode and free >= marks.low:
            times.append(max(self._trouble_at + self._hold, self._event_until))
        elif now < self._hold_until:
            times.append(self._hold_until)
        return NextLook(
            until=min(times, default=None),
            distance=distance,
            # Half, since threads that use it up at once take up to twice as much.  The
            # credit may be wrong, so it adds up to a quarter of what is really free.
            allowance=max(
                least,
                (level.free - marks.min) // 2,
                min(free - marks.min, level.free // 2) // 2,
            ),
            under_pressure=self._caches_must_not_grow(now, level, marks),
        )

    def _caches_must_not_grow(
        self, now: float, level: MemoryLevel, marks: Watermarks
    ) -> bool:
        if level.free < marks.min:  # Without the credit.
            return True
        # Where reclaim has shown that it cannot help, empty caches would not either.
        helpless = self._breaker.state(now) is not BreakerState.CLOSED
        return not helpless and (self._in_episode or now < self._hold_until)

    def _measure_reach(
        self, now: float, level: MemoryLevel, free: int, weight: int
    ) -> Watermarks:
        """Learn how much could be free at this level; return the marks to go by.

        Where that goes up and down, a low one is said once.
        """
        worth = self._bytes_per_object
        if not self._worth_known:
            worth = max(worth, UNKNOWN_BYTES_PER_OBJECT)
        self._reach = (level.where, free + int(weight * worth))
        plain, marks = self.watermarks(level), self._marks_within_reach(level)
        lowered = marks != plain
        if lowered:
            self._lowered_until = now + LOWERED_SECONDS
        if lowered != self._lowered and (lowered or now >= self._lowered_until):
            self._lowered = lowered
            self._tell("watermarks", _describe_reach(self._reach[1], plain, marks))
        return marks

    def _marks_within_reach(self, level: MemoryLevel) -> Watermarks:
        """Return the watermarks to go by at a level."""
        marks = self.watermarks(level)
        where, reach = self._reach
        return marks.within(reach) if where == level.where else marks

    def _count_decides(self, level: MemoryLevel, free: int) -> bool:
        """Return whether caches must be counted to know if memory is short.

        That is so where it is short but for the credit, or for what is out of reach.
        """
        marks, plain = self._marks_within_reach(level), self.watermarks(level)
        return marks.low <= free and (level.free < marks.low or free < plain.low)

    def known_watermarks(self, level: MemoryLevel) -> Watermarks | None:
        """Return the watermarks of a level that was looked at, changing nothing."""
        return self._marks.get(level.limit)

    def watermarks(self, level: MemoryLevel) -> Watermarks:
        """Return the watermarks of a level."""
        marks = self._marks.get(level.limit)
        if marks is None:
            marks, wrong = Watermarks.by(self._rule, level.limit)
            if wrong:
                whose = "usual" if self._rule == Watermarks.of else "given"
                text = f"{wrong} {level.where} of {level.limit} bytes: using {marks}"
                self._tell("watermarks", f"the {whose} watermarks {text}")
            if len(self._marks) >= MAX_KNOWN_LIMITS:
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
        """Return how many objects cover a deficit."""
        return max(1, int(deficit // self._bytes_per_object))

    def _learn(self, freed: int, fell: int) -> None:
        if not freed or max(fell, freed * PAGE_SIZE) < MIN_LEARNING_BYTES:
            return
        self._worth_known = True
        seen = min(max(fell / freed, PAGE_SIZE), MAX_BYTES_PER_OBJECT)
        self._bytes_per_object += (seen - self._bytes_per_object) / 2

    def _small(self, decision: Decision) -> bool:
        held = (decision.weight or 0) * self._bytes_per_object
        return held * SMALL_CACHE_DIVISOR < decision.compared_with

    def _fruitless(self, decision: Decision, outcome: ReclaimOutcome) -> bool:
        """Return whether all caches were asked for everything and freed nothing.

        An event does not count: no memory was needed, and a shortage will try first.
        Nor does a cache whose lock was taken: it could not be asked.
        """
        return (
            not outcome.freed
            and not outcome.held
            and outcome.priority == 0
            and decision.action is not Action.EASE
        )

    def _freed_nothing(self, weight: int | None) -> str:
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
        self._tell("breaker opened", f"{why}; trying again from time to time")

    def _tell(self, kind: str, text: str) -> None:
        self._changes.append(Change(kind, text))

    def _take_changes(self) -> tuple[Change, ...]:
        changes, self._changes = tuple(self._changes), []
        return changes

    def _with_changes(self, decision: Decision, reason: str) -> Decision:
        changes = self._take_changes()
        return dataclasses.replace(decision, reason=reason, changes=changes)


def _describe_reach(reach: int, plain: Watermarks, marks: Watermarks) -> str:
    """Return a text that says by which watermarks it goes from now on."""
    can = f"without caches {reach / MIB:.1f} MiB would be free"
    low, high = marks.low / MIB, marks.high / MIB
    if marks == plain:
        return f"{can}: going by low {low:.1f}, high {high:.1f} MiB again"
    return f"{can}, too little for high: going by low {low:.1f}, high {high:.1f} MiB"


def _describe(free: int, credit: int, marks: Watermarks, event: str | None) -> str:
    """Return a text that says where memory stands."""
    said = f"{free / MIB:.1f} MiB free"
    if credit:
        said += f" ({credit / MIB:.1f} of it kept by the allocator)"
    for name in ("min", "low", "high"):
        mark = getattr(marks, name)
        if free < mark:
            said += f", below {name} ({mark / MIB:.1f})"
            break
    return f"{event}; {said}" if event else said
