"""``Worker``: one look at the memory, and what follows from it, in any thread.

It reads the levels, asks the policy, calls the caches, gives memory back and writes
the verdict.  The background thread uses it, who calls ``Reclaimer.look()``, and threads
in the middle of an insert (``direct``).

One thread at a time changes the policy's state: who has the *turn*.  It is a plain
flag, tested and set without a call in between, so that neither another thread nor a
signal handler comes in.  A thread that inserts needs no turn, since it only asks; what
it has to tell it leaves for whoever has the next one.  Others wait a moment, and then
go on anyway: a turn that is held longer belongs to a thread that is gone.  Files are
read and callbacks run without it.

Calling a cache gives the GIL up, as a slow file does, and beside busy threads it comes
back a switch interval later, 5 ms for each.  A look may take long enough for them to
fill whatever is free.  Therefore

- figures are read with the GIL held (``kernel_file``);
- each thread that uses up the allowance looks for itself, which slows it down;
- a look that begins leaves half of the allowance to the others, so that all together
  they get no more than there was;
- figures that were read before a later look began may lower the allowance, and only the
  latest may raise it;
- caches that say too little are allowed less (``claims``).
"""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from shrinker.errors import CallbackErrors, ShrinkerError
from shrinker.growth import PAGE_SIZE
from shrinker.pressure.claims import Claims
from shrinker.pressure.decisions import Action, Decision, News, Outcome, kept_bytes
from shrinker.pressure.give_back import resident
from shrinker.pressure.givers import Givers
from shrinker.pressure.verdicts import BAD_NEWS, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.domain import Domain, ReclaimResult
    from shrinker.pressure.give_back import Trimmer
    from shrinker.pressure.memory import Memory, MemoryLevel
    from shrinker.pressure.policy import Policy, Rest
    from shrinker.pressure.verdicts import Journal

__all__ = ["Worker"]

logger = logging.getLogger("shrinker.pressure")

PATIENCE = 1.0
"""Seconds after which a turn is taken from who has it."""

MIB = 1 << 20

Levels = tuple["MemoryLevel", ...]


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
        resident: Callable[[], int] = resident,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.domain = domain
        self.memory = memory
        self.policy = policy
        self.trimmer = trimmer
        self.journal = journal
        self.clock = clock
        self.watching = False
        """Whether the domain's growth is ours to set."""
        self.looks = 0
        self.events = 0
        """Events that the pressure source had."""
        self.failures = 0
        """Looks that have failed."""
        self.seen: MemoryLevel | None = None
        """The level that decided last."""
        self.levels: Levels = ()
        """All levels, as they were read last."""
        self.resting: Rest | None = None
        """What followed from them for the time until the next look."""
        self.credit = 0
        self._resident = resident
        self._claims = Claims()
        self._busy = False
        self._ticket = 0
        # What came of reclaims whose threads had no turn to tell the policy.
        self._unheard: collections.deque[tuple[float, Decision, Outcome]] = (
            collections.deque()
        )

    def after_fork(self) -> None:
        """Be usable in the child: who had the turn may be gone."""
        self._busy = False

    def look(self, trigger: str, event: str | None = None) -> Verdict | None:
        """Look, act upon it, and return the verdict where something was done.

        Raises ``KeyboardInterrupt`` and ``SystemExit`` from callbacks, after all else
        was seen to; ``ShrinkerError`` when the domain is closed.
        """
        decision = self._decide(event)
        if decision.action is Action.WEIGH:
            decision = self._decide(event, self._weigh())
        self._report(trigger, decision.news)
        if decision.action is Action.NOTHING:
            verdict = self._trim_late(trigger)
            level, low = decision.level, decision.marks.low
            logger.debug(
                "look (%s): %s [%s: %.1f MiB free, low %.1f]",
                *(trigger, decision.reason, level.where),
                *(level.free / MIB, low / MIB),
            )
            return verdict
        return self._act(trigger, decision)

    def look_direct(self) -> tuple[bool, Verdict | None]:
        """Look, having made a cache grow, and reclaim where memory is below *min*.

        Returns whether the background should look, too, and the verdict where
        something was done.  Raises as ``look`` does.
        """
        # No call from here to there: see `Growth`.
        growth = self.domain._growth
        claimed = growth.allowance
        growth.allowance = claimed / 2
        # What was claimed since counts, too: it may be long until a thread goes on.
        claimed += growth.grown
        levels, ticket = self._read()
        self._try_hear()
        decision = self.policy.look_direct(self.clock(), levels)
        self._note(decision, 0 if claimed == math.inf else claimed)
        self._apply(levels, ticket)
        if decision.action is not Action.RECLAIM:
            return decision.action is Action.WAKE, None
        return True, self._act("growth", decision, direct=True)

    # --- asking the policy ------------------------------------------------

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        end = time.monotonic() + PATIENCE
        while self._busy and time.monotonic() < end:
            time.sleep(0.001)
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _decide(self, event: str | None, weight: int | None = None) -> Decision:
        resident = 0 if weight is None else self._resident()
        claimed = self.domain._growth.grown
        levels, ticket = self._read()
        with self._turn():
            self._hear()
            decision = self.policy.look(
                self.clock(), levels, event=event, weight=weight, resident=resident
            )
        if decision.action is not Action.WEIGH:
            self._note(decision, claimed)
            self._apply(levels, ticket)
        return decision

    def _read(self) -> tuple[Levels, int]:
        """Read memory; returns the look's number, too."""
        self.domain._growth.grown = 0
        self._ticket = ticket = self._ticket + 1
        return self.memory.levels(), ticket

    def _note(self, decision: Decision, claimed: float) -> None:
        self.looks += 1
        dropped = self.resting is not None and self.resting.under_pressure
        self._claims.looked(decision.level, claimed, dropped=dropped)
        self.seen = decision.level
        self.credit = decision.credit

    def _hear(self) -> None:
        """Tell the policy what it has missed.  Needs the turn."""
        while self._unheard:
            now, decision, outcome = self._unheard.popleft()
            self._report("growth", self.policy.reclaimed(now, decision, outcome))

    def _apply(self, levels: Levels, ticket: int) -> None:
        """Tell the caches how much they may grow."""
        rest = self.policy.rest(self.clock(), levels)
        growth = self.domain._growth
        pressure, allowance = rest.under_pressure, self._claims.allow(rest.allowance)
        self.levels = levels
        self.resting = rest
        relieved = growth.under_pressure and not pressure
        # A row without calls: nobody stops watching in between.
        if self.watching:
            growth.under_pressure = pressure
            if ticket == self._ticket or allowance < growth.allowance:
                growth.allowance = allowance
            if relieved:
                self._relieved(levels)

    def _relieved(self, levels: Levels) -> None:
        """Have memory trimmed, now that caches may grow again.

        What they evicted meanwhile to stay as they were, nobody has told us.
        """
        level, marks, _ = self.policy.judge(levels)
        if level.free < marks.high:
            self.trimmer.owe()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called by whoever makes caches grow too much."""
        self._claims = Claims()
        # No exception comes between the two: a return from Python is no call of C.
        self.domain._growth.watch(watcher)
        self.watching = True

    def unwatch(self) -> None:
        """Let caches grow as they like."""
        if self.watching:
            # Last, so that who is interrupted can do it again.
            self.domain._growth.unwatch()
            self.watching = False

    # --- calling the caches -----------------------------------------------

    def _weigh(self) -> int:
        """Count what all caches hold, in pages."""
        weight = 0
        for registration in self.domain.shrinkers():
            try:
                weight += registration._count_everywhere()
            except CallbackErrors as errors:
                self._complain(errors)
            except ShrinkerError:
                continue  # Closed meanwhile.
        return weight

    def _act(
        self, trigger: str, decision: Decision, *, direct: bool = False
    ) -> Verdict:
        resident_before = self._resident()
        reason = decision.reason
        if self.levels and decision.level.where != self.levels[0].where:
            reason = f"{decision.level.where}: {reason}"
        givers = Givers() if direct else Givers(self.domain.shrinkers())
        began = time.perf_counter()
        interrupt: BaseException | None = None
        errors = 0
        result: ReclaimResult | None = None
        try:
            result = self.domain.reclaim(decision.pages, priority=decision.priority)
        except CallbackErrors as raised:
            errors = self._complain(raised)
            result = raised.result
        except (KeyboardInterrupt, SystemExit) as raised:
            interrupt = raised
        freed = result.nr_reclaimed if result is not None else 0
        self.trimmer.freed(freed * PAGE_SIZE)
        urgent = decision.level.free < decision.marks.min // 2
        trimmed = (urgent or not direct) and self.trimmer.trim(
            self.clock(), urgent=urgent
        )
        seconds = time.perf_counter() - began
        levels, ticket = self._read()
        weight = decision.weight
        outcome = Outcome(
            freed=freed,
            priority=decision.priority if result is None else result.priority,
            after=next(
                (x for x in levels if x.where == decision.level.where), levels[-1]
            ),
            weight=None if weight is None else max(0, weight - freed),
        )
        self._claims.looked(outcome.after, 0, dropped=True)
        self._unheard.append((self.clock(), decision, outcome))
        level, marks = decision.level, decision.marks
        verdict = Verdict(
            when=self.clock(),
            wall=time.time(),
            trigger=trigger,
            action="direct" if direct else decision.action.value,
            reason=reason,
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
            wanted=decision.pages,
            freed=freed,
            givers=givers.most(),
            used_after=outcome.after.used,
            resident_before=resident_before,
            resident_after=self._resident(),
            trimmed=trimmed,
            kept=kept_bytes(decision, outcome),
            duration=seconds,
            errors=errors,
        )
        self.journal.add(verdict)
        self._tell(levels, ticket, wait=not direct)
        if interrupt is not None:
            raise interrupt
        return verdict

    def _tell(self, levels: Levels, ticket: int, *, wait: bool) -> None:
        """Have the policy hear, and the caches obey."""
        if wait:
            with self._turn():
                self._hear()
        else:
            self._try_hear()
        self._apply(levels, ticket)

    def _try_hear(self) -> None:
        """Tell the policy what it has missed, unless somebody has the turn."""
        if self._busy:
            return
        self._busy = True
        try:
            self._hear()
        finally:
            self._busy = False

    def _trim_late(self, trigger: str) -> Verdict | None:
        """Give back what direct reclaim has freed."""
        due = self.trimmer.due()
        if due is None or self.clock() < due:
            return None
        before = self._resident()
        began = time.perf_counter()
        if not self.trimmer.trim(self.clock()):
            return None
        after = self._resident()
        verdict = Verdict(
            when=self.clock(),
            wall=time.time(),
            trigger=trigger,
            action="trim",
            reason=f"malloc_trim, after inserts have freed or evicted: RSS"
            f" {(after - before) / MIB:+.1f} MiB",
            resident_before=before,
            resident_after=after,
            trimmed=True,
            duration=time.perf_counter() - began,
        )
        self.journal.add(verdict)
        return verdict

    # --- saying so --------------------------------------------------------

    def _report(self, trigger: str, news: tuple[News, ...]) -> None:
        for item in news:
            self.changed(item.kind, item.text, trigger)

    def changed(self, kind: str, text: str, trigger: str = "source") -> None:
        """Put into the journal what is no reclaim."""
        self.journal.add(
            Verdict(
                when=self.clock(),
                wall=time.time(),
                trigger=trigger,
                action=kind,
                reason=text,
                level=logging.WARNING if kind in BAD_NEWS else logging.INFO,
            )
        )

    def _complain(self, errors: CallbackErrors) -> int:
        """Log what callbacks raised, each cause once; return how many did."""
        for error in errors.exceptions:
            where = next(iter(getattr(error, "__notes__", ())), "in a callback")
            text = (
                f"a callback raised {type(error).__name__} {where}; others had theirs"
            )
            self.journal.complain_once((where, type(error)), text, error)
        return len(errors.exceptions)
