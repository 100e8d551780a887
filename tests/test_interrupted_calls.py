"""Calls that a signal's exception cuts short leave nothing half done.

CPython runs a signal's handler where a function begins, behind a call into C, and where
a loop jumps back.  A profile function is told of the first two, so it can raise there.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import itertools
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import FakeMemory
from tests_support import Cache, register

import shrinker
from shrinker import Domain, ShrinkerError, watch
from shrinker.pressure import PressureSource, Reclaimer, auto
from shrinker.pressure.background import Bell
from shrinker.pressure.kernel_file import KernelFile
from shrinker.pressure.memory_events import MemoryEvents
from shrinker.pressure.psi import PsiTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.untraced

HERE = str(Path(shrinker.__file__).parent)


def interrupted(work: Callable[[], object], event: str, *names: str) -> None:
    """Run ``work``; raise KeyboardInterrupt at the first event of that name.

    ``event`` is ``call``, and the name that of a function in Python, or ``c_return``;
    a second name is that of the function which calls into C.
    """
    done = []

    def profile(frame: Any, kind: str, argument: Any) -> None:
        if done or kind != event:
            return
        name = frame.f_code.co_qualname
        found = (name,) if kind == "call" else (argument.__name__, name)
        if found[: len(names)] == names:
            done.append(found)
            raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        sys.setprofile(None)
    assert done, f"never came to {names}"


PASSED_OVER = {"__del__", "close", "own"}
"""Finalisers, whose exceptions nobody hears of; closes; and the way from C's memory to
the capsule that owns it, where a shrinker leaks (docs/reliability.md, "Signals")."""


def unheard(frame: Any) -> bool:
    """Return whether one of those runs, or a generator."""
    while frame.f_code.co_filename != __file__:
        code = frame.f_code
        if code.co_name in PASSED_OVER or code.co_flags & inspect.CO_GENERATOR:
            return True
        frame = frame.f_back
    return False


def interrupted_at(work: Callable[[], object], number: int) -> bool:
    """Run ``work``; raise at the n-th point in this package; return whether it came."""
    points = 0

    def profile(frame: Any, kind: str, argument: Any) -> None:
        nonlocal points
        if kind in ("call", "c_return") and frame.f_code.co_filename.startswith(HERE):
            if unheard(frame):
                return
            if kind == "c_return" and argument.__name__ == "reclaim_shrinker_alloc":
                return
            points += 1
            if points == number:
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def make(domain: Domain, memory: FakeMemory) -> Reclaimer:
    """Return a reclaimer that goes by the watermarks alone."""
    return Reclaimer(domain, memory=memory, source=None)


def starts(domain: Domain, reclaimer: Reclaimer) -> bool:
    """Return whether a reclaimer, and then another one, can be started."""
    for each in (reclaimer, make(domain, FakeMemory(500))):
        each.start()
        assert each.running
        each.stop()
        assert not each.running
    return domain._growth._watcher is None


@pytest.mark.parametrize(
    "function", ["_caller", "Claims.__init__", "Listening.open", "Bell.__init__"]
)
def test_start(domain: Domain, function: str) -> None:
    """A start that is interrupted can be made again, by this or by another one."""
    reclaimer = make(domain, FakeMemory(500))
    interrupted(reclaimer.start, "call", function)
    assert not reclaimer.running
    assert domain._growth._watcher is None
    assert starts(domain, reclaimer)


def test_start_whose_thread_runs(domain: Domain) -> None:
    """The thread of a start that is interrupted behind it ends soon."""
    before = threading.active_count()
    reclaimer = make(domain, FakeMemory(500))
    interrupted(reclaimer.start, "call", "Event.wait")
    assert not reclaimer.running
    assert starts(domain, reclaimer)
    # It may not have got as far as to be joined.
    late = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < late:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "function", ["Reclaimer._over", "Worker.unwatch", "Growth.unwatch"]
)
def test_stop(domain: Domain, function: str) -> None:
    """The thread of a stop that is interrupted ends, and lets go of the domain."""
    reclaimer = make(domain, FakeMemory(500)).start()
    thread = reclaimer._thread
    assert thread is not None
    interrupted(reclaimer.stop, "call", function)
    thread.join(5)
    assert not thread.is_alive()
    assert not reclaimer.running
    assert starts(domain, reclaimer)


def test_entering_a_trace(domain: Domain) -> None:
    """A domain whose trace was not entered is not traced, and the trace is unused."""
    for number in itertools.count(1):
        trace = domain.trace(limit=10)
        if not interrupted_at(trace.__enter__, number):
            trace.__exit__(None, None, None)
            break
        with domain.trace():
            pass
        with trace:
            pass
    assert number > 1


def test_leaving_a_trace(domain: Domain) -> None:
    """A domain is traced no longer where the end of its block was interrupted."""
    trace = domain.trace(limit=10)
    trace.__enter__()
    interrupted(
        lambda: trace.__exit__(None, None, None), "c_return", "reclaim_trace_lost"
    )
    with domain.trace():
        pass


def test_a_second_trace(domain: Domain) -> None:
    """An interrupted start of a second trace does not end the first one."""
    with domain.trace() as first, register(domain, Cache(1000)):
        second = domain.trace()
        number = 1
        while True:
            try:
                assert interrupted_at(second.__enter__, number)
            except ShrinkerError:
                break
            number += 1
        domain.shrink_slab(priority=0)
        assert len(first)
        assert number > 1
    with second:  # It was never entered.
        pass


class Evicts:
    """A cache that can be watched."""

    def count(self) -> int:
        return 5

    def evict(self, n: int) -> int:
        return n


@pytest.mark.filterwarnings("ignore:unclosed shrinker:ResourceWarning")
def test_watch(domain: Domain) -> None:
    """A watch that is interrupted is none, can be made again, and its lock is free."""
    cache, lock = Evicts(), threading.Lock()
    number = 1
    while interrupted_at(lambda: watch(cache, lock=lock, domain=domain), number):
        gc.collect()
        assert not lock.locked()
        assert not domain.shrinkers()
        assert not domain._watches
        number += 1
    assert number > 30
    with pytest.raises(ShrinkerError, match="watched in this domain already"):
        watch(cache, domain=domain)
    assert domain.shrinkers()


@pytest.mark.filterwarnings("ignore:unclosed shrinker:ResourceWarning")
def test_a_second_watch(domain: Domain) -> None:
    """An interrupted watch of what is watched already leaves the first one alone."""
    cache = Evicts()
    first = watch(cache, domain=domain)
    number = 1
    while True:
        try:
            assert interrupted_at(lambda: watch(cache, domain=domain), number)
        except ShrinkerError:
            break
        assert domain.shrinkers() == (first.registration,)
        number += 1
    first.close()


@pytest.mark.parametrize(
    ("event", "names"),
    [
        ("call", ("forget",)),
        ("c_return", ("pop", "forget")),
        ("c_return", ("shrinker_unregister",)),
    ],
)
def test_close(domain: Domain, event: str, names: tuple[str, ...]) -> None:
    """What is closed has gone, also where the close was interrupted."""
    cache = Evicts()
    watched = watch(cache, domain=domain)
    interrupted(watched.close, event, *names)
    assert watched.closed
    assert not domain.shrinkers()
    assert not domain._watches
    assert watched.registration._record is None
    watch(cache, domain=domain).close()


def descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("what", ["bell", "file", "events", "psi", "any"])
def test_descriptors(tmp_path: Path, what: str) -> None:
    """What was being opened is closed again."""
    path = tmp_path / "file"
    path.write_text("some avg10=0.00 total=1\n")
    makers: dict[str, Callable[[], object]] = {
        "bell": Bell,
        "file": lambda: KernelFile(path),
        "events": MemoryEvents(path).open,
        "psi": PsiTrigger(path).open,
        "any": lambda: opened.append(auto(environ={})),
    }
    opened: list[PressureSource] = []
    gc.collect()
    before = descriptors()
    number = 1
    with contextlib.suppress(OSError):  # No file of the kernel's.
        while interrupted_at(makers[what], number):
            gc.collect()
            assert descriptors() == before
            number += 1
    for source in opened:
        source.close()
    assert number > 2
