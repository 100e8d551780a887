"""Run by test_gil_and_locks.py: calls that take locks, watched by lock_order.c.

``lock_order.py LIBRARY WHAT`` runs one of the functions at the end and prints what was
seen.  A broken rule ends the process with status 3 and a message on standard error.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WATCHDOG_SECONDS = 240
"""Far more than a run takes, so that only a deadlock is ended."""

faulthandler.dump_traceback_later(WATCHDOG_SECONDS, exit=True)
# CDLL releases the GIL during a call, as cffi does; PyDLL keeps it, as destructors do.
watcher = ctypes.CDLL(sys.argv[1])
with_gil = ctypes.PyDLL(sys.argv[1])
watcher.lock_name.restype = ctypes.c_char_p
for name in ("taken", "taken_with_gil", "ways_into_python", "waits"):
    getattr(watcher, name).restype = ctypes.c_ulong
NR_LOCKS = 6
LOCKS = [watcher.lock_name(lock).decode() for lock in range(NR_LOCKS)]


class WatchedLock:
    """Tells the watcher when it is taken, and the test when another thread wants it."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.wanted = threading.Event()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not self.lock.acquire(blocking=False):
            self.wanted.set()
            if not (blocking and self.lock.acquire(timeout=timeout)):
                return False
        with_gil.lock_in_python(1)
        return True

    def release(self) -> None:
        with_gil.lock_in_python(-1)
        self.lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def watched(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that makes a watched lock for the package, else a usual one."""

    def made() -> Any:
        ours = sys._getframe(1).f_globals["__name__"].startswith("shrinker")
        return WatchedLock(make()) if ours else make()

    return made


# Before the package makes its first lock.
threading.Lock = watched(threading.Lock)  # type: ignore[assignment, misc]
threading.RLock = watched(threading.RLock)  # type: ignore[assignment, misc]

from pressure_support import MARKS, FakeMemory

import shrinker.domain
from shrinker import Domain, ShrinkerBuilder, ShrinkerFlags, default_domain
from shrinker._ffi import ffi, lib
from shrinker.pressure import Reclaimer

AWARE = ShrinkerFlags.MEMCG_AWARE | ShrinkerFlags.NUMA_AWARE

inside_extension = ffi.cast("uintptr_t", ffi.addressof(lib, "shrinker_free"))
watcher.watch(ctypes.c_void_p(int(inside_extension)))


class Cache:
    """Frees ``nr_to_scan`` objects; calls ``act`` in its first count."""

    def __init__(self, act: Callable[[], object] = int) -> None:
        self.act = act

    def count_objects(self, _sc: Any) -> int:
        assert watcher.held_in_python() == 0
        act, self.act = self.act, int
        act()
        return 1000

    def scan_objects(self, sc: Any) -> int:
        assert watcher.held_in_python() == 0
        return sc.nr_to_scan  # type: ignore[no-any-return]


def builder(domain: Domain) -> ShrinkerBuilder:
    return ShrinkerBuilder("cache", flags=AWARE, domain=domain)


def seen(read: Callable[[int], int]) -> dict[str, int]:
    return {name: read(lock) for lock, name in enumerate(LOCKS)}


# --- the runs ----------------------------------------------------------------------


def calls() -> object:
    """Call all functions that take a lock, outside and inside callbacks."""
    kept: list[Any] = []  # So that no destructor of Python's runs meanwhile.
    domain = Domain(nr_nodes=2)

    def use() -> None:
        for _ in range(65):  # More ids than there was room for.
            kept.append(builder(domain))
        kept.append(builder(domain).register(Cache()))
        kept[-1].rename("another name")
        kept.append(domain.create_memcg("group"))
        kept[-1].set_shrinker_bit(0, registration)
        domain.shrink_slab(memcg=kept[-1], priority=0)
        kept[-1].offline()
        kept[-1].close()
        domain.debugfs()
        domain.report()
        domain.statistics()
        with domain.trace() as trace:
            domain.drop_slab()
        list(trace)
        default_domain().reclaim(1)

    registration = builder(domain).register(Cache(use))
    kept.append(registration)
    # A callback closes its own shrinker and two others.
    doomed = [builder(domain).register(Cache()) for _ in range(3)]
    kept += doomed
    doomed[1].private_data.act = lambda: [each.close() for each in doomed]
    domain.reclaim(10**6)
    assert [each.closed for each in doomed] == [True] * 3
    use()
    registration.count()

    # close() waits for a callback, which takes the GIL again meanwhile.
    begun = threading.Event()
    before = watcher.waits()

    def until_waited_for() -> None:
        begun.set()
        while watcher.waits() == before:
            time.sleep(0)

    registration.private_data.act = until_waited_for
    walk = threading.Thread(target=domain.shrink_slab)
    walk.start()
    begun.wait()
    registration.close()
    walk.join()

    memory = FakeMemory(20)
    reclaimer = Reclaimer(domain, memory=memory, watermarks=MARKS, source=None)
    kept.append(reclaimer)
    kept.append(builder(domain).register(Cache(reclaimer.statistics)))
    reclaimer.look()
    with reclaimer:
        reclaimer.wake()
    assert reclaimer.statistics().reclaims
    domain.close()
    # Before the destructors, which take locks too.
    return {
        "taken": seen(watcher.taken),
        "taken with the GIL": seen(watcher.taken_with_gil),
        "ways into Python": watcher.ways_into_python(),
        "waits": watcher.waits() - before,
    }


def fork(_: object = None) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def drop(things: list[Any]) -> None:
    things.clear()
    gc.collect()


def a_registration(domain: Domain) -> list[Any]:
    registration = builder(domain).register(Cache())
    registration.close()
    return [registration]


def a_running_one(domain: Domain) -> list[Any]:
    begun, leave = threading.Event(), threading.Event()

    def run() -> None:
        things[0].close()  # Inside of a callback this waits for nothing.
        begun.set()
        leave.wait()

    things: list[Any] = [builder(domain).register(Cache(run)), leave]
    things.append(threading.Thread(target=domain.shrink_slab))
    things[-1].start()
    begun.wait()
    return things


def drop_running(things: list[Any]) -> None:
    del things[0]
    leave, walk = things
    leave.set()
    walk.join()


def a_memcg(domain: Domain) -> list[Any]:
    memcg = domain.create_memcg("group")
    memcg.offline()
    memcg.close()
    return [memcg]


ENDS: dict[str, tuple[Callable[[Domain], list[Any]], Callable[[list[Any]], None]]] = {
    "a builder goes": (lambda domain: [builder(domain)], drop),
    "a registration goes": (a_registration, drop),
    "a registration goes in its callback": (a_running_one, drop_running),
    "a memcg goes": (a_memcg, drop),
    "a domain goes": (lambda _: [Domain()], drop),
    "a fork": (lambda _: [], fork),
}
"""Calls that take locks with the GIL held: how to prepare for one, and the call."""


def locks_of(name: str, domain: Domain) -> list[str]:
    """Return the locks that a call of ``ENDS`` takes with the GIL held."""
    make, end = ENDS[name]
    things = make(domain)
    gc.collect()
    before = seen(watcher.taken_with_gil)
    end(things)
    after = seen(watcher.taken_with_gil)
    return [lock for lock in LOCKS if after[lock] > before[lock]]


def pairs() -> object:
    """For each call of ``ENDS`` and each lock that it takes: make two threads meet.

    One holds the lock when the other, with the GIL, wants it; then the first wants the
    GIL.  Returns the locks for each call.
    """
    met: dict[str, list[str]] = {}
    with Domain() as domain, builder(domain).register(Cache()) as registration:
        users: dict[str, Callable[[], object]] = {
            "domains_lock": Domain,
            "memcg_lock": lambda: domain.create_memcg("group"),
            "tree_lock": domain.memcgs,
            "registry_lock": lambda: registration.name,
            "dying_lock": lambda: lib.reclaim_domain_nr_lingering(domain._c),
            "id_lock": lambda: builder(domain),
        }
        for name, (make, end) in ENDS.items():
            for lock in locks_of(name, domain):
                things = make(domain)
                watcher.park(LOCKS.index(lock))
                user = threading.Thread(target=users[lock])
                user.start()
                while not watcher.is_parked():
                    time.sleep(0)
                end(things)
                user.join()
                assert watcher.was_wanted()
                met.setdefault(name, []).append(lock)
    return met


def python_pairs() -> object:
    """For each lock of the Python code: one thread holds it while another wants it.

    The first goes on, with the GIL, while the other waits.
    """
    met = []
    with Domain() as domain:
        reclaimer = Reclaimer(domain, memory=FakeMemory(500), source=None)
        trace = domain.trace()
        users: dict[str, tuple[WatchedLock, Callable[[], object]]] = {
            "the default domain's": (shrinker.domain._default_lock, default_domain),  # type: ignore[dict-item]
            "a trace's": (trace._lock, trace.__len__),  # type: ignore[dict-item]
            "a reclaimer's": (reclaimer._lock, reclaimer.stop),  # type: ignore[dict-item]
            "a journal's": (reclaimer._journal._lock, reclaimer.history),  # type: ignore[dict-item]
        }
        for name, (lock, use) in users.items():
            with lock:
                user = threading.Thread(target=use)
                user.start()
                lock.wanted.wait()
            user.join()
            met.append(name)
    return met


def misbehave(domain: Domain, what: str) -> None:
    """Do what a faulty core would do."""
    c_domain = ctypes.c_void_p(int(ffi.cast("uintptr_t", domain._c)))
    tree, registry, dying, last = (str(LOCKS.index(lock)) for lock in LOCKS[2:])
    match what:
        case "into Python with a lock":
            watcher.misbehave(c_domain, f"{registry}p".encode())
        case "into Python with a lock and the GIL":
            with_gil.misbehave(c_domain, f"{tree}p".encode())
        case "a wait with the GIL":
            with_gil.misbehave(c_domain, f"{dying}w".encode())
        case "a wait with another lock":
            watcher.misbehave(c_domain, f"{registry}{dying}w".encode())
        case "a wait with a lock of the Python code":
            with shrinker.domain._default_lock:
                watcher.misbehave(c_domain, f"{dying}w".encode())
        case "a lock out of order":
            watcher.misbehave(c_domain, f"{last}{tree}".encode())
        case "a lock twice":
            watcher.misbehave(c_domain, f"{last}{last}".encode())
        case "locks of two domains":
            other = Domain()
            c_other = ctypes.c_void_p(int(ffi.cast("uintptr_t", other._c)))
            with_gil.misbehave(c_domain, tree.encode())
            with_gil.misbehave(c_other, last.encode())
        case "an unknown lock":
            watcher.misbehave(c_domain, b"x")


if __name__ == "__main__":
    match sys.argv[2:]:
        case ["calls"]:
            print(json.dumps(calls()))  # noqa: T201 - to the test
        case ["pairs"]:
            print(json.dumps(pairs()))  # noqa: T201
        case ["pairs in Python"]:
            print(json.dumps(python_pairs()))  # noqa: T201
        case ["misbehave", what]:
            misbehave(Domain(), what)
