"""Fixtures that many tests share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from shrinker import Domain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def domain() -> Iterator[Domain]:
    """A domain with one node, closed at the end."""
    with Domain() as made:
        yield made


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Threads that take turns as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
