"""``shrinker.testing``: the fixtures, and their use in a user's own project."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from shrinker import Domain, protect
from shrinker.cache import Cache
from shrinker.pressure.limits.memory import Memory

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker.testing import FakeCgroup, PressureFifo, PressureSocket

pytest_plugins = ["shrinker.testing"]

# Listens as a service without this library would.
TESTS_OF_A_SERVICE = """
import base64, os, socket

def test_fifo(memory_pressure_fifo):
    assert "MEMORY_PRESSURE_WRITE" not in os.environ
    with open(os.environ["MEMORY_PRESSURE_WATCH"], "rb", buffering=0) as fifo:
        memory_pressure_fifo.press()
        assert fifo.read(100)
    assert memory_pressure_fifo.written == b""

def test_socket(memory_pressure_socket):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(os.environ["MEMORY_PRESSURE_WATCH"])
        peer.sendall(base64.b64decode(os.environ["MEMORY_PRESSURE_WRITE"]))
        assert memory_pressure_socket.written == memory_pressure_socket.asked_for
        memory_pressure_socket.press()
        assert peer.recv(100)
        memory_pressure_socket.hang_up()
        assert peer.recv(100) == b""

def test_cgroup(fake_cgroup):
    fake_cgroup.set(max=1000, current=400, inactive_file=100)
    assert (fake_cgroup.directory / "memory.max").read_text() == "1000\\n"

def test_nothing_is_left():
    assert not [name for name in os.environ if name.startswith("MEMORY_PRESSURE")]
"""


def test_a_project_of_its_own(tmp_path: Path) -> None:
    """One line in conftest.py gives the fixtures, and they cause no warning."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["shrinker.testing"]\n')
    (tmp_path / "test_service.py").write_text(TESTS_OF_A_SERVICE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error"),
            *("-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("entries", [10_000, 60])
def test_one_press_makes_a_cache_smaller(
    memory_pressure_fifo: PressureFifo,
    fake_cgroup: FakeCgroup,
    domain: Domain,
    entries: int,
) -> None:
    """As in docs/pressure-sources.md: after one press caches of any size give back."""
    smaller = threading.Event()
    cache: Cache[int, str] = Cache(
        domain=domain, on_evict=lambda key, value: smaller.set()
    )
    for number in range(entries):
        cache[number] = "x"
    with Memory(fake_cgroup.root) as memory, protect(domain, memory=memory):
        memory_pressure_fifo.press()
        assert smaller.wait(20)
    assert len(cache) < entries


def test_low_memory_in_files_leads_to_a_reclaim(
    fake_cgroup: FakeCgroup, domain: Domain
) -> None:
    """Without a thread: the test sets the figures and has the reclaimer read them."""
    cache: Cache[int, str] = Cache(weigher=None, domain=domain)
    for number in range(10_000):
        cache[number] = "x"
    with Memory(fake_cgroup.root) as memory:
        reclaimer = protect(domain, memory=memory, source=None)
        assert reclaimer.look() is None
        fake_cgroup.set(max=256 << 20, current=240 << 20)
        verdict = reclaimer.look()
    assert verdict is not None
    assert verdict.freed == 10_000 - len(cache) > 0


def test_a_socket_without_a_service(
    memory_pressure_socket: PressureSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a service ends, with an error where one is needed."""
    monkeypatch.setattr("shrinker.testing.SERVICE_TIMEOUT_SECONDS", 0.01)
    assert memory_pressure_socket.written == b""
    with pytest.raises(TimeoutError, match="no service has connected"):
        memory_pressure_socket.press()
    memory_pressure_socket.hang_up()


def test_a_fifo_that_is_never_read(memory_pressure_fifo: PressureFifo) -> None:
    """A press into a full FIFO does not block; one after hang_up() is an error."""
    for _ in range(70_000):
        memory_pressure_fifo.press()
    memory_pressure_fifo.hang_up()
    with pytest.raises(RuntimeError, match="hang_up"):
        memory_pressure_fifo.press()


def test_fake_cgroup(fake_cgroup: FakeCgroup) -> None:
    """``Memory`` reads what was set, also what is set while it is open."""
    with Memory(fake_cgroup.root) as memory:
        (machine,) = memory.levels()
        assert (machine.limit, machine.free) == (8 << 30, 7 << 30)
        fake_cgroup.set(max=1_000_000, current=123_456, inactive_file=456)
        level = memory.levels()[0]
        assert (level.limit, level.used, level.charged) == (1_000_000, 123_000, 123_456)
        fake_cgroup.set(high=500, current=7)
        level = memory.levels()[0]
        assert (level.where, level.limit) == ("cgroup v2 /app (memory.high)", 500)
        fake_cgroup.set(max=None, high=None)
        assert memory.levels() == (machine,)
