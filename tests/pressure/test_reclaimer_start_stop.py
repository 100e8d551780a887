"""Starting and stopping a reclaimer: by threads, in callbacks, in signal handlers."""

from __future__ import annotations

import _thread
import gc
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import (
    SOON,
    FakeMemory,
    FakeSource,
    Log,
    Pages,
    descriptors,
    is_watched,
    make,
    thread_of,
    worker_of,
)
from tests_support import register, run_threads

import shrinker.pressure.reclaimer
from shrinker.errors import ShrinkerError
from shrinker.pressure import Memory, Reclaimer
from shrinker.pressure.reclaimer import PREVIOUS_THREAD_SECONDS

if TYPE_CHECKING:
    from shrinker import Domain


def test_a_given_source_that_does_not_work(domain: Domain) -> None:
    """``start`` raises, and leaves nothing behind."""
    source = FakeSource()
    source.fails = PermissionError("may not write")
    reclaimer = make(domain, FakeMemory(500), source=source)
    with pytest.raises(PermissionError):
        reclaimer.start()
    assert not reclaimer.running
    source.fails = None
    with reclaimer:
        assert source.is_open


def test_one_running_reclaimer_for_a_domain(domain: Domain) -> None:
    """A second one is refused, until the first has stopped."""
    first, second = (make(domain) for _ in range(2))
    with first:
        assert first.start() is first
        said = (
            "another reclaimer; stop that first:"
            r" <Reclaimer running, started at test_reclaimer_start_stop.py:\d+>"
        )
        with pytest.raises(ShrinkerError, match=said):
            second.start()
        assert not second.running
        assert first.running
        second.stop()
        assert is_watched(domain)
    with second:
        assert second.running
    second.stop()


def test_stop_in_a_callback(domain: Domain) -> None:
    """A callback may stop the reclaimer whose thread it runs on."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    stopped = threading.Event()
    reclaimer = make(domain, memory)

    def stop() -> None:
        reclaimer.stop()
        stopped.set()

    cache.on_scan = stop
    with register(domain, cache):
        reclaimer.start()
        assert stopped.wait(SOON)
        thread_of(reclaimer).join(SOON)
        assert not reclaimer.running
        assert not domain.under_pressure
        assert not is_watched(domain)


def test_stop_does_not_wait_for_ever(domain: Domain, log: Log) -> None:
    """A callback that hangs holds its thread, not the caller of ``stop``."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        assert go_on.wait(SOON)

    cache.on_scan = hang
    with register(domain, cache):
        reclaimer = make(domain, memory).start()
        assert inside.wait(SOON)
        thread = thread_of(reclaimer)
        reclaimer.stop(timeout=0)
        assert not reclaimer.running
        log.wait_for("has not ended yet")
        assert not is_watched(domain)
        go_on.set()
        thread.join(SOON)
        assert not thread.is_alive()
        assert not domain.under_pressure


def test_start_and_stop_from_many_threads(domain: Domain, fast_switching: None) -> None:
    """The last call decides; nothing is left behind."""
    reclaimer = make(domain)
    gc.collect()
    before = descriptors()

    def both() -> None:
        for _ in range(20):
            reclaimer.start()
            reclaimer.stop()

    assert run_threads(*[both] * 4) == []
    reclaimer.stop()
    assert not reclaimer.running
    assert not is_watched(domain)
    gc.collect()
    assert descriptors() == before


def test_nested_blocks(domain: Domain) -> None:
    """The outermost block ends the protection, not one inside it."""
    with make(domain) as reclaimer:
        with reclaimer:
            pass
        assert reclaimer.running
    assert not reclaimer.running


def test_stopped_by_a_callback_and_started_again(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old thread ends later, and does not close the source of the new one."""
    monkeypatch.setattr(shrinker.pressure.reclaimer, "PREVIOUS_THREAD_SECONDS", 0.01)
    memory, source = FakeMemory(30), FakeSource()
    cache = Pages(100_000, memory)
    inside, go_on = threading.Event(), threading.Event()
    reclaimer = make(domain, memory, source=source)

    def scan() -> None:
        if not inside.is_set():
            reclaimer.stop()
            inside.set()
            assert go_on.wait(SOON)

    cache.on_scan = scan
    with register(domain, cache):
        first = thread_of(reclaimer.start())
        assert inside.wait(SOON)
        with reclaimer:
            go_on.set()
            first.join(SOON)
            assert source.is_open
            assert reclaimer.running
    assert not source.is_open


def test_stop_in_a_signal_handler_before_the_thread_began(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends as soon as it begins."""
    reclaimer = make(domain)
    begin = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        reclaimer.stop()
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        reclaimer.start()
    assert not reclaimer.running
    assert not is_watched(domain)
    with reclaimer:
        assert reclaimer.running


def test_no_thread_can_start(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """``start`` raises and leaves nothing: the source is closed, another reclaimer can
    run, and this one can be collected."""
    source = FakeSource()
    reclaimer = make(domain, source=source)
    gone = weakref.ref(reclaimer)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            reclaimer.start()
    assert not reclaimer.running
    assert source.opened == 1
    assert not source.is_open
    with make(domain) as other:
        assert other.running
    del reclaimer
    gc.collect()
    assert gone() is None


def test_a_start_waits_for_the_previous_thread(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may be about to close the source that the start opens."""
    waited = []
    reclaimer = make(domain)
    with reclaimer:
        pass

    def join(_: threading.Thread, timeout: float) -> None:
        waited.append(timeout)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", join)
        reclaimer.start()
    reclaimer.stop()
    assert waited == [PREVIOUS_THREAD_SECONDS]


def test_a_thread_that_ends_when_another_has_begun(domain: Domain) -> None:
    """A thread that waits for the lock at its end does not stop the one that was
    started meanwhile."""
    reclaimer = make(domain).start()
    lock = reclaimer._lock

    class Lock:
        def __enter__(self) -> None:
            reclaimer._lock = lock
            reclaimer.stop()
            reclaimer.start()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    background = reclaimer._background
    assert background is not None
    reclaimer._lock = Lock()  # type: ignore[assignment]
    reclaimer._ended(background)
    assert reclaimer._background not in {None, background}
    assert worker_of(reclaimer).watching
    reclaimer.stop()


@pytest.mark.parametrize("own", [True, False])
def test_files_are_closed(
    domain: Domain, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``stop`` closes its own memory's files; a child closes a given one's too, which
    would show the parent's figures."""
    memory = Memory()
    closed: list[Memory] = []

    def close(self: Memory) -> None:
        closed.append(self)

    monkeypatch.setattr(Memory, "close", close)
    reclaimer = Reclaimer(domain, memory=None if own else memory, source=None)
    with reclaimer:
        pass
    assert len(closed) == own
    its = closed.pop() if own else memory
    assert own == (its is not memory)
    pid = os.fork()
    if not pid:
        os._exit(its not in closed)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert closed == []


def test_a_start_from_an_unknown_place(domain: Domain) -> None:
    """No Python code but the package's own called it, as in a new thread."""
    reclaimer = make(domain)
    done = _thread.allocate_lock()
    done.acquire()
    own: dict[str, Any] = {
        "__name__": "shrinker.pressure.made_up",
        "reclaimer": reclaimer,
        "done": done,
    }
    exec("def work():\n reclaimer.start()\n done.release()", own)  # noqa: S102
    # Not by ``threading``, whose frames would be found.
    _thread.start_new_thread(own["work"], ())
    assert done.acquire(timeout=SOON)
    assert repr(reclaimer) == "<Reclaimer running, started at an unknown place>"
    reclaimer.stop()


def test_files_are_opened_by_the_thread_that_starts(domain: Domain) -> None:
    """Beside threads that fill caches a first look would take too long."""
    memory = FakeMemory(500)
    readers: list[int] = []
    memory.on_read = lambda: readers.append(threading.get_ident())
    with make(domain, memory):
        pass
    assert readers[0] == threading.get_ident()


def test_files_that_cannot_be_opened_do_not_stop_a_start(
    domain: Domain, log: Log
) -> None:
    """The thread meets the error again, says it, and goes on."""
    memory = FakeMemory(500)

    def fail() -> None:
        raise OSError("not now")

    memory.on_read = fail
    with make(domain, memory) as reclaimer:
        log.wait_for("looking at the memory failed")
        assert reclaimer.running
