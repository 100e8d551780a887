"""``ShrinkControl``: what a walk tells a callback, and is told by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

from shrinker.errors import ShrinkerError, check_int
from shrinker.gfp import GFP
from shrinker.values import ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shrinker.memcg import Memcg

__all__ = ["ShrinkControl"]


class ShrinkControl:
    """Valid only during the callback that it is handed to.

    Later use raises ``ShrinkerError``, also after other callbacks have run: an
    object that the callback kept is never used again.  It may be handed to
    other threads during the callback.
    """

    # Invariants: all slots are set once a callback has it; the trampoline that
    # set them is running, or the class is _Expired.
    __slots__ = (
        "_gfp_mask",
        "_memcg_id",
        "_memcgs",
        "_nid",
        "_nr_scanned",
        "_nr_to_scan",
    )

    _gfp_mask: int
    _memcg_id: int
    _memcgs: Mapping[int, Memcg]
    _nid: int
    _nr_scanned: int
    _nr_to_scan: int

    def __new__(cls) -> Self:
        """Refuse: walks make these."""
        raise TypeError("a ShrinkControl is made by walks")

    @property
    def nr_to_scan(self) -> int:
        """Objects to scan in this call; 0 in ``count_objects``.  Read only."""
        return self._nr_to_scan

    @property
    def nr_scanned(self) -> int:
        """Objects scanned in this call, ``nr_to_scan`` unless set.

        Settable to 0..2**64-1, whatever ``nr_to_scan`` is: it is not clamped.
        Less says that some were not looked at, more that others were looked at
        as well; the pass counts this number off its work.  Setting raises
        ``ValueError`` out of range and ``TypeError`` for anything but an
        ``int``.  In Rust this is ``set_nr_scanned``.
        """
        return self._nr_scanned

    @nr_scanned.setter
    def nr_scanned(self, value: int) -> None:
        if type(value) is int and 0 <= value <= ULONG_MAX:
            self._nr_scanned = value
        else:
            self._nr_scanned = check_int("nr_scanned", value, 0, ULONG_MAX)

    @property
    def nid(self) -> int:
        """Memory node that is short, as the walk was told."""
        return self._nid

    @property
    def memcg(self) -> Memcg | None:
        """Memory cgroup that is short; None in a domain without memory cgroups.

        Where the whole machine is short this is the root.  Raises
        ``ShrinkerError`` where the group was closed during the walk and nobody
        has it any more.
        """
        memcg = self._memcgs.get(self._memcg_id)
        if memcg is None and self._memcg_id:
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
        return (
            f"<ShrinkControl nr_to_scan={self._nr_to_scan}"
            f" nr_scanned={self._nr_scanned} nid={self._nid}"
            f" gfp_mask={GFP(self._gfp_mask)!r}>"
        )


_FS = int(GFP.FS)
_IO = int(GFP.IO)


def _refuse(*_: object) -> NoReturn:
    raise ShrinkerError("this ShrinkControl's callback is over")


class _Expired(ShrinkControl):
    """What a control becomes, so that one that is valid need not be asked."""

    __slots__ = ()

    nr_to_scan = nr_scanned = nid = memcg = gfp_mask = property(_refuse, _refuse)
    reclaim_fs_allowed = reclaim_io_allowed = property(_refuse, _refuse)

    def __repr__(self) -> str:
        return "<ShrinkControl, expired>"


def expire(control: ShrinkControl) -> None:
    """End the validity of ``control``."""
    control.__class__ = _Expired
