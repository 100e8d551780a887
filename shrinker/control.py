"""``ShrinkControl``: what a walk tells a callback, and is told by it."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NoReturn, Self

from shrinker._ffi import ffi, lib
from shrinker.errors import ShrinkerError, check_int
from shrinker.gfp import GFP
from shrinker.values import ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shrinker.memcg import Memcg

__all__ = ["ShrinkControl", "hand_out"]


def _function(name: str, result: Any, *args: Any) -> Any:
    """Return a C function of ours that takes Python objects, which cffi knows not."""
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    return ctypes.PYFUNCTYPE(result, *args)(address)


_object = ctypes.py_object


def _over() -> NoReturn:
    raise ShrinkerError("this ShrinkControl's callback is over")


def _checked(nr_scanned: object) -> int:
    return check_int("nr_scanned", nr_scanned, 0, ULONG_MAX)


if TYPE_CHECKING:

    class _Control:
        """What C knows of a control (csrc/python/python_control.c)."""

        nr_scanned: int
        _gfp_mask: int
        _memcg_id: int

        @property
        def nr_to_scan(self) -> int: ...
        @property
        def nid(self) -> int: ...

else:
    _Control = _function("python_control_type", _object, _object, _object)(
        _over, _checked
    )


class ShrinkControl(_Control):
    """Valid only during the callback that it is handed to.

    Later use raises ``ShrinkerError``, also after other callbacks have run: an
    object that the callback kept is never used again.  It may be handed to
    other threads during the callback.
    """

    # Invariants: C knows the structure of the callback that runs, and only then;
    # the slot is set by the trampoline, before a callback has it.
    __slots__ = ("_memcgs",)

    _memcgs: Mapping[int, Memcg]

    def __new__(cls) -> Self:
        """Refuse: walks make these."""
        raise TypeError("a ShrinkControl is made by walks")

    @property
    def memcg(self) -> Memcg | None:
        """Memory cgroup that is short; None in a domain without memory cgroups.

        Where the whole machine is short this is the root.  Raises
        ``ShrinkerError`` where the group was closed during the walk and nobody
        has it any more.
        """
        number = self._memcg_id
        memcg = self._memcgs.get(number)
        if memcg is None and number:
            raise ShrinkerError("the walk's memory cgroup is gone")
        return memcg

    @property
    def gfp_mask(self) -> GFP:
        """Allocation context of whoever needs the memory."""
        return GFP(self._gfp_mask)

    @property
    def reclaim_fs_allowed(self) -> bool:
        """Whether the callback may enter filesystems (``__GFP_FS``)."""
        return self._gfp_mask & _FS != 0

    @property
    def reclaim_io_allowed(self) -> bool:
        """Whether the callback may start I/O (``__GFP_IO``)."""
        return self._gfp_mask & _IO != 0

    def __repr__(self) -> str:
        try:
            return (
                f"<ShrinkControl nr_to_scan={self.nr_to_scan}"
                f" nr_scanned={self.nr_scanned} nid={self.nid}"
                f" gfp_mask={self.gfp_mask!r}>"
            )
        except ShrinkerError:
            return "<ShrinkControl, expired>"


_FS = int(GFP.FS)
_IO = int(GFP.IO)


def hand_out(
    controls: list[ShrinkControl],
) -> tuple[Callable[[int, int | None], bool], Callable[[int], int]]:
    """Have walks hand out controls, and put those into a list by their frames.

    Returns what the trampoline asks, with the index of its frame: ``called`` after
    each callback, with the number that it returned, or None for one that came to
    nothing, whether to scan now; and ``next_pass`` behind a pass for the number of
    the shrinker to count next, 0 where there is none.
    """
    functions: tuple[Any, Any] = _function(
        "python_host_use", _object, _object, _object
    )(ShrinkControl, controls)
    return functions
