"""CPython's own tests of mappings, with ``Cache`` in place of ``dict``."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

from shrinker import Domain
from shrinker.cache import Cache

mapping_tests: Any = pytest.importorskip("test.mapping_tests")
DOMAIN = Domain()


class Copied(Cache[Any, Any]):
    """A cache with ``copy()``, which the test of ``popitem()`` wants."""

    __slots__ = ()

    def copy(self) -> Copied:
        """Return another one with the same entries in the same order."""
        other = Copied(domain=DOMAIN)
        other.update(self.items())
        return other


class TestCache(mapping_tests.TestHashMappingProtocol, unittest.TestCase):  # type: ignore[misc]
    """All but those of what is otherwise here on purpose."""

    # A cache is not copied, and is not made of items.
    test_copy = None
    test_fromkeys = None
    test_constructor = None
    # It says what it is, not what is in it.
    test_repr = None
    test_repr_deep = None
    # It may change at any time, so iteration goes through what was there.
    test_mutatingiteration = None

    def type2test(self) -> Copied:
        """Make an empty mapping."""
        return Copied(domain=DOMAIN)

    def _reference(self) -> dict[Any, Any]:
        return {"1": 2, "key1": "value1", "key2": (1, 2, 3)}
