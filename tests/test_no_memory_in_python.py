"""Python's own memory runs out inside of walks: objects that cannot be made.

CPython's test module makes one allocation fail, the n-th, for each n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Scripted, register

from shrinker import CallbackErrors, ShrinkControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain

_testcapi = pytest.importorskip("_testcapi", reason="CPython's test module is not here")

MOST = 100
"""Allocations of one call; more than any makes."""


def without_memory(call: Callable[[], Any], start: int) -> bool:
    """Call without memory for the ``start``-th object; return whether it went well."""
    _testcapi.set_nomemory(start, start + 1)
    try:
        call()
    except (MemoryError, CallbackErrors):
        return False
    else:
        return True
    finally:
        _testcapi.remove_mem_hooks()


@pytest.mark.untraced("a tracer asks for memory as well")
def test_walks_whose_callbacks_keep_their_controls(domain: Domain) -> None:
    """Each callback needs a new control: without it, it is left out, and what was
    raised comes out; the next walk is whole."""
    kept: list[Any] = [None] * 100
    at = 0

    def keep(sc: ShrinkControl) -> int:
        nonlocal at
        kept[at] = sc
        at += 1
        return 128

    walked = []
    with register(domain, Scripted(keep, keep)), register(domain, Scripted(keep, keep)):
        for start in range(MOST):
            at = 0
            walked.append(without_memory(domain.shrink_slab, start))
            at = 0
            assert domain.shrink_slab(priority=1) == 2 * 128
            assert at == 4
    assert not all(walked)
    assert walked[-1]
