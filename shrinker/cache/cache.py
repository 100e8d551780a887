"""``Cache``: a mapping that gives back the entries that were used longest ago.

The mapping is C; csrc/python/cache.c starts with its rules.  All methods can be used
from any thread, from signal handlers, finalisers, weighers, eviction callbacks and the
``__eq__`` of keys.

A hit marks an entry.  Eviction takes the entry at the head of the order; if that is
marked, it loses the mark and goes to the tail instead, as with the kernel's LRU_ROTATE.
Once the cache has evicted any, a new key comes in on trial, much as in S3-FIFO: it is
among the first to be evicted, until it is used.  One that was evicted a short while ago
has no trial.
"""

from __future__ import annotations

import dataclasses
from collections.abc import ItemsView, MutableMapping, ValuesView
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from shrinker._capsule import NotCopied
from shrinker._ffi import ffi, lib
from shrinker.builder import ShrinkerBuilder
from shrinker.cache.checks import (
    caller,
    check_seconds,
    check_size,
    check_takes,
    check_ttl,
    check_weigher,
)
from shrinker.cache.entries import MAX_WEIGHT, NO_LIMIT, CacheFace, Store
from shrinker.cache.pass_settings import BATCHES_PER_CACHE, PassSettings
from shrinker.cache.registered_store import RegisteredStore
from shrinker.cache.seeks import MAX_SEEKS, SECONDS_PER_SEEK
from shrinker.cache.sizeof import sampled_sizeof
from shrinker.domain import Domain, default_domain
from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.registration import ShrinkerRegistration

__all__ = ["Cache", "CacheStatistics"]

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
    """Entries in it now, also those that have expired and have not left yet."""
    weight: int
    """What they weigh, in bytes (by default an estimate); with ``weigher=None``, how
    many they are."""
    evicted: int
    """Entries that were evicted, by scans, for ``maxsize``, and under pressure."""
    evict_errors: int
    """Exceptions of eviction callbacks, and callbacks that were not called."""
    expired: int
    """Entries that left because their ``ttl`` was over; not among ``evicted``."""
    ghost_hits: int
    """Sets of keys that were evicted a short while ago; expired ones do not count."""
    seeks: int
    """Cost of a counted object (a page; with ``weigher=None`` an entry), in disk seeks,
    at the last count."""
    computed_seconds: float | None
    """What an entry took to compute, the mean of the last minutes, where seeks are
    learned; None: none was computed, or seeks are given."""
    page_saves: float | None
    """Seconds of computing that a counted object saves in a second; None as above."""


class Cache(NotCopied, CacheFace, MutableMapping[K, V]):
    """A mapping whose entries may be evicted at any time.

    It registers a shrinker in ``domain`` (None: the default domain), under ``name``
    (None: the module and line that made it), and is emptied by the domain's walks.
    Dropping it unregisters it; where the domain is closed before, it goes on as a
    cache without a shrinker.

    ``maxsize``: as many entries are kept at most; with a weigher of your own, as many
    bytes.  With None only memory limits it.  An entry that weighs more than ``maxsize``
    by itself is evicted at once.

    ``weigher(key, value)`` returns the bytes of an entry, 0 to 2**62.  By default some
    entries are measured by ``sizeof`` when they are set: the first 16, then one in 128,
    and one for 4 MiB.  Others weigh the running mean; the length of a value that is
    bytes or text always counts.  The shrinker counts pages of 4096 bytes, so that
    caches compare.  With None it counts entries, which are taken for a page each.  What
    a weigher raises comes out of the set, and nothing has changed then.

    ``rebuild_seconds`` is what it takes to make one entry anew.  From it each count
    makes the shrinker's ``seeks``, which are those of a page (with ``weigher=None``, of
    an entry): the larger the entries, the cheaper.  Or ``seeks`` are given, of a page
    or an entry, and stay as they are.  With neither they are 2, and learned where
    ``cached`` or ``get_or_set`` computes what is set and ``min_age`` is 0: a cache of
    the domain whose pages save more computing gives fewer of them (docs/caches.md).

    ``min_age``: scans leave entries alone that were set less than so many seconds
    ago; ``maxsize`` does not.

    ``ttl``: seconds after which an entry expires, counted from its last set; with None
    no entry does.  A look-up does not find an expired entry.  The entry is removed when
    a look-up meets it, when ``len`` or iteration goes through the cache, and before all
    others in scans and sets; each set removes two.  The clock is ``time.monotonic``.

    ``on_evict(key, value)`` is called after an entry was evicted or has expired (not
    where the user deletes or overwrites it), in the thread that evicts or that meets
    the expired entry, with no lock held.  What it
    raises is counted; the first goes to the log ``shrinker.cache``, and the count at
    10, 100, 1,000 and so on.  A callback may evict.  Where callbacks run inside each
    other 16 deep, or 10,000 inside one, no more are called, which counts as errors.

    Making room for an entry puts up to 8 entries that were used to the tail, and
    then evicts also those; a scan gives a second chance to all.  Once a cache of 10
    entries or more has evicted any, a key that was not asked for before is among the
    first to go.  Where a set needs bytes and entries differ in size, it looks at some
    entries and evicts the one that is the largest for its hits.  While
    ``domain.under_pressure`` is set, a set evicts what it adds.

    Raises ``TypeError`` and ``ValueError`` for bad arguments, ``ShrinkerError``
    where the domain is closed already, and later for a set into a closed cache, and
    for any use of one whose ``__init__`` was not called.
    """

    __slots__ = ("__weakref__", "_registration")

    # Invariants: the registration references the store, and the store does not
    # reference the cache.  So a cache and its entries go when the last user does.
    _registration: ShrinkerRegistration[Any]

    def __init__(
        self,
        maxsize: int | None = None,
        *,
        weigher: Callable[[K, V], int] | None = sampled_sizeof,
        name: str | None = None,
        seeks: int | None = None,
        rebuild_seconds: float | None = None,
        min_age: float = 0.0,
        ttl: float | None = None,
        on_evict: Callable[[K, V], object] | None = None,
        domain: Domain | None = None,
    ) -> None:
        if maxsize is not None:
            maxsize = check_size("maxsize", maxsize, 0, MAX_WEIGHT)
        sampled = weigher is sampled_sizeof
        if not sampled:
            check_weigher(weigher, "key", "value")
        check_takes("on_evict", on_evict, "key", "value")
        min_age = check_seconds("min_age", min_age)
        ttl = check_ttl(ttl)
        domain = default_domain() if domain is None else domain
        name = caller() if name is None else name
        builder = ShrinkerBuilder(name, domain=domain)
        settings = PassSettings(builder, seeks, rebuild_seconds)
        unit_bytes = PAGE_SIZE if weigher is None else 1
        self._store = store = Store(
            name=name,
            growth=domain._growth,
            maxsize=NO_LIMIT if maxsize is None else maxsize,
            # What the shrinker counts in, in units of weight.
            unit=1 if weigher is None else PAGE_SIZE,
            growth_unit=unit_bytes,
            weigher=None if sampled else weigher,
            sampled=sampled,
            on_evict=on_evict,
            min_age=min_age,
            ttl=ttl,
            batches=BATCHES_PER_CACHE,
            rebuild_seconds=settings.rebuild_seconds,
            seconds_per_seek=SECONDS_PER_SEEK,
            max_seeks=MAX_SEEKS,
            # Scans spare young entries whatever they are worth.
            learns=seeks is None and rebuild_seconds is None and not min_age,
        )
        self._registration = _register(builder, store, unit_bytes)
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

    # --- the mapping; lookups, sets and deletions are CacheFace's -------------

    if TYPE_CHECKING:

        @overload
        def get(self, key: K, /) -> V | None: ...
        @overload
        def get(self, key: K, /, default: V | T) -> V | T: ...
        def get(self, key: K, default: Any = None) -> Any:
            """Return the value of a key, or ``default``; a hit or a miss as well."""

    def __iter__(self) -> Iterator[K]:
        """Go through the keys that are there now, in no particular order."""
        return iter(self._store.keys())

    def __repr__(self) -> str:
        if not hasattr(self, "_registration"):
            return "<Cache, not initialised>"
        if self.closed:
            return "<Cache, closed>"
        name = self._registration.name
        return f"<Cache {name!r}, {len(self)} entries>"

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
        if default is _MISSING:
            return self._store.pop(key)
        return self._store.pop(key, default)

    def popitem(self) -> tuple[K, V]:
        """Take out what stands first in order, used or not; ``KeyError`` if empty."""
        return self._store.popitem()

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, after setting ``default`` where it has none.

        Threads that do so at once all get the same one.  Neither a hit nor a miss.
        What it returns need not stay: a value heavier than ``maxsize`` is evicted at
        once.  Raises ``ShrinkerError`` where the cache is closed.
        """
        return self._store.setdefault(key, default)

    def get_or_set(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, after setting what ``make()`` returns where it
        has none; a hit or a miss as well.

        Threads that want one key at once wait for one call of ``make``, as those of a
        function under ``cached`` do; its exception reaches all of them, and nothing is
        set.  A value that is set meanwhile stays, and is returned.  One that is deleted
        or cleared meanwhile is not set, and what ``make`` returns is returned; so it is
        where the cache is closed.
        """
        return self._store.get_or_set(key, make)  # type: ignore[no-any-return]

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
        """Entries, or with a weigher of your own bytes, that are kept at most."""
        maxsize = self._store.maxsize
        return maxsize if maxsize <= MAX_WEIGHT else None

    @property
    def weight(self) -> int:
        """What the entries weigh, in bytes; with ``weigher=None``, how many they are.

        By default an estimate; the cache's own bytes are in it.
        """
        return self._store.weight

    @property
    def ttl(self) -> float | None:
        """Seconds after which an entry expires; None: it does not."""
        return self._store.ttl or None

    @property
    def registration(self) -> ShrinkerRegistration[Any]:
        """The shrinker, as walks know it.  The cache closes it."""
        _ = self._store  # Raises where it was not initialised.
        return self._registration

    def statistics(self) -> CacheStatistics:
        """Return what happened so far, and what is in it."""
        store = self._store
        return CacheStatistics(
            hits=store.hits,
            misses=store.misses,
            entries=store.entries,
            weight=store.weight,
            evicted=store.evicted,
            evict_errors=store.errors,
            expired=store.expired,
            ghost_hits=store.ghost_hits,
            seeks=self._registration.seeks,
            computed_seconds=store.computed_seconds,
            page_saves=store.page_saves,
        )


class _Items(ItemsView[K, V]):
    """The entries; looking at all of them is no use of any."""

    _mapping: Cache[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._store.items()

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:  # noqa: PLR2004 - a pair
            return False  # As a dict's items.
        key, value = item
        own = self._mapping._store.peek(key, _MISSING)
        return own is not _MISSING and bool(own is value or own == value)


class _Values(ValuesView[V]):
    """The values."""

    _mapping: Cache[Any, V]

    def __iter__(self) -> Iterator[V]:
        return self._mapping._store.values()

    def __contains__(self, value: object) -> bool:
        return any(own is value or own == value for own in self)


def _register(
    builder: ShrinkerBuilder, store: Store, unit_bytes: int
) -> ShrinkerRegistration[Any]:
    """Register the callbacks of csrc/python/cache_shrinker.c."""
    lib.python_cache_adopt(builder._c)
    return builder.register_native(
        ffi.addressof(lib, "python_cache_count"),
        # With the name that events show.
        SimpleNamespace(
            address=int(ffi.cast("uintptr_t", ffi.addressof(lib, "python_cache_scan"))),
            __qualname__="Cache.scan",
        ),
        id(store),
        keepalive=RegisteredStore(store, unit_bytes),
    )
