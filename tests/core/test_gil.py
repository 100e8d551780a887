"""One walk, one interpreter entry."""

from __future__ import annotations

import ctypes
import threading
import time

import pytest
from tests_support import Cache, Scripted, register

from shrinker import Domain, ShrinkerBuilder

LIMIT_SECONDS = 60
"""Only what would never come is waited for so long."""


@pytest.fixture
def spinning() -> object:
    """A thread that never waits, and so gives the GIL up only when asked."""
    stop = False
    turns = 0

    def spin() -> None:
        nonlocal turns
        while not stop:
            turns += 1

    thread = threading.Thread(target=spin)
    thread.start()
    yield lambda: turns
    stop = True
    thread.join()


def test_walk_beside_a_spinning_thread(domain: Domain, spinning: object) -> None:
    """A walk of 100 Python shrinkers takes the GIL once, not once for each callback.

    Beside a thread that spins, taking it costs up to a switch interval. The test counts
    entries, which do not depend on the machine.
    """
    registrations = [register(domain, Cache(10**6)) for _ in range(100)]
    before = domain.statistics()
    started = time.perf_counter()
    for _ in range(5):
        domain.shrink_slab(priority=10)
    elapsed = time.perf_counter() - started
    after = domain.statistics()
    assert after.host_entries - before.host_entries == 5
    assert after.scan_calls - before.scan_calls > 500
    print(f"{elapsed / 5 * 1e3:.1f} ms a walk")  # noqa: T201 - for -s
    for registration in registrations:
        registration.close()


def test_one_entry_for_the_whole_ladder(domain: Domain) -> None:
    """The many walks of reclaim() enter the interpreter once."""
    with register(domain, Cache(10)), register(domain, Cache(10)):
        domain.reclaim(10**6)
        assert domain.statistics().walks == 13
        assert domain.statistics().host_entries == 1


def native_getpid(domain: Domain) -> object:
    """Register a native shrinker that counts the process id."""
    function = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    return ShrinkerBuilder("native", domain=domain).register_native(function, function)


def test_native_passes_keep_the_gil_for_a_switch_interval(
    domain: Domain, no_switching: None
) -> None:
    """A short native pass between two Python shrinkers costs no second entry."""
    first, last = Cache(10), Cache(10)
    registrations = [
        register(domain, first),
        native_getpid(domain),
        register(domain, last),
    ]
    domain.shrink_slab(priority=12)
    assert domain.statistics().host_entries == 1
    for registration in registrations:
        registration.close()  # type: ignore[attr-defined]


def test_native_passes_let_go_after_a_switch_interval(
    domain: Domain, fast_switching: None
) -> None:
    """A walk that has held the GIL for an interval gives it up for native passes."""

    def slow(sc: object) -> int:
        end = time.perf_counter() + 1e-3
        while time.perf_counter() < end:
            pass
        return 0

    registrations = [
        register(domain, Scripted(slow)),
        native_getpid(domain),
        register(domain, Scripted(slow)),
    ]
    domain.shrink_slab(priority=12)
    assert domain.statistics().host_entries == 2
    for registration in registrations:
        registration.close()  # type: ignore[attr-defined]


def test_others_run_during_a_python_walk(domain: Domain, spinning: object) -> None:
    """A long Python walk lets other threads in."""
    seen = 0

    def slow(sc: object) -> int:
        nonlocal seen
        turns = spinning()  # type: ignore[operator]
        end = time.perf_counter() + LIMIT_SECONDS
        while seen <= 1000 and time.perf_counter() < end:
            seen = spinning() - turns  # type: ignore[operator]
        return 0

    with register(domain, Scripted(slow)):
        domain.shrink_slab()
    assert seen > 1000
