"""CountObjects and ScanObjects."""

from __future__ import annotations

import copy
import pickle

import pytest

from shrinker import CountObjects, ScanObjects
from shrinker._ffi import lib

BOTH = pytest.mark.parametrize("make", [CountObjects.new, ScanObjects.from_count])


def test_special_values() -> None:
    """EMPTY and STOP are the kernel's, the maxima the Rust abstraction's numbers."""
    assert CountObjects.EMPTY.value == 2**64 - 2 == lib.SHRINK_EMPTY
    assert CountObjects.MAX.value == (2**64 - 1) // 2
    assert ScanObjects.STOP.value == 2**64 - 1 == lib.SHRINK_STOP
    assert ScanObjects.MAX.value == lib.SHRINK_STOP - 1


def test_zero_is_not_empty() -> None:
    """0 stays 0, "unknown", and is not EMPTY; EMPTY is not 0."""
    assert CountObjects.new(0).value == 0
    assert CountObjects.new(0) != CountObjects.EMPTY


@pytest.mark.parametrize("count", [2**63, 2**64 - 2, 2**64 - 1, 2**64, 10**30])
def test_count_saturates(count: int) -> None:
    """Counts above MAX become MAX, so that none turns into EMPTY."""
    assert CountObjects.new(count) == CountObjects.MAX


@pytest.mark.parametrize("freed", [2**64 - 1, 2**64, 10**30])
def test_freed_saturates(freed: int) -> None:
    """Numbers above MAX become MAX, so that none turns into STOP."""
    assert ScanObjects.from_count(freed) == ScanObjects.MAX


@BOTH
@pytest.mark.parametrize("value", [0, 1, 4095, 4096, 2**62, 2**63 - 1])
def test_value_is_kept(make: type, value: int) -> None:
    """Up to the maximum the value is the number given."""
    assert make(value).value == value


@BOTH
def test_negative_is_refused(make: type) -> None:
    """A negative number is a ValueError."""
    with pytest.raises(ValueError, match="negative"):
        make(-1)


@BOTH
@pytest.mark.parametrize("value", [True, 1.0, None, "1"])
def test_other_types_are_refused(make: type, value: object) -> None:
    """Only an int is accepted, and no bool."""
    with pytest.raises(TypeError, match="must be an int"):
        make(value)


def test_identity_of_the_two_types() -> None:
    """A count never equals a scan result, and does not order with one."""
    assert CountObjects.new(5) != ScanObjects.from_count(5)
    assert CountObjects.new(5) != 5
    with pytest.raises(TypeError):
        _ = CountObjects.new(5) < ScanObjects.from_count(6)  # type: ignore[operator]


@BOTH
def test_order_and_hash(make: type) -> None:
    """Values order and hash by their number."""
    assert make(5) < make(6) <= make(6) < make(10**6)
    assert make(10**6) > make(5)
    assert len({make(10**6), make(10**6), make(5)}) == 2


@BOTH
def test_immutable(make: type) -> None:
    """A value cannot be changed, interned or not."""
    for value in (make(5), make(10**6)):
        with pytest.raises(AttributeError):
            value.value = 6
        with pytest.raises(AttributeError):
            del value.value


@pytest.mark.parametrize("cls", [CountObjects, ScanObjects])
def test_constructor_is_closed(cls: type) -> None:
    """Only the class methods make values, as in Rust."""
    with pytest.raises(TypeError, match="class methods"):
        cls(5)


@pytest.mark.parametrize(
    "value", [CountObjects.EMPTY, ScanObjects.STOP, CountObjects.new(10**6)]
)
def test_copies(value: object) -> None:
    """Copies and pickles are equal to the original."""
    assert copy.copy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301


def test_repr() -> None:
    """Special values are shown by name."""
    assert repr(CountObjects.EMPTY) == "CountObjects.EMPTY"
    assert repr(ScanObjects.STOP) == "ScanObjects.STOP"
    assert repr(CountObjects.new(5)) == "CountObjects(5)"
