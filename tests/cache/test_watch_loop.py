"""``watch(..., loop=...)``: caches of asyncio code, evicted on its event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import CountAndEvict, filled
from processes_support import run
from tests_support import HAS_GIL, run_threads

from shrinker import CallbackErrors, Domain
from shrinker.cache import on_loop, watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


LONG = 60
"""Seconds; only what would never come is waited for so long."""


@pytest.fixture(autouse=True)
def _loops_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans wait as long as it takes the loop's thread to run."""
    monkeypatch.setattr(on_loop, "WAIT_SECONDS", LONG)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in another thread."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    runs = threading.Event()
    made.call_soon(runs.set)
    thread.start()
    assert runs.wait(LONG)
    yield made
    if not made.is_closed():
        made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()


def on(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[Any]]) -> Any:
    """Return what ``work`` returns on the loop."""

    async def call() -> Any:
        return await work()

    return asyncio.run_coroutine_threadsafe(call(), loop).result(LONG)


def test_a_dict_is_evicted_on_the_loop(
    loop: asyncio.AbstractEventLoop, domain: Domain
) -> None:
    """By a scan of another thread, which waits for it."""
    threads: set[str] = set()

    class Noting(dict[int, int]):
        def __delitem__(self, key: int) -> None:
            threads.add(threading.current_thread().name)
            super().__delitem__(key)

    cache = Noting(filled())
    watched = watch(cache, loop=loop, domain=domain)
    assert watched.registration.count() == 1000
    assert watched.registration.scan(10) == 10
    assert list(cache) == list(range(10, 1000))
    assert threading.current_thread().name not in threads
    assert domain.shrink_slab(priority=0) == 990
    assert len(threads) == 1


def test_a_task_never_gets_a_key_error(
    loop: asyncio.AbstractEventLoop, fast_switching: None, domain: Domain
) -> None:
    """``if key in cache: cache[key]`` is safe between two awaits, without a lock."""
    cache: dict[int, int] = {}
    watched = watch(cache, loop=loop, domain=domain)
    done = threading.Event()
    # Locks of a free-threaded build yield the core 40 times before they wait: a scan of
    # a few entries takes a tenth of a second on a busy machine.
    wanted = 5000 if HAS_GIL else 500

    async def use() -> None:
        n = 0
        while not done.is_set():
            for _ in range(200):
                n += 1
                key = n % 400
                if key in cache:
                    assert cache[key] == key
                else:
                    cache[key] = key
            await asyncio.sleep(0)

    def reclaim() -> None:
        try:
            end = time.monotonic() + LONG
            while watched.registration.statistics().freed < wanted:
                domain.shrink_slab(priority=0)
                assert time.monotonic() < end
        finally:
            done.set()

    assert run_threads(lambda: on(loop, use), reclaim) == []


def test_a_task_does_not_evict_in_its_own_step(
    loop: asyncio.AbstractEventLoop, domain: Domain
) -> None:
    """A reclaim on the loop itself stops at once; the work is deferred."""
    cache = filled(256)
    watched = watch(cache, loop=loop, domain=domain)

    async def step() -> int:
        return domain.shrink_slab(priority=0)

    assert on(loop, step) == 0
    assert len(cache) == 256
    assert watched.registration.nr_deferred() > 0
    assert domain.shrink_slab(priority=0) == 256


def test_a_busy_loop_is_waited_for_once(
    loop: asyncio.AbstractEventLoop,
    domain: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scan is withdrawn in the end; until the loop goes on others stop at once."""
    waits: list[float] = []

    class Over(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waits.append(timeout)
            return super().wait(timeout)

    cache = filled(256)
    watch(cache, loop=loop, domain=domain)
    go = threading.Event()
    loop.call_soon_threadsafe(go.wait)
    with monkeypatch.context() as patch:
        patch.setattr(on_loop, "WAIT_SECONDS", 0.2)
        patch.setattr(
            on_loop, "threading", SimpleNamespace(Event=Over, Lock=threading.Lock)
        )
        try:
            freed = [domain.shrink_slab(priority=0) for _ in range(20)]
        finally:
            go.set()
    assert freed == [0] * 20
    assert waits == [0.2]
    end = time.monotonic() + LONG
    while not (later := domain.shrink_slab(priority=0)):
        assert time.monotonic() < end
    assert later == 256  # The withdrawn scan has evicted nothing.


def test_a_scan_does_not_wait_for_an_eviction_that_waits_for_it(
    loop: asyncio.AbstractEventLoop,
    domain: Domain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The eviction takes a lock that the reclaiming thread holds."""
    monkeypatch.setattr(on_loop, "WAIT_SECONDS", 0.05)
    lock = threading.Lock()

    class Locked(dict[int, int]):
        def __delitem__(self, key: int) -> None:
            with lock:
                super().__delitem__(key)

    cache = Locked(filled(10))
    watched = watch(cache, loop=loop, domain=domain)
    with lock:
        assert watched.registration.scan(5) == 0


def test_an_error_on_the_loop_is_reported(
    loop: asyncio.AbstractEventLoop, domain: Domain
) -> None:
    """By the walk, as an error in a scan."""

    class Broken(dict[int, int]):
        def __delitem__(self, key: int) -> None:
            raise OSError("no")

    cache = Broken(filled(10))
    watch(cache, loop=loop, domain=domain)
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert isinstance(caught.value.exceptions[0], OSError)


def test_count_and_evict_on_the_loop(
    loop: asyncio.AbstractEventLoop, domain: Domain
) -> None:
    """``evict`` is called on the loop, in few large batches."""
    entries = CountAndEvict(64_000)
    watch(entries, loop=loop, domain=domain)
    assert domain.shrink_slab(priority=0) == 64_000
    assert entries.asked[0] == 1000


def test_the_watch_ends_with_the_loop(domain: Domain) -> None:
    """Then the cache counts as empty, and a later loop may watch it."""
    cache = filled(256)

    async def watched() -> Any:
        return watch(cache, loop=asyncio.get_running_loop(), domain=domain)

    first = asyncio.run(watched())
    assert first.registration.count() == 0
    assert domain.shrink_slab(priority=0) == 0
    second = asyncio.run(watched())
    assert first.closed
    assert not second.closed
    assert len(cache) == 256


def test_a_loop_that_does_not_run(domain: Domain) -> None:
    """A scan stops: the loop may begin to run at any moment."""
    loop = asyncio.new_event_loop()
    watched = watch(cache := filled(10), loop=loop, domain=domain)
    assert watched.registration.scan(5) == 0
    assert watched.registration.count() == len(cache) == 10
    loop.close()


def test_a_child_of_a_fork_leaves_the_cache_alone() -> None:
    """The child has the loop's object, but not the thread that runs it."""
    run(
        """
import asyncio
from shrinker.cache import on_loop

cache = dict.fromkeys(range(100))
on_loop.WAIT_SECONDS = 60
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
watched = watch(cache, loop=loop, domain=domain)
assert watched.registration.scan(10) == 10

def use():
    assert watched.registration.scan(10) == 0

assert child(use) == 0
assert watched.registration.scan(10) == 10
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
"""
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loop": 5}, "loop must be an event loop of asyncio, not int"),
        ({"loop": asyncio.run}, "loop must be an event loop"),
        ({"lock": threading.Lock()}, "either lock= or loop="),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str, domain: Domain) -> None:
    """They are errors, and nothing is registered."""
    loop = asyncio.new_event_loop()
    with pytest.raises(TypeError, match=message):
        watch({}, **{"loop": loop, "domain": domain, **options})
    loop.close()
    assert domain.shrinkers() == ()
