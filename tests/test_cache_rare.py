"""What caches do at the edges: closed, cleared or gone in the middle of something."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import CountObjects, Domain, ScanObjects, ShrinkerError
from shrinker.cache import LruCache, cached, store, watch
from shrinker.cache.flights import Flights

if TYPE_CHECKING:
    from collections.abc import Callable


class Weak:
    """A cache with the two methods, that may go."""

    def count(self) -> int:
        return 5

    def evict(self, n: int) -> int:
        return n


# --- watched caches -------------------------------------------------------------------


def test_a_watched_cache_that_is_gone_is_empty(domain: Domain) -> None:
    """Between its end and that of its shrinker a walk may come."""
    cache = Weak()
    private: Any = watch(cache, domain=domain, lock=_Free()).registration.private_data
    del cache
    assert domain.shrinkers() == ()
    control: Any = None
    assert private.count_objects(control) is CountObjects.EMPTY
    assert private.scan_objects(control) is ScanObjects.STOP


class _Free:
    """A lock that nobody ever has."""

    def acquire(self, blocking: bool = True) -> bool:
        return True

    def release(self) -> None:
        pass


def test_a_watched_cache_goes_after_its_domain() -> None:
    """There is nothing left to be closed then."""
    domain = Domain()
    kept = Weak()
    gone = weakref.ref(domain)
    watch(kept, domain=domain, lock=_Free())
    domain.close()
    del domain
    gc.collect()
    assert gone() is None
    alive = weakref.ref(kept)
    del kept
    assert alive() is None


def test_a_registration_that_fails_can_be_tried_again(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is not taken to be watched."""
    cache: dict[int, int] = {1: 1}

    def short(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("shrinker.builder.ShrinkerBuilder.register", short)
        with pytest.raises(MemoryError):
            watch(cache, domain=domain, lock=_Free())
    with watch(cache, domain=domain, lock=_Free()) as watched:
        assert watched.registration.count() == 1


def test_a_domain_that_closes_while_a_watch_begins(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, and nothing is kept."""
    from shrinker import ShrinkerBuilder  # noqa: PLC0415 - its method is replaced

    real: Callable[..., Any] = ShrinkerBuilder.register

    def closing(builder: Any, private_data: Any) -> Any:
        registration = real(builder, private_data)
        domain.close()
        return registration

    monkeypatch.setattr(ShrinkerBuilder, "register", closing)
    with pytest.raises(ShrinkerError, match="the domain is closed"):
        watch({1: 1}, domain=domain, lock=_Free())
    assert not domain._watches


def test_entries_that_a_subclass_has_hidden_are_passed_over(domain: Domain) -> None:
    """Deleting goes through the object, and one that is gone by then is none."""

    class Twins(dict[int, int]):
        """Whose entries go in pairs."""

        def __delitem__(self, key: int) -> None:
            for twin in (key, key ^ 1):
                dict.pop(self, twin, None)

    cache = Twins({n: n for n in range(10)})
    with watch(cache, domain=domain, lock=_Free()) as watched:
        assert watched.registration.scan(4) == 2
        assert len(cache) == 6


# --- LruCache -------------------------------------------------------------------------


def test_a_closed_cache_takes_nothing(domain: Domain) -> None:
    """Neither what fits nor what is too heavy for any cache."""
    cache: LruCache[int, int] = LruCache(
        10, weigher=lambda key, value: value, domain=domain
    )
    cache.close()
    for weight in (1, 1000):
        with pytest.raises(ShrinkerError, match="closed"):
            cache[1] = weight


def test_what_has_gone_cannot_be_told_from_nothing() -> None:
    """Its mark is for debuggers alone."""
    assert repr(store.GONE) == "<gone>"


def test_a_result_that_comes_too_late_is_not_kept(domain: Domain) -> None:
    """The cache is cleared or closed while the result is weighed: the caller has it,
    and nobody else will."""
    wants: list[Callable[[], object]] = []

    def weigher(value: int) -> int:
        if wants:
            wants.pop()()
        return value

    @cached(domain=domain, weigher=weigher)
    def function(key: int) -> int:
        return key

    wants.append(function.cache_clear)
    assert function(1) == 1
    assert function.cache_info().currsize == 0
    assert function(1) == 1
    assert function.cache_info().currsize == 1

    def refuse() -> None:
        raise ShrinkerError("of the weigher's own")

    wants.append(refuse)
    with pytest.raises(ShrinkerError, match="of the weigher's own"):
        function(2)
    wants.append(function.cache.close)
    assert function(3) == 3
    assert function(3) == 3


def test_a_flight_whose_place_was_taken_leaves_the_other_alone() -> None:
    """Cleared in the midst, a key has a new computation; the old one's end is its
    own."""

    async def main() -> None:
        flights = Flights()

        async def forever() -> None:
            await asyncio.Event().wait()

        first = flights.start("key", 0, forever)
        second = flights.start("key", 1, forever)
        first.abandon()
        assert flights.find("key", 1) is second
        second.abandon()
        assert flights.find("key", 1) is None
        for flight in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await flight.task

    asyncio.run(main())
