"""Workers that are killed at any point lose nothing and double nothing.

``SHRINKER_TEST_KILLS=100000`` kills so many in each test, which takes half an hour;
``-o faulthandler_timeout=0`` lets it take that long.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
from typing import TYPE_CHECKING

from fork_support import CHILD_SECONDS, start_child

from shrinker.pressure.limits.memory import MemoryLevel
from shrinker.pressure.shared import table as table_module
from shrinker.pressure.shared.seats import Seat, Seats
from shrinker.pressure.shared.shares import CLAIM_SECONDS
from shrinker.pressure.shared.table import Owner, Table

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


KILLS = int(os.environ.get("SHRINKER_TEST_KILLS", "300"))
KILLED_PROCESSES = int(os.environ.get("SHRINKER_TEST_KILLS", "100"))
MAX_START_SECONDS = 60.0
"""A process that needs longer to write into the table hangs: a build with sanitizers
needs half a second."""
MAX_WORKER_SECONDS = CHILD_SECONDS / 4
"""An older one is replaced, since a child ends by itself after ``CHILD_SECONDS``."""
WORKERS = 5
MIB = 1 << 20
HIGH = 100 * MIB
LOW = 50 * MIB
LEVEL = MemoryLevel("container", 1 << 30, 0, 0)


class KilledError(Exception):
    """Ends a worker where it stands."""


class MortalTable(Table):
    """A table whose writers may be killed in the middle of a write."""

    kill_in_write = False

    def write(self, index: int, owner: Owner, member: object) -> None:
        if self.kill_in_write:
            self.kill_in_write = False
            at = self._offset(index)
            os.pwrite(self._descriptor, random.Random(at).randbytes(70), at)  # noqa: S311
            raise KilledError
        super().write(index, owner, member)  # type: ignore[arg-type]


class MortalSeat(Seat):
    def _new_owner(self) -> Owner:
        pid = self._getpid()
        return Owner(pid, pid, self._nonce)


class MortalSeats(Seats):
    def __init__(self, table: Table, pid: int) -> None:
        super().__init__(None)
        seat = MortalSeat(table, 1, lambda: pid)
        self._seats[LEVEL.where] = self.seat = seat

    def _seat(self, level: MemoryLevel) -> Seat:
        return self.seat


class Mortal:
    """A worker that holds some pages and may be killed at any step."""

    def __init__(self, group: Group, pid: int) -> None:
        self.group = group
        self.pid = pid
        self.held = group.random.randrange(10, 60) * MIB
        self.seats = MortalSeats(group.table, pid)

    def look(self, fatal: int) -> None:
        """Look, and free what is asked; step ``fatal`` is the last one."""
        group = self.group
        if fatal == 0:
            raise KilledError
        group.table.kill_in_write = fatal == 1
        self.seats.counted(self.held // 4096, 2 * self.held / 4096)
        self.seats.look(group.now, (LEVEL,), 4096.0, "", 0)
        missing = max(0, HIGH - group.free)
        group.table.kill_in_write = fatal == 2
        part = self.seats.take_part(
            group.now, LEVEL, missing, short=group.free < LOW, urgent=False
        )
        if part is None:  # It is alone.
            part = missing if group.free < LOW else 0
        part = min(part, self.held)
        if fatal == 3:
            raise KilledError
        if part:
            group.parts.append(part)
            self.held -= part
            group.free += part
        group.table.kill_in_write = fatal == 4
        self.seats.gave(part)
        group.table.kill_in_write = False
        if fatal >= 0:
            raise KilledError


class Group:
    """Workers and the free memory that they share."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.now = 100.0
        self.free = HIGH
        self.living: set[int] = set()
        self.pids = 0
        self.parts: list[int] = []
        self.table = MortalTable(
            os.memfd_create("kills"),
            "container",
            None,
            alive=lambda owner: owner.pid in self.living,
        )
        self.workers = [self.start() for _ in range(WORKERS)]

    def start(self) -> Mortal:
        self.pids += 1
        self.living.add(self.pids)
        return Mortal(self, self.pids)

    def step(self, index: int, fatal: int = -1) -> None:
        worker = self.workers[index]
        try:
            worker.look(fatal)
        except KilledError:
            self.table.kill_in_write = False
            self.living.discard(worker.pid)
            self.free += worker.held  # The kernel takes back all of it.
            self.workers[index] = new = self.start()
            self.free -= new.held


def test_kills_in_simulation() -> None:
    """Whenever memory is short it gets free to *high*, and no further.

    Workers are killed before a look, in the middle of each write, with a claim that
    they never free, and after freeing.  Each living worker has one slot of its own.
    """
    group = Group(1)
    kills = 0
    try:
        while kills < KILLS:
            group.free = group.random.randrange(10, 45) * MIB
            for worker in group.workers:
                worker.held = group.random.randrange(30, 60) * MIB
            before = group.free
            group.parts.clear()
            order = list(range(WORKERS))
            group.random.shuffle(order)
            for index in order[:3]:
                group.step(index, group.random.randrange(6))
                kills += 1
            killed_free = group.free - before - sum(group.parts)
            # The living go on looking until nothing more is asked.
            missing = max(0, HIGH - group.free)
            given = len(group.parts)
            for _ in range(4):
                group.now += 0.3
                for index in range(WORKERS):
                    group.step(index)
            after = sum(group.parts[given:])
            if before + killed_free + sum(group.parts[:given]) < LOW:
                assert group.free >= LOW, "a shortage was lost"
            assert after <= missing + WORKERS, "more was freed than was missing"
            slots = group.table.read()
            living = [owner.pid for _, owner, _ in slots if owner.pid in group.living]
            assert sorted(living) == sorted(group.living), "one slot each"
            assert len(slots) <= 3 * WORKERS, "slots of the dead are taken again"
            group.now += CLAIM_SECONDS
    finally:
        group.table.close()


def look_on_and_on(place: Path, pause: float = 0, began: int = -1) -> None:
    """What a worker process does until it is killed; it tells the pipe ``began``."""
    seats = Seats(place)
    if began >= 0:
        os.write(began, b"x")
    while True:
        time.sleep(pause)
        now = time.monotonic()
        seats.counted(1000, 2000.0)
        seats.look(now, (LEVEL,), 4096.0, "", 0)
        seats.take_part(now, LEVEL, MIB, short=True, urgent=False)
        seats.gave(4096)


def start_victim(place: Path) -> int:
    """Start a process that looks on and on; return when it is about to begin."""
    reading, writing = os.pipe()
    try:
        pid = start_child(lambda: look_on_and_on(place, began=writing))
        started, _, _ = select.select([reading], [], [], MAX_START_SECONDS)
        if not started:
            kill(pid)
        assert started, "a process hangs"
    finally:
        os.close(reading)
        os.close(writing)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_kills_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL at any point: the table stays whole, each living worker has one slot.

    Afterwards a shortage is divided as if nothing had happened.
    """
    place = tmp_path / "tables"
    place.mkdir()
    monkeypatch.setattr(table_module, "directories", lambda: [place])
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    rng = random.Random(3)  # noqa: S311
    first = Seats(tmp_path)
    first.look(time.monotonic(), (LEVEL,), 4096.0, "", 0)
    (table,) = first.tables()

    def start_worker() -> tuple[int, float]:
        pid = start_child(lambda: look_on_and_on(tmp_path, 0.001))
        return pid, time.monotonic()

    workers = [start_worker() for _ in range(3)]
    try:
        for kills in range(KILLED_PROCESSES):
            age = time.monotonic() - workers[0][1]
            if kills % 20 == 0 or age > MAX_WORKER_SECONDS:
                kill(workers.pop(0)[0])
                workers.append(start_worker())
            pid = start_victim(tmp_path)
            time.sleep(rng.random() * 0.01)
            kill(pid)
            table.read()
        expected = sorted([os.getpid(), *(pid for pid, _ in workers)])
        end = time.monotonic() + 60
        while sorted(owner.pid for owner, _ in table.members()) != expected:
            assert time.monotonic() < end, "a worker has no slot, or two"
            time.sleep(0.01)
        assert len(table.read()) <= len(expected) + 2, "slots of the dead are taken"
    finally:
        for pid, _ in workers:
            kill(pid)
    assert [owner.pid for owner, _ in table.members()] == [os.getpid()]
    now = time.monotonic()
    group = [first, Seats(tmp_path), Seats(tmp_path)]
    for seats in (*group, *group):
        seats.counted(1000, 2000.0)
        now += 0.3
        seats.look(now, (LEVEL,), 4096.0, "", 0)
    freed = 0
    for seats in group:
        part = seats.take_part(now, LEVEL, MIB - freed, short=True, urgent=False)
        assert part is not None
        freed += part
        seats.gave(part)
    assert MIB <= freed <= MIB + len(group)
    for seats in group:
        seats.close()
    assert list(place.iterdir()) == []
