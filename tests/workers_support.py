"""A simulator of several workers under one limit, without real memory or time.

Each worker has its own domain, cache, policy and ``Worker``, and the pace of the real
thread.  They share a limit, and a table unless ``share`` is False.  Requests have Zipf
distributed keys.  All is decided by seeds.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from typing import TYPE_CHECKING, Any

from shrinker import Domain
from shrinker.cache import Cache
from shrinker.pressure import Memory, MemoryLevel, Watermarks
from shrinker.pressure.journal import Journal
from shrinker.pressure.policy import Policy
from shrinker.pressure.shared.seats import Seat, Seats
from shrinker.pressure.shared.table import Table
from shrinker.pressure.thread import Background
from shrinker.pressure.trim import Trimmer
from shrinker.pressure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.pressure.shared.table import Owner

MIB = 1 << 20
LIMIT_BYTES = 256 * MIB
BASE_BYTES = 64 * MIB
"""What the workers use apart from caches."""
MARKS = Watermarks.of(LIMIT_BYTES)
BUDGET_BYTES = LIMIT_BYTES - BASE_BYTES - (MARKS.low + MARKS.high) // 2
"""What caches hold together where memory stays between *low* and *high*."""
ENTRY_BYTES = 32 << 10
KEYS = 20_000
ZIPF_EXPONENT = 0.9
TICK_SECONDS = 0.005
LAG_TICKS = 4
"""What other workers add or free is seen so much later."""
LOOK_SECONDS = 200e-6
"""What a look costs, for the pace."""
QUIET_SECONDS = 0.5
"""Reclaims that are closer together belong to one shortage."""
FIRST_PID = 1000


class Zipf:
    """Keys with Zipf's distribution."""

    def __init__(self, seed: int) -> None:
        weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, KEYS + 1)]
        self._cumulative = list(itertools.accumulate(weights))
        self._random = random.Random(seed)  # noqa: S311

    def take(self, number: int) -> list[int]:
        return self._random.choices(range(KEYS), cum_weights=self._cumulative, k=number)


@dataclasses.dataclass
class Reclaimed:
    """A shortage, from its first reclaim until memory is left alone again."""

    deficit: int
    """Bytes up to *high* when it began."""
    grown: int
    """What had been added in all when it began."""
    freed: int = 0
    end: float = 0.0
    grown_at_end: int = 0

    @property
    def ratio(self) -> float:
        """What was freed, by what was missing and was added meanwhile."""
        return self.freed / max(1, self.deficit + self.grown_at_end - self.grown)


class SimMemory(Memory):
    """The shared limit, as one worker sees it."""

    def __init__(self, simulator: Simulator, index: int) -> None:
        super().__init__()
        self.simulator = simulator
        self.index = index

    def levels(self) -> tuple[MemoryLevel, ...]:
        used = self.simulator.used_as_seen(self.index)
        return (MemoryLevel("container", LIMIT_BYTES, used, used),)

    def resident(self) -> int:
        workers = self.simulator.workers
        return BASE_BYTES // len(workers) + workers[self.index].weight


class SimSeats(Seats):
    """Seats at the simulator's table, under a pid of its own."""

    def __init__(self, table: Table, pid: int) -> None:
        super().__init__(None)
        self._table = table
        self._pid = pid

    def _seat(self, level: MemoryLevel) -> Seat:
        seat = self._seats.get(level.where)
        if seat is None:
            seat = SimSeat(self._table, 1, lambda: self._pid)
            self._seats[level.where] = seat
        return seat


class SimSeat(Seat):
    def _new_owner(self) -> Owner:
        return dataclasses.replace(super()._new_owner(), start=self._getpid())


class Nothing:
    """No source and no thresholds."""

    def due(self) -> None:
        return None

    def suffice(self, levels: object) -> bool:
        return False


class SimWorker:
    """One worker process."""

    def __init__(
        self, simulator: Simulator, index: int, rate: float, pid: int, seed: int
    ) -> None:
        self.simulator = simulator
        self.rate = rate
        self.pid = pid
        self.keys = Zipf(seed)
        self.domain = Domain()
        self.cache: Cache[int, int] = Cache(
            weigher=lambda _key, _value: ENTRY_BYTES, domain=self.domain
        )
        nothing: Any = Nothing()
        self.memory = SimMemory(simulator, index)
        self.worker = Worker(
            self.domain,
            self.memory,
            Policy(lambda limit: MARKS),
            Trimmer(wanted=False),
            Journal(16),
            clock=lambda: simulator.now,
        )
        if simulator.table is not None:
            self.worker.seats = SimSeats(simulator.table, pid)
        self.worker.watch(self._allowance_exceeded)
        self.background = Background(
            self.worker, nothing, nothing, lambda background: None
        )
        self.background.waker.close()
        self.due = 0.0
        self.requests = 0.0
        self.hits = self.misses = 0
        self.history = [0] * (LAG_TICKS + 1)

    @property
    def weight(self) -> int:
        return self.cache.weight

    def serve(self, seconds: float) -> None:
        """Serve the requests of a tick."""
        self.requests += self.rate * seconds
        number = int(self.requests)
        self.requests -= number
        for key in self.keys.take(number):
            if self.cache.get(key) is None:
                self.misses += 1
                before = self.weight
                self.cache[key] = 1
                self.simulator.changed(self.weight - before)
            else:
                self.hits += 1

    def look(self) -> None:
        """Look as the background thread does."""
        now = self.simulator.now
        before = self.weight
        record = self.worker.reclaim_if_short("timer")
        self.simulator.reclaimed(before - self.weight)
        pace = self.background.pace
        pace.observe(now, self.worker.seen.used)
        if record is None:
            pace.took(LOOK_SECONDS)
        self.due = now + self.background.timeout()

    def _allowance_exceeded(self) -> None:
        before = self.weight
        wake, _ = self.worker.reclaim_below_min()
        self.simulator.reclaimed(before - self.weight)
        if wake:
            self.due = min(self.due, self.simulator.now + TICK_SECONDS)

    def close(self) -> None:
        self.worker.unwatch()
        self.domain.close()


class Simulator:
    """Workers with these rates, in requests a second."""

    def __init__(
        self, rates: Sequence[float], *, share: bool = True, seed: int = 1
    ) -> None:
        self.now = 1000.0
        self.seed = seed
        self.grown = 0
        self.open: Reclaimed | None = None
        self.shortages: list[Reclaimed] = []
        self.lowest_free = LIMIT_BYTES
        self.between = self.ticks = 0
        self.living: set[int] = set()
        self.table = None
        if share:
            descriptor = os.memfd_create("workers")
            self.table = Table(
                descriptor,
                "container",
                None,
                alive=lambda owner: owner.pid in self.living,
            )
        self.workers: list[SimWorker] = []
        for index, rate in enumerate(rates):
            self._start(index, rate)
        self.pids = len(rates)

    def _start(self, index: int, rate: float) -> None:
        pid = FIRST_PID + len(self.living) + index
        while pid in self.living:
            pid += 1
        worker = SimWorker(self, index, rate, pid, self.seed * 100 + index)
        self.living.add(pid)
        self.workers.insert(index, worker)

    @property
    def used(self) -> int:
        return BASE_BYTES + sum(worker.weight for worker in self.workers)

    def used_as_seen(self, index: int) -> int:
        """Return what is used: own memory now, that of others a moment ago."""
        return BASE_BYTES + sum(
            worker.weight if i == index else worker.history[0]
            for i, worker in enumerate(self.workers)
        )

    def changed(self, size: int) -> None:
        """Note what an insert added."""
        self.grown += max(0, size)

    def reclaimed(self, size: int) -> None:
        """Note what a look has freed."""
        if size <= 0:
            return
        if self.open is None or self.now > self.open.end + QUIET_SECONDS:
            free = LIMIT_BYTES - self.used - size
            self.open = Reclaimed(MARKS.high - free, self.grown)
            self.shortages.append(self.open)
        self.open.freed += size
        self.open.end = self.now
        self.open.grown_at_end = self.grown

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TICK_SECONDS)):
            self.now += TICK_SECONDS
            for worker in self.workers:
                worker.serve(TICK_SECONDS)
            for worker in sorted(self.workers, key=lambda worker: worker.due):
                if worker.due <= self.now:
                    worker.look()
            for worker in self.workers:
                worker.history = [*worker.history[1:], worker.weight]
            free = LIMIT_BYTES - self.used
            self.lowest_free = min(self.lowest_free, free)
            self.ticks += 1
            self.between += MARKS.low <= free + MIB and free <= MARKS.high + MIB

    def forget(self) -> None:
        """Begin to measure."""
        self.shortages.clear()
        self.open = None
        self.lowest_free = LIMIT_BYTES
        self.between = self.ticks = 0
        for worker in self.workers:
            worker.hits = worker.misses = 0

    def kill(self, index: int) -> None:
        """Kill a worker; another one starts in its place with an empty cache."""
        old = self.workers.pop(index)
        self.living.discard(old.pid)
        old.close()
        self._start(index, old.rate)

    def hit_ratios(self) -> list[float]:
        return [w.hits / max(1, w.hits + w.misses) for w in self.workers]

    def hit_ratio(self) -> float:
        hits = sum(w.hits for w in self.workers)
        return hits / max(1, hits + sum(w.misses for w in self.workers))

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        if self.table is not None:
            self.table.close()


def static_hit_ratios(
    rates: Sequence[float],
    sizes: Sequence[float],
    *,
    warm: float,
    seconds: float,
    seed: int = 1,
) -> tuple[list[float], float]:
    """Return the hit ratios with fixed sizes in bytes, each and in all."""
    ratios, hits, total = [], 0, 0
    with Domain() as domain:
        for index, (rate, size) in enumerate(zip(rates, sizes, strict=True)):
            cache: Cache[int, int] = Cache(
                int(size), weigher=lambda _key, _value: ENTRY_BYTES, domain=domain
            )
            keys = Zipf(seed * 100 + index)
            own = 0
            for key in keys.take(int(rate * warm)):
                if cache.get(key) is None:
                    cache[key] = 1
            number = int(rate * seconds)
            for key in keys.take(number):
                if cache.get(key) is None:
                    cache[key] = 1
                else:
                    own += 1
            ratios.append(own / number)
            hits += own
            total += number
    return ratios, hits / total
