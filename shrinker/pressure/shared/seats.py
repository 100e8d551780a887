"""``Seats``: a worker's place in the tables of the limits that it lives under.

There is a table for each limit, since each has its own shortages and its own members.
A lone worker reads and writes its slot and decides as if there were no table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import math
import os
from typing import TYPE_CHECKING

from shrinker._names import printable
from shrinker.pressure.shared.overview import describe, overview
from shrinker.pressure.shared.shares import (
    MAX_BEAT_AGE_SECONDS,
    NEVER,
    Member,
    is_asked,
    is_protected,
    part_of,
)
from shrinker.pressure.shared.table import (
    Owner,
    TableError,
    open_private,
    open_shared,
    pid_namespace,
    start_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shrinker.pressure.limits.memory import MemoryLevel
    from shrinker.pressure.shared.table import Table

__all__ = ["Seat", "Seats", "key_of"]

logger = logging.getLogger("shrinker.pressure")

MAX_SEATS = 8
"""Limits that a worker takes a seat for."""
CLAIM_PERIOD_SECONDS = 1.0
"""Time between two attempts to get a slot."""
ALIVE_SECONDS = 1.0
"""A look asks ``/proc`` no sooner about a worker that was seen alive."""
LONE_PERIOD_SECONDS = 0.2
"""Time between two updates of a lone worker's seats, at least."""
MAX_KNOWN_ALIVE = 256
FUTURE_SECONDS = 1.0
"""A slot whose times are further ahead of this worker's clock is ignored."""

_nonces = itertools.count(1)
_complained: set[str] = set()


def key_of(level: MemoryLevel, root: Path) -> str:
    """Return a text that is the same for all processes under this limit, and no others.

    It differs between PID namespaces: a process in another one looks dead from here.
    """
    if level.cgroup is not None:
        place = level.cgroup.directory
    elif level.where == "machine":
        place = root
    else:  # A limit of a group that is hidden: known only by this mount.
        place = root / "sys/fs/cgroup"
    found = place.stat()
    group = "" if level.cgroup is None else level.cgroup.version
    inode = f"{found.st_dev} {found.st_ino}"
    return f"{level.cgroup is None} {group} {inode} {pid_namespace()}"


class Seat:
    """A worker's slot in one table."""

    def __init__(
        self, table: Table, nonce: int, getpid: Callable[[], int] = os.getpid
    ) -> None:
        self.table = table
        self.member = Member()
        self._nonce = nonce
        self._getpid = getpid
        self._owner = self._new_owner()
        self._index: int | None = None
        self._claim_at = 0.0
        self._lived_at: dict[Owner, float] = {}
        """When each other worker was last found alive in ``/proc``."""

    @property
    def owner(self) -> Owner:
        """This process; in the child of a fork, a new owner without a slot."""
        if self._owner.pid != self._getpid():
            self._owner, self._index = self._new_owner(), None
            self.member = Member()
            self._claim_at = 0.0
        return self._owner

    def _new_owner(self) -> Owner:
        pid = self._getpid()
        return Owner(pid, start_time(pid), self._nonce)

    def others(
        self, now: float, *, trust: float = -math.inf, quickly: bool = False
    ) -> list[Member]:
        """Return the other workers that are alive and look; claim a slot if needed.

        One that lived or looked within the last ``trust`` seconds is not looked up in
        ``/proc``.  ``quickly`` only reads the table: it keeps the GIL, and leaves out
        workers that were never seen alive.
        """
        owner = self.owner
        found, mine = [], None
        for index, other, member in self.table.read():
            if other == owner:
                mine = index
            elif (
                now - MAX_BEAT_AGE_SECONDS <= member.beat <= now + FUTURE_SECONDS
                and member.shortage.opened_at <= now + FUTURE_SECONDS
                and (
                    now - max(member.beat, self._lived_at.get(other, NEVER)) < trust
                    or (other in self._lived_at if quickly else self._lives(other, now))
                )
            ):
                found.append(member)
        self._index = mine
        if mine is None and now >= self._claim_at and not quickly:
            self._claim_at = now + CLAIM_PERIOD_SECONDS
            self._index = self.table.claim(owner)
        return found

    def _lives(self, other: Owner, now: float) -> bool:
        if not self.table.alive(other):
            self._lived_at.pop(other, None)
            return False
        if len(self._lived_at) >= MAX_KNOWN_ALIVE:
            self._lived_at.clear()
        self._lived_at[other] = now
        return True

    def publish(self, **changes: object) -> None:
        """Write the slot, with these fields changed."""
        owner = self.owner
        self.member = dataclasses.replace(self.member, **changes)  # type: ignore[arg-type]
        if self._index is not None:
            self.table.write(self._index, owner, self.member)

    def close(self) -> None:
        """Give the slot back, if it is this process's."""
        owner = self._owner
        try:
            if self._index is not None and owner.pid == self._getpid():
                self.table.release(self._index, owner)
        finally:
            self._index = None
            self.table.close()


class Seats:
    """The seats of one worker.  ``root`` stands for ``/``, as in ``Memory``.

    None means no seats: the worker is alone.  Raises nothing: where a table fails, a
    private one takes its place.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._seats: dict[str, Seat] = {}
        self._others: dict[str, list[Member]] = {}
        self._pages = 0
        self._seeks = 2.0
        self._busy: Seat | None = None
        self._looked_at = -math.inf
        self._nonce = next(_nonces)

    def counted(self, pages: int, giveable: float) -> None:
        """Note how many objects all caches hold, and how many they give at priority 0.

        By the kernel's formula each gives 4 / seeks of what it holds.
        """
        self._pages = pages
        self._seeks = 4 * pages / giveable if giveable > 0 else 2.0

    @property
    def seeks(self) -> float:
        """What an object costs, averaged over all that would be given."""
        return self._seeks

    def look(
        self,
        now: float,
        levels: Sequence[MemoryLevel],
        bytes_per_object: float,
        where: str,
        kept: int,
    ) -> None:
        """Publish a look; ``kept`` bytes count as free at the level ``where``."""
        if not self.have_others() and now < self._looked_at + LONE_PERIOD_SECONDS:
            return
        self._looked_at = now
        for level in levels[:MAX_SEATS]:
            seat = self._seat(level)
            if seat is None:
                continue
            try:
                self._others[level.where] = seat.others(now, trust=ALIVE_SECONDS)
                seat.publish(
                    beat=now,
                    pages=self._pages,
                    seeks=self._seeks,
                    bytes_per_object=bytes_per_object,
                    kept=kept if level.where == where else 0,
                )
            except (OSError, TableError) as error:
                self._give_up(level, error)

    def have_others(self) -> bool:
        """Return whether other workers were seen at the last look."""
        return any(self._others.values())

    def held_by_others(self) -> dict[str, int]:
        """Return the bytes that others' caches held under each limit, as seen last."""
        return {
            where: int(sum(each.held for each in others))
            for where, others in self._others.items()
            if others
        }

    def is_asked(self, now: float, where: str, missing: int) -> bool:
        """Return whether others ask this worker for a part of their shortage."""
        seat, others = self._seats.get(where), self._others.get(where)
        if seat is None or not others:
            return False
        return is_asked(seat.member, others, missing, now)

    def is_protected(self, where: str) -> bool:
        """Return whether this worker may grow while others shrink."""
        seat, others = self._seats.get(where), self._others.get(where)
        return seat is not None and is_protected(seat.member, others or ())

    def take_part(
        self,
        now: float,
        level: MemoryLevel,
        missing: int,
        *,
        short: bool,
        urgent: bool,
        quickly: bool = False,
    ) -> int | None:
        """Claim this worker's part of what is missing, in bytes; None: it is alone.

        ``quickly`` keeps the GIL, and is for direct reclaim.  ``gave`` must follow.
        """
        seat = self._seats.get(level.where) if quickly else self._seat(level)
        if seat is None:
            return None
        trust = ALIVE_SECONDS if quickly else -math.inf
        try:
            others = seat.others(now, trust=trust, quickly=quickly)
            self._others[level.where] = others
            if not others:
                return None
            me = seat.member
            shortage, part = part_of(
                me, others, missing, now, short=short, urgent=urgent
            )
            if part:  # A new shortage: what was freed counts from 0.
                seat.publish(
                    beat=now,
                    shortage=shortage,
                    busy=True,
                    claimed=part,
                    freed=0,
                    shortages=me.shortages + 1,
                )
                self._busy = seat
        except (OSError, TableError) as error:
            self._give_up(level, error)
            return None
        return part

    def gave(self, size: int, *, more: bool = False) -> None:
        """Publish that ``size`` bytes were freed, and that the part is done.

        ``more`` says that it is not done: the rest stays claimed.
        """
        seat = self._busy
        if not more:
            self._busy = None
        for each in list(self._seats.values()):
            member = each.member
            changes: dict[str, object] = {"given": member.given + size}
            if each is seat:
                changes |= {"busy": more, "freed": member.freed + size}
            if size or each is seat:
                try:
                    each.publish(**changes)
                except OSError as error:
                    logger.debug("cannot write a table of workers: %s", error)

    def close(self) -> None:
        """Give all slots back.  Idempotent; a later look takes new ones."""
        seats, self._seats = self._seats, {}
        self._others = {}
        self._busy = None
        for seat in seats.values():
            try:
                seat.close()
            except (OSError, TableError) as error:
                logger.debug("cannot give back a slot in a table of workers: %s", error)

    def report(self, now: float) -> str:
        """Return tables of the workers under each limit that others live under, too."""
        groups = []
        for table in self.tables():
            with contextlib.suppress(OSError, TableError):
                groups.append(overview(table, now))
        return describe([group for group in groups if len(group.workers) > 1])

    def tables(self) -> tuple[Table, ...]:
        """Return the tables in use."""
        return tuple(seat.table for seat in self._seats.values())

    def _seat(self, level: MemoryLevel) -> Seat | None:
        if self._root is None or level.own:
            return None
        seat = self._seats.get(level.where)
        if seat is not None:
            if not seat.table.removed():
                return seat
            del self._seats[level.where]
            seat.table.close()
        if len(self._seats) >= MAX_SEATS and level.where not in self._seats:
            return None
        table = self._open(level, self._root)
        if table is None:
            return None
        return self._sit(level, table)

    def _sit(self, level: MemoryLevel, table: Table) -> Seat:
        seat = self._seats[level.where] = Seat(table, self._nonce)
        return seat

    def _open(self, level: MemoryLevel, root: Path) -> Table | None:
        problems: list[str] = []
        try:
            table, problems = open_shared(key_of(level, root), level.where)
            if table is not None:
                return table
        except OSError as error:
            problems.append(str(error))
        return self._private(level, "; ".join(problems))

    def _private(self, level: MemoryLevel, why: str) -> Table | None:
        text = f"{level.where}: other processes under this limit are not known: {why}"
        if level.where not in _complained:
            _complained.add(level.where)
            logger.warning("%s", printable(text))
        try:
            return open_private(level.where)
        except OSError as error:
            logger.debug("cannot make a private table of workers: %s", error)
            return None

    def _give_up(self, level: MemoryLevel, error: Exception) -> None:
        seat = self._seats.pop(level.where, None)
        self._others.pop(level.where, None)
        if seat is not None:
            seat.table.close()
        table = self._private(level, str(error))
        if table is not None:
            self._sit(level, table)
