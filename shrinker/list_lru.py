"""``ListLru``: objects in the order in which they were used least recently.

The C list_lru calls isolate under its list's lock, as the kernel does.  Python
code under a lock of ours could wait for another thread that wants the lock, so
this one has none.  It stands on operations that the interpreter does in one go,
without running Python code in between:

- ``_live.pop(key)`` decides who takes an object off, once and for all;
- ``_claims.setdefault(key, token)`` decides which walk may isolate it;
- an ``OrderedDict`` of each list has the order, and may for a moment still show
  what was taken off;
- where several of these belong together, they stand in a row without a call: the
  interpreter turns to other threads and to signals at calls and loops only.

A walk works on a copy of the next few entries and looks at each again before it
touches it.  Keys are numbers that are used once, so an entry that was taken off
and put back is another one.
"""

from __future__ import annotations

import enum
import itertools
import sys
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Self

from shrinker._ffi import ffi, lib
from shrinker._memory import NotCopied
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError, check_int
from shrinker.values import ULONG_MAX, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shrinker.builder import ShrinkerBuilder, ShrinkerRegistration
    from shrinker.control import ShrinkControl
    from shrinker.memcg import Memcg

__all__ = ["ListLru", "LruStatus"]


class LruStatus(enum.Enum):
    """What an isolate callback did with the object that it was handed."""

    REMOVED = "removed"
    """It is taken off the list, and counted."""
    REMOVED_RETRY = "removed, retry"
    """The same, and the walk starts again from the head."""
    ROTATE = "rotate"
    """It was used lately: to the tail."""
    SKIP = "skip"
    """It stays where it is."""
    RETRY = "retry"
    """It stays, and the walk starts again from the head."""
    STOP = "stop"
    """It stays, and the walk of its list ends; that of a node begins the next list."""


class _Entry:
    """An object on a list."""

    __slots__ = ("__weakref__", "key", "list", "obj", "owner", "ref")

    def __init__(self, obj: Any, owner: object, on: _List) -> None:
        self.obj = obj
        self.owner = owner
        self.list = on
        self.key = next(_numbers)
        self.ref = weakref.ref(self)


class _List:
    """The objects of one node and one memory cgroup, oldest first."""

    __slots__ = ("c_map", "entries", "memcg", "nid")

    def __init__(self, nid: int, memcg: Memcg | None, c_map: Any) -> None:
        self.nid = nid
        self.memcg = memcg
        # The word that has the shrinker's bit; NULL where there is none to be set.
        self.c_map = c_map
        self.entries: OrderedDict[int, _Entry] = OrderedDict()

    def first(self, n: int) -> list[_Entry]:
        """Return copies of the first ``n`` places, or fewer."""
        n = min(n, sys.maxsize)  # What islice takes.
        while True:
            try:
                return list(itertools.islice(self.entries.values(), n))
            except RuntimeError:  # Somebody has changed the list meanwhile.
                continue

    def ends_with(self, key: int) -> bool:
        """Return whether the entry with that key is at the tail."""
        while True:
            try:
                return next(reversed(self.entries), 0) == key
            except RuntimeError:
                continue


# Entries that a walk looks ahead.
_AHEAD = 128
# Keys of entries and lrus, used once.
_numbers = itertools.count(1)
# Every object that is on any lru, by identity.  An entry is held by its lru alone,
# so that an lru and objects that know it are garbage when nobody else does.
_anywhere: dict[int, weakref.ref[_Entry]] = {}


def _find(obj: object) -> _Entry | None:
    """Return the entry by which an object is on an lru."""
    ref = _anywhere.get(id(obj))
    return None if ref is None else ref()


class ListLru(NotCopied):
    """Lists of arbitrary Python objects, for each node and memory cgroup.

    An object is on one list of one lru at most, by identity, and is held
    strongly while it is.  Where a memcg-aware builder or registration is given,
    there is a list for each memory cgroup, and adding to an empty one sets the
    shrinker's bit; otherwise memory cgroups are ignored.

    All methods may be called from any thread, from isolate callbacks and from
    finalisers; none waits.
    """

    def __init__(
        self,
        *,
        domain: Domain | None = None,
        shrinker: ShrinkerBuilder | ShrinkerRegistration[Any] | None = None,
    ) -> None:
        owner = getattr(shrinker, "domain", None)
        if shrinker is not None and not isinstance(owner, Domain):
            raise TypeError(f"no builder or registration: {shrinker!r}")
        if domain is None:
            domain = owner if owner is not None else default_domain()
        if not isinstance(domain, Domain):
            raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
        if owner is not None and owner is not domain:
            raise ValueError("the shrinker belongs to another domain")
        domain._check_open()
        self._domain = domain
        self._shrinker_id = -1
        self._memcg_aware = False
        if shrinker is not None and shrinker.flags & ShrinkerFlags.MEMCG_AWARE:
            self._memcg_aware = True
            self._shrinker_id = shrinker._memcg_id()
        self._closed = False
        self._owner = object()
        self._live: dict[int, _Entry] = {}
        self._claims: dict[int, object] = {}
        # For each node, the lists by the id of their memory cgroup.
        self._nodes: tuple[dict[int, _List], ...] = tuple(
            {} for _ in range(domain.nr_nodes)
        )
        self._number = next(_numbers)
        domain._lrus[self._number] = weakref.ref(self)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not hasattr(self, "_number"):
            return  # Never made.
        # Objects whose finalisers come later find a closed lru.
        self._closed = True
        self._domain._lrus.pop(self._number, None)
        for entry in list(self._live.values()):
            if _anywhere.get(id(entry.obj)) is entry.ref:
                _anywhere.pop(id(entry.obj), None)

    def __len__(self) -> int:
        """Return the number of objects on all lists."""
        return len(self._live)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self)} objects"
        return f"<ListLru, {state}>"

    def close(self) -> None:
        """Let go of all objects.  Idempotent; adding raises from now on."""
        self._closed = True
        self._domain._lrus.pop(self._number, None)
        for entry in list(self._live.values()):
            self._take_off(entry)
        for node in self._nodes:
            node.clear()

    def add(self, obj: Any, nid: int = 0, memcg: Memcg | None = None) -> bool:
        """Put an object at the tail of a list; False if it is on one already.

        ``memcg`` None stands for the root.  Raises ``ShrinkerError``, and nothing
        has changed, for an object on another lru, an offline memory cgroup and a
        closed lru; ``ValueError`` for an unknown node or a memory cgroup of
        another domain.
        """
        return self.add_many((obj,), nid, memcg) == 1

    def add_many(
        self, objs: Iterable[Any], nid: int = 0, memcg: Memcg | None = None
    ) -> int:
        """Put objects at the tail of a list, in their order.

        Returns how many were added; those on a list of this lru already stay
        where they are.  Raises as ``add`` does, and then none was added.
        """
        objs = list(objs)
        self._check_open()
        on = self._list(nid, memcg)
        self._check_online(memcg)
        fresh = False
        for obj in objs:
            entry = _find(obj)
            self._check_elsewhere(entry)
            fresh = fresh or entry is None
        if not fresh:
            return 0
        # Before, so that no signal can come between the objects and the bit; and
        # after, since a walk may have cleared it meanwhile, having seen no object.
        self._set_bit(on)
        added = self._put(objs, on)
        self._set_bit(on)
        if on.memcg is not None and not on.memcg.online:
            self._move_up(on)  # It went offline since we looked.
        if self._closed:
            for mine in added:
                self._take_off(mine)
            raise ShrinkerError("the lru is closed")
        return len(added)

    def remove(self, obj: Any) -> bool:
        """Take an object off; False if it was not on a list of this lru."""
        entry = _find(obj)
        if entry is None or entry.owner is not self._owner:
            return False
        return self._take_off(entry)

    def remove_many(self, objs: Iterable[Any]) -> int:
        """Take objects off, and return how many were on a list."""
        return sum(self.remove(obj) for obj in list(objs))

    def count(self, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Return the number of objects on one list; ``memcg`` None is the root.

        Raises ``ShrinkerError`` where the lru or the memory cgroup is closed.
        """
        self._check_not_closed()
        return len(self._list(nid, memcg).entries)

    def count_node(self, nid: int) -> int:
        """Return the number of objects of all memory cgroups on a node."""
        self._check_not_closed()
        self._domain._check_nid(nid)
        return sum(len(on.entries) for on in list(self._nodes[nid].values()))

    def shrink_count(self, sc: ShrinkControl) -> int:
        """Return what ``count_objects`` has to say, for the walk's node and memcg.

        An empty list gives 0; say ``or CountObjects.EMPTY`` where that is meant.
        """
        return self.count(sc.nid, sc.memcg)

    def shrink_walk(
        self, sc: ShrinkControl, isolate: Callable[[Any], LruStatus]
    ) -> int:
        """Walk the list of the walk's node and memcg, ``sc.nr_to_scan`` objects.

        Returns how many were isolated, which is what ``scan_objects`` returns.
        """
        return self.walk(isolate, sc.nr_to_scan, sc.nid, sc.memcg)

    def walk(
        self,
        isolate: Callable[[Any], LruStatus],
        nr_to_walk: int,
        nid: int = 0,
        memcg: Memcg | None = None,
    ) -> int:
        """Hand the oldest objects of a list to ``isolate``, one after the other.

        At most ``nr_to_walk`` calls are made, also for objects that come again:
        rotated ones do, and after RETRY those that stayed.  As in the kernel, the
        walk ends with what was at the tail when ``isolate`` was asked about it.
        ``isolate(obj)`` says what it did with the object; it may wait, add,
        remove, walk.  While it runs, no other walk is handed this object.
        Returns how many were taken off the list as isolated.

        What ``isolate`` raises comes out, and its object stays on the list.
        """
        self._check_walk(isolate, nr_to_walk)
        isolated, _ = self._walk(self._list(nid, memcg), isolate, nr_to_walk)
        return isolated

    def walk_node(
        self, isolate: Callable[[Any], LruStatus], nr_to_walk: int, nid: int = 0
    ) -> int:
        """Walk the lists of a node: the root's, then others in order of memcg id.

        Otherwise as ``walk``; ``nr_to_walk`` is for all lists together, and where it
        is used up the walk is over.  STOP ends the walk of one list only.
        """
        self._check_walk(isolate, nr_to_walk)
        self._domain._check_nid(nid)
        total = 0
        for _, on in sorted(self._nodes[nid].items()):
            isolated, nr_to_walk = self._walk(on, isolate, nr_to_walk)
            total += isolated
        return total

    # --- inside -------------------------------------------------------------

    def _check_not_closed(self) -> None:
        if self._closed:
            raise ShrinkerError("the lru is closed")

    def _check_open(self) -> None:
        self._check_not_closed()
        self._domain._check_open()

    def _check_walk(self, isolate: object, nr_to_walk: int) -> None:
        self._check_not_closed()
        check_int("nr_to_walk", nr_to_walk, 0, ULONG_MAX)
        if not callable(isolate):
            raise TypeError(f"isolate must be callable, not {type(isolate).__name__}")

    def _check_online(self, memcg: Memcg | None) -> None:
        if memcg is not None and self._memcg_aware and not memcg.online:
            raise ShrinkerError(f"the memory cgroup {memcg.name!r} is offline")

    def _check_elsewhere(self, entry: _Entry | None) -> None:
        if entry is not None and entry.owner is not self._owner:
            raise ShrinkerError("the object is on another lru")

    def _list(self, nid: int, memcg: Memcg | None) -> _List:
        self._domain._check_nid(nid)
        if memcg is not None:
            self._domain._check_memcg(memcg)
        if not self._memcg_aware:
            memcg = None
        elif memcg is None:
            memcg = self._domain.root
        node = self._nodes[nid]
        key = 0 if memcg is None else memcg.id
        on = node.get(key)
        if on is None:
            c_map = ffi.NULL
            if memcg is not None and memcg.parent is not None:
                # SAFETY: the Memcg that the list will hold keeps both valid.
                c_map = lib.mem_cgroup_map(memcg._c, nid, self._shrinker_id)
            on = node.setdefault(key, _List(nid, memcg, c_map))
        return on

    def _put(self, objs: list[Any], on: _List) -> list[_Entry]:
        """Put objects on a list; return the entries of those that were on none."""
        added: list[_Entry] = []
        for obj in objs:
            entry = _Entry(obj, self._owner, on)
            other = _anywhere.setdefault(id(obj), entry.ref)()
            if other is None:
                # Left by an lru that is being collected right now.
                _anywhere[id(obj)] = entry.ref
                other = entry
            if other is entry:
                self._live[entry.key] = entry
                on.entries[entry.key] = entry
                added.append(entry)
            elif other.owner is not self._owner:
                # Added there since we looked.
                for mine in added:
                    self._take_off(mine)
                self._check_elsewhere(other)
        return added

    def _set_bit(self, on: _List) -> None:
        """Set the shrinker's bit for a list, if it is not set."""
        if not on.c_map:
            return
        # Reading it makes no call.  A walk that clears it after our look counts
        # again afterwards, and finds what was put on the list before our look.
        if not on.c_map[0] >> self._shrinker_id % lib.MEMCG_UNIT_IDS & 1:
            # SAFETY: as for the map; the node was checked.
            lib.set_shrinker_bit(on.memcg._c, on.nid, self._shrinker_id)  # type: ignore[union-attr]

    def _take_off(self, entry: _Entry) -> bool:
        """Take an entry off, unless somebody else has; return whether we did."""
        key, place, live = entry.key, id(entry.obj), self._live
        try:
            return live.pop(key, None) is not None
        finally:
            # No calls here: a signal's exception comes out of one.
            if key not in live:
                if place in _anywhere and _anywhere[place] is entry.ref:
                    del _anywhere[place]
                if key in entry.list.entries:
                    del entry.list.entries[key]

    def _reparent(self, memcg: Memcg) -> None:
        """Move what is on the lists of an offline memory cgroup to its parent's."""
        for node in self._nodes:
            on = node.get(memcg.id)
            if on is None or on.memcg is None:
                continue
            self._move_up(on)
            if memcg._closed and not on.entries:
                node.pop(memcg.id, None)

    def _move_up(self, on: _List) -> None:
        """Move a list's objects to that of the nearest group that is online."""
        above = on.memcg
        while above is not None and not above.online:
            above = above.parent
        if above is None or above is on.memcg:
            return
        to = self._list(on.nid, above)
        for entry in on.first(len(on.entries)):
            key = entry.key
            # No calls from here on, as in _take_off: no other thread comes between
            # either, which may be moving or taking off the same.
            if key in on.entries:
                to.entries[key] = entry
                entry.list = to
                del on.entries[key]
        if to.entries:
            self._set_bit(to)
        if not above.online:
            self._move_up(to)  # It went offline while we were moving.

    def _walk(
        self, on: _List, isolate: Callable[[Any], LruStatus], budget: int
    ) -> tuple[int, int]:
        """Walk one list; return how many were isolated, and the budget left."""
        isolated = 0
        passed: set[int] = set()  # Entries before our place, by key.
        while budget:
            # Some at a time: after a RETRY most of a long look ahead is for nothing.
            some = len(passed) + min(budget, max(_AHEAD, len(passed)))
            ahead = [e for e in on.first(some) if e.key not in passed]
            if not ahead:
                break
            for entry in ahead:
                if not budget:
                    break
                at_tail = on.ends_with(entry.key)
                status, taken = self._visit(entry, on, isolate)
                if not taken and status is not LruStatus.ROTATE:
                    passed.add(entry.key)
                if status is None:
                    continue
                budget -= 1
                isolated += taken
                if status in _STARTS_AGAIN:
                    passed.clear()
                    break
                if at_tail or status is LruStatus.STOP:
                    return isolated, budget
        return isolated, budget

    def _visit(
        self, entry: _Entry, on: _List, isolate: Callable[[Any], LruStatus]
    ) -> tuple[LruStatus | None, bool]:
        """Hand an entry to ``isolate``, unless another walk has it or it is gone.

        Returns what isolate said, None where it was not asked, and whether it was
        we who took the entry off.
        """
        key, claims, token = entry.key, self._claims, object()
        try:
            if claims.setdefault(key, token) is not token:
                return None, False
            # Taken off, or moved to a parent, since we looked.
            if key not in self._live or entry.list is not on:
                return None, False
            status = isolate(entry.obj)
            if type(status) is not LruStatus:
                raise TypeError(f"isolate must return LruStatus, not {status!r}")
            if status is LruStatus.ROTATE:
                self._rotate(entry)
            return status, status in _TAKES_OFF and self._take_off(entry)
        finally:
            # No calls here, as in _take_off.
            if key in claims and claims[key] is token:
                del claims[key]

    def _rotate(self, entry: _Entry) -> None:
        try:
            entry.list.entries.move_to_end(entry.key)
        except KeyError:  # Taken off meanwhile, or on its way to a parent.
            return


_TAKES_OFF = frozenset({LruStatus.REMOVED, LruStatus.REMOVED_RETRY})
_STARTS_AGAIN = frozenset({LruStatus.RETRY, LruStatus.REMOVED_RETRY})
