"""The reclaimer without its thread: looks, arguments, protect()."""

from __future__ import annotations

import inspect
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import LIMIT, MARKS, MIB, PAGE, FakeMemory, Log, Pages, make
from tests_support import register

import shrinker.pressure.reclaimer
from shrinker.pressure import Reclaimer, Watermarks, protect

if TYPE_CHECKING:
    from shrinker import Domain
    from shrinker.pressure.journal import ReclaimRecord


def test_a_look_reclaims_up_to_high(domain: Domain, log: Log) -> None:
    """A synchronous look frees the deficit and records all about it."""
    memory = FakeMemory(90)
    cache = Pages(100_000, memory)
    with register(domain, cache):
        reclaimer = make(domain, memory)
        before = time.monotonic()
        record = reclaimer.look()
        assert record is not None
        assert before <= record.when <= time.monotonic()
        assert record.wall == pytest.approx(time.time(), abs=60)
        assert memory.used <= LIMIT - 150 * MIB
        assert record.freed == 100_000 - cache.pages >= 60 * MIB // PAGE
        assert record.wanted == record.deficit // PAGE == 60 * MIB // PAGE
        assert (record.action, record.trigger) == ("reclaim", "look")
        assert (record.priority_start, record.where) == (12, "test")
        assert 0 <= record.priority_end < 12
        assert (record.limit, record.free, record.kept) == (LIMIT, 90 * MIB, 0)
        assert (record.min, record.low, record.high) == (
            MARKS.min,
            MARKS.low,
            MARKS.high,
        )
        assert reclaimer.look() is None
        assert reclaimer.history() == (record,)
        seen = reclaimer.statistics()
        assert (seen.looks, seen.reclaims, seen.freed) == (2, 1, record.freed)
        assert seen.limit == LIMIT
        assert seen.used == memory.used
    line = log.wait_for("reclaim (look): 90.0 MiB free, below low (100.0); freed ")
    assert f"freed {record.freed:,} objects (15,360 wanted) (cache " in line
    assert len(line) <= 120
    log.wait_for("look (look): all is well [test: ")
    assert not reclaimer.running


def test_the_limit_may_change(domain: Domain) -> None:
    """A limit that is lowered is kept from the next look on."""
    memory = FakeMemory(500)
    with register(domain, Pages(100_000, memory)):
        reclaimer = make(domain, memory)
        assert reclaimer.look() is None
        memory.limit -= 450 * MIB
        record = reclaimer.look()
        assert record is not None
        assert record.limit == memory.limit


def test_the_breaker_warns_once(domain: Domain, log: Log) -> None:
    """Where caches are empty: one line at WARNING, and it is counted."""
    memory = FakeMemory(30)
    reclaimer = make(domain, memory)
    for _ in range(5):
        reclaimer.look()
    assert log.count("breaker opened: the caches are empty", logging.WARNING) == 1
    assert reclaimer.statistics().breaker_opened == 1
    assert reclaimer.statistics().breaker == "open"


def test_look_in_a_callback(domain: Domain) -> None:
    """It does nothing there, and that does not count as a fruitless reclaim."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    reclaimer = make(domain, memory)
    looked: list[ReclaimRecord | None] = []
    cache.on_scan = lambda: looked.append(reclaimer.look())
    with register(domain, cache):
        assert reclaimer.look() is not None
    assert looked
    assert set(looked) == {None}
    assert len(reclaimer.history()) == 1
    assert reclaimer.statistics().fruitless == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"domain": "x"}, TypeError),
        ({"source": "x"}, TypeError),
        ({"source": 5}, TypeError),
        ({"watermarks": 7}, TypeError),
        ({"memory": "/"}, TypeError),
        ({"trim": "no"}, TypeError),
        ({"direct": None}, TypeError),
        ({"cooldown": "1"}, TypeError),
        ({"cooldown": 10**400}, ValueError),
        ({"hold": -1}, ValueError),
        ({"hold": float("nan")}, ValueError),
        ({"history": 0}, ValueError),
    ],
)
def test_wrong_arguments(
    domain: Domain, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """They are refused before anything is opened; the text names the argument."""
    (name,) = arguments
    for function in (protect, Reclaimer):
        with pytest.raises(error, match=f"{name} must be"):
            function(**{"domain": domain, **arguments})


def test_protect_that_is_dropped(domain: Domain) -> None:
    """A bare protect() protects nothing, and warns; a bare Reclaimer does not."""
    with pytest.warns(ResourceWarning, match=r"protect\(\) was never entered"):
        protect(domain)
    Reclaimer(domain)
    with protect(domain, memory=FakeMemory(500), source=None):
        pass
    protect(domain, memory=FakeMemory(500), source=None).look()
    started = protect(domain, memory=FakeMemory(500), source=None).start()
    started.stop()


def test_protect_passes_everything_on(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes what a ``Reclaimer`` takes, with the same defaults."""
    parameters = inspect.signature(Reclaimer).parameters
    assert inspect.signature(protect).parameters == parameters
    passed: dict[str, object] = {}

    class Recorder:
        def __init__(self, domain: Domain, **arguments: object) -> None:
            passed.update(arguments, domain=domain)

    monkeypatch.setattr(shrinker.pressure.reclaimer, "Reclaimer", Recorder)
    given: dict[str, Any] = {name: object() for name in parameters}
    protect(**given)
    assert passed == given


def test_watermarks_by_a_rule(domain: Domain) -> None:
    """A given rule is asked with the limit; nothing has started before."""
    memory = FakeMemory(10, 100 * MIB)
    rule = Watermarks.fractions(0.2, 0.3, 0.4)
    reclaimer = protect(domain, memory=memory, watermarks=rule, source=None)
    assert not reclaimer.running
    assert repr(reclaimer) == "<Reclaimer stopped>"
    cache = Pages(100_000, memory)
    with register(domain, cache):
        record = reclaimer.look()
    assert record is not None
    assert record.high == 40 * MIB
