"""run_pass against the vectors; what it accepts and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from reference_model import model_pass, script
from tests_support import Scripted, register
from vectors_support import end_event, start_event, vectors

from shrinker import (
    DEF_PRIORITY,
    Domain,
    PassResult,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    StallError,
    native,
    run_pass,
)


def run_vector(given: dict[str, Any], max_calls: int = 100_000) -> PassResult:
    answer = script(given["policy"], given.get("mode"), given.get("arg"))
    calls = iter(range(max_calls + 1))
    return run_pass(
        given["count"],
        nr_deferred=given["deferred"],
        priority=given["priority"],
        seeks=given["seeks"],
        batch=given["batch"],
        scan=lambda n: answer(n, next(calls)),
        max_calls=max_calls,
    )


@pytest.mark.parametrize("name", ["edge", "random"])
def test_vectors(name: str) -> None:
    """Each vector of a genuine kernel's code is reproduced bit by bit."""
    rows = vectors(name)
    assert len(rows) == 2000
    for row in rows:
        given, out = row["in"], row["out"]
        result = run_vector(given)
        assert result.returned == out["ret"], row
        assert result.nr_deferred == out["deferred_after"], row
        assert len(result.scans) == out["ncalls"], row
        assert list(result.scans[:64]) == out["scan"], row
        assert start_event(result) == out["start"], row
        assert end_event(result) == out["end"], row


def test_nonterminating() -> None:
    """Inputs on which the genuine code does not end reach max_calls, as recorded."""
    rows = vectors("nonterminating")
    assert len(rows) > 300
    for row in rows:
        with pytest.raises(StallError) as caught:
            run_vector(row["in"], max_calls=2000)
        partial = caught.value.partial
        assert len(partial.scans) == 2000
        assert list(partial.scans[: len(row["first_scans"])]) == row["first_scans"]
        assert start_event(partial) == row["start"]


def test_nonterminating_at_the_default_limit() -> None:
    """The default max_calls is reached as well (a sample: each takes 0.1 s)."""
    for row in vectors("nonterminating")[::40]:
        with pytest.raises(StallError) as caught:
            run_vector(row["in"])
        assert len(caught.value.partial.scans) == 100_000


@pytest.mark.filterwarnings("ignore:.*made no progress:RuntimeWarning")
def test_the_guard_in_a_domain() -> None:
    """With a stall limit, endless passes end in a domain after exactly the scan calls
    that the model makes.

    These are the vectors whose deferred counter a first pass can produce;
    test_reference_model.py runs the model on all of them.
    """
    guarded = 0
    for row in vectors("nonterminating"):
        given = row["in"]
        if row["class"] == "finite_long" or not 0 <= given["deferred"] < 2**62:
            continue
        answer = script(given["policy"], given.get("mode"), given.get("arg"))
        expected = model_pass(
            given["count"],
            given["deferred"],
            given["priority"],
            given["seeks"],
            given["batch"],
            answer,
            max_calls=20_000,
            stall_limit=1024,
        )
        if expected.cut:
            continue
        assert expected.stalled
        assert guarded_pass(given) == (len(expected.scans), expected.nr_deferred)
        guarded += 1
    assert guarded > 150


def guarded_pass(given: dict[str, Any]) -> tuple[int, int]:
    """Return the scan calls of a guarded pass, and the deferred counter after.

    The builder refuses some of the vectors' settings.  A count callback may set
    them: seeks is read after the count, batch before it.
    """
    answer = script(given["policy"], given.get("mode"), given.get("arg"))
    sizes: list[int] = []
    preparing = True

    def count(shrinker: Any, sc: Any) -> int:
        shrinker.contents.batch = given["batch"]
        if preparing:
            return int(given["deferred"])
        shrinker.contents.seeks = given["seeks"]
        return int(given["count"])

    def scan(shrinker: Any, sc: Any) -> int:
        if preparing:
            return 2**64 - 1
        freed, nr_scanned = answer(sc.contents.nr_to_scan, len(sizes))
        sizes.append(sc.contents.nr_to_scan)
        sc.contents.nr_scanned = nr_scanned
        return freed

    callbacks = native.Callback(count), native.Callback(scan)
    with Domain() as domain:
        # At priority 0, seeks 4 defers what was counted.
        builder = ShrinkerBuilder("vector", domain=domain).set_seeks(4)
        with builder.register_native(*callbacks) as registration:
            domain.shrink_slab(priority=0)
            assert registration.nr_deferred() == given["deferred"]
            preparing = False
            domain.shrink_slab(priority=given["priority"])
            return len(sizes), registration.nr_deferred()


def test_defaults() -> None:
    """The defaults are priority 12, seeks 2, batch 0, and a scan that frees all."""
    assert run_pass(1 << 20) == run_pass(
        1 << 20, priority=DEF_PRIORITY, seeks=2, batch=0, scan=lambda n: n
    )
    assert run_pass(1 << 20).scans == (128,) * 4


@pytest.mark.parametrize("count", [0, 2**64 - 2])
def test_no_pass(count: int) -> None:
    """0 and EMPTY end before the pass: no events, and the counter stays."""
    result = run_pass(count, nr_deferred=77, priority=0)
    assert result == PassResult(returned=count, nr_deferred=77, scans=())


@pytest.mark.parametrize("stop", [2**64 - 1, ScanObjects.STOP, (2**64 - 1, 5)])
def test_stop(stop: Any) -> None:
    """STOP in any form ends the pass, and nothing of the call is accounted."""
    result = run_pass(1000, priority=0, scan=lambda n: stop)
    assert (result.returned, result.nr_deferred) == (0, 2000)
    assert result.scans == (128,)


def test_scan_object_and_tuple() -> None:
    """ScanObjects, ints and pairs mean the same."""
    plain = run_pass(1000, priority=0, scan=lambda n: n // 2)
    assert plain == run_pass(1000, priority=0, scan=lambda n: (n // 2, n))
    assert plain == run_pass(
        1000, priority=0, scan=lambda n: ScanObjects.from_count(n // 2)
    )


def test_many_scan_calls() -> None:
    """All sizes are returned, however many scan calls there were."""
    assert run_pass(1000, priority=0, batch=1).scans == (1,) * 2000


def test_max_calls() -> None:
    """Exactly max_calls calls are made; a pass that needs no more is whole."""
    whole = run_pass(1000, priority=0)
    assert run_pass(1000, priority=0, max_calls=len(whole.scans)) == whole
    with pytest.raises(StallError, match="more than 14") as caught:
        run_pass(1000, priority=0, max_calls=14)
    partial = caught.value.partial
    assert partial.scans == (128,) * 14
    assert partial.total_scan_left == 2000 - 14 * 128
    assert partial.returned == 14 * 128


@pytest.mark.parametrize("error", [OSError(), KeyboardInterrupt()])
def test_scan_raises(error: BaseException) -> None:
    """What scan raises comes out as it is."""

    def scan(n: int) -> int:
        raise error

    with pytest.raises(type(error)) as caught:
        run_pass(1000, priority=0, scan=scan)
    assert caught.value is error


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"count": -1}, ValueError),
        ({"count": 2**64}, ValueError),
        ({"count": 1.0}, TypeError),
        ({"count": True}, TypeError),
        ({"nr_deferred": 2**63}, ValueError),
        ({"nr_deferred": -(2**63) - 1}, ValueError),
        ({"priority": -1}, ValueError),
        ({"priority": 64}, ValueError),
        ({"seeks": 2**31}, ValueError),
        ({"seeks": -(2**31) - 1}, ValueError),
        ({"batch": 2**63}, ValueError),
        ({"batch": -(2**63) - 1}, ValueError),
        ({"max_calls": -1}, ValueError),
        ({"scan": lambda n: -1}, ValueError),
        ({"scan": lambda n: 2**64}, ValueError),
        ({"scan": lambda n: None}, TypeError),
        ({"scan": lambda n: (1, 2, 3)}, TypeError),
        ({"scan": lambda n: (1, -1)}, ValueError),
        ({"scan": 5}, TypeError),
    ],
)
def test_bad_input(bad: dict[str, Any], error: type[Exception]) -> None:
    """Out of range is a ValueError, another type a TypeError."""
    with pytest.raises(error):
        run_pass(**{"count": 1000, "priority": 0, **bad})


def test_inside_a_callback(domain: Domain) -> None:
    """run_pass is arithmetic: it may run inside a callback, and inside itself."""
    results = []

    def count(sc: ShrinkControl) -> int:
        results.append(run_pass(1000, priority=0).returned)
        return 0

    with register(domain, Scripted(count)):
        domain.shrink_slab()
    nested = run_pass(128, priority=1, scan=lambda n: run_pass(n, priority=1).returned)
    assert results == [1920]
    assert nested.returned == 128


def test_passes_inside_passes() -> None:
    """The outer pass goes on when the inner one, in its scan, has ended."""

    def scan(n: int) -> int:
        assert run_pass(1000, priority=0, scan=lambda m: m).returned == 1920
        return n

    assert run_pass(1000, priority=0, scan=scan).returned == 1920
