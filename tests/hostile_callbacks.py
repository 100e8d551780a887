"""Ways to misbehave in a callback, and what the core is told in each case.

test_hostile_callbacks.py and test_hostile_memory.py both go through ``BEHAVIOURS``.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from hostile_exceptions import ENDING, EXCEPTIONS
from reference_model import SHRINK_EMPTY, SHRINK_STOP

from shrinker import CountObjects, ScanObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain, ShrinkControl, ShrinkerRegistration

__all__ = ["BEHAVIOURS", "Behaviour", "Misbehaving"]

OBJECTS = 300


class Misbehaving:
    """A shrinker that counts 300 objects and behaves as told."""

    registration: ShrinkerRegistration[Any]

    def __init__(self, domain: Domain, behaviour: Behaviour) -> None:
        self.domain = domain
        self.behaviour = behaviour
        self.depth = 0
        self.calls = 0

    def count_objects(self, sc: ShrinkControl) -> Any:
        self.calls += 1
        return self.behaviour.count(self, sc)

    def scan_objects(self, sc: ShrinkControl) -> Any:
        self.calls += 1
        return self.behaviour.scan(self, sc)


def well_counted(_: Misbehaving, sc: ShrinkControl) -> Any:
    return OBJECTS


def well_scanned(_: Misbehaving, sc: ShrinkControl) -> Any:
    return sc.nr_to_scan


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """Two callbacks, and what the core should make of them."""

    count: Callable[[Misbehaving, ShrinkControl], Any] = well_counted
    scan: Callable[[Misbehaving, ShrinkControl], Any] = well_scanned
    told_count: int = OBJECTS
    told_scan: Callable[[int], tuple[int, int]] = lambda n: (n, n)
    """For ``nr_to_scan``: freed, and ``nr_scanned``."""
    raises: bool = False
    """Whether the walk's starter hears of it."""
    ends: bool = False
    """Whether the walk is over."""
    cost: int = 1
    """How many times longer a call takes than usual."""


def stopped(n: int) -> tuple[int, int]:
    return SHRINK_STOP, n


BEHAVIOURS: dict[str, Behaviour] = {"none": Behaviour()}


def both(
    name: str, act: Callable[[Misbehaving, ShrinkControl], Any], **more: Any
) -> None:
    """Add a behaviour that gives no result, for each of the callbacks."""
    more = {"raises": True, **more}
    BEHAVIOURS[f"count: {name}"] = Behaviour(count=act, told_count=0, **more)
    BEHAVIOURS[f"scan: {name}"] = Behaviour(scan=act, told_scan=stopped, **more)


def harmless(
    name: str, act: Callable[[Misbehaving, ShrinkControl], Any], **more: Any
) -> None:
    """Add a behaviour that does something and gives a right result, for each
    callback."""

    def count(self: Misbehaving, sc: ShrinkControl) -> Any:
        act(self, sc)
        return OBJECTS

    def scan(self: Misbehaving, sc: ShrinkControl) -> Any:
        n = sc.nr_to_scan
        act(self, sc)
        return n

    BEHAVIOURS[f"count: {name}"] = Behaviour(count=count, **more)
    BEHAVIOURS[f"scan: {name}"] = Behaviour(scan=scan, **more)


# --- raises -----------------------------------------------------------------------


def raises(make: Callable[[], BaseException]) -> Any:
    def act(_: Misbehaving, sc: ShrinkControl) -> Any:
        raise make()

    return act


for _name, _make in EXCEPTIONS.items():
    both(f"raises {_name}", raises(_make))
for _name, _make in ENDING.items():
    both(f"raises {_name}", raises(_make), ends=True)
both("exits", lambda self, sc: sys.exit(3), ends=True)


# --- returns ----------------------------------------------------------------------


class Liar(int):
    """An int whose methods give other numbers; what counts is its own value."""

    def __int__(self) -> int:
        return 2**70

    __index__ = __int__

    def __le__(self, other: object) -> bool:
        return True

    __lt__ = __gt__ = __ge__ = __eq__ = __le__  # type: ignore[assignment]

    def __hash__(self) -> int:
        return 0


class Odd:
    """Raises when asked for its class."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise ZeroDivisionError


for _value in (None, -1, -(2**64), 5.0, float("nan"), True, "5", b"", [], Odd, Odd()):
    _text = "Odd()" if type(_value) is Odd else repr(_value)[:30]
    both(f"returns {_text}", lambda self, sc, value=_value: value)
both("returns a negative liar", lambda self, sc: Liar(-5))
both("returns a generator", lambda self, sc: (yield))  # type: ignore[arg-type,return-value]
for _count in (CountObjects.EMPTY, CountObjects.new(5)):
    BEHAVIOURS[f"scan: returns {_count!r}"] = Behaviour(
        scan=lambda self, sc, value=_count: value, told_scan=stopped, raises=True
    )
for _scan in (ScanObjects.STOP, ScanObjects.from_count(5)):
    BEHAVIOURS[f"count: returns {_scan!r}"] = Behaviour(
        count=lambda self, sc, value=_scan: value, told_count=0, raises=True
    )
for _number, _told in (
    (0, 0),
    (CountObjects.EMPTY, SHRINK_EMPTY),
    (2**62, 2**62),
    (2**64 - 2, 2**63 - 1),  # Saturates, and is not EMPTY.
    (2**70, 2**63 - 1),
    (Liar(5), 5),
):
    _text = "a liar" if type(_number) is Liar else repr(_number)
    BEHAVIOURS[f"count: returns {_text}"] = Behaviour(
        count=lambda self, sc, value=_number: value, told_count=_told
    )
for _number, _told in (
    (0, 0),
    (2**63, 2**63),
    (2**64 - 1, 2**64 - 2),  # Saturates, and is not STOP.
    (2**70, 2**64 - 2),
    (Liar(5), 5),
):
    _text = "a liar" if type(_number) is Liar else repr(_number)
    BEHAVIOURS[f"scan: returns {_text}"] = Behaviour(
        scan=lambda self, sc, value=_number: value,
        told_scan=lambda n, told=_told: (told, n),
    )
BEHAVIOURS["scan: returns STOP"] = Behaviour(
    scan=lambda self, sc: ScanObjects.STOP, told_scan=stopped
)


# --- nr_scanned -------------------------------------------------------------------


def scanned(value: Any) -> Any:
    def scan(_: Misbehaving, sc: ShrinkControl) -> Any:
        sc.nr_scanned = value
        return 1

    return scan


def without_scanned(_: Misbehaving, sc: ShrinkControl) -> Any:
    del sc.nr_scanned


for _value in (0, 1, 2**63, 2**64 - 1, Liar(70_000)):
    _told = int.__add__(_value, 0)
    BEHAVIOURS[f"scan: nr_scanned {_told}"] = Behaviour(
        scan=scanned(_value), told_scan=lambda n, told=_told: (1, told)
    )
for _value in (-1, 2**64, 2**70, 1.0, None, True, "1", Odd()):
    _text = "Odd()" if type(_value) is Odd else repr(_value)
    BEHAVIOURS[f"scan: nr_scanned {_text}"] = Behaviour(
        scan=scanned(_value), told_scan=stopped, raises=True
    )
BEHAVIOURS["scan: del nr_scanned"] = Behaviour(
    scan=without_scanned, told_scan=stopped, raises=True
)
BEHAVIOURS["scan: nr_to_scan"] = Behaviour(
    scan=lambda self, sc: setattr(sc, "nr_to_scan", 1),
    told_scan=stopped,
    raises=True,
)


# --- acts -------------------------------------------------------------------------


def reclaims(self: Misbehaving, sc: ShrinkControl) -> None:
    assert self.domain.shrink_slab(priority=0) == 0
    assert self.domain.reclaim(100).nr_reclaimed == 0
    assert self.domain.drop_slab() == 0


def calls_itself(self: Misbehaving, sc: ShrinkControl) -> None:
    if self.depth:
        return
    self.depth += 1
    try:
        self.registration.count()
        self.registration.scan(5)
    finally:
        self.depth -= 1


def calls_itself_for_ever(self: Misbehaving, sc: ShrinkControl) -> None:
    self.registration.count()
    self.registration.scan(1)


def walks_in_a_thread(self: Misbehaving, sc: ShrinkControl) -> None:
    """Count the same shrinker in another thread, and wait for it."""
    if self.depth:
        return
    self.depth += 1
    try:
        thread = threading.Thread(target=self.registration.count)
        thread.start()
        thread.join()
    finally:
        self.depth -= 1


def keeps(self: Misbehaving, sc: ShrinkControl) -> None:
    self.kept = sc  # type: ignore[attr-defined]


def renames(self: Misbehaving, sc: ShrinkControl) -> None:
    self.registration.rename(f"cache {self.calls % 10}")


def registers_and_closes(self: Misbehaving, sc: ShrinkControl) -> None:
    from tests_support import Cache, register  # noqa: PLC0415 - a ring

    register(self.domain, Cache(0)).close()


def lowers_the_limit(self: Misbehaving, sc: ShrinkControl) -> None:
    """Set the recursion limit as low as the interpreter allows, and raise."""
    limit = sys.getrecursionlimit()
    low = 1
    while True:
        try:
            sys.setrecursionlimit(low)
            break
        except RecursionError:
            low += 1
    try:
        raise OSError
    finally:
        sys.setrecursionlimit(limit)


def recurses(self: Misbehaving, sc: ShrinkControl) -> None:
    recurses(self, sc)


harmless("reclaims", reclaims, cost=3)
harmless("calls itself", calls_itself, cost=10)
harmless("walks in a thread", walks_in_a_thread, cost=50)
harmless("keeps the control", keeps)
harmless("renames itself", renames)
harmless("registers and closes", registers_and_closes, cost=10)
harmless("sleeps", lambda self, sc: time.sleep(1e-9), cost=30)
both("lowers the recursion limit", lowers_the_limit, cost=30)
both("recurses", recurses, cost=100)
both("calls itself for ever", calls_itself_for_ever, cost=300)
