"""The C types behind ``Cache`` and ``cached`` (csrc/python/cache.c, cached.c).

``Store`` has the entries of one cache.  The registration references the store, and the
store does not reference the cache.  So a cache goes when its last user does.
``CacheFace`` is the base of ``Cache``: lookups and sets in C.  ``DecoratedFunction`` is
what ``cached`` returns, and ``make_key`` makes the keys of its calls.

What C needs of Python is here, too: the eviction callbacks and what becomes of errors.
"""

# ruff: noqa: D102, D103 - C documents the methods

from __future__ import annotations

import os
import threading
import time
from types import MethodType
from typing import TYPE_CHECKING, Any

from shrinker import _walk_errors
from shrinker._ffi import object_function
from shrinker._unpatched import original
from shrinker.cache.checks import check_size
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.growth import Growth

__all__ = [
    "MAX_INSIDE",
    "MAX_NESTED",
    "MAX_WEIGHT",
    "NO_LIMIT",
    "CacheFace",
    "DecoratedFunction",
    "Store",
    "count_one",
    "make_key",
]

MAX_WEIGHT = 2**62
"""Of an entry, and of ``maxsize``."""
NO_LIMIT = 2**63
"""The ``maxsize`` of a store without one."""
MAX_NESTED = 16
"""Levels of eviction callbacks that one thread runs inside each other."""
MAX_INSIDE = 10_000
"""Eviction callbacks that a thread runs inside an outermost one, at all levels."""
MAX_WAIT_SECONDS = 60.0
"""A call that has waited so long for the computation of another thread computes."""
# Kinds of errors, as C counts them.
_RAISED, _NOT_CALLED = 0, 1


class _Nested(threading.local):
    """The eviction callbacks of all caches that this thread is in."""

    depth = 0
    inside = 0
    """Those that have begun inside the outermost one."""


_nested = _Nested()


def _check_weight(weight: object) -> int:
    return check_size("what a weigher returns", weight, 0, MAX_WEIGHT)


def _tell_evicted(store: Store, key: object, value: object) -> None:
    """Call the eviction callback; count and log what it raises."""
    depth = _nested.depth
    inside = _nested.inside + 1 if depth else 0
    if depth >= MAX_NESTED or inside > MAX_INSIDE:
        # Far below the interpreter's own limit, at which a set may fail after it has
        # added and before it has evicted: then caches would grow.  And callbacks that
        # set several keys each would have no end.
        error = RecursionError(
            f"in {depth} eviction callbacks already, and {inside - 1} were called in"
            " the outermost one"
        )
        _failed(store, _NOT_CALLED, "on_evict was not called", error)
        return
    _nested.depth, _nested.inside = depth + 1, inside
    try:
        store.on_evict(key, value)
    except Exception as error:  # noqa: BLE001 - goes to the log
        _failed(store, _RAISED, "on_evict raised", error)
    finally:
        _nested.depth = depth


def _failed(store: Store, kind: int, what: str, error: Exception) -> None:
    """Count an error; log the first of its kind, then ever fewer."""
    import logging  # noqa: PLC0415 - seldom needed

    times = store.count_error(kind)
    log = logging.getLogger("shrinker.cache")
    if times == 1:
        log.error("cache %r: %s", store.name, what, exc_info=error)
    elif str(times).strip("0") == "1":  # 10, 100, 1,000 ...
        log.error("cache %r: %s, %d times so far", store.name, what, times)


def _scan_failed(store: Store, error: BaseException) -> None:
    """Leave what a scan raised to the caller of the walk."""
    where = f"in a scan of cache {store.name!r}"
    _walk_errors.report(id(store), where, error)


def _new_lock() -> Any:
    """Return a locked lock of the system, also where those of Python are patched."""
    lock = original("_thread", "allocate_lock")()
    lock.acquire()
    return lock


def _wait(lock: Any) -> None:
    lock.acquire(timeout=MAX_WAIT_SECONDS)


if TYPE_CHECKING:

    class Store:
        """The entries of one cache."""

        hits: int
        misses: int
        closed: bool
        """Sets are refused."""
        weak_instances: bool
        """Keys may begin with a weak reference to an instance."""
        evicted: int
        expired: int
        ghost_hits: int
        errors: int
        generation: int
        """How often it was cleared."""
        entries: int
        weight: int
        kept: int
        """Weight of what was there before a fork, in the child."""
        learned_seeks: int
        """Of a counted object; 0: nothing is known."""
        computed_seconds: float | None
        """What an entry took to compute, on the average; None: none was computed."""
        page_seconds: float | None
        """The same of a counted object."""
        page_saves: float | None
        """Seconds of computing that a counted object saves in a second."""
        maxsize: int
        ttl: float
        """Seconds; 0: entries do not expire."""
        name: str
        on_evict: Callable[[Any, Any], object]

        def __init__(
            self,
            *,
            name: str,
            growth: Growth,
            maxsize: int,
            unit: int,
            growth_unit: int,
            weigher: Callable[[Any, Any], int] | None,
            sampled: bool,
            on_evict: Callable[[Any, Any], object] | None,
            min_age: float,
            ttl: float,
            batches: int,
            rebuild_seconds: float,
            seconds_per_seek: float,
            max_seeks: int,
            learns: bool,
        ) -> None: ...
        def hit(self, key: Any, default: Any, /) -> Any: ...
        def peek(self, key: Any, default: Any, /) -> Any: ...
        def pop(self, key: Any, default: Any = ..., /) -> Any: ...
        def setdefault(self, key: Any, default: Any, /) -> Any: ...
        def get_or_set(self, key: Any, make: Callable[[], Any], /) -> Any: ...
        def keep(
            self, key: Any, value: Any, generation: int, seconds: float, /
        ) -> Any: ...
        def keep_all(self) -> None: ...
        def give_kept(self) -> bool: ...
        def popitem(self) -> tuple[Any, Any]: ...
        def clear(self) -> None: ...
        def keys(self) -> list[Any]: ...
        def items(self) -> Iterator[tuple[Any, Any]]: ...
        def values(self) -> Iterator[Any]: ...
        def count_error(self, kind: int, /) -> int: ...
        def add_hit(self) -> None: ...
        def add_miss(self) -> None: ...

    class CacheFace:
        """The base of ``Cache``."""

        _store: Store

        def __getitem__(self, key: Any) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __delitem__(self, key: Any) -> None: ...
        def __contains__(self, key: object) -> bool: ...
        def __len__(self) -> int: ...

    class DecoratedFunction:
        """A decorated function."""

        def __init__(
            self,
            store: Store,
            cache: object,
            function: Callable[..., Any],
            typed: bool,
            coalesce: bool,
            tallies: Callable[..., None] | None,
        ) -> None: ...

    def make_key(
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        typed: bool,
        /,
    ) -> Any: ...
    def count_one(counts: dict[str, int], name: str, /) -> None: ...
    def _after_fork() -> None: ...

else:
    Store, CacheFace, DecoratedFunction, make_key, count_one, _after_fork = (
        object_function("python_cache_types", 1)
    )(
        {
            "shrinker_error": ShrinkerError,
            "check_weight": _check_weight,
            "tell_evicted": _tell_evicted,
            "scan_failed": _scan_failed,
            "time": time,
            "method": MethodType,
            "new_lock": _new_lock,
            "wait": _wait,
        }
    )

os.register_at_fork(after_in_child=_after_fork)
