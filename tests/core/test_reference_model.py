"""The reference model against the recorded passes and the specification's numbers."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from reference_model import (
    SHRINK_STOP,
    ModelResult,
    Scan,
    free_all,
    i32,
    i64,
    model_pass,
    script,
    u32,
    u64,
)
from vectors_support import end_event, start_event, vectors

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.no_asan("a model alone, without any C")

HERE = pathlib.Path(__file__).parents[1]
SPECIFICATION = HERE.parent / "docs" / "specification.md"
STALL_LIMIT = 1024

Row = dict[str, Any]


def run(row: Row, max_calls: int, *, stall_limit: int = 0) -> ModelResult:
    given = row["in"]
    return model_pass(
        given["count"],
        given["deferred"],
        given["priority"],
        given["seeks"],
        given["batch"],
        script(given["policy"], given.get("mode"), given.get("arg")),
        max_calls,
        stall_limit=stall_limit,
    )


@functools.cache
def runs(name: str) -> tuple[ModelResult, ...]:
    return tuple(run(row, 100_000) for row in vectors(name))


@pytest.mark.parametrize("wrap", [u64, i64, u32, i32])
def test_wrapping_keeps_the_low_bits(wrap: Callable[[int], int]) -> None:
    """A wrapped number is congruent to the original, in range, and a fixed point."""
    bits = int(wrap.__name__[1:])
    low = -(2 ** (bits - 1)) if wrap.__name__[0] == "i" else 0
    edges = [0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1, 2**bits, 2**99]
    for value in [sign * edge for edge in edges for sign in (1, -1)]:
        wrapped = wrap(value)
        assert (wrapped - value) % 2**bits == 0
        assert low <= wrapped < low + 2**bits
        assert wrap(wrapped) == wrapped


@pytest.mark.parametrize("name", ["edge", "random"])
def test_vectors(name: str) -> None:
    """Every recorded pass comes out of the model bit by bit, calls and events too."""
    assert len(vectors(name)) == 2000
    for row, result in zip(vectors(name), runs(name), strict=True):
        assert {
            "ret": result.returned,
            "deferred_after": result.nr_deferred,
            "start": start_event(result),
            "end": end_event(result),
            "ncalls": len(result.scans),
            "scan": list(result.scans[:64]),
        } == row["out"], row["id"]
        assert not result.cut


def test_nonterminating_vectors_begin_as_recorded() -> None:
    """On each of them the model begins as the genuine code does, and does not end."""
    assert len(vectors("nonterminating")) == 389
    for row in vectors("nonterminating"):
        result = run(row, 2_000)
        assert result.cut, row
        assert len(result.scans) == 2_000
        assert start_event(result) == row["start"]
        assert list(result.scans[: len(row["first_scans"])]) == row["first_scans"]


def test_nonterminating_classes_go_past_100_000_calls() -> None:
    """One of each class, from each file, has not ended after 100,000 calls."""
    samples = {(row["file"], row["class"]): row for row in vectors("nonterminating")}
    assert len(samples) == 12
    for row in samples.values():
        assert run(row, 100_000).cut, row


def test_long_passes_end_after_the_recorded_number_of_calls() -> None:
    """Passes of some 100,000 calls end where the genuine code ended, to the call."""
    long = [row for row in vectors("nonterminating") if (row["calls"] or 10**6) < 10**6]
    assert len(long) == 12
    assert min(row["calls"] for row in long) == 178_458
    for row in long:
        result = run(row, 10**6)
        assert not result.cut
        assert len(result.scans) == row["calls"], row


def test_stall_guard_leaves_terminating_vectors_alone() -> None:
    """No recorded pass that ends makes more than 65 fruitless calls."""
    fruitless = [result.fruitless for n in ("edge", "random") for result in runs(n)]
    assert max(fruitless) == 65 < STALL_LIMIT


def test_stall_guard_on_nonterminating_vectors() -> None:
    """It ends 300 of the 309 endless ones in 20,000 calls, and 14 of 80 long ones."""
    stalled = {False: 0, True: 0}
    cut = {False: 0, True: 0}
    for row in vectors("nonterminating"):
        result = run(row, 20_000, stall_limit=STALL_LIMIT)
        is_long = row["class"] == "finite_long"
        stalled[is_long] += result.stalled
        cut[is_long] += result.cut
        if is_long and result.stalled:
            assert row["calls"] > 2**55
            assert i64(row["in"]["arg"]) < 0
            assert row["in"]["mode"] == "const"
    assert stalled == {False: 300, True: 14}
    assert cut == {False: 9, True: 66}


def test_stall_guard_accounts_the_call_that_reaches_the_limit() -> None:
    """The limit-th fruitless call counts in full, and no further one is made."""

    def no_progress(n: int, i: int) -> tuple[int, int]:
        return 1, 0

    result = model_pass(1000, priority=0, scan=no_progress, stall_limit=STALL_LIMIT)
    assert result.stalled
    assert not result.cut
    assert len(result.scans) == result.returned == STALL_LIMIT
    assert result.nr_deferred == 2000


def test_stall_guard_adds_up_calls_that_do_not_follow_one_another() -> None:
    """Fruitful calls between fruitless ones do not reset the sum."""

    def every_other(n: int, i: int) -> tuple[int, int]:
        return 0, n if i % 2 else 0

    result = model_pass(1000, priority=0, scan=every_other, stall_limit=3)
    assert result.stalled
    assert len(result.scans) == 5
    assert result.nr_deferred == 2000 - 2 * 128


def test_stall_guard_precedes_the_condition_for_another_call() -> None:
    """A pass that its last fruitless call would have ended anyway is stalled too."""

    def to_the_bottom(n: int, i: int) -> tuple[int, int]:
        return 0, 2**62 + 5

    def one_pass(stall_limit: int) -> ModelResult:
        return model_pass(
            2**63 + 10, seeks=0, scan=to_the_bottom, stall_limit=stall_limit
        )

    kernel, guarded = one_pass(0), one_pass(1)
    assert kernel.total_scan == -(2**62) + 5
    assert kernel.total_scan_left == -(2**63)
    assert not kernel.cut
    assert guarded.stalled
    assert guarded == dataclasses.replace(kernel, stalled=True)


def test_stop_is_never_fruitless() -> None:
    """A call that returns SHRINK_STOP is listed, but not accounted, and not
    fruitless."""
    result = model_pass(2**63, scan=lambda n, i: (SHRINK_STOP, 0), stall_limit=1)
    assert result.scans == (0,)
    assert result.returned == result.fruitless == 0
    assert not result.stalled


def test_retval_is_cut_to_32_bits() -> None:
    """2**31 freed objects are a negative number in the end event."""
    result = model_pass(1, priority=0, scan=lambda n, i: (2**31, n))
    assert result.returned == 2**31
    assert result.retval == -2147483648


# The examples on the page: `call`: `field=value`, `field=value` …


@dataclasses.dataclass(frozen=True)
class Example:
    line: int
    call: str
    outcome: tuple[str, ...]


SPAN = re.compile("`([^`]*)`")
CALL = re.compile(r"run_pass\(|shrinker explain ")
FIELD = re.compile(r"(?P<name>[\w()]+)=(?P<value>.*)")


def examples() -> list[Example]:
    """Return each call on the page, with the outcome that follows it."""
    found: list[Example] = []
    spans: list[tuple[int, str]] = []
    text = SPECIFICATION.read_text(encoding="utf-8")
    for block in re.finditer(r"^- .+\n(?:  .+\n)*", text, re.MULTILINE):
        line = 1 + text.count("\n", 0, block.start())
        spans += [(line, span) for span in SPAN.findall(block[0].replace("\n  ", " "))]
        spans.append((line, ""))
    calls = [place for place, (_, span) in enumerate(spans) if CALL.match(span)]
    for place in calls:
        outcome = itertools.takewhile(
            lambda span: span and not CALL.match(span),
            (span for _, span in spans[place + 1 :]),
        )
        found.append(Example(*spans[place], tuple(outcome)))
    return found


def run_pass(count: int, *, scan: Any = None, **arguments: int) -> ModelResult:
    """``shrinker.run_pass`` on the model."""

    def adapted(n: int, i: int) -> tuple[int, int]:
        answer = scan(n)
        return answer if isinstance(answer, tuple) else (answer, n)

    adapter: Scan = adapted if scan else free_all
    return model_pass(count, scan=adapter, **arguments)


def explain(command: str) -> ModelResult:
    """``shrinker explain`` on the model."""
    words = shlex.split(command)[2:]
    options = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    renamed = {"--deferred": "nr_deferred"}
    return run_pass(**{renamed.get(k, k.lstrip("-")): v for k, v in options.items()})


def evaluate(expression: str, names: dict[str, Any]) -> Any:
    return eval(expression, {"__builtins__": {"len": len}, **names})


def test_consequences_are_found_on_the_page() -> None:
    """The examples are where the tests look for them, each with something to check."""
    found = examples()
    assert len(found) == 39
    assert sum(len(example.outcome) for example in found) == 112
    assert all(example.outcome for example in found)


@pytest.mark.parametrize("example", examples(), ids=lambda e: f"line{e.line}")
def test_consequences(example: Example) -> None:
    """An example of the specification has the outcome that the page gives."""
    if example.call.startswith("shrinker explain"):
        result = explain(example.call)
    else:
        result = evaluate(example.call, {"run_pass": run_pass})
    names = dataclasses.asdict(result)
    assert result.cut == ("StallError" in example.outcome)
    for said in example.outcome:
        if said != "StallError":
            field = FIELD.fullmatch(said)
            assert field is not None, said
            expected = evaluate(field["value"], {})
            assert evaluate(field["name"], names) == expected, said


GRID = tuple(
    itertools.product(
        [0, 1, -2, 2**62, 2**63 - 1, -(2**63)],  # nr_deferred
        [0, 1, 12, 63],  # priority
        [0, 1, 2, 1000, -1],  # seeks
    )
)


@pytest.mark.parametrize("count", [2**62, 2**62 + 1, 3 * 2**61, 2**63 - 1])
def test_consequences_of_doubling_past_63_bits(count: int) -> None:
    """From 2^62 to 2^63 - 1 nothing is scanned; the counter is 2 * count - 2^64."""
    for nr, priority, seeks in GRID:
        result = model_pass(count, nr, priority, seeks)
        assert result.scans == ()
        assert result.nr_deferred == 2 * count - 2**64


@pytest.mark.parametrize("count", [2**63 + 2**62, 2**63 + 2**62 + 1, 2**64 - 3])
def test_consequences_of_the_largest_counts(count: int) -> None:
    """From 2^63 + 2^62 on nothing is scanned and the counter becomes 2f."""
    for nr, priority, seeks in GRID:
        result = model_pass(count, nr, priority, seeks)
        assert result.scans == ()
        assert result.nr_deferred == 2 * i64(count)


@pytest.mark.parametrize("k", [0, 1, 63, 64, 2**61, 2**61 + 1, 2**62 - 1])
@pytest.mark.parametrize("priority", range(13))
def test_consequences_of_endless_counts(k: int, priority: int) -> None:
    """From 2^63 to 2^63 + 2^62 - 1, default seeks, counter 0: never ends."""
    result = model_pass(2**63 + k, priority=priority, batch=2**61, max_calls=500)
    assert result.cut
    assert result.scans[-1] == 0
    assert result.total_scan_left == 0
    if priority == 0:
        assert result.total_scan == 2 * k


@pytest.mark.parametrize(("seeks", "last"), [(1, 1537228672809129301), (2, 2**61 - 1)])
def test_consequences_of_a_full_counter(seeks: int, last: int) -> None:
    """Above ``last`` a full counter makes the goal wrap, unless seeks are larger."""

    def goal(count: int, seeks: int) -> int | None:
        return model_pass(count, 2 * count, 0, seeks, batch=2**62).total_scan

    assert goal(last, seeks) == 2 * last
    assert (goal(last + 1, seeks) or 0) < 0
    for more in range(seeks + 1, 20):
        assert goal(last + 1, more) == 2 * (last + 1)


@pytest.mark.parametrize("priority", range(13))
@pytest.mark.parametrize("nr", [-1, -2, -6, -(2**62), -(2**63)])
def test_consequences_of_a_negative_counter(nr: int, priority: int) -> None:
    """After one pass over a sane count the counter is not negative any more."""
    assert model_pass(1000, nr, priority).nr_deferred >= 0


def test_consequences_of_small_caches_at_priority_12() -> None:
    """4,096 for a share, 262,144 for a scan, 131,072 with a full counter."""
    shares = [model_pass(count).delta for count in (4095, 4096)]
    assert shares == [0, 2]
    assert not any(model_pass(f).scans for f in range(1, 262_144, 61))
    assert not any(model_pass(f, 2 * f).scans for f in range(4, 131_072, 61))
    assert model_pass(262_144).scans
    assert model_pass(131_072, 262_144).scans


@pytest.mark.parametrize("count", range(1, 128))
def test_consequences_below_a_batch_at_priority_1(count: int) -> None:
    """Even counts are scanned whole, odd ones are deferred."""
    result = model_pass(count, priority=1)
    assert result.scans == (() if count % 2 else (count,))
