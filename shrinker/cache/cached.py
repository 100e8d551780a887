"""``cached``: a function that remembers its results until memory is short.

It is ``functools.lru_cache`` with a ``Cache`` behind it.  A function that ``cached``
has decorated is an object of C (csrc/python/cached.c).  A decorated ``async def``
function stays a coroutine function, since ``inspect`` and event loops ask for that.
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

from shrinker.cache.cache import Cache
from shrinker.cache.checks import check_takes, check_weigher
from shrinker.cache.entries import DecoratedFunction
from shrinker.cache.sizeof import sampled_sizeof
from shrinker.cache.tallies import Tallies, entries_of
from shrinker.errors import check_bool

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.domain import Domain

__all__ = ["CacheInfo", "CachedFunction", "cached"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

_MISSING: Any = object()


class CacheInfo(NamedTuple):
    """What ``cache_info()`` returns: the fields that functools has."""

    hits: int
    """Calls whose result was cached, or that another task or thread was computing."""
    misses: int
    """Calls that computed."""
    maxsize: int | None
    """Results, or with a weigher bytes, that are kept at most."""
    currsize: int
    """Results in the cache now.  ``cache.weight`` is what they weigh."""


class CachedFunction(Protocol[P, R_co]):
    """A function that ``cached`` has decorated."""

    __wrapped__: Callable[..., Any]
    """The function that computes."""
    cache: Cache[Any, Any]
    """The cache.  Its keys are made of the arguments, in no documented way."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the result, cached or computed."""

    def cache_info(self, instance: object = ..., /) -> CacheInfo:
        """Return hits, misses and sizes.

        Of a method with ``per_instance``, ``Class.method.cache_info(instance)`` returns
        those of an instance.
        """

    def cache_clear(self) -> None:
        """Drop all results, also those being computed; set the counters to 0."""

    def cache_parameters(self) -> dict[str, Any]:
        """Return ``maxsize`` and ``typed``, as functools; ``cache.ttl`` is apart."""

    def cache_discard(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the result of these arguments; return whether there was one.

        One that is being computed is returned to those who wait, but not cached.
        """

    # The type of the first argument tells what is decorated: the class for what is
    # below @classmethod, the object for a method, neither below @staticmethod.  (mypy's
    # error: not every function takes such a first argument.)
    @overload
    def __get__(  # type: ignore[misc]
        self: Callable[Concatenate[type[T], Q], R],
        instance: T | None,
        owner: type[T],
    ) -> CachedFunction[Q, R]: ...
    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: Callable[Concatenate[T, Q], R],
        instance: T,
        owner: type | None = None,
    ) -> CachedFunction[Q, R]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Self: ...


@overload
def cached(function: Callable[P, R], /) -> CachedFunction[P, R]: ...
@overload
def cached(
    *,
    maxsize: int | None = None,
    typed: bool = False,
    coalesce: bool = True,
    per_instance: bool = False,
    weigher: Callable[[Any], int] | None = sampled_sizeof,
    name: str | None = None,
    seeks: int | None = None,
    rebuild_seconds: float | None = None,
    min_age: float = 0.0,
    ttl: float | None = None,
    on_evict: Callable[[Any], object] | None = None,
    domain: Domain | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...
def cached(
    function: Any = None,
    /,
    *,
    maxsize: int | None = None,
    typed: bool = False,
    coalesce: bool = True,
    per_instance: bool = False,
    weigher: Callable[[Any], int] | None = sampled_sizeof,
    name: str | None = None,
    seeks: int | None = None,
    rebuild_seconds: float | None = None,
    min_age: float = 0.0,
    ttl: float | None = None,
    on_evict: Callable[[Any], object] | None = None,
    domain: Domain | None = None,
) -> Any:
    """Make a function remember its results until memory is short.

    ``@cached`` or ``@cached(...)``.  ``weigher(result)`` returns the bytes of a
    result, and ``maxsize`` is in bytes then; without one ``maxsize`` is in results, and
    they and their keys are measured as entries of ``Cache`` are.  ``on_evict(result)``
    is called after a result was evicted; ``name`` is by default the function's.  The
    other arguments are those of ``Cache``.  With ``typed``, arguments of different
    types are kept apart, as by ``functools.lru_cache``.  Arguments must be hashable,
    and the order of keyword arguments counts.

    The function gets ``cache_info()``, ``cache_clear()``, ``cache_discard()``,
    ``cache`` and ``__wrapped__``.  Exceptions are not cached.  A result that
    ``cache_clear()`` or ``cache_discard()`` overtakes while it is computed is returned
    but not cached.  Nothing is cached once ``cache`` is closed.

    With ``coalesce``, a thread that wants a result which another thread computes waits
    for that one, and counts as a hit.  An ``Exception`` of the computation reaches all
    that wait, as one object; its traceback has the frames of the computation, and of
    the thread that raised it last.  After ``KeyboardInterrupt`` and the like one of
    them computes anew.  A thread that would wait for itself computes: one that asks for
    the result that it computes, and the last one of a ring of threads.  So does one
    inside a walk, and one that has waited for 60 s, since the other may want a lock
    that it holds.  Without ``coalesce`` each thread and each task computes.

    An ``async def`` function computes once for all tasks of an event loop that want
    the same result at once: in a task of its own, in the context of the first caller.
    What it raises reaches all of them.  It is cancelled when all of them are.  Where
    results await each other in a ring, the call that closes it raises ``RuntimeError``:
    at once where computations await calls themselves, after 60 s where they await other
    tasks that do.

    A method's instances are not kept alive where they are compared by identity.  With
    ``per_instance``, ``Class.method.cache_info(instance)`` returns what an instance's
    calls were, for those that weak references can be made to.

    Raises ``TypeError`` for a generator function, for a staticmethod or classmethod
    (those go above ``@cached``), for ``per_instance`` of a function that takes no
    instance, and what ``Cache`` raises.
    """

    def decorate(function: Any) -> Any:
        _check_function(function)
        if per_instance:
            _check_takes_instance(function)
        cache: Cache[Any, Any] = Cache(
            maxsize,
            weigher=weigher
            if weigher is None or weigher is sampled_sizeof
            else _of_result(weigher),
            name=_name_of(function) if name is None else name,
            seeks=seeks,
            rebuild_seconds=rebuild_seconds,
            min_age=min_age,
            ttl=ttl,
            on_evict=None if on_evict is None else _of_result(on_evict),
            domain=domain,
        )
        wrapper: Any
        tallies = Tallies() if per_instance else None
        if _is_async(function):
            from shrinker.cache.cached_async import (  # noqa: PLC0415 - imports asyncio
                wrap_async,
            )

            wrapper = wrap_async(function, cache._store, typed, coalesce, tallies)
        else:
            wrapper = DecoratedFunction(
                cache._store, cache, function, typed, coalesce, tallies
            )
        return _finish(wrapper, function, cache, typed, tallies)

    check_bool("typed", typed)
    check_bool("coalesce", coalesce)
    check_bool("per_instance", per_instance)
    check_weigher(weigher, "result")
    check_takes("on_evict", on_evict, "result")
    return decorate if function is None else decorate(function)


def _finish(
    wrapper: Any,
    function: Any,
    cache: Cache[Any, Any],
    typed: bool,
    tallies: Tallies | None,
) -> Any:
    store = cache._store

    def cache_info(instance: Any = _MISSING, /) -> CacheInfo:
        """Return hits, misses and sizes; with ``per_instance``, of an instance."""
        if instance is not _MISSING:
            if tallies is None:
                raise TypeError("cache_info(instance) needs @cached(per_instance=True)")
            hits, misses = tallies.of(instance)
            entries = entries_of(instance, store)
            return CacheInfo(hits, misses, cache.maxsize, entries)
        return CacheInfo(store.hits, store.misses, cache.maxsize, store.entries)

    def cache_clear() -> None:
        """Drop all results, also those being computed; set the counters to 0."""
        store.clear()
        store.hits = store.misses = 0
        if tallies is not None:
            tallies.clear()

    def cache_parameters() -> dict[str, Any]:
        """Return ``maxsize`` and ``typed``."""
        return {"maxsize": cache.maxsize, "typed": typed}

    functools.update_wrapper(wrapper, function)
    wrapper.cache = cache
    wrapper.cache_info = cache_info
    wrapper.cache_clear = cache_clear
    wrapper.cache_parameters = cache_parameters
    return wrapper


def _of_result(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda _, result: function(result)


def _is_async(function: Any) -> bool:
    return any(map(inspect.iscoroutinefunction, _function_and_call(function)))


def _function_and_call(function: Any) -> tuple[Any, Any]:
    """Return the two that may be an ``async def`` or a generator function."""
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
            f"the first argument must be callable, not {type(function).__name__};"
            " all others of cached are keywords"
        )
    if any(
        inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)
        for called in _function_and_call(function)
    ):
        raise TypeError(
            "a generator function cannot be cached: its result can be used only once"
        )


def _check_takes_instance(function: Any) -> None:
    """Raise ``TypeError`` where no first argument can be an instance.

    As far as it can be told: some functions of C do not say what they take.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    if all(each.kind in (each.KEYWORD_ONLY, each.VAR_KEYWORD) for each in parameters):
        raise TypeError(
            f"per_instance=True is for methods: {_name_of(function)} takes no argument"
            " that could be an instance"
        )
