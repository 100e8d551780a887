"""``Cache`` under pressure, where the n-th allocation of a set fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from no_memory_support import shortages

from shrinker.cache import Cache

if TYPE_CHECKING:
    from shrinker import Domain

pytestmark = [
    pytest.mark.one_thread("it fails allocations of all threads"),
    pytest.mark.untraced("a tracer asks for memory as well"),
]

ENTRIES = 40


@pytest.mark.parametrize("all_fail", [False, True])
def test_sets_under_pressure(domain: Domain, *, all_fail: bool) -> None:
    """The cache does without ghosts, or the set raises; it does not grow."""
    without_ghosts = 0
    for short_of_memory in shortages(all_fail=all_fail):
        domain.under_pressure = False
        cache: Cache[int, int] = Cache(weigher=None, domain=domain)
        cache.update((k, k) for k in range(ENTRIES))
        domain.under_pressure = True
        went_well = short_of_memory(lambda: cache.__setitem__(100, 1))  # noqa: B023
        assert (100 in cache) == went_well
        assert len(dict(cache.items())) == len(cache) == cache.weight == ENTRIES
        if went_well:
            cache[0] = 0  # It made room for 100.
            without_ghosts += cache.statistics().ghost_hits == 0
        cache[101] = 1
        cache.registration.scan(1)
        assert cache.weight == ENTRIES - 1
        cache.close()
    assert without_ghosts == 1
