"""What makes a shrinker of a cache that was not written to be one.

An adapter knows two things about a kind of cache: how many entries it has, and how
to take some off.  ``Adapter`` has the rest, which is the same for all:

1. *count* takes no lock.  It reads one number, which the interpreter does in one
   go, and never calls what a cache does on its own account: the ``len()`` of a
   ``cachetools.TTLCache`` removes what has expired.
2. *scan* takes the lock without waiting, and says STOP where it is taken: who
   holds it may be waiting for memory, that is, for us.
3. An RLock would let in the thread that holds it.  A thread that reclaims in the
   midst of its own ``with lock:`` would find entries gone that it has just seen, so
   a lock that says it is ours already counts as taken.
4. What was taken off is let go of after the lock: destructors run any code.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from shrinker.errors import check_int
from shrinker.growth import PAGE_SIZE
from shrinker.values import DEFAULT_SEEKS, CountObjects, ScanObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.cache.terms import Terms
    from shrinker.control import ShrinkControl

__all__ = ["Adapter", "TryLock", "adapter_for", "is_lru_function", "name_of", "unwrap"]

# A pass makes a scan call once it has a batch together, or the whole cache.  No
# pass ever has this much together.
_NEVER_A_BATCH = 2**62
_NO_ARGUMENTS: tuple[tuple[()], ...] = ((),)
# Of a dict, keys that are taken ahead: this part of it.
_AHEAD = 16
_GONE = object()
_ASYNC = (
    "lock must not be a {}, for the reclaimer is another thread: use a threading.Lock,"
    " and never hold it across an await"
)
_LruFunction = type(functools.lru_cache(len))


class TryLock:
    """A lock that is taken without waiting, or not at all.

    Raises ``TypeError`` for what belongs to asyncio, and for what has no
    ``acquire(blocking=False)`` and ``release()``.  It is tried once, since no lock
    says what its ``acquire`` takes.
    """

    __slots__ = ("_is_owned", "_release", "_try")

    def __init__(self, lock: Any) -> None:
        acquire = getattr(lock, "acquire", None)
        release = getattr(lock, "release", None)
        if not callable(acquire) or not callable(release):
            raise TypeError(f"lock must be a threading.Lock, not {_kind(lock)}")
        if hasattr(lock, "__aenter__") and not hasattr(lock, "__enter__"):
            raise TypeError(_ASYNC.format(_kind(lock)))
        self._try = functools.partial(acquire, blocking=False)
        self._release: Callable[[], object] = release
        is_owned = getattr(lock, "_is_owned", None)
        self._is_owned: Callable[[], object] | None = (
            is_owned if callable(is_owned) else None
        )
        got: list[Any] = []
        try:
            got.extend(itertools.starmap(self._try, _NO_ARGUMENTS))
        except TypeError as error:
            raise TypeError(
                f"lock must have acquire(blocking=False), as a threading.Lock has:"
                f" {_kind(lock)} raised {error}"
            ) from error
        finally:
            # Also where a signal's exception comes.  An attribute is no call, behind
            # which another one could.
            if got and got[0]:
                try:
                    awaited = got[0].__await__
                except AttributeError:
                    awaited = None
                    release()
        if got[0] and awaited is not None:
            got[0].close()
            raise TypeError(_ASYNC.format(_kind(lock)))

    def run(self, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns under the lock; STOP where it is taken."""
        if self._is_owned is not None and self._is_owned():
            return ScanObjects.STOP
        got: list[Any] = []
        try:
            # Written in one go: after an `acquire` that returns here, a signal's
            # exception could come before anybody knows that the lock is ours.
            got.extend(itertools.starmap(self._try, _NO_ARGUMENTS))
            return work() if got[0] else ScanObjects.STOP
        finally:
            if got and got[0]:
                self._release()


class Adapter:
    """The shrinker of a watched cache; subclasses know a kind of cache.

    ``get`` returns the cache, None once it is gone.  ``entry_bytes`` is what an
    entry weighs; with it counts and scans are in pages.
    """

    batch: int | None = None
    """Where it does not follow the size."""
    seeks = DEFAULT_SEEKS
    thread_safe = False

    def __init__(
        self,
        get: Callable[[], Any],
        terms: Terms,
        lock: TryLock | None = None,
        entry_bytes: int | None = None,
    ) -> None:
        self._get = get
        self._terms = terms
        self._lock = lock
        self._entry_bytes = entry_bytes

    def size(self, x: Any) -> int:
        """Return how many entries there are.  Takes no lock."""
        raise NotImplementedError

    def take(self, x: Any, n: int, taken: list[Any]) -> int:
        """Take ``n`` entries off, put them into ``taken``, return how many went.

        The lock is held.  More than ``n`` may go.
        """
        raise NotImplementedError

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:  # noqa: ARG002
        """Return the entries, or their pages."""
        x = self._get()
        if x is None:
            return CountObjects.EMPTY
        n = self.size(x)
        if n == 0:
            return CountObjects.EMPTY
        count = n if self._entry_bytes is None else self._pages(_checked("count", n))
        if type(count) is int and count > 0:  # All else is the trampoline's affair.
            self._terms.update(count, n)
        return count

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects | int:
        """Evict what is asked for; STOP where the lock is taken."""
        x = self._get()
        if x is None:
            return ScanObjects.STOP
        taken: list[Any] = []
        work = functools.partial(self._evict, x, sc.nr_to_scan, taken)
        try:
            freed = work() if self._lock is None else self._lock.run(work)
        finally:
            taken.clear()  # No lock is held, and no traceback is to keep it.
        if type(freed) is int and freed > sc.nr_to_scan:
            sc.nr_scanned = freed  # What came on top is not asked for again.
        return freed  # type: ignore[no-any-return]

    def _pages(self, entries: int) -> int:
        assert self._entry_bytes is not None  # noqa: S101 - for mypy
        return -(-entries * self._entry_bytes // PAGE_SIZE)

    def _evict(self, x: Any, n: int, taken: list[Any]) -> Any:
        if self._entry_bytes is None:
            return self.take(x, n, taken)
        # Differences of rounded sums, so that over many scans nothing is lost: all
        # that was counted is freed in the end, and no more.
        before = _checked("count", self.size(x))
        keep = max(self._pages(before) - n, 0) * PAGE_SIZE // self._entry_bytes
        freed = self.take(x, max(before - keep, 0), taken)
        if isinstance(freed, ScanObjects):
            return freed  # STOP.
        after = max(before - _checked("evict", freed), 0)
        return self._pages(before) - self._pages(after)


class DictEntries(Adapter):
    """A dict or OrderedDict: the oldest first, which is the order that they keep."""

    def __init__(
        self,
        get: Callable[[], Any],
        terms: Terms,
        lock: TryLock | None = None,
        entry_bytes: int | None = None,
    ) -> None:
        super().__init__(get, terms, lock, entry_bytes)
        self._ahead: list[Any] = []
        self._stale = True

    def size(self, x: Any) -> int:
        """Return the length, whatever a subclass has made of ``len``."""
        return dict.__len__(x)

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
        """Begin a pass."""
        self._stale = True
        return super().count_objects(sc)

    def take(self, x: Any, n: int, taken: list[Any]) -> int:
        """Delete the oldest keys through the object, so that a subclass hears it."""
        freed = 0
        plain = type(x).__delitem__ in _PLAIN_DELITEM
        for key in self._oldest(x, n, taken):
            taken.append(key)
            if plain:
                value = x.pop(key, _GONE)
            elif (value := dict.get(x, key, _GONE)) is not _GONE:
                del x[key]
            if value is not _GONE:
                taken.append(value)
                freed += 1
        return freed

    def _oldest(self, x: Any, n: int, taken: list[Any]) -> Iterator[Any]:
        """Return an iterator over the next ``n`` keys, or fewer.

        A dict keeps the places of deleted entries until it grows again, and who
        looks for its first one passes by them all.  So a look takes enough keys for
        several scans of a pass; the next pass begins with a look of its own.
        """
        if isinstance(x, OrderedDict):  # No such places; but entries may move.
            return iter(_first(OrderedDict.__iter__(x), n))
        ahead = self._ahead
        there = dict.__len__(x)
        n = min(n, there)
        if self._stale or len(ahead) < n:
            self._stale = False
            taken.append(ahead)  # Others may have deleted its keys since.
            ahead = _first(dict.__iter__(x), max(n, there // _AHEAD)) if n else []
            ahead.reverse()
            self._ahead = ahead
        return (ahead.pop() for _ in range(min(n, len(ahead))))


class CachetoolsEntries(Adapter):
    """A ``cachetools.Cache``: ``popitem()``, that is its own policy."""

    def __init__(
        self,
        get: Callable[[], Any],
        terms: Terms,
        lock: TryLock | None = None,
        entry_bytes: int | None = None,
    ) -> None:
        super().__init__(get, terms, lock, entry_bytes)
        self._len: Callable[[Any], int] = _cachetools_cache().__len__

    def size(self, x: Any) -> int:
        """Return the length without removing what has expired."""
        return self._len(x)

    def take(self, x: Any, n: int, taken: list[Any]) -> int:
        """Remove what has expired, then pop as long as there is something."""
        before = self.size(x)
        expire = getattr(x, "expire", None)
        if callable(expire):
            taken.append(expire())
        for _ in range(n - (before - self.size(x))):
            try:
                taken.append(x.popitem())
            except KeyError:
                if self.size(x):
                    raise
                break
        return max(before - self.size(x), 0)


class LruFunction(Adapter):
    """A function under ``functools.lru_cache``, which can only be cleared whole.

    So a pass may call *scan* only when it wants all that there is: no batch is
    ever large enough, and with ``seeks`` 4 a pass wants the whole cache at
    priority 0.
    """

    batch = _NEVER_A_BATCH
    seeks = 4
    thread_safe = True

    def size(self, x: Any) -> int:
        """Return the results that are kept."""
        return int(x.cache_info().currsize)

    def take(self, x: Any, n: int, taken: list[Any]) -> int:  # noqa: ARG002
        """Clear it, unless little is wanted."""
        size = self.size(x)
        if n < size // 2:
            return 0  # Not a pass: somebody tries `registration.scan(1)`.
        x.cache_clear()
        return size


class Callables(Adapter):
    """An object with ``count()`` and ``evict(n)``, which see to their own locks."""

    thread_safe = True

    def size(self, x: Any) -> int:
        """Ask it; the trampoline checks the answer."""
        return x.count()  # type: ignore[no-any-return]

    def take(self, x: Any, n: int, taken: list[Any]) -> int:  # noqa: ARG002
        """Ask it; it lets go itself."""
        return x.evict(n)  # type: ignore[no-any-return]


_PLAIN_DELITEM = (dict.__delitem__, OrderedDict.__delitem__)


def adapter_for(x: Any) -> type[Adapter] | None:
    """Return the adapter that knows ``x``; None where none does."""
    if callable(getattr(x, "count", None)) and callable(getattr(x, "evict", None)):
        return Callables
    if is_lru_function(x):
        return LruFunction
    if isinstance(x, dict):
        return DictEntries
    cache = _cachetools_cache()
    if cache is not None and isinstance(x, cache):
        return CachetoolsEntries
    return None


def is_lru_function(x: object) -> bool:
    """Return whether ``functools.lru_cache`` or ``functools.cache`` made it."""
    return isinstance(x, _LruFunction)


def unwrap(x: Any) -> tuple[Any, Any]:
    """Return the cache behind ``x`` and the lock that it comes with, or None.

    A method knows its function, and what ``cachetools`` has decorated its cache and
    its lock.  Raises ``TypeError`` for what ``cachetools.cachedmethod`` has decorated,
    where that does not say whose cache is meant.
    """
    function = getattr(x, "__func__", x)
    if is_lru_function(function):
        return function, None
    if callable(function) and hasattr(function, "cache_lock"):
        cache, lock = getattr(function, "cache", None), function.cache_lock
        if not callable(cache):
            return cache, lock
        # Up to cachetools 6, a function from an object to its cache.
    elif not type(x).__module__.startswith("cachetools.") or not callable(x):
        return x, None
    raise TypeError(
        f"{name_of(x)} is under cachetools.cachedmethod, and each object has a cache"
        " of its own: watch that, as in watch(self.cache, lock=self.lock)"
    )


def name_of(x: Any) -> str:
    """Return the name of a function, of all else that of its type."""
    return str(getattr(x, "__qualname__", type(x).__qualname__))


def _cachetools_cache() -> Any:
    """Return ``cachetools.Cache``, None while nobody has imported it."""
    return getattr(sys.modules.get("cachetools"), "Cache", None)


def _first(keys: Iterator[Any], n: int) -> list[Any]:
    """Return up to ``n`` keys; none where the dict changes, as nobody should let it."""
    try:
        return list(itertools.islice(keys, min(n, sys.maxsize)))
    except RuntimeError:
        return []


def _checked(what: str, n: object) -> int:
    return check_int(f"what {what} returns", n, 0, sys.maxsize)


def _kind(x: object) -> str:
    return f"{type(x).__module__}.{type(x).__qualname__}"
