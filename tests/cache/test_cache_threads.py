"""``Cache`` in threads, with signal handlers and after a fork."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import (
    Dice,
    PythonKey,
    check_sound,
    interrupted_caches,
    interrupter,
)
from tests_support import run_threads

from shrinker.cache import Cache

if TYPE_CHECKING:
    from shrinker import Domain


def hammer(
    cache: Cache[Any, Any], keys: list[Any], seed: int, rounds: int, *, evict: bool
) -> None:
    """Do all that can be done with a cache, in random order."""
    dice = Dice(seed)
    for _ in range(rounds):
        key = keys[dice.randrange(len(keys))]
        match dice.randrange(12):
            case 0 | 1 | 2:
                cache[key] = dice.randrange(1, 50)
            case 3 | 4:
                value = cache.get(key, 1)
                assert type(value) is int
            case 5:
                assert cache.setdefault(key, 5) > 0
            case 6 | 7 | 8:
                cache.pop(key, None)
            case 9:
                for value in cache.values():
                    assert type(value) is int
            case 10 if evict:
                cache.registration.scan(dice.randrange(1, 4))
            case _ if evict and dice.random() < 0.05:
                cache.clear()


def hammer_in_threads(
    cache: Cache[Any, Any], keys: list[Any], rounds: int, *, evict: bool
) -> None:
    """Hammer the cache in four threads."""
    raised = run_threads(
        *(
            functools.partial(hammer, cache, keys, seed, rounds, evict=evict)
            for seed in range(4)
        )
    )
    assert raised == []


@pytest.mark.parametrize("python_keys", [False, True])
def test_threads(fast_switching: None, python_keys: bool, domain: Domain) -> None:
    """Sets, gets, deletes and scans in threads leave the weight and entries right."""
    told: list[int] = []
    keys: list[Any] = [PythonKey(n) if python_keys else n for n in range(40)]
    cache: Cache[Any, int] = Cache(
        500,
        weigher=lambda k, v: v,
        on_evict=lambda k, v: told.append(v),
        domain=domain,
    )
    hammer_in_threads(cache, keys, 4_000 if python_keys else 15_000, evict=True)
    assert cache.statistics().evict_errors == 0
    assert cache.statistics().evicted == len(told)
    check_sound(cache, lambda key, value: value)


def test_threads_that_set_and_delete_one_key(
    fast_switching: None, domain: Domain
) -> None:
    """Without evictions, which would clear it away, no entry is left behind."""
    cache: Cache[int, int] = Cache(weigher=lambda k, v: v, domain=domain)

    def work() -> None:
        for n in range(40_000):
            cache[n & 1] = 2
            cache.pop(n & 1, None)

    assert run_threads(*[work] * 4) == []
    assert cache.statistics().evicted == 0
    hammer_in_threads(cache, list(range(8)), 10_000, evict=False)
    check_sound(cache, lambda key, value: value)


def test_setdefault_gives_all_threads_the_same(
    fast_switching: None, domain: Domain
) -> None:
    """Threads that set the same key at once all get the same value."""
    cache: Cache[int, object] = Cache(weigher=None, domain=domain)
    seen: list[list[object]] = [[] for _ in range(4)]
    barrier = threading.Barrier(4)

    def ask(mine: list[object]) -> None:
        barrier.wait()
        mine.extend(cache.setdefault(n, object()) for n in range(3_000))

    assert run_threads(*(lambda mine=mine: ask(mine) for mine in seen)) == []  # type: ignore[misc]
    assert seen[0] == seen[1] == seen[2] == seen[3]
    check_sound(cache)


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_signal_handlers_may_use_the_cache(domain: Domain) -> None:
    """A handler that changes the cache and raises leaves its figures right."""
    cache: Cache[int, int] = Cache(50, weigher=lambda k, v: v, domain=domain)
    dice = Dice(4)

    def change() -> None:
        cache[dice.randrange(20)] = 3
        cache.pop(dice.randrange(20), None)
        cache.registration.scan(1)

    def work() -> None:
        while True:
            cache[dice.randrange(20)] = 5
            cache.pop(dice.randrange(20), None)
            cache.get(dice.randrange(20))

    with interrupter(change) as signals:
        for _ in range(1_000):
            assert signals.run(work)
    check_sound(cache, lambda key, value: value)


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_an_interrupt_leaves_the_figures_right(domain: Domain) -> None:
    """Wherever in a call the exception of a signal handler comes."""
    for cache in interrupted_caches(domain, 2_000):
        check_sound(cache)
