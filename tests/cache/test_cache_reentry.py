"""Code inside a computation, a weigher or a trace function that uses the same cache."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import check_sound
from fork_support import status_of_child
from tests_support import run_threads

from shrinker.cache import Cache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain

WAIT_SECONDS = 50
"""No wait of these tests takes longer."""


def test_make_may_ask_for_its_own_key(domain: Domain) -> None:
    """The inner call makes; endless ones end in ``RecursionError``, and set nothing."""
    cache = Cache[str, int](weigher=None, domain=domain)

    def make(depth: int) -> int:
        return depth or cache.get_or_set("key", lambda: make(depth + 1))

    def endless() -> int:
        return cache.get_or_set("other", endless)

    assert cache.get_or_set("key", lambda: make(0)) == 1
    with pytest.raises(RecursionError):
        endless()
    assert dict(cache) == {"key": 1}
    assert cache.get_or_set("other", lambda: 3) == 3
    check_sound(cache)


def test_make_may_ask_for_other_keys(domain: Domain) -> None:
    """Also for one whose ``make`` asks for the first key."""
    cache = Cache[int, int](domain=domain)

    def second() -> int:
        return cache.get_or_set(1, lambda: 9) + 1

    assert cache.get_or_set(1, lambda: cache.get_or_set(2, second) + 1) == 9
    assert dict(cache) == {1: 9, 2: 10}


def test_a_weigher_may_set_its_own_key(domain: Domain) -> None:
    """The outer set replaces nothing; entries and weights agree."""

    def weigh(key: int, value: int) -> int:
        if value < 5:
            cache.get_or_set(key, lambda: value + 1)
        return 10

    cache = Cache[int, int](weigher=weigh, domain=domain)
    assert cache.get_or_set(0, lambda: 0) == 5
    assert (dict(cache), cache.weight) == ({0: 5}, 10)


def test_a_fork_inside_of_a_computation(domain: Domain) -> None:
    """The child uses the cache, its threads too; those of the parent get the result."""
    cache = Cache[int, int](domain=domain)
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(cache.get_or_set(1, lambda: 5)))
        for _ in range(5)
    ]

    def in_child() -> None:
        assert cache.get_or_set(2, lambda: 3) == 3
        assert cache.get_or_set(1, lambda: 7) == 7
        thread = threading.Thread(target=lambda: cache.get_or_set(3, lambda: 4))
        thread.start()
        thread.join(WAIT_SECONDS)
        assert cache[3] == 4

    def make() -> int:
        for thread in threads:
            thread.start()
        return status_of_child(in_child)

    assert cache.get_or_set(1, make) == 0
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert results == [0] * 5


class Tracer:
    """A trace function that does one of some things, and may raise."""

    def __init__(self, acts: list[Callable[[int], object]], *, raises: bool) -> None:
        self.acts, self.raises, self.inside, self.calls = acts, raises, False, 0

    def __call__(self, *_: Any) -> Any:
        if self.inside:
            return None
        self.inside = True
        self.calls += 1
        try:
            self.acts[self.calls % len(self.acts)](self.calls % 11)
        finally:
            self.inside = False
        if self.raises and self.calls % 23 == 0:
            raise InterruptedError
        return self


@pytest.mark.parametrize("set_tracer", [sys.settrace, sys.setprofile])
@pytest.mark.parametrize("raises", [False, True])
def test_trace_functions_that_use_the_cache(
    domain: Domain, set_tracer: Callable[[Any], None], *, raises: bool
) -> None:
    """They run wherever Python code does, also in waits; what they raise comes out."""
    cache = Cache[int, int](8, ttl=0.01, weigher=None, domain=domain)
    double = cached(maxsize=8, weigher=None, domain=domain)(lambda x: x * 2)
    acts: list[Callable[[int], object]] = [
        lambda key: cache.get_or_set(key, lambda: key),
        double,
        lambda key: cache.pop(key, None),
        double.cache_discard,
        lambda key: key or cache.clear(),
    ]

    def traced(tracer: Tracer, n: int) -> None:
        set_tracer(tracer)
        try:
            assert cache.get_or_set(n, lambda: n) == n
            assert double(n) == n * 2
        except InterruptedError:
            assert raises
        finally:
            set_tracer(None)

    def run() -> None:
        tracer = Tracer(acts, raises=raises)
        for n in range(300):
            with contextlib.suppress(InterruptedError):  # Raised by the end of a call.
                traced(tracer, n % 12)
        assert tracer.calls > 300

    assert run_threads(run, run, run) == []
    assert len(cache) <= 8
    check_sound(double.cache)
