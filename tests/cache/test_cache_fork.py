"""``Cache``: what was there before a fork is kept in the child."""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from processes_support import run

from shrinker.cache import Cache
from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from shrinker import Domain

Inherited = Any


def forked(cache: Cache[int, int]) -> Inherited:
    """Do to one cache what a fork does to all; return what a reclaimer sees."""
    inherited: Inherited = cache.registration._keepalive
    inherited.after_fork()
    return inherited


def filled(domain: Domain, n: int = 100, **options: Any) -> Cache[int, int]:
    cache: Cache[int, int] = Cache(domain=domain, **{"weigher": None, **options})
    cache.update((k, k) for k in range(n))
    return cache


@pytest.mark.parametrize("weigher", [None, lambda _key, _value: 2 * PAGE_SIZE])
def test_kept_entries_are_not_counted(weigher: Any, domain: Domain) -> None:
    """They are hits as before; what the child sets is counted and evicted."""
    cache = filled(domain, weigher=weigher)
    pages = 1 if weigher is None else 2
    inherited = forked(cache)
    assert cache.registration.count() == 0
    assert inherited.inherited_bytes() == 100 * pages * PAGE_SIZE
    assert domain.shrink_slab(priority=0) == 0
    cache.update((k, k) for k in range(100, 110))
    assert cache.registration.count() == 10 * pages
    assert cache.registration.scan(3 * pages) == 3 * pages
    assert sorted(cache) == [*range(100), *range(103, 110)]
    assert all(cache[k] == k for k in range(100))
    assert domain.shrink_slab(priority=0) == 7 * pages
    assert sorted(cache) == sorted(k for k, _ in cache.items()) == list(range(100))
    assert sorted(cache.values()) == list(range(100))
    assert inherited.inherited_bytes() == 100 * pages * PAGE_SIZE


def test_a_second_chance_is_no_way_to_kept_entries(domain: Domain) -> None:
    """Marked entries of the child go to the tail and then; kept ones stay."""
    cache = filled(domain)
    forked(cache)
    cache.update((k, k) for k in range(100, 140))
    assert all(cache[k] == k for k in range(140))
    for _ in range(5):
        domain.shrink_slab(priority=0)
    assert sorted(cache) == list(range(100))


def test_entries_that_are_set_again_are_the_childs(domain: Domain) -> None:
    """And those that it deletes are gone."""
    cache = filled(domain)
    inherited = forked(cache)
    for k in range(10):
        cache[k] = -k
    for k in range(10, 30):
        del cache[k]
    assert cache.registration.count() == 10
    assert inherited.inherited_bytes() == 70 * PAGE_SIZE
    assert domain.shrink_slab(priority=0) == 10
    assert sorted(cache) == list(range(30, 100))


def test_kept_entries_are_given_at_last(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a reclaimer says so, once; or the parent has ended."""
    cache = filled(domain)
    inherited = forked(cache)
    cache[100] = 100
    assert inherited.give_inherited()
    assert not inherited.give_inherited()
    assert inherited.inherited_bytes() == 0
    assert cache.registration.count() == 101
    inherited.after_fork()
    assert cache.registration.count() == 0
    another = os.getppid() + 1
    monkeypatch.setattr(os, "getppid", lambda: another)
    assert inherited.inherited_bytes() == 0
    assert domain.shrink_slab(priority=0) == 101
    assert not inherited.give_inherited()


def test_kept_entries_that_have_expired(domain: Domain) -> None:
    """They leave, as all that have expired; a scan has freed nothing by that."""
    cache = filled(domain, ttl=0.001)
    inherited = forked(cache)
    time.sleep(0.01)
    assert cache.get(0) is None
    cache[100] = 100
    before = cache.registration.count()
    assert before <= 1
    for _ in range(100):
        before -= cache.registration.scan(10)
    assert before == cache.registration.count()
    assert inherited.inherited_bytes() <= 100 * PAGE_SIZE


def test_they_count_for_maxsize(domain: Domain) -> None:
    """The child's own go first; where there are none left, kept ones go."""
    cache = filled(domain, maxsize=100)
    inherited = forked(cache)
    for k in range(100, 150):
        cache[k] = k
        assert len(cache) <= 100
        assert k in cache, "a set never evicts its own entry"
    assert inherited.inherited_bytes() == 0


def test_a_child_may_cache_under_pressure(domain: Domain) -> None:
    """One entry, as an empty cache may; more only in its place."""
    cache = filled(domain)
    forked(cache)
    domain._growth.under_pressure = True
    for k in range(100, 110):
        cache[k] = k
        assert k in cache
        assert len(cache) == 101
    domain._growth.under_pressure = False


def test_popitem_clear_and_close(domain: Domain) -> None:
    """They take kept entries as all others."""
    cache = filled(domain)
    forked(cache)
    assert cache.popitem() == (0, 0)
    assert cache.registration.count() == 99
    forked(cache)
    cache.clear()
    assert not cache
    assert cache.registration.count() == 0
    cache[1] = 1
    forked(cache)
    cache.close()
    assert not cache
    with pytest.raises(KeyError):
        cache.popitem()


def test_an_empty_cache_keeps_nothing(domain: Domain) -> None:
    """What it has afterwards is the child's."""
    cache = filled(domain, 0)
    assert forked(cache).inherited_bytes() == 0
    cache[1] = 1
    assert cache.registration.count() == 1


def test_a_table_that_grows_and_the_cycle_collector(domain: Domain) -> None:
    """The end of what is kept is no entry for them."""
    cache = filled(domain, 10)
    forked(cache)
    cache.update((k, k) for k in range(10, 1000))
    gc.collect()
    assert all(cache[k] == k for k in range(1000))
    assert cache.registration.count() == 990


def test_children_of_children(domain: Domain) -> None:
    """All that is there is kept each time, to the last fork that can be told apart."""
    cache = filled(domain, 10)
    for n in range(255):
        inherited = forked(cache)
        assert cache.registration.count() == 0
        cache[10 + n] = n
        assert cache.registration.count() == 1
    assert forked(cache).inherited_bytes() == 0
    assert cache.registration.count() == len(cache) == 265
    assert not inherited.give_inherited()


def test_a_fork() -> None:
    """The parent goes on as before; a cache under a decorator, too."""
    printed = run("""
from shrinker.cache import Cache, cached
cache = Cache(weigher=None, domain=domain)
cache.update((n, n) for n in range(100))
square = cached(weigher=None, domain=domain)(lambda n: n * n)
for n in range(10):
    square(n)
def use():
    assert cache.registration.count() == 0
    cache["new"] = 1
    assert cache.registration.count() == 1
    assert square.cache.registration.count() == 0
    assert square(3) == 9 and square.cache_info().hits == 1
    assert cache.registration.scan(5) == 1
    assert len(cache) == 100
assert child(use) == 0
assert cache.registration.count() == 100
assert square.cache.registration.count() == 10
assert cache.registration.scan(5) == 5
print("done")
""")
    assert printed == "done\n"


def test_a_fork_inside_of_a_clear(domain: Domain) -> None:
    """A finaliser may delete an entry and fork; the clear still drops the rest."""
    cache: Cache[int, Any] = Cache(domain=domain, weigher=None)

    class Forks:
        def __del__(self) -> None:
            del cache[1]
            forked(cache)

    cache.update({0: Forks(), 1: 1, 2: 2})
    cache.clear()
    assert (len(cache), cache.weight, list(cache)) == (0, 0, [])
    cache[3] = 3
    assert cache.registration.count() == 1
    assert domain.shrink_slab(priority=0) == 1
