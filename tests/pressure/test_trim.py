"""Giving freed memory back: when malloc_trim is called, and what it gives."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import MIB, FakeMemory, Log, Pages, make
from tests_support import register

from shrinker.pressure.limits.resident import resident_bytes
from shrinker.pressure.trim import (
    MIN_FREED_BYTES,
    PERIOD_SECONDS,
    Trimmer,
)

if TYPE_CHECKING:
    from shrinker import Domain


def test_trim_when_enough_was_freed(
    trims: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once a second at most, or more often where almost nothing is free."""
    trimmer = Trimmer()
    trimmer.freed(MIN_FREED_BYTES - 1)
    assert not trimmer.trim(0)
    trimmer.freed(1)
    assert trimmer.trim(0)
    assert trims == [0]
    monkeypatch.setattr("ctypes.CDLL", None)  # It is looked up once.
    trimmer.freed(MIN_FREED_BYTES)
    assert trimmer.due() == 1.0
    assert not trimmer.trim(0.9)
    assert trimmer.trim(1.0)
    trimmer.freed(MIN_FREED_BYTES)
    assert not trimmer.trim(1.01, urgent=True)
    assert trimmer.trim(1.1, urgent=True)
    assert trims == [0, 0, 0]


def test_no_malloc_trim(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    """Where libc has none, that is logged once and nothing else happens."""
    ctypes = pytest.importorskip("ctypes")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    trimmer = Trimmer()
    for now in range(3):
        trimmer.freed(MIN_FREED_BYTES)
        assert not trimmer.trim(now)
    assert log.count("no malloc_trim, mallctl or mi_collect in this process") == 1
    assert trimmer.due() is None


def test_other_allocators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that the process has is asked, with what its manual says."""
    calls: list[tuple[Any, ...]] = []

    class Library:
        def __init__(self, name: None) -> None:
            for symbol in ("mallctl", "mi_collect", "malloc_trim"):
                # A function on which ctypes' attributes can be set.
                asked = functools.partial(lambda *all_: calls.append(all_), symbol)
                setattr(self, symbol, asked)

    monkeypatch.setattr(pytest.importorskip("ctypes"), "CDLL", Library)
    trimmer = Trimmer()
    trimmer.freed(MIN_FREED_BYTES)
    assert trimmer.trim(0.0)
    assert calls == [
        ("mallctl", b"arena.4096.purge", None, None, None, 0),
        ("mi_collect", True),
        ("malloc_trim", 0),
    ]


FRAGMENTED = """
import sys
from shrinker.pressure.limits.resident import resident_bytes
from shrinker.pressure.trim import MIN_FREED_BYTES, Trimmer
blocks = [b"x" * (20_000 + i % 2) for i in range(5_000)]
kept = blocks[::50]
del blocks
before = resident_bytes()
trimmer = Trimmer()
trimmer.freed(MIN_FREED_BYTES)
assert trimmer.trim(0.0)
print(before - resident_bytes())
"""


@pytest.mark.no_asan("an allocator is preloaded")
@pytest.mark.parametrize(
    ("library", "least"),
    [("libjemalloc.so.2", 50 * MIB), ("libmimalloc.so.2", -8 * MIB)],
)
def test_preloaded_allocators(library: str, least: int) -> None:
    """They take the call, and jemalloc gives back what it kept for later.

    mimalloc has given its pages back before; RSS may even have grown a little.
    """
    # jemalloc must not give back by itself meanwhile.
    environ = {"LD_PRELOAD": library, "MALLOC_CONF": "dirty_decay_ms:-1"}
    done = subprocess.run(
        [sys.executable, "-c", FRAGMENTED],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot be preloaded" in done.stderr:
        pytest.skip(f"no {library} here")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= least


@pytest.mark.no_asan("freed memory is kept in quarantine, and each byte has a shadow")
def test_real_memory_is_given_back(domain: Domain) -> None:
    """Blocks freed between blocks in use go back, and the record says how much."""
    if not hasattr(pytest.importorskip("ctypes").CDLL(None), "malloc_trim"):
        pytest.skip("libc has no malloc_trim")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("its objects are not libc's, and their allocator has no such call")

    class RealProcess(FakeMemory):
        def resident(self) -> int:
            return resident_bytes()

    memory = RealProcess(90)
    blocks = [bytes(20_000) for _ in range(2_000)]
    pins = [bytes(600) for _ in range(100)]

    class Blocks(Pages):
        def scan_objects(self, sc: Any) -> Any:
            del blocks[:]
            return super().scan_objects(sc)

    with register(domain, Blocks(100_000, memory)):
        before = resident_bytes()
        record = make(domain, memory, trim=True).look()
        assert record is not None
        assert record.trimmed
        assert record.resident_before == pytest.approx(before, abs=8 * MIB)
        assert record.given_back > 20 * MIB
    assert pins


def test_no_resident_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """RSS is 0 where /proc cannot be read."""

    def missing(_: int) -> Any:
        raise FileNotFoundError

    assert resident_bytes() > 0
    monkeypatch.setattr("shrinker.pressure.limits.resident._own_statm", missing)
    assert resident_bytes() == 0


def test_each_trim_needs_more_to_be_freed(trims: list[int]) -> None:
    """The next one is due after as much was freed again."""
    trimmer = Trimmer()
    trimmer.freed(MIN_FREED_BYTES)
    assert trimmer.due() is not None
    trimmer.trim(5.0)
    assert trimmer.due() is None
    trimmer.freed_enough()
    assert trimmer.due() == 5.0 + PERIOD_SECONDS


def test_no_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trimmed then."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    trimmer = Trimmer()
    trimmer.freed(MIN_FREED_BYTES)
    assert not trimmer.trim(0.0)
    assert trimmer.due() is None
