"""Where the groups of a process are, on hierarchies made of files."""

# Lines of mountinfo are as long as they are.
# ruff: noqa: E501

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from limits_support import CGROUP2, MEMORY1, World
from pressure_support import MIB

import shrinker.pressure.worker
from shrinker.pressure.limits.cgroups import _search, find_cgroups, own_cgroups
from shrinker.pressure.limits.memory import Memory

if TYPE_CHECKING:
    from pathlib import Path


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
    """In a container with a namespace the mount is the process's group."""
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
    """The names between are hidden; the group is found by the process's pid."""
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


def test_a_group_that_is_not_found_below_the_mount(world: World) -> None:
    """The mount itself is above the process in any case."""
    world.process("0::/\n", CGROUP2.format(root="/..", point="/host"))
    world.v2("host", most=5 * MIB)
    assert [level.limit for level in world.levels()] == [5 * MIB]


def test_group_outside_of_what_is_mounted(world: World) -> None:
    """The limits of other groups do not apply."""
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


def test_escaped_spaces_and_colons(world: World) -> None:
    r"""``\040`` in mountinfo is a space; a path may have colons."""
    world.process(
        "4:memory:/my job:1\n", MEMORY1.format(root=r"/my\040job:1", point=r"/my\040cg")
    )
    world.v1("my cg", limit=MIB)
    assert [level.where for level in world.levels()] == ["cgroup v1 /my job:1"]


DOCKER_V1 = r"""1003 850 0:57 / / rw,relatime master:406 - overlay overlay rw,lowerdir=/l/A
1004 1003 0:60 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1007 1006 0:63 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
1008 1007 0:30 /docker/4bd1 /sys/fs/cgroup/systemd ro,nosuid - cgroup cgroup rw,xattr,name=systemd
1012 1007 0:36 /docker/4bd1 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,memory
1014 1007 0:38 /docker/4bd1 /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct"""


DOCKER_V1_GROUP = """13:name=systemd:/docker/4bd1
9:memory:/docker/4bd1
5:cpu,cpuacct:/docker/4bd1
0::/system.slice/containerd.service
"""


DOCKER_V2_PRIVATE = """2191 1806 0:219 / / rw,relatime master:703 - overlay overlay rw
2196 2195 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot"""


DOCKER_V2_HOST = """2191 1806 0:219 / / rw,relatime - overlay overlay rw
2196 2195 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw"""


SYSTEMD_HYBRID = """33 24 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,size=4096k,mode=755
34 33 0:29 / /sys/fs/cgroup/unified rw,nosuid,nodev shared:10 - cgroup2 cgroup2 rw,nsdelegate
35 33 0:30 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
41 33 0:36 / /sys/fs/cgroup/memory rw,nosuid,nodev shared:17 - cgroup cgroup rw,memory"""


SYSTEMD_HYBRID_GROUP = """11:memory:/user.slice/user-1000.slice/session-3.scope
1:name=systemd:/user.slice/user-1000.slice/session-3.scope
0::/user.slice/user-1000.slice/session-3.scope
"""


KUBERNETES_V1 = """4801 4799 0:417 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755
4809 4801 0:33 /kubepods/burstable/pod1f/c0 /sys/fs/cgroup/memory ro,nosuid master:15 - cgroup cgroup rw,memory"""


LXC = """640 639 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 none rw,nsdelegate
652 641 0:50 /proc/meminfo /proc/meminfo rw,nosuid,nodev - fuse.lxcfs lxcfs rw,user_id=0,allow_other"""


WSL = """70 69 0:32 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw,nsdelegate
75 60 0:38 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs;path=C:\\;uid=1000"""


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "own", "where"),
    [
        pytest.param(
            DOCKER_V1_GROUP,
            DOCKER_V1,
            "sys/fs/cgroup/memory",
            "cgroup v1 /docker/4bd1",
            id="docker, version 1",
        ),
        pytest.param(
            "0::/\n",
            DOCKER_V2_PRIVATE,
            "sys/fs/cgroup",
            "cgroup v2 / (memory.max)",
            id="docker, version 2, private namespace",
        ),
        pytest.param(
            "0::/system.slice/docker-4bd1.scope\n",
            DOCKER_V2_HOST,
            "sys/fs/cgroup/system.slice/docker-4bd1.scope",
            "cgroup v2 /system.slice/docker-4bd1.scope (memory.max)",
            id="docker, version 2, --cgroupns=host",
        ),
        pytest.param(
            SYSTEMD_HYBRID_GROUP,
            SYSTEMD_HYBRID,
            "sys/fs/cgroup/memory/user.slice/user-1000.slice/session-3.scope",
            "cgroup v1 /user.slice/user-1000.slice/session-3.scope",
            id="systemd, hybrid",
        ),
        pytest.param(
            "6:memory:/kubepods/burstable/pod1f/c0\n0::/\n",
            KUBERNETES_V1,
            "sys/fs/cgroup/memory",
            "cgroup v1 /kubepods/burstable/pod1f/c0",
            id="kubernetes, version 1",
        ),
        pytest.param(
            "0::/.lxc\n",
            LXC,
            "sys/fs/cgroup/.lxc",
            "cgroup v2 /.lxc (memory.max)",
            id="LXC",
        ),
        pytest.param(
            "0::/init.scope\n",
            WSL,
            "sys/fs/cgroup/init.scope",
            "cgroup v2 /init.scope (memory.max)",
            id="WSL",
        ),
    ],
)
def test_real_systems(
    world: World, cgroup: str, mountinfo: str, own: str, where: str
) -> None:
    """What /proc says on systems as they are, shortened."""
    world.process(cgroup, mountinfo)
    if "v1" in where:
        world.v1(own, limit=64 * MIB, usage=MIB)
    else:
        world.v2(own, most=64 * MIB, current=MIB)
    (found,) = world.levels()
    assert (found.where, found.limit, found.used) == (where, 64 * MIB, MIB)


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x85", "\u2028", "\xa0", "\r"])
def test_names_with_white_space(world: World, odd: str) -> None:
    """Only a newline ends a line, and only a space a field."""
    world.root.joinpath("proc/self").mkdir()
    line = MEMORY1.format(root="/", point=f"/c{odd}g")
    for name, text in (("cgroup", f"4:memory:/a{odd}b\n"), ("mountinfo", f"{line}\n")):
        (world.root / "proc/self" / name).write_bytes(text.encode())
    world.v1(f"c{odd}g/a{odd}b", limit=MIB)
    (found,) = world.levels()
    assert found.where == f"cgroup v1 /a{odd}b"


def test_malformed_lines(plain: World) -> None:
    """They are skipped in both files."""
    for path in ("proc/self/cgroup", "proc/self/mountinfo"):
        good = (plain.root / path).read_text()
        plain.write(path, f"\nx\n:::\n1:memory\n- cgroup2\n{good}1 2 - x\n")
    assert len(plain.levels()) == 1


def test_own_cgroups() -> None:
    """None stands for those of this process."""
    assert own_cgroups(None) == find_cgroups()
    with pytest.raises(TypeError, match="must be Cgroups, not str"):
        own_cgroups("/")  # type: ignore[arg-type]


def test_the_search_for_a_group_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a mount with too many groups the search gives up."""
    for name in "abcd":
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text("1\n77\n")
    (tmp_path / "a" / "cgroup.procs").write_bytes(b"\xff")
    assert _search(tmp_path, 1, (), "77") in {("b",), ("c",), ("d",)}
    assert _search(tmp_path, 1, (), "78") is None
    monkeypatch.setattr(shrinker.pressure.limits.cgroups, "_MAX_SEARCHED_GROUPS", 0)
    assert _search(tmp_path, 1, (), "77") is None


def test_a_group_that_is_called_deleted(world: World) -> None:
    """The kernel marks removed groups so, but a group may have that name."""
    world.process("0::/a (deleted)\n", CGROUP2.format(root="/", point="/cg"))
    world.v2("cg/a", most=MIB)
    assert [level.where for level in world.levels()] == ["cgroup v2 /a (memory.max)"]
    world.v2("cg/a (deleted)", most=2 * MIB)
    assert [level.where for level in world.levels()] == [
        "cgroup v2 /a (deleted) (memory.max)"
    ]
    assert find_cgroups(world.root).v2[0].path == "/a (deleted)"


@pytest.mark.parametrize(
    ("cgroup", "mounts", "hidden"),
    [
        ("0::/app\n", [], "cgroup v2 /app"),
        ("4:memory:/app\n0::/x\n", [], "cgroup v1 /app"),
        ("0::/other\n", [CGROUP2.format(root="/app", point="/cg")], "cgroup v2 /other"),
        ("0::/app\n", [CGROUP2.format(root="/", point="/cg")], None),
        ("4:memory:/\n0::/x\n", [], None),
        ("0::/\n", [], None),
    ],
)
def test_a_limit_that_no_mount_shows(
    world: World,
    caplog: pytest.LogCaptureFixture,
    cgroup: str,
    mounts: list[str],
    hidden: str | None,
) -> None:
    """It is a warning: the process may be killed at a limit that nothing heeds."""
    world.process(cgroup, *mounts)
    world.v2("cg/app", most=MIB)
    with Memory(world.root) as memory:
        for _ in range(2):
            memory.levels()
            memory.refresh()
    warnings = [each.getMessage() for each in caplog.records]
    if hidden is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.startswith(f"the limit of {hidden} cannot be seen")
        assert caplog.records[0].levelname == "WARNING"
        assert "protect(limit=" in warning
