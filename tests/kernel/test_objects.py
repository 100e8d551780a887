"""Counts from debugfs, and paths of cgroups."""

from __future__ import annotations

from pathlib import Path

import pytest

from shrinker.kernel import objects as module
from shrinker.kernel.objects import CgroupPaths, count_objects, find_debugfs

SESSION = Path(__file__).parents[1] / "data/debugfs/all-count-1-filled.txt"


@pytest.fixture
def debugfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with what a kernel's debugfs had."""
    directory = tmp_path / "shrinker"
    for part in SESSION.read_text().split("==> ")[1:]:
        name, _, text = part.partition("\n")
        file = directory / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    monkeypatch.setattr(module, "DEBUGFS", directory)
    return directory


def test_counts(debugfs: Path) -> None:
    """Objects add up by shrinker, largest first, and by cgroup."""
    assert find_debugfs() == debugfs
    (debugfs / "freed-meanwhile-9").mkdir()
    counts = count_objects(debugfs)
    assert counts.by_shrinker["sb-ext4:vda-21"] == 3000 + 8000 + 12000 + 1 + 69185
    names = list(counts.by_shrinker)
    assert names[0] == "sb-ext4:vda-21"
    assert "mm-shadow-16" in names
    assert "sb-bdev-4" not in names, "it holds none"
    assert counts.by_memcg[45] == 12000
    assert sum(counts.by_memcg.values()) == sum(counts.by_shrinker.values())


def test_no_debugfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not mounted, or a kernel without it."""
    monkeypatch.setattr(module, "DEBUGFS", tmp_path / "none")
    assert find_debugfs() is None
    (tmp_path / "none").mkdir()
    assert find_debugfs() is None


@pytest.mark.parametrize("version", [1, 2])
def test_paths(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number is the inode of a directory where the memory controller is mounted."""
    monkeypatch.setattr(module, "_READ_AGAIN_SECONDS", 0.0)
    top, other = tmp_path / "cgroup", tmp_path / "other"
    (top / "a.slice/.b").mkdir(parents=True)
    other.mkdir()
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"proc /proc proc rw 0 0\ncgroup {other} cgroup rw,cpu 0 0\n"
        f"cgroup2 {other if version == 1 else top} cgroup2 rw 0 0\n"
        + (f"cgroup {top} cgroup rw,memory 0 0\n" if version == 1 else "")
    )
    paths = CgroupPaths(mounts)
    inside = top / "a.slice/.b"
    number = inside.stat().st_ino
    assert paths.path(number) == "/a.slice/.b"
    assert paths.path(top.stat().st_ino) == paths.path(1) == "/"
    inside.rmdir()
    assert paths.path(number) == "/a.slice/.b", "of one that has gone since"
    (top / "new").mkdir()
    new = (top / "new").stat().st_ino
    assert paths.path(new) in {"/new", "/a.slice/.b"}, "inodes are used again"
    assert paths.path(1 << 60) is None


def test_the_tree_is_not_read_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of groups that have gone would have it read all the time."""
    monkeypatch.setattr(module, "_READ_AGAIN_SECONDS", 3600.0)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n")
    paths = CgroupPaths(mounts)
    assert paths.path(1 << 60) is None
    (tmp_path / "new").mkdir()
    assert paths.path((tmp_path / "new").stat().st_ino) is None


def test_no_cgroups(tmp_path: Path) -> None:
    """Without a hierarchy only the root is known."""
    paths = CgroupPaths(tmp_path / "none")
    assert (paths.path(1), paths.path(2)) == ("/", None)
    (tmp_path / "mounts").write_text("proc /proc proc rw 0 0\n")
    assert CgroupPaths(tmp_path / "mounts").path(2) is None


def test_a_tree_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it ends at a bound."""
    monkeypatch.setattr(module, "_MAX_CGROUPS", 2)
    for name in "abc":
        (tmp_path / name).mkdir()
    (tmp_path / "mounts").write_text(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n")
    paths = CgroupPaths(tmp_path / "mounts")
    found = [paths.path((tmp_path / name).stat().st_ino) for name in "abc"]
    assert found.count(None) == 2
