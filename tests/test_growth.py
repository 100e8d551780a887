"""``Growth``, ``noreclaim`` and ``Domain.under_pressure``."""

from __future__ import annotations

import asyncio
import threading

import pytest

from shrinker import Domain, ShrinkerError
from shrinker.growth import Growth, noreclaim, reclaim_allowed


def test_nothing_is_exceeded_unless_somebody_watches() -> None:
    """Without a watcher a cache may grow for ever."""
    growth = Growth()
    assert growth.allowance > 2**80
    growth.exceeded()  # Nobody is there to be told.


def test_exceeding_calls_the_watcher_and_starts_again() -> None:
    """One look is enough for all who grow meanwhile."""
    growth = Growth()
    seen: list[int] = []
    growth.watch(lambda: seen.append(growth.grown))
    growth.allowance = 100
    growth.grown = 101
    growth.exceeded()
    assert seen == [0]


def test_one_watcher_at_a_time() -> None:
    """A second watcher is refused and the first one stays."""
    growth = Growth()
    seen: list[int] = []
    growth.watch(lambda: seen.append(1))
    with pytest.raises(ShrinkerError, match="another reclaimer"):
        growth.watch(lambda: seen.append(2))
    growth.exceeded()
    assert seen == [1]


def test_unwatch_sets_everything_back() -> None:
    """Caches of a domain that nobody watches are free to grow."""
    growth = Growth()
    growth.watch(lambda: pytest.fail("nobody watches"))
    growth.allowance = 0
    growth.under_pressure = True
    growth.unwatch()
    growth.unwatch()
    growth.exceeded()
    assert growth.allowance == float("inf")
    assert not growth.under_pressure


def test_under_pressure_is_the_domains(domain: Domain) -> None:
    """Each domain has its own, and a program may set it."""
    assert domain.under_pressure is False
    domain.under_pressure = True
    assert domain._growth.under_pressure is True
    with Domain() as other:
        assert other.under_pressure is False


def test_noreclaim_nests_and_ends_with_an_exception() -> None:
    """Only the outermost block allows reclaim again, however it is left."""

    def nested() -> None:
        with noreclaim():
            with noreclaim():
                assert not reclaim_allowed()
            assert not reclaim_allowed()
            raise KeyError

    assert reclaim_allowed()
    with pytest.raises(KeyError):
        nested()
    assert reclaim_allowed()


def test_noreclaim_is_of_this_thread_and_task() -> None:
    """Other threads and tasks reclaim as before."""
    seen: dict[str, bool] = {}

    async def holder(entered: asyncio.Event, leave: asyncio.Event) -> None:
        with noreclaim():
            entered.set()
            await leave.wait()
            seen["holder"] = reclaim_allowed()

    async def both() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(holder(entered, leave))
        await entered.wait()
        seen["task"] = reclaim_allowed()
        leave.set()
        await task

    asyncio.run(both())
    with noreclaim():
        thread = threading.Thread(
            target=lambda: seen.__setitem__("thread", reclaim_allowed())
        )
        thread.start()
        thread.join()
    assert seen == {"holder": False, "task": True, "thread": True}
