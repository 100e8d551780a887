"""One pass on paper: its steps, with the numbers filled in, as plain data.

``run_pass`` runs the pass; every result that is shown is a field of its
``PassResult``.  What is computed here is arithmetic without wrapping, only to see
where the pass wrapped, and what to say about it.  ``shrinker.explain_text``
prints it.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from shrinker.errors import StallError
from shrinker.one_pass import PassResult, run_pass
from shrinker.values import (
    DEF_PRIORITY,
    DEFAULT_SEEKS,
    SHRINK_BATCH,
    CountObjects,
    ScanObjects,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Explanation", "ScanCalls", "Step", "explain"]

EMPTY = CountObjects.EMPTY.value
STOP = ScanObjects.STOP.value
MAX_CALLS = 100_000
"""Scan calls after which a pass is looked at from outside."""

_LONG_MAX = 2**63 - 1
_EXACT = 2**62 - 1
"""The largest count whose double is exact."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of a pass."""

    title: str
    """What it is about."""
    formula: str
    """As docs/specification.md, "One pass", has it; may have two lines."""
    filled_in: str
    """The formula with this pass's numbers."""
    name: str
    """Of the result, as in the formula and in the trace events."""
    value: int
    """What the pass computed."""
    remark: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ScanCalls:
    """Scan calls one after the other that asked for the same number."""

    nr_to_scan: int
    """Objects that each was asked for."""
    times: int


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """A pass, what went in, and what to know about it."""

    count: int
    deferred: int
    priority: int
    seeks: int
    batch: int
    """As given; 0 stands for 128."""
    result: PassResult
    """Of the pass; where it did not end, of its first 100,000 scan calls."""
    steps: tuple[Step, ...]
    """Empty where the count was 0 or EMPTY: nothing else happened."""
    scans: tuple[ScanCalls, ...]
    ends: bool | None
    """False: never, whatever the callback frees; None: later than was watched."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker explain --json``."""
        result = dataclasses.asdict(self.result)
        del result["scans"]
        return {
            "count": self.count,
            "deferred": self.deferred,
            "priority": self.priority,
            "seeks": self.seeks,
            "batch": self.batch,
            **result,
            "scan_calls": len(self.result.scans),
            "scans": [dataclasses.asdict(scans) for scans in self.scans],
            "ends": self.ends,
            "steps": [dataclasses.asdict(step) for step in self.steps],
            "warnings": list(self.warnings),
        }


def explain(
    count: int,
    *,
    deferred: int = 0,
    priority: int = DEF_PRIORITY,
    seeks: int = DEFAULT_SEEKS,
    batch: int = 0,
) -> Explanation:
    """Run one pass whose callback frees all that it is asked for; explain it.

    Arguments are those of ``run_pass`` (``deferred`` is its ``nr_deferred``);
    raises ``ValueError`` and ``TypeError`` as it does, never ``StallError``.
    """
    ends: bool | None = True
    try:
        result = run_pass(
            count,
            nr_deferred=deferred,
            priority=priority,
            seeks=seeks,
            batch=batch,
            max_calls=MAX_CALLS,
        )
    except StallError as exc:
        result = exc.partial
        # Each call is granted in full, so what is left falls, and has an end; but
        # not where 0 left is still more than a negative count, nor where a
        # negative batch adds to it.
        falls = result.freeable is not None and result.freeable > 0 <= batch
        ends = None if falls else False
    given = _Given(count, deferred, priority, seeks, batch)
    passed = _passed(result)
    return Explanation(
        count=count,
        deferred=deferred,
        priority=priority,
        seeks=seeks,
        batch=batch,
        result=result,
        steps=_steps(given, passed, ends=ends) if passed else (),
        scans=tuple(
            ScanCalls(size, len(list(same)))
            for size, same in itertools.groupby(result.scans)
        ),
        ends=ends,
        warnings=tuple(_warnings(given, passed, ends=ends)) if passed else (),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    """What went in."""

    count: int
    deferred: int
    priority: int
    seeks: int
    batch: int

    @property
    def batch_size(self) -> int:
        return self.batch or SHRINK_BATCH


@dataclasses.dataclass(frozen=True, slots=True)
class _Passed:
    """A ``PassResult`` of a pass that got past the count: nothing is None."""

    returned: int
    nr_deferred: int
    scans: tuple[int, ...]
    delta: int
    total_scan: int
    total_scan_left: int
    nr_before: int
    nr_after: int
    freeable: int
    retval: int


def _passed(result: PassResult) -> _Passed | None:
    if result.freeable is None:
        return None
    fields = (field.name for field in dataclasses.fields(_Passed))
    return _Passed(**{name: getattr(result, name) for name in fields})


def number(value: int) -> str:
    """Return ``value`` with thousands marked, and in brackets where negative."""
    return f"({value:,})" if value < 0 else f"{value:,}"


def _steps(given: _Given, result: _Passed, *, ends: bool | None) -> tuple[Step, ...]:
    freeable, nr = number(result.freeable), number(result.nr_before)
    delta, priority = number(result.delta), given.priority
    steps = [
        Step(
            "count: how many objects could go",
            "freeable = count_objects()",
            number(given.count),
            "freeable",
            result.freeable,
            "" if result.freeable == given.count else "as a signed 64-bit number",
        ),
        Step(
            "take over what earlier passes put off; the counter is 0 meanwhile",
            "nr = exchange(nr_deferred, 0)",
            f"exchange({number(given.deferred)}, 0)",
            "nr",
            result.nr_before,
        ),
        _delta_step(given, result),
        Step(
            "the goal: a share of the old work and all of the new, at most twice"
            " the cache",
            "total_scan = min((nr >> priority) + delta, 2 * freeable)",
            f"min(({nr} >> {priority}) + {delta}, 2 * {freeable})",
            "total_scan",
            result.total_scan,
            _goal_remark(given, result),
        ),
        Step(
            "scan batch by batch, while a whole batch is left, or as much as the cache",
            "while total_scan >= batch or total_scan >= freeable:\n"
            "    scan_objects(min(batch, total_scan))",
            f"batch = {number(given.batch_size)}, freeable = {freeable}",
            "total_scan_left",
            result.total_scan_left,
            _scan_remark(given, result, ends=ends),
        ),
    ]
    if ends:
        scanned = sum(result.scans)
        steps += [
            Step(
                "put off what was not scanned, at most twice the cache",
                "next = min(max(nr + delta - scanned, 0), 2 * freeable)",
                f"min(max({nr} + {delta} - {number(scanned)}, 0), 2 * {freeable})",
                "nr_deferred",
                result.nr_deferred,
                _deferred_remark(result, scanned),
            ),
            Step(
                "the answer: objects freed",
                "return freed",
                number(result.returned),
                "returned",
                result.returned,
                _freed_remark(result),
            ),
        ]
    return tuple(steps)


def _delta_step(given: _Given, result: _Passed) -> Step:
    freeable = number(result.freeable)
    if given.seeks == 0:
        return Step(
            "new work: half of the cache, at any priority, for it is cheap to recreate",
            "delta = freeable / 2",
            f"{freeable} / 2",
            "delta",
            result.delta,
        )
    divisor = number(given.seeks)
    remark = ""
    if given.seeks < 0:
        divisor = number(given.seeks + 2**32)
        remark = "seeks is taken as an unsigned 32-bit number"
    elif result.delta == 0 < result.freeable <= _EXACT:
        remark = (
            "the shift leaves nothing: at this priority caches below"
            f" {2**given.priority:,} objects have no share"
            if result.freeable < 2**given.priority
            else "the division leaves nothing"
        )
    return Step(
        "new work: a share of the cache, halved with each step of priority, less"
        " where objects are dear",
        "delta = (freeable >> priority) * 4 / seeks",
        f"({freeable} >> {given.priority}) * 4 / {divisor}",
        "delta",
        result.delta,
        remark,
    )


def _goal_remark(given: _Given, result: _Passed) -> str:
    wanted = (result.nr_before >> given.priority) + result.delta
    if wanted > 2 * result.freeable == result.total_scan > 0:
        return f"{wanted:,} would be more than twice the cache: the cap holds"
    return ""


def _scan_remark(given: _Given, result: _Passed, *, ends: bool | None) -> str:
    left = result.total_scan_left
    if ends is None:
        # Full batches, down to less than one.
        more = max(left // given.batch_size, 1)
        return f"stopped watching here; about {more:,} more calls would follow"
    if ends is False:
        return "stopped watching here; it never ends"
    if result.scans:
        return "less than a batch, and less than the cache" if left > 0 else ""
    if result.total_scan <= 0:
        return "nothing to scan"
    return "less than a batch, and less than the cache: nothing is scanned now"


def _deferred_remark(result: _Passed, scanned: int) -> str:
    left = result.nr_before + result.delta - scanned
    if left > 2 * result.freeable == result.nr_deferred > 0:
        return f"{left - result.nr_deferred:,} beyond twice the cache are forgotten"
    if result.nr_deferred == 0 and scanned > max(result.nr_before + result.delta, 0):
        return "more was scanned than was due; the debt is forgiven"
    if result.nr_deferred == 0 and result.nr_before < 0 and left < 0:
        return "the counter was negative, and is reset to 0"
    return ""


def _freed_remark(result: _Passed) -> str:
    if not result.scans:
        return ""
    said = f"{_calls(len(result.scans))}, each taken to free all that it was asked for"
    if not 0 < result.freeable < sum(result.scans):
        return said
    enough = itertools.accumulate(result.scans)
    calls = 1 + sum(1 for _ in itertools.takewhile(result.freeable.__gt__, enough))
    return (
        f"{said}. That is more than the {result.freeable:,} there are: a real cache"
        f" would be empty after {_calls(calls)}"
    )


def _calls(number: int) -> str:
    return "1 scan call" if number == 1 else f"{number:,} scan calls"


def _warnings(given: _Given, result: _Passed, *, ends: bool | None) -> Iterator[str]:
    yield from _about_count(given, result)
    yield from _about_goal(given, result, ends=ends)
    yield from _about_settings(given)
    yield from _about_end(given, result, ends=ends)


def _about_count(given: _Given, result: _Passed) -> Iterator[str]:
    freeable = result.freeable
    if given.count == STOP:
        yield (
            "2**64 - 1 is SHRINK_STOP, which means something when scanning; as a count"
            " it is the number -1"
        )
    if freeable < 0:
        yield f"a count of 2**63 and more turns into a negative number, {freeable:,}"
    if freeable > _EXACT:
        what = " (CountObjects.MAX among them)" if freeable == _LONG_MAX else ""
        yield (
            f"from 2**62 on, counts{what} cannot be doubled in a signed number:"
            f" 2 * {freeable:,} wraps to {2 * freeable - 2**64:,}, and as that is the"
            " cap, nothing is ever scanned, at no priority"
        )
    elif freeable < -(2**62):
        yield (
            f"2 * {number(freeable)} wraps to {2 * freeable + 2**64:,}, which is no"
            " longer below the goal"
        )


def _about_goal(given: _Given, result: _Passed, *, ends: bool | None) -> Iterator[str]:
    if given.seeks and (result.freeable >> given.priority) * 4 >= 2**64:
        yield (
            f"({result.freeable:,} >> {given.priority}) * 4 does not fit 64 bits and"
            " wraps before it is divided"
        )
    if not 0 <= result.freeable <= _EXACT:
        return
    wanted = (result.nr_before >> given.priority) + result.delta
    if wanted > _LONG_MAX:
        yield (
            f"(nr >> priority) + delta is {wanted:,}, more than 2**63 - 1: it wraps to"
            f" {wanted - 2**64:,}, and nothing is scanned"
        )
    if ends and result.nr_before + result.delta - sum(result.scans) > _LONG_MAX:
        yield (
            "nr + delta wraps to a negative number as well: all deferred work is"
            " forgotten"
        )


def _about_settings(given: _Given) -> Iterator[str]:
    if given.deferred < 0:
        yield "the deferred counter is negative, as counts of 2**62 and more leave it"
    if given.seeks < 0:
        yield (
            f"a negative seeks is a huge divisor: {given.seeks} is"
            f" {given.seeks + 2**32:,} as an unsigned 32-bit number"
        )
    if given.batch < 0:
        yield "a negative batch; the Python builder refuses it"


def _about_end(given: _Given, result: _Passed, *, ends: bool | None) -> Iterator[str]:
    if ends is False:
        yield _endless(given, result)
    elif ends is None:
        yield (
            f"more than {MAX_CALLS:,} scan calls: this pass ends, but the calls after"
            " that are not shown, nor what they leave"
        )
    elif result.nr_deferred < 0:
        yield (
            f"the deferred counter is left at {result.nr_deferred:,}: negative, which"
            " hurts the next pass too"
        )
    if ends and result.retval != result.returned:
        yield (
            f"the trace event has 32 bits for the objects freed: it says"
            f" {result.retval:,}, not {result.returned:,}"
        )


def _endless(given: _Given, result: _Passed) -> str:
    if given.batch < 0:
        why = (
            f"each call asks for {result.scans[-1]:,} objects, which as a signed number"
            " is the batch, and adds to the work instead of taking from it"
        )
    else:
        why = (
            "once total_scan is 0, each call asks for 0 objects, and 0 is still more"
            " than the negative freeable"
        )
    return (
        f"this pass never ends unless the callback says SHRINK_STOP: {why}. A kernel"
        " loops for ever; a domain ends it by its stall limit"
    )
