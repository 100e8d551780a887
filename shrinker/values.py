"""What callbacks return: ``CountObjects`` and ``ScanObjects``.

They are two types, so that the special value of one cannot be taken for the other's:
EMPTY belongs to counting, STOP to scanning.  Small values are interned: a callback
takes about a microsecond, and making an object a tenth of that.
"""

from __future__ import annotations

import enum
import functools
import operator
from typing import Any, ClassVar, Final, NoReturn, Self

from shrinker._ffi import lib

__all__ = [
    "DEFAULT_SEEKS",
    "DEF_PRIORITY",
    "SHRINK_BATCH",
    "SHRINK_MAX_PRIORITY",
    "ULONG_MAX",
    "CountObjects",
    "ScanObjects",
    "ShrinkerFlags",
    "count_value",
    "scan_value",
]

DEFAULT_SEEKS: Final[int] = lib.DEFAULT_SEEKS
"""Cost of recreating an object, where the owner sets none."""
SHRINK_BATCH: Final[int] = lib.SHRINK_BATCH
"""Objects in one scan call, where the owner sets no batch."""
DEF_PRIORITY: Final[int] = lib.DEF_PRIORITY
"""Priority at which reclaim starts; 0 is the most urgent."""
SHRINK_MAX_PRIORITY: Final[int] = lib.SHRINK_MAX_PRIORITY
"""The largest priority that is accepted."""

ULONG_MAX: Final = 2**64 - 1
"""The largest number of the core, an unsigned long."""
_INTERNED: Final = 4096
_COUNT_MAX: Final = ULONG_MAX // 2
_SCAN_MAX: Final[int] = lib.SHRINK_STOP - 1
# A global name is found faster, and each callback uses it.
_new: Any = object.__new__


class ShrinkerFlags(enum.IntFlag):
    """What a shrinker is aware of (docs/specification.md, "Interface")."""

    NUMA_AWARE = lib.SHRINKER_NUMA_AWARE
    """One deferred counter for each node."""
    MEMCG_AWARE = lib.SHRINKER_MEMCG_AWARE
    """Objects belong to memory cgroups; dropped where the domain has none."""
    NONSLAB = lib.SHRINKER_NONSLAB
    """Called even where kernel-memory accounting is off."""


@functools.total_ordering
class _Value:
    """A number from 0 to 2**64 - 1; immutable, hashable, ordered."""

    # Invariant: `value` is set once, before other code can have the object.
    __slots__ = ("value",)

    value: int
    _names: ClassVar[dict[int, str]]

    def __new__(cls, *_: object) -> Self:
        raise TypeError(f"{cls.__name__} is made by its class methods")

    @classmethod
    def _make(cls, value: int) -> Self:
        self = object.__new__(cls)
        # Through the slot, past __setattr__ below.
        _set_value(self, value)
        return self

    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.value == other.value

    def __lt__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.value < other.value

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        name = self._names.get(self.value)
        if name is not None:
            return f"{type(self).__name__}.{name}"
        return f"{type(self).__name__}({self.value})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.value)


_set_value: Any = _Value.__dict__["value"].__set__


def _restore(cls: type[_Value], value: int) -> _Value:
    return cls._make(value)


class CountObjects(_Value):
    """How many objects a shrinker could free now.

    The arithmetic of a pass is exact for counts below 2**61 (2**60.4 with
    ``seeks`` 1).  From 2**62 on, ``MAX`` included, twice the count wraps and nothing
    is scanned; see docs/specification.md, "Consequences worth knowing".
    """

    __slots__ = ()

    EMPTY: ClassVar[CountObjects]
    """There are no objects.  In a memory cgroup the shrinker is not asked again
    until an object is added.  A count of 0 means something else: the number is
    unknown, or the shrinker is to be left out this time."""
    MAX: ClassVar[CountObjects]
    """The largest count, 2**63 - 1.  Twice this fits an unsigned number, but the
    pass computes with signed ones, and so reclaims nothing from it."""

    @classmethod
    def new(cls, count: int) -> CountObjects:
        """Say that ``count`` objects *can* be freed.

        It is an estimate of what a scan could free, made without waiting.  What
        was freed is a ``ScanObjects``.  Leave out objects that are in use and
        cannot go.

        Counts above ``MAX`` become ``MAX``, silently: so large an estimate means
        "very many" whatever its digits, a callback in the middle of reclaim has no
        caller who could handle an error, and without the bound a large count could
        turn into the special value EMPTY.

        0 stays 0, "unknown"; it does not become EMPTY.

        Raises ``ValueError`` for a negative count, ``TypeError`` for anything
        but an ``int``.
        """
        if type(count) is not int or count < 0:
            count = _check("count", count)
        if count < _INTERNED:
            return _counts[count]
        if count > _COUNT_MAX:
            return cls.MAX
        self: Self = _new(cls)
        _set_value(self, count)
        return self


class ScanObjects(_Value):
    """How many objects a scan call freed."""

    __slots__ = ()

    STOP: ClassVar[ScanObjects]
    """No progress is possible now, for example because a lock is taken and waiting
    for it could deadlock.  Ends the pass.  Nothing of this call is accounted, and the
    work is deferred to later passes."""
    MAX: ClassVar[ScanObjects]
    """The largest number, 2**64 - 2; 2**64 - 1 is STOP."""

    @classmethod
    def from_count(cls, count: int) -> ScanObjects:
        """Say that ``count`` objects were freed.

        Numbers above ``MAX`` become ``MAX``, so that none becomes STOP.

        Raises ``ValueError`` for a negative number, ``TypeError`` for anything
        but an ``int``.
        """
        if type(count) is not int or count < 0:
            count = _check("count", count)
        if count < _INTERNED:
            return _scans[count]
        if count > _SCAN_MAX:
            return cls.MAX
        self: Self = _new(cls)
        _set_value(self, count)
        return self


def _check(name: str, value: object) -> int:
    if type(value) is int and value >= 0:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = operator.index(value)  # A subclass may override comparisons.
    if number < 0:
        raise ValueError(f"{name} must not be negative, but is {number}")
    return number


def _finish(cls: Any, **special: int) -> None:
    cls._names = {value: name for name, value in special.items()}
    for name, value in special.items():
        setattr(cls, name, cls._make(value))


_finish(CountObjects, EMPTY=lib.SHRINK_EMPTY, MAX=_COUNT_MAX)
_finish(ScanObjects, STOP=lib.SHRINK_STOP, MAX=_SCAN_MAX)

# Each number at its own index.  As globals, since finding a class's attribute takes
# four times as long.
_counts: tuple[CountObjects, ...] = tuple(map(CountObjects._make, range(_INTERNED)))
_scans: tuple[ScanObjects, ...] = tuple(map(ScanObjects._make, range(_INTERNED)))


def count_value(result: object) -> int:
    """Return the number for the core that a result of ``count_objects`` means.

    Raises as ``CountObjects.new`` does, and ``TypeError`` for a ``ScanObjects``.
    """
    if isinstance(result, CountObjects):
        return result.value
    if isinstance(result, _Value):
        raise TypeError(f"count_objects returned {result!r}, a result of scanning")
    if isinstance(result, int) and not isinstance(result, bool):
        return CountObjects.new(result).value
    raise TypeError(
        f"count_objects must return CountObjects or an int, not {type(result).__name__}"
    )


def scan_value(result: object) -> int:
    """Return the number for the core that a result of ``scan_objects`` means.

    Raises as ``ScanObjects.from_count`` does, and ``TypeError`` for a
    ``CountObjects``.
    """
    if isinstance(result, ScanObjects):
        return result.value
    if isinstance(result, _Value):
        raise TypeError(f"scan_objects returned {result!r}, a result of counting")
    if isinstance(result, int) and not isinstance(result, bool):
        return ScanObjects.from_count(result).value
    raise TypeError(
        f"scan_objects must return ScanObjects or an int, not {type(result).__name__}"
    )
