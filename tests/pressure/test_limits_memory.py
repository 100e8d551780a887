"""How much memory there is and how much is used, on groups made of files."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from limits_support import CGROUP2, MEMORY1, World
from pressure_support import MIB
from tests_support import run_threads

from shrinker.pressure.limits import kernel_file
from shrinker.pressure.limits import memory as memory_module
from shrinker.pressure.limits.memory import Memory


def test_version_2(plain: World) -> None:
    """memory.max limits; inactive file cache is charged but not used."""
    (level,) = plain.levels()
    assert level.where == "cgroup v2 /app (memory.max)"
    assert level.limit == 100 * MIB
    assert level.used == 30 * MIB
    assert level.charged == 40 * MIB
    assert level.free == 70 * MIB
    assert level.cgroup is not None
    assert level.cgroup.directory == plain.root / "sys/fs/cgroup/app"


def test_the_lower_of_max_and_high(plain: World) -> None:
    """memory.high counts where it is lower, and is named."""
    plain.v2("sys/fs/cgroup/app", most=100 * MIB, high=80 * MIB, current=90 * MIB)
    (level,) = plain.levels()
    assert (level.where, level.limit) == ("cgroup v2 /app (memory.high)", 80 * MIB)
    assert level.free == 0


def test_max_is_no_limit(plain: World) -> None:
    """Without any limit there is the machine alone."""
    plain.v2("sys/fs/cgroup/app")
    assert plain.levels() == []


def test_the_machine(plain: World) -> None:
    """MemTotal limits, and free is MemAvailable."""
    machine = Memory(plain.root).levels()[-1]
    assert machine.limit == 8192 * MIB
    assert machine.free == 6144 * MIB
    assert machine.charged == 7168 * MIB
    assert machine.cgroup is None


def test_ancestors(world: World) -> None:
    """Groups above count with what is used in them; the process's own one first."""
    world.process("0::/a/b/c\n", CGROUP2.format(root="/", point="/sys/fs/cgroup"))
    world.v2("sys/fs/cgroup/a", most=500 * MIB, current=450 * MIB)
    world.v2("sys/fs/cgroup/a/b")
    world.v2("sys/fs/cgroup/a/b/c", most=200 * MIB, current=50 * MIB)
    assert [(level.where, level.free) for level in world.levels()] == [
        ("cgroup v2 /a/b/c (memory.max)", 150 * MIB),
        ("cgroup v2 /a (memory.max)", 50 * MIB),
    ]
    assert Memory(world.root).shortest().where == "cgroup v2 /a (memory.max)"


def test_controller_enabled_further_up_only(world: World) -> None:
    """A group without memory files is charged to the one above."""
    world.process("0::/a/b\n", CGROUP2.format(root="/", point="/sys/fs/cgroup"))
    world.v2("sys/fs/cgroup/a", most=500 * MIB)
    world.write("sys/fs/cgroup/a/b/cgroup.procs", "")
    (level,) = world.levels()
    assert level.where == "cgroup v2 /a (memory.max)"


def test_version_1(world: World) -> None:
    """The memory controller is found among others; a huge number is no limit."""
    world.process(
        "9:name=systemd:/x\n4:memory:/job/1\n1:cpu:/elsewhere\n",
        "34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
        MEMORY1.format(root="/", point="/sys/fs/cgroup/memory"),
    )
    base = "sys/fs/cgroup/memory"
    world.v1(base)
    world.v1(f"{base}/job")
    world.v1(
        f"{base}/job/1",
        limit=64 * MIB,
        usage=60 * MIB,
        inactive=20 * MIB,
        lowest=64 * MIB,
    )
    (level,) = world.levels()
    assert (level.where, level.limit) == ("cgroup v1 /job/1", 64 * MIB)
    assert (level.used, level.charged) == (40 * MIB, 60 * MIB)


def test_version_1_controllers_mounted_together(world: World) -> None:
    """``cpu,memory`` is memory too."""
    world.process(
        "4:cpu,memory:/job\n",
        "35 31 0:32 / /cg rw - cgroup cgroup rw,cpu,memory",
    )
    world.v1("cg/job", limit=MIB)
    assert [level.limit for level in world.levels()] == [MIB]


def test_version_1_without_use_hierarchy(world: World) -> None:
    """A parent that does not account for its children does not limit them."""
    world.process("4:memory:/a/b\n", MEMORY1.format(root="/", point="/cg"))
    world.v1("cg", hierarchy=0)
    world.v1("cg/a", limit=10 * MIB, hierarchy=0)
    world.v1("cg/a/b", limit=20 * MIB, lowest=20 * MIB, hierarchy=0)
    assert [level.where for level in world.levels()] == ["cgroup v1 /a/b"]


def test_version_1_limited_by_a_hidden_group(world: World) -> None:
    """A bind-mounted container learns of a lower limit above it from memory.stat."""
    world.process("4:memory:/pod/1\n", MEMORY1.format(root="/pod/1", point="/cg"))
    world.v1("cg", limit=80 * MIB, usage=10 * MIB, lowest=50 * MIB)
    own, above = world.levels()
    assert (own.where, own.limit) == ("cgroup v1 /pod/1", 80 * MIB)
    assert (above.where, above.limit, above.used) == (
        "cgroup v1 /pod/1 (limited from above)",
        50 * MIB,
        10 * MIB,
    )


def test_garbage_that_changes(
    plain: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Problems are logged, and remembered, up to a number."""
    monkeypatch.setattr(memory_module, "MAX_PROBLEMS_LOGGED", 10)
    with Memory(plain.root) as memory:
        for number in range(20):
            plain.write("sys/fs/cgroup/app/memory.current", f"garbage {number}\n")
            assert len(memory.levels()) == 1
    assert len(caplog.records) == 10


def test_limits_that_change(plain: World) -> None:
    """Each read asks the kernel anew; a limit may come and go."""
    app = "sys/fs/cgroup/app"
    with Memory(plain.root) as memory:
        assert memory.levels()[0].limit == 100 * MIB
        plain.v2(app, most=50 * MIB, current=1)
        assert (memory.levels()[0].limit, memory.levels()[0].used) == (50 * MIB, 1)
        plain.v2(app)
        assert [level.where for level in memory.levels()] == ["machine"]
        plain.v2(app, high=20 * MIB)
        assert memory.levels()[0].where == "cgroup v2 /app (memory.high)"


def test_reading_opens_nothing(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files stay open between reads."""
    with Memory(plain.root) as memory:
        before = memory.levels()

        def opened(path: str, flags: int) -> int:
            raise AssertionError(path)

        monkeypatch.setattr(os, "open", opened)
        assert memory.levels() == before


def test_moved_to_another_group(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed at the next refresh."""
    plain.v2("sys/fs/cgroup/other", most=7 * MIB)
    monkeypatch.setattr(memory_module, "REFRESH_SECONDS", 0.0)
    with Memory(plain.root) as memory:
        assert memory.levels()[0].limit == 100 * MIB
        plain.write("proc/self/cgroup", "0::/other\n")
        assert memory.levels()[0].limit == 7 * MIB


def test_refresh(plain: World) -> None:
    """``refresh`` finds a process that was moved at once."""
    plain.v2("sys/fs/cgroup/other", most=7 * MIB)
    with Memory(plain.root) as memory:
        memory.levels()
        plain.write("proc/self/cgroup", "0::/other\n")
        assert memory.levels()[0].limit == 100 * MIB
        memory.refresh()
        assert memory.levels()[0].limit == 7 * MIB


def vanish(memory: Memory, error: int) -> None:
    """Make the open files say what the kernel says of a removed group."""

    def gone(descriptor: int, size: int, offset: int) -> bytes:
        raise OSError(error, os.strerror(error))

    memory.levels()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", gone)
        patch.setattr(kernel_file, "_calls_with_gil", lambda: None)
        memory.levels()


def test_the_group_vanishes(plain: World, caplog: pytest.LogCaptureFixture) -> None:
    """A removed group leads to a refresh at once."""
    plain.v2("sys/fs/cgroup/other", most=7 * MIB)
    with Memory(plain.root) as memory:
        memory.levels()
        plain.write("proc/self/cgroup", "0::/other\n")
        vanish(memory, errno.ENODEV)
        assert memory.levels()[0].limit == 7 * MIB
        assert "is ignored" in caplog.text


@pytest.mark.parametrize(
    ("file", "garbage"),
    [
        ("memory.current", ""),
        ("memory.current", "max\n"),
        ("memory.stat", "inactive_file x\n"),
        ("memory.max", ""),
        ("memory.max", "-5\n"),
        ("memory.max", "12 MiB\n"),
        ("memory.high", "\xff\n"),
    ],
)
def test_garbage_leaves_a_level_out(
    plain: World, caplog: pytest.LogCaptureFixture, file: str, garbage: str
) -> None:
    """A malformed file costs its level and one log line, not one for each read."""
    plain.v2("sys/fs/cgroup", most=9 * MIB)
    plain.write(f"sys/fs/cgroup/app/{file}", garbage)
    with Memory(plain.root) as memory:
        for _ in range(3):
            assert [level.limit for level in memory.levels()] == [9 * MIB, 8192 * MIB]
            memory.refresh()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("shrinker.pressure", logging.WARNING)
    assert file in record.getMessage()


@pytest.mark.parametrize("version", [1, 2])
def test_missing_files_leave_a_level_out(
    world: World, caplog: pytest.LogCaptureFixture, version: int
) -> None:
    """So does a missing file; the other levels stay."""
    if version == 1:
        world.process("4:memory:/a/b\n", MEMORY1.format(root="/", point="/cg"))
        name = "memory.limit_in_bytes"
        world.v1("cg/a/b", limit=MIB)
        world.v1("cg/a", limit=9 * MIB)
    else:
        world.process("0::/a/b\n", CGROUP2.format(root="/", point="/cg"))
        name = "memory.current"
        world.v2("cg/a/b", most=MIB)
        world.v2("cg/a", most=9 * MIB)
    (world.root / "cg/a/b" / name).unlink()
    with Memory(world.root) as memory:
        for _ in range(3):
            assert [level.limit for level in memory.levels()] == [9 * MIB, 8192 * MIB]
            memory.refresh()
    assert len(caplog.records) == 1


def test_a_limit_that_cannot_be_read(
    plain: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out and logged once; the machine's is there."""
    memory = Memory(plain.root)
    assert len(memory.levels()) == 2

    def broken(_: object) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(kernel_file.KernelFile, "limit", broken)
    with caplog.at_level(logging.WARNING, "shrinker.pressure"):
        for _ in range(2):
            assert [each.where for each in memory.levels()] == ["machine"]
    assert caplog.text.count("the limit of cgroup v2 /app is ignored") == 1


def test_no_cgroups_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without /proc/self/cgroup there is the machine, and a log line."""
    world = World(tmp_path)
    with Memory(world.root) as memory:
        assert [level.where for level in memory.levels()] == ["machine"]
        assert memory.cgroups.memory == ()
    assert "no cgroup limits" in caplog.text


@pytest.mark.parametrize(
    ("meminfo", "free_mib"),
    [
        ("MemTotal: 4096 kB\nMemFree: 1024 kB\nInactive(file): 1024 kB\n", 2),
        ("MemTotal: 4096 kB\nMemFree: 1024 kB\n", 1),
        ("MemTotal: 4096 kB\nMemAvailable: 3072 kB\n", 3),
    ],
)
def test_old_meminfo(world: World, meminfo: str, free_mib: int) -> None:
    """Where MemAvailable is missing, only what is surely free counts."""
    world.write("proc/meminfo", meminfo)
    machine = Memory(world.root).levels()[-1]
    assert (machine.limit, machine.free) == (4 * MIB, free_mib * MIB)


@pytest.mark.parametrize("meminfo", [None, "", "MemTotal: much\n", "MemTotal: 1 kB\n"])
def test_no_meminfo(
    world: World, caplog: pytest.LogCaptureFixture, meminfo: str | None
) -> None:
    """Without a useful /proc/meminfo sysconf is used; the machine is always there."""
    if meminfo is None:
        (world.root / "proc/meminfo").unlink()
    else:
        world.write("proc/meminfo", meminfo)
    with Memory(world.root) as memory:
        for _ in range(3):
            machine = memory.levels()[-1]
            pages = os.sysconf("SC_PHYS_PAGES")
            assert machine.limit == pages * os.sysconf("SC_PAGE_SIZE")
            assert 0 < machine.free <= machine.limit
    assert caplog.text.count("meminfo") >= 1
    assert len(caplog.records) <= 2


def has_open_files(root: Path) -> bool:
    """Whether a descriptor of this process leads below ``root``."""
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(root) in str(link.readlink()):
                return True
    return False


def test_close(plain: World) -> None:
    """Closing twice is fine, leaves no file open, and a read opens them again."""
    memory = Memory(plain.root)
    levels = memory.levels()
    assert has_open_files(plain.root)
    memory.close()
    memory.close()
    assert not has_open_files(plain.root)
    assert memory.levels() == levels
    memory.close()


def test_readers_and_a_refresh_at_once(plain: World, fast_switching: None) -> None:
    """A refresh in one thread does not close what another one reads."""
    with Memory(plain.root) as memory:
        expected = memory.levels()

        def reads() -> None:
            for _ in range(200):
                assert memory.levels() == expected

        def refreshes() -> None:
            for _ in range(50):
                memory.refresh()
                memory.close()

        assert run_threads(reads, reads, refreshes) == []
    assert not has_open_files(plain.root)


@pytest.mark.parametrize(("pid", "error"), [("me", TypeError), (-3, ValueError)])
def test_wrong_pids(pid: Any, error: type[Exception]) -> None:
    """They are refused before anything is read."""
    with pytest.raises(error, match="pid must be"):
        Memory(pid=pid)


def test_another_process(plain: World) -> None:
    """A process may be named by its pid."""
    proc = plain.root / "proc"
    (proc / "self").rename(proc / "123")
    with Memory(plain.root, pid=123) as memory:
        assert memory.levels()[0].limit == 100 * MIB


def test_this_machine() -> None:
    """The figures of this machine are plausible."""
    with Memory() as memory:
        for level in memory.levels():
            assert level.limit > 0
            assert 0 <= level.free <= level.limit
            assert level.used <= level.charged or level.where == "machine"
        assert memory.shortest() in memory.levels() or memory.shortest().limit > 0
