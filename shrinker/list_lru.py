"""``ListLru``: objects in the order in which they were used least recently.

A list for each node and memory cgroup, as docs/specification.md, "List LRU", has
them.  ``_lru_lists.py`` has the lists themselves, and how they do without a lock.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker._capsule import NotCopied
from shrinker._ffi import ffi, lib
from shrinker._lru_lists import List, LruStatus, Members, find, move, numbers
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError, check_int
from shrinker.values import ULONG_MAX, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shrinker.builder import ShrinkerBuilder
    from shrinker.control import ShrinkControl
    from shrinker.memcg import Memcg
    from shrinker.registration import ShrinkerRegistration

__all__ = ["ListLru", "LruStatus"]


class ListLru(NotCopied):
    """Lists of arbitrary Python objects, for each node and memory cgroup.

    An object, by identity, is on at most one list of one lru, which holds it
    strongly.  Given a builder or registration, the lru has a list for each memory
    cgroup, and adding to an empty one sets the bit of a memcg-aware shrinker;
    otherwise, and in a domain without ``memcg`` or ``kmem``, it has one list for
    each node.

    All methods may be called from any thread, from isolate callbacks and from
    finalisers; none waits.

    Raises ``TypeError`` for what is no domain, builder or registration,
    ``ValueError`` where the shrinker belongs to another domain, ``ShrinkerError``
    where the domain or the shrinker is closed.
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
        if shrinker is not None and (
            domain._kmem or shrinker.flags & ShrinkerFlags.NONSLAB
        ):
            self._shrinker_id = shrinker._memcg_id()
        self._by_memcg = shrinker is not None and domain._kmem and domain.root
        self._closed = False
        self._members = Members()
        # For each node, its lists by the id of their memory cgroup.
        self._nodes: tuple[dict[int, List], ...] = tuple(
            {} for _ in range(domain.nr_nodes)
        )
        self._number = next(numbers)
        domain._lrus[self._number] = weakref.ref(self)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not hasattr(self, "_number"):
            return  # __init__() raised.
        # Objects whose finalisers run later find a closed lru.
        self._closed = True
        self._domain._lrus.pop(self._number, None)
        self._members.forget_all()

    def __len__(self) -> int:
        """Return the number of objects on all lists."""
        return len(self._members.live)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self)} objects"
        return f"<ListLru, {state}>"

    def close(self) -> None:
        """Let all objects go.  Idempotent.  Adding raises from now on."""
        self._closed = True
        self._domain._lrus.pop(self._number, None)
        for entry in list(self._members.live.values()):
            self._members.take_off(entry)
        for node in self._nodes:
            node.clear()

    def add(self, obj: Any, nid: int = 0, memcg: Memcg | None = None) -> bool:
        """Put an object at the tail of a list; False if it is on one already.

        ``memcg`` None is the root.  For an offline memory cgroup it is the list of
        the nearest ancestor that is online.  Raises ``ShrinkerError`` for an object
        on another lru, a closed memory cgroup and a closed lru, ``ValueError`` for
        an unknown node and a memory cgroup of another domain; nothing has then
        changed.
        """
        return self.add_many((obj,), nid, memcg) == 1

    def add_many(
        self, objs: Iterable[Any], nid: int = 0, memcg: Memcg | None = None
    ) -> int:
        """Put objects at the tail of a list, in their order.

        Returns how many were added.  Those on a list of this lru already stay
        where they are.  Raises as ``add`` does; none was then added.
        """
        objs = list(objs)
        self._check_open()
        on = self._list_to_fill(nid, memcg)
        fresh = False
        for obj in objs:
            entry = find(obj)
            self._members.check_elsewhere(entry)
            fresh = fresh or entry is None
        if not fresh:
            return 0
        # The bit is set before, so that no signal can come between the objects and
        # it; and after, since a walk that saw no object may have cleared it.
        if not on.entries:
            self._set_bit(on, memcg)
        added = self._members.put(objs, on)
        if added and on.begins_with(added[0]):
            self._set_bit(on, memcg)
        if on.memcg is not None and not on.memcg.online:
            self._move_up(on)  # It went offline since we looked.
        if self._closed:
            for entry in added:
                self._members.take_off(entry)
            raise ShrinkerError("the lru is closed")
        return len(added)

    def remove(self, obj: Any) -> bool:
        """Take an object off; False if it was not on a list of this lru."""
        entry = find(obj)
        if entry is None or entry.owner is not self._members.owner:
            return False
        return self._members.take_off(entry)

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
        """Return the length of the list of the walk's node and memcg: the count.

        An empty list gives 0.  Write ``or CountObjects.EMPTY`` to say that there is
        nothing.
        """
        return self.count(sc.nid, sc.memcg)

    def shrink_walk(
        self, sc: ShrinkControl, isolate: Callable[[Any], LruStatus]
    ) -> int:
        """Walk the list of the walk's node and memcg, ``sc.nr_to_scan`` objects.

        Returns how many were isolated, for ``scan_objects`` to return.
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

        It makes at most ``nr_to_walk`` calls.  Objects that come again count too:
        rotated ones do, and those that stayed, after RETRY.  As in the kernel, the
        walk ends with the object that was at the tail when ``isolate`` was asked
        about it.  ``isolate(obj)`` answers what it did with the object.  It may
        wait, add, remove and walk; while it runs, no other walk is handed this
        object.  Returns how many were taken off the list as isolated.

        What ``isolate`` raises comes out, and its object stays on the list.
        """
        self._check_walk(isolate, nr_to_walk)
        isolated, _ = self._members.walk(self._list(nid, memcg), isolate, nr_to_walk)
        return isolated

    def walk_node(
        self, isolate: Callable[[Any], LruStatus], nr_to_walk: int, nid: int = 0
    ) -> int:
        """Walk the lists of a node: the root's, then those of online memory cgroups.

        Each has a place: the lowest that no online one had when it was created.
        ``nr_to_walk`` is for all lists together; the walk ends when it is used up.
        STOP ends the walk of one list only.  Otherwise as ``walk``.
        """
        self._check_walk(isolate, nr_to_walk)
        self._domain._check_nid(nid)
        total = 0
        for on in self._in_order(self._nodes[nid]):
            if not nr_to_walk:
                break
            isolated, nr_to_walk = self._members.walk(on, isolate, nr_to_walk)
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

    def _list(self, nid: int, memcg: Memcg | None) -> List:
        self._domain._check_nid(nid)
        if memcg is not None:
            self._domain._check_memcg(memcg)
        if not self._by_memcg:
            memcg = None
        elif memcg is None:
            memcg = self._domain.root
        return self._list_of(nid, memcg)

    def _list_to_fill(self, nid: int, memcg: Memcg | None) -> List:
        """Return the list that has what is added in the name of a group."""
        on = self._list(nid, memcg)
        heir = on.memcg
        while heir is not None and not heir.online:
            heir = heir.parent
        return on if heir is on.memcg else self._list_of(nid, heir)

    def _list_of(self, nid: int, memcg: Memcg | None) -> List:
        node = self._nodes[nid]
        key = 0 if memcg is None else memcg.id
        on = node.get(key)
        if on is None:
            c_map = ffi.NULL
            if memcg is not None and memcg.parent is not None:
                # SAFETY: the Memcg that the list will hold keeps both valid.
                c_map = lib.mem_cgroup_map(memcg._c, nid, self._shrinker_id)
            on = node.setdefault(key, List(nid, memcg, c_map))
        return on

    @staticmethod
    def _in_order(node: dict[int, List]) -> Iterator[List]:
        """Yield the lists of online groups, those that come meanwhile included."""
        place, size = -1, -1
        while size != len(node):
            size = len(node)
            for on in sorted(node.values(), key=lambda on: on.place):
                if on.place <= place or (on.memcg is not None and not on.memcg.online):
                    continue
                place = on.place
                yield on
                if size != len(node):
                    break

    def _set_bit(self, on: List, named: Memcg | None = None) -> None:
        """Set the shrinker's bit for a list, if it is not set.

        A list of all groups has none: the bit is that of the group ``named``.
        """
        if not on.c_map:
            if named is not None and not self._by_memcg and self._shrinker_id >= 0:
                # SAFETY: the node was checked, and `named` is of the lru's domain.
                lib.set_shrinker_bit(named._c, on.nid, self._shrinker_id)
            return
        # Reading the bit makes no call.  A walk that clears it after our look counts
        # again afterwards, and finds what was put on the list before our look.
        if not on.c_map[0] >> self._shrinker_id % lib.MEMCG_UNIT_IDS & 1:
            # SAFETY: as for the map; the node was checked.
            lib.set_shrinker_bit(on.memcg._c, on.nid, self._shrinker_id)  # type: ignore[union-attr]

    def _reparent(self, memcg: Memcg) -> None:
        """Move what is on the lists of an offline memory cgroup to its parent's."""
        for node in self._nodes:
            on = node.get(memcg.id)
            if on is None or on.memcg is None:
                continue
            self._move_up(on)
            if memcg._closed and not on.entries:
                node.pop(memcg.id, None)

    def _move_up(self, on: List) -> None:
        """Move a list's objects before those of the nearest group that is online."""
        above = on.memcg
        while above is not None and not above.online:
            above = above.parent
        if above is None or above is on.memcg:
            return
        to = self._list_of(on.nid, above)
        for entry in reversed(on.first(len(on.entries))):
            move(entry, on, to)
        if to.entries:
            self._set_bit(to)
        if not above.online:
            self._move_up(to)  # It went offline while we were moving.
