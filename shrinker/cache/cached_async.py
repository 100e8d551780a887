"""``wrap_async``: ``async def`` functions that remember their results."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shrinker.cache.coalesce import Computations, is_overtaken
from shrinker.cache.entries import make_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.cache.entries import Store
    from shrinker.cache.tallies import Tallies

__all__ = ["wrap_async"]

_MISSING: Any = object()


class _Misses:
    """What calls of one function do that find no result."""

    def __init__(
        self,
        function: Callable[..., Any],
        store: Store,
        coalesce: bool,
        tallies: Tallies | None,
    ) -> None:
        self._function = function
        self._store = store
        self._coalesce = coalesce
        self._tallies = tallies
        self.computations = Computations()

    async def call(self, key: Any, args: Any, kwargs: Any) -> Any:
        """Compute the result, or wait for it."""
        store, computations = self._store, self.computations
        generation = store.generation
        if not self._coalesce:
            self._count_miss(args)
            began = time.monotonic()
            value = await self._function(*args, **kwargs)
            return store.keep(key, value, generation, time.monotonic() - began)

        async def compute() -> Any:
            began = time.monotonic()
            value = await self._function(*args, **kwargs)
            if is_overtaken():
                return value
            value = store.keep(key, value, generation, time.monotonic() - began)
            if is_overtaken():  # By another thread, just now.
                store.pop(key, None)
            return value

        computation = computations.find(key, generation)
        if computation is None:
            self._count_miss(args)
            computation = computations.start(key, generation, compute)
        else:
            store.add_hit()
            if self._tallies is not None:
                self._tallies("hits", *args[:1])
        try:
            return await computations.join(computation)
        finally:
            # Breaks a cycle: the computation references its exception, whose
            # traceback references this frame.
            del computation

    def _count_miss(self, args: Any) -> None:
        self._store.add_miss()
        if self._tallies is not None:
            self._tallies("misses", *args[:1])


def wrap_async(
    function: Callable[..., Any],
    store: Store,
    typed: bool,
    coalesce: bool,
    tallies: Tallies | None,
) -> Any:
    """Return a coroutine function with ``cache_discard()``."""
    misses = _Misses(function, store, coalesce, tallies)
    store.weak_instances = True

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        key = make_key(args, kwargs, typed)
        value = store.hit(key, _MISSING)
        if value is _MISSING:
            return await misses.call(key, args, kwargs)
        if tallies is not None:
            tallies("hits", *args[:1])
        return value

    def cache_discard(*args: Any, **kwargs: Any) -> bool:
        """Drop the result of these arguments; return whether there was one."""
        key = make_key(args, kwargs, typed)
        misses.computations.overtake(key)
        return store.pop(key, _MISSING) is not _MISSING

    wrapper.cache_discard = cache_discard  # type: ignore[attr-defined]
    return wrapper
