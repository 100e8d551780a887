"""Starts that fail, threads that are nearly over, files that are to be closed."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import MARKS, FakeMemory, FakeSource

from shrinker.pressure import Memory, Reclaimer
from shrinker.pressure.reclaimer import LAST

if TYPE_CHECKING:
    from shrinker import Domain


def make(domain: Domain, **more: Any) -> Reclaimer:
    settings: dict[str, Any] = {"memory": FakeMemory(500), "watermarks": MARKS}
    return Reclaimer(domain, **{**settings, "source": None, **more})


def test_no_thread_to_be_had(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """start() says so and leaves nothing: the source is closed, another reclaimer can
    run, and this one can go."""
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


def test_a_start_waits_for_the_thread_before(domain: Domain) -> None:
    """It may be about to close the source that is going to be opened."""
    waited = []

    class Last(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            waited.append(timeout)

    reclaimer = make(domain)
    reclaimer._thread = Last()
    with reclaimer:
        assert waited == [LAST]


def test_a_thread_that_ends_when_another_has_begun(domain: Domain) -> None:
    """A thread that is over, and waits for the lock to say so, does not stop the one
    that was started meanwhile."""
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
    reclaimer._over(background)
    assert reclaimer._background not in {None, background}
    assert reclaimer._worker.watching
    reclaimer.stop()


@pytest.mark.parametrize("own", [True, False])
def test_files_are_closed(
    domain: Domain, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end the files of its own memory, in a child all: they show the parent's
    figures."""
    memory = Memory()
    closed: list[Memory] = []

    def close(self: Memory) -> None:
        closed.append(self)

    monkeypatch.setattr(Memory, "close", close)
    reclaimer = make(domain, memory=None if own else memory)
    with reclaimer:
        pass
    assert closed == ([reclaimer._memory] if own else [])
    closed.clear()
    reclaimer._after_fork()
    assert closed == [reclaimer._memory]
