"""Fixtures of the benchmarks' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def native_loops() -> Iterator[None]:
    """The loops in C, compiled."""
    # Needs more than the tests of the core have.
    import harness  # noqa: PLC0415

    with harness.native_loops():
        yield
