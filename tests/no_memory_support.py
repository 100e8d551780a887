"""Python's own memory runs out in a call: CPython's test module makes allocations fail.

Tests that use it are marked ``one_thread``: it fails those of all threads, and the one
by which a worker of pytest-xdist hears of its next test does not survive that.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import CallbackErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["shortages"]

MAX_ALLOCATIONS = 400
"""Of one call; more than any makes."""
ENOUGH = 20
"""Calls in a row that went well: the allocation that was to fail is none of theirs.

Fewer do not say so: some go well without what they had no memory for.
"""


def shortages(
    *, all_fail: bool = False
) -> Iterator[Callable[[Callable[[], Any]], bool]]:
    """Yield functions that run a call: the n-th one without its n-th allocation.

    Each returns whether the call went well.  With ``all_fail`` later allocations fail,
    too.
    """
    testcapi = pytest.importorskip(
        "_testcapi", reason="CPython's test module is not here"
    )
    in_a_row = 0

    for start in range(MAX_ALLOCATIONS):

        def run(call: Callable[[], Any], start: int = start) -> bool:
            nonlocal in_a_row
            # CPython keeps some small objects that are gone, which are no allocation
            # when it needs such objects again.  A collection lets go of them.
            gc.collect()
            testcapi.set_nomemory(start, 0 if all_fail else start + 1)
            try:
                call()
            except (MemoryError, CallbackErrors):
                in_a_row = 0
                return False
            finally:
                testcapi.remove_mem_hooks()
            in_a_row += 1
            return True

        yield run
        if in_a_row >= ENOUGH:
            return
    pytest.fail("it never went well")
