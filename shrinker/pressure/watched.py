"""``WatchedCaches``: what a reclaim asks of watched caches, beyond a walk.

A walk asks all caches by the kernel's formula.  Watched caches, which the program made
itself, are harder to reclaim from: their locks are taken, their entries have unknown
sizes, some can only be cleared whole, and what they held before a fork is not theirs
alone.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from shrinker.demand import Demand, Inheritor, Learner
from shrinker.errors import CallbackErrors, ShrinkerError
from shrinker.pressure.decisions import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from shrinker.domain import Domain
    from shrinker.pressure.decisions import Decision
    from shrinker.pressure.journal import Journal, ReclaimRecord
    from shrinker.pressure.limits.memory import Memory, MemoryLevel
    from shrinker.pressure.policy import Policy
    from shrinker.pressure.trim import Trimmer
    from shrinker.registered import Registered

__all__ = ["WatchedCaches"]

PATIENCE_SECONDS, PATIENCE_BELOW_MIN_SECONDS = 0.1, 0.5
"""How long a reclaim in the background waits for locks of watched caches, in all."""
PROBE_DIVISOR, URGENT_PROBE_DIVISOR = 64, 4
"""Where entries have unknown sizes, one in so many is evicted to learn their size."""

RECLAIM_SECONDS = 0.04
"""A reclaim may take so long, where threads that fill caches compete for the GIL."""
MIN_RATE_SECONDS = 0.01
"""Growth within a shorter time shows no rate."""

MIN_OTHERS = 2
"""A cache that must be cleared whole is spared where the others hold so many times the
deficit."""


class Owner(Protocol):
    """What ``WatchedCaches`` needs of a ``Worker``."""

    domain: Domain
    memory: Memory
    policy: Policy
    trimmer: Trimmer
    journal: Journal
    clock: Callable[[], float]
    seen: MemoryLevel
    giveable: float

    def _count_caches(self) -> int: ...
    def _complain(self, errors: Iterable[BaseException]) -> None: ...
    def _add_record(
        self, trigger: str, action: str, reason: str, **figures: Any
    ) -> ReclaimRecord: ...
    def record_change(self, kind: str, text: str, trigger: str = ...) -> None: ...


class WatchedCaches:
    """The caches of a worker's domain that are ``Learner``s."""

    def __init__(self, worker: Owner) -> None:
        # No cycle: a dropped reclaimer and its domain are gone at once.
        self._worker: Owner = weakref.proxy(worker)
        self._before: Sequence[MemoryLevel] = ()
        self._before_at = 0.0

    def looked(self, levels: Sequence[MemoryLevel]) -> None:
        """Remember all levels at the end of a look."""
        self._before, self._before_at = levels, self._worker.clock()

    def own_memory(self) -> int:
        """Return the RSS, without what caches share with the parent of a fork."""
        shared = sum(cache.inherited_bytes() for cache in self._inheritors())
        return max(0, self._worker.memory.resident() - shared)

    def are_there(self) -> bool:
        """Return whether any cache is watched."""
        return bool(self._all())

    def _all(self) -> list[tuple[Registered, Learner]]:
        found = []
        for registration in self._worker.domain.shrinkers():
            with contextlib.suppress(ShrinkerError):  # Closed meanwhile.
                if isinstance(cache := registration.private_data, Learner):
                    found.append((registration, cache))
        return found

    def count_now(self, registration: Registered) -> int | None:
        """Return the count of a cache that tells without giving the GIL up."""
        cache = registration.private_data
        return cache.count_now() if isinstance(cache, Learner) else None

    def _inheritors(self) -> list[Inheritor]:
        """Return the watched caches, and those of ``shrinker.cache``."""
        registrations = self._worker.domain.shrinkers()
        kept = (registration._keepalive for registration in registrations)
        own = [each for each in kept if isinstance(each, Inheritor)]
        return [cache for _, cache in self._all()] + own

    def demand(self, decision: Decision, *, direct: bool) -> Demand:
        """Return what a reclaim asks of watched caches, beyond the walk's numbers."""
        if direct or decision.action is not Action.RECLAIM:
            return Demand()
        urgent, pages = self._is_urgent(decision), decision.objects
        if urgent:
            pages += int(
                self._added(decision.level) / self._worker.policy.bytes_per_object
            )
        return Demand(
            share=pages / max(self._worker.giveable, 1),
            patience=PATIENCE_BELOW_MIN_SECONDS if urgent else PATIENCE_SECONDS,
            at_once=urgent,
            give_back=self._give_back if urgent else None,
        )

    def _give_back(self) -> None:
        self._worker.trimmer.trim_now(keep_gil=True)

    def _added(self, level: MemoryLevel) -> int:
        """Return the bytes that may be added by the next look.

        Those are as many as since the last one, and at the same rate for as long as a
        reclaim may take beside threads that fill caches.
        """
        for before in self._before:
            if before.where == level.where:
                passed = max(self._worker.clock() - self._before_at, MIN_RATE_SECONDS)
                times = max(1.0, RECLAIM_SECONDS / passed)
                added = int((level.used - before.used) * times)
                return max(0, min(added, level.limit // 4))
        return 0

    def _is_urgent(self, decision: Decision) -> bool:
        """Return whether memory is below *min*, or may be before the next look."""
        level = decision.level
        free = level.free + decision.credit
        return free - self._added(level) < decision.marks.min

    def ask_alone(self, trigger: str, decision: Decision) -> int | None:
        """Ask one by one the caches that a walk would ask for too little or too much.

        1. A few entries of each cache whose entries have unknown sizes, to learn those.
           A walk would empty all other caches to find out.
        2. Caches that can only be cleared whole, where the others hold too little.  A
           walk would clear them last, at priority 0.

        Returns the bytes by which memory fell; None where none was asked.
        """
        fell: list[int] = []
        whole: list[tuple[Registered, Learner]] = []
        for registration, cache in self._all():
            with self._other_caches_go_on():
                if cache.gives_all_or_nothing:
                    whole.append((registration, cache))
                elif cache.wants_probe:
                    urgent = self._is_urgent(decision)
                    divisor = URGENT_PROBE_DIVISOR if urgent else PROBE_DIVISOR
                    n = max(1, cache.held_entries() // divisor)
                    fell.append(
                        self._scan_alone(trigger, decision, registration, cache, n)
                    )
        fell += self._clear_whole(trigger, decision, whole)
        return sum(fell) if fell else None

    def _clear_whole(
        self,
        trigger: str,
        decision: Decision,
        whole: Sequence[tuple[Registered, Learner]],
    ) -> list[int]:
        """Clear caches, the largest first, while the others hold too little.

        Returns by how many bytes memory fell each time.
        """
        counts = []
        for registration, cache in whole:
            with self._other_caches_go_on():
                if count := registration._count_everywhere():
                    counts.append((count, registration, cache))
        if not counts:
            return []
        others = self._worker._count_caches() - sum(count for count, _, _ in counts)
        fell: list[int] = []
        for count, registration, cache in sorted(counts, key=lambda each: -each[0]):
            missing = decision.deficit - sum(fell)
            if others * self._worker.policy.bytes_per_object >= MIN_OTHERS * missing:
                break
            with self._other_caches_go_on():
                fell.append(
                    self._scan_alone(trigger, decision, registration, cache, count)
                )
        return fell

    @contextlib.contextmanager
    def _other_caches_go_on(self) -> Iterator[None]:
        """Log what a cache's callbacks raise; ignore a cache closed meanwhile."""
        try:
            yield
        except CallbackErrors as errors:
            self._worker._complain(errors.exceptions)
        except ShrinkerError:
            pass
        except Exception as error:  # noqa: BLE001 - a user's `count()`
            text = f"a cache raised {type(error).__name__}; other caches were asked"
            self._worker.journal.complain_once(("alone", type(error)), text, error)

    def _scan_alone(
        self,
        trigger: str,
        decision: Decision,
        registration: Registered,
        cache: Learner,
        n: int,
    ) -> int:
        """Scan one cache, and have it learn what its entries are worth.

        Returns the bytes by which memory fell.
        """
        began = time.perf_counter()
        # Else what others freed before would be taken for memory of this cache.
        self._worker.trimmer.trim_now()
        entries, resident = cache.held_entries(), self._worker.memory.resident()
        demand = self.demand(decision, direct=False)
        demand.at_once = False
        freed = 0
        try:
            with demand.asking():
                freed = registration.scan(n)
        except CallbackErrors as errors:
            self._worker._complain(errors.exceptions)
        # If the evicted entries have shown their sizes, there is nothing to measure.
        measured = cache.gives_all_or_nothing or cache.wants_probe
        trimmed = freed > 0 and measured and self._worker.trimmer.trim_now()
        after = self._worker.memory.resident()
        cache.learn(entries - cache.held_entries(), resident - after)
        level, marks = decision.level, decision.marks
        self._worker._add_record(
            trigger,
            "reclaim" if cache.gives_all_or_nothing else "probe",
            decision.reason,
            where=level.where,
            limit=level.limit,
            used=level.used,
            free=level.free,
            credit=decision.credit,
            low=marks.low,
            min=marks.min,
            high=marks.high,
            deficit=decision.deficit,
            wanted=n,
            freed=freed,
            givers=((registration.name, freed),) if freed else (),
            held=self.held(demand),
            resident_before=resident,
            resident_after=after,
            trimmed=trimmed,
            duration=time.perf_counter() - began,
        )
        return max(0, resident - after)

    def held(self, demand: Demand) -> tuple[tuple[str, int], ...]:
        """Return the names of the caches whose locks were taken, and how often."""
        if not demand.held:
            return ()
        found = ((each.name, demand.held[cache]) for each, cache in self._all())
        return tuple((name, times) for name, times in found if times)

    def give_inherited(self, trigger: str) -> None:
        """Have caches evict what was there before a fork, where nothing else is left.

        Its memory is free once the other processes that share it evict it too.
        """
        marks = self._worker.policy.known_watermarks(self._worker.seen)
        if marks is None or self._worker.seen.free >= marks.min:
            return
        if sum(cache.give_inherited() for cache in self._inheritors()):
            text = "below min: what caches held before the fork is evicted from now on"
            self._worker.record_change("inherited", text, trigger)
