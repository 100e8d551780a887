"""``cached``: a function that remembers its results as long as there is memory.

It is ``functools.lru_cache`` with an ``LruCache`` behind it.  A hit looks into the
dictionary of that cache by itself, for the call of a method would cost as much again;
``shrinker/cache/store.py`` says why this needs no lock.
"""

from __future__ import annotations

import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

from shrinker.cache.lru import LruCache, check_takes
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.domain import Domain

__all__ = ["CacheInfo", "CachedFunction", "cached"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

# Between positional and keyword arguments in a key.
_KEYWORDS = object()


class CacheInfo(NamedTuple):
    """What ``cache_info()`` returns: as that of functools, and the weight."""

    hits: int
    """Calls whose result was there, or was being computed by another task."""
    misses: int
    """Calls that computed."""
    maxsize: int | None
    """What the cache may weigh at most."""
    currsize: int
    """Results in it now."""
    weight: int
    """What they weigh, in bytes; without a weigher, how many they are."""


class CachedFunction(Protocol[P, R_co]):
    """What ``cached`` makes of a function: a function that knows its cache."""

    __wrapped__: Callable[..., Any]
    """The function that computes."""
    cache: LruCache[Any, Any]
    """The cache, by keys of its own."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the result, from the cache or computed."""

    def cache_info(self) -> CacheInfo:
        """Return hits, misses and sizes."""

    def cache_clear(self) -> None:
        """Forget all results, and those being computed; start counting again."""

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[Any, Q], R],
        instance: object,
        owner: type | None = None,
    ) -> CachedFunction[Q, R]: ...


@overload
def cached(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    *,
    maxsize: int | None = None,
    typed: bool = False,
    weigher: Callable[[Any], int] | None = None,
    name: str | None = None,
    seeks: int | None = None,
    rebuild_seconds: float | None = None,
    min_age: float = 0.0,
    on_evict: Callable[[Any], object] | None = None,
    domain: Domain | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
def cached(
    function: Any = None,
    /,
    *,
    maxsize: int | None = None,
    typed: bool = False,
    weigher: Callable[[Any], int] | None = None,
    name: str | None = None,
    seeks: int | None = None,
    rebuild_seconds: float | None = None,
    min_age: float = 0.0,
    on_evict: Callable[[Any], object] | None = None,
    domain: Domain | None = None,
) -> Any:
    """Make a function remember its results, until memory is short.

    ``@cached`` or ``@cached(...)``.  ``weigher(result)`` returns the bytes of a
    result, and ``on_evict(result)`` is told which one went; ``name`` is by default
    the function's.  Everything else is as ``LruCache`` says.  With ``typed``,
    arguments of different types are kept apart, as by ``functools.lru_cache``;
    arguments have to be hashable, and the order of keywords counts.

    The function gets ``cache_info()``, ``cache_clear()``, ``cache`` and
    ``__wrapped__``.  Exceptions are not remembered.  Threads that want the same
    result at once may all compute it.  What is computed while ``cache_clear()`` is
    called is returned, but not kept.  A closed ``cache`` remembers nothing.

    An ``async def`` function computes once for all tasks of an event loop that want
    the same at once, in a task of its own and the context of the first; what it
    raises reaches all of them.  It is cancelled when the last of them is.

    Raises ``TypeError`` for a function that makes generators, for a staticmethod or
    classmethod (those go above ``@cached``), and whatever ``LruCache`` raises.
    """

    def decorate(function: Any) -> Any:
        _check_function(function)
        cache: LruCache[Any, Any] = LruCache(
            maxsize,
            weigher=None if weigher is None else _of_result(weigher),
            name=_name_of(function) if name is None else name,
            seeks=seeks,
            rebuild_seconds=rebuild_seconds,
            min_age=min_age,
            on_evict=None if on_evict is None else _of_result(on_evict),
            domain=domain,
        )
        make = _remember_async if _is_async(function) else _remember
        return _finish(make(function, cache, typed), function, cache)

    check_takes("weigher", weigher, "result")
    check_takes("on_evict", on_evict, "result")
    return decorate if function is None else decorate(function)


def _remember(
    function: Callable[..., Any], cache: LruCache[Any, Any], typed: bool
) -> Any:
    store, entries = cache._store, cache._entries

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = _key(args, kwargs, typed) if kwargs or typed else args
        try:
            entry = entries[key]
        except KeyError:
            pass
        else:
            # In a row with the lookup.
            entry.used = True
            try:
                value = entry.value
            except AttributeError:  # Not a row, with this key.
                pass
            else:
                cache._hits += 1
                return value
        cache._misses += 1
        generation = store.generation
        value = function(*args, **kwargs)
        _keep(cache, key, value, generation)
        return value

    return wrapper


def _remember_async(
    function: Callable[..., Any], cache: LruCache[Any, Any], typed: bool
) -> Any:
    from shrinker.cache.flights import Flights  # noqa: PLC0415 - imports asyncio

    store, entries, flights = cache._store, cache._entries, Flights()

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = _key(args, kwargs, typed) if kwargs or typed else args
        try:
            entry = entries[key]
        except KeyError:
            pass
        else:
            # In a row with the lookup.
            entry.used = True
            try:
                value = entry.value
            except AttributeError:  # Not a row, with this key.
                pass
            else:
                cache._hits += 1
                return value
        generation = store.generation

        async def compute() -> Any:
            value = await function(*args, **kwargs)
            _keep(cache, key, value, generation)
            return value

        flight = flights.find(key, generation)
        if flight is None:
            cache._misses += 1
            flight = flights.start(key, generation, compute)
        else:
            cache._hits += 1
        try:
            return await flights.join(flight)
        finally:
            # What it raised knows this frame, and the flight what it raised.
            del flight

    return wrapper


def _keep(cache: LruCache[Any, Any], key: Any, value: Any, generation: int) -> None:
    """Put a result into the cache, unless that was cleared since it was begun."""
    store = cache._store
    if store.generation != generation or store.closed:
        return
    try:
        store.put(key, value, generation=generation)
    except ShrinkerError:
        if not store.closed:
            raise
    # What puts it in is no row where the key's own ``__eq__`` is Python: it may have
    # been cleared there.
    if store.generation != generation:
        cache.pop(key, None)


def _finish(wrapper: Any, function: Any, cache: LruCache[Any, Any]) -> Any:
    def cache_info() -> CacheInfo:
        """Return hits, misses and sizes."""
        seen = cache.statistics()
        return CacheInfo(
            seen.hits, seen.misses, cache.maxsize, seen.entries, seen.weight
        )

    def cache_clear() -> None:
        """Forget all results, and those being computed; start counting again."""
        cache.clear()
        cache._hits = cache._misses = 0

    functools.update_wrapper(wrapper, function)
    wrapper.cache = cache
    wrapper.cache_info = cache_info
    wrapper.cache_clear = cache_clear
    return wrapper


def _key(args: tuple[Any, ...], kwargs: dict[str, Any], typed: bool) -> Any:
    key = (*args, _KEYWORDS, *kwargs.items()) if kwargs else args
    if typed:
        key = (*key, *map(type, args), *map(type, kwargs.values()))
    return key


def _of_result(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda _, result: function(result)


def _is_async(function: Any) -> bool:
    return any(map(inspect.iscoroutinefunction, _called(function)))


def _called(function: Any) -> tuple[Any, Any]:
    """Return what may be an ``async def`` or a generator: an object's call, too."""
    return function, getattr(function, "__call__", None)  # noqa: B004


def _name_of(function: Any) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    module = getattr(named, "__module__", None)
    return f"{module}.{named.__qualname__}" if module else named.__qualname__


def _check_function(function: Any) -> None:
    if isinstance(function, staticmethod | classmethod):
        kind = type(function).__name__
        raise TypeError(f"@{kind} goes above @cached")
    if not callable(function):
        raise TypeError(
            f"cached takes a function, not {type(function).__name__};"
            " everything else is a keyword"
        )
    if any(
        inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)
        for called in _called(function)
    ):
        raise TypeError("a generator can be used only once, so it cannot be cached")
