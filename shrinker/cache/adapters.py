"""Adapters: shrinkers for caches that were not written to be shrinkers.

An adapter knows how many entries a kind of cache has, and how to evict some of them.
``Adapter`` has what is the same for all kinds:

1. *count* takes no lock.  It reads one number, which the interpreter does in one step,
   and calls no method by which a cache changes itself: the ``len()`` of a
   ``cachetools.TTLCache`` removes expired entries.
2. *scan* returns STOP where the lock is taken: the thread that holds it may be waiting
   for memory, and so for this scan.  Only the reclaimer's thread waits for it before,
   for a short while, and then has the cache give its whole part at once (``Demand``).
3. An RLock that this thread holds counts as taken.  Otherwise a thread that reclaims
   inside its own ``with lock:`` would find entries gone that it has just seen.
4. Evicted keys and values are dropped after the lock is released, since destructors
   run arbitrary code.

A cache whose users run on an event loop has that loop in place of the lock, and is
scanned there (``OnLoop``).

``shrinker/cache/libraries.py`` has the adapters for caches of other libraries.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import weakref
from collections import OrderedDict, UserDict
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from shrinker import demand as demands
from shrinker.cache.checks import check_size, plain_int
from shrinker.growth import PAGE_SIZE
from shrinker.values import DEFAULT_SEEKS, CountObjects, ScanObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.cache.on_loop import OnLoop
    from shrinker.cache.pass_settings import PassSettings
    from shrinker.cache.try_lock import TryLock
    from shrinker.control import ShrinkControl
    from shrinker.demand import Demand

__all__ = [
    "Adapter",
    "CountAndEvict",
    "DictEntries",
    "LruFunction",
    "PopitemEntries",
]

_WHOLE_CACHE_BATCH = 2**62
"""Objects.  A pass never has so many together, so it scans only to take the whole
cache."""
_AHEAD = 16
"""A scan of a dict reads the keys of one 16th of it ahead."""
_MISSING = object()
_LEARNING_BYTES = 1 << 20
"""Memory must fall by so much before anything is learned from it."""
_MAX_LEARNED_BYTES = 2**40
_SIZED_ENTRIES = 16
"""Evicted entries of a scan whose sizes are added up."""
_UNKNOWN_SHARE_DIVISOR = 4
"""Of entries whose worth is unknown, a cache gives at most one in so many at once."""


class Adapter(demands.Learner):
    """The shrinker of a watched cache; there is a subclass for each kind of cache.

    ``get`` returns the cache, or None once it is gone.  ``guard`` is what keeps its
    users away during a scan.  ``entry_bytes`` is the weight of an entry; where it is
    given, counts and scans are in pages.
    """

    batch: int | None = None
    """Objects of a scan call; None follows the size."""
    seeks = DEFAULT_SEEKS
    thread_safe = False
    """Whether it may be scanned without a guard."""
    needs_loop = False
    """Whether its guard must be an event loop."""

    def __init__(
        self,
        get: Callable[[], Any],
        settings: PassSettings,
        guard: TryLock | OnLoop | None,
        entry_bytes: int | None,
    ) -> None:
        self._get = get
        self._settings = settings
        self._guard = guard
        self._entry_bytes = entry_bytes
        self._learned_bytes: int | None = None
        """Bytes of an entry, as a reclaim has shown; 0 where memory hardly fell."""
        self._counted = 0

    @staticmethod
    def lock_of(cache: Any) -> Any:  # noqa: ARG004
        """Return the lock that this kind of cache comes with, or None."""
        return None

    @staticmethod
    def shared_by(cache: Any) -> Any:
        """Return what several such objects share, which is watched only once."""
        return cache

    @property
    def ended(self) -> bool:
        """Whether the event loop of its users is closed."""
        return self._guard is not None and self._guard.ended

    def entries(self, cache: Any) -> int:
        """Return the number of entries.  Takes no lock."""
        raise NotImplementedError

    def own_weight(self, cache: Any) -> float | None:  # noqa: ARG002
        """Return the bytes of all entries, where the cache itself keeps them."""
        return None

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Evict ``n`` entries or more; return how many.

        The guard is held.  What goes is put into ``evicted``, to be dropped later.
        """
        raise NotImplementedError

    def count_objects(
        self,
        sc: ShrinkControl | None,  # noqa: ARG002
    ) -> CountObjects | int:
        """Return the entries, or their pages."""
        cache = self._get()
        if cache is None or self.ended:
            return CountObjects.EMPTY
        n = self.entries(cache)
        if n == 0:
            return CountObjects.EMPTY
        entry_bytes = self._bytes_of_entry()
        if entry_bytes is not None:
            weight: float | None = _checked("count", n) * entry_bytes
        else:
            weight = self.own_weight(cache)
        count = n if weight is None else _pages(weight)
        if type(count) is int and count > 0:  # The trampoline checks all else.
            self._settings.update(count, n)
            self._counted = count
        return count

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects | int:
        """Evict as many objects as asked for; STOP where the lock is taken."""
        cache = self._get()
        if cache is None:
            return ScanObjects.STOP
        demand = demands.current()
        if demand is not None and demand.has_part_of(self):
            return 0
        evicted: list[Any] = []
        work = functools.partial(
            self._evict_part, cache, sc.nr_to_scan, evicted, demand
        )
        try:
            freed = work() if self._guard is None else self._run(work, demand)
            if demand is not None:
                self._learn_from(cache, evicted)
        finally:
            evicted.clear()  # Not by a traceback, which may live for long.
            if demand is not None:
                demand.end(self)
        if type(freed) is int and freed > sc.nr_to_scan:
            sc.nr_scanned = freed  # So the pass asks for so much less.
        return freed  # type: ignore[no-any-return]

    def _run(self, work: Callable[[], Any], demand: Demand | None) -> Any:
        """Do ``work`` under the guard; count in the demand if the guard was taken."""
        began: list[bool] = []

        def run() -> Any:
            began.append(True)
            return work()

        assert self._guard is not None  # noqa: S101 - for mypy
        freed = self._guard.run(run, demand)
        if not began and demand is not None:
            demand.held[self] += 1
        return freed

    def _evict_part(
        self, cache: Any, n: int, evicted: list[Any], demand: Demand | None
    ) -> Any:
        """Evict ``n`` objects, or the whole part of a reclaim that wants it at once."""
        if demand is not None:
            demand.begin()
            # Of entries whose worth is not known, a part may be far too much.
            count = self._counted
            count = count // _UNKNOWN_SHARE_DIVISOR if self.wants_probe else count
            n = demand.take_part(self, n, count, self._settings.seeks)
        return self._evict(cache, n, evicted)

    def _evict(self, cache: Any, n: int, evicted: list[Any]) -> Any:
        """Evict ``n`` objects: entries, or pages of them.

        Pages are rounded sums, and their differences are returned.  So the results of
        many scans add up to exactly what was counted.
        """
        entry_bytes = self._bytes_of_entry()
        if entry_bytes is None:
            weight = self.own_weight(cache)
            if weight is None:
                return self.evict(cache, n, evicted)
            before = _pages(weight)
            while weight > max(before - n, 0) * PAGE_SIZE and self.evict(
                cache, 1, evicted
            ):
                weight = self.own_weight(cache) or 0
            return max(before - _pages(weight), 0)
        entries = _checked("count", self.entries(cache))
        before = _pages(entries * entry_bytes)
        keep = max(before - n, 0) * PAGE_SIZE // entry_bytes
        freed = self.evict(cache, max(entries - keep, 0), evicted)
        if isinstance(freed, ScanObjects):
            return freed  # STOP.
        left = max(entries - _checked("evict", freed), 0)
        return before - _pages(left * entry_bytes)

    # --- what an entry is worth, where nothing tells (`Learner`) -------------------

    @property
    def gives_all_or_nothing(self) -> bool:
        """Whether it can only be cleared whole."""
        return self.batch == _WHOLE_CACHE_BATCH

    @property
    def wants_probe(self) -> bool:
        """Whether a few entries should be evicted to see what they are worth."""
        if self._entry_bytes is not None or self._learned_bytes is not None:
            return False
        cache = self._get()
        return (
            cache is not None
            and not self.ended
            and self.own_weight(cache) is None
            and self.entries(cache) > 0
        )

    def held_entries(self) -> int:
        """Return how many entries there are."""
        cache = self._get()
        return 0 if cache is None or self.ended else self.entries(cache)

    def learn(self, entries: int, fell: int) -> None:
        """Learn that memory fell by ``fell`` bytes when ``entries`` were evicted."""
        if entries <= 0 or max(fell, entries * PAGE_SIZE) < _LEARNING_BYTES:
            return
        seen = min(max(fell, 0) // entries, _MAX_LEARNED_BYTES)
        self._learned_bytes = max(seen, self._learned_bytes or 0)

    def _learn_from(self, cache: Any, evicted: list[Any]) -> None:
        """Learn from the sizes of evicted objects, without those of what they hold.

        ``learn`` cannot see how large entries are while other threads insert.
        """
        if self._entry_bytes is not None or self.own_weight(cache) is not None:
            return
        entries = [each for each in evicted[:_SIZED_ENTRIES] if type(each) is tuple]
        with contextlib.suppress(Exception):  # `__sizeof__` may be a user's.
            size = sum(sys.getsizeof(part) for entry in entries for part in entry)
            if size >= len(entries) * PAGE_SIZE > 0:
                known = self._learned_bytes or 0
                self._learned_bytes = max(size // len(entries), known)

    def _bytes_of_entry(self) -> int | None:
        """Return what an entry weighs; None where entries are counted.

        Entries smaller than a page are counted as entries: memory falls only after many
        of them have gone.
        """
        if self._entry_bytes is not None:
            return self._entry_bytes
        learned = self._learned_bytes
        return learned if learned is not None and learned >= PAGE_SIZE else None


class DictEntries(Adapter):
    """A dict or OrderedDict: evicts in its own order, the oldest entries first.

    In the child of a fork the entries that were there before share their memory with
    the parent and its other children.  Evicting them in one process frees nothing, and
    they are hits at no cost.  So they are not counted, and those after them are evicted
    first, until the parent has ended or ``give_inherited`` was called.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ahead: list[Any] = []
        self._new_pass = True
        self._inherited = 0
        self._parent = 0
        _dicts.add(self)

    def after_fork(self) -> None:
        """Treat all present entries as inherited."""
        cache = self._get()
        self._inherited = 0 if cache is None else dict.__len__(cache)
        self._parent = os.getppid()
        self._ahead = []

    def inherited_bytes(self) -> int:
        """Return what inherited entries weigh; at least a page each."""
        return self._inherited * (self._bytes_of_entry() or PAGE_SIZE)

    def give_inherited(self) -> bool:
        """Evict inherited entries from now on; return whether there were any."""
        given, self._inherited = self._inherited > 0, 0
        return given

    def entries(self, cache: Any) -> int:
        """Return the length, without inherited entries.

        A subclass's ``__len__`` is not called.
        """
        length = dict.__len__(cache)
        if self._inherited:
            shared = self._parent == os.getppid()
            self._inherited = min(self._inherited, length) if shared else 0
        return length - self._inherited

    def count_objects(self, sc: ShrinkControl | None) -> CountObjects | int:
        """Begin a pass."""
        self._new_pass = True
        return super().count_objects(sc)

    def count_now(self) -> int:
        """Return the count: no code of users is called for it."""
        count = self.count_objects(None)
        return count if isinstance(count, int) else 0  # EMPTY

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Delete the oldest keys; a subclass's ``__delitem__`` is called."""
        freed = 0
        plain = type(cache).__delitem__ in _PLAIN_DELITEM
        for key in self._oldest(cache, n, evicted):
            evicted.append(key)  # First: what follows may raise.
            if plain:
                value = cache.pop(key, _MISSING)
            elif (value := dict.get(cache, key, _MISSING)) is not _MISSING:
                del cache[key]
            if value is not _MISSING:
                evicted[-1] = (key, value)
                freed += 1
        return freed

    def _oldest(self, cache: Any, n: int, evicted: list[Any]) -> Iterator[Any]:
        """Return an iterator over the next ``n`` keys, or fewer.

        A dict keeps the slots of deleted entries until it grows again, and an iteration
        from its start steps over all of them.  So one iteration reads the keys for
        several scans ahead.  They are good for one pass; the next pass reads anew.
        """
        there = self.entries(cache)
        skipped = self._inherited
        if isinstance(cache, OrderedDict):  # It has no such slots, but is reordered.
            return iter(_first(_from(skipped, OrderedDict.__iter__(cache)), n))
        ahead = self._ahead
        n = min(n, there)
        if self._new_pass or len(ahead) < n:
            self._new_pass = False
            evicted.append(ahead)  # May hold the last reference to a deleted key.
            keys = _from(skipped, dict.__iter__(cache))
            ahead = _first(keys, max(n, there // _AHEAD)) if n else []
            ahead.reverse()
            self._ahead = ahead
        return (ahead.pop() for _ in range(min(n, len(ahead))))


class PopitemEntries(Adapter):
    """Anything with ``popitem()`` and ``len()``: evicts by ``popitem()``."""

    def entries(self, cache: Any) -> int:
        """Return the length."""
        return len(cache)

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Pop ``n`` entries, or all that there are."""
        popitem = cache.popitem
        if getattr(type(cache), "popitem", None) is UserDict.popitem:
            # From Python 3.15 on it takes the newest entry; this one takes the oldest.
            popitem = functools.partial(MutableMapping.popitem, cache)
        for popped in range(n):
            try:
                evicted.append(popitem())
            except KeyError:
                if self.entries(cache):
                    raise
                return popped
        return n


class LruFunction(Adapter):
    """A function under ``functools.lru_cache``, which can only be cleared whole.

    So a pass may scan only where it wants the whole cache.  No pass has a batch
    together, and with ``seeks`` 4 a pass wants the whole cache at priority 0.
    """

    batch = _WHOLE_CACHE_BATCH
    seeks = 4
    thread_safe = True

    def entries(self, cache: Any) -> int:
        """Return the number of results."""
        return int(cache.cache_info().currsize)

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:  # noqa: ARG002
        """Clear it, unless less than half of it is wanted."""
        size = self.entries(cache)
        if n < size // 2:
            return 0  # Not from a pass, but from `registration.scan(1)`.
        cache.cache_clear()
        return size


class CountAndEvict(Adapter):
    """An object with ``count()`` and ``evict(n)``, which take their own locks."""

    thread_safe = True

    def entries(self, cache: Any) -> int:
        """Call ``count()``; the trampoline checks the result."""
        return plain_int(cache.count())  # type: ignore[no-any-return]

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:  # noqa: ARG002
        """Call ``evict(n)``, which drops the entries itself."""
        return plain_int(cache.evict(n))  # type: ignore[no-any-return]


_PLAIN_DELITEM = (dict.__delitem__, OrderedDict.__delitem__)


_dicts: weakref.WeakSet[DictEntries] = weakref.WeakSet()


def _after_fork() -> None:
    for adapter in list(_dicts):
        adapter.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _from(skipped: int, keys: Iterator[Any]) -> Iterator[Any]:
    return itertools.islice(keys, skipped, None) if skipped else keys


def _first(keys: Iterator[Any], n: int) -> list[Any]:
    """Return up to ``n`` keys; none where the dict was changed without the lock."""
    try:
        return list(itertools.islice(keys, min(n, sys.maxsize)))
    except RuntimeError:
        return []


def _pages(weight: float) -> int:
    return int(-(-weight // PAGE_SIZE))


def _checked(what: str, n: object) -> int:
    return check_size(f"what {what} returns", n, 0, sys.maxsize)
