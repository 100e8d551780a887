"""Five caches under one reclaim lose in the proportions of the kernel's formula.

The model is ``reference_model``, one pass on unbounded integers; the formula is
what it comes to over many passes: at priority ``p`` a pass takes the part
4 / (seeks * 2**p).  docs/fairness.md tells the same with a picture.
"""

from __future__ import annotations

import dataclasses
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
from reference_model import model_pass

from shrinker.cache.lru import LruCache
from shrinker.cache.watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain, ShrinkerRegistration


def pages(weight: int) -> int:
    return -(-weight // 4096)


@dataclasses.dataclass
class Five:
    """One of five caches of very different sizes and costs, and its model."""

    entries: int
    seeks: int
    entry_bytes: int | None = None
    deferred: int = 0

    def __post_init__(self) -> None:
        # What the model says it has: entries, or pages where they are weighed.
        self.units = self.entries
        if self.entry_bytes is not None:
            self.units = pages(self.entries * self.entry_bytes)
        self.bytes_left: int | None = None

    def watched(self, domain: Domain) -> ShrinkerRegistration[Any]:
        """Make it a dict that is watched."""
        self.cache: Any = dict.fromkeys(range(self.entries))
        return watch(
            self.cache,
            lock=threading.Lock(),
            seeks=self.seeks,
            entry_bytes=self.entry_bytes,
            domain=domain,
        ).registration

    def lru(self, domain: Domain) -> ShrinkerRegistration[Any]:
        """Make it an LruCache, of entries that nobody has used."""
        weight = self.entry_bytes
        weigher = None if weight is None else (lambda key, value: weight)
        if weight is not None:
            self.bytes_left = self.entries * weight
        self.cache = LruCache(seeks=self.seeks, weigher=weigher, domain=domain)
        for key in range(self.entries):
            self.cache[key] = None
        return self.cache.registration

    def model(self, priority: int) -> tuple[int, int]:
        """Run the model's pass; return what it frees, and in how many calls.

        The batch is what a cache of this size asks to be scanned in.
        """

        def scan(n: int, i: int) -> tuple[int, int]:
            freed, scanned = min(n, self.units), n
            if self.bytes_left is not None:
                # An LruCache goes on to the end of the entry with the last byte.
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


def five(entry_bytes: int = 200, scale: int = 1) -> tuple[Five, ...]:
    return (
        Five(100_000 * scale, seeks=2),
        Five(30_000 * scale, seeks=1),
        Five(30_000 * scale, seeks=8),
        Five(4_004 * 4096 // entry_bytes, seeks=2, entry_bytes=entry_bytes),
        Five(1_000, seeks=2),
    )


def ladders() -> list[int]:
    return [*range(12, -1, -1)]


def mild() -> list[int]:
    return [6] * 60


def restless() -> list[int]:
    chosen = random.Random(4)  # noqa: S311 - the same in every run
    return chosen.choices(range(13), weights=[*range(1, 14)], k=150)


@pytest.mark.parametrize(
    ("kind", "entry_bytes"),
    # 4096 is no multiple of 200.
    [(Five.watched, 200), (Five.watched, 256), (Five.lru, 200), (Five.lru, 256)],
)
@pytest.mark.parametrize("priorities", [ladders, mild, restless])
def test_each_pass_is_the_models(
    priorities: Callable[[], list[int]],
    kind: Callable[[Five, Domain], ShrinkerRegistration[Any]],
    entry_bytes: int,
    domain: Domain,
) -> None:
    """What goes, in how many calls, and what is put off: the same in every pass."""
    caches = [(one, kind(one, domain)) for one in five(entry_bytes)]
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


def small() -> tuple[Five, ...]:
    return (Five(300, seeks=1), Five(1_000, seeks=2), Five(2_500, seeks=8))


@pytest.mark.parametrize("sizes", [lambda: five(scale=3), small])
@pytest.mark.parametrize(("priority", "passes"), [(6, 60), (4, 20), (3, 10), (8, 200)])
def test_proportions_are_the_formulas(
    priority: int, passes: int, sizes: Callable[[], tuple[Five, ...]], domain: Domain
) -> None:
    """Over many passes nobody is further from them than batching explains.

    Work is put off while less than a batch is together, of which the part 2**-p
    comes back in each pass: so never more than (batch << p) + batch is put off.  The
    shifts round down, by at most 4 / seeks + 1 in a pass that takes the part a,
    which comes to (4 / seeks + 1) / a.
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


def test_the_bound_says_something(domain: Domain) -> None:
    """The large ones lose most of what they have, in the order of their costs."""
    caches = [one.watched(domain) for one in five(scale=3)]
    size = [watched.count() for watched in caches]
    for _ in range(60):
        domain.shrink_slab(priority=6)
    lost = [
        1 - watched.count() / units for watched, units in zip(caches, size, strict=True)
    ]
    assert lost[1] > lost[0] > lost[2] > 0.1


@pytest.mark.parametrize("entries", [64, 200, 1_000, 4_004])
def test_small_caches_lose_their_part(entries: int, domain: Domain) -> None:
    """With a batch of a 64th a pass at priority 6 finds one in the smallest."""
    watched = Five(entries, seeks=2).watched(domain)
    domain.shrink_slab(priority=6)
    wanted = (entries >> 6) * 2
    batch = entries // 64
    assert watched.statistics().freed == wanted // batch * batch == wanted
    for _ in range(19):
        domain.shrink_slab(priority=6)
    if entries == 64:  # One less, and the part is rounded down to none.
        assert watched.count() == 62
        return
    # Never more than the formula, and the half of it at least.
    lost = 1 - watched.count() / entries
    assert 0.5 * (1 - (1 - 1 / 32) ** 20) < lost <= 1 - (1 - 1 / 32) ** 20 + 1 / 64


def test_costs_divide_what_is_asked(domain: Domain) -> None:
    """In one pass, with nothing deferred: 4 / seeks of the part, in whole batches."""
    seeks = (1, 2, 4, 8, 16)
    caches = [Five(2**18, seeks=cost) for cost in seeks]
    watches = [one.watched(domain) for one in caches]
    domain.shrink_slab(priority=6)
    freed = [watched.statistics().freed for watched in watches]
    assert freed == [2**12 * 4 // cost for cost in seeks]


def test_sizes_multiply_what_is_asked(domain: Domain) -> None:
    """Ten times the entries lose ten times as many, from 64 on."""
    watches = [Five(2**6 * n, seeks=2).watched(domain) for n in (1, 10, 100, 1000)]
    domain.shrink_slab(priority=6)
    freed = [watched.statistics().freed for watched in watches]
    assert freed == [2, 20, 200, 1920]  # Of 2,000, in batches of 128.


@pytest.mark.parametrize("priority", [2, 4, 6])
def test_fewer_than_the_priority_divides_are_spared(
    priority: int, domain: Domain
) -> None:
    """Below 2 ** p entries: integers make nothing of their part, however often."""
    limit = 1 << priority
    spared, first = Five(limit - 1, seeks=2), Five(limit, seeks=2)
    watches = [spared.watched(domain), first.watched(domain)]
    for _ in range(100):
        domain.shrink_slab(priority=priority)
    assert watches[0].statistics().freed == 0
    assert watches[1].statistics().freed > 0


def test_weighed_caches_lose_memory_not_entries(domain: Domain) -> None:
    """Two of one size in memory lose the same memory, whatever their entries weigh."""
    small = Five(400_000, seeks=2, entry_bytes=128)
    large = Five(3_125, seeks=2, entry_bytes=16_384)
    watches = [small.watched(domain), large.watched(domain)]
    for _ in range(10):
        domain.shrink_slab(priority=5)
    lost = [
        (one.entries - len(one.cache)) * (one.entry_bytes or 0)
        for one in (small, large)
    ]
    # In each pass a large one goes for what may be the last page wanted.
    assert lost[0] == pytest.approx(lost[1], abs=10 * 16_384)
    assert lost[0] > 10_000_000
    counts = [watched.count() for watched in watches]
    assert counts[0] == pytest.approx(counts[1], abs=10 * 4)
