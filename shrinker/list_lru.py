"""``ListLru``: objects in the order in which they were used least recently.

The C list_lru calls isolate under its list's lock, as the kernel does.  Python
code under a lock of ours could wait for another thread that wants the lock, so
this one has none.  It stands on operations that the interpreter does in one go,
without running Python code in between:

- ``_live.pop(key)`` decides who takes an object off, once and for all;
- ``_claims.setdefault(key, token)`` decides which walk may isolate it;
- an ``OrderedDict`` of each list has the order, and may for a moment still show
  what was taken off, or the same object in two lists while it moves to a parent.

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

from shrinker._ffi import lib
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
    """It stays, and the walk ends."""


class _Entry:
    """An object on a list."""

    __slots__ = ("__weakref__", "key", "list", "obj", "owner", "ref", "turn")

    def __init__(self, obj: Any, owner: object, on: _List) -> None:
        self.obj = obj
        self.owner = owner
        self.list = on
        self.key = self.turn = next(_numbers)
        self.ref = weakref.ref(self)


class _List:
    """The objects of one node and one memory cgroup, oldest first."""

    __slots__ = ("entries", "memcg", "nid")

    def __init__(self, nid: int, memcg: Memcg | None) -> None:
        self.nid = nid
        self.memcg = memcg
        self.entries: OrderedDict[int, _Entry] = OrderedDict()

    def first(self, n: int) -> list[_Entry]:
        """Return copies of the first ``n`` places, or fewer."""
        n = min(n, sys.maxsize)  # What islice takes.
        while True:
            try:
                return list(itertools.islice(self.entries.values(), n))
            except RuntimeError:  # A finaliser has changed the list meanwhile.
                continue


# Keys, and places in the order of use: ever growing.
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
        if domain is None:
            domain = shrinker.domain if shrinker is not None else default_domain()
        if shrinker is not None and shrinker.domain is not domain:
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
        domain._lrus[id(self)] = weakref.ref(self)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        for entry in list(getattr(self, "_live", {}).values()):
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
        self._domain._lrus.pop(id(self), None)
        for entry in list(self._live.values()):
            self._take_off(entry)

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
        self._check_open()
        on = self._list(nid, memcg)
        self._check_online(memcg)
        objs = list(objs)
        for obj in objs:
            self._check_elsewhere(_find(obj))
        was_empty = not on.entries
        added = self._put(objs, on)
        if not added:
            return 0
        # Looked at before and after: of several threads that add to an empty
        # list at once, one saw it empty; and one that was emptied since is told
        # by its length.
        if was_empty or len(on.entries) == len(added):
            self._set_bit(on)
        if on.memcg is not None and not on.memcg.online:
            self._reparent(on.memcg)  # It went offline since we looked.
        if self._closed:
            for entry in added:
                self._take_off(entry)
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
        """Return the number of objects on one list; ``memcg`` None is the root."""
        return len(self._list(nid, memcg).entries)

    def count_node(self, nid: int) -> int:
        """Return the number of objects of all memory cgroups on a node."""
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

        At most ``nr_to_walk`` calls are made, also for objects that come again.
        ``isolate(obj)`` says what it did with the object; it may wait, add,
        remove, walk.  While it runs, no other walk is handed this object.
        Returns how many were taken off the list as isolated.

        What ``isolate`` raises comes out, and its object stays on the list.
        """
        check_int("nr_to_walk", nr_to_walk, 0, ULONG_MAX)
        isolated, _ = self._walk(self._list(nid, memcg), isolate, nr_to_walk)
        return isolated

    def walk_node(
        self, isolate: Callable[[Any], LruStatus], nr_to_walk: int, nid: int = 0
    ) -> int:
        """Walk the lists of a node: the root's, then others in order of memcg id.

        Otherwise as ``walk``; ``nr_to_walk`` is for all lists together.
        """
        check_int("nr_to_walk", nr_to_walk, 0, ULONG_MAX)
        self._domain._check_nid(nid)
        total = 0
        for _, on in sorted(self._nodes[nid].items()):
            isolated, nr_to_walk = self._walk(on, isolate, nr_to_walk)
            total += isolated
        return total

    # --- inside -------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise ShrinkerError("the lru is closed")
        self._domain._check_open()

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
        return node.get(key) or node.setdefault(key, _List(nid, memcg))

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
        if on.memcg is not None:
            # SAFETY: the Memcg that `on` holds keeps its pointer valid; the node
            # was checked when the list was made.
            lib.set_shrinker_bit(on.memcg._c, on.nid, self._shrinker_id)

    def _take_off(self, entry: _Entry) -> bool:
        """Take an entry off, unless somebody else has; return whether we did."""
        if self._live.pop(entry.key, None) is None:
            return False
        _anywhere.pop(id(entry.obj), None)
        entry.list.entries.pop(entry.key, None)
        return True

    def _reparent(self, memcg: Memcg) -> None:
        """Move what is on the lists of an offline memory cgroup to its parent's."""
        if not self._memcg_aware or memcg.parent is None:
            return
        parent = memcg.parent
        while not parent.online and parent.parent is not None:
            parent = parent.parent
        for nid, node in enumerate(self._nodes):
            on = node.get(memcg.id)
            if on is None:
                continue
            to = self._list(nid, parent)
            moved = False
            for entry in on.first(len(on.entries)):
                to.entries[entry.key] = entry
                entry.list = to
                on.entries.pop(entry.key, None)
                # Taken off while it was on its way?
                if entry.key in self._live:
                    moved = True
                else:
                    to.entries.pop(entry.key, None)
            if moved:
                self._set_bit(to)
            if memcg._closed and not on.entries:
                node.pop(memcg.id, None)

    def _walk(
        self, on: _List, isolate: Callable[[Any], LruStatus], budget: int
    ) -> tuple[int, int]:
        """Walk one list; return how many were isolated, and the budget left."""
        isolated = 0
        passed = 0  # Entries before our place that are still there.
        place = 0  # The last entry visited, by its turn.
        while budget:
            ahead = [e for e in on.first(passed + budget) if e.turn > place]
            if not ahead:
                break
            for entry in ahead:
                if not budget:
                    break
                place = entry.turn
                status, taken = self._visit(entry, on, isolate)
                if status is None:
                    passed += not taken
                    continue
                budget -= 1
                isolated += taken
                if status is LruStatus.STOP:
                    return isolated, budget
                if status in _STARTS_AGAIN:
                    passed = place = 0
                    break
                passed += status is LruStatus.SKIP
        return isolated, budget

    def _visit(
        self, entry: _Entry, on: _List, isolate: Callable[[Any], LruStatus]
    ) -> tuple[LruStatus | None, bool]:
        """Hand an entry to ``isolate``, unless another walk has it or it is gone.

        Returns what isolate said, None where it was not asked, and whether the
        entry was taken off: by us where it was asked, else by somebody.
        """
        token = object()
        if self._claims.setdefault(entry.key, token) is not token:
            return None, False
        try:
            # Taken off, or moved to a parent, since we looked.
            if entry.key not in self._live or entry.list is not on:
                return None, True
            status = isolate(entry.obj)
            if type(status) is not LruStatus:
                raise TypeError(f"isolate must return LruStatus, not {status!r}")
            if status is LruStatus.ROTATE:
                self._rotate(entry)
            return status, status in _TAKES_OFF and self._take_off(entry)
        finally:
            del self._claims[entry.key]

    def _rotate(self, entry: _Entry) -> None:
        entry.turn = next(_numbers)
        try:
            entry.list.entries.move_to_end(entry.key)
        except KeyError:  # Taken off meanwhile, or on its way to a parent.
            return


_TAKES_OFF = frozenset({LruStatus.REMOVED, LruStatus.REMOVED_RETRY})
_STARTS_AGAIN = frozenset({LruStatus.RETRY, LruStatus.REMOVED_RETRY})
