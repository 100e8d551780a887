"""Five caches under one reclaim lose in the proportions of the kernel's formula.

The model is ``reference_model``, one pass on unbounded integers.  The formula is its
limit over many passes: at priority ``p`` a pass takes the part 4 / (seeks * 2**p) of a
cache.  docs/fairness.md has a picture of it.
"""

from __future__ import annotations

import dataclasses
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
from reference_model import model_pass

from shrinker.cache.cache import Cache
from shrinker.cache.watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain, ShrinkerRegistration


def pages(weight: int) -> int:
    return -(-weight // 4096)


@dataclasses.dataclass
class ModelledCache:
    """A cache, and the model of what passes take from it."""

    entries: int
    seeks: int
    entry_bytes: int | None = None
    deferred: int = 0

    def __post_init__(self) -> None:
        # Objects that the model has: entries, or pages where entries are weighed.
        self.units = self.entries
        if self.entry_bytes is not None:
            self.units = pages(self.entries * self.entry_bytes)
        self.bytes_left: int | None = None

    def watched(self, domain: Domain) -> ShrinkerRegistration[Any]:
        """Make it a watched dict."""
        self.cache: Any = dict.fromkeys(range(self.entries))
        return watch(
            self.cache,
            lock=threading.Lock(),
            seeks=self.seeks,
            entry_bytes=self.entry_bytes,
            domain=domain,
        ).registration

    def lru(self, domain: Domain) -> ShrinkerRegistration[Any]:
        """Make it an Cache of unused entries."""
        weight = self.entry_bytes
        weigher = None if weight is None else (lambda key, value: weight)
        if weight is not None:
            self.bytes_left = self.entries * weight
        self.cache = Cache(seeks=self.seeks, weigher=weigher, domain=domain)
        for key in range(self.entries):
            self.cache[key] = None
        return self.cache.registration

    def model(self, priority: int) -> tuple[int, int]:
        """Run the model's pass; return the objects freed, and the number of calls.

        The batch is that of a cache of this size.
        """

        def scan(n: int, i: int) -> tuple[int, int]:
            freed, scanned = min(n, self.units), n
            if self.bytes_left is not None:
                # An Cache scans whole entries.
                assert self.entry_bytes is not None
                looked = -(-n * 4096 // self.entry_bytes) * self.entry_bytes
                looked = min(looked, self.bytes_left)
                self.bytes_left -= looked
                freed = self.units - pages(self.bytes_left)
                scanned = max(n, freed, looked // 4096)
            self.units -= freed
            return freed, scanned

        batch = min(max(self.units // 64, 1), 128)
        result = model_pass(
            self.units, self.deferred, priority, self.seeks, batch, scan=scan
        )
        self.deferred = result.nr_deferred
        freed = 0 if result.retval is None else result.retval
        return freed, len(result.scans)


def five_caches(entry_bytes: int = 200, scale: int = 1) -> tuple[ModelledCache, ...]:
    return (
        ModelledCache(100_000 * scale, seeks=2),
        ModelledCache(30_000 * scale, seeks=1),
        ModelledCache(30_000 * scale, seeks=8),
        ModelledCache(4_004 * 4096 // entry_bytes, seeks=2, entry_bytes=entry_bytes),
        ModelledCache(1_000, seeks=2),
    )


def rising_urgency() -> list[int]:
    return [*range(12, -1, -1)]


def steady() -> list[int]:
    return [6] * 60


def random_urgency() -> list[int]:
    chosen = random.Random(4)  # noqa: S311 - the same in every run
    return chosen.choices(range(13), weights=[*range(1, 14)], k=150)


@pytest.mark.parametrize(
    ("kind", "entry_bytes"),
    # 4096 is no multiple of 200.
    [
        (ModelledCache.watched, 200),
        (ModelledCache.watched, 256),
        (ModelledCache.lru, 200),
        (ModelledCache.lru, 256),
    ],
)
@pytest.mark.parametrize("priorities", [rising_urgency, steady, random_urgency])
def test_each_pass_is_the_models(
    priorities: Callable[[], list[int]],
    kind: Callable[[ModelledCache, Domain], ShrinkerRegistration[Any]],
    entry_bytes: int,
    domain: Domain,
) -> None:
    """Objects freed, scan calls and deferred work are the model's in every pass."""
    caches = [(one, kind(one, domain)) for one in five_caches(entry_bytes)]
    before = [watched.statistics() for _, watched in caches]
    for priority in priorities():
        expected = [one.model(priority) for one, _ in caches]
        assert domain.shrink_slab(priority=priority) == sum(n for n, _ in expected)
        after = [watched.statistics() for _, watched in caches]
        assert [
            (now.freed - then.freed, now.scan_calls - then.scan_calls)
            for then, now in zip(before, after, strict=True)
        ] == expected
        before = after
        for one, watched in caches:
            assert watched.nr_deferred() == one.deferred
            assert watched.count() == one.units


def small_caches() -> tuple[ModelledCache, ...]:
    return (
        ModelledCache(300, seeks=1),
        ModelledCache(1_000, seeks=2),
        ModelledCache(2_500, seeks=8),
    )


@pytest.mark.parametrize("sizes", [lambda: five_caches(scale=3), small_caches])
@pytest.mark.parametrize(("priority", "passes"), [(6, 60), (4, 20), (3, 10), (8, 200)])
def test_proportions_are_the_formulas(
    priority: int,
    passes: int,
    sizes: Callable[[], tuple[ModelledCache, ...]],
    domain: Domain,
) -> None:
    """Over many passes batching and rounding explain each difference.

    Work of less than a batch is deferred, and each pass takes up 2**-p of it.  So at
    most (batch << p) + batch is deferred.  The shifts of a pass that takes the part a
    round down by at most 4 / seeks + 1, which adds up to (4 / seeks + 1) / a.
    """
    caches = [(one, one.watched(domain)) for one in sizes()]
    size = [watched.count() for _, watched in caches]
    for _ in range(passes):
        domain.shrink_slab(priority=priority)
    for (one, watched), units in zip(caches, size, strict=True):
        part = 4 / one.seeks / 2**priority
        predicted = units * (1 - part) ** passes
        batch = min(max(units // 64, 1), 128)
        bound = (batch << priority) + batch + (4 / one.seeks + 1) / part
        assert abs(watched.count() - predicted) <= bound


def test_large_caches_lose_much_more_than_the_bound(domain: Domain) -> None:
    """The cheaper they are, the more they lose; all lose a large part."""
    caches = [one.watched(domain) for one in five_caches(scale=3)]
    size = [watched.count() for watched in caches]
    for _ in range(60):
        domain.shrink_slab(priority=6)
    lost = [
        1 - watched.count() / units for watched, units in zip(caches, size, strict=True)
    ]
    assert lost[1] > lost[0] > lost[2] > 0.1


@pytest.mark.parametrize("entries", [64, 200, 1_000, 4_004])
def test_small_caches_lose_their_part(entries: int, domain: Domain) -> None:
    """With a batch of a 64th, one pass at priority 6 frees even of 64 entries."""
    watched = ModelledCache(entries, seeks=2).watched(domain)
    domain.shrink_slab(priority=6)
    wanted = (entries >> 6) * 2
    batch = entries // 64
    assert watched.statistics().freed == wanted // batch * batch == wanted
    for _ in range(19):
        domain.shrink_slab(priority=6)
    if entries == 64:  # Of 63 or fewer the part is rounded down to 0.
        assert watched.count() == 62
        return
    # Not more than the formula, and at least half of it.
    lost = 1 - watched.count() / entries
    assert 0.5 * (1 - (1 - 1 / 32) ** 20) < lost <= 1 - (1 - 1 / 32) ** 20 + 1 / 64


def test_costs_divide_what_is_asked(domain: Domain) -> None:
    """In one pass with nothing deferred: 4 / seeks of the part, in whole batches."""
    seeks = (1, 2, 4, 8, 16)
    caches = [ModelledCache(2**18, seeks=cost) for cost in seeks]
    watches = [one.watched(domain) for one in caches]
    domain.shrink_slab(priority=6)
    freed = [watched.statistics().freed for watched in watches]
    assert freed == [2**12 * 4 // cost for cost in seeks]


def test_sizes_multiply_what_is_asked(domain: Domain) -> None:
    """From 64 entries on, ten times the entries lose ten times as many."""
    watches = [
        ModelledCache(2**6 * n, seeks=2).watched(domain) for n in (1, 10, 100, 1000)
    ]
    domain.shrink_slab(priority=6)
    freed = [watched.statistics().freed for watched in watches]
    assert freed == [2, 20, 200, 1920]  # Of 2,000, in batches of 128.


@pytest.mark.parametrize("priority", [2, 4, 6])
def test_caches_below_two_to_the_priority_lose_nothing(
    priority: int, domain: Domain
) -> None:
    """Their part is rounded down to 0 in each pass."""
    limit = 1 << priority
    spared, first = ModelledCache(limit - 1, seeks=2), ModelledCache(limit, seeks=2)
    watches = [spared.watched(domain), first.watched(domain)]
    for _ in range(100):
        domain.shrink_slab(priority=priority)
    assert watches[0].statistics().freed == 0
    assert watches[1].statistics().freed > 0


def test_weighed_caches_lose_memory_not_entries(domain: Domain) -> None:
    """Two caches of equal memory lose equal memory, with large entries or small."""
    small = ModelledCache(400_000, seeks=2, entry_bytes=128)
    large = ModelledCache(3_125, seeks=2, entry_bytes=16_384)
    watches = [small.watched(domain), large.watched(domain)]
    for _ in range(10):
        domain.shrink_slab(priority=5)
    lost = [
        (one.entries - len(one.cache)) * (one.entry_bytes or 0)
        for one in (small, large)
    ]
    # A pass may evict a large entry for the last page that it wants.
    assert lost[0] == pytest.approx(lost[1], abs=10 * 16_384)
    assert lost[0] > 10_000_000
    counts = [watched.count() for watched in watches]
    assert counts[0] == pytest.approx(counts[1], abs=10 * 4)
