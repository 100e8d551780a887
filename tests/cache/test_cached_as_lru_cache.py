"""CPython's own tests of ``functools.lru_cache``, with ``cached`` in its place."""

from __future__ import annotations

import functools
import unittest
from types import SimpleNamespace
from typing import Any

import pytest

from shrinker import Domain
from shrinker.cache import CacheInfo, cached

test_functools: Any = pytest.importorskip("test.test_functools")
DOMAIN = Domain()


def lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
    """Make a decorator of arguments as functools has them."""
    if callable(maxsize):
        return cached(maxsize=128, domain=DOMAIN)(maxsize)
    size = None if maxsize is None else max(maxsize, 0)
    return cached(maxsize=size, typed=typed, domain=DOMAIN)


def alone(maxsize: int) -> Any:
    """Make a decorator whose functions compute in each thread."""
    return cached(maxsize=maxsize, coalesce=False, domain=DOMAIN)


@lru_cache()
def function(x: int, y: int) -> int:
    """Take two numbers, as the tests call it."""
    return 3 * x + y


class TestCached(test_functools.TestLRU, unittest.TestCase):  # type: ignore[misc]
    """All but those of what is otherwise here on purpose."""

    # Counts what lru_cache has evicted in its exact order.
    test_lru_method = None
    # Wants no return annotations.
    test_common_signatures = None

    module = SimpleNamespace(
        lru_cache=lru_cache,
        partial=functools.partial,
        _CacheInfo=CacheInfo,
        WRAPPER_ASSIGNMENTS=functools.WRAPPER_ASSIGNMENTS,
    )
    cached_func = (function,)

    def test_lru_cache_threaded2(self) -> None:
        """Wants threads to compute one result at once, so without ``coalesce``."""
        self.module = SimpleNamespace(lru_cache=alone)
        super().test_lru_cache_threaded2()

    @lru_cache()
    def cached_meth(self, x: int, y: int) -> int:
        """Take two numbers."""
        return 3 * x + y

    @staticmethod
    @lru_cache()
    def cached_staticmeth(x: int, y: int) -> int:
        """Take two numbers."""
        return 3 * x + y
