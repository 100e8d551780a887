"""Fixtures that many tests share."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import shrinker
from shrinker import Domain

# What tests share says why it fails, as tests do.
pytest.register_assert_rewrite(
    *(path.stem for path in Path(__file__).parent.glob("*_support.py"))
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test the source tree where the installed package is meant."""
    package = Path(shrinker.__file__).parent
    if "SHRINKER_TEST_INSTALLED" in os.environ and package.parent == config.rootpath:
        raise pytest.UsageError(f"{package} is the source tree, not what is installed")
    # Sanitizers and coverage report when a process exits, which xdist allows 10 s.
    if config.pluginmanager.hasplugin("xdist"):
        from xdist.workermanage import NodeManager  # noqa: PLC0415 - may be missing

        NodeManager.EXIT_TIMEOUT = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse marks that leave tests out without a reason."""
    for item in items:
        for name in ("alone", "no_asan", "one_thread", "untraced"):
            for mark in item.iter_markers(name):
                if not mark.args:
                    raise pytest.UsageError(f"{item.nodeid}: {name} needs a reason")


def pytest_collection_finish() -> None:
    """Keep what is imported by now out of collections.

    Some tests collect hundreds of times; each would walk the modules of numba,
    hypothesis and z3 again (20 of 41 s in test_interrupted_calls.py).
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Undo that: for the summary hypothesis is imported, and asks the collector.

    It warns where no referrer of trio's random generator is found.
    """
    gc.unfreeze()


@pytest.fixture
def domain() -> Iterator[Domain]:
    """A domain with one node, closed at the end."""
    with Domain() as made:
        yield made


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """The interpreter switches threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def no_switching() -> Iterator[None]:
    """A thread keeps the GIL until it waits, however slow the machine is."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        pytest.skip("without a GIL threads always run beside each other")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    yield
    sys.setswitchinterval(interval)
