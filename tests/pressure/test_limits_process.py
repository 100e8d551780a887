"""Limits of the process alone: a budget, and those of setrlimit."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import LIMIT, MIB, FakeMemory, Log, Pages, make, worker_of
from tests_support import register

from shrinker import Domain, protect
from shrinker.pressure import Memory
from shrinker.pressure.limits import process
from shrinker.pressure.limits.memory import BudgetedMemory
from shrinker.pressure.limits.resident import ProcessBytes, resident_bytes

if TYPE_CHECKING:
    from limits_support import World

BUDGET = """
import resource, sys
from shrinker import protect
from shrinker.cache import Cache
kind = sys.argv[1]
if kind == "RLIMIT_AS":
    limit = 800 << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
elif kind == "RLIMIT_DATA":
    limit = 300 << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
budget = (256 << 20) if kind == "limit" else None
cache = Cache()
most = 0
with protect(limit=budget, source=None) as reclaimer:
    for i in range(40_000):  # 800 MiB in all.
        cache[i] = b"x" * (20_000 + i % 2)
        if not i % 100:
            with open("/proc/self/statm") as file:
                most = max(most, int(file.read().split()[1]) * 4096)
    figures = reclaimer.statistics()
assert figures.where == f"process ({kind}=)" if budget else f"process ({kind})", figures
print(most >> 20, len(cache))
"""


@pytest.mark.no_asan("a sanitizer takes address space and keeps freed memory")
@pytest.mark.parametrize("kind", ["limit", "RLIMIT_AS", "RLIMIT_DATA"])
def test_a_process_stays_within_its_limit(kind: str) -> None:
    if kind != "limit" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip(
            "its allocator reserves 1 GiB of addresses, and no thread can start"
        )
    """It fills a cache with more than it may have, and the cache gives back in time."""
    done = subprocess.run(
        [sys.executable, "-c", BUDGET, kind],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    most, kept = map(int, done.stdout.split())
    if kind == "limit":
        assert most <= 256
    assert kept > 2_000, "the cache was emptied"


@pytest.mark.parametrize(
    ("limit", "error", "text"),
    [
        (0, ValueError, "limit must be"),
        (-1, ValueError, "limit must be"),
        (1 << 63, ValueError, "limit must be"),
        (1, ValueError, "a page (4096) or more, or a float below 1 for a share"),
        (4095, ValueError, "limit must be bytes, a page (4096) or more"),
        (1.0, ValueError, "a share between 0 and 1"),
        (0.0, ValueError, "a share between 0 and 1"),
        (5e8, ValueError, "an int of bytes"),
        (float("nan"), ValueError, "a share between 0 and 1"),
        (True, TypeError, "an int of bytes, or a float between 0 and 1, not bool"),
        ("1G", TypeError, "an int of bytes, or a float between 0 and 1, not str"),
    ],
)
def test_wrong_limits(limit: Any, error: type[Exception], text: str) -> None:
    """They are refused at once."""
    with pytest.raises(error, match=re.escape(text)):
        protect(limit=limit)


def test_a_budget_is_the_nearest_level(domain: Domain, log: Log) -> None:
    """Caches give back below its watermarks, however much the container has."""
    memory = FakeMemory(500)
    memory.own = 500 * MIB
    with register(domain, Pages(100_000, memory)):
        reclaimer = make(domain, memory, limit=550 * MIB)
        record = reclaimer.look()
        assert record is not None
        assert (record.where, record.limit) == ("process (limit=)", 550 * MIB)
        assert record.action == "reclaim"
        assert log.count("reclaim (look): 50.0 MiB free") == 1
    labels = [level.where for level in worker_of(reclaimer).levels]
    assert labels == ["process (limit=)", "test"]


@pytest.mark.parametrize("limit", [4096, 0.001])
def test_a_budget_below_what_is_used(limit: float, log: Log) -> None:
    """It is said once, at the first look; not where the process grows beyond it."""
    container = FakeMemory(500)
    container.own = 90 * MIB
    memory = BudgetedMemory(container, limit)
    memory.levels()
    memory.levels()
    said = f"limit={limit} is {memory.levels()[0].limit / MIB:.1f} MiB, less than this"
    assert log.count(f"{said} process uses already (RSS 90.0 MiB)") == 1
    container.own = 50 * MIB
    memory = BudgetedMemory(container, 60 * MIB)
    memory.levels()
    container.own = 70 * MIB
    memory.levels()
    assert log.count("process uses already") == 1


def test_a_share_of_the_container() -> None:
    """It is of the lowest limit that is seen."""
    container = FakeMemory(500)
    memory = BudgetedMemory(container, 0.25)
    own, above = memory.levels()
    assert (own.limit, above.limit) == (LIMIT // 4, LIMIT)
    assert own.used == container.own
    container.own = 300 * MIB
    assert memory.levels()[0].free == 0
    assert memory.shortest().where == "process (limit=)"


def test_the_memory_behind_a_budget(plain: World) -> None:
    """It says where the process is, is refreshed and closed."""
    inner = Memory(plain.root)
    memory = BudgetedMemory(inner, 1 << 40)
    assert memory.cgroups is inner.cgroups
    assert memory.resident() == pytest.approx(resident_bytes(), abs=8 * MIB)
    plain.v2("sys/fs/cgroup/other", most=7 * MIB)
    plain.write("proc/self/cgroup", "0::/other\n")
    memory.refresh()
    assert [level.limit for level in memory.levels()][:2] == [1 << 40, 7 * MIB]
    memory.close()
    assert inner._view is None


@pytest.fixture
def rlimits(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The limits of this process, to be set; it has 90 MiB of 500 of address space."""
    limits: dict[int, int] = {}

    def getrlimit(which: int) -> tuple[int, int]:
        return limits.get(which, resource.RLIM_INFINITY), resource.RLIM_INFINITY

    monkeypatch.setattr(resource, "getrlimit", getrlimit)
    size = ProcessBytes(500 * MIB, 80 * MIB, 90 * MIB)
    monkeypatch.setattr(process, "process_bytes", lambda: size)
    monkeypatch.setattr(process, "_kept_by_allocator", lambda: lambda: 20 * MIB)
    return limits


def test_limits_of_setrlimit(rlimits: dict[int, int], plain: World) -> None:
    """What the allocator keeps is free; the machine stays last."""
    before = [level.where for level in Memory().levels()]
    rlimits[resource.RLIMIT_AS] = 600 * MIB
    rlimits[resource.RLIMIT_DATA] = 100 * MIB
    *_, space, data, machine = Memory().levels()
    assert (space.where, space.limit) == ("process (RLIMIT_AS)", 600 * MIB)
    assert (space.used, space.charged) == (480 * MIB, 500 * MIB)
    assert (data.where, data.used, data.free) == (
        *("process (RLIMIT_DATA)", 70 * MIB),
        30 * MIB,
    )
    assert machine.where == "machine"
    assert len(before) + 2 == len(Memory().levels())
    # They say nothing of other processes, nor of a machine made of files.
    assert len(Memory(plain.root).levels()) == 2
    assert all("RLIMIT" not in level.where for level in Memory(pid=1).levels())


def test_huge_limits_of_setrlimit(rlimits: dict[int, int]) -> None:
    """They are none."""
    rlimits[resource.RLIMIT_AS] = (1 << 64) - 2
    assert process.rlimit_levels() == []


def test_what_glibc_keeps() -> None:
    """It is asked where it can tell; elsewhere nothing counts as kept."""
    keeps = process._kept_by_allocator()
    assert 0 <= keeps() < 1 << 40
    ctypes: Any = pytest.importorskip("ctypes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctypes, "PyDLL", lambda _: object())
        assert process._kept_by_allocator.__wrapped__()() == 0


def test_no_figures_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short line counts as none."""

    class Short:
        def read(self) -> bytes:
            return b"1 2\n"

    name = "shrinker.pressure.limits.resident._own_statm"
    monkeypatch.setattr(name, lambda _: Short())
    assert resident_bytes() == 0
