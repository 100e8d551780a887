"""``Memcg``: a memory cgroup, with its place in the tree and its shrinker maps."""

from __future__ import annotations

import dataclasses
import errno
from typing import TYPE_CHECKING, Any, Protocol

from shrinker._ffi import ffi, lib
from shrinker._memory import NotCopied
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from shrinker.domain import Domain

__all__ = ["Memcg", "ShrinkerInfo"]


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkerInfo:
    """What a memory cgroup knows of shrinkers, on one node."""

    nr_max: int
    """Shrinker ids that there is room for, a multiple of 64."""
    bits: tuple[int, ...]
    """Ids of shrinkers that may hold objects, ascending."""
    nr_deferred: dict[int, int]
    """Deferred objects by shrinker id; counters that are not 0 only."""


class _HasId(Protocol):
    """A builder or a registration."""

    @property
    def domain(self) -> Domain: ...

    def _memcg_id(self) -> int: ...


class Memcg(NotCopied):
    """A memory cgroup.  ``Domain.create_memcg`` makes it; ``Domain.root`` is one.

    It goes offline when its life ends, and leaves the tree when it is closed.
    After closing, ``name``, ``id``, ``parent`` and ``online`` can still be read;
    everything else raises ``ShrinkerError``.
    """

    # Invariant: `_c` is a mem_cgroup that `_memory` keeps allocated: it owns a
    # reference, or, for the root, holds the domain.
    def __init__(
        self,
        domain: Domain,
        c_memcg: Any,
        memory: object,
        name: str,
        parent: Memcg | None,
    ) -> None:
        self._domain = domain
        self._c = c_memcg
        self._memory = memory
        # Read without a call: whoever adds to a ListLru asks.
        self._c_online = lib.mem_cgroup_online_flag(c_memcg)
        self._name = name
        self._parent = parent
        self._id = int(lib.mem_cgroup_get_id(c_memcg))
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "online" if self.online else "offline"
        return f"<Memcg {self._name!r} id={self._id}, {state}>"

    @property
    def name(self) -> str:
        """Name, as given; it need not be unique."""
        return self._name

    @property
    def id(self) -> int:
        """Number in its domain; the root's is 1, and none is used twice."""
        return self._id

    @property
    def parent(self) -> Memcg | None:
        """The group above; None for the root."""
        return self._parent

    @property
    def domain(self) -> Domain:
        """The domain whose tree it is in."""
        return self._domain

    @property
    def online(self) -> bool:
        """Whether it was not taken offline."""
        return bool(self._c_online[0])

    @property
    def memory(self) -> int:
        """Bytes that the group takes in the C core."""
        self._check_open()
        return int(lib.mem_cgroup_memory(self._c))

    def offline(self) -> None:
        """End the group's life.  A second time does nothing.

        Its deferred work is added to its parent's, objects on ``ListLru`` lists
        move to the parent's lists, and walks over it return 0 from now on.

        Raises ``ShrinkerError``, and nothing has changed, for the root and while
        a child is online.
        """
        self._check_open()

        # SAFETY: `_c` stays allocated as long as we live.
        error = -lib.mem_cgroup_offline(self._c)
        if error == errno.EINVAL:
            raise ShrinkerError("the root cannot go offline")
        if error == errno.EBUSY:
            raise ShrinkerError(f"{self._name!r} has children that are online")
        self._move_objects()

    def _move_objects(self) -> None:
        """Move what is on the group's lists to its parent's."""
        for lru in self._domain._lrus_alive():
            lru._reparent(self)

    def close(self) -> None:
        """Leave the tree.  Idempotent.

        Raises ``ShrinkerError`` while the group is online or has children.
        """
        if self._closed:
            return
        if not self.online:
            self._move_objects()  # Where a signal kept offline() from it.
        if lib.mem_cgroup_remove(self._c):
            raise ShrinkerError(f"{self._name!r} is online, or has children")
        self._closed = True
        self._domain._memcgs.pop(self._id, None)
        self._move_objects()  # Lists of a closed group go for good.

    def reparent_deferred(self) -> None:
        """Add the deferred work to the parent's.

        It copies: the group keeps its own counters, and a second call adds them
        again.  ``offline`` does this once.  For the root nothing happens.
        """
        self._check_open()
        lib.reparent_shrinker_deferred(self._c)

    def set_shrinker_bit(self, nid: int, shrinker: _HasId) -> None:
        """Say that a shrinker, registered or still a builder, may hold objects.

        A walk over this group asks just the shrinkers whose bits are set.  Does
        nothing for the root and for shrinkers that are not memcg-aware.
        """
        lib.set_shrinker_bit(self._c, nid, self._shrinker_id(nid, shrinker))

    def has_shrinker_bit(self, nid: int, shrinker: _HasId) -> bool:
        """Return whether the shrinker's bit is set."""
        number = self._shrinker_id(nid, shrinker)
        return bool(lib.mem_cgroup_has_bit(self._c, nid, number))

    def shrinker_info(self, nid: int) -> ShrinkerInfo:
        """Return the map and the deferred counters of a node."""
        self._check_open()
        self._domain._check_nid(nid)
        nr_max = int(lib.mem_cgroup_nr_max(self._c))
        unit_ids = lib.MEMCG_UNIT_IDS
        counters = ffi.new("int64_t[]", unit_ids)
        bits: list[int] = []
        nr_deferred: dict[int, int] = {}
        for unit in range(nr_max // unit_ids):
            # SAFETY: `counters` has room for a unit.
            bitmap = lib.mem_cgroup_read_unit(self._c, nid, unit, counters)
            for i in range(unit_ids):
                number = unit * unit_ids + i
                if bitmap >> i & 1:
                    bits.append(number)
                if counters[i]:
                    nr_deferred[number] = counters[i]
        return ShrinkerInfo(nr_max, tuple(bits), nr_deferred)

    def _check_open(self) -> None:
        if self._closed:
            raise ShrinkerError(f"the memory cgroup {self._name!r} is closed")

    def _shrinker_id(self, nid: int, shrinker: _HasId) -> int:
        self._check_open()
        self._domain._check_nid(nid)
        if not hasattr(shrinker, "_memcg_id"):
            raise TypeError(f"no builder or registration: {shrinker!r}")
        number = shrinker._memcg_id()
        if shrinker.domain is not self._domain:
            raise ValueError("the shrinker belongs to another domain")
        return number
