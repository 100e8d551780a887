"""``watch`` of ``cachetools`` caches and functions."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import filled
from tests_support import run_threads

from shrinker import CallbackErrors, ShrinkerError
from shrinker.cache import watch

if TYPE_CHECKING:
    from shrinker import Domain

cachetools = pytest.importorskip("cachetools")


def test_a_cache_evicts_by_its_own_policy(domain: Domain) -> None:
    """LRU keeps the entries used last, LFU those used most often."""
    lru = cachetools.LRUCache(1000)
    lfu = cachetools.LFUCache(1000)
    for cache in (lru, lfu):
        cache.update(filled(100))
        assert all(cache[n] == 0 for n in range(5))
        watched = watch(cache, lock=threading.RLock(), domain=domain)
        assert watched.registration.count() == 100
        assert watched.registration.scan(95) == 95
        assert sorted(cache) == list(range(5))


@pytest.mark.parametrize("kind", ["TTLCache", "TLRUCache"])
def test_a_count_removes_no_expired_entries(kind: str, domain: Domain) -> None:
    """``len()`` would, without the lock.  A scan does, and counts them."""
    now = 0
    ttl = 10 if kind == "TTLCache" else (lambda key, value, now: now + 10)
    cache = getattr(cachetools, kind)(1000, ttl, timer=lambda: now)
    cache.update(filled(200))
    now = 5
    cache.update(dict.fromkeys(range(200, 260), 0))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    now = 11
    assert watched.registration.count() == 260
    assert cachetools.Cache.__len__(cache) == 260
    assert watched.registration.scan(100) == 200
    assert watched.registration.count() == 60
    assert watched.registration.scan(100) == 60
    assert watched.registration.count() == 0


def test_expired_entries_count_as_scanned(domain: Domain) -> None:
    """Where more expire than were asked for, the pass asks for so many less."""
    now = 0
    cache = cachetools.TTLCache(10_000, 10, timer=lambda: now)
    cache.update(filled(1000))
    now = 5
    cache.update(dict.fromkeys(range(1000, 2000), 0))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    now = 11
    # 1,000 are wanted, and the first scan call frees those.
    assert domain.shrink_slab(priority=2) == 1000
    statistics = watched.registration.statistics()
    assert (statistics.scan_calls, statistics.scanned) == (1, 1000)


def test_a_popitem_that_raises_key_error(domain: Domain) -> None:
    """From an empty cache it ends the scan; from another one it is reported."""

    class Odd(cachetools.LRUCache):  # type: ignore[misc, name-defined]
        def popitem(self) -> Any:
            if len(self) == stuck:
                raise KeyError("stuck")
            return super().popitem()

    stuck = 0
    cache = Odd(100)
    cache.update(filled(10))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    assert watched.registration.scan(50) == 10
    cache.update(filled(10))
    stuck = 5
    with pytest.raises(CallbackErrors) as caught:
        watched.registration.scan(50)
    assert isinstance(caught.value.exceptions[0], KeyError)
    assert len(cache) == 5


def test_a_decorated_function_comes_with_its_lock(domain: Domain) -> None:
    """Its cache is scanned under the lock that ``cached`` was given."""
    lock = threading.Lock()

    @cachetools.cached(cachetools.LRUCache(100), lock=lock)
    def square(n: int) -> int:
        return n * n

    for n in range(50):
        square(n)
    watched = watch(square, domain=domain)
    assert watched.name.endswith("square")
    with lock:
        assert watched.registration.scan(10) == 0
    assert watched.registration.scan(10) == 10
    with pytest.raises(ShrinkerError, match="already"):
        watch(square.cache, lock=lock, domain=domain)

    @cachetools.cached({})
    def unlocked(n: int) -> int:
        return n

    with pytest.raises(TypeError, match="lock="):
        watch(unlocked, domain=domain)
    with watch(unlocked, lock=lock, domain=domain):
        pass


def test_a_user_with_the_lock_never_gets_a_key_error(
    fast_switching: None, domain: Domain
) -> None:
    """``if key in cache: cache[key]`` is safe under the lock of ``watch``."""
    lock = threading.Lock()
    cache = cachetools.LRUCache(500)
    watched = watch(cache, lock=lock, domain=domain)
    done = threading.Event()

    def use() -> None:
        try:
            for n in itertools.count():
                key = n % 400
                with lock:
                    if key in cache:
                        assert cache[key] == key
                    else:
                        cache[key] = key
                if done.is_set():
                    break
        finally:
            done.set()

    def reclaim() -> None:
        freed = 0
        try:
            while freed < 5000 and not done.is_set():
                freed += domain.shrink_slab(priority=0)
        finally:
            done.set()

    assert run_threads(use, reclaim) == []
    assert watched.registration.statistics().freed >= 5000


def test_a_user_without_the_lock_gets_a_key_error(
    fast_switching: None, domain: Domain
) -> None:
    """The counterpart of the test above: its users do not take the lock."""
    cache = cachetools.LRUCache(500)
    watch(cache, lock=threading.Lock(), domain=domain)
    done = threading.Event()
    errors: list[KeyError] = []

    def use() -> None:
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                for key in range(400):
                    if key in cache:
                        cache[key]
                    else:
                        cache[key] = key
        except KeyError as error:
            errors.append(error)
        finally:
            done.set()

    def reclaim() -> None:
        while not done.is_set():
            # It may get the same error.
            with contextlib.suppress(CallbackErrors):
                domain.shrink_slab(priority=0)

    run_threads(use, reclaim)
    assert errors


# --- weights -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LRUCache", "LFUCache", "FIFOCache"])
def test_getsizeof_weighs_the_entries(kind: str, domain: Domain) -> None:
    """With it counts and scans are in pages of ``currsize`` bytes."""
    cache = getattr(cachetools, kind)(1e9, getsizeof=len)
    cache.update({n: bytes(1000 * n) for n in range(100)})
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    pages = watched.registration.count()
    assert pages == -(-cache.currsize // 4096)
    freed = 0
    while cache:
        before = cache.currsize
        freed += watched.registration.scan(7)
        # At least what was asked for, and less than one entry more.
        assert before - cache.currsize < 7 * 4096 + 4096 + 100_000
        assert watched.registration.count() == pages - freed
    assert freed == pages


def test_entry_bytes_stands_above_getsizeof(domain: Domain) -> None:
    """For sizes that are not bytes."""
    cache = cachetools.LRUCache(1e9, getsizeof=lambda value: 0.5)
    cache.update(filled(100))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    assert watched.registration.count() == 1
    watched.close()
    watched = watch(cache, lock=threading.Lock(), entry_bytes=4096, domain=domain)
    assert watched.registration.count() == 100
    assert watched.registration.scan(30) == 30
    assert len(cache) == 70


def test_weighing_removes_no_expired_entries(domain: Domain) -> None:
    """``currsize`` would, without the lock.  A scan does."""
    now = 0
    cache = cachetools.TTLCache(1e9, 10, timer=lambda: now, getsizeof=len)
    cache.update({n: bytes(8192) for n in range(50)})
    now = 5
    cache.update({n: bytes(8192) for n in range(50, 60)})
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    now = 11
    assert watched.registration.count() == 120
    assert cachetools.Cache.__len__(cache) == 60
    assert watched.registration.scan(5) == 100
    assert watched.registration.count() == 20


# --- locks ---------------------------------------------------------------------------


def test_a_lock_is_required() -> None:
    """A cache without ``lock`` is an error that names the type."""
    with pytest.raises(TypeError, match="LRUCache needs lock="):
        watch(cachetools.LRUCache(10))


def test_a_decorated_function_without_a_lock() -> None:
    """The message names it, and says where the lock goes."""
    for cache in (cachetools.LRUCache(10), {}):

        @cachetools.cached(cache)
        def area(x: int) -> int:
            return x

        with pytest.raises(TypeError, match=r"area .*cached\(\.\.\., lock=\.\.\.\)"):
            watch(area)
        with watch(area, lock=threading.Lock()) as watched:
            assert watched.name.endswith("area")


def test_a_cachedmethod(domain: Domain) -> None:
    """A bound method stands for the cache of its object; the function is refused."""

    class Shop:
        def __init__(self) -> None:
            self.cache = cachetools.LRUCache(100)
            self.lock = threading.Lock()

        @cachetools.cachedmethod(lambda self: self.cache, lock=lambda self: self.lock)
        def price(self, x: int) -> int:
            return x

    shop = Shop()
    shop.price(1)
    with pytest.raises(TypeError, match=r"cachedmethod.* watch\(self.cache, lock="):
        watch(Shop.price, domain=domain)
    try:
        watched = watch(shop.price, domain=domain)
    except TypeError as error:  # Before cachetools 7.
        assert "watch(self.cache, lock=self.lock)" in str(error)
    else:
        assert watched.registration.scan(1) == 1
        assert len(shop.cache) == 0
