"""``watch``: caches that a program already has give back, too.

The domain keeps the registration, in ``_watches``, under the identity of what is
watched; so dropping the handle changes nothing.  Both of them know each other, and
are garbage together when nobody else has the domain.  The cache is held weakly where
it can be, and its end is the registration's.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker._memory import NotCopied
from shrinker.builder import ShrinkerBuilder, ShrinkerRegistration
from shrinker.cache.adapters import (
    Adapter,
    TryLock,
    adapter_for,
    name_of,
    unwrap,
)
from shrinker.cache.lru import LruCache
from shrinker.cache.terms import Terms
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError, check_int

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Watched", "watch"]

_MAX_ENTRY_BYTES = 2**40


class Watched(NotCopied):
    """What ``watch`` returns.  A context manager.

    Dropping it does not end the watch; ``close()`` does, the domain's ``close()``,
    and the end of what is watched, where that can be referenced weakly.
    """

    __slots__ = ("__weakref__", "_registration")

    _registration: ShrinkerRegistration[Adapter]

    def __init__(self) -> None:
        raise TypeError("a Watched is made by watch")

    @classmethod
    def _of(cls, registration: ShrinkerRegistration[Adapter]) -> Self:
        self = object.__new__(cls)
        self._registration = registration
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Watched {self.name!r}, {state}>"

    @property
    def registration(self) -> ShrinkerRegistration[Any]:
        """The registration, for its figures: ``count()``, ``statistics()``."""
        return self._registration

    @property
    def name(self) -> str:
        """Name of the shrinker."""
        return self._registration.name

    @property
    def closed(self) -> bool:
        """Whether the watch has ended, in whichever way."""
        return self._registration.closed

    def close(self) -> None:
        """End the watch.  Idempotent; waits as ``ShrinkerRegistration.close`` does."""
        self._registration.close()


def watch(
    x: Any = None,
    *,
    lock: Any = None,
    name: str | None = None,
    seeks: int | None = None,
    rebuild_seconds: float | None = None,
    entry_bytes: int | None = None,
    count: Callable[[], int] | None = None,
    evict: Callable[[int], int] | None = None,
    domain: Domain | None = None,
) -> Watched:
    """Let reclaim take from a cache that exists.

    ``x`` is one of these:

    - a ``cachetools`` cache: goes by its ``popitem()``, that is by its own policy;
    - a dict or OrderedDict: the oldest go first;
    - a function under ``cachetools.cached``: its cache and its lock are meant;
    - a function under ``functools.lru_cache``: it can only be cleared whole, its
      hits and misses included, and is when a pass wants all that it has.  That is
      at priority 0, and at 1 if it comes again and again;
    - any object with ``count()``, how many entries it has, and ``evict(n)``, which
      evicts about ``n`` and returns how many went.  Both may run in several threads
      at once.  Or ``count`` and ``evict`` are given themselves.

    ``lock`` is the lock that all users of the cache hold while they use it: with a
    ``threading`` lock's ``acquire(blocking=False)`` and ``release()``.  The first
    three kinds need it; the others may have one, and then it is held around
    ``evict``.  It is never waited for.  An RLock is not entered again.

    ``entry_bytes`` is what an entry weighs on average; then counts and scans are in
    pages of 4 KiB, as those of caches that weigh their entries.
    ``rebuild_seconds`` is what it takes to make an entry anew, as for ``LruCache``;
    or ``seeks`` says it of an entry, with ``entry_bytes`` of a page.  With neither
    they are 2 (4 for ``lru_cache``, which is cleared in a later pass with more).
    ``name`` is the shrinker's, by default the type's or the function's.

    The watch lasts until ``close()`` of the result or of the domain.  It keeps what
    cannot be referenced weakly (a dict, ``count`` and ``evict``); other caches may
    go, and with them the watch.

    Raises ``TypeError`` and ``ValueError`` for bad arguments, a missing lock among
    them; ``ShrinkerError`` for what is watched in this domain already, and where the
    domain is closed.
    """
    domain = default_domain() if domain is None else domain
    if not isinstance(domain, Domain):
        raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
    if entry_bytes is not None:
        check_int("entry_bytes", entry_bytes, 1, _MAX_ENTRY_BYTES)
    given = x
    if count is None and evict is None:
        if x is None:
            raise TypeError("give a cache to watch, or both count= and evict=")
        name = name_of(x) if name is None else name
        x, its_lock = unwrap(x)
        lock = its_lock if lock is None else lock
    else:
        x = _Pair.of(x, count, evict)
        name = name_of(evict) if name is None else name
    kind = _kind(x)
    if lock is None and not kind.thread_safe:
        raise TypeError(_no_lock(x, given))
    try_lock = None if lock is None else TryLock(lock)
    if seeks is None and rebuild_seconds is None:
        seeks = kind.seeks
    builder = ShrinkerBuilder(name, domain=domain)
    terms = Terms(builder, seeks, rebuild_seconds, batch=kind.batch)
    adapter = kind(_get(x, domain), terms, try_lock, entry_bytes)
    return _register(builder, adapter, id(x))


class _Pair:
    """``count`` and ``evict``, where they are given themselves."""

    __slots__ = ("count", "evict")  # And no weak references: nobody else has it.

    def __init__(self, count: Callable[[], int], evict: Callable[[int], int]) -> None:
        self.count = count
        self.evict = evict

    @classmethod
    def of(cls, x: object, count: Any, evict: Any) -> Self:
        if x is not None:
            raise TypeError("give either an object or count= and evict=, not both")
        if count is None or evict is None:
            raise TypeError("give both count= and evict=")
        for what, function in (("count", count), ("evict", evict)):
            if not callable(function):
                raise TypeError(f"{what} must be callable, not {function!r}")
        return cls(count, evict)


def _register(builder: ShrinkerBuilder, adapter: Adapter, target: int) -> Watched:
    """Register ``adapter``, and have the domain keep the registration."""
    watches = builder.domain._watches
    claim = object()
    registration: ShrinkerRegistration[Adapter] | None = None
    # Up to the return: a signal's exception leaves all or nothing.
    try:
        if watches.setdefault(target, claim) is not claim:
            raise ShrinkerError("it is watched in this domain already")  # noqa: TRY301
        registration = builder.register(adapter)
        # It may become garbage with its domain: nobody was asked to close it.
        registration._quiet = True
        registration._keeper_key = target
        registration._keeper = watches
        watches[target] = registration
        if registration.closed:  # The domain was closed meanwhile.
            raise ShrinkerError("the domain is closed")  # noqa: TRY301
        return Watched._of(registration)
    except BaseException:
        # In one go; what is there may be somebody else's.
        if target in watches and watches[target] is claim:
            del watches[target]
        if registration is not None:
            registration._close(wait=False)
        builder.close()
        raise


def _get(x: Any, domain: Domain) -> Callable[[], Any]:
    """Return a function that returns ``x``, None once it is gone."""
    gone = functools.partial(_gone, weakref.ref(domain), id(x))
    try:
        return weakref.ref(x, gone)
    except TypeError:
        return lambda: x


def _gone(domain: weakref.ref[Domain], target: int, _: object) -> None:
    """End the watch of what has gone.  Waits for nothing: this may be anywhere."""
    if (of := domain()) is None:
        return
    registration = of._watches.get(target)
    if isinstance(registration, ShrinkerRegistration):
        registration._close(wait=False)


def _kind(x: Any) -> type[Adapter]:
    kind = adapter_for(x)
    if kind is None and isinstance(getattr(x, "cache", x), LruCache):
        raise TypeError(
            f"a {type(x).__name__} of shrinker.cache is a shrinker already: nothing"
            " needs to be done"
        )
    if kind is None:
        raise TypeError(
            f"nobody knows how to evict from a {type(x).__name__}: give it methods"
            " count() and evict(n), or pass count= and evict="
        )
    return kind


def _no_lock(x: Any, given: Any) -> str:
    why = (
        "Without it entries would go between their `if key in cache` and their"
        " `cache[key]`"
    )
    if given is not x:
        return (
            f"{name_of(given)} was decorated by cachetools without a lock: say"
            f" cached(..., lock=...).  {why}"
        )
    return (
        f"a {type(x).__name__} needs lock=: the lock that everybody holds who uses"
        f" it.  {why}"
    )
