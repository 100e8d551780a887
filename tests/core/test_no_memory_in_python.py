"""Python's own memory runs out inside walks.

CPython's test module makes one allocation fail: the n-th, for each n.
"""

from __future__ import annotations

import dis
import functools
from typing import TYPE_CHECKING, Any

import pytest
from no_memory_support import shortages
from tests_support import Scripted, register

from shrinker import Domain, ListLru, LruStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import ShrinkControl

pytestmark = pytest.mark.one_thread("it fails allocations of all threads")


@pytest.mark.untraced("a tracer asks for memory as well")
def test_walks_whose_callbacks_keep_their_controls(domain: Domain) -> None:
    """Each callback needs a new control. One for which there is no memory is left
    out, the error comes out, and the next walk is whole."""
    kept: list[Any] = [None] * 100
    at = 0

    def keep(sc: ShrinkControl) -> int:
        nonlocal at
        kept[at] = sc
        at += 1
        return 128

    walked = []
    with register(domain, Scripted(keep, keep)), register(domain, Scripted(keep, keep)):
        for short_of_memory in shortages():
            at = 0
            walked.append(short_of_memory(domain.shrink_slab))
            at = 0
            assert domain.shrink_slab(priority=1) == 2 * 128
            assert at == 4
    assert not all(walked)
    assert walked[-1]


def see(seen: list[object], obj: object) -> LruStatus:
    seen.append(obj)
    return LruStatus.SKIP


@pytest.mark.untraced("a tracer asks for memory as well")
def test_list_lru() -> None:
    """Each object is on the list with all that belongs to it, or it can be added."""
    objs = [object() for _ in range(5)]
    answers = [LruStatus.ROTATE, LruStatus.REMOVED, LruStatus.SKIP] * 2
    with Domain(memcg=True) as domain, register(domain, Scripted(lambda sc: 0)) as one:
        lru = ListLru(shrinker=one)

        def work() -> None:
            lru.add_many(objs, 0, memcg)
            lru.walk(lambda _: answers[len(lru)], 4, 0, memcg)
            memcg.offline()
            lru.remove_many(objs)

        went_well = []
        for short_of_memory in shortages():
            memcg = domain.create_memcg("group")
            went_well.append(short_of_memory(work))
            memcg.offline()
            memcg.close()  # Moves what was left.
            assert not lru._members.claims
            there: list[object] = []
            lru.walk(functools.partial(see, there), 9)
            assert len(there) == len(lru) == lru.count()
            assert lru.remove_many(objs) == len(there)
            assert lru.add_many(objs) == len(objs)
            assert lru.remove_many(objs) == len(objs)
            assert len(lru) == lru.count() == 0
        assert not all(went_well)
        lru.close()


@pytest.mark.parametrize(
    "method", [Domain.reclaim, Domain.drop_slab, Domain.shrink_slab]
)
def test_handlers_are_entered_without_memory(method: Callable[..., Any]) -> None:
    """CPython 3.13 makes an int of a handler's place, or tries for ever.

    Those up to 256 are made already.
    """
    for entry in dis._parse_exception_table(method.__code__):
        assert not entry.lasti or entry.end // 2 <= 257
