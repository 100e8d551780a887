"""The table of the workers under one limit; hostile files."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest
from fork_support import status_of_child

from shrinker.pressure.shared import table as table_module
from shrinker.pressure.shared.shares import Member, Shortage
from shrinker.pressure.shared.table import (
    FILE_BYTES,
    SLOTS,
    Owner,
    Table,
    TableError,
    is_alive,
    open_private,
    open_shared,
    start_time,
)

if TYPE_CHECKING:
    from pathlib import Path

ME = Owner(os.getpid(), start_time(os.getpid()), 1)
OTHER = Owner(os.getpid(), start_time(os.getpid()), 2)
MEMBER = Member(
    beat=5.5,
    pages=7,
    seeks=3.0,
    bytes_per_object=100.0,
    shortage=Shortage(3, 1000, 4.0, 2.0),
    busy=True,
    claimed=10,
    freed=5,
    kept=2,
    given=99,
    shortages=4,
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tables are."""
    monkeypatch.setattr(table_module, "directories", lambda: [tmp_path])
    return tmp_path


def opened(label: str = "test") -> Table:
    table, problems = open_shared("key", label)
    assert table is not None, problems
    return table


def file_of(place: Path) -> Path:
    (path,) = place.iterdir()
    return path


def test_what_is_written_is_read(place: Path) -> None:
    """All fields, by another opening of the same file; the last one removes it."""
    first, second = opened("the label"), opened("not used")
    assert first.claim(ME) == 0
    assert second.claim(OTHER) == 1
    assert second.claim(OTHER) == 1, "it has one"
    first.write(0, ME, MEMBER)
    assert second.label == "the label"
    assert second.members(but=OTHER) == [(ME, MEMBER)]
    assert file_of(place).stat().st_mode & 0o7777 == 0o600
    first.release(0, ME)
    assert not second.removed()
    second.release(1, OTHER)
    assert second.removed()
    assert list(place.iterdir()) == []


def test_slots_of_dead_processes_are_taken_again() -> None:
    """No such pid, or one that started at another time; a full table has none left."""
    table = opened()
    table.write(0, Owner(ME.pid, ME.start + 1, 1), MEMBER)
    table.write(1, Owner((1 << 22) + 5, 1, 1), MEMBER)
    assert table.members() == []
    for nonce in range(SLOTS):
        assert table.claim(Owner(ME.pid, ME.start, nonce)) == nonce
    assert table.claim(Owner(ME.pid, ME.start, SLOTS)) is None


def test_a_zombie_is_dead() -> None:
    """A killed process whose parent has not waited holds no slot."""
    child = subprocess.Popen(["sleep", "60"])  # noqa: S607
    owner = Owner(child.pid, start_time(child.pid), 1)
    assert is_alive(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(owner)
    child.wait()


@pytest.mark.parametrize("bad", ["symlink", "hard link", "mode", "fifo", "directory"])
def test_a_file_that_is_not_ours_is_refused(bad: str, place: Path) -> None:
    """It is not followed, and a private table takes its place."""
    name = place / table_module._name("key")
    if bad == "symlink":
        (place / "target").touch(0o600)
        (place / "target").chmod(0o600)
        name.symlink_to(place / "target")
    elif bad == "hard link":
        (place / "target").write_bytes(b"")
        (place / "target").chmod(0o600)
        name.hardlink_to(place / "target")
    elif bad == "mode":
        name.touch(0o644)
        name.chmod(0o644)
    elif bad == "fifo":
        os.mkfifo(name, 0o600)
    else:
        name.mkdir()
    table, problems = open_shared("key", "test")
    assert table is None
    assert len(problems) == 1
    if (place / "target").exists():
        assert (place / "target").read_bytes() == b"", "nothing is written through it"


def test_a_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its mode."""
    opened()
    uid = os.geteuid()
    name = table_module._name("key")
    monkeypatch.setattr(table_module, "_name", lambda key: name)
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    table, problems = open_shared("key", "test")
    assert table is None
    assert "belongs to user" in problems[0]


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (0, b"X"),  # magic
        (8, b"\2"),  # version
        (16, b"\1"),  # slots
        (30, b"!"),  # label: the checksum
        (FILE_BYTES, b"\0"),  # longer
        (None, b""),  # shorter
    ],
)
def test_a_damaged_table_is_refused(
    offset: int | None, data: bytes, place: Path
) -> None:
    """When it is opened, and while it is in use."""
    table = opened()
    path = file_of(place)
    if offset is None:
        os.truncate(path, FILE_BYTES - 1)
    else:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)
    with pytest.raises(TableError):
        table.read()
    assert open_shared("key", "test")[0] is None


def test_garbage_in_slots_is_passed_over(place: Path) -> None:
    """Random bytes, and right checksums over values that cannot be true."""
    table = opened()
    table.claim(ME)
    table.write(0, ME, MEMBER)
    rng = random.Random(1)  # noqa: S311
    path = file_of(place)
    with path.open("r+b") as file:
        file.seek(table._offset(1))
        file.write(rng.randbytes(20 * table_module._SLOT.size))
    for index, bad in enumerate(
        (
            Member(pages=(1 << 53) + 1),
            Member(beat=float("nan")),
            Member(seeks=float("inf")),
            Member(seeks=-1.0),
            Member(bytes_per_object=0.0),
            Member(bytes_per_object=float("nan")),
            Member(shortage=Shortage(number=1 << 60)),
            Member(shortage=Shortage(opened_at=float("inf"))),
        ),
        start=40,
    ):
        table.write(index, OTHER, bad)
    table.write(60, Owner(0, 0, 0), Member())
    assert [found[1:] for found in table.read()] == [(ME, MEMBER)]
    assert table.claim(OTHER) == 1, "such a slot is free"


def test_a_torn_slot_is_passed_over(place: Path) -> None:
    """Half of it is old and half is new, and each number could be true."""
    table = opened()
    table.write(0, ME, MEMBER)
    newer = dataclasses.replace(MEMBER, beat=6.0, claimed=11, given=100)
    new = table_module._pack(ME, newer)
    with file_of(place).open("r+b") as file:
        file.seek(table._offset(0))
        file.write(new[: len(new) // 2])
    assert table.read() == []
    table.write(0, ME, newer)
    assert table.read() == [(0, ME, newer)]


def test_a_slot_that_was_taken_over_is_left_alone() -> None:
    """One that was stopped for long may come back to a slot that is another's now."""
    table = opened()
    table.write(0, OTHER, MEMBER)
    table.release(0, ME)
    assert table.read() == [(0, OTHER, MEMBER)]


def test_a_table_that_took_the_name_is_left_alone(place: Path) -> None:
    """The last one of a removed table removes no other."""
    old = opened()
    old.claim(ME)
    file_of(place).unlink()
    new = opened()
    assert old.removed()
    old.release(0, ME)
    assert not new.removed()


def test_old_tables_are_removed(place: Path) -> None:
    """Files that killed workers have left for groups that are gone; no others."""
    old, used = (place / f"{table_module.PREFIX}-{os.geteuid()}-{x}" for x in "ab")
    foreign = place / "something"
    for path in (old, used, foreign):
        path.touch()
    for path in (old, foreign):
        os.utime(path, (1, 1))
    opened()
    assert not old.exists()
    assert used.exists()
    assert foreign.exists()


def test_tables_of_the_dead_are_removed_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that makes another; not where one lives, or none can be seen."""
    dead = Owner(ME.pid, ME.start + 1, 1)
    paths = {}
    for key, owner in (("used", ME), ("elsewhere", dead), ("left", dead)):
        with monkeypatch.context() as patch:
            if key == "elsewhere":
                patch.setattr(table_module, "pid_namespace", lambda: 1)
            table, _ = open_shared(key, key)
        assert table is not None
        assert table.path is not None
        paths[key] = table.path
        table.claim(owner)
    assert set(place.iterdir()) == set(paths.values())
    new = opened().path
    assert set(place.iterdir()) == {paths["used"], paths["elsewhere"], new}


def test_a_half_made_table_is_finished(place: Path) -> None:
    """Its maker was killed before the header was written."""
    path = place / table_module._name("key")
    path.touch(0o600)
    path.chmod(0o600)
    os.truncate(path, FILE_BYTES)
    assert opened("again").label == "again"


def test_a_private_table_is_shared_with_children() -> None:
    """A forked child finds its parent by the inherited file."""
    table = open_private("test")
    table.claim(ME)

    def use() -> None:
        child = Owner(os.getpid(), start_time(os.getpid()), 1)
        assert table.claim(child) == 1
        assert len(table.members()) == 2

    assert status_of_child(use) == 0
    assert table.members() == [(ME, Member())], "the child is gone"
