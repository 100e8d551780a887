"""The peer in pure Python is the same program as the core."""

# ruff: noqa: S311 - numbers to test with are no secrets

from __future__ import annotations

import random
from typing import Any

from shrinker import (
    CountObjects,
    Domain,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    run_pass,
)
from shrinker.bench.pure import (
    SHRINK_EMPTY,
    SHRINK_STOP,
    Control,
    PureRegistry,
    PureShrinker,
    shrink_one,
)

U64 = 2**64
EDGES = (0, 1, 2, 63, 64, 127, 128, 129, 4095, 4096, 2**31, 2**32, 2**60, 2**61,
         2**62, 2**63)  # fmt: skip


def near_an_edge(rng: random.Random) -> int:
    return rng.choice(EDGES) + rng.randint(-3, 3)


def some_u64(rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.4:
        return rng.randrange(1, 10_000)
    if kind < 0.6:
        return near_an_edge(rng) % U64
    if kind < 0.8:
        return rng.getrandbits(64)
    return rng.getrandbits(rng.randint(1, 64))


def some_i64(rng: random.Random) -> int:
    value = some_u64(rng)
    return value - U64 if value >= 2**63 else value


class Scripted:
    """Answers that depend on the number of the call, the same each time."""

    def __init__(self, seed: int, count: int) -> None:
        self._rng = random.Random(seed)
        self._count = count
        self._calls = self._rng.choice((0, 1, 3, 40))
        self.policy = self._rng.randrange(5)
        self.asked: list[int] = []

    def answer(self, nr_to_scan: int) -> tuple[int, int]:
        self.asked.append(nr_to_scan)
        if len(self.asked) > self._calls:
            return SHRINK_STOP, nr_to_scan
        if self.policy == 0:
            return nr_to_scan, nr_to_scan
        if self.policy == 1:
            return nr_to_scan // 2, nr_to_scan
        if self.policy == 2:
            return self._rng.getrandbits(64), nr_to_scan
        if self.policy == 3:
            return nr_to_scan, some_u64(self._rng)
        return some_u64(self._rng), nr_to_scan // 2

    def count_objects(self, _: Control) -> int:
        return self._count

    def scan_objects(self, sc: Control) -> int:
        freed, sc.nr_scanned = self.answer(sc.nr_to_scan)
        return freed


def test_the_peer_passes_as_the_core_does() -> None:
    """Pure Python returns, asks and defers what the C core does, on any input."""
    rng = random.Random(20)
    scanned = wrapped = 0
    for seed in range(20_000):
        count, deferred = some_u64(rng), some_i64(rng)
        priority = rng.choice((0, 1, 3, 12, rng.randint(0, 63)))
        seeks = rng.choice((0, 1, 2, 3, 1000, -1, -(2**31), 2**31 - 1))
        batch = rng.choice((0, 1, 128, 1024, some_i64(rng)))
        told, peer = Scripted(seed, count), Scripted(seed, count)
        expected = run_pass(
            count,
            nr_deferred=deferred,
            priority=priority,
            seeks=seeks,
            batch=batch,
            scan=told.answer,
        )
        shrinker = PureShrinker(peer, seeks, batch)
        shrinker.nr_deferred = deferred
        returned = shrink_one(shrinker, Control(0, 0), priority)
        assert (returned, shrinker.nr_deferred, tuple(peer.asked)) == (
            expected.returned,
            expected.nr_deferred,
            expected.scans,
        ), (count, deferred, priority, seeks, batch, seed)
        scanned += bool(peer.asked)
        wrapped += expected.freeable is not None and abs(expected.freeable) >= 2**62
    # The inputs were worth it.
    assert scanned > 3000
    assert wrapped > 1500


class Cache:
    """Holds objects, and frees some of them; the same in both worlds."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.objects = self._rng.randrange(100_000)

    def count_objects(self, _: Any) -> int:
        self.objects += self._rng.randrange(2000)
        return self._rng.choice((0, SHRINK_EMPTY, *[self.objects] * 6))

    def scan_objects(self, sc: Any) -> int:
        if self._rng.random() < 0.05:
            return SHRINK_STOP
        sc.nr_scanned = self._rng.randint(1, sc.nr_to_scan + 9)
        freed = min(self._rng.randint(0, sc.nr_to_scan), self.objects)
        self.objects -= freed
        return freed


class ForTheLibrary(Cache):
    """The same for a domain, where special values are objects."""

    def count_objects(self, sc: ShrinkControl) -> Any:
        count = super().count_objects(sc)
        return CountObjects.EMPTY if count == SHRINK_EMPTY else count

    def scan_objects(self, sc: ShrinkControl) -> Any:
        freed = super().scan_objects(sc)
        return ScanObjects.STOP if freed == SHRINK_STOP else freed


def test_the_peer_walks_as_a_domain_does() -> None:
    """Walk by walk the same is freed and deferred, over many shrinkers."""
    settings = [(seed, seed % 4, (0, 1, 100, 128)[seed % 3]) for seed in range(30)]
    rng = random.Random(4)
    registry = PureRegistry()
    registry.register((Cache(seed), seeks, batch) for seed, seeks, batch in settings)
    with Domain() as domain:
        registrations = [
            ShrinkerBuilder("c", domain=domain)
            .set_seeks(seeks)
            .set_batch(batch)
            .register(ForTheLibrary(seed))
            for seed, seeks, batch in settings
        ]
        for _ in range(60):
            priority = rng.randint(0, 12)
            assert registry.shrink_slab(priority) == domain.shrink_slab(
                priority=priority
            )
            assert [shrinker.nr_deferred for shrinker in registry.shrinkers] == [
                registration.nr_deferred() for registration in registrations
            ]


def test_the_pure_peers_sum_wraps() -> None:
    """As the core's does: other walks may have added more than there is room for."""

    class Busy:
        def count_objects(self, _: Any) -> int:
            return 1000

        def scan_objects(self, _: Any) -> int:
            shrinker.nr_deferred = 2**63 - 1  # Other walks, meanwhile.
            return SHRINK_STOP

    shrinker = PureShrinker(Busy(), 2, 128)
    assert shrink_one(shrinker, Control(0, 0), 0) == 0
    assert shrinker.nr_deferred == -(2**63) - 1 + 2000
