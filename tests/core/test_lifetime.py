"""What keeps what alive, and when things are freed."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from processes_support import run
from tests_support import Cache, Scripted, register, run_threads

from shrinker import Domain, ScanObjects, ShrinkControl, ShrinkerBuilder, ShrinkerError


@pytest.fixture(autouse=True)
def _no_cycle_collector() -> Any:
    """Turn the collector off, to show that reference counts suffice."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_close_lets_go(domain: Domain) -> None:
    """close() drops the private data at once."""
    cache = Cache(1)
    watch = weakref.ref(cache)
    registration = register(domain, cache)
    del cache
    assert watch() is not None
    registration.close()
    assert watch() is None


def test_registration_keeps_private_data(domain: Domain) -> None:
    """The registration alone keeps a cache alive, and walks find it."""
    registration = register(domain, Cache(1000))
    assert domain.shrink_slab(priority=0) == 1000
    assert registration.private_data.objects == 0
    registration.close()


def test_dropped_registration_frees_at_once(domain: Domain) -> None:
    """Dropping a registration unregisters and frees at once, without the collector,
    with a ResourceWarning."""
    cache = Cache(1000)
    watch = weakref.ref(cache)
    registration = register(domain, cache, name="forgotten")
    del cache
    with pytest.warns(ResourceWarning, match="unclosed shrinker 'forgotten'"):
        del registration
    assert watch() is None
    assert domain.shrinkers() == ()
    assert domain.shrink_slab(priority=0) == 0


def test_registration_in_its_own_private_data(domain: Domain) -> None:
    """``self.reg = builder.register(self)`` is collected like any other cycle."""
    cache: Any = Cache(1000)
    watch = weakref.ref(cache)
    cache.registration = register(domain, cache)
    del cache
    assert watch() is not None
    with pytest.warns(ResourceWarning):
        gc.collect()
    assert watch() is None
    assert domain.shrink_slab(priority=0) == 0


def test_closed_registration_in_its_own_private_data(domain: Domain) -> None:
    """Once closed, the same cycle is freed without the collector."""
    cache: Any = Cache(1000)
    watch = weakref.ref(cache)
    cache.registration = register(domain, cache)
    cache.registration.close()
    del cache
    assert watch() is None


def test_registration_keeps_domain() -> None:
    """A domain lives as long as its registrations, even when it is dropped."""
    registration = register(Domain(), Cache(1000))
    assert registration.domain.shrink_slab(priority=0) == 1000
    registration.close()


def test_domain_and_registration_in_a_cycle() -> None:
    """Domain and registration can go in any order, also in one collection."""
    for _ in range(20):
        cache: Any = Cache(10)
        cache.domain = Domain()
        cache.registration = register(cache.domain, cache)
        cache.builder = ShrinkerBuilder("unused", domain=cache.domain)
        watch = weakref.ref(cache)
        del cache
        with pytest.warns(ResourceWarning):
            gc.collect()
        assert watch() is None


def test_close_inside_own_callback(domain: Domain) -> None:
    """close() in its own callback does not wait; no further callback runs, and
    the private data goes when this one returns."""
    calls: list[int] = []

    def scan(sc: ShrinkControl) -> int:
        calls.append(sc.nr_to_scan)
        registrations[0].close()
        registrations[0].close()
        assert watch() is not None
        return sc.nr_to_scan

    shrinker = Scripted(lambda sc: 1000, scan)
    watch = weakref.ref(shrinker)
    registrations = [register(domain, shrinker)]
    del shrinker
    after = register(domain, Cache(1000))
    assert domain.shrink_slab(priority=0) == 128 + 1000
    assert calls == [128]
    assert watch() is None
    assert domain.shrinkers() == (after,)
    after.close()


def test_close_inside_anothers_callback(domain: Domain) -> None:
    """A callback may close shrinkers before and behind it; the walk goes on."""
    before, after = register(domain, Cache(10)), None
    last = Cache(1000)

    def count(sc: ShrinkControl) -> int:
        before.close()
        assert after is not None
        after.close()
        return 0

    closer = register(domain, Scripted(count))
    after = register(domain, Cache(1000))
    end = register(domain, last)
    assert domain.shrink_slab(priority=0) == 10 + 1000
    assert domain.shrinkers() == (closer, end)
    closer.close()
    end.close()


def test_two_callbacks_close_each_other(domain: Domain) -> None:
    """Two callbacks in two threads that close each other's shrinker both go on."""
    meeting = threading.Barrier(2, timeout=30)
    registrations: list[Any] = []
    watches = []

    def closer(other: int) -> Any:
        def count(sc: ShrinkControl) -> int:
            if threading.current_thread().name == str(other):
                return 0
            meeting.wait()
            registrations[other].close()
            meeting.wait()
            return 0

        return count

    for other in (1, 0):
        shrinker = Scripted(closer(other))
        watches.append(weakref.ref(shrinker))
        registrations.append(register(domain, shrinker))
        del shrinker
    threads = [
        threading.Thread(target=domain.shrink_slab, name=str(i)) for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert [watch() for watch in watches] == [None, None]
    assert domain.shrink_slab() == 0


def test_last_callback_lets_go(domain: Domain) -> None:
    """A registration is closed from a callback while another thread runs one: the
    private data lives until that one returns."""
    inside, leave = threading.Event(), threading.Event()

    def count(sc: ShrinkControl) -> int:
        inside.set()
        assert leave.wait(30)
        assert watch() is not None
        return 0

    sleeper = Scripted(count)
    watch = weakref.ref(sleeper)
    registration = register(domain, sleeper)
    del sleeper
    walker = threading.Thread(target=domain.shrink_slab)
    walker.start()
    assert inside.wait(30)
    with Domain() as other:
        closing = Scripted(lambda sc: registration.close() or 0)
        with register(other, closing):
            other.shrink_slab()
    assert registration.closed
    assert watch() is not None
    leave.set()
    walker.join()
    assert watch() is None


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_finaliser_waits_for_nothing(domain: Domain) -> None:
    """A thread that holds a lock drops a registration whose running callback wants
    that lock: it does not wait."""
    lock = threading.Lock()
    inside = threading.Event()

    def count(sc: ShrinkControl) -> int:
        inside.set()
        with lock:
            return 0

    registrations = [register(domain, Scripted(count))]
    with lock:
        walker = threading.Thread(target=domain.shrink_slab)
        walker.start()
        assert inside.wait(30)
        registrations.clear()
        assert domain.shrinkers() == ()
    walker.join(30)
    assert not walker.is_alive()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_finaliser_inside_a_callback(domain: Domain) -> None:
    """A collection inside a callback may finalise any registration."""

    def scan(sc: ShrinkControl) -> int:
        cycle: Any = Cache(5)
        cycle.registration = register(domain, cycle)
        del cycle
        gc.collect()
        return sc.nr_to_scan

    with register(domain, Scripted(lambda sc: 1000, scan)) as registration:
        assert domain.shrink_slab(priority=0) >= 1920
        assert domain.shrinkers() == (registration,)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_shrinker_that_drops_itself(domain: Domain) -> None:
    """A callback may drop the last reference to its own registration."""
    registrations: list[Any] = []

    def scan(sc: ShrinkControl) -> int:
        registrations.clear()
        return sc.nr_to_scan

    registrations.append(register(domain, Scripted(lambda sc: 1000, scan)))
    assert domain.shrink_slab(priority=0) == 128
    assert domain.shrink_slab(priority=0) == 0


def test_domain_closed_inside_a_callback() -> None:
    """A callback may close its own domain; the walk ends, nothing waits."""
    domain = Domain()
    shrinker = Scripted(lambda sc: domain.close() or 100, lambda sc: sc.nr_to_scan)
    closing = register(domain, shrinker)
    last = register(domain, Cache(1000))
    assert domain.shrink_slab(priority=0) == 0
    assert closing.closed
    assert last.closed
    with pytest.raises(ShrinkerError):
        domain.shrink_slab()


def test_registered_inside_a_callback(domain: Domain) -> None:
    """A shrinker registered by a callback is visited by the same walk."""
    cache = Cache(1000)
    added: list[Any] = []

    def count(sc: ShrinkControl) -> int:
        if not added:
            added.append(register(domain, cache))
        return 0

    with register(domain, Scripted(count)):
        assert domain.shrink_slab(priority=0) == 1000
    added[0].close()


def test_threads_register_walk_and_close(fast_switching: None) -> None:
    """Threads register, walk and close at once: each private data goes exactly once."""
    created = finalised = 0
    lock = threading.Lock()
    begun = time.monotonic()
    failures: list[BaseException] = []

    def gone() -> None:
        nonlocal finalised
        with lock:
            finalised += 1

    def goes_on() -> bool:
        seconds = time.monotonic() - begun
        return seconds < 2 or (finalised <= 100 and seconds < 60)

    with Domain(nr_nodes=2) as domain:

        def owner() -> None:
            nonlocal created
            while goes_on():
                cache = Scripted(lambda sc: 1000, lambda sc: sc.nr_to_scan)
                weakref.finalize(cache, gone)
                with lock:
                    created += 1
                registration = register(domain, cache)
                del cache
                if registration.count() != 1000:
                    failures.append(AssertionError("count"))
                registration.close()

        def walker() -> None:
            while goes_on():
                domain.shrink_slab(priority=0, nid=1)
                domain.reclaim(10)

        failures += run_threads(owner, owner, owner, walker, walker)
    assert failures == []
    assert created == finalised > 100


@pytest.mark.parametrize(
    "code",
    [
        "r = ShrinkerBuilder('c').register(Cache())",
        "d = Domain(); c = Cache(); c.r = ShrinkerBuilder('c', domain=d).register(c)",
        "d = Domain(); b = ShrinkerBuilder('c', domain=d)",
        """
d = Domain()
r = ShrinkerBuilder('c', domain=d).register(Cache())
def walk():
    while True: d.shrink_slab(priority=0)
threading.Thread(target=walk, daemon=True).start()
time.sleep(0.1)
""",
    ],
)
def test_interpreter_exit(code: str) -> None:
    """The interpreter ends cleanly with live registrations and running walks."""
    assert run(code, leaks=True) == ""


def test_garbage_cycles() -> None:
    """Builders, registrations, domains and traces in garbage cycles are released
    after all finalisers, which may still use them."""
    code = """
import gc
d = Domain()
class Last(Cache):
    def __del__(self):
        self.names.append(self.registration.name)
        self.registration.close()
        self.domain.statistics()
names = []
for i in range(100):
    c = Last(); c.names = names
    c.domain = Domain() if i % 2 else d
    c.registration = ShrinkerBuilder('s', domain=c.domain).register(c)
    c.builder = ShrinkerBuilder('b', domain=c.domain)
    c.trace = c.domain.trace()
    if i % 2: c.trace.__enter__()
    del c
    gc.collect()
assert names == ['s'] * 100
assert d.shrink_slab(priority=0) == 0
"""
    assert run(code, leaks=True) == ""


def test_fork_while_others_walk() -> None:
    """A child forked beside walking threads can use, close and make domains."""
    code = """
d = Domain()
sleeping = threading.Event()
class Sleeper(Cache):
    def count_objects(self, sc):
        sleeping.set(); time.sleep(3600)
r = ShrinkerBuilder('c', domain=d).register(Cache())
s = ShrinkerBuilder('s', domain=d).register(Sleeper())
def walk(): d.shrink_slab(priority=0)
threading.Thread(target=walk, daemon=True).start()
sleeping.wait()
child = os.fork()
if not child:
    s.close()
    assert d.shrink_slab(priority=0) >= 1000
    d.close()
    with Domain() as e, ShrinkerBuilder('n', domain=e).register(Cache()):
        assert e.shrink_slab(priority=0) >= 1000
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
assert not s.closed and r.count() == 1000
os._exit(0)
"""
    assert run(code, leaks=True) == "7\n"


def test_fork_inside_a_callback() -> None:
    """A child forked in a callback finishes its walk; so does the parent."""
    code = """
pids = []
class Forking(Cache):
    def scan_objects(self, sc):
        pids.append(os.fork())
        return ScanObjects.STOP
d = Domain()
f = ShrinkerBuilder('f', domain=d).register(Forking())
c = ShrinkerBuilder('c', domain=d).register(Cache())
freed = d.shrink_slab(priority=0)
assert freed == 1920, freed
d.close()
if pids == [0]:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
"""
    assert run(code, leaks=True) == "7\n"


@pytest.mark.no_asan("freed memory is kept in quarantine, and each byte has a shadow")
def test_memory_stays_flat() -> None:
    """A million callbacks and 20,000 registrations leave the process as it was."""

    def resident() -> int:
        statm = Path("/proc/self/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with Domain() as domain:
        full = Scripted(lambda sc: 10**6, lambda sc: sc.nr_to_scan)
        with register(domain, full, batch=10) as registration:

            def work(calls: int) -> None:
                target = registration.statistics().scan_calls + calls
                while registration.statistics().scan_calls < target:
                    domain.shrink_slab(priority=0)
                for _ in range(calls // 50):
                    register(domain, Cache(1)).close()

            def growth() -> int:
                before = resident()
                work(1_000_000)
                return resident() - before

            work(200_000)
            # A leak grows each time; what else the process does, it does once.
            assert any(growth() < 2**20 for _ in range(3))


def test_stop_from_a_closed_shrinker(domain: Domain) -> None:
    """A pass whose shrinker was closed meanwhile is stopped, not continued."""
    stop: list[Any] = []

    def scan(sc: ShrinkControl) -> ScanObjects:
        stop.append(sc.nr_to_scan)
        registration.close()
        return ScanObjects.from_count(sc.nr_to_scan)

    registration = register(domain, Scripted(lambda sc: 10**6, scan))
    with domain.trace() as events:
        domain.shrink_slab(priority=0)
    assert len(stop) == 1
    assert [type(event).__name__ for event in events] == [
        "ShrinkSlabStart",
        "ShrinkSlabEnd",
    ]
