"""Callbacks that switch greenlets, so that the calls of a thread end in another
order."""

from __future__ import annotations

from typing import Any

import pytest
from tests_support import Cache, Scripted, register

from shrinker import Domain, ShrinkControl

greenlet = pytest.importorskip("greenlet")
pytestmark = pytest.mark.no_asan("copies the C stack with all that ASan put there")


def test_callbacks_that_end_in_another_order(domain: Domain) -> None:
    """Each greenlet has its own control and its own result; walks go on afterwards."""
    main = greenlet.getcurrent()
    seen: list[tuple[int, int]] = []

    def scan(sc: ShrinkControl) -> int:
        asked = sc.nr_to_scan
        main.switch()
        seen.append((asked, sc.nr_to_scan))
        return asked // 10

    registration = register(domain, Scripted(scan=scan))
    first = greenlet.greenlet(lambda: registration.scan(10))
    second = greenlet.greenlet(lambda: registration.scan(20))
    first.switch()
    second.switch()
    # The first one ends first, though the second began inside of it.
    assert (first.switch(), second.switch()) == (1, 2)
    assert seen == [(10, 10), (20, 20)]
    registration.close()
    with register(domain, Cache(1000)):
        assert domain.shrink_slab(priority=0) > 0


def test_a_reclaim_in_another_greenlet(domain: Domain) -> None:
    """While a callback is suspended, reclaim in its thread returns 0; afterwards it
    works."""
    main = greenlet.getcurrent()

    def count(sc: ShrinkControl) -> Any:
        main.switch()
        return 0

    registration = register(domain, Scripted(count=count))
    with Domain() as other, register(other, Cache(1000)):
        walk = greenlet.greenlet(domain.shrink_slab)
        walk.switch()
        assert other.shrink_slab(priority=0) == 0
        assert other.statistics().nested == 1
        walk.switch()
        assert walk.dead
        assert other.shrink_slab(priority=0) > 0
    registration.close()
