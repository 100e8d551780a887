"""Callbacks that misbehave leak nothing.

Each behaviour of ``hostile_callbacks`` runs in an interpreter of its own. A short run
counts the interpreter's memory blocks, which shows a leak of one object in a few calls.
With SHRINKER_STRESS_SECONDS set there are a million calls (fewer where a call starts a
thread or recurses to the limit), and the resident set of the process is compared, with
C's memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.untraced("a tracer's memory would be counted")

LONG = "SHRINKER_STRESS_SECONDS" in os.environ
GROUPS = 6
MORE_OR_LESS = 12
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

CODE = f"""
import gc, os, sys, warnings
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from hostile_callbacks import BEHAVIOURS, Misbehaving
from tests_support import register
from shrinker import Domain

warnings.simplefilter("ignore")


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def work(domain, shrinker, calls):
    calls += shrinker.calls
    while shrinker.calls < calls:
        try:
            domain.shrink_slab(priority=0)
        except BaseException:
            pass


def measure(name, calls):
    behaviour = BEHAVIOURS[name]
    calls = max(calls // behaviour.cost, 20)
    with Domain(stall_limit=8) as domain:
        shrinker = Misbehaving(domain, behaviour)
        shrinker.registration = register(domain, shrinker)
        work(domain, shrinker, max(calls // 10, 10))
        # Deep recursion takes a while until the heap has its shape; a leak goes on.
        for _ in range(4):
            gc.collect()
            before = resident(), sys.getallocatedblocks()
            work(domain, shrinker, calls)
            gc.collect()
            after = resident(), sys.getallocatedblocks()
            if after[0] - before[0] < 2**20 and after[1] - before[1] < {MORE_OR_LESS}:
                break
        shrinker.registration.close()
    print(f"{{calls}}\\t{{after[0] - before[0]}}\\t{{after[1] - before[1]}}\\t{{name}}")
"""


def measure(names: list[str], calls: int) -> list[tuple[int, int, int, str]]:
    """Return for each behaviour the calls, the growth in bytes and in blocks, and
    the name."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{CODE}\nfor name in {names!r}: measure(name, {calls})",
        ],
        capture_output=True,
        text=True,
        timeout=7200 if LONG else 300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    print(done.stdout)  # noqa: T201 - the figures, for -s
    rows = [line.split("\t", 3) for line in done.stdout.splitlines()]
    return [(int(n), int(size), int(blocks), name) for n, size, blocks, name in rows]


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_is_left_behind(group: int) -> None:
    """Neither Python's blocks nor the process's pages grow with the calls."""
    from hostile_callbacks import BEHAVIOURS  # noqa: PLC0415 - many numbers

    if FREE_THREADED and not LONG:
        pytest.skip("its allocator's number of blocks goes up and down by thousands")
    names = list(BEHAVIOURS)[group::GROUPS]
    rows = measure(names, 1_000_000 if LONG else 2000)
    assert [name for *_, name in rows] == names
    for _, grown, blocks, name in rows:
        assert blocks < MORE_OR_LESS or FREE_THREADED, name
        if LONG:
            assert grown < 2**20, name
