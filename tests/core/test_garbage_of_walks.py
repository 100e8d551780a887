"""What the collector is told of a walk under way: all that it holds."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Scripted, register

from shrinker import CallbackErrors
from shrinker._walk_errors import WalkErrors

if TYPE_CHECKING:
    from shrinker import Domain, ShrinkControl


def check_walks() -> int:
    """Compare both ways of asking; return the number of objects held."""
    held = 0
    for walk in [x for x in gc.get_objects() if isinstance(x, WalkErrors)]:
        for each in gc.get_referents(walk):
            if gc.is_tracked(each):
                held += 1
                assert any(walk is found for found in gc.get_referrers(each))
    return held


@pytest.mark.untraced("a tracer's frames are asked as well")
def test_referents_of_walks_are_found(domain: Domain) -> None:
    """Of a walk inside another, with errors so far, and one that is interrupted."""
    seen: list[int] = []

    def count(_sc: ShrinkControl) -> int:
        seen.append(check_walks())
        raise ValueError("first")

    def interrupt(_sc: ShrinkControl) -> int:
        seen.append(check_walks())
        raise KeyboardInterrupt

    with (
        register(domain, Scripted(count, lambda sc: 0)),
        register(domain, Scripted(count, lambda sc: 0)),
        register(domain, Scripted(interrupt, lambda sc: 0)),
        register(domain, Scripted(count, lambda sc: 0)),
        pytest.raises((KeyboardInterrupt, CallbackErrors)),
    ):
        domain.shrink_slab()
    assert len(seen) >= 3
    assert max(seen) >= 2


@pytest.mark.parametrize("arguments", [(), (1, 2, 3), ("a", 0, 0, 0, 0, 0)])
def test_a_walk_of_other_arguments(arguments: tuple[Any, ...]) -> None:
    """``Domain`` gives six, addresses and numbers."""
    shrink_slab: Any = WalkErrors.shrink_slab
    with pytest.raises(TypeError):
        shrink_slab(*arguments)


@pytest.mark.parametrize("number", [2**64 - 1, 2**64, -1])
def test_numbers_out_of_range(domain: Domain, number: int) -> None:
    """They are refused by name, with no walk."""
    with pytest.raises((ValueError, OverflowError)):
        domain.shrink_slab(gfp_mask=number)
    with pytest.raises((ValueError, OverflowError)):
        domain.shrink_slab(priority=number)
