"""The lists of a ``ListLru``: which object is where, without a lock.

The C list_lru calls isolate under its list's lock, as the kernel does.  Python code
under a lock of ours could wait for another thread that wants the same lock, so there
is none here.  An entry is put, taken off, visited and moved in one step each, by C that
holds the GIL and runs no Python code in between (``csrc/python/lru_lists.c``; without a
GIL it holds a lock).  So no
other thread, signal handler or finaliser sees half of a step.  All else is a single
operation of a dict, and may find what another thread has just changed.

A walk works on a copy of the next few entries, and looks at each again before it
touches it.  Keys are numbers that are used once, so an object that was taken off and
put back has another entry.
"""

from __future__ import annotations

import enum
import itertools
import sys
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from shrinker._ffi import object_function
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.memcg import Memcg

__all__ = ["Entry", "List", "LruStatus", "Members", "find", "move", "numbers"]


class LruStatus(enum.Enum):
    """What an isolate callback did with the object that it was handed."""

    REMOVED = "removed"
    """The object is taken off the list, and counted."""
    REMOVED_RETRY = "removed, retry"
    """The same, and the walk starts again from the head."""
    ROTATE = "rotate"
    """It was used recently: it goes to the tail."""
    SKIP = "skip"
    """It stays where it is."""
    RETRY = "retry"
    """It stays, and the walk starts again from the head."""
    STOP = "stop"
    """It stays, and the walk of its list ends; that of a node begins the next list."""


_STARTS_AGAIN = frozenset({LruStatus.RETRY, LruStatus.REMOVED_RETRY})
_LOOK_AHEAD = 128
"""Entries that a walk copies at a time, at least."""


class Entry:
    """An object on a list."""

    __slots__ = ("__weakref__", "key", "list", "obj", "owner", "ref")

    def __init__(self, obj: Any, owner: object, on: List) -> None:
        self.obj = obj
        self.owner = owner
        self.list = on
        self.key = next(numbers)
        # With a callback, a collection clears it before it runs finalisers; from
        # Python 3.15 on it clears others after them.  They may put `obj` on an lru.
        self.ref = weakref.ref(self, bool)


class List:
    """The objects of one node and one memory cgroup, oldest first."""

    __slots__ = ("c_map", "entries", "memcg", "nid", "place")

    def __init__(self, nid: int, memcg: Memcg | None, c_map: Any) -> None:
        self.nid = nid
        self.memcg = memcg
        # Among the lists of its node.
        self.place = 0 if memcg is None else memcg._kmem_id
        # The word with the shrinker's bit; NULL where there is no bit to set.
        self.c_map = c_map
        self.entries: OrderedDict[int, Entry] = OrderedDict()

    def first(self, n: int) -> list[Entry]:
        """Return a list of the ``n`` oldest entries, or of all if there are fewer."""
        n = min(n, sys.maxsize)  # islice takes no more.
        while True:
            try:
                oldest = itertools.islice(self.entries.values(), n)
                return _read(list, oldest)  # type: ignore[no-any-return]
            except RuntimeError:  # Another thread changed the list meanwhile.
                continue

    def begins_with(self, entry: Entry) -> bool:
        """Return whether the entry is at the head."""
        return self.first(1) == [entry]

    def ends_with(self, key: int) -> bool:
        """Return whether the entry with that key is at the tail."""
        while True:
            try:
                return bool(_read(next, reversed(self.entries)) == key)
            except RuntimeError:
                continue
            except StopIteration:
                return False


# Keys of entries and lrus; each is used once.
numbers = itertools.count(1)
# Every object on any lru, by identity.  Only its lru holds an entry strongly, so that
# an lru and the objects that refer to it are garbage when nothing else refers to them.
_anywhere: dict[int, weakref.ref[Entry]] = {}
_put: Callable[[Entry, dict[int, Entry]], Entry]
_forget: Callable[[Entry], None]
_take_off: Callable[[Entry, dict[int, Entry]], bool]
_visit: Callable[
    [Entry, List, dict[int, Entry], set[int], Callable[[Any], LruStatus]],
    tuple[LruStatus | None, bool],
]
move: Callable[[Entry, List, List], None]
_read: Callable[[Callable[[Any], Any], Any], Any]
_put, _forget, _take_off, _visit, move, _read = object_function("python_lru_steps", 2)(
    _anywhere,
    (
        *(LruStatus.REMOVED, LruStatus.REMOVED_RETRY, LruStatus.ROTATE),
        *("key", "ref", "obj", "list", "entries"),
    ),
)


def find(obj: object) -> Entry | None:
    """Return the entry by which an object is on an lru."""
    ref = _anywhere.get(id(obj))
    return None if ref is None else ref()


class Members:
    """The objects of one lru, on all its lists, and walks over them."""

    __slots__ = ("claims", "live", "owner")

    def __init__(self) -> None:
        self.owner = object()
        """Marks this lru's entries; they must not refer to the lru itself."""
        self.live: dict[int, Entry] = {}
        self.claims: set[int] = set()
        """Keys of the entries that walks have handed to ``isolate`` right now."""

    def check_elsewhere(self, entry: Entry | None) -> None:
        """Raise ``ShrinkerError`` for an entry of another lru."""
        if entry is not None and entry.owner is not self.owner:
            raise ShrinkerError("the object is on another lru")

    def put(self, objs: list[Any], on: List) -> list[Entry]:
        """Put objects on a list; return the entries of those that were on none.

        Raises ``ShrinkerError`` where one is on another lru; none was then added.
        """
        added: list[Entry] = []
        for obj in objs:
            entry = Entry(obj, self.owner, on)
            other = _put(entry, self.live)
            if other is entry:
                added.append(entry)
            elif other.owner is not self.owner:
                # Another lru has taken it since the caller looked.
                for mine in added:
                    self.take_off(mine)
                self.check_elsewhere(other)
        return added

    def take_off(self, entry: Entry) -> bool:
        """Take an entry off; return False where another call has done so."""
        return _take_off(entry, self.live)

    def forget_all(self) -> None:
        """Free all objects for other lrus: a finaliser's part of closing."""
        for entry in list(self.live.values()):
            _forget(entry)

    def walk(
        self, on: List, isolate: Callable[[Any], LruStatus], budget: int
    ) -> tuple[int, int]:
        """Walk one list; return how many were isolated, and the budget left."""
        isolated = 0
        passed: set[int] = set()  # Keys of the entries before our place.
        while budget:
            # Not all at once: a RETRY throws the rest of the copy away.
            some = len(passed) + min(budget, max(_LOOK_AHEAD, len(passed)))
            ahead = [e for e in on.first(some) if e.key not in passed]
            if not ahead:
                break
            for entry in ahead:
                if not budget:
                    break
                at_tail = on.ends_with(entry.key)
                status, taken = _visit(entry, on, self.live, self.claims, isolate)
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
