"""``Memcg``: a memory cgroup, with its place in the tree and its shrinker maps."""

from __future__ import annotations

import dataclasses
import errno
from typing import TYPE_CHECKING, Any, Protocol

from shrinker._capsule import NotCopied, own
from shrinker._ffi import ffi, lib
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shrinker.domain import Domain

__all__ = ["HasLists", "Memcg", "ShrinkerInfo", "create", "tree"]


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkerInfo:
    """What a memory cgroup knows of shrinkers on one node."""

    nr_max: int
    """Shrinker ids for which there is room, a multiple of 64."""
    bits: tuple[int, ...]
    """Ids of shrinkers that may hold objects, ascending."""
    nr_deferred: dict[int, int]
    """Deferred counters by shrinker id, signed; those of 0 are left out."""


class _HasId(Protocol):
    """A builder or a registration."""

    @property
    def domain(self) -> Domain: ...

    def _memcg_id(self) -> int: ...


class HasLists(Protocol):
    """A ``ListLru``, as a group that goes offline knows it."""

    def _reparent(self, memcg: Memcg) -> None: ...


class Memcg(NotCopied):
    """A memory cgroup.  ``Domain.create_memcg`` makes it; ``Domain.root`` is one.

    Its life ends when it goes offline; ``close()`` then takes it out of the tree.
    After closing, ``name``, ``id``, ``parent`` and ``online`` can still be read;
    everything else raises ``ShrinkerError``.  See docs/specification.md, "Memory
    cgroups".
    """

    # Invariant: `_c` is a mem_cgroup that `_memory` keeps allocated: it owns a
    # reference or, for the root, holds the domain.
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
        # Read without a call: each addition to a ListLru asks.
        self._c_online = lib.mem_cgroup_online_flag(c_memcg)
        self._name = name
        self._parent = parent
        self._id = int(lib.mem_cgroup_get_id(c_memcg))
        # Its place in ListLru.walk_node(): 0 is the root's.
        self._kmem_id = int(lib.mem_cgroup_kmem_id(c_memcg))
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
        """Number in its domain; the root's is 1, and a number is not used twice."""
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
        """Whether it has not been taken offline."""
        return bool(self._c_online[0])

    @property
    def memory(self) -> int:
        """Bytes of the C core that the group takes: its maps and counters."""
        self._check_open()
        return int(lib.mem_cgroup_memory(self._c))

    def offline(self) -> None:
        """End the group's life.  Idempotent.

        Its deferred work is added to its parent's, objects on ``ListLru`` lists
        move to the parent's lists, before the objects there, and walks over it
        return 0 from now on.

        Raises ``ShrinkerError`` for the root and while a child is online; nothing
        has then changed.
        """
        self._check_open()

        # SAFETY: `_c` stays allocated to our end.
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
        """Take the group out of the tree.  Idempotent.

        Raises ``ShrinkerError`` while the group is online or has children.
        """
        if self._closed:
            return
        if not self.online:
            self._move_objects()  # A signal may have kept offline() from it.
        if lib.mem_cgroup_remove(self._c):
            raise ShrinkerError(f"{self._name!r} is online, or has children")
        self._closed = True
        self._domain._memcgs.pop(self._id, None)
        self._move_objects()  # Lists of a closed group go for good.

    def reparent_deferred(self) -> None:
        """Add the deferred counters to the parent's.

        They are copied: the group keeps its own, and a second call adds them again.
        ``offline`` does this once.  The root's counters are added to themselves, as
        in the kernel: they double.
        """
        self._check_open()
        lib.reparent_shrinker_deferred(self._c)

    def set_shrinker_bit(self, nid: int, shrinker: _HasId) -> None:
        """Say that a registration or builder may hold objects of this group.

        A walk over the group asks only the shrinkers whose bits are set.  Does
        nothing on the root and for shrinkers that are not memcg-aware.
        """
        lib.set_shrinker_bit(self._c, nid, self._shrinker_id(nid, shrinker))

    def has_shrinker_bit(self, nid: int, shrinker: _HasId) -> bool:
        """Return whether the shrinker's bit is set."""
        number = self._shrinker_id(nid, shrinker)
        return bool(lib.mem_cgroup_has_bit(self._c, nid, number))

    def shrinker_info(self, nid: int) -> ShrinkerInfo:
        """Return the bits and the deferred counters of a node."""
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


def _check_created(error: int, parent: Memcg) -> None:
    if error == errno.EINVAL:
        raise ShrinkerError(f"the memory cgroup {parent.name!r} is offline")
    if error:
        raise MemoryError("no memory for a memory cgroup")


def create(domain: Domain, name: str, parent: Memcg) -> Memcg:
    """Make a group under an open ``parent``, and enter it into its domain's tables.

    Raises ``ShrinkerError`` where the parent is offline, ``MemoryError``.
    """
    c_memcg = ffi.new("struct mem_cgroup **")
    memcg = None
    try:
        # SAFETY: `parent` is held, and open in this domain.
        error = -lib.mem_cgroup_create(parent._c, c_memcg)
        _check_created(error, parent)
        memory = own(c_memcg[0], ffi.addressof(lib, "python_host_put_memcg"))
        memcg = Memcg(domain, c_memcg[0], memory, name, parent)
        domain._memcgs_by_id[memcg.id] = domain._memcgs[memcg.id] = memcg
    except BaseException:
        # After a signal the caller has no group that it could take offline.
        if c_memcg[0] != ffi.NULL:
            lib.mem_cgroup_offline(c_memcg[0])
            lib.mem_cgroup_remove(c_memcg[0])
            if memcg is not None:
                domain._memcgs.pop(memcg.id, None)
        raise
    return memcg


def tree(root: Memcg, known: Mapping[int, Memcg]) -> tuple[Memcg, ...]:
    """Return the groups of a tree in pre-order, by their ids in ``known``."""
    found = []
    c_memcg = ffi.NULL
    while True:
        # SAFETY: the domain holds the root; each group is pinned until the next
        # call.
        c_memcg = lib.mem_cgroup_next(root._c, c_memcg)
        if c_memcg == ffi.NULL:
            break
        found.append(known.get(lib.mem_cgroup_get_id(c_memcg)))
    return tuple(memcg for memcg in found if memcg is not None)
