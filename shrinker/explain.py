"""One pass, step by step, with its numbers filled in, as plain data.

``run_pass`` runs the pass, and every result shown is a field of its ``PassResult``.
This module computes without wrapping, only to see where the pass wrapped and to
remark on it.  ``shrinker.cli.explain`` prints the explanation.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from shrinker.one_pass import PassResult, StallError, run_pass
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
MAX_CALLS = 100_000
"""Scan calls of a pass that are shown; the pass is stopped after them."""

_LONG_MAX = 2**63 - 1
_MAX_DOUBLED = 2**62 - 1
"""The largest count whose double fits a signed 64-bit number."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of a pass."""

    title: str
    """What the step does."""
    formula: str
    """As in docs/specification.md, "One pass"; may have two lines."""
    filled_in: str
    """The formula with the numbers of this pass."""
    name: str
    """Name of the result, as in the formula and in the trace events."""
    value: int
    """What the pass computed."""
    remark: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ScanCalls:
    """Scan calls in a row that asked for the same number."""

    nr_to_scan: int
    """Objects that each call asked for."""
    times: int
    """Number of calls."""


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """A pass: its arguments, its steps, and what to know about it."""

    count: int
    deferred: int
    priority: int
    seeks: int
    batch: int
    """As given; 0 means 128."""
    era: str
    """Whose formula it is, as ``run_pass`` takes it."""
    pgs_scanned: int | None
    """Of the eras A, in place of the priority."""
    lru_pgs: int | None
    result: PassResult
    """Where the pass is stopped, the result of its first 100,000 scan calls."""
    steps: tuple[Step, ...]
    """Empty where the count was 0 or EMPTY: the pass has no further steps."""
    scans: tuple[ScanCalls, ...]
    ends: bool | None
    """False: never, whatever the callback frees.  None: after more scan calls than
    are shown."""
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
            "era": self.era,
            "pgs_scanned": self.pgs_scanned,
            "lru_pgs": self.lru_pgs,
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
    era: str = "C",
    pgs_scanned: int | None = None,
    lru_pgs: int | None = None,
) -> Explanation:
    """Run one pass whose callback frees all that it is asked for, and explain it.

    Arguments are those of ``run_pass`` (``deferred`` is its ``nr_deferred``);
    raises ``ValueError`` and ``TypeError`` as it does, never ``StallError``.
    """
    settings: dict[str, Any] = {
        "priority": priority,
        "seeks": seeks,
        "batch": batch,
        "era": era,
        "pgs_scanned": pgs_scanned,
        "lru_pgs": lru_pgs,
    }
    ends: bool | None = True
    try:
        result = run_pass(count, nr_deferred=deferred, max_calls=MAX_CALLS, **settings)
    except StallError as exc:
        result = exc.partial
        # Each call frees all that it is asked for, so total_scan falls and the pass
        # ends; but not where a total_scan of 0 is still more than a negative count,
        # nor where a negative batch adds to it.
        falls = result.freeable is not None and result.freeable > 0 <= batch
        ends = None if falls else False
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    if result.freeable is not None:
        names = (field.name for field in dataclasses.fields(result))
        fields = {name: getattr(result, name) for name in names}
        passed = _Pass(count, deferred, ends=ends, **settings, **fields)
        steps, warnings = tuple(_steps(passed)), tuple(_warnings(passed))
    runs = itertools.groupby(result.scans)
    return Explanation(
        count=count,
        deferred=deferred,
        **settings,
        result=result,
        steps=steps,
        scans=tuple(ScanCalls(size, len(list(run))) for size, run in runs),
        ends=ends,
        warnings=warnings,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Pass:
    """A pass that got past the count: its arguments, and its ``PassResult``, in
    which no field is None."""

    count: int
    deferred: int
    priority: int
    seeks: int
    batch: int
    era: str
    pgs_scanned: int | None
    lru_pgs: int | None
    ends: bool | None
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

    @property
    def batch_size(self) -> int:
        return self.batch or SHRINK_BATCH

    @property
    def scanned(self) -> int:
        return sum(self.scans)

    @property
    def wanted(self) -> int:
        """``total_scan`` before the cap, without wrapping."""
        return (self.nr_before >> self.priority) + self.delta

    @property
    def left(self) -> int:
        """The new deferred counter before its limits, without wrapping."""
        return self.nr_before + self.delta - self.scanned


def number(value: int) -> str:
    """Return ``value`` with thousands marked, and in brackets where negative."""
    return f"({value:,})" if value < 0 else f"{value:,}"


def _steps(p: _Pass) -> Iterator[Step]:
    freeable, nr = number(p.freeable), number(p.nr_before)
    yield Step(
        "count: how many objects could be freed",
        "freeable = count_objects()",
        number(p.count),
        "freeable",
        p.freeable,
        "" if p.freeable == p.count else "as a signed 64-bit number",
    )
    yield Step(
        "take the deferred work of earlier passes; the counter is 0 meanwhile",
        "nr = exchange(nr_deferred, 0)",
        f"exchange({nr}, 0)",
        "nr",
        p.nr_before,
    )
    yield _delta_step(p)
    yield _total_step(p) if p.era == "C" else _older_total_step(p)
    yield Step(
        "scan in batches, while a whole batch or the whole cache is left to scan",
        "while total_scan >= batch or total_scan >= freeable:\n"
        "    scan_objects(min(batch, total_scan))",
        f"batch = {number(p.batch_size)}, freeable = {freeable}",
        "total_scan_left",
        p.total_scan_left,
        _scan_remark(p),
    )
    if not p.ends:
        return
    yield _deferred_step(p) if p.era == "C" else _older_deferred_step(p)
    yield Step(
        "return the number of objects freed",
        "return freed",
        number(p.returned),
        "returned",
        p.returned,
        _freed_remark(p),
    )


def _total_step(p: _Pass) -> Step:
    freeable, nr, delta = number(p.freeable), number(p.nr_before), number(p.delta)
    return Step(
        "total to scan: a share of the deferred work and all new work, at most twice"
        " the cache",
        "total_scan = min((nr >> priority) + delta, 2 * freeable)",
        f"min(({nr} >> {p.priority}) + {delta}, 2 * {freeable})",
        "total_scan",
        p.total_scan,
        f"{p.wanted:,} is more than twice the cache: the cap applies"
        if p.wanted > 2 * p.freeable == p.total_scan > 0
        else "",
    )


def _older_total_step(p: _Pass) -> Step:
    freeable, delta = number(p.freeable), number(p.delta)
    negative = p.nr_before + p.delta < 0
    wanted = freeable if negative else f"{number(p.nr_before)} + {delta}"
    remark = "nr + delta is negative: the whole cache is taken" if negative else ""
    # The comparison is of unsigned numbers, as in the core.
    if p.delta < (abs(p.freeable) // 4 if p.freeable > 0 else 0):
        return Step(
            "total to scan: all deferred work and all new work; where that is little,"
            " at most half of the cache",
            "total_scan = min(nr + delta, freeable / 2)    # delta < freeable / 4",
            f"min({wanted}, {freeable} / 2)",
            "total_scan",
            p.total_scan,
            remark,
        )
    return Step(
        "total to scan: all deferred work and all new work, at most twice the cache",
        "total_scan = min(nr + delta, 2 * freeable)",
        f"min({wanted}, 2 * {freeable})",
        "total_scan",
        p.total_scan,
        remark,
    )


def _deferred_step(p: _Pass) -> Step:
    nr, delta, scanned = map(number, (p.nr_before, p.delta, p.scanned))
    return Step(
        "defer what was not scanned, at most twice the cache",
        "next = min(max(nr + delta - scanned, 0), 2 * freeable)",
        f"min(max({nr} + {delta} - {scanned}, 0), 2 * {number(p.freeable)})",
        "nr_deferred",
        p.nr_deferred,
        _deferred_remark(p),
    )


def _older_deferred_step(p: _Pass) -> Step:
    if p.era == "A-4.10":
        return Step(
            "defer what is left of total_scan",
            "next = max(total_scan, 0)",
            f"max({number(p.total_scan_left)}, 0)",
            "nr_deferred",
            p.nr_deferred,
        )
    windup = 0 < 2 * p.freeable < p.nr_deferred
    return Step(
        "defer what was not scanned; there is no cap",
        "next = max(nr + delta - scanned, 0)",
        f"max({number(p.nr_before)} + {number(p.delta)} - {number(p.scanned)}, 0)",
        "nr_deferred",
        p.nr_deferred,
        "more than twice the cache: Linux from 5.13 on would drop the rest"
        if windup
        else "",
    )


def _pages_step(p: _Pass) -> Step:
    freeable, seeks = number(p.freeable), number(p.seeks)
    pgs_scanned, lru_pgs = number(p.pgs_scanned or 0), number(p.lru_pgs or 0)
    return Step(
        "new work: as large a share of the cache as the walk scanned of the pages",
        "delta = 4 * pgs_scanned / seeks * freeable / (lru_pgs + 1)",
        f"4 * {pgs_scanned} / {seeks} * {freeable} / ({lru_pgs} + 1)",
        "delta",
        p.delta,
    )


def _delta_step(p: _Pass) -> Step:
    if p.pgs_scanned is not None:
        return _pages_step(p)
    freeable = number(p.freeable)
    if p.seeks == 0:
        return Step(
            "new work: half of the cache at any priority, because seeks 0 means cheap"
            " to recreate",
            "delta = freeable / 2",
            f"{freeable} / 2",
            "delta",
            p.delta,
        )
    divisor = number(p.seeks)
    remark = ""
    if p.era == "B-4.19":
        return Step(
            "new work: a share of the cache, smaller with a higher priority or seeks;"
            " at least a batch, or the whole cache",
            "delta = max((freeable >> priority) * 4 / seeks, min(freeable, batch))",
            f"max(({freeable} >> {p.priority}) * 4 / {divisor},"
            f" min({freeable}, {number(p.batch_size)}))",
            "delta",
            p.delta,
        )
    if p.seeks < 0:
        divisor = number(p.seeks + 2**32)
        remark = "seeks is taken as an unsigned 32-bit number"
    elif p.delta == 0 < p.freeable <= _MAX_DOUBLED:
        remark = (
            f"the shift gives 0: at this priority a cache below {2**p.priority:,}"
            " objects has no share"
            if p.freeable < 2**p.priority
            else "the division gives 0"
        )
    return Step(
        "new work: a share of the cache, smaller with a higher priority or seeks",
        "delta = (freeable >> priority) * 4 / seeks",
        f"({freeable} >> {p.priority}) * 4 / {divisor}",
        "delta",
        p.delta,
        remark,
    )


def _scan_remark(p: _Pass) -> str:
    left = p.total_scan_left
    if p.ends is None:
        # Full batches, down to less than one.
        more = max(left // p.batch_size, 1)
        return f"only the first calls are shown; about {more:,} more calls follow"
    if p.ends is False:
        return "only the first calls are shown; the pass never ends"
    if p.scans:
        return "less than a batch, and less than the cache" if left > 0 else ""
    if p.total_scan <= 0:
        return "nothing to scan"
    return "less than a batch, and less than the cache: nothing is scanned now"


def _deferred_remark(p: _Pass) -> str:
    if p.left > 2 * p.freeable == p.nr_deferred > 0:
        return f"{p.left - p.nr_deferred:,} objects beyond twice the cache are dropped"
    if p.nr_deferred == 0 and p.scanned > max(p.nr_before + p.delta, 0):
        return "more was scanned than was due: the counter is 0, not negative"
    if p.nr_deferred == 0 and p.nr_before < 0 and p.left < 0:
        return "the counter was negative, and is reset to 0"
    return ""


def _freed_remark(p: _Pass) -> str:
    if not p.scans:
        return ""
    text = f"{_calls(len(p.scans))}, each assumed to free all that it was asked for"
    if not 0 < p.freeable < p.scanned:
        return text
    freed = itertools.accumulate(p.scans)
    calls = 1 + sum(1 for _ in itertools.takewhile(p.freeable.__gt__, freed))
    return (
        f"{text}. That is more than the {p.freeable:,} objects in the cache: a real"
        f" cache would be empty after {_calls(calls)}"
    )


def _calls(number: int) -> str:
    return "1 scan call" if number == 1 else f"{number:,} scan calls"


def _warnings(p: _Pass) -> Iterator[str]:
    if p.era != "C":
        yield from _end_warnings(p)
        return
    yield from _count_warnings(p)
    if 0 <= p.freeable <= _MAX_DOUBLED:
        yield from _sum_warnings(p)
    if p.deferred < 0:
        yield (
            "the deferred counter is negative, as a pass with a count of 2**62 or more"
            " leaves it"
        )
    if p.seeks < 0:
        yield (
            f"a negative seeks is a huge divisor: {p.seeks} is {p.seeks + 2**32:,} as"
            " an unsigned 32-bit number"
        )
    if p.batch < 0:
        yield "batch is negative, which ShrinkerBuilder.set_batch() refuses"
    yield from _end_warnings(p)


def _count_warnings(p: _Pass) -> Iterator[str]:
    freeable = p.freeable
    if p.count == ScanObjects.STOP.value:
        yield (
            "2**64 - 1 is SHRINK_STOP, an answer of scan_objects(); as a count it is"
            " the number -1"
        )
    if freeable < 0:
        yield f"a count of 2**63 or more becomes a negative number, {freeable:,}"
    if freeable > _MAX_DOUBLED:
        example = ", such as CountObjects.MAX," if freeable == _LONG_MAX else ""
        yield (
            f"twice a count of 2**62 or more{example} does not fit a signed 64-bit"
            f" number: 2 * {freeable:,} wraps to {2 * freeable - 2**64:,}. That is the"
            " cap, so nothing is ever scanned, at any priority"
        )
    elif freeable < -(2**62):
        yield (
            f"2 * {number(freeable)} wraps to {2 * freeable + 2**64:,}: the cap is not"
            " negative any more"
        )
    if p.seeks and (freeable >> p.priority) * 4 >= 2**64:
        yield (
            f"({freeable:,} >> {p.priority}) * 4 does not fit 64 bits and wraps before"
            " it is divided"
        )


def _sum_warnings(p: _Pass) -> Iterator[str]:
    if p.wanted > _LONG_MAX:
        yield (
            f"(nr >> priority) + delta is {p.wanted:,}, more than 2**63 - 1: it wraps"
            f" to {p.wanted - 2**64:,}, and nothing is scanned"
        )
    if p.ends and p.left > _LONG_MAX:
        yield "nr + delta wraps to a negative number too: all deferred work is lost"


def _end_warnings(p: _Pass) -> Iterator[str]:
    if p.ends is False:
        yield _endless(p)
    elif p.ends is None:
        yield (
            f"the pass ends after more than {MAX_CALLS:,} scan calls; the later ones,"
            " and what they leave, are not shown"
        )
    elif p.nr_deferred < 0:
        yield (
            f"the deferred counter is left negative, at {p.nr_deferred:,}: the next"
            " pass scans too little"
        )
    if p.ends and p.retval != p.returned:
        yield (
            "the trace event has 32 bits for the objects freed: it shows"
            f" {p.retval:,}, not {p.returned:,}"
        )


def _endless(p: _Pass) -> str:
    if p.batch < 0:
        why = (
            f"each call asks for {p.scans[-1]:,} objects. As a signed number that is"
            " the negative batch, so the call adds to total_scan instead of taking"
            " from it"
        )
    else:
        why = (
            "once total_scan is 0, each call asks for 0 objects, and 0 is still more"
            " than the negative freeable"
        )
    return (
        f"this pass never ends unless the callback returns SHRINK_STOP: {why}. A kernel"
        " loops for ever; a domain stops at its stall limit"
    )
