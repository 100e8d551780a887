"""``Domain``: a machine, with its nodes, its shrinkers and its counters."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import operator
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker import memcg as memcgs
from shrinker import registered
from shrinker._capsule import NotCopied, own
from shrinker._ffi import ffi, lib
from shrinker._walk_errors import WalkErrors
from shrinker.errors import ShrinkerError, check_bool, check_int
from shrinker.events import Trace
from shrinker.gfp import GFP
from shrinker.growth import Growth
from shrinker.memcg import Memcg
from shrinker.values import DEF_PRIORITY, SHRINK_MAX_PRIORITY, ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shrinker.memcg import HasLists
    from shrinker.registered import Registered

__all__ = ["Domain", "DomainStatistics", "ReclaimResult", "default_domain"]

UINT_MAX = 2**32 - 1
# A plain number: making one of an enum member takes longer than a small walk.
_GFP_KERNEL = int(GFP.KERNEL)
_shrink_slab = WalkErrors.shrink_slab


@dataclasses.dataclass(frozen=True, slots=True)
class DomainStatistics:
    """What happened in a domain so far; each number only grows."""

    walks: int
    """Walks over all shrinkers."""
    passes: int
    """Passes that got past the count."""
    scan_calls: int
    """Scan calls that were accounted."""
    slabs_scanned: int
    """Objects scanned, modulo 2**64; the kernel's vm event SLABS_SCANNED."""
    freed: int
    """Objects freed, modulo 2**64."""
    stalled: int
    """Passes that were ended because they made no progress."""
    nested: int
    """Reclaims refused because their thread was in a callback."""
    host_entries: int
    """Times that walks took the GIL; one for each walk that met a Python shrinker."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReclaimResult:
    """What a ``Domain.reclaim`` did."""

    nr_reclaimed: int
    """Objects freed, modulo 2**64."""
    nr_scanned: int
    """Objects scanned, modulo 2**64."""
    passes: int
    """Passes that got past the count."""
    priority: int
    """The last priority that was walked; 0 is the most urgent."""


class Domain(NotCopied):
    """A machine with ``nr_nodes`` memory nodes and shrinkers of its own.

    A context manager; ``close()`` closes what is still registered.  Methods of
    a closed domain raise ``ShrinkerError``.

    ``nr_nodes`` is 1 to 1,024.  ``memcg`` says whether there are memory cgroups;
    without them no shrinker is memcg-aware.  ``kmem`` is kernel-memory accounting;
    without it, walks over a memory cgroup call NONSLAB shrinkers alone.

    ``stall_limit`` is the number of fruitless scan calls that end a pass
    (docs/specification.md, "The stall guard"); 0 turns the guard off.

    Raises ``ValueError`` and ``TypeError`` for bad arguments, ``MemoryError``.
    """

    # Invariants: `_memory` holds the reclaim_domain `_c` to this object's end; the
    # default domain is never released.  `_registrations` has each registration that
    # is neither closed nor dead.
    _c: Any = ffi.NULL
    _memory: object = None
    _is_default = False

    def __init__(
        self,
        *,
        nr_nodes: int = 1,
        memcg: bool = True,
        kmem: bool = True,
        stall_limit: int = 1024,
    ) -> None:
        check_int("nr_nodes", nr_nodes, 1, lib.RECLAIM_MAX_NODES)
        check_int("stall_limit", stall_limit, 0, ULONG_MAX)
        check_bool("memcg", memcg)
        check_bool("kmem", kmem)
        flags = (lib.RECLAIM_MEMCG if memcg else 0) | (lib.RECLAIM_KMEM if kmem else 0)
        c_domain = lib.reclaim_domain_create(nr_nodes, stall_limit, flags)
        if c_domain == ffi.NULL:
            raise MemoryError("no memory for a domain")
        release = ffi.addressof(lib, "python_host_put_domain")
        self._memory = own(c_domain, release)
        self._set_up(c_domain, nr_nodes, kmem=kmem)

    def _set_up(self, c_domain: Any, nr_nodes: int, *, kmem: bool = True) -> None:
        self._c = c_domain
        self._c_address = _address(c_domain)
        self._nr_nodes = nr_nodes
        self._kmem = kmem
        self._closed = False
        self._registrations: dict[int, weakref.ref[Registered]] = {}
        # Numbers that stand for the names of scan callbacks in events.
        self._labels: dict[str, int] = {}
        self._label_numbers = itertools.count(1)
        # What closed native callbacks need, until the last of them has returned.
        self._lingering: collections.deque[object] = collections.deque()
        # Registrations that only the domain holds, by the id of what they are about.
        self._watches: dict[int, object] = {}
        self._c_stalled = lib.reclaim_domain_stalled(c_domain)
        self._stalls_seen = 0
        self._memcgs: dict[int, Memcg] = {}
        # Closed groups too, while they live: a walk may be in one.
        self._memcgs_by_id: weakref.WeakValueDictionary[int, Memcg] = (
            weakref.WeakValueDictionary()
        )
        self._lrus: dict[int, weakref.ref[HasLists]] = {}
        self._root: Memcg | None = None
        self._growth = Growth()

        # SAFETY: `c_domain` is held, and holds its root.
        c_root = lib.reclaim_domain_root(c_domain)
        if c_root != ffi.NULL:
            self._root = Memcg(self, c_root, self._memory, "root", None)
            self._memcgs_by_id[self._root.id] = self._root
            self._memcgs[self._root.id] = self._root

    @property
    def root(self) -> Memcg | None:
        """The memory cgroup above all others; None without memory cgroups."""
        return self._root

    def create_memcg(self, name: str, parent: Memcg | None = None) -> Memcg:
        """Add a memory cgroup under ``parent``, or under the root.

        It comes after its older siblings.  Raises ``ShrinkerError`` under an
        offline or closed parent and in a domain without memory cgroups,
        ``ValueError`` for a parent of another domain, ``MemoryError``.
        """
        self._check_open()
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        if self._root is None:
            raise ShrinkerError("the domain has no memory cgroups")
        parent = self._root if parent is None else parent
        self._check_memcg(parent)
        return memcgs.create(self, name, parent)

    def memcgs(self) -> tuple[Memcg, ...]:
        """Return the tree in pre-order: parents first, children by age.

        Offline groups are included, closed ones are not.  Empty without memory
        cgroups.
        """
        self._check_open()
        return () if self._root is None else memcgs.tree(self._root, self._memcgs)

    @property
    def nr_nodes(self) -> int:
        """Number of memory nodes."""
        return self._nr_nodes

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._closed

    @property
    def under_pressure(self) -> bool:
        """Whether the domain's caches should not grow for now.

        A ``shrinker.pressure.Reclaimer`` sets it when memory is short and clears it
        a while after.  A program with a trigger of its own may do so too.
        While it is set, ``shrinker.cache.Cache`` evicts as much as is added.
        """
        return self._growth.under_pressure

    @under_pressure.setter
    def under_pressure(self, value: bool) -> None:
        self._growth.under_pressure = bool(value)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_default:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.shrinkers())} shrinkers"
        return f"<Domain nr_nodes={self._nr_nodes}, {state}>"

    def close(self) -> None:
        """Close every registration, waiting for running callbacks of each.

        Idempotent.  Inside a callback it waits for nothing, as
        ``ShrinkerRegistration.close`` says.  Raises ``ShrinkerError`` for the
        default domain, which the whole process shares.
        """
        if self._is_default:
            raise ShrinkerError("the default domain cannot be closed")
        self._closed = True
        # Repeat for what was being registered meanwhile.
        while registrations := self._live():
            for registration in registrations:
                registration.close()
        self._release_lingering()

    def shrink_slab(
        self,
        *,
        gfp_mask: int = _GFP_KERNEL,
        nid: int = 0,
        memcg: Memcg | None = None,
        priority: int = DEF_PRIORITY,
    ) -> int:
        """Walk over shrinkers once: one pass over each, on node ``nid``.

        For the root, or ``memcg`` None, it walks over all of them in the order of
        registration; for another memory cgroup over the memcg-aware ones whose
        bit is set there, in the order of their ids; for an offline one over none.

        ``priority`` is 0 (most urgent) to 63; at 12 and above a pass asks for
        little or nothing.  Returns the number of objects freed, modulo 2**64.  Inside a
        callback it returns 0 and does nothing.  See docs/specification.md, "Walks".

        Raises ``CallbackErrors`` after a walk whose callbacks raised,
        ``KeyboardInterrupt`` and ``SystemExit`` as themselves, ``ValueError``
        and ``TypeError`` for bad arguments before anything is called.
        """
        if self._closed:
            self._check_open()
        walked = None
        if memcg is None:
            # SAFETY: `_c` is held.  C checks the arguments: here that would take
            # longer than a small walk.
            walked = _shrink_slab(
                self._c_address, gfp_mask, nid, 0, priority, self._stalls_seen
            )
        if walked is None:
            walked = self._shrink_slab_checked(gfp_mask, nid, memcg, priority)
        if isinstance(walked, WalkErrors):
            freed = walked.freed
            self._walked(walked, freed)
            return freed
        if self._lingering:
            self._release_lingering()
        return walked

    def drop_slab(self) -> int:
        """Walk all nodes and memory cgroups at priority 0, round after round.

        Round k, from 0, is the last one if it frees fewer than 2**(k + 1) objects.
        Returns the number of objects freed in all rounds, modulo 2**64.  Raises as
        ``shrink_slab`` does.
        """
        self._check_open()
        with WalkErrors() as errors:
            # SAFETY: `_c` is held.
            freed = int(lib.reclaim_drop_slab(self._c))
        self._walked(errors, freed)
        return freed

    def reclaim(
        self,
        nr_to_reclaim: int,
        *,
        gfp_mask: int = _GFP_KERNEL,
        nid: int | None = None,
        memcg: Memcg | None = None,
        priority: int = DEF_PRIORITY,
    ) -> ReclaimResult:
        """Walk at ``priority``, then at each more urgent one down to 0.

        Stops after the first priority at which ``nr_to_reclaim`` objects have been
        freed in all.  The walks of a priority are always completed, so that no
        cache is spared for coming late.  At each priority it walks ``memcg``, None
        for the root, and the groups below it, parents first, each on all nodes or
        on ``nid`` alone.  Raises as ``shrink_slab`` does, with a ``ReclaimResult``.
        """
        self._check_open()
        request = self._request(nr_to_reclaim, gfp_mask, nid, memcg, priority)
        c_result = ffi.new("struct reclaim_result *")

        with WalkErrors() as errors:
            # SAFETY: `_c` is held, and the arguments were checked.
            lib.reclaim_run(self._c, request, c_result)
        result = ReclaimResult(
            nr_reclaimed=c_result.nr_reclaimed,
            nr_scanned=c_result.nr_scanned,
            passes=c_result.passes,
            priority=c_result.priority,
        )
        self._walked(errors, result)
        return result

    def shrinkers(self) -> tuple[Registered, ...]:
        """Return the open registrations, in the order of walks."""
        return tuple(self._live())

    def statistics(self) -> DomainStatistics:
        """Return what happened so far; also of a closed domain.

        Exact for the walks that have ended.  Parts of a walk under way may be
        missing.
        """
        c = ffi.new("struct reclaim_statistics *")

        # SAFETY: `_c` is held.
        lib.reclaim_domain_get_statistics(self._c, c)
        return DomainStatistics(
            **{field.name: getattr(c, field.name) for field in _STATISTICS}
        )

    def report(self) -> str:
        """Return a table: each shrinker's objects, passes, and what they did.

        Calls ``count_objects`` of each shrinker for each node.  A shrinker whose
        callback raises shows ``?`` and keeps its other figures.  A cache that has
        learned its seeks shows them, and what a page of it takes to compute.  A long
        name is cut in the middle, and what cannot be printed is escaped.  Where a
        reclaimer runs and other processes live under the same limit, a table of them
        follows.
        """
        self._check_open()
        self._growth.learn()
        report = registered.report(self._live())
        describe = self._growth.describe
        others = "" if describe is None else describe()
        return f"{report}\n\n{others}" if others else report

    def debugfs(self) -> Mapping[str, str]:
        """Return what the kernel shows in ``/sys/kernel/debug/shrinker``.

        For each shrinker the text of its ``count`` file, under the name of its
        directory, ``<name>-<number>``.  The text has a line for each online memory
        cgroup with objects of the shrinker: the group's id, then the count of each
        node.  A shrinker that is not memcg-aware has at most one line, with id 1, or 0
        in a domain without memory cgroups.  The name is cut at 127 bytes.  Calls
        ``count_objects`` for each number, and raises ``CallbackErrors`` where a call
        raised.  See docs/specification.md, "Shrinker debugfs".
        """
        self._check_open()
        return registered.debugfs(self._live())

    def trace(self, *, limit: int = 1_000_000) -> Trace:
        """Collect the trace events of the passes that run meanwhile.

        A context manager that yields an iterable of ``ShrinkSlabStart`` and
        ``ShrinkSlabEnd``.  At most ``limit`` events are kept; further ones are
        counted as ``lost``.  A domain has one trace at a time: entering a
        second one raises ``ShrinkerError``.
        """
        self._check_open()
        check_int("limit", limit, 1, ULONG_MAX)
        return Trace(self, self._c, self._labels, limit)

    # --- for the floors above ---------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise ShrinkerError("the domain is closed")

    def _check_nid(self, nid: object) -> int:
        if not isinstance(nid, int) or isinstance(nid, bool):
            raise TypeError(f"nid must be an int, not {type(nid).__name__}")
        number = operator.index(nid)  # A subclass may override comparisons.
        if not 0 <= number < self._nr_nodes:
            last = self._nr_nodes - 1
            raise ValueError(
                f"unknown node {number}: the domain's nodes are 0 to {last}"
            )
        return number

    def _check_memcg(self, memcg: object) -> None:
        if not isinstance(memcg, Memcg):
            raise TypeError(f"memcg must be a Memcg, not {type(memcg).__name__}")
        if memcg._domain is not self:
            raise ValueError(f"{memcg!r} belongs to another domain")
        memcg._check_open()

    def _c_memcg(self, memcg: Memcg | None) -> Any:
        """Return the pointer for the core; the caller keeps ``memcg``."""
        if memcg is None:
            return ffi.NULL
        self._check_memcg(memcg)
        return memcg._c

    def _lrus_alive(self) -> list[HasLists]:
        found = (reference() for reference in list(self._lrus.values()))
        return [lru for lru in found if lru is not None]

    def _live(self) -> list[Registered]:
        found = (reference() for reference in list(self._registrations.values()))
        live = [registration for registration in found if registration is not None]
        # Threads that register at once may enter the table in another order.
        return sorted(live, key=lambda registration: registration._order)

    def _label(self, scan_function: str) -> int:
        """Return the number that stands for a scan callback's name in events."""
        number = self._labels.get(scan_function)
        if number is None:
            # Two threads may draw a number each; the second one stays unused.
            number = self._labels.setdefault(scan_function, next(self._label_numbers))
        return number

    def _release_lingering(self) -> None:
        if not self._lingering:
            return
        # Emptied before the look, so that what comes later is not in `pending`.  One by
        # one: other threads may append, and empty it, meanwhile.
        pending: list[object] = []
        with contextlib.suppress(IndexError):
            pending.extend(iter(self._lingering.popleft, None))
        if lib.reclaim_domain_nr_lingering(self._c):
            self._lingering.extend(pending)

    def _shrink_slab_checked(
        self, gfp_mask: int, nid: int, memcg: Memcg | None, priority: int
    ) -> int | WalkErrors:
        """Check all arguments, and walk."""
        nid = self._check_nid(nid)
        gfp_mask = check_int("gfp_mask", gfp_mask, 0, UINT_MAX)
        priority = check_int("priority", priority, 0, SHRINK_MAX_PRIORITY)
        c_memcg = _address(self._c_memcg(memcg))

        # SAFETY: `_c` is held, and `memcg` by the caller.
        walked = _shrink_slab(
            self._c_address, gfp_mask, nid, c_memcg, priority, self._stalls_seen
        )
        assert walked is not None  # noqa: S101 - for the type checker
        return walked

    def _request(
        self,
        nr_to_reclaim: int,
        gfp_mask: int,
        nid: int | None,
        memcg: Memcg | None,
        priority: int,
    ) -> Any:
        """Check the arguments of ``reclaim()``, and return what C takes.

        A function of its own, so that the ``with`` of ``reclaim()`` is near its
        beginning.  Behind the 256th instruction CPython enters a handler only with
        memory for an int, and tries for ever where there is none.
        """
        check_int("nr_to_reclaim", nr_to_reclaim, 0, ULONG_MAX)
        gfp_mask = check_int("gfp_mask", gfp_mask, 0, UINT_MAX)
        check_int("priority", priority, 0, SHRINK_MAX_PRIORITY)
        if nid is not None:
            self._check_nid(nid)
        return ffi.new(
            "struct reclaim_request *",
            {
                "nr_to_reclaim": nr_to_reclaim,
                "gfp_mask": gfp_mask,
                "nid": -1 if nid is None else nid,
                "memcg": self._c_memcg(memcg),
                "priority": priority,
            },
        )

    def _walked(self, errors: WalkErrors, result: object) -> None:
        """Raise or warn of what happened in a walk; ``result`` is what it returned."""
        if self._lingering:
            self._release_lingering()
        try:
            if self._c_stalled[0] != self._stalls_seen:
                self._stalls_seen = self._c_stalled[0]
                registered.warn_of_stalls(self._live(), result)
        finally:
            errors.deliver(result)


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


_STATISTICS = dataclasses.fields(DomainStatistics)
_default_lock = threading.RLock()
_default: list[Domain] = []


def _after_fork() -> None:
    """Replace the lock: a thread that does not exist in the child may hold it."""
    global _default_lock  # noqa: PLW0603
    _default_lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def default_domain() -> Domain:
    """Return the domain behind the kernel-named C functions.

    One node, memory cgroups, the default stall limit; the same object every time.
    It cannot be closed.
    """
    if _default:
        return _default[0]
    with _default_lock:
        if not _default:
            c_domain = lib.reclaim_default_domain()
            if c_domain == ffi.NULL:
                raise MemoryError("no memory for the default domain")
            domain = Domain.__new__(Domain)
            domain._set_up(c_domain, lib.reclaim_domain_nr_nodes(c_domain))
            domain._is_default = True
            _default.append(domain)
        return _default[0]
