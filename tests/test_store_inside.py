"""What caches do seldom, some of it looked at from inside."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import shrinker
from shrinker.cache import LruCache
from shrinker.cache.store import GONE, Entry

if TYPE_CHECKING:
    from shrinker import Domain
    from shrinker.cache.store import Store


def empty_entries(store: Store) -> int:
    return sum(entry.key is GONE for entry in store.order)


def test_empty_entries_are_counted(domain: Domain) -> None:
    """Where popitem() meets what was deleted, that is off the order, and not counted
    as on it: one that counts too many turns the order around ever more often."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    for n in range(50):
        cache[n] = n
    for n in range(20):
        del cache[n]
    store = cache._store
    assert store.dead == empty_entries(store) == 20
    assert cache.popitem() == (20, 20)
    assert store.dead == empty_entries(store) == 1  # What popitem() took.


def test_one_compaction_at_a_time(domain: Domain) -> None:
    """A compaction that is begun in the middle of another one leaves the order alone:
    two turns at once would end anywhere."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    for n in range(100):
        cache[n] = n
    for n in range(0, 100, 3):
        del cache[n]
    store = cache._store
    left = [n for n in range(100) if n % 3]

    class Interrupted(deque[Entry]):
        begun = False

        def rotate(self, n: int = 1) -> None:
            super().rotate(n)
            if not self.begun:
                self.begun = True
                store._compact()

    store.order = Interrupted(store.order)
    store._compact()
    assert store.order.begun
    assert [entry.key for entry in store.order] == left
    assert store.dead == 0


def test_closed_twice_and_watched_again_in_between(domain: Domain) -> None:
    """The second close() of an earlier watch does not end the later one, which nobody
    holds but the domain."""
    watched, lock = {n: n for n in range(10)}, threading.Lock()
    earlier = shrinker.watch(watched, domain=domain, lock=lock)
    earlier.close()
    shrinker.watch(watched, domain=domain, lock=lock)
    earlier.close()
    assert [registration.count() for registration in domain.shrinkers()] == [10]
