"""``seeks`` of a cache, from the time that it takes to rebuild an entry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from shrinker.cache import Cache
from shrinker.cache.seeks import MAX_SEEKS, check_seconds, choose_seeks

if TYPE_CHECKING:
    from shrinker import Domain


def test_seeks(domain: Domain) -> None:
    """A seek is 5 ms; there is at least 1, and at most ``MAX_SEEKS``."""
    assert choose_seeks(None, None) == 2
    seconds = (0, 0.001, 0.01, 0.2, 1, float("inf"))
    assert [choose_seeks(None, one) for one in seconds] == [
        *(1, 1, 2, 40),
        *(MAX_SEEKS, MAX_SEEKS),
    ]
    assert choose_seeks(0, None) == 0
    with pytest.raises(TypeError, match="give one"):
        choose_seeks(2, 0.01)
    cache: Cache[Any, Any] = Cache(rebuild_seconds=0.05, domain=domain)
    assert cache.registration.seeks == 10


def test_seconds_that_no_float_can_hold() -> None:
    """They count as infinity; a negative number is an error all the same."""
    assert check_seconds("x", 10**400) == float("inf")
    with pytest.raises(ValueError, match="0 or more"):
        check_seconds("x", -(10**400))


@pytest.mark.parametrize("seconds", [math.inf, 10**400])
def test_infinite_rebuild_seconds(domain: Domain, seconds: float) -> None:
    """Infinity, and an integer larger than any float, give the largest seeks."""
    with Cache(rebuild_seconds=seconds, domain=domain) as cache:
        cache[1] = 1
        assert cache.registration.count() == 1
        assert cache.registration.seeks == 4
