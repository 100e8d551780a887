"""Run by test_gil_and_locks.py: threads that take the GIL and the core's locks.

A thread that holds a lock of ours and waits for the GIL, and one that holds the GIL and
waits for that lock, are a deadlock; then the watchdog ends the process.  With the
library made from lock_order.c as argument, a possible deadlock ends it too.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

from shrinker import Domain, ShrinkerBuilder, ShrinkerFlags
from shrinker._ffi import ffi, lib
from shrinker.native import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 60
WATCHDOG_SECONDS = 240
"""Far more than a run takes, so that only a deadlock is ended."""


class Cache:
    """Frees ``nr_to_scan`` objects, and calls the library in its callbacks."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def count_objects(self, sc: Any) -> int:
        # Takes locks of the core, with the GIL released.
        self.domain.statistics()
        if sc.nid == 0:
            plain = ShrinkerBuilder("p", flags=ShrinkerFlags(0), domain=self.domain)
            plain.register_native(counting, scanning).close()
        return 1000

    def scan_objects(self, sc: Any) -> int:
        return sc.nr_to_scan  # type: ignore[no-any-return]


# ctypes takes the GIL with PyGILState_Ensure() in each call.
@Callback
def counting(_shrinker: Any, _sc: Any) -> int:
    return len([1] * 1000)


@Callback
def scanning(_shrinker: Any, sc: Any) -> int:
    return int(sc.contents.nr_to_scan)


AWARE = ShrinkerFlags.MEMCG_AWARE | ShrinkerFlags.NUMA_AWARE


def builder(domain: Domain) -> ShrinkerBuilder:
    return ShrinkerBuilder("cache", flags=AWARE, domain=domain)


def python_comes_and_goes(domain: Domain) -> None:
    with builder(domain).register(Cache(domain)) as registration:
        registration.count()


def native_comes_and_goes(domain: Domain) -> None:
    with builder(domain).register_native(counting, scanning) as registration:
        registration.count()


def dropped(domain: Domain) -> None:
    # The finaliser unregisters, on the thread that runs the collector.
    cache = Cache(domain)
    cache.registration = builder(domain).register(cache)  # type: ignore[attr-defined]
    del cache
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


def walks(domain: Domain) -> None:
    for priority in (12, 0):
        domain.shrink_slab(priority=priority)


def groups(domain: Domain) -> None:
    memcg = domain.create_memcg("group")
    domain.shrink_slab(memcg=memcg, priority=3)
    memcg.offline()
    memcg.close()


def traces(domain: Domain) -> None:
    with domain.trace() as trace:
        domain.shrink_slab(priority=3)
    list(trace)


def domains(_: Domain) -> None:
    with Domain() as other, builder(other).register(Cache(other)):
        other.reclaim(10)


TASKS = (
    python_comes_and_goes,
    native_comes_and_goes,
    dropped,
    walks,
    walks,
    groups,
    traces,
    domains,
)


def main() -> None:
    faulthandler.dump_traceback_later(WATCHDOG_SECONDS, exit=True)
    for watcher in map(ctypes.CDLL, sys.argv[1:]):
        inside = ffi.cast("uintptr_t", ffi.addressof(lib, "shrinker_free"))
        watcher.watch(ctypes.c_void_p(int(inside)))
    # As many switches between threads as possible.
    sys.setswitchinterval(1e-6)
    raised: list[BaseException] = []
    with Domain(nr_nodes=2) as domain:
        kept = [
            builder(domain).register(Cache(domain)),
            builder(domain).register_native(counting, scanning),
        ]

        def run(task: Callable[[Domain], None]) -> None:
            try:
                for _ in range(TURNS):
                    task(domain)
            except BaseException as error:
                raised.append(error)
                raise

        threads = [threading.Thread(target=run, args=(task,)) for task in TASKS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statistics = domain.statistics()
        for registration in kept:
            registration.close()
    print(len(raised), statistics.passes > TURNS)  # noqa: T201 - to the test


if __name__ == "__main__":
    main()
