"""The table of workers as people read it."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import pytest

from shrinker.pressure.shared.overview import Group, describe, overview
from shrinker.pressure.shared.shares import Member
from shrinker.pressure.shared.table import Owner, open_private, start_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.pressure.shared.table import Table

NOW = 1000.0


@pytest.fixture
def table() -> Iterator[Table]:
    """A table of no other process."""
    table = open_private("cgroup v2 /")
    yield table
    table.close()


def sit(table: Table, nonce: int, member: Member) -> None:
    """Write a slot of this process."""
    owner = Owner(os.getpid(), start_time(os.getpid()), nonce)
    table.write(nonce, owner, member)


def test_a_worker_that_has_not_looked(table: Table) -> None:
    """It has no time since its last look, and no share; nor has one that sleeps."""
    sit(table, 1, Member(beat=NOW - 1, pages=100))
    sit(table, 2, Member())
    sit(table, 3, Member(beat=NOW - 31, pages=100))
    group = overview(table, NOW)
    assert [row.share for row in group.workers] == [1, 0, 0]
    assert [row.seconds_since_look for row in group.workers] == [1, None, 31]
    looks = [line[-10:].strip() for line in describe([group]).splitlines()[2:]]
    assert looks == ["1.0 s ago", "none yet", "31.0 s ago"]


def test_a_process_in_several_tables(table: Table) -> None:
    """Is named below them, with the reason; one that is in one table is not."""
    sit(table, 1, Member())
    sit(table, 2, Member())
    group = overview(table, NOW)
    assert "In several tables" not in describe([group])
    other = dataclasses.replace(group.workers[0], pid=1)
    machine = Group("machine", "", (*group.workers, other))
    text = describe([group, machine])
    assert max(map(len, text.splitlines())) <= 80
    note = " ".join(text.rpartition("\n\n")[2].split())
    assert note.startswith(
        f"In several tables: {os.getpid()}. A process is in one for each limit that it"
    )


def test_groups_with_one_name_are_told_apart() -> None:
    """By the files of their tables; others are not made longer by them."""
    groups = [Group("cgroup v2 /", f"/dev/shm/{x}", ()) for x in "ab"]  # noqa: S108
    said = describe([*groups, Group("machine", "/dev/shm/c", ())])  # noqa: S108
    heads = [line for line in said.splitlines() if line.startswith("workers")]
    assert heads == [
        "workers under cgroup v2 / (/dev/shm/a)",
        "workers under cgroup v2 / (/dev/shm/b)",
        "workers under machine",
    ]
