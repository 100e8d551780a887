"""What of a group's memory counts as free, because the kernel can take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from limits_support import CGROUP2, MEMORY1, World
from pressure_support import MIB

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1000 * MIB
CHARGED = 900 * MIB
LOW = LIMIT // 25
"""What is taken to stay, where there is twice as much."""


@pytest.fixture(params=[1, 2])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def used(root: Path, version: int, **stat: int) -> int:
    """Bytes that a group uses, with these counters of version 2."""
    world = World(root)
    if version == 2:
        world.process("0::/app\n", CGROUP2.format(root="/", point="/cg"))
        world.v2("cg/app", most=LIMIT, current=CHARGED, **stat)
    else:
        names = {
            "active_file": "total_active_file",
            "inactive": "inactive",
            "file_dirty": "total_dirty",
            "file_writeback": "total_writeback",
        }
        counters = {names[name]: count for name, count in stat.items()}
        world.process("4:memory:/app\n", MEMORY1.format(root="/", point="/cg"))
        # The group's own figures must not count: those below have their part.
        own = {"active_file": 1, "dirty": 7 * MIB, "writeback": 7 * MIB}
        world.v1("cg/app", limit=LIMIT, usage=CHARGED, **own, **counters)
    (level,) = world.levels()
    assert level.charged == CHARGED
    return level.used


def test_nothing_to_take(tmp_path: Path, version: int) -> None:
    """Without file cache all that is charged is used."""
    assert used(tmp_path, version) == CHARGED


def test_file_cache_that_never_ages(tmp_path: Path, version: int) -> None:
    """Active file cache can go but for a part, however long it stays active."""
    assert used(tmp_path, version, active_file=300 * MIB) == CHARGED - 300 * MIB + LOW


def test_little_file_cache(tmp_path: Path, version: int) -> None:
    """Half of it stays: it may be the text of the program."""
    assert used(tmp_path, version, active_file=30 * MIB) == CHARGED - 15 * MIB


def test_inactive_file_cache(tmp_path: Path, version: int) -> None:
    """All of it can go, and what stays is active."""
    assert used(tmp_path, version, inactive=30 * MIB) == CHARGED - 30 * MIB
    stat = {"inactive": 300 * MIB, "active_file": 10 * MIB}
    assert used(tmp_path, version, **stat) == CHARGED - 300 * MIB


def test_pages_to_be_written(tmp_path: Path, version: int) -> None:
    """What must be written first cannot go now."""
    stat = {"inactive": 200 * MIB, "file_dirty": 50 * MIB, "file_writeback": 30 * MIB}
    assert used(tmp_path, version, **stat) == CHARGED - 120 * MIB
    stat = {"inactive": 20 * MIB, "file_dirty": 50 * MIB}  # They are not read at once.
    assert used(tmp_path, version, **stat) == CHARGED


def test_slab(tmp_path: Path) -> None:
    """Reclaimable slab, of dentries say, can go but for a part."""
    assert used(tmp_path, 2, slab_reclaimable=500 * MIB) == CHARGED - 500 * MIB + LOW
    assert used(tmp_path, 2, slab_reclaimable=40 * MIB) == CHARGED - 20 * MIB


def test_shared_memory(tmp_path: Path) -> None:
    """``file`` has tmpfs in it, which only swap could take: it does not count."""
    assert used(tmp_path, 2, file=500 * MIB, shmem=500 * MIB) == CHARGED


def test_more_than_is_charged(tmp_path: Path) -> None:
    """The files are read one after the other; used is never negative."""
    assert used(tmp_path, 2, active_file=CHARGED, slab_reclaimable=CHARGED) == 0


def test_a_large_limit(tmp_path: Path) -> None:
    """No more than a number of bytes stays: programs do not grow with the machine."""
    world = World(tmp_path)
    world.process("0::/app\n", CGROUP2.format(root="/", point="/cg"))
    world.v2(
        "cg/app", most=1 << 38, current=100 << 30, active_file=50 << 30, inactive=0
    )
    (level,) = world.levels()
    assert level.used == (50 << 30) + (512 << 20)
