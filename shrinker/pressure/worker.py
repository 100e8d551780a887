"""``Worker``: one look at the memory, and what follows from it, in any thread.

It reads the levels, asks the policy, calls the caches, gives memory back and writes the
record.  It is used by the background thread, by callers of ``Reclaimer.look()``, and by
threads in the middle of an insert (``direct``).

One thread at a time changes the policy's state: the one that has the *turn*.  The turn
is a plain flag, tested and set without a call in between, so neither another thread nor
a signal handler comes in.  A thread that inserts needs no turn to ask the policy.  What
it has to report it leaves for the next thread that has the turn.  Other threads wait a
moment for the turn, then take it: a turn held longer belongs to a thread that no longer
exists.  Files are read and callbacks run without the turn.

Calling a cache gives the GIL up, as a slow file does.  Beside busy threads it comes
back a switch interval (5 ms) later for each of them, and they may fill all that is free
in the time of one look.  Therefore

- figures are read with the GIL held (``kernel_file``);
- each thread that uses up the allowance looks itself, which slows it down;
- a look that begins leaves half of the allowance to the other threads, so that all
  together get no more than there was;
- figures that were read before a later look began may lower the allowance; only the
  latest may raise it;
- caches that report too little are allowed less (``GrowthEstimate``).
"""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from shrinker._names import printable
from shrinker.errors import CallbackErrors, ShrinkerError
from shrinker.growth import PAGE_SIZE
from shrinker.pressure.decisions import (
    Action,
    Decision,
    NextLook,
    ReclaimOutcome,
    kept_bytes,
)
from shrinker.pressure.estimates import GrowthEstimate
from shrinker.pressure.journal import WARNINGS, ReclaimRecord
from shrinker.pressure.limits.memory import Memory, MemoryLevel
from shrinker.pressure.shared.seats import Seats
from shrinker.pressure.shared.shares import MIN_SEEKS
from shrinker.pressure.turn import Turn
from shrinker.pressure.watched import WatchedCaches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from shrinker.domain import Domain, ReclaimResult
    from shrinker.pressure.decisions import Change
    from shrinker.pressure.journal import Journal
    from shrinker.pressure.policy import Policy
    from shrinker.pressure.trim import Trimmer
    from shrinker.registered import Registered

    Walked = tuple[ReclaimResult, Sequence[BaseException]]
    """What a walk did, and what callbacks raised."""

__all__ = ["TopContributors", "Worker"]

logger = logging.getLogger("shrinker.pressure")

MAX_NAMED_CACHES = 3
"""Caches that a record names."""
MAX_CACHES_ASKED = 100
"""Of more caches none is named: it takes too long, and each frees little."""

COUNT_PERIOD_SECONDS = 1.0
"""How often all caches are counted for the other workers."""

MAX_REPEATS = 8
"""Walks in a row at one priority that may scan enough and yet free little."""

MIB = 1 << 20

Levels = tuple[MemoryLevel, ...]


class Reading(NamedTuple):
    """When memory was read."""

    number: int
    """Of this worker's readings."""
    added: int
    """``Growth.added()`` just before."""


class Worker:
    """Looks and acts for one reclaimer."""

    def __init__(
        self,
        domain: Domain,
        memory: Memory,
        policy: Policy,
        trimmer: Trimmer,
        journal: Journal,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.domain = domain
        self.memory = memory
        self.policy = policy
        self.trimmer = trimmer
        self.journal = journal
        self.clock = clock
        self.seats = Seats(memory._shared_root)
        self.growth_estimate = GrowthEstimate()
        self.watched = WatchedCaches(self)
        self.watching = False
        """Whether this worker sets the domain's allowance."""
        self.looks = 0
        self.events = 0
        """Events that the pressure source had."""
        self.failures = 0
        """Looks that have failed."""
        self.seen = MemoryLevel("", 0, 0, 0)
        """The level that decided last."""
        self.levels: Levels = ()
        """All levels, as they were read last."""
        self.next_look = NextLook(None, None, 0, under_pressure=False)
        """What followed from them."""
        self.credit = 0
        self.policy_turn = Turn()
        """Of threads that tell the policy what is, or what came of a reclaim."""
        self.look_turn = Turn()
        """Of whole looks: what one reclaims, the next one must know of."""
        self.giveable = 0.0
        """Objects that all caches give under the formula at priority 0."""
        self._counted_at = -math.inf
        self._readings = 0
        self._added = 0
        # What came of reclaims whose threads did not have the turn to report it.
        self.unreported: collections.deque[tuple[float, Decision, ReclaimOutcome]] = (
            collections.deque()
        )

    def prepare(self) -> None:
        """Open what looks read, and find what they call.

        For the thread that starts the reclaimer.  Each file that is opened gives the
        GIL up: beside threads that fill caches a first look would take 0.1 s.
        """
        with contextlib.suppress(Exception):  # The first look meets it again.
            levels = self.memory.levels()
            self.memory.resident()
            self.trimmer.prepare()
            worth = self.policy.bytes_per_object
            self.seats.look(self.clock(), levels, worth, levels[0].where, 0)

    def after_fork(self) -> None:
        """Be usable in the child: threads that had a turn may not exist there."""
        self.policy_turn.owner = self.look_turn.owner = None

    def reclaim_if_short(
        self, trigger: str, event: str | None = None
    ) -> ReclaimRecord | None:
        """Look, act, and return the record where something was done.

        Waits for the look of another thread first, or both would free the whole
        deficit.

        Raises ``KeyboardInterrupt`` and ``SystemExit`` from callbacks, after everything
        else is done; ``ShrinkerError`` when the domain is closed.
        """
        try:
            with self.look_turn:
                return self._look(trigger, event)
        finally:
            self.watched.looked(self.levels)

    def _look(self, trigger: str, event: str | None) -> ReclaimRecord | None:
        decision = self._decide(event)
        asked = decision.action is Action.NOTHING and self.seats.is_asked(
            self.clock(), decision.level.where, decision.missing
        )
        if asked or decision.action is Action.COUNT:
            decision = self._decide(event, self._count_caches(), asked=asked)
        elif self.seats.have_others():
            self._recount()
        self._record_changes(trigger, decision.changes)
        if decision.action is Action.RECLAIM:
            decision = self._ask_alone(trigger, event, decision)
        if decision.action is Action.NOTHING:
            record = self._trim_late(trigger)
            level, low = decision.level, decision.marks.low
            logger.debug(
                "look (%s): %s [%s: %.1f MiB free, low %.1f]",
                *(trigger, decision.reason, printable(level.where)),
                *(level.free / MIB, low / MIB),
            )
            return record
        return self._reclaim(trigger, decision)

    def _ask_alone(
        self, trigger: str, event: str | None, decision: Decision
    ) -> Decision:
        """Ask some watched caches before the walk; return what is left to be done."""
        fell = self.watched.ask_alone(trigger, decision)
        if fell is None:
            return decision
        self.seats.gave(fell, more=True)
        weight = self._count_caches()
        if self.seats.have_others():  # This worker has its part of the shortage.
            decision = self.policy.narrow(decision, decision.deficit - fell)
        else:
            decision = self._decide(event, weight)
            self._record_changes(trigger, decision.changes)
        if decision.action is not Action.RECLAIM:
            self.seats.gave(0)  # No walk follows to end the part.
        return decision

    def reclaim_below_min(self) -> tuple[bool, ReclaimRecord | None]:
        """Look, having made a cache grow, and reclaim where memory is below *min*.

        Returns whether the background should look too, and the record where something
        was done.  Raises as ``reclaim_if_short`` does.
        """
        levels, reading = self._read()
        self._report_if_free()
        decision = self.policy.decide_direct(self.clock(), levels)
        self._observe(decision, reading)
        self._allow_growth(levels, reading)
        decision = self._take_part(decision, quickly=True)
        if decision.action is not Action.RECLAIM:
            # Where the credit covers it, the allocator keeps what other threads need.
            if decision.level.free < decision.marks.min:
                self.trimmer.trim(self.clock(), urgent=True)
            return decision.action is Action.WAKE, None
        return True, self._reclaim("growth", decision, direct=True)

    # --- asking the policy ------------------------------------------------

    def _decide(
        self, event: str | None, weight: int | None = None, *, asked: bool = False
    ) -> Decision:
        resident = 0 if weight is None else self.watched.own_memory()
        levels, reading = self._read()
        with self.policy_turn:
            self._report()
            decision = self.policy.decide(
                self.clock(),
                levels,
                event=event,
                weight=weight,
                resident=resident,
                asked=asked,
                elsewhere=self.seats.held_by_others(),
            )
            decision = self._take_part(decision)
        self.seats.look(
            self.clock(),
            levels,
            self.policy.bytes_per_object,
            *(decision.level.where, decision.credit),
        )
        if decision.action is not Action.COUNT:
            self._observe(decision, reading)
            self._allow_growth(levels, reading)
        return decision

    def _take_part(self, decision: Decision, *, quickly: bool = False) -> Decision:
        """Narrow a reclaim to this worker's part of a shortage that it shares."""
        if decision.action is not Action.RECLAIM:
            return decision
        level, marks = decision.level, decision.marks
        part = self.seats.take_part(
            self.clock(),
            level,
            decision.deficit,
            short=level.free + decision.credit < marks.low,
            urgent=level.free < marks.min // 2,
            quickly=quickly,
        )
        return decision if part is None else self.policy.narrow(decision, part)

    def _read(self) -> tuple[Levels, Reading]:
        """Read memory; returns also when, in growth."""
        self._readings = number = self._readings + 1
        reading = Reading(number, self.domain._growth.added())
        return self.memory.levels(), reading

    def _observe(self, decision: Decision, reading: Reading) -> None:
        self.looks += 1
        evicting = self.next_look.under_pressure
        reported = (reading.added - self._added) % 2**64
        if reported >= 2**63:  # A look that began later was here first.
            reported = 0
        self._added = reading.added
        self.growth_estimate.observe(decision.level, reported, evicting=evicting)
        self.seen = decision.level
        self.credit = decision.credit

    def _report(self) -> None:
        """Tell the policy what came of reclaims.  Needs the turn."""
        while self.unreported:
            now, decision, outcome = self.unreported.popleft()
            changes = self.policy.reclaimed(now, decision, outcome)
            self._record_changes("growth", changes)

    def _report_if_free(self) -> None:
        """Do as ``_report`` does, unless another thread has the turn."""
        if self.policy_turn.owner is None:
            with self.policy_turn:
                self._report()

    def _allow_growth(self, levels: Levels, reading: Reading) -> None:
        """Tell the caches how much they may grow."""
        next_look = self.policy.next_look(self.clock(), levels)
        growth = self.domain._growth
        pressure = next_look.under_pressure
        if pressure and self._is_protected(levels):
            pressure = False
        allowance = self.growth_estimate.allow(next_look.allowance)
        self.levels = levels
        self.next_look = next_look
        relieved = growth.under_pressure and not pressure
        # No call returns in between, so `unwatch` does not come in between either.
        if self.watching:
            growth.under_pressure = pressure
            growth.allow(
                reading.added, allowance, newest=reading.number == self._readings
            )
            if relieved:
                self._trim_evicted(levels)

    def _is_protected(self, levels: Levels) -> bool:
        """Return whether this worker may grow while richer ones shrink."""
        level, marks, _ = self.policy.shortest(levels)
        return level.free >= marks.min and self.seats.is_protected(level.where)

    def _trim_evicted(self, levels: Levels) -> None:
        """Have memory trimmed, now that caches may grow again.

        Caches that must not grow evict entries without a reclaim, so the trimmer was
        not told of these.
        """
        level, marks, _ = self.policy.shortest(levels)
        if level.free < marks.high:
            self.trimmer.freed_enough()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called by threads that make caches grow too much."""
        self.growth_estimate = GrowthEstimate()
        self._added = self.domain._growth.added()
        # No exception comes between these: a return from Python is no call of C.
        self.domain._growth.watch(watcher)
        self.domain._growth.describe = self._describe_workers
        self.watching = True

    def _describe_workers(self) -> str:
        return self.seats.report(self.clock())

    def unwatch(self) -> None:
        """Let caches grow without a limit."""
        if self.watching:
            # The flag comes last, so that an interrupted call can be made again.
            self.domain._growth.unwatch()
            self.watching = False

    def close(self) -> None:
        """Give back this worker's place among the others.  Idempotent."""
        self.seats.close()

    # --- calling the caches -----------------------------------------------

    def _count_caches(self) -> int:
        """Count what all caches hold, in pages."""
        weight, giveable = 0, 0.0
        for registration in self.domain.shrinkers():
            try:
                count = self.watched.count_now(registration)
                if count is None:
                    count = registration._count_everywhere()
                weight += count
                giveable += 4 * count / max(registration.seeks, MIN_SEEKS)
            except CallbackErrors as errors:
                self._complain(errors.exceptions)
            except ShrinkerError:
                continue  # Closed meanwhile.
        self.giveable, self._counted_at = giveable, self.clock()
        self.seats.counted(weight, giveable)
        return weight

    def _recount(self) -> None:
        """Count now and then: others divide by what this worker says it holds."""
        if self.clock() >= self._counted_at + COUNT_PERIOD_SECONDS:
            self._count_caches()

    def _reclaim(
        self, trigger: str, decision: Decision, *, direct: bool = False
    ) -> ReclaimRecord:
        resident_before = self.memory.resident()
        contributors = TopContributors(() if direct else self.domain.shrinkers())
        began = time.perf_counter()
        interrupt: BaseException | None = None
        raised: dict[tuple[str, type], BaseException] = {}
        freed, priority = 0, decision.priority
        demand = self.watched.demand(decision, direct=direct)
        try:
            with demand.asking():
                for result, errors in self._walks(decision):
                    for error in errors:
                        raised.setdefault(_cause(error), error)
                    freed += result.nr_reclaimed
                    priority = min(priority, result.priority)
        except (KeyboardInterrupt, SystemExit) as error:
            interrupt = error
        finally:
            self.seats.gave(int(freed * self.policy.bytes_per_object))
        self._complain(raised.values())
        level, marks, weight = decision.level, decision.marks, decision.weight
        if not demand.gave_back:
            self.trimmer.freed(freed * PAGE_SIZE)
        urgent = level.free < marks.min // 2
        trimmed = demand.gave_back or (
            (urgent or not direct) and self.trimmer.trim(self.clock(), urgent=urgent)
        )
        duration = time.perf_counter() - began
        resident_after = self.memory.resident()
        levels, reading = self._read()
        outcome = ReclaimOutcome(
            freed=freed,
            priority=priority,
            after=next((x for x in levels if x.where == level.where), levels[-1]),
            fell=resident_before - resident_after,
            weight=None if weight is None else max(0, weight - freed),
            held=demand.held.total(),
        )
        self._added = reading.added
        self.growth_estimate.observe(outcome.after, 0, evicting=True)
        self.unreported.append((self.clock(), decision, outcome))
        nearest = not self.levels or level.where == self.levels[0].where
        record = self._add_record(
            trigger,
            "direct" if direct else decision.action.value,
            decision.reason if nearest else f"{level.where}: {decision.reason}",
            where=level.where,
            limit=level.limit,
            used=level.used,
            free=level.free,
            credit=decision.credit,
            low=marks.low,
            min=marks.min,
            high=marks.high,
            priority_start=decision.priority,
            priority_end=outcome.priority,
            deficit=decision.deficit,
            wanted=decision.objects,
            freed=freed,
            givers=contributors.top(),
            held=self.watched.held(demand),
            used_after=outcome.after.used,
            resident_before=resident_before,
            resident_after=resident_after,
            trimmed=trimmed,
            kept=kept_bytes(outcome),
            duration=duration,
            errors=len(raised),
        )
        if direct:
            self._report_if_free()
        else:
            with self.policy_turn:
                self._report()
        self._allow_growth(levels, reading)
        if interrupt is not None:
            raise interrupt
        return record

    def _walks(self, decision: Decision) -> Iterator[Walked]:
        """Walk until what is wanted is freed, and little more.

        Each walk is at the priority that frees what is still missing, as far as the
        last count tells.  Walks at 12, 11 and so on would free up to twice of that.

        A walk that frees much less is followed by a more urgent one.  But it may have
        scanned entries that got their second chance.  The next walk at the same
        priority may free them; a more urgent one would free all of them at once.  So a
        few walks at the same priority are tried first.
        """
        missing, ceiling = decision.objects, decision.priority
        giveable, ratio = self.giveable, 4 / self.seats.seeks
        if decision.action is not Action.RECLAIM or giveable < missing:
            yield self._walk(missing, ceiling)
            return
        repeats = 0
        while True:
            fitting = math.ceil(math.log2(max(giveable, 1) / missing))
            priority = min(ceiling, max(0, fitting))
            walked = self._walk(0, priority)
            yield walked
            result = walked[0]
            freed = result.nr_reclaimed
            missing -= freed
            if missing <= 0 or priority == 0:
                return
            expected = giveable / 2**priority
            if freed >= expected / 2:
                repeats = 0
            elif repeats < MAX_REPEATS and result.nr_scanned >= expected / 2:
                repeats += 1
            else:
                ceiling, repeats = priority - 1, 0
            giveable -= freed * ratio

    def _walk(self, pages: int, priority: int) -> Walked:
        try:
            return self.domain.reclaim(pages, priority=priority), ()
        except CallbackErrors as raised:
            return raised.result, raised.exceptions

    def _trim_late(self, trigger: str) -> ReclaimRecord | None:
        """Give back what direct reclaim has freed."""
        due = self.trimmer.due()
        if due is None or self.clock() < due:
            return None
        before = self.memory.resident()
        began = time.perf_counter()
        if not self.trimmer.trim(self.clock()):
            return None
        after = self.memory.resident()
        rose = (after - before) / MIB
        return self._add_record(
            trigger,
            "trim",
            f"trim, after inserts have freed or evicted: RSS {rose:+.1f} MiB",
            resident_before=before,
            resident_after=after,
            trimmed=True,
            duration=time.perf_counter() - began,
        )

    # --- records ----------------------------------------------------------

    def _add_record(
        self, trigger: str, action: str, reason: str, **figures: Any
    ) -> ReclaimRecord:
        now, wall = self.clock(), time.time()
        record = ReclaimRecord(now, wall, trigger, action, reason, **figures)
        self.journal.add(record)
        return record

    def _record_changes(self, trigger: str, changes: tuple[Change, ...]) -> None:
        for change in changes:
            self.record_change(change.kind, change.text, trigger)
            if change.kind == "breaker opened":
                self.watched.give_inherited(trigger)

    def record_change(self, kind: str, text: str, trigger: str = "source") -> None:
        """Put a change into the journal, of the breaker say."""
        level = logging.WARNING if kind in WARNINGS else logging.INFO
        self._add_record(trigger, kind, text, level=level)

    def _complain(self, errors: Iterable[BaseException]) -> None:
        """Log what callbacks raised, each cause once."""
        for error in errors:
            where, kind = _cause(error)
            text = f"a callback raised {kind.__name__} {where}; other caches were asked"
            self.journal.complain_once((where, kind), text, error)


def _cause(error: BaseException) -> tuple[str, type]:
    """Return in which callback an exception was raised, and its type."""
    return next(iter(getattr(error, "__notes__", ())), "in a callback"), type(error)


class TopContributors:
    """Which caches free most in a reclaim, for the record."""

    __slots__ = ("_before",)

    def __init__(self, registrations: Sequence[Registered]) -> None:
        if len(registrations) > MAX_CACHES_ASKED:
            registrations = ()
        self._before = [(each, each.statistics().freed) for each in registrations]

    def top(self) -> tuple[tuple[str, int], ...]:
        """Return names and numbers of objects freed since, the highest first."""
        freed: collections.Counter[str] = collections.Counter()
        for registration, before in self._before:
            freed[registration.name] += registration.statistics().freed - before
        most = freed.most_common(MAX_NAMED_CACHES)
        return tuple((name, number) for name, number in most if number)
