"""``watch``: makes a shrinker of a cache that a program already has.

The domain keeps the registration in ``_watches``, under the ``id()`` of the watched
cache; so the watch goes on when the handle is dropped.  Domain and registration
reference each other, and are collected together once nothing else references the
domain.  The cache is referenced weakly where its type allows that, and the watch ends
with it.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker._capsule import NotCopied
from shrinker.builder import ShrinkerBuilder
from shrinker.cache.cache import Cache
from shrinker.cache.checks import caller, check_size
from shrinker.cache.libraries import adapter_for, name_of, unwrap
from shrinker.cache.pass_settings import PassSettings
from shrinker.cache.try_lock import TryLock
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError
from shrinker.registration import ShrinkerRegistration
from shrinker.values import SHRINK_BATCH

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from shrinker.cache.adapters import Adapter
    from shrinker.cache.on_loop import OnLoop

__all__ = ["Watched", "watch"]

_MAX_ENTRY_BYTES = 2**40
LOOP_MAX_BATCH = 8192
"""Objects of a scan call on an event loop, which it delays by a few milliseconds.

More than elsewhere, since each call takes a turn of the loop.
"""


class Watched(NotCopied):
    """The handle that ``watch`` returns.  A context manager.

    Dropping it does not end the watch.  The watch ends with ``close()``, with the
    domain's ``close()``, and with the cache, if its type can be referenced weakly.
    """

    __slots__ = ("__weakref__", "_registration")

    _registration: ShrinkerRegistration[Adapter]

    def __init__(self) -> None:
        raise TypeError("a Watched is made by watch()")

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
        """The shrinker's registration, for ``count()``, ``statistics()`` and so on."""
        return self._registration

    @property
    def name(self) -> str:
        """Name of the shrinker."""
        return self._registration.name

    @property
    def closed(self) -> bool:
        """Whether the watch has ended, by ``close()`` or with the domain or cache."""
        return self._registration.closed

    def close(self) -> None:
        """End the watch.  Idempotent; waits as ``ShrinkerRegistration.close`` does."""
        self._registration.close()


def watch(
    x: Any = None,
    *,
    lock: Any = None,
    loop: asyncio.AbstractEventLoop | None = None,
    name: str | None = None,
    seeks: int | None = None,
    rebuild_seconds: float | None = None,
    entry_bytes: int | None = None,
    count: Callable[[], int] | None = None,
    evict: Callable[[int], int] | None = None,
    domain: Domain | None = None,
) -> Watched:
    """Let reclaim evict from a cache that exists.

    ``x`` is one of these:

    - a dict, OrderedDict or UserDict: evicts the oldest entries first;
    - a ``cachetools`` cache, or another object with ``popitem()`` and ``len()``, as
      those of cachebox and lru-dict: evicts by ``popitem()``;
    - a function under ``cachetools.cached``: stands for its cache and its lock;
    - a function under ``functools.lru_cache``: can only be cleared whole, with its
      hits and misses.  It is cleared by a pass at priority 0, or by the third of
      several passes at priority 1.  So is one under ``async_lru.alru_cache``;
    - a ``zict.LRU`` or ``zict.Buffer``, a ``LocMemCache`` of Django (as in
      ``caches["default"]``), and the ``LRUCache`` of Jinja (``environment.cache``) and
      of SQLAlchemy (``engine._compiled_cache``): evict what was used longest ago;
    - any object with ``count()``, which returns the number of entries, and
      ``evict(n)``, which evicts about ``n`` and returns how many.  Several threads may
      call both at once.  Or give the two functions as ``count`` and ``evict``.

    ``lock`` is the lock that all users of the cache hold while they use it.  It has
    ``acquire(blocking=False)`` and ``release()``, as the locks of ``threading`` have.
    Only the reclaimer's thread waits for it, for a tenth of a second at most (half a
    second below *min*), and then frees all that it wants of this cache at once.  No
    scan enters an RLock a second time.  ``loop`` is the event loop on which all users
    of the cache run, in place of a lock.  A scan waits a tenth of a second for it, and
    the watch ends when it is closed.  Dicts, objects with
    ``popitem()`` and those of ``zict`` need one of the two; functions under
    ``alru_cache`` need ``loop``.  The caches of Django and Jinja have locks of their
    own.  Other kinds may have either, which is then held around ``evict``.

    ``entry_bytes`` is the average weight of an entry.  With it counts and scans are in
    pages of 4 KiB, as those of caches that weigh their entries.  Without it they are in
    pages too where ``cachetools`` has a ``getsizeof`` or ``zict`` a ``weight``, which
    return bytes, and once a reclaimer has seen that entries are larger than a page.
    ``rebuild_seconds`` is the time to make an entry anew, as for ``Cache``.
    Or give ``seeks``, of an entry, or of a page where pages are counted.  The default
    is 2 seeks (4 for ``lru_cache``; with more, clearing it takes several passes).
    ``name`` is the shrinker's.  By default it is the function's, or the type's with
    module and line of this call, as in ``dict@app:41``.

    The watch lasts until ``close()`` of the result or of the domain.  A cache that can
    be referenced weakly may go before, and the watch ends with it.  What cannot be (a
    dict, ``count`` and ``evict``) is kept alive by the watch.

    Raises ``TypeError`` and ``ValueError`` for bad arguments, such as a missing lock;
    ``ShrinkerError`` where this domain watches the cache already, and where the domain
    is closed.
    """
    domain = default_domain() if domain is None else domain
    if not isinstance(domain, Domain):
        raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
    if entry_bytes is not None:
        entry_bytes = check_size("entry_bytes", entry_bytes, 1, _MAX_ENTRY_BYTES)
    given = x
    if count is None and evict is None:
        if x is None:
            raise TypeError("give a cache to watch, or both count= and evict=")
        if name is None:
            name = name_of(x)
            if not hasattr(x, "__qualname__"):  # Many have this type.
                name = f"{name}@{caller()}"
        x, its_lock = unwrap(x)
        lock = its_lock if lock is None else lock
    else:
        x = _CountAndEvictPair.of(x, count, evict)
        name = name_of(evict) if name is None else name
    kind = _kind(x)
    guard = _guard(x, kind, lock, loop, given)
    if seeks is None and rebuild_seconds is None:
        seeks = kind.seeks
    builder = ShrinkerBuilder(name, domain=domain)
    max_batch = SHRINK_BATCH if loop is None else LOOP_MAX_BATCH
    settings = PassSettings(
        builder, seeks, rebuild_seconds, batch=kind.batch, max_batch=max_batch
    )
    shared = kind.shared_by(x)
    target = id(shared)
    get = _reference(x, target, domain) if shared is x else lambda: x
    return _register(builder, kind(get, settings, guard, entry_bytes), target)


class _CountAndEvictPair:
    """The arguments ``count`` and ``evict`` as an object that has both."""

    # No weak references, so that the watch keeps it.
    __slots__ = ("count", "evict")

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
    ended = watches.get(target)
    if isinstance(ended, ShrinkerRegistration) and ended.private_data.ended:
        ended._close(wait=False)
    # A signal's exception may come anywhere up to the return: all is done, or nothing.
    try:
        if watches.setdefault(target, claim) is not claim:
            raise ShrinkerError("it is watched in this domain already")  # noqa: TRY301
        registration = builder.register(adapter)
        # No ResourceWarning: it may become garbage with its domain, unclosed.
        registration._quiet = True
        registration._keeper_key = target
        registration._keeper = watches
        watches[target] = registration
        if registration.closed:  # The domain was closed meanwhile.
            raise ShrinkerError("the domain is closed")  # noqa: TRY301
        return Watched._of(registration)
    except BaseException:
        # Only our own claim: no other thread replaces or deletes it.
        if target in watches and watches[target] is claim:
            del watches[target]
        if registration is not None:
            registration._close(wait=False)
        builder.close()
        raise


def _reference(x: Any, target: int, domain: Domain) -> Callable[[], Any]:
    """Return a function that returns ``x``, or None once it is gone."""
    gone = functools.partial(_gone, weakref.ref(domain), target)
    try:
        return weakref.ref(x, gone)
    except TypeError:
        return lambda: x


def _gone(domain: weakref.ref[Domain], target: int, _: object) -> None:
    """End the watch of a cache that is gone.  Must not wait: any code may run this."""
    if (its_domain := domain()) is None:
        return
    registration = its_domain._watches.get(target)
    if isinstance(registration, ShrinkerRegistration):
        registration._close(wait=False)


def _kind(x: Any) -> type[Adapter]:
    if isinstance(getattr(x, "cache", x), Cache):
        raise TypeError(
            f"{type(x).__name__} of shrinker.cache is a shrinker already: do not watch"
            " it"
        )
    kind = adapter_for(x)
    if kind is None:
        raise TypeError(
            f"watch() cannot evict from an object of type {type(x).__name__}: give it"
            " methods count() and evict(n), or pass count= and evict="
        )
    return kind


def _guard(
    x: Any, kind: type[Adapter], lock: Any, loop: Any, given: Any
) -> TryLock | OnLoop | None:
    """Return what keeps the users of ``x`` away during a scan."""
    own_lock = kind.lock_of(x)
    if own_lock is not None:
        if lock is not None or loop is not None:
            raise TypeError(
                f"{type(x).__name__} has a lock of its own: give neither lock= nor"
                " loop="
            )
        return TryLock(own_lock)
    if loop is not None:
        if lock is not None:
            raise TypeError("give either lock= or loop=, not both")
        from shrinker.cache.on_loop import OnLoop  # noqa: PLC0415 - imports asyncio

        return OnLoop(loop)
    if kind.needs_loop:
        raise TypeError(
            f"{name_of(given)} needs loop=, the event loop on which it is called"
        )
    if lock is not None:
        return TryLock(lock)
    if not kind.thread_safe:
        raise TypeError(_no_guard(x, given))
    return None


def _no_guard(x: Any, given: Any) -> str:
    why = (
        "Without it entries would go between a user's `if key in cache` and"
        " `cache[key]`"
    )
    if given is not x:
        return (
            f"{name_of(given)} was decorated by cachetools without a lock: write"
            f" cached(..., lock=...).  {why}"
        )
    return (
        f"{type(x).__name__} needs lock=, the lock that all its users hold, or loop=,"
        f" the event loop on which they run.  {why}"
    )
