"""``watch``: caches of other kinds as shrinkers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import multiprocessing
import signal
import subprocess
import sys
import threading
import weakref
from collections import Counter, OrderedDict, UserDict, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Cache, register, run_threads

from shrinker import CallbackErrors, Domain, ScanObjects, ShrinkerError, default_domain
from shrinker.cache import adapters
from shrinker.cache.watch import Watched, watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


@pytest.fixture
def cachetools() -> ModuleType:
    module: ModuleType = pytest.importorskip("cachetools")
    return module


class Entries:
    """A cache with the two methods."""

    def __init__(self, n: int = 1000) -> None:
        self.n = n
        self.asked: list[int] = []
        self.lock = threading.Lock()

    def count(self) -> int:
        return self.n

    def evict(self, n: int) -> int:
        self.asked.append(n)
        with self.lock:
            went = min(n, self.n)
            self.n -= went
        return went


def filled(n: int = 1000) -> dict[int, int]:
    return dict.fromkeys(range(n), 0)


def lru_function(n: int) -> Any:
    @functools.lru_cache(maxsize=100_000)
    def square(x: int) -> int:
        return x * x

    for x in range(n):
        square(x)
    return square


# --- dict and OrderedDict ----------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [dict, OrderedDict, lambda it: defaultdict(int, it)], ids=repr
)
def test_the_oldest_entries_of_a_dict_go_first(kind: Any, domain: Domain) -> None:
    """What is scanned is taken from the front, and exactly as much as was asked."""
    cache = kind((n, str(n)) for n in range(1000))
    with watch(cache, lock=threading.Lock(), domain=domain) as watched:
        assert watched.registration.count() == 1000
        assert watched.registration.scan(10) == 10
        assert list(cache) == list(range(10, 1000))
        assert domain.shrink_slab(priority=2) == 480  # Of 494, in batches of 15.
        assert list(cache) == list(range(490, 1000))
        assert watched.registration.scan(1000) == 510
        assert watched.registration.count() == 0


def test_an_ordered_dict_that_was_used_goes_by_its_order(domain: Domain) -> None:
    """``move_to_end`` between two scans of a pass saves an entry."""
    cache = OrderedDict.fromkeys(range(1000))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.scan(1)
    cache.move_to_end(1)
    watched.registration.scan(2)
    assert 1 in cache
    assert next(iter(cache)) == 4


def test_a_dict_keeps_what_was_put_back_for_the_next_pass(domain: Domain) -> None:
    """Keys that were looked at ahead are looked up again: the next pass starts anew."""
    cache = filled(10_000)
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.scan(1)
    del cache[1]
    cache[1] = 0
    del cache[2]
    watched.registration.count()
    assert watched.registration.scan(5) == 5
    assert next(iter(cache)) == 8
    assert 1 in cache


def test_keys_that_went_meanwhile_are_passed_by(domain: Domain) -> None:
    """Between two scans of a pass others may delete; only what went is counted."""
    cache = filled(10_000)
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.scan(1)
    for key in range(1, 5):
        del cache[key]
    assert watched.registration.scan(10) == 6
    assert len(cache) == 10_000 - 1 - 4 - 6


def test_draining_a_large_dict_is_not_quadratic(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The front, where deleted entries leave holes, is passed seldom."""
    looks: list[int] = []
    first = adapters._first

    def counting(keys: Any, n: int) -> list[Any]:
        looks.append(n)
        return first(keys, n)

    monkeypatch.setattr(adapters, "_first", counting)
    cache = filled(200_000)
    watch(cache, lock=threading.Lock(), domain=domain)
    domain.shrink_slab(priority=0)
    assert not cache
    assert len(looks) < 120  # Of more than 1,500 scans.


def test_a_subclass_hears_of_its_evictions(domain: Domain) -> None:
    """One with books of its own keeps them right."""

    class Booked(dict[int, int]):
        def __delitem__(self, key: int) -> None:
            super().__delitem__(key)
            gone.append(key)

        def __len__(self) -> int:
            raise AssertionError("counting calls nothing of the user's")

    gone: list[int] = []
    watched = watch(Booked(filled()), lock=threading.Lock(), domain=domain)
    assert watched.closed  # It was weakly held, and nobody else has it.
    booked = Booked(filled())
    watched = watch(booked, lock=threading.Lock(), domain=domain)
    assert watched.registration.count() == 1000
    assert watched.registration.scan(3) == 3
    assert gone == [0, 1, 2]


def test_a_dict_that_changes_under_the_look_is_left(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the rules somebody writes without the lock: no error, another time."""

    def changed(keys: Iterator[int], n: int) -> Iterator[int]:
        yield next(keys)
        raise RuntimeError("dictionary changed size during iteration")

    cache = OrderedDict.fromkeys(range(256))
    watch(cache, lock=threading.Lock(), domain=domain)
    with monkeypatch.context() as patch:
        patch.setattr(adapters.itertools, "islice", changed)
        assert domain.shrink_slab(priority=0) == 0
    assert domain.shrink_slab(priority=0) == 256


# --- cachetools --------------------------------------------------------------------


def test_a_cachetools_cache_goes_by_its_own_policy(
    cachetools: ModuleType, domain: Domain
) -> None:
    """LRU: what was used stays.  LFU: what was used often does."""
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
def test_counting_removes_nothing_that_has_expired(
    kind: str, cachetools: ModuleType, domain: Domain
) -> None:
    """``len()`` would, and without the lock; a scan does, and counts it."""
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


def test_the_pass_is_told_what_expired_on_top(
    cachetools: ModuleType, domain: Domain
) -> None:
    """More went than was asked for: the pass asks for so much less."""
    now = 0
    cache = cachetools.TTLCache(10_000, 10, timer=lambda: now)
    cache.update(filled(1000))
    now = 5
    cache.update(dict.fromkeys(range(1000, 2000), 0))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    now = 11
    # Asked for 1000: the first scan call frees that, and there is no second.
    assert domain.shrink_slab(priority=2) == 1000
    statistics = watched.registration.statistics()
    assert (statistics.scan_calls, statistics.scanned) == (1, 1000)


def test_a_pop_that_finds_nothing_ends_the_scan(
    cachetools: ModuleType, domain: Domain
) -> None:
    """What went before counts; another KeyError is an error."""

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


def test_what_cachetools_decorated_comes_with_its_lock(
    cachetools: ModuleType, domain: Domain
) -> None:
    """``cached`` functions: their cache, under their lock."""
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


def test_a_cachetools_user_never_meets_a_key_error(
    cachetools: ModuleType, fast_switching: None, domain: Domain
) -> None:
    """The story of the issue: look, then take, under the lock that watch was given."""
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


def test_without_its_lock_the_same_user_meets_one(
    cachetools: ModuleType, fast_switching: None, domain: Domain
) -> None:
    """That is why: a lock that nobody else holds, and the test above fails."""
    cache = cachetools.LRUCache(500)
    watch(cache, lock=threading.Lock(), domain=domain)
    done = threading.Event()
    errors: list[KeyError] = []

    def use() -> None:
        try:
            for n in range(2_000_000):
                key = n % 400
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
            # It may meet the same.
            with contextlib.suppress(CallbackErrors):
                domain.shrink_slab(priority=0)

    run_threads(use, reclaim)
    assert errors


def test_cachetools_is_not_imported() -> None:
    """Who does not use it does not get it."""
    code = (
        "import sys, threading\n"
        "from shrinker.cache.watch import watch\n"
        "watch({}, lock=threading.Lock())\n"
        "assert not {'cachetools', 'asyncio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


# --- functools.lru_cache -----------------------------------------------------------


def test_an_lru_cache_function_is_cleared_at_priority_0_only(domain: Domain) -> None:
    """Milder passes do not call it, and then it goes as a whole."""
    square = lru_function(1000)
    watched = watch(square, domain=domain)
    for priority in range(12, 0, -1):
        assert domain.shrink_slab(priority=priority) == 0
    assert watched.registration.statistics().scan_calls == 0
    assert domain.shrink_slab(priority=0) == 1000
    assert square.cache_info().currsize == 0
    assert watched.registration.statistics().scan_calls == 1


def test_an_lru_cache_function_goes_at_priority_1_in_the_third_pass(
    domain: Domain,
) -> None:
    """Deferred work of passes that came to nothing adds up to the whole."""
    square = lru_function(1024)
    watch(square, domain=domain)
    assert [domain.shrink_slab(priority=1) for _ in range(3)] == [0, 0, 1024]
    square = lru_function(1024)
    watch(square, domain=domain)
    assert [domain.shrink_slab(priority=2) for _ in range(20)] == [0] * 20


def test_an_lru_cache_function_is_not_cleared_for_a_few(domain: Domain) -> None:
    """Who asks for 10 of 1000 does not lose 1000."""
    square = lru_function(1000)
    watched = watch(square, domain=domain)
    assert watched.registration.scan(10) == 0
    assert square.cache_info().currsize == 1000
    assert watched.registration.scan(1000) == 1000


def test_a_method_stands_for_its_function(domain: Domain) -> None:
    """``watch(obj.method)`` is ``watch(Class.method)``, and lasts as long."""

    class Squares:
        @functools.cache  # noqa: B019
        def of(self, n: int) -> int:
            return n * n

    squares = Squares()
    squares.of(1)
    watched = watch(squares.of, domain=domain)
    assert not watched.closed
    assert domain.shrink_slab(priority=0) == 1
    with pytest.raises(ShrinkerError, match="already"):
        watch(Squares.of, domain=domain)


# --- two methods -------------------------------------------------------------------


def test_two_methods_make_a_cache(domain: Domain) -> None:
    """They are asked in batches, and their numbers are the shrinker's."""
    entries = Entries()
    watched = watch(entries, name="mine", seeks=4, domain=domain)
    assert (watched.name, watched.registration.seeks) == ("mine", 4)
    assert domain.shrink_slab(priority=1) == 495
    assert entries.asked == [1000 // 64] * 33
    assert entries.n == 505


def test_two_callables_make_a_cache(domain: Domain) -> None:
    """Given themselves they are kept, and named after the second."""
    entries = Entries(5)
    dead = weakref.ref(entries)
    watched = watch(count=entries.count, evict=entries.evict, domain=domain)
    del entries
    gc.collect()
    assert watched.registration.count() == 5
    assert watched.name == "Entries.evict"
    watched.close()
    assert dead() is None


@pytest.mark.parametrize("entry_bytes", [None, 100])
@pytest.mark.parametrize(
    ("count", "evicted", "error"),
    [("many", 0, TypeError), (-1, 0, ValueError), (500, None, TypeError),
     (500, -1, ValueError), (True, 0, TypeError), (500, 1.0, TypeError)],
)  # fmt: skip
def test_nonsense_from_the_callables_is_reported(
    count: Any, evicted: Any, error: type[Exception], entry_bytes: int | None
) -> None:
    """It does not enter the arithmetic, and others get their turn."""
    with Domain() as domain:
        watch(
            count=lambda: count,
            evict=lambda n: evicted,
            domain=domain,
            entry_bytes=entry_bytes,
        )
        other = Entries(256)
        watch(other, domain=domain)
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab(priority=0)
        assert isinstance(caught.value.exceptions[0], error)
        assert other.n == 0


def test_an_evict_that_raises_costs_nobody_else_anything(domain: Domain) -> None:
    """The error comes out of the walk, with the result; next time is another try."""
    fail = True

    def evict(n: int) -> int:
        if fail:
            raise OSError("disk on fire")
        return entries.evict(n)

    entries, other = Entries(256), Entries(256)
    watched = watch(count=entries.count, evict=evict, name="burning", domain=domain)
    watch(other, domain=domain)
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert caught.value.result == 256
    (error,) = caught.value.exceptions
    assert isinstance(error, OSError)
    assert "burning" in error.__notes__[0]
    assert (entries.n, other.n) == (256, 0)
    assert watched.registration.nr_deferred() == 512
    fail = False
    assert domain.shrink_slab(priority=0) == 256


def test_evict_may_say_stop(domain: Domain) -> None:
    """As a scan callback does; the work is put off."""
    for entry_bytes in (None, 8192):
        watched = watch(
            count=lambda: 100,
            evict=lambda n: ScanObjects.STOP,  # type: ignore[arg-type, return-value]
            entry_bytes=entry_bytes,
            domain=domain,
        )
        assert domain.shrink_slab(priority=0) == 0
        assert watched.registration.statistics().scan_calls == 0
        watched.close()


# --- weights -----------------------------------------------------------------------


@pytest.mark.parametrize("entry_bytes", [1, 100, 4096, 5000, 100_000])
def test_weighed_counts_and_scans_are_in_pages(
    entry_bytes: int, domain: Domain
) -> None:
    """All that was counted is freed, page by page, and no more."""
    cache = filled(3000)
    watched = watch(
        cache, lock=threading.Lock(), entry_bytes=entry_bytes, domain=domain
    )
    pages = watched.registration.count()
    assert pages == -(-3000 * entry_bytes // 4096)
    freed = 0
    while cache:
        before = len(cache)
        freed += watched.registration.scan(7)
        # At least what was asked, and less than one entry more.
        assert (before - len(cache)) * entry_bytes < 7 * 4096 + 4096 + entry_bytes
        assert watched.registration.count() == pages - freed
    assert freed == pages


def test_a_weighed_lru_function_is_cleared_whole(domain: Domain) -> None:
    """In pages as well: all of it, when all is wanted."""
    square = lru_function(1000)
    watch(square, entry_bytes=10_000, domain=domain)
    assert domain.shrink_slab(priority=1) == 0
    assert domain.shrink_slab(priority=0) == -(-1000 * 10_000 // 4096)


# --- locks -------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dict, OrderedDict, lambda: defaultdict(int)])
def test_a_lock_is_required_where_types_are_not_thread_safe(make: Any) -> None:
    """The message says what to pass and why."""
    with pytest.raises(TypeError, match=r"needs lock=.*cache\[key\]"):
        watch(make())


def test_a_lock_is_required_for_cachetools(cachetools: ModuleType) -> None:
    """The negative control of the story."""
    with pytest.raises(TypeError, match="LRUCache needs lock="):
        watch(cachetools.LRUCache(10))


def test_a_decorated_function_without_a_lock_is_named(cachetools: ModuleType) -> None:
    """And the message says where its lock goes."""
    for cache in (cachetools.LRUCache(10), {}):

        @cachetools.cached(cache)
        def area(x: int) -> int:
            return x

        with pytest.raises(TypeError, match=r"area .*cached\(\.\.\., lock=\.\.\.\)"):
            watch(area)
        with watch(area, lock=threading.Lock()) as watched:
            assert watched.name.endswith("area")


def test_a_cachedmethod(cachetools: ModuleType, domain: Domain) -> None:
    """Each object has a cache, so that of one object is meant, or nobody's."""

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


def test_a_cachedmethod_as_it_was() -> None:
    """Up to cachetools 6: a function that knows functions from an object."""

    def price(self: object) -> None: ...

    price.cache = price.cache_lock = lambda self: self  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"price .*cachedmethod.* watch\(self.cache"):
        watch(price)


class AsyncLock:
    async def acquire(self, *, blocking: bool = True) -> bool:
        return blocking

    def release(self) -> None:
        raise AssertionError("never acquired")


@pytest.mark.parametrize("lock", [asyncio.Lock(), asyncio.Semaphore(), AsyncLock()])
def test_locks_of_asyncio_are_refused(lock: Any, domain: Domain) -> None:
    """The message says which thread wants it, and what to use instead."""
    message = "another thread: use a threading.Lock, and never hold it across an await"
    with pytest.raises(TypeError, match=message):
        watch({}, lock=lock, domain=domain)


@pytest.mark.parametrize(
    "lock",
    [asyncio.Lock(), AsyncLock(), multiprocessing.Lock(), object(), 5, "lock"],
    ids=lambda lock: type(lock).__name__,
)
def test_what_cannot_be_tried_is_no_lock(lock: Any, domain: Domain) -> None:
    """An asyncio.Lock above all; nothing is left behind."""
    with pytest.raises(TypeError, match="lock must"):
        watch({}, lock=lock, domain=domain)
    assert domain.shrinkers() == ()


@pytest.mark.parametrize(
    "make",
    [
        threading.Lock,
        threading.RLock,
        threading._PyRLock,  # type: ignore[attr-defined]
        threading.Condition,
        lambda: threading.Condition(threading.Lock()),
        threading.Semaphore,
    ],
)
def test_a_taken_lock_says_stop(make: Any, domain: Domain) -> None:
    """Whoever holds it, this thread included; the work is put off, none is lost."""
    lock = make()
    cache = filled(256)
    watched = watch(cache, lock=lock, domain=domain)
    with lock:
        assert watched.registration.count() == 256  # Takes no lock.
        assert domain.shrink_slab(priority=0) == 0  # From within.
        results: list[int] = []
        run_threads(lambda: results.append(domain.shrink_slab(priority=0)))
        assert results == [0]
    assert len(cache) == 256
    assert watched.registration.nr_deferred() > 0
    assert domain.shrink_slab(priority=0) == 256
    assert lock.acquire(blocking=False)


def test_a_lock_may_be_held_when_the_watch_begins(domain: Domain) -> None:
    """By this thread or another; it is tried, and given back as it was."""
    for lock in (threading.Lock(), threading.RLock()):
        with lock:
            watched = watch(filled(), lock=lock, domain=domain)
        assert lock.acquire(blocking=False)
        lock.release()
        assert watched.registration.scan(1) == 1


def test_a_lock_that_raises_is_reported(domain: Domain) -> None:
    """Nothing is evicted, and other caches get their turn."""

    class Broken:
        broken = False

        def acquire(self, blocking: bool = True) -> bool:
            if self.broken:
                raise OSError("no locks left")
            return True

        def release(self) -> None:
            pass

    lock = Broken()
    cache, other = filled(256), Entries(256)
    watch(cache, lock=lock, domain=domain)
    watch(other, domain=domain)
    lock.broken = True
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert [str(error) for error in caught.value.exceptions] == ["no locks left"]
    assert (len(cache), other.n) == (256, 0)


def test_values_go_after_the_lock(domain: Domain) -> None:
    """A destructor that uses the cache, under its lock, does not deadlock."""

    class Value:
        def __del__(self) -> None:
            seen.append(lock.acquire(timeout=10))
            lock.release()

    lock = threading.Lock()
    seen: list[bool] = []
    cache = {n: Value() for n in range(5)}
    watched = watch(cache, lock=lock, domain=domain)
    assert watched.registration.scan(3) == 3
    assert seen == [True] * 3
    cache.clear()


def test_values_are_not_kept_by_an_error(domain: Domain) -> None:
    """What went before a pop that raised is let go of, traceback or not."""

    class Odd(dict[int, Any]):
        def __delitem__(self, key: int) -> None:
            if key == 3:
                raise OSError("no")
            super().__delitem__(key)

    cache = Odd((n, Cache(n)) for n in range(5))
    values = [weakref.ref(value) for value in cache.values()]
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    with pytest.raises(CallbackErrors) as caught:
        watched.registration.scan(5)
    assert isinstance(caught.value.exceptions[0], OSError)
    assert [value() is None for value in values] == [True] * 3 + [False] * 2


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_a_signal_never_leaves_the_lock_taken(domain: Domain) -> None:
    """Wherever in a scan its exception comes."""

    class Interrupt(Exception):  # noqa: N818
        pass

    def handler(*_: object) -> None:
        nonlocal armed, interrupts
        if armed:
            armed = False
            interrupts += 1
            raise Interrupt

    lock = threading.Lock()
    cache: dict[int, int] = {}
    watched = watch(cache, lock=lock, domain=domain)
    adapter = watched.registration.private_data
    armed = False
    interrupts = 0

    class Control:
        nr_to_scan = 1

    def scan() -> None:
        nonlocal armed
        try:
            armed = True
            adapter.scan_objects(Control)
            armed = False
        except Interrupt:
            pass

    # The exception must not come in a finaliser, where it would be ignored.
    gc.collect()
    gc.disable()
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        while interrupts < 3000 and not lock.locked():
            scan()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.enable()
    assert not lock.locked()


# --- handles and ends --------------------------------------------------------------


def test_dropping_the_handle_changes_nothing(domain: Domain) -> None:
    """People write ``shrinker.watch(cache, lock=lock)`` and forget it."""
    cache, entries = filled(256), Entries(256)
    watch(cache, lock=threading.Lock(), domain=domain)
    watch(entries, domain=domain)
    gc.collect()
    assert domain.shrink_slab(priority=0) == 512


def test_the_handle(domain: Domain) -> None:
    """Closing is idempotent, ends the watch, and the same may be watched again."""
    cache = filled(256)
    lock = threading.Lock()
    watched = watch(cache, lock=lock, domain=domain)
    assert repr(watched) == "<Watched 'dict', open>"
    with watched as same:
        assert same is watched
        with pytest.raises(ShrinkerError, match="watched in this domain already"):
            watch(cache, lock=lock, domain=domain)
        with Domain() as elsewhere, watch(cache, lock=lock, domain=elsewhere):
            pass
    assert watched.closed
    watched.close()
    assert repr(watched) == "<Watched 'dict', closed>"
    assert domain.shrink_slab(priority=0) == 0
    again = watch(cache, lock=lock, domain=domain)
    again.registration.close()  # The same, from below.
    assert again.closed
    assert watch(cache, lock=lock, domain=domain).registration.count() == 256
    with pytest.raises(TypeError, match="made by watch"):
        Watched()


def test_the_watch_ends_with_what_is_watched(domain: Domain) -> None:
    """Silently; and what comes to stand in the same place is another one."""
    for make in (Entries, functools.partial(lru_function, 10)):
        x: Any = make()
        watched = watch(x, domain=domain)
        assert not watched.closed
        del x
        gc.collect()
        assert watched.closed
        assert domain.shrinkers() == ()
    for _ in range(100):
        x = Entries()
        watch(x, domain=domain)
        del x
    assert domain.shrinkers() == ()


def test_a_watch_ends_with_a_cycle(domain: Domain) -> None:
    """What knows its own handle is garbage like anything else."""
    entries: Any = Entries()
    entries.watched = watch(entries, domain=domain)
    registration = weakref.ref(entries.watched.registration)
    del entries
    gc.collect()
    assert domain.shrinkers() == ()
    assert registration() is None


def test_what_dies_during_reclaim_is_let_go(domain: Domain) -> None:
    """In its own scan, and in that of another."""
    caches: dict[int, Any] = {}

    class Mortal(Entries):
        def evict(self, n: int) -> int:
            caches.clear()
            return super().evict(n)

    for n in range(3):
        caches[n] = Mortal(128)
        watch(caches[n], domain=domain)
    assert domain.shrink_slab(priority=0) == 2  # A batch of the first.
    assert domain.shrinkers() == ()


def test_a_dict_is_kept_until_the_watch_ends(domain: Domain) -> None:
    """It cannot be referenced weakly; its values show whether it lives."""
    for ends in ("watch", "domain"):
        short = Domain()
        value = Entries()
        dead = weakref.ref(value)
        watched = watch({1: value}, lock=threading.Lock(), domain=short)
        del value
        gc.collect()
        assert dead() is not None
        {"watch": watched, "domain": short}[ends].close()
        assert dead() is None


def test_a_domain_that_nobody_has_goes_with_its_watches() -> None:
    """No table keeps it, and nothing is said about registrations."""
    entries = Entries()
    cache = {1: Entries()}
    dead = [weakref.ref(cache[1])]
    for _ in range(20):
        domain = Domain()
        handles = [
            watch(entries, domain=domain),
            watch(cache, lock=threading.Lock(), domain=domain),
        ]
        dead += [weakref.ref(domain), weakref.ref(handles[0].registration)]
        del domain, handles
    del cache
    gc.collect()  # With warnings as errors, as everywhere in these tests.
    assert [ref() for ref in dead] == [None] * 41


def test_a_closed_domain_takes_no_watch() -> None:
    """Nothing is left that knows of it."""
    domain = Domain()
    entries = Entries()
    watch(entries, domain=domain)
    domain.close()
    with pytest.raises(ShrinkerError, match="closed"):
        watch(entries, domain=domain)
    assert domain._watches == {}


def test_ten_thousand_watches(domain: Domain) -> None:
    """Each is asked, some die, the rest go with the domain."""
    caches = [filled(2) for _ in range(5000)]
    entries = [Entries(2) for _ in range(5000)]
    lock = threading.Lock()
    for cache in caches:
        watch(cache, lock=lock, domain=domain)
    for one in entries:
        watch(one, domain=domain)
    assert domain.shrink_slab(priority=0) == 20_000
    del one, entries[:2500]
    assert len(domain.shrinkers()) == 7500
    domain.close()
    assert domain._watches == {}


def test_watching_from_many_threads(fast_switching: None, domain: Domain) -> None:
    """One of them gets it; all others are told so."""
    for _ in range(20):
        entries = Entries()
        refused: list[BaseException] = run_threads(
            *[functools.partial(watch, entries, domain=domain)] * 4
        )
        assert [type(error) for error in refused] == [ShrinkerError] * 3
        assert len(domain.shrinkers()) == 1
        del entries, refused
        gc.collect()


def test_watches_come_and_go_during_reclaim(
    fast_switching: None, domain: Domain
) -> None:
    """Caches that are watched, closed and dropped while others reclaim."""
    done = threading.Event()

    def churn() -> None:
        try:
            for n in range(300):
                entries = Entries(128)
                watched = watch(entries, domain=domain)
                cache = filled(128)
                with watch(cache, lock=threading.Lock(), domain=domain):
                    if n % 2:
                        watched.close()
                    del entries
        finally:
            done.set()

    def reclaim() -> None:
        while not done.is_set():
            domain.shrink_slab(priority=0)

    assert run_threads(churn, churn, reclaim, reclaim) == []
    assert domain.shrinkers() == ()
    assert domain._watches == {}


def test_the_default_domain_is_the_default() -> None:
    """As for builders."""
    with watch(Entries()) as watched:
        assert watched.registration.domain is default_domain()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "give a cache to watch, or both count= and evict="),
        ({"x": 5}, r"an? int: give it methods count\(\) and evict\(n\)"),
        ({"x": []}, "list"),
        ({"x": UserDict()}, "UserDict"),
        ({"x": {1}}, "set"),
        ({"x": Entries(), "count": len, "evict": len}, "not both"),
        ({"count": len}, "give both count= and evict="),
        ({"evict": len}, "give both count= and evict="),
        ({"count": 5, "evict": len}, "count must be callable, not 5"),
        ({"x": Entries(), "domain": 5}, "domain must be a Domain"),
        ({"x": Entries(), "name": 5}, "name must be a str"),
        ({"x": Entries(), "seeks": "2"}, "seeks must be an int"),
        ({"x": Entries(), "entry_bytes": 1.5}, "entry_bytes must be an int"),
        ({"x": Entries(), "rebuild_seconds": "1"}, "rebuild_seconds must be a number"),
        ({"x": Entries(), "seeks": 2, "rebuild_seconds": 1}, "give one"),
    ],
)
def test_wrong_types_are_refused(args: dict[str, Any], message: str) -> None:
    """With a message that says what would be right; nothing is registered."""
    before = default_domain().shrinkers()
    with pytest.raises(TypeError, match=message):
        watch(**args)
    assert default_domain().shrinkers() == before


@pytest.mark.parametrize(
    "args",
    [
        {"entry_bytes": 0},
        {"entry_bytes": 2**41},
        {"seeks": -1},
        {"rebuild_seconds": -1},
        {"name": ""},
    ],
)
def test_wrong_values_are_refused(args: dict[str, Any]) -> None:
    """And the object may be watched rightly then."""
    entries = Entries()
    with Domain() as domain:
        with pytest.raises(ValueError, match=next(iter(args))):
            watch(entries, domain=domain, **args)
        watch(entries, domain=domain)


def test_a_counter_is_a_dict(domain: Domain) -> None:
    """Kinds of dict are dicts, whatever else they can."""
    counter = Counter("abracadabra")
    watched = watch(counter, lock=threading.Lock(), domain=domain)
    assert watched.registration.scan(2) == 2
    assert "".join(counter) == "rcd"


def test_our_own_registrations_are_left_alone(domain: Domain) -> None:
    """Beside others in a domain a watch is one of several."""
    registration = register(domain, Cache(256))
    watch(entries := Entries(256), domain=domain)
    assert domain.shrink_slab(priority=0) == 512
    assert entries.n == 0
    registration.close()


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Every test leaves the default domain as it was."""
    yield
    assert default_domain().shrinkers() == ()
