"""run_pass against the big-integer model of the specification."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hypothesis", reason="property tests need hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from reference_model import model_pass

from shrinker import PassResult, StallError, run_pass

BOUNDARIES = [0, 1, 127, 128, 129, 2**31, 2**32, 2**61, 2**62, 2**63, 2**64 - 1]


def around(low: int, high: int) -> st.SearchStrategy[int]:
    """Numbers of the whole range, of each size, and close to where things wrap."""
    near = st.sampled_from(BOUNDARIES).flatmap(
        lambda b: st.integers(b - 3, b + 3)
    ) | st.sampled_from(BOUNDARIES).map(lambda b: -b)
    sizes = st.integers(0, 64).flatmap(lambda bits: st.integers(0, 2**bits))
    return (near | sizes | st.integers(low, high)).filter(lambda n: low <= n <= high)


U64 = around(0, 2**64 - 1)
I64 = around(-(2**63), 2**63 - 1)
ANSWERS = st.lists(st.tuples(U64, st.none() | U64), max_size=12)


def playing(answers: list[tuple[int, int | None]]) -> Any:
    """A scan that gives the answers in turn, then frees all, then stops."""

    def scan(n: int, i: int) -> tuple[int, int]:
        if i >= len(answers):
            return (2**64 - 1, n) if i > len(answers) + 20 else (n, n)
        freed, nr_scanned = answers[i]
        return freed, n if nr_scanned is None else nr_scanned

    return scan


@settings(max_examples=1000, deadline=None)
@given(
    count=U64,
    nr_deferred=I64,
    priority=st.integers(0, 63),
    seeks=around(-(2**31), 2**31 - 1),
    batch=I64,
    answers=ANSWERS,
    max_calls=st.integers(0, 40),
)
def test_the_core_is_the_model(
    count: int,
    nr_deferred: int,
    priority: int,
    seeks: int,
    batch: int,
    answers: list[tuple[int, int | None]],
    max_calls: int,
) -> None:
    """On any input the C core does what the specification's model does."""
    play = playing(answers)
    expected = model_pass(count, nr_deferred, priority, seeks, batch, play, max_calls)
    calls = iter(range(10**6))
    stalled = False
    try:
        result = run_pass(
            count,
            nr_deferred=nr_deferred,
            priority=priority,
            seeks=seeks,
            batch=batch,
            scan=lambda n: play(n, next(calls)),
            max_calls=max_calls,
        )
    except StallError as error:
        result, stalled = error.partial, True
    assert stalled == expected.cut
    for field in PassResult.__slots__:
        assert getattr(result, field) == getattr(expected, field), field
