"""Python's own memory runs out in a call: CPython's test module makes allocations fail.

Tests that use it are marked ``one_thread``: it fails those of all threads, and the one
by which a worker of pytest-xdist hears of its next test does not survive that.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import CallbackErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["shortages"]

MAX_ALLOCATIONS = 400
"""Of one call; more than any makes."""
ENOUGH = 20
"""Calls in a row that went well: the allocation that was to fail is none of theirs.

Fewer do not say so: some go well without what they had no memory for.
"""

FAILURES = 400
"""To make one function, in one process; more than there are."""
_held: dict[int, list[CodeType]] = {}


def _hold_code(codes: Iterable[object]) -> None:
    for code in codes:
        if isinstance(code, CodeType) and id(code) not in _held:
            _held[id(code)] = [code] * FAILURES
            _hold_code(code.co_consts)


def _hold_code_of_functions() -> None:
    """Let no code of functions go before its time.

    Where CPython 3.12 or 3.13 (3.12.1 and 3.13.0 do) has no memory for a function, it
    drops its code once too often, and later crashes.  So all code inside of functions
    is referred to, more than often enough, until the process ends.
    """
    if _held or not (3, 12) <= sys.version_info < (3, 14):
        return
    gc.unfreeze()  # Nothing is found that conftest.py has frozen.
    for each in gc.get_objects():
        if type(each) is FunctionType:  # Some objects lie about their class.
            _hold_code(each.__code__.co_consts)
    gc.freeze()


def shortages(
    *, all_fail: bool = False
) -> Iterator[Callable[[Callable[[], Any]], bool]]:
    """Yield functions that run a call: the n-th one without its n-th allocation.

    Each returns whether the call went well.  With ``all_fail`` later allocations fail,
    too.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        # PyList_New() drops a list whose array it has not set yet.
        pytest.skip("a free-threaded CPython 3.14 crashes without memory for a list")
    testcapi = pytest.importorskip(
        "_testcapi", reason="CPython's test module is not here"
    )
    in_a_row = 0
    _hold_code_of_functions()

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
