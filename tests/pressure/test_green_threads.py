"""Programs that gevent or eventlet have patched: waiting, threads, and a reclaimer."""

from __future__ import annotations

import _thread
import importlib.util
import os
import select
import subprocess
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import LIMIT, MIB, SOON, FakeMemory, Log, Pages, make
from tests_support import register

from shrinker._unpatched import (
    NativeThread,
    has_green_threads,
    original,
    wait_readable,
)

if TYPE_CHECKING:
    from shrinker import Domain

BUSY = """
import sys
kind, root = sys.argv[1:]
if kind == "gevent":
    from gevent import monkey
    monkey.patch_all()
else:
    import eventlet
    eventlet.monkey_patch()
import _thread, logging, pathlib, threading, time
logging.basicConfig(level=logging.INFO, format="%(threadName)s %(message)s")
from shrinker import protect
from shrinker.cache import Cache
from shrinker.pressure import Memory, PsiTrigger
from shrinker.testing import FakeCgroup

def until(what):
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        if yields:
            time.sleep(0.01)

group = FakeCgroup(pathlib.Path(root))
group.set(max=256 << 20, current=100 << 20)
cache = Cache()
cache.update((n, "x") for n in range(10_000))
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)

threading.Thread(target=tick, daemon=True).start()
with Memory(group.root) as memory:
    with protect(memory=memory, trim=False) as reclaimer:
        yields = True
        until(lambda: reclaimer.statistics().looks)
        before = ticks
        until(lambda: ticks > before + 20)  # Other greenlets run.
        group.set(current=240 << 20)
        yields = kind == "eventlet"
        until(lambda: len(cache) < 10_000)
        assert reclaimer.running
        print("reclaimed", flush=True)
        yields = True
    assert not reclaimer.running
    with reclaimer:  # Again.
        assert reclaimer.running
try:
    with PsiTrigger() as source:
        assert source.wait(0.01) is None
except OSError:
    pass  # No PSI here.
print("done")
"""
"""With gevent a loop that never lets others run waits for the reclaimer."""


@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_a_patched_program_is_protected(kind: str, tmp_path: object) -> None:
    """Other greenlets run meanwhile, and no error is logged."""
    if importlib.util.find_spec(kind) is None:  # Importing it here would count.
        pytest.skip(f"{kind} is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUSY, kind, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "reclaimed\ndone\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert "shrinker-reclaimer reclaim (" in done.stderr


@pytest.fixture
def gevent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Gevent has replaced threads and removed epoll; returns what it is asked for."""
    asked: list[tuple[str, str]] = []
    saved = {("select", "epoll"): select.epoll, ("select", "poll"): select.poll}

    def get_original(module: str, name: str) -> Any:
        asked.append((module, name))
        if (module, name) in saved:
            return saved[module, name]
        return getattr(sys.modules[module], name)

    monkey: Any = types.ModuleType("gevent.monkey")
    monkey.get_original = get_original
    monkey.is_module_patched = lambda name: name == "threading"
    monkeypatch.setitem(sys.modules, "gevent.monkey", monkey)
    monkeypatch.delattr(select, "epoll")
    return asked


@pytest.fixture
def eventlet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eventlet has removed poll and epoll."""
    whole: Any = types.ModuleType("select")
    whole.epoll = select.epoll
    patcher: Any = types.ModuleType("eventlet.patcher")
    patcher.original = {"select": whole}.get
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    monkeypatch.delattr(select, "epoll")
    monkeypatch.delattr(select, "poll")


def test_originals() -> None:
    """Without either, they are what the module has."""
    assert original("select", "epoll") is select.epoll
    assert not has_green_threads()
    with pytest.raises(AttributeError, match="nonsense"):
        original("select", "nonsense")


def test_originals_under_gevent(gevent: list[tuple[str, str]]) -> None:
    """Gevent is asked."""
    assert original("select", "epoll").__name__ == "epoll"
    assert gevent == [("select", "epoll")]
    assert has_green_threads()


@pytest.mark.usefixtures("eventlet")
def test_originals_under_eventlet() -> None:
    """Eventlet is asked for what is gone, and has no use for a native thread."""
    assert original("select", "epoll").__name__ == "epoll"
    assert not has_green_threads()


def check_waiting(**options: bool) -> None:
    """Nothing is readable, then one of two pipes is."""
    (first, writer), (second, other) = os.pipe(), os.pipe()
    try:
        assert wait_readable((), 0.001, **options) == set()
        assert wait_readable((first, second), 0.001, **options) == set()
        os.write(other, b"x")
        assert wait_readable((first, second), None, **options) == {second}
    finally:
        for descriptor in (first, writer, second, other):
            os.close(descriptor)


def test_waiting() -> None:
    """Poll does it."""
    check_waiting()


@pytest.mark.usefixtures("eventlet")
def test_waiting_without_poll() -> None:
    """Eventlet's select lets others run."""
    check_waiting()


def test_waiting_in_a_native_thread(gevent: list[tuple[str, str]]) -> None:
    """Gevent's own poll is not used there."""
    check_waiting(blocking=True)
    assert set(gevent) == {("select", "poll")}


@pytest.mark.usefixtures("gevent")
def test_a_reclaimer_under_gevent(domain: Domain, log: Log) -> None:
    """It has a native thread, which is woken, reclaims and ends."""
    memory = FakeMemory(500)
    with register(domain, Pages(100_000, memory)):
        with make(domain, memory) as reclaimer:
            thread = reclaimer._thread
            assert isinstance(thread, NativeThread)
            log.wait_for("look (start)")
            memory.used = LIMIT - 90 * MIB
            reclaimer.wake()
            log.wait_for("reclaim (")
        assert not thread.is_alive()


def test_a_native_thread() -> None:
    """It runs, has a name, and can be waited for by others but not by itself."""
    go, said = threading.Event(), []

    def run() -> None:
        go.wait(SOON)
        said.append(threading.current_thread().name)
        try:
            thread.join()
        except RuntimeError as error:
            said.append(str(error))

    thread = NativeThread(run, "worker")
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="before it is started"):
        thread.join()
    thread.start()
    thread.join(0.01)
    assert thread.is_alive()
    go.set()
    thread.join()
    assert not thread.is_alive()
    assert said == ["worker", "cannot join the current thread"]


def test_a_native_thread_that_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system's error comes out, and it does not look alive."""

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", fail)
    thread = NativeThread(lambda: None, "worker")
    with pytest.raises(RuntimeError, match="can't start"):
        thread.start()
    assert not thread.is_alive()
