"""Fixtures that the core's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shrinker import Domain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def machine() -> Iterator[Domain]:
    """A domain with two nodes and memory cgroups."""
    with Domain(nr_nodes=2) as made:
        yield made
