"""``ShrinkControl``: what a walk tells a callback, and what it answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from shrinker._ffi import object_function
from shrinker.errors import ShrinkerError, check_int
from shrinker.gfp import GFP
from shrinker.values import ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shrinker.memcg import Memcg

__all__ = ["ShrinkControl", "hand_out"]


def _over() -> NoReturn:
    raise ShrinkerError("this ShrinkControl's callback is over")


def _checked(nr_scanned: object) -> int:
    return check_int("nr_scanned", nr_scanned, 0, ULONG_MAX)


if TYPE_CHECKING:

    class _Control:
        """The C base of a control (csrc/python/control.c)."""

        nr_scanned: int
        _gfp_mask: int
        _memcg_id: int

        @property
        def nr_to_scan(self) -> int: ...
        @property
        def nid(self) -> int: ...

else:
    _Control = object_function("python_control_type", 2)(_over, _checked)


class ShrinkControl(_Control):
    """What a callback is told; valid only during that callback.

    Later use raises ``ShrinkerError``, also after other callbacks have run: an
    object that the callback kept is not used again.  During the callback it may be
    handed to other threads.
    """

    # Invariants: the C base refers to the walk's structure while the callback runs,
    # and only then.  The trampoline sets the slot before the callback has the object.
    __slots__ = ("_memcgs",)

    _memcgs: Mapping[int, Memcg]

    def __new__(cls) -> Self:
        """Raise ``TypeError``: only walks make controls."""
        raise TypeError("a ShrinkControl is made by walks")

    @property
    def memcg(self) -> Memcg | None:
        """Memory cgroup that is short; None in a domain without memory cgroups.

        In a walk over the whole machine it is the root.  Raises ``ShrinkerError``
        where the group was closed during the walk and its ``Memcg`` object is gone.
        """
        number = self._memcg_id
        memcg = self._memcgs.get(number)
        if memcg is None and number:
            raise ShrinkerError("the walk's memory cgroup is gone")
        return memcg

    @property
    def gfp_mask(self) -> GFP:
        """Allocation context of the allocation that needs memory."""
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
    """Have C make controls for walks, and keep them in ``controls`` by frame.

    Returns two functions for the trampoline; both take the index of its frame.
    ``called(index, number)`` tells the core what a callback returned, None for no
    answer, and returns whether to scan now.  ``next_pass(index)`` ends a pass and
    returns the number of the shrinker to count next, 0 where there is none.
    """
    functions: tuple[Any, Any] = object_function("python_host_use", 2)(
        ShrinkControl, controls
    )
    return functions
