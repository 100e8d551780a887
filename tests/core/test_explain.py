"""``shrinker.explain``: its numbers are the core's, and it says what wraps."""

from __future__ import annotations

import json

import pytest
from explain_support import ENDLESS, INPUTS, Arguments

from shrinker import StallError, run_pass
from shrinker.explain import MAX_CALLS, explain


@pytest.mark.parametrize("given", INPUTS)
def test_the_numbers_are_those_of_run_pass(given: Arguments) -> None:
    """Every number of the JSON, and every step's result, is a field of the pass."""
    expected = run_pass(
        given.count,
        nr_deferred=given.deferred,
        priority=given.priority,
        seeks=given.seeks,
        batch=given.batch,
    )
    told = json.loads(json.dumps(explain(**given._asdict()).to_json()))
    assert {name: told[name] for name in given._fields} == given._asdict()
    for name in (
        "returned", "nr_deferred", "delta", "total_scan", "total_scan_left",
        "nr_before", "nr_after", "freeable", "retval",
    ):  # fmt: skip
        assert told[name] == getattr(expected, name), name
    scans = [run["nr_to_scan"] for run in told["scans"] for _ in range(run["times"])]
    assert scans == list(expected.scans)
    assert told["scan_calls"] == len(expected.scans)
    assert told["ends"] is True
    fields = {"nr": "nr_before"}
    for step in told["steps"]:
        name = fields.get(step["name"], step["name"])
        assert step["value"] == getattr(expected, name)
    assert len(told["steps"]) == (0 if expected.delta is None else 7)


def remark_of(given: Arguments, title: str) -> str:
    """Return the remark of the step whose title begins so."""
    steps = explain(**given._asdict()).steps
    (step,) = [step for step in steps if step.title.startswith(title)]
    return step.remark


@pytest.mark.parametrize(
    ("given", "remark"),
    [
        (Arguments(1000, deferred=-(2**63), priority=0), "the counter was negative"),
        (
            Arguments(1000, deferred=-3000),
            "the counter was negative, and is reset to 0",
        ),
        # total_scan is 2,000 - 6,000 / 4 = 500, while 2,000 - 6,000 are due.
        (Arguments(4000, deferred=-6000, priority=2, batch=1), "more was scanned"),
        (Arguments(1000, priority=0), ""),
    ],
)
def test_remark_on_the_deferred_counter(given: Arguments, remark: str) -> None:
    """A counter reset from below 0 is told from one that too much scanning emptied."""
    said = remark_of(given, "defer ")
    assert said.startswith(remark)
    assert bool(said) == bool(remark)


def test_remark_on_more_freed_than_counted() -> None:
    """The assumed callback frees all that it is asked for; a real cache cannot."""
    said = remark_of(Arguments(1000, priority=0), "return ")
    assert "15 scan calls" in said
    assert "more than the 1,000 objects in the cache" in said
    assert "a real cache would be empty after 8 scan calls" in said
    assert "real cache" not in remark_of(Arguments(1000, priority=1), "return ")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Arguments(2**62), "does not fit a signed 64-bit number"),
        (Arguments(2**63 - 1), "such as CountObjects.MAX"),
        (Arguments(2**63 - 1), "left negative, at -2"),
        (Arguments(2**63), "becomes a negative number"),
        (Arguments(2**64 - 1), "SHRINK_STOP"),
        (Arguments(2**61, deferred=2**62, priority=0), "wraps to"),
        (Arguments(1000, deferred=-2), "the deferred counter is negative"),
        (Arguments(1000, seeks=-1), "4,294,967,295"),
        (Arguments(2**32, priority=0, batch=2**20), "32 bits"),
        (Arguments(1000, batch=-1, priority=0), "batch is negative"),
    ],
)
def test_what_wraps_has_a_warning(given: Arguments, text: str) -> None:
    """Each case of "The edges of 64 bits" in the specification has its warning."""
    assert text in "\n".join(explain(**given._asdict()).warnings)


@pytest.mark.parametrize(
    "given",
    [
        Arguments(1000),
        Arguments(2**61 - 1, deferred=2**62 - 2, priority=0, batch=2**62),
        Arguments(2**30, batch=2**20, priority=1),
    ],
)
def test_no_warning_where_nothing_wraps(given: Arguments) -> None:
    """Exact arithmetic has no warning, up to the largest count that is exact."""
    warnings = explain(**given._asdict()).warnings
    assert not [warning for warning in warnings if "32 bits" not in warning]


@pytest.mark.parametrize("given", ENDLESS)
def test_a_pass_that_never_ends_is_explained(given: Arguments) -> None:
    """It is stopped, and the last warning says why it would go on."""
    with pytest.raises(StallError) as raised:
        run_pass(
            given.count,
            nr_deferred=given.deferred,
            priority=given.priority,
            seeks=given.seeks,
            batch=given.batch,
            max_calls=MAX_CALLS,
        )
    explanation = explain(**given._asdict())
    assert explanation.ends is False
    assert explanation.result == raised.value.partial
    assert "never ends" in explanation.warnings[-1]


def test_a_pass_of_many_calls_is_not_endless() -> None:
    """A large cache takes many calls: their number is told."""
    explanation = explain(10**9, priority=0)
    assert explanation.ends is None
    assert "15,525,000 more calls" in explanation.steps[-1].remark
    assert not [text for text in explanation.warnings if "never ends" in text]
