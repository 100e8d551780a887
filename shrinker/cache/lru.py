"""``LruCache``: a mapping that gives back what was not used for longest.

No method takes a lock, so all of them can be used from any thread, from signal
handlers, finalisers, weighers, eviction callbacks and the ``__eq__`` of keys.  They
rely on CPython's GIL, and on this: the interpreter turns to other threads and to
signals at the end of a call and where a loop jumps back, and nowhere else.  A hit is
a look into a dictionary and three steps of bytecode; ``shrinker/cache/store.py`` has
the rest, and says what may happen with keys whose ``__eq__`` is Python.

The order is that of a clock with a second chance, which is what the kernel's
LRU_ROTATE is.  A hit sets a mark.  Who evicts takes the entry at the head; if that
is marked, it loses the mark and goes to the tail instead.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import ItemsView, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from shrinker._memory import NotCopied
from shrinker.builder import ShrinkerBuilder, ShrinkerRegistration
from shrinker.cache.costs import check_seconds
from shrinker.cache.store import GONE, MAX_WEIGHT, Store
from shrinker.cache.terms import Terms
from shrinker.domain import Domain, default_domain
from shrinker.errors import check_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CacheStatistics", "LruCache", "check_takes"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_MISSING: Any = object()


@dataclasses.dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What happened to a cache so far, and what is in it."""

    hits: int
    """Lookups that found a value."""
    misses: int
    """Lookups that found none."""
    entries: int
    """Entries in it now."""
    weight: int
    """What they weigh, in bytes; without a weigher, how many they are."""
    evicted: int
    """Entries that were evicted, by scans, for ``maxsize``, and under pressure."""
    evict_errors: int
    """Exceptions of eviction callbacks, and of keys that were to be evicted."""


class LruCache(NotCopied, MutableMapping[K, V]):
    """A mapping whose entries may be evicted at any time.

    It registers a shrinker in ``domain`` (None: the default domain), under ``name``
    (None: the module and line that made it), and is emptied by the domain's walks.
    Dropping it unregisters it; where the domain is closed before, it goes on as a
    cache that nobody shrinks.

    ``maxsize``: as many entries are kept at most; with a weigher, as many bytes.
    None is no limit but that of memory.  An entry that alone is heavier is evicted
    at once.

    ``weigher(key, value)`` returns the bytes of an entry, 0 to 2**62.  With it the
    shrinker counts pages of 4096 bytes, so that caches compare; without it, entries,
    which are taken for a page each.  What it raises comes out of the set, and
    nothing has changed then.

    ``rebuild_seconds`` is what it takes to make one entry anew.  From it each count
    makes the shrinker's ``seeks``, which with a weigher are those of a page: the
    larger the entries, the cheaper.  Or ``seeks`` are given, of an entry or a page,
    and stay as they are.  One of them, or neither.

    ``min_age``: scans leave entries alone that were set less than so many seconds
    ago; ``maxsize`` does not.

    ``on_evict(key, value)`` is called after an entry was evicted (not where the user
    deletes or overwrites it), by whoever evicts, with no lock held.  What it raises
    is counted; the first goes to the log ``shrinker.cache``, and the count at 10, 100,
    1,000 and so on.

    Making room for an entry puts up to 8 entries that were used to the tail, and
    then evicts also those; a scan gives a second chance to all.  While
    ``domain.under_pressure`` is set, a set evicts what it adds.

    Raises ``TypeError`` and ``ValueError`` for bad arguments, ``ShrinkerError``
    where the domain is closed already, and later for a set into a closed cache.
    """

    __slots__ = (
        "__weakref__",
        "_entries",
        "_hits",
        "_misses",
        "_registration",
        "_store",
    )

    # Invariants: `_entries` is the store's.  The registration holds the store, which
    # does not know us; so we go when the last user does, and the store with us.
    _registration: ShrinkerRegistration[Store]

    def __init__(
        self,
        maxsize: int | None = None,
        *,
        weigher: Callable[[K, V], int] | None = None,
        name: str | None = None,
        seeks: int | None = None,
        rebuild_seconds: float | None = None,
        min_age: float = 0.0,
        on_evict: Callable[[K, V], object] | None = None,
        domain: Domain | None = None,
    ) -> None:
        if maxsize is not None:
            check_int("maxsize", maxsize, 0, MAX_WEIGHT)
        check_takes("weigher", weigher, "key", "value")
        check_takes("on_evict", on_evict, "key", "value")
        min_age = check_seconds("min_age", min_age)
        domain = default_domain() if domain is None else domain
        name = _caller() if name is None else name
        builder = ShrinkerBuilder(name, domain=domain)
        terms = Terms(builder, seeks, rebuild_seconds)
        store = Store(name, domain._growth, terms, maxsize, weigher, min_age, on_evict)
        self._hits = self._misses = 0
        self._store = store
        self._entries = store.entries
        self._registration = builder.register(store)
        # In a garbage cycle its finaliser may come before ours.
        self._registration._quiet = True

    def __del__(self) -> None:
        # Waits for nothing: this may be any thread at any point.
        registration = getattr(self, "_registration", None)  # Was it ever made?
        if registration is not None and not registration.closed:
            registration._close(wait=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unregister, and let go of all entries; no eviction callback is called.

        Waits for a scan of this cache that runs in another thread, as
        ``ShrinkerRegistration.close`` says.  Idempotent.  The cache is empty from
        then on, and a set raises ``ShrinkerError``.
        """
        self._store.closed = True
        try:
            self._registration.close()
        finally:
            self._store.clear()

    # --- the mapping --------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        try:
            entry = self._entries[key]
        except KeyError:
            self._misses += 1
            raise
        # In a row with the lookup.
        entry.used = True
        self._hits += 1
        try:
            return entry.value  # type: ignore[no-any-return]
        except AttributeError:
            self._was_gone()
            raise KeyError(key) from None

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | T) -> V | T: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, or ``default``; a hit or a miss as well."""
        entry = self._entries.get(key)
        if entry is None:
            self._misses += 1
            return default
        entry.used = True
        self._hits += 1
        try:
            return entry.value
        except AttributeError:  # It went since the call above.
            self._was_gone()
            return default

    def __setitem__(self, key: K, value: V) -> None:
        self._store.put(key, value)

    def __delitem__(self, key: K) -> None:
        self._store.remove(key)

    def __contains__(self, key: object) -> bool:
        """Return whether the key is there; this is no use of it."""
        entry = self._entries.get(key)
        return entry is not None and entry.key is not GONE

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """Go through the keys that are there now, in no particular order."""
        return iter(list(self._entries))

    def __repr__(self) -> str:
        if self.closed:
            return "<LruCache, closed>"
        name = self._registration.name
        return f"<LruCache {name!r}, {len(self)} entries>"

    def items(self) -> ItemsView[K, V]:
        """Return a view that goes through what is there when it is iterated."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view that goes through what is there when it is iterated."""
        return _Values(self)

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, /, default: V | T) -> V | T: ...
    def pop(self, key: K, default: Any = _MISSING) -> Any:
        """Take a key out and return its value, or ``default``; no hit, no miss."""
        try:
            return self._store.remove(key)
        except KeyError:
            if default is _MISSING:
                raise
            return default

    def popitem(self) -> tuple[K, V]:
        """Take out what stands first in order, used or not; ``KeyError`` if empty."""
        return self._store.pop_oldest()

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, after setting ``default`` where it has none.

        Threads that do so at once all get the same one (but for keys whose ``__eq__``
        is Python).
        """
        return self._store.put(key, default, replace=False)

    def clear(self) -> None:
        """Take out all entries.  No eviction callback is called."""
        self._store.clear()

    # --- about it -----------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._store.closed

    @property
    def maxsize(self) -> int | None:
        """Entries, or with a weigher bytes, that are kept at most."""
        maxsize = self._store.maxsize
        return maxsize if maxsize <= MAX_WEIGHT else None

    @property
    def weight(self) -> int:
        """What the entries weigh, in bytes; without a weigher, how many they are."""
        return self._store.weight

    @property
    def registration(self) -> ShrinkerRegistration[Any]:
        """The shrinker, as walks know it.  The cache closes it."""
        return self._registration

    def statistics(self) -> CacheStatistics:
        """Return what happened so far, and what is in it."""
        store = self._store
        return CacheStatistics(
            hits=self._hits,
            misses=self._misses,
            entries=len(self._entries),
            weight=store.weight,
            evicted=store.evicted,
            evict_errors=store.errors,
        )

    def _was_gone(self) -> None:
        """Make a miss of what was counted as a hit."""
        self._hits -= 1
        self._misses += 1

    def _snapshot(self) -> Iterator[tuple[K, V]]:
        # Copied in C.  Not items(): making tuples may run finalisers.
        for entry in list(self._entries.values()):
            # No call before the yield.
            key = entry.key
            if key is not GONE:
                yield key, entry.value


class _Items(ItemsView[K, V]):
    """The entries; looking at all of them is no use of any."""

    _mapping: LruCache[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._snapshot()

    def __contains__(self, item: object) -> bool:
        key: Any
        value: Any
        key, value = item  # type: ignore[misc]
        entry = self._mapping._entries.get(key)
        if entry is None:
            return False
        try:
            own = entry.value
        except AttributeError:  # It went since the call above.
            return False
        return bool(own is value or own == value)


class _Values(ValuesView[V]):
    """The values."""

    _mapping: LruCache[Any, V]

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._mapping._snapshot())

    def __contains__(self, value: object) -> bool:
        return any(own is value or own == value for own in self)


def check_takes(name: str, value: object, *arguments: str) -> None:
    """Raise ``TypeError`` for what is not None and cannot be called like that.

    As far as it can be told: some functions of C do not say what they take.
    """
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        of = getattr(value, "__qualname__", type(value).__qualname__)
        raise TypeError(
            f"{name} is called as {name}({', '.join(arguments)}), which {of}{signature}"
            f" does not allow: {error}"
        ) from None


def _caller() -> str:
    """Return module and line of whoever makes a cache."""
    try:
        frame = sys._getframe(2)
    except ValueError:  # Not called by Python, but by a thread's start, say.
        return "?:0"
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno}"
