"""``sizeof`` where there is no memory, and beside libraries that answer wrongly."""

from __future__ import annotations

import mmap
import sys
import types
from typing import Any

import pytest
from no_memory_support import shortages

from shrinker.cache import sizeof

pytestmark = [
    pytest.mark.one_thread("it fails allocations of all threads"),
    pytest.mark.untraced("a tracer asks for memory as well"),
]


class Tree:
    """An object with attributes, slots of nothing."""

    def __init__(self, depth: int) -> None:
        self.body = bytearray(1000)
        self.below = [Tree(depth - 1) for _ in range(3)] if depth else []


@pytest.mark.parametrize("all_fail", [False, True])
def test_it_answers_or_raises(*, all_fail: bool) -> None:
    """And measures as before afterwards."""
    tree = {"tree": Tree(3), "view": memoryview(bytes(1000))}
    size = sizeof(tree)
    for short_of_memory in shortages(all_fail=all_fail):
        short_of_memory(lambda: sizeof(tree))
        assert 0.5 * size <= sizeof(tree) <= 2 * size


class Interrupts:
    """Its size cannot be asked for; the collector does not know it."""

    __slots__ = ()

    def __sizeof__(self) -> int:
        raise KeyboardInterrupt


def test_interrupts_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an object's own code, inside a container, and of a library's."""

    class Table:
        @property
        def nbytes(self) -> int:
            raise KeyboardInterrupt

    for held in (Interrupts(), [Interrupts()], [1, [Interrupts()]]):
        with pytest.raises(KeyboardInterrupt):
            sizeof(held)
    with pytest.raises(KeyboardInterrupt):
        sizeof(1, Interrupts(), 2)
    module: Any = types.ModuleType("pyarrow")
    module.Table = Table
    monkeypatch.setitem(sys.modules, "pyarrow", module)
    for held in (Table(), [Table()]):
        with pytest.raises(KeyboardInterrupt):
            sizeof(held)


@pytest.mark.parametrize("nbytes", [-1, 2**70, "many", None, float("nan")])
def test_a_library_whose_figures_are_odd(
    nbytes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its objects count as any others."""

    class Table:
        def __init__(self) -> None:
            self.nbytes = nbytes

    sizeof(1)  # Libraries are looked for where the number of modules has changed.
    module: Any = types.ModuleType("pyarrow")
    module.Table = Table
    monkeypatch.setitem(sys.modules, "pyarrow", module)
    assert 0 < sizeof(Table()) < 10_000


def test_what_shows_nothing_any_more() -> None:
    """It counts as an object."""
    view, mapped = memoryview(bytes(1 << 20)), mmap.mmap(-1, 1 << 20)
    view.release()
    mapped.close()
    assert 0 < sizeof(view) < 1000
    assert 0 < sizeof(mapped) < 1000


def test_many_objects_with_several_references() -> None:
    """More than can be kept in mind: the rest count as if each was met once."""
    shared = [[n] for n in range(2000)]
    assert 0 < sizeof([shared[:], shared[:], shared[:]]) < sys.maxsize


def test_objects_that_other_code_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They count by their share."""
    held = bytearray(1 << 20)
    owners = [held] * 99
    assert sizeof([held]) < 1 << 16
    owners.clear()
    assert sizeof([held]) > 1 << 19
