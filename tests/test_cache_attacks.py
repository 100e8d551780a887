"""What caches stand: signals, forks, threads without frames, keys with destructors."""

from __future__ import annotations

import _thread
import gc
import os
import random
import signal
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from shrinker.cache import LruCache, cached, store, watch
from shrinker.cache.costs import check_seconds

if TYPE_CHECKING:
    from shrinker import Domain

Dice = random.Random


def check_books(cache: LruCache[Any, Any]) -> None:
    """Hold every figure against what is there."""
    books = cache._store
    live = [entry for entry in books.order if entry.key is not store.GONE]
    assert books.weight == sum(entry.weight for entry in live)
    assert books.dead == len(books.order) - len(live)
    assert set(map(id, live)) == set(map(id, cache._entries.values()))


def run_child(work: Any) -> int:
    """Fork, run ``work`` in the child, return its exit status: 0 if it returned 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Later Pythons warn of threads here.
        child = os.fork()
    if child == 0:
        status = 99
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- signals, forks, threads -------------------------------------------------------


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_no_interrupt_upsets_a_figure(domain: Domain) -> None:
    """Wherever the exception of a signal handler comes, empty entries included."""
    dice = Dice(6)
    armed = False

    def tick(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    # The exception must not come in a finaliser, where it would be ignored.
    gc.collect()
    gc.disable()
    old = signal.signal(signal.SIGALRM, tick)
    try:
        signal.setitimer(signal.ITIMER_REAL, 5e-5, 5e-5)
        for _ in range(2_000):
            cache: LruCache[int, int] = LruCache(20, domain=domain)
            try:
                armed = True
                while True:
                    cache[dice.randrange(30)] = 1
                    cache.pop(dice.randrange(30), None)
                    if dice.random() < 0.1:
                        cache.registration.scan(2)
                        cache.popitem()
            except (KeyboardInterrupt, KeyError):
                armed = False
            check_books(cache)
            cache.close()
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()


def test_an_append_that_was_interrupted_is_counted(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a set withdraws stands in the order, empty, only if it came that far."""

    class Order(store.deque):  # type: ignore[type-arg, name-defined]
        def append(self, entry: Any) -> None:
            if interrupted:
                super().append(entry)
            raise error

    error: BaseException
    for interrupted, error in ((True, KeyboardInterrupt()), (False, MemoryError())):
        with LruCache[int, int](domain=domain) as cache:
            cache[0] = 0
            cache._store.order = Order(cache._store.order)
            with pytest.raises(type(error)):
                cache[1] = 1
            assert len(cache._store.order) == 1 + interrupted
            check_books(cache)
            assert dict(cache) == {0: 0}


def test_a_child_sweeps_though_its_parent_was_sweeping(domain: Domain) -> None:
    """A fork in the midst of another thread's turn around the order ends nothing."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    sweeping = cache._store._compact
    begun, ended = threading.Event(), threading.Event()

    class Order(store.deque):  # type: ignore[type-arg, name-defined]
        def rotate(self, n: int = 1) -> None:
            super().rotate(n)
            if threading.get_ident() == thread.ident:
                begun.set()
                ended.wait(10)

    def child() -> int:
        for n in range(1_000):
            cache[n] = n
            del cache[n]
        return int(len(cache._store.order) > 200)

    cache[-1] = -1
    cache._store.order = Order(cache._store.order)
    thread = threading.Thread(target=sweeping)
    thread.start()
    assert begun.wait(10)
    status = run_child(child)
    ended.set()
    thread.join()
    assert status == 0


def test_a_cache_can_be_made_where_no_python_called(domain: Domain) -> None:
    """A thread's, or an exit handler's, first function may be the class itself."""
    made: list[str] = []
    done = threading.Event()

    class Named(LruCache[Any, Any]):
        def __del__(self) -> None:
            made.append(self.registration.name)
            super().__del__()
            done.set()

    _thread.start_new_thread(Named, (None,), {"domain": domain})
    assert done.wait(10)
    assert len(made) == 1
    assert made[0]


# --- the mapping --------------------------------------------------------------------


def test_looking_into_items_is_no_use(domain: Domain) -> None:
    """``(key, value) in cache.items()`` marks nothing, and is no hit."""
    cache: LruCache[Any, Any] = LruCache(domain=domain)
    nan = float("nan")
    cache.update({1: 2, "nan": nan})
    items = cache.items()
    assert (1, 2) in items
    assert ("nan", nan) in items  # By identity, as a dict's.
    assert (1, 3) not in items
    assert (2, 2) not in items
    assert not any(entry.used for entry in cache._entries.values())
    assert (cache.statistics().hits, cache.statistics().misses) == (0, 0)


def test_cycles_are_freed(domain: Domain) -> None:
    """A cache in its own values, or whose callbacks know it, is garbage like others."""

    class Service:
        def __init__(self) -> None:
            self.cache: LruCache[int, Any] = LruCache(
                domain=domain, weigher=self.weigh, on_evict=self.weigh
            )
            self.cache[1] = self

        def weigh(self, key: int, value: object) -> int:
            return 1

    alive = weakref.ref(Service())
    assert alive() is not None
    gc.collect()
    assert alive() is None
    assert domain.shrinkers() == ()


@pytest.mark.parametrize("caches", [1, 2])
def test_eviction_callbacks_that_put_back(caches: int, domain: Domain) -> None:
    """Each set evicts what the next one puts back: it ends, within the size.

    Also where the next one is in another cache.  Who is not called counts as an
    error, once for each set.
    """
    ring: list[LruCache[int, int]] = [LruCache(2, domain=domain) for _ in range(caches)]
    for n, cache in enumerate(ring):
        cache._store.on_evict = ring[(n + 1) % caches].__setitem__
    full = 2 * caches
    for n in range(full + 3):
        ring[0][n] = n
    assert [len(cache) for cache in ring] == [2] * caches
    assert sum(cache.statistics().evict_errors for cache in ring) == 3
    for cache in ring:
        check_books(cache)


def test_an_eviction_callback_may_interrupt(domain: Domain) -> None:
    """KeyboardInterrupt comes out of the set or the walk; the figures are right."""

    def stop(key: int, value: int) -> None:
        raise KeyboardInterrupt

    cache: LruCache[int, int] = LruCache(3, on_evict=stop, domain=domain)
    cache.update({n: n for n in range(3)})
    with pytest.raises(KeyboardInterrupt):
        cache[3] = 3
    assert set(cache) == {1, 2, 3}
    with pytest.raises(KeyboardInterrupt):
        domain.shrink_slab(priority=0)
    assert set(cache) == {2, 3}
    check_books(cache)


def test_seconds_beyond_all_floats() -> None:
    """A large integer is for ever."""
    assert check_seconds("x", 10**400) == float("inf")
    with pytest.raises(ValueError, match="0 or more"):
        check_seconds("x", -(10**400))


# --- cached and watch ---------------------------------------------------------------


def test_objects_that_generate_are_refused(domain: Domain) -> None:
    """As functions that do, whose result the first caller uses up."""

    class Numbers:
        def __call__(self) -> Any:
            yield 1

    class Later:
        async def __call__(self) -> Any:
            yield 1

    for function in (Numbers(), Later()):
        with pytest.raises(TypeError, match="only once"):
            cached(domain=domain)(function)


def test_what_is_a_shrinker_is_not_watched(domain: Domain) -> None:
    """The message says that nothing needs to be done."""
    function = cached(domain=domain)(len)
    for x in (function.cache, function):
        with pytest.raises(TypeError, match="already"):
            watch(x, domain=domain)


def test_keys_of_a_dict_go_after_the_lock(domain: Domain) -> None:
    """Also those that were taken ahead, and which others have deleted since."""
    lock = threading.Lock()
    under_lock: list[int] = []

    class Key:
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            if lock.locked():
                under_lock.append(self.number)

    cache = {Key(number): number for number in range(10_000)}

    def delete(n: int) -> None:
        for key in list(cache)[:n]:
            del cache[key]

    watched = watch(cache, lock=lock, domain=domain)
    watched.registration.scan(1)
    delete(50)
    assert watched.registration.scan(100) == 50
    delete(300)
    watched.registration.count()  # The next pass: keys taken ahead are given up.
    assert watched.registration.scan(5) == 5
    assert under_lock == []
