"""``Growth``, ``noreclaim`` and ``Domain.under_pressure``."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

from shrinker import Domain, ShrinkerError
from shrinker.growth import Growth, noreclaim, reclaim_allowed


def test_without_a_watcher() -> None:
    """Caches may grow without limit, and exceeded() does nothing."""
    growth = Growth()
    assert growth.allowance > 2**80
    growth.exceeded()


def test_exceeding_calls_the_watcher_and_starts_again() -> None:
    """The watcher is called once, and ``grown`` starts again at 0."""
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


def test_half_of_the_allowance_is_left() -> None:
    """To other threads, before any code runs that they could interrupt."""
    growth = Growth()
    left: list[float] = []
    growth.watch(lambda: left.append(growth.allowance))
    growth.allowance = 1 << 15
    for _ in range(5):
        growth.grown = 1 + int(growth.allowance)
        growth.exceeded()
    assert left == [1 << 14, 1 << 13, 1 << 12, 1 << 12, 1 << 12]


def test_all_that_was_added_is_counted() -> None:
    """Also what other threads add after the allowance was used up."""
    growth = Growth()
    growth.allowance = 100
    growth.grown = 120
    growth.exceeded()
    growth.grown = 101
    growth.exceeded()
    growth.grown += 20
    assert growth.added() == 241


def test_bytes_are_added_in_one_step() -> None:
    """They are an ``int`` of 64 bits; a sum that has no room is the largest one."""
    growth = Growth()
    growth.add(5)
    growth.add(-2)
    assert (growth.grown, growth.added()) == (3, 3)
    growth.add(2**63 - 1)
    assert growth.grown == 2**63 - 1
    bad: Any
    for bad, error in (("5", TypeError), (2**63, OverflowError)):
        with pytest.raises(error):
            growth.add(bad)
        assert growth.grown == 2**63 - 1


def test_figures_of_other_types_are_refused() -> None:
    """And change nothing."""
    growth: Any = Growth()
    with pytest.raises(TypeError, match="under_pressure must be a bool"):
        growth.under_pressure = 1
    with pytest.raises(TypeError):
        growth.learn("now")
    with pytest.raises(TypeError):
        growth.allow("all")
    assert (growth.under_pressure, growth.pressures) == (False, 0)


def test_an_allowance_counts_from_when_memory_was_read() -> None:
    """What was added since is used, also where another thread used its part up."""
    growth = Growth()
    growth.grown = 1000
    read = growth.added()
    growth.grown += 70
    growth.exceeded()
    growth.grown = 30
    growth.allow(read, 200, newest=True)
    assert (growth.grown, growth.allowance) == (100, 200)
    growth.allow(read, 201, newest=False)
    assert growth.allowance == 200
    growth.allow(read, 199, newest=False)
    assert (growth.grown, growth.allowance) == (100, 199)
    assert growth.added() == 1100


def test_what_was_added_ever_does_not_end() -> None:
    """It is counted modulo 2**64, and differences stay right."""
    growth = Growth()
    for _ in range(3):
        growth.grown = (1 << 63) - 1
        growth.exceeded()
    read = growth.added()
    assert read == (1 << 63) - 3
    growth.grown = 1 << 62
    growth.allow(read, 5.0, newest=True)
    assert growth.grown == 1 << 62
    with pytest.raises(TypeError):
        growth.allow(read)  # type: ignore[call-arg]


def test_unwatch_sets_everything_back() -> None:
    """Without its watcher a domain's caches are free to grow."""
    growth = Growth()
    growth.watch(lambda: pytest.fail("the watcher was called"))
    growth.allowance = 0
    growth.under_pressure = True
    growth.unwatch()
    growth.unwatch()
    growth.exceeded()
    assert growth.allowance == float("inf")
    assert not growth.under_pressure


def test_under_pressure_is_the_domains(domain: Domain) -> None:
    """Each domain has its own flag, and a program may set it."""
    assert domain.under_pressure is False
    domain.under_pressure = True
    assert domain.under_pressure is True
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
    """noreclaim() has no effect on other threads and tasks."""
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
    # Free-threaded Pythons give a new thread the context of the one that starts it.
    inherits = getattr(sys.flags, "thread_inherit_context", False)
    assert seen == {"holder": False, "task": True, "thread": not inherits}
