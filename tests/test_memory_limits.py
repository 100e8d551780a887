"""Which limits a process lives under, on hierarchies made of files."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest
from tests_support import run_threads

from shrinker.pressure import memory as memory_module
from shrinker.pressure.cgroups import find_cgroups
from shrinker.pressure.memory import Memory, MemoryLevel

MIB = 1 << 20
NO_LIMIT_V1 = 9223372036854771712
CGROUP2 = "30 1 0:26 {root} {point} rw - cgroup2 cgroup2 rw"
MEMORY1 = "35 31 0:32 {root} {point} rw,relatime - cgroup cgroup rw,memory"
MEMINFO = """MemTotal:        8388608 kB
MemFree:         1048576 kB
MemAvailable:    6291456 kB
Buffers:           10240 kB
Inactive(file):  2097152 kB
"""


class World:
    """A machine in files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", MEMINFO)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(self, cgroup: str, *mountinfo: str) -> None:
        self.write("proc/self/cgroup", cgroup)
        self.write("proc/self/mountinfo", "\n".join(mountinfo) + "\n")

    def v2(
        self,
        directory: str,
        *,
        most: int | str = "max",
        high: int | str = "max",
        current: int = 0,
        inactive: int = 0,
    ) -> None:
        self.write(f"{directory}/cgroup.procs", "")
        self.write(f"{directory}/memory.max", f"{most}\n")
        self.write(f"{directory}/memory.high", f"{high}\n")
        self.write(f"{directory}/memory.current", f"{current}\n")
        stat = f"anon 1\nfile 2\ninactive_anon 3\ninactive_file {inactive}\n"
        self.write(f"{directory}/memory.stat", stat)

    def v1(
        self,
        directory: str,
        *,
        limit: int = NO_LIMIT_V1,
        usage: int = 0,
        inactive: int = 0,
        lowest: int = NO_LIMIT_V1,
        hierarchy: int = 1,
    ) -> None:
        self.write(f"{directory}/cgroup.procs", "")
        self.write(f"{directory}/memory.use_hierarchy", f"{hierarchy}\n")
        self.write(f"{directory}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{directory}/memory.usage_in_bytes", f"{usage}\n")
        stat = (
            f"inactive_file 1\nhierarchical_memory_limit {lowest}\n"
            f"total_inactive_anon 7\ntotal_inactive_file {inactive}\n"
        )
        self.write(f"{directory}/memory.stat", stat)

    def levels(self) -> list[MemoryLevel]:
        """All levels but the machine's."""
        with Memory(self.root) as memory:
            *groups, machine = memory.levels()
        assert machine.where == "machine"
        return groups


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def plain(world: World) -> World:
    """A process in /app of version 2, 100 MiB of which 30 are used."""
    world.process("0::/app\n", CGROUP2.format(root="/", point="/sys/fs/cgroup"))
    world.write("sys/fs/cgroup/cgroup.procs", "")
    world.v2("sys/fs/cgroup/app", most=100 * MIB, current=40 * MIB, inactive=10 * MIB)
    return world


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
    """Groups above count with what is used in them; the own one comes first."""
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
    """A parent that does not account its children does not limit them either."""
    world.process("4:memory:/a/b\n", MEMORY1.format(root="/", point="/cg"))
    world.v1("cg", hierarchy=0)
    world.v1("cg/a", limit=10 * MIB, hierarchy=0)
    world.v1("cg/a/b", limit=20 * MIB, lowest=20 * MIB, hierarchy=0)
    assert [level.where for level in world.levels()] == ["cgroup v1 /a/b"]


def test_version_1_limited_by_what_cannot_be_seen(world: World) -> None:
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


def test_hybrid_memory_in_version_1(world: World) -> None:
    """Memory in version 1; version 2 is there for pressure, without a controller."""
    world.process(
        "4:memory:/app\n0::/app.service\n",
        MEMORY1.format(root="/", point="/sys/fs/cgroup/memory"),
        CGROUP2.format(root="/", point="/sys/fs/cgroup/unified"),
    )
    world.v1("sys/fs/cgroup/memory/app", limit=64 * MIB)
    world.write("sys/fs/cgroup/unified/app.service/cgroup.procs", "")
    assert [level.where for level in world.levels()] == ["cgroup v1 /app"]
    own = Memory(world.root).cgroups.v2[0]
    assert own.directory == world.root / "sys/fs/cgroup/unified/app.service"


def test_hybrid_memory_in_version_2(world: World) -> None:
    """Memory in version 2, something else in version 1."""
    world.process(
        "3:cpuset:/other\n0::/app\n",
        "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset",
        CGROUP2.format(root="/", point="/sys/fs/cgroup/unified"),
    )
    world.v2("sys/fs/cgroup/unified/app", most=MIB)
    assert [level.where for level in world.levels()] == ["cgroup v2 /app (memory.max)"]


def test_namespace(world: World) -> None:
    """In a container with a namespace the mount is the own group."""
    world.process("0::/\n", CGROUP2.format(root="/", point="/sys/fs/cgroup"))
    world.v2("sys/fs/cgroup", most=MIB)
    assert [level.where for level in world.levels()] == ["cgroup v2 / (memory.max)"]


def test_bind_mount_without_namespace(world: World) -> None:
    """Docker on version 1: the container's group is mounted as if it were the root."""
    path = "/docker/0123"
    world.process(f"4:memory:{path}/child\n", MEMORY1.format(root=path, point="/cg"))
    world.v1("cg", limit=50 * MIB)
    world.v1("cg/child", limit=20 * MIB)
    assert [(level.where, level.limit) for level in world.levels()] == [
        ("cgroup v1 /docker/0123/child", 20 * MIB),
        ("cgroup v1 /docker/0123", 50 * MIB),
    ]


def test_mount_that_begins_above_the_namespace(world: World) -> None:
    """Names that nobody tells are found by the process's number."""
    world.process("0::/x\n", CGROUP2.format(root="/../..", point="/host"))
    world.v2("host", most="max")
    for names in ("a/1", "a/2", "b/1"):
        world.v2(f"host/{names}", most=3 * MIB)
        world.v2(f"host/{names}/x", most=2 * MIB)
    world.v2("host/b", most=MIB)
    world.write("host/b/1/x/cgroup.procs", f"1\n{os.getpid()}\n")
    chain = find_cgroups(world.root).v2
    assert [cgroup.directory for cgroup in chain] == [
        world.root / "host" / names for names in ("b/1/x", "b/1", "b", "")
    ]
    assert [cgroup.path for cgroup in chain] == ["/x", "/", "/..", "/../.."]
    assert [level.limit for level in world.levels()] == [2 * MIB, 3 * MIB, MIB]


def test_above_is_known_even_where_the_own_group_is_not(world: World) -> None:
    """The mount itself is above of the process in any case."""
    world.process("0::/\n", CGROUP2.format(root="/..", point="/host"))
    world.v2("host", most=5 * MIB)
    assert [level.limit for level in world.levels()] == [5 * MIB]


def test_group_outside_of_what_is_mounted(world: World) -> None:
    """The limits of other groups are not ours."""
    world.process("0::/../other\n", CGROUP2.format(root="/", point="/cg"))
    world.v2("cg", most=MIB)
    assert world.levels() == []
    world.process("0::/ab\n", CGROUP2.format(root="/a", point="/cg"))
    assert world.levels() == []


def test_the_mount_that_shows_most(world: World) -> None:
    """Of several mounts the one that shows most groups above is used."""
    world.process(
        "0::/a/b\n",
        CGROUP2.format(root="/a/b", point="/narrow"),
        CGROUP2.format(root="/", point="/wide"),
        CGROUP2.format(root="/elsewhere", point="/other"),
    )
    for directory in ("narrow", "wide/a/b"):
        world.v2(directory, most=2 * MIB)
    world.v2("wide/a", most=MIB)
    assert [level.limit for level in world.levels()] == [2 * MIB, MIB]


def test_escaped_blanks_and_colons(world: World) -> None:
    r"""``\040`` in mountinfo is a blank; a path may have colons."""
    world.process(
        "4:memory:/my job:1\n", MEMORY1.format(root=r"/my\040job:1", point=r"/my\040cg")
    )
    world.v1("my cg", limit=MIB)
    assert [level.where for level in world.levels()] == ["cgroup v1 /my job:1"]


def test_lines_that_make_no_sense(plain: World) -> None:
    """Garbage in both files is passed over."""
    for path in ("proc/self/cgroup", "proc/self/mountinfo"):
        good = (plain.root / path).read_text()
        plain.write(path, f"\nx\n:::\n1:memory\n- cgroup2\n{good}1 2 - x\n")
    assert len(plain.levels()) == 1


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
    """It is noticed when the time to look again has come."""
    plain.v2("sys/fs/cgroup/other", most=7 * MIB)
    monkeypatch.setattr(memory_module, "LOOK_AGAIN_SECONDS", 0.0)
    with Memory(plain.root) as memory:
        assert memory.levels()[0].limit == 100 * MIB
        plain.write("proc/self/cgroup", "0::/other\n")
        assert memory.levels()[0].limit == 7 * MIB


def test_refresh(plain: World) -> None:
    """Who knows that the process was moved need not wait."""
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
        memory.levels()


def test_the_group_vanishes(plain: World, caplog: pytest.LogCaptureFixture) -> None:
    """A removed group makes it look at once, before the time has come."""
    plain.v2("sys/fs/cgroup/other", most=7 * MIB)
    with Memory(plain.root) as memory:
        memory.levels()
        plain.write("proc/self/cgroup", "0::/other\n")
        vanish(memory, errno.ENODEV)
        assert memory.levels()[0].limit == 7 * MIB
        assert "a limit is left out" in caplog.text


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
    """A file that makes no sense costs its level and one log line, not one a read."""
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
    """So does a file that is not there; the other levels stay."""
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


def test_no_cgroups_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without /proc/self/cgroup there is the machine, and a log line."""
    world = World(tmp_path)
    with Memory(world.root) as memory:
        assert [level.where for level in memory.levels()] == ["machine"]
        assert memory.cgroups.memory == ()
    assert "no cgroups were found" in caplog.text


@pytest.mark.parametrize(
    ("meminfo", "free_mib"),
    [
        ("MemTotal: 4096 kB\nMemFree: 1024 kB\nInactive(file): 1024 kB\n", 2),
        ("MemTotal: 4096 kB\nMemFree: 1024 kB\n", 1),
        ("MemTotal: 4096 kB\nMemAvailable: 3072 kB\n", 3),
    ],
)
def test_old_meminfo(world: World, meminfo: str, free_mib: int) -> None:
    """Where MemAvailable is missing, what is surely free counts."""
    world.write("proc/meminfo", meminfo)
    machine = Memory(world.root).levels()[-1]
    assert (machine.limit, machine.free) == (4 * MIB, free_mib * MIB)


@pytest.mark.parametrize("meminfo", [None, "", "MemTotal: much\n", "MemTotal: 1 kB\n"])
def test_no_meminfo(
    world: World, caplog: pytest.LogCaptureFixture, meminfo: str | None
) -> None:
    """Without a useful /proc/meminfo sysconf says it; the machine is always there."""
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


def descriptors() -> set[str]:
    """Where this process's descriptors lead."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(link.readlink()))
        except FileNotFoundError:
            continue
    return found


def test_close(plain: World) -> None:
    """Closing twice is fine, leaves no file open, and a read opens them again."""
    memory = Memory(plain.root)
    levels = memory.levels()
    assert any(str(plain.root) in path for path in descriptors())
    memory.close()
    memory.close()
    assert not any(str(plain.root) in path for path in descriptors())
    assert memory.levels() == levels
    memory.close()


def test_readers_and_a_look_at_once(plain: World, fast_switching: None) -> None:
    """Looking again in one thread does not close what another one reads."""
    with Memory(plain.root) as memory:
        expected = memory.levels()

        def reads() -> None:
            for _ in range(200):
                assert memory.levels() == expected

        def looks() -> None:
            for _ in range(50):
                memory.refresh()
                memory.close()

        assert run_threads(reads, reads, looks) == []
    assert not any(str(plain.root) in path for path in descriptors())


def test_another_process(plain: World) -> None:
    """A process may be named by its number."""
    proc = plain.root / "proc"
    (proc / "self").rename(proc / "123")
    with Memory(plain.root, pid=123) as memory:
        assert memory.levels()[0].limit == 100 * MIB


def test_this_machine() -> None:
    """What this machine says makes sense."""
    with Memory() as memory:
        for level in memory.levels():
            assert level.limit > 0
            assert 0 <= level.free <= level.limit
            assert level.used <= level.charged or level.where == "machine"
        assert memory.shortest() in memory.levels() or memory.shortest().limit > 0
