"""A worker's seats at the tables of the limits that it lives under."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from fork_support import status_of_child

from shrinker.pressure import Memory
from shrinker.pressure.limits.memory import BudgetedMemory, MemoryLevel
from shrinker.pressure.shared import seats as seats_module
from shrinker.pressure.shared import table as table_module
from shrinker.pressure.shared.seats import Seats
from shrinker.pressure.shared.shares import Member, Shortage
from shrinker.pressure.shared.table import Owner, start_time

if TYPE_CHECKING:
    from pathlib import Path

    from limits_support import World
    from pressure_support import Log

LEVEL = MemoryLevel("machine", 1 << 30, 0, 0)
OWN = MemoryLevel("process (limit=)", 1 << 30, 0, 0, own=True)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tables are; no warning was said before."""
    monkeypatch.setattr(table_module, "directories", lambda: [tmp_path])
    monkeypatch.setattr(seats_module, "_complained", set())
    return tmp_path


def two_seats(place: Path) -> tuple[Seats, Seats]:
    """Two workers of this process that know each other."""
    first, second = Seats(place), Seats(place)
    for now, seats in ((2.0, first), (2.1, second), (2.3, first)):
        seats.counted(1000, 2000.0)
        look(seats, now)
    assert first.have_others()
    return first, second


def look(seats: Seats, now: float, *levels: MemoryLevel) -> None:
    seats.look(now, levels or (LEVEL,), 4096.0, "", 0)


def take(
    seats: Seats, level: MemoryLevel = LEVEL, *, now: float = 2.5, quickly: bool = False
) -> int | None:
    """What a worker frees of a missing MiB."""
    return seats.take_part(
        now, level, 1 << 20, short=True, urgent=False, quickly=quickly
    )


def test_a_limit_of_this_process_alone_is_not_shared(place: Path, log: Log) -> None:
    """No other process has part of it, and none can relieve it."""
    first, second = two_seats(place)
    for now in (5.0, 6.0):
        for seats in (first, second):
            look(seats, now, OWN, LEVEL)
    assert [table.label for table in first.tables()] == ["machine"]
    assert take(first, OWN) is None
    assert first.held_by_others().keys() == {"machine"}
    assert not first.is_asked(6.0, OWN.where, 1 << 20)
    assert log.count("not known") == 0
    first.close()
    second.close()


def test_which_memory_is_shared(plain: World) -> None:
    """What all processes read, also beside a budget of this one; no subclass's."""

    class Special(Memory):
        pass

    memory = Memory(plain.root)
    assert memory._shared_root == plain.root
    assert BudgetedMemory(memory, 0.5)._shared_root == plain.root
    assert Special(plain.root)._shared_root is None
    assert BudgetedMemory(Special(plain.root), 0.5)._shared_root is None
    assert [level.own for level in BudgetedMemory(memory, 0.5).levels()] == [
        *(True, False, False)
    ]


def test_direct_reclaim_keeps_the_gil(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes part without a call that gives the GIL up."""
    first, second = two_seats(place)

    def gives_up(*_: object) -> None:
        raise AssertionError("the GIL would be given up")

    with monkeypatch.context() as patch:
        for name in ("pread", "pwrite", "fstat", "open", "stat"):
            patch.setattr(os, name, gives_up)
        patch.setattr(second._seats["machine"].table, "alive", gives_up)
        assert take(second, quickly=True) == 1 << 19
        second.gave(1 << 19)
        new = Seats(place)
        assert take(new, quickly=True) is None, "alone, as long as it has no seat"
    assert not first.is_asked(2.6, "machine", 1 << 20)
    look(first, 2.6)
    assert first.is_asked(2.6, "machine", 1 << 20)
    first.close()
    second.close()


def test_direct_reclaim_counts_on_no_unknown_worker(place: Path) -> None:
    """One that did not look lately counts only where it was seen alive before."""
    first, second = two_seats(place)
    later = 2.5 + seats_module.ALIVE_SECONDS
    assert take(second, now=later, quickly=True) is None
    look(second, later)  # It looks the first one up.
    assert take(second, now=later, quickly=True) == 1 << 19
    first.close()
    second.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"beat": -40.0},
        {"beat": 40.0},
        {"shortage": Shortage(5, 1 << 30, 3600.0, 0.0)},
    ],
)
def test_times_that_cannot_be_true(place: Path, wrong: dict[str, Any]) -> None:
    """A slot with times ahead of the clock, or of one that sleeps, is not counted."""
    first, second = two_seats(place)
    second._seats["machine"].publish(**wrong)
    look(first, 2.6)
    assert not first.have_others()
    second._seats["machine"].publish(beat=2.6, shortage=Shortage())
    look(first, 2.9)
    assert first.have_others()
    first.close()
    second.close()


def test_a_slot_that_another_has_is_not_written(place: Path) -> None:
    """A worker that finds another one in its slot takes a new one."""
    first, second = two_seats(place)
    (table,) = first.tables()
    thief = Owner(os.getpid(), start_time(os.getpid()), 1 << 40)
    table.write(0, thief, Member(beat=2.5))
    look(first, 2.6)  # Too early to claim another one.
    assert take(first) == 1 << 19, "the new one holds nothing"
    first.gave(1)
    assert table.read()[0][1] == thief
    look(first, 9.0)
    owners = [owner for _, owner, _ in table.read()]
    assert (owners[0], owners[2]) == (thief, first._seats["machine"].owner)
    first.close()
    second.close()


def test_a_table_that_was_removed_is_left(place: Path) -> None:
    """A worker goes to the table that newcomers find."""
    first, second = two_seats(place)
    (path,) = place.iterdir()
    path.unlink()
    look(first, 2.6)
    assert not first.have_others()
    look(second, 2.7)
    assert second.have_others()
    assert len(list(place.iterdir())) == 1
    first.close()
    second.close()
    assert list(place.iterdir()) == []


def test_a_table_that_was_removed_and_cannot_be_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is alone for as long as that lasts, and no longer."""
    first, second = two_seats(place)
    (path,) = place.iterdir()
    path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(first, "_open", lambda *_: None)
        look(first, 2.6)
        assert take(first) is None
        look(first, 2.7)
    for now in (2.8, 3.4):
        look(first, now)
        look(second, now + 0.1)
    assert second.have_others()
    first.close()
    second.close()


def test_what_an_allocator_keeps_counts_where_it_is_short(place: Path) -> None:
    """What others must not free again at one level says nothing of another."""
    first, second = Seats(place), Seats(place)
    (place / "sys/fs/cgroup").mkdir(parents=True)
    hidden = MemoryLevel("hidden", 1 << 30, 0, 0)
    for now, seats in ((2.0, first), (2.1, second), (2.3, first)):
        seats.look(now, (hidden, LEVEL), 4096.0, "hidden", 1 << 20)
    assert take(second, hidden) == 0
    assert take(second) == 1 << 19
    first.close()
    second.close()


def test_a_worker_falls_back_and_says_so_once(place: Path, log: Log) -> None:
    """A table that breaks under a worker costs the sharing, and one warning."""
    first, second = two_seats(place)
    (path,) = place.iterdir()
    os.truncate(path, 100)
    for seats in (first, first, second):
        look(seats, 11.0)
        assert not seats.have_others()
        assert take(seats) is None
    assert log.count("other processes under this limit are not known", 30) == 1
    first.close()
    second.close()


def test_others_wait_for_the_rest_of_a_part(place: Path) -> None:
    """A part that is freed in two steps is nobody else's between them."""
    first, second = two_seats(place)
    assert take(first) == 1 << 19
    first.gave(1 << 18, more=True)
    assert first._seats["machine"].member.busy
    assert take(second) == 1 << 19
    second.gave(1 << 19)
    coming = 1 << 18
    assert take(second, now=2.9) == ((1 << 20) - coming) // 2
    second.gave(0)
    first.gave(0)
    assert not first._seats["machine"].member.busy
    look(second, 3.0)
    assert take(second, now=3.0) == 1 << 19, "nothing comes any more"
    first.close()
    second.close()


def test_what_was_claimed_and_not_freed_is_missing_again(place: Path) -> None:
    """As soon as a worker says that this was all."""
    first, second = two_seats(place)
    assert take(first) == 1 << 19
    first.gave(0)
    assert take(second) == 1 << 19
    second.gave(1 << 19)
    look(first, 2.8)
    assert take(second, now=2.9) == 1 << 19, "half of the same again"
    first.close()
    second.close()


def test_a_child_that_closes_leaves_its_parents_seat(place: Path) -> None:
    """Also one that never looked."""
    seats = Seats(place)
    look(seats, 10.0)
    assert status_of_child(seats.close) == 0
    (table,) = seats.tables()
    assert [owner.pid for owner, _ in table.members()] == [os.getpid()]
    seats.close()


def test_a_child_takes_its_own_seat(place: Path) -> None:
    """After a fork, without being told, and leaves its parent's alone."""
    seats = Seats(place)
    look(seats, 10.0)

    def use() -> None:
        look(seats, 10.5)
        assert seats.have_others()
        seats.close()

    assert status_of_child(use) == 0
    (table,) = seats.tables()
    assert [owner.pid for owner, _ in table.members()] == [os.getpid()]
    seats.close()
    assert list(place.iterdir()) == []
