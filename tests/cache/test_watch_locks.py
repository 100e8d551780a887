"""``watch``: the lock of a watched cache, and what is dropped after it."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import weakref
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import CountAndEvict, Value, filled, interrupter
from tests_support import run_threads

from shrinker import CallbackErrors
from shrinker.cache import watch

if TYPE_CHECKING:
    from shrinker import Domain
# --- which locks ---------------------------------------------------------------------


@pytest.mark.parametrize("make", [dict, OrderedDict, lambda: defaultdict(int)])
def test_a_lock_is_required_for_a_dict(make: Any) -> None:
    """The message says what to pass and why."""
    with pytest.raises(TypeError, match=r"needs lock=.*cache\[key\]"):
        watch(make())


class AsyncLock:
    async def acquire(self, *, blocking: bool = True) -> bool:
        return blocking

    def release(self) -> None:
        raise AssertionError("never acquired")


@pytest.mark.parametrize("lock", [asyncio.Lock(), asyncio.Semaphore(), AsyncLock()])
def test_locks_of_asyncio_are_refused(lock: Any, domain: Domain) -> None:
    """The message says why, and what to use instead."""
    message = "another thread: use a threading.Lock, and never hold it across an await"
    with pytest.raises(TypeError, match=message):
        watch({}, lock=lock, domain=domain)


@pytest.mark.parametrize(
    "lock",
    [asyncio.Lock(), AsyncLock(), multiprocessing.Lock(), object(), 5, "lock"],
    ids=lambda lock: type(lock).__name__,
)
def test_locks_that_cannot_be_tried_are_refused(lock: Any, domain: Domain) -> None:
    """An asyncio.Lock above all; nothing is registered."""
    with pytest.raises(TypeError, match="lock must"):
        watch({}, lock=lock, domain=domain)
    assert domain.shrinkers() == ()


def test_a_lock_may_be_held_when_the_watch_begins(domain: Domain) -> None:
    """By this thread or another: trying it leaves it as it was."""
    for lock in (threading.Lock(), threading.RLock()):
        with lock:
            watched = watch(filled(), lock=lock, domain=domain)
        assert lock.acquire(blocking=False)
        lock.release()
        assert watched.registration.scan(1) == 1


# --- scans under the lock ------------------------------------------------------------


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
def test_a_scan_stops_where_the_lock_is_taken(make: Any, domain: Domain) -> None:
    """Also where this thread holds it; the work is deferred, and none is lost."""
    lock = make()
    cache = filled(256)
    watched = watch(cache, lock=lock, domain=domain)
    with lock:
        assert watched.registration.count() == 256  # Takes no lock.
        assert domain.shrink_slab(priority=0) == 0  # In the thread that holds it.
        results: list[int] = []
        run_threads(lambda: results.append(domain.shrink_slab(priority=0)))
        assert results == [0]
    assert len(cache) == 256
    assert watched.registration.nr_deferred() > 0
    assert domain.shrink_slab(priority=0) == 256
    assert lock.acquire(blocking=False)


def test_a_lock_that_raises_is_reported(domain: Domain) -> None:
    """Nothing is evicted, and the walk goes on to other caches."""

    class Broken:
        broken = False

        def acquire(self, blocking: bool = True) -> bool:
            if self.broken:
                raise OSError("no locks left")
            return True

        def release(self) -> None:
            pass

    lock = Broken()
    cache, other = filled(256), CountAndEvict(256)
    watch(cache, lock=lock, domain=domain)
    watch(other, domain=domain)
    lock.broken = True
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert [str(error) for error in caught.value.exceptions] == ["no locks left"]
    assert (len(cache), other.n) == (256, 0)


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_a_signal_never_leaves_the_lock_taken(domain: Domain) -> None:
    """Wherever in a scan the exception of its handler comes."""
    lock = threading.Lock()
    cache: dict[int, int] = {}
    watched = watch(cache, lock=lock, domain=domain)
    adapter = watched.registration.private_data

    class Control:
        nr_to_scan = 1

    with interrupter() as signals:
        while signals.times < 3000 and not lock.locked():
            signals.run(lambda: adapter.scan_objects(Control))
    assert not lock.locked()


# --- after the lock ------------------------------------------------------------------


def test_values_are_dropped_after_the_lock(domain: Domain) -> None:
    """A destructor that takes the cache's lock does not deadlock."""

    class TakesTheLock:
        def __del__(self) -> None:
            seen.append(lock.acquire(timeout=60))
            lock.release()

    lock = threading.Lock()
    seen: list[bool] = []
    cache = {n: TakesTheLock() for n in range(5)}
    watched = watch(cache, lock=lock, domain=domain)
    assert watched.registration.scan(3) == 3
    assert seen == [True] * 3
    cache.clear()


def test_values_are_not_kept_by_an_error(domain: Domain) -> None:
    """Where a deletion raises, the traceback does not keep the values before it."""

    class Odd(dict[int, Any]):
        def __delitem__(self, key: int) -> None:
            if key == 3:
                raise OSError("no")
            super().__delitem__(key)

    cache = Odd((n, Value()) for n in range(5))
    values = [weakref.ref(value) for value in cache.values()]
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    with pytest.raises(CallbackErrors) as caught:
        watched.registration.scan(5)
    assert isinstance(caught.value.exceptions[0], OSError)
    assert [value() is None for value in values] == [True] * 3 + [False] * 2


def test_keys_of_a_dict_are_dropped_after_the_lock(domain: Domain) -> None:
    """Also those that a scan has read ahead, and others have deleted since."""
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
    watched.registration.count()  # The next pass drops the keys that were read ahead.
    assert watched.registration.scan(5) == 5
    assert under_lock == []
