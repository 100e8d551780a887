"""Calls that a signal's exception interrupts leave nothing half done.

CPython runs a signal's handler at the beginning of a function, after a call into C,
and where a loop jumps back.  A profile function is called at the first two, and can
raise there.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import itertools
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import SOON, FakeMemory
from tests_support import Cache, register

import shrinker
from shrinker import Domain, ShrinkerError, watch
from shrinker.pressure import PressureSource, Reclaimer, auto
from shrinker.pressure.limits.kernel_file import KernelFile
from shrinker.pressure.sources.memory_events import MemoryEvents
from shrinker.pressure.sources.psi import PsiTrigger
from shrinker.pressure.thread import Waker

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.untraced("there is one profile function, and it is a tracer's")

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


LEFT_OUT = {"__del__", "close", "own"}
"""Functions that are not interrupted: finalisers, whose exceptions are dropped; closes;
and the step from C's memory to the capsule that owns it, where a shrinker leaks
(docs/reliability.md, "Signals")."""


def is_left_out(frame: Any) -> bool:
    """Return whether one of those runs, or a generator."""
    while frame.f_code.co_filename != __file__:
        code = frame.f_code
        if code.co_name in LEFT_OUT or code.co_flags & inspect.CO_GENERATOR:
            return True
        frame = frame.f_back
    return False


def interrupted_at(work: Callable[[], object], number: int) -> bool:
    """Run ``work``; raise at the n-th point in this package, if there are so many."""
    points = 0

    def profile(frame: Any, kind: str, argument: Any) -> None:
        nonlocal points
        if kind in ("call", "c_return") and frame.f_code.co_filename.startswith(HERE):
            if is_left_out(frame):
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
    """Return whether other reclaimers and this one can be started and stopped.

    A domain whose memory is still watched would refuse.
    """
    others = [make(domain, FakeMemory(500)) for _ in range(2)]
    for each in (others[0], reclaimer, others[1]):
        each.start()
        assert each.running
        each.stop()
        assert not each.running
    return True


@pytest.mark.parametrize(
    "function",
    ["_caller", "GrowthEstimate.__init__", "SourceFailover.open", "Waker.__init__"],
)
def test_start(domain: Domain, function: str) -> None:
    """A start that is interrupted can be made again, by this or by another one."""
    reclaimer = make(domain, FakeMemory(500))
    interrupted(reclaimer.start, "call", function)
    assert not reclaimer.running
    assert starts(domain, reclaimer)


def test_start_whose_thread_runs(domain: Domain) -> None:
    """A start that is interrupted after it started the thread: the thread ends soon."""
    before = set(threading.enumerate())
    reclaimer = make(domain, FakeMemory(500))
    interrupted(reclaimer.start, "call", "Event.wait")
    assert not reclaimer.running
    assert starts(domain, reclaimer)
    # The interrupted start may not have joined it; it may not even run yet, and what
    # does not run cannot be joined.
    ends = time.monotonic() + SOON
    while set(threading.enumerate()) - before:
        assert time.monotonic() < ends
        time.sleep(0.001)


@pytest.mark.parametrize(
    "function", ["Reclaimer._ended", "Worker.unwatch", "Growth.unwatch"]
)
def test_stop(domain: Domain, function: str) -> None:
    """The thread of a stop that is interrupted ends, and lets go of the domain."""
    before = set(threading.enumerate())
    reclaimer = make(domain, FakeMemory(500)).start()
    (thread,) = set(threading.enumerate()) - before
    interrupted(reclaimer.stop, "call", function)
    thread.join(SOON)
    assert not thread.is_alive()
    assert not reclaimer.running
    assert starts(domain, reclaimer)


def test_entering_a_trace(domain: Domain) -> None:
    """Where entering was interrupted, the domain is not traced, and the trace can be
    entered again."""
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
    """A domain is no longer traced where leaving the block was interrupted."""
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
    """Of an interrupted watch() nothing is left: it can be called again, and the lock
    is free."""
    cache, lock = Evicts(), threading.Lock()
    number = 1
    while interrupted_at(lambda: watch(cache, lock=lock, domain=domain), number):
        gc.collect()
        assert not lock.locked()
        assert not domain.shrinkers()
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
    """After an interrupted close() all is closed, and the private data is gone."""
    cache = Evicts()
    watched = watch(cache, domain=domain)
    private_data = weakref.ref(watched.registration.private_data)
    interrupted(watched.close, event, *names)
    assert watched.closed
    assert not domain.shrinkers()
    assert private_data() is None
    watch(cache, domain=domain).close()


def descriptors() -> int:
    """Return how many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("what", ["bell", "file", "events", "psi", "any"])
def test_descriptors(tmp_path: Path, what: str) -> None:
    """Where opening was interrupted, no descriptor stays open."""
    path = tmp_path / "file"
    path.write_text("some avg10=0.00 total=1\n")
    makers: dict[str, Callable[[], object]] = {
        "bell": Waker,
        "file": lambda: KernelFile(path),
        "events": MemoryEvents(path).open,
        "psi": PsiTrigger(path).open,
        "any": lambda: opened.append(auto(environ={})),
    }
    opened: list[PressureSource] = []
    gc.collect()
    before = descriptors()
    number = 1
    with contextlib.suppress(OSError):  # It is not the kernel's file.
        while interrupted_at(makers[what], number):
            gc.collect()
            assert descriptors() == before
            number += 1
    for source in opened:
        source.close()
    assert number > 2
