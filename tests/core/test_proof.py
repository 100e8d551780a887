"""Where 64 bits are enough: a proof about the arithmetic of one pass.

``Pass`` transcribes docs/specification.md, "One pass", for z3, over integers that
have no bounds; each operation that wraps in 64 bits is noted with the range that its
result must stay in.  As long as every noted result does, the 64-bit pass and the
unbounded one are the same pass.

For each ``seeks`` there is a largest count up to which that holds, whatever the
priority and whatever work between 0 and twice the count was deferred (no pass leaves
more).  ``largest_count`` computes it; z3 proves that nothing wraps up to there and
shows what wraps one above; the C core is run on both sides.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from shrinker import DEFAULT_SEEKS, ScanObjects, run_pass
from shrinker.values import SHRINK_MAX_PRIORITY

z3 = pytest.importorskip("z3")

I64 = (-(2**63), 2**63 - 1)
U64 = (0, 2**64 - 1)
SEEKS = (0, 1, DEFAULT_SEEKS, 3, 4, 5, 7, 8, 10, 16, 100, 1000, 2**31 - 1)
PRIORITIES = range(SHRINK_MAX_PRIORITY + 1)
# One batch for all: calls are few, however large the count.
BATCH = 2**62


def minimum(a: Any, b: Any) -> Any:
    return z3.If(a <= b, a, b)


class Pass:
    """One pass over a count of ``freeable``, with ``nr`` deferred, without bounds.

    The scan calls have taken ``scanned`` off ``total``; ``in_range`` has a term for
    each result that wraps where it does not hold.
    """

    def __init__(self, priority: int, seeks: int) -> None:
        freeable, nr, scanned = z3.Ints("freeable nr scanned")
        self.in_range: list[Any] = []
        share = freeable / 2**priority  # Integers: z3 rounds down, as >> does.
        # The half is rounded toward zero: freeable is not negative.
        delta = self.note(share * 4, U64) / seeks if seeks else freeable / 2
        wanted = self.note(nr / 2**priority + self.note(delta, I64), I64)
        cap = self.note(freeable * 2, I64)
        total = minimum(wanted, cap)
        left = self.note(self.note(nr + delta, I64) - scanned, I64)
        self.freeable, self.nr, self.scanned, self.total = freeable, nr, scanned, total
        self.deferred = minimum(z3.If(left > 0, left, 0), cap)

    def note(self, value: Any, bounds: tuple[int, int]) -> Any:
        low, high = bounds
        self.in_range.append(z3.And(low <= value, value <= high))
        return value

    def given(self) -> list[Any]:
        """Return what holds in each pass: deferred work within its cap, calls within
        total.

        The second is the lemma of ``test_scan_calls_stay_within_the_total``.
        """
        return [
            self.freeable >= 1,
            self.nr >= 0,
            self.nr <= 2 * self.freeable,
            self.scanned >= 0,
            self.scanned <= self.total,
        ]


def largest_count(seeks: int) -> int:
    """The largest count for which nothing wraps.

    What comes first is always the sum of the deferred work, up to twice the count,
    and the delta of priority 0, which must stay below 2**63.
    """
    low, high = 1, 2**63
    while high - low > 1:
        middle = (low + high) // 2
        delta = middle * 4 // seeks if seeks else middle // 2
        if 2 * middle + delta < 2**63 and middle * 4 < 2**64:
            low = middle
        else:
            high = middle
    return low


def solve(*terms: Any) -> Any:
    solver = z3.SolverFor("QF_LIA")
    solver.add(*terms)
    return solver.check()


@pytest.mark.parametrize("seeks", SEEKS)
def test_nothing_wraps_up_to_the_largest_count(seeks: int) -> None:
    """For all priorities, deferred work and scan calls, 64 bits are enough."""
    limit = largest_count(seeks)
    for priority in PRIORITIES:
        one = Pass(priority, seeks)
        wraps = z3.Not(z3.And(one.in_range))
        assert solve(*one.given(), one.freeable <= limit, wraps) == z3.unsat, priority


@pytest.mark.parametrize("seeks", SEEKS)
def test_the_next_count_wraps(seeks: int) -> None:
    """For the next count there is deferred work with which a pass wraps."""
    one = Pass(0, seeks)
    wraps = z3.Not(z3.And(one.in_range))
    above = one.freeable == largest_count(seeks) + 1
    assert solve(*one.given(), above, wraps) == z3.sat


@pytest.mark.parametrize("seeks", SEEKS)
def test_deferred_work_stays_within_its_cap(seeks: int) -> None:
    """What a pass defers is between 0 and twice the count, as the next pass assumes."""
    for priority in PRIORITIES:
        one = Pass(priority, seeks)
        outside = z3.Or(one.deferred < 0, one.deferred > 2 * one.freeable)
        assert solve(*one.given(), outside) == z3.unsat


def test_scan_calls_stay_within_the_total() -> None:
    """The loop keeps ``scanned`` + ``left`` = ``total`` and both at 0 or more.

    By induction over its calls: true before the first one, where ``total`` is not
    negative, and kept by each that scans what it was asked for, whatever the batch.
    """
    total, left, scanned, batch, freeable = z3.Ints("total left scanned batch freeable")

    def holds(left: Any, scanned: Any) -> Any:
        return z3.And(left >= 0, scanned >= 0, scanned + left == total)

    assert solve(total >= 0, z3.Not(holds(total, z3.IntVal(0)))) == z3.unsat
    asked = minimum(batch, left)
    call = [batch > 0, freeable > 0, z3.Or(left >= batch, left >= freeable)]
    kept = holds(left - asked, scanned + asked)
    assert solve(holds(left, scanned), *call, z3.Not(kept)) == z3.unsat
    # Without a call's condition it would not hold: the lemma says something.
    assert solve(holds(left, scanned), z3.Not(kept)) == z3.sat


def unbounded(count: int, deferred: int, priority: int, seeks: int) -> dict[str, int]:
    """One pass on Python's integers, with a cache that frees what it is asked for."""
    delta = (count >> priority) * 4 // seeks if seeks else count // 2
    total = left = min((deferred >> priority) + delta, 2 * count)
    while left >= BATCH or left >= count:
        left -= min(BATCH, left)
    scanned = total - left
    after = min(max(deferred + delta - scanned, 0), 2 * count)
    return {"delta": delta, "total_scan": total, "nr_deferred": after}


def by_the_core(count: int, deferred: int, priority: int, seeks: int) -> dict[str, int]:
    result = run_pass(
        count, nr_deferred=deferred, priority=priority, seeks=seeks, batch=BATCH
    )
    assert result.delta is not None
    assert result.total_scan is not None
    return {
        "delta": result.delta,
        "total_scan": result.total_scan,
        "nr_deferred": result.nr_deferred,
    }


@pytest.mark.parametrize("seeks", SEEKS)
def test_the_core_at_the_largest_count(seeks: int) -> None:
    """The C core computes what unbounded integers give, at every priority."""
    count = largest_count(seeks)
    for priority in PRIORITIES:
        for deferred in (0, 1, count - 1, count, 2 * count - 1, 2 * count):
            expected = unbounded(count, deferred, priority, seeks)
            assert by_the_core(count, deferred, priority, seeks) == expected


@pytest.mark.parametrize("seeks", SEEKS)
def test_the_core_one_above(seeks: int) -> None:
    """For the next count the core wraps, as the kernel does, to a negative total: it
    makes no call."""
    count = largest_count(seeks) + 1
    result = run_pass(count, nr_deferred=2 * count, priority=0, seeks=seeks)
    assert unbounded(count, 2 * count, 0, seeks)["total_scan"] == 2 * count
    assert result.total_scan is not None
    assert result.total_scan < 0
    assert result.scans == ()
    assert result.returned != ScanObjects.STOP.value


def test_the_table_in_the_docs() -> None:
    """The page about reliability has the computed counts, for ten seeks."""
    docs = Path(__file__).parents[2] / "docs"
    text = "".join(page.read_text("utf-8") for page in docs.glob("reliability*.md"))
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) \| [^|]*2\^", text, re.MULTILINE)
    assert len(rows) >= 10
    for seeks, count in rows:
        assert largest_count(int(seeks)) == int(count.replace(",", "")), seeks
