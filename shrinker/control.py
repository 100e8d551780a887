"""``ShrinkControl``: what a walk tells a callback, and is told by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

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

    # Invariants: while valid, all slots are set, and the trampoline that
    # set them is running; afterwards none is.  Getters find out by reading.
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
        try:
            return self._nr_to_scan
        except AttributeError:
            raise _expired() from None

    @property
    def nr_scanned(self) -> int:
        """Objects scanned in this call, ``nr_to_scan`` unless set.

        Settable to 0..2**64-1, whatever ``nr_to_scan`` is: it is not clamped.
        Less says that some were not looked at, more that others were looked at
        as well; the pass counts this number off its work.  Setting raises
        ``ValueError`` out of range and ``TypeError`` for anything but an
        ``int``.  In Rust this is ``set_nr_scanned``.
        """
        try:
            return self._nr_scanned
        except AttributeError:
            raise _expired() from None

    @nr_scanned.setter
    def nr_scanned(self, value: int) -> None:
        try:
            self._nr_scanned  # noqa: B018 - is it still valid?
        except AttributeError:
            raise _expired() from None
        if type(value) is int and 0 <= value <= ULONG_MAX:
            self._nr_scanned = value
        else:
            self._nr_scanned = check_int("nr_scanned", value, 0, ULONG_MAX)

    @property
    def nid(self) -> int:
        """Memory node that is short, as the walk was told."""
        try:
            return self._nid
        except AttributeError:
            raise _expired() from None

    @property
    def memcg(self) -> Memcg | None:
        """Memory cgroup that is short; None in a domain without memory cgroups.

        Where the whole machine is short this is the root.  Raises
        ``ShrinkerError`` where the group was closed during the walk and nobody
        has it any more.
        """
        try:
            number, memcgs = self._memcg_id, self._memcgs
        except AttributeError:
            raise _expired() from None
        memcg = memcgs.get(number)
        if memcg is None and number:
            raise ShrinkerError("the walk's memory cgroup is gone")
        return memcg

    @property
    def gfp_mask(self) -> GFP:
        """Allocation context of whoever needs the memory."""
        try:
            return GFP(self._gfp_mask)
        except AttributeError:
            raise _expired() from None

    @property
    def reclaim_fs_allowed(self) -> bool:
        """Whether the callback may enter filesystems (``__GFP_FS``)."""
        try:
            return self._gfp_mask & _FS != 0
        except AttributeError:
            raise _expired() from None

    @property
    def reclaim_io_allowed(self) -> bool:
        """Whether the callback may start I/O (``__GFP_IO``)."""
        try:
            return self._gfp_mask & _IO != 0
        except AttributeError:
            raise _expired() from None

    def __repr__(self) -> str:
        try:
            return (
                f"<ShrinkControl nr_to_scan={self._nr_to_scan}"
                f" nr_scanned={self._nr_scanned} nid={self._nid}"
                f" gfp_mask={GFP(self._gfp_mask)!r}>"
            )
        except AttributeError:
            return "<ShrinkControl, expired>"


_FS = int(GFP.FS)
_IO = int(GFP.IO)


def _expired() -> ShrinkerError:
    return ShrinkerError("this ShrinkControl's callback is over")


def expire(control: ShrinkControl) -> None:
    """End the validity of ``control``."""
    for name in ShrinkControl.__slots__:
        try:
            delattr(control, name)
        except AttributeError:
            continue
