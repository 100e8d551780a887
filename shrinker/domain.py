"""``Domain``: a machine, with its nodes, its shrinkers and its counters."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker import _outcome
from shrinker._ffi import ffi, lib
from shrinker._memory import NotCopied, own
from shrinker.errors import CallbackErrors, ShrinkerError, check_int
from shrinker.gfp import GFP
from shrinker.growth import Growth
from shrinker.memcg import Memcg
from shrinker.tracing import Trace
from shrinker.values import DEF_PRIORITY, SHRINK_MAX_PRIORITY, ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shrinker.builder import ShrinkerRegistration
    from shrinker.list_lru import ListLru

__all__ = ["Domain", "DomainStatistics", "ReclaimResult", "default_domain"]

UINT_MAX = 2**32 - 1
# A plain number: making one of an enum member takes longer than a small walk.
_GFP_KERNEL = int(GFP.KERNEL)


@dataclasses.dataclass(frozen=True, slots=True)
class DomainStatistics:
    """What happened in a domain so far."""

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
    """How often walks took the GIL; once for each that met a Python shrinker."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReclaimResult:
    """What came of ``Domain.reclaim``."""

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

    ``memcg`` says whether there are memory cgroups; without them shrinkers cannot
    be aware of them.  ``kmem`` is kernel-memory accounting: without it, walks over
    a memory cgroup call NONSLAB shrinkers alone.

    ``stall_limit`` is how many fruitless scan calls end a pass
    (docs/specification.md, "Where we protect the user"); 0 turns the guard off.

    Raises ``ValueError`` and ``TypeError`` for bad arguments, ``MemoryError``.
    """

    # Invariants: `_c` is a reclaim_domain, held by `_memory` to this object's end
    # (the default domain needs no holding); `_registrations` has each registration
    # that is neither closed nor dead.
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
        flags = (lib.RECLAIM_MEMCG if memcg else 0) | (lib.RECLAIM_KMEM if kmem else 0)
        c_domain = lib.reclaim_domain_create(nr_nodes, stall_limit, flags)
        if c_domain == ffi.NULL:
            raise MemoryError("no memory for a domain")
        release = ffi.addressof(lib, "python_host_put_domain")
        self._memory = own(c_domain, release)
        self._set_up(c_domain, nr_nodes)

    def _set_up(self, c_domain: Any, nr_nodes: int) -> None:
        self._c = c_domain
        self._nr_nodes = nr_nodes
        self._closed = False
        self._registrations: dict[int, weakref.ref[ShrinkerRegistration[Any]]] = {}
        self._labels: dict[str, int] = {}
        self._label_numbers = itertools.count(1)
        # What native callbacks need, until the last of them is over.
        self._lingering: list[object] = []
        # Registrations that nobody else holds, by the id of what they are about.
        self._watches: dict[int, object] = {}
        self._c_stalled = lib.reclaim_domain_stalled(c_domain)
        self._stalls_seen = 0
        self._memcgs: dict[int, Memcg] = {}
        # Closed ones too, as long as they live: a walk may be in one.
        self._memcgs_by_id: weakref.WeakValueDictionary[int, Memcg] = (
            weakref.WeakValueDictionary()
        )
        self._lrus: dict[int, weakref.ref[ListLru]] = {}
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

        It stands behind its elder siblings.  Raises ``ShrinkerError`` under an
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
        c_memcg = ffi.new("struct mem_cgroup **")
        memcg = None
        try:
            # SAFETY: `parent` is held, and open in this domain.
            error = -lib.mem_cgroup_create(parent._c, c_memcg)
            _check_created(error, parent)
            memory = own(c_memcg[0], ffi.addressof(lib, "python_host_put_memcg"))
            memcg = Memcg(self, c_memcg[0], memory, name, parent)
            self._memcgs_by_id[memcg.id] = self._memcgs[memcg.id] = memcg
        except BaseException:
            # A signal: nobody could ever take it offline.
            if c_memcg[0] != ffi.NULL:
                lib.mem_cgroup_offline(c_memcg[0])
                lib.mem_cgroup_remove(c_memcg[0])
                if memcg is not None:
                    self._memcgs.pop(memcg.id, None)
            raise
        return memcg

    def memcgs(self) -> tuple[Memcg, ...]:
        """Return the tree: parents first, children as they were created.

        Offline ones are included, closed ones are not.  Empty without memory
        cgroups.
        """
        self._check_open()
        found = []
        c_root = ffi.NULL if self._root is None else self._root._c
        c_memcg = ffi.NULL
        while c_root != ffi.NULL:
            # SAFETY: the domain holds the root; each group is pinned until the
            # next call.
            c_memcg = lib.mem_cgroup_next(c_root, c_memcg)
            if c_memcg == ffi.NULL:
                break
            found.append(self._memcgs.get(lib.mem_cgroup_get_id(c_memcg)))
        return tuple(memcg for memcg in found if memcg is not None)

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
        """Whether its caches should not grow for now.

        A ``shrinker.pressure.Reclaimer`` sets it when memory is short, and clears
        it a while after that has passed; a program with a trigger of its own may
        do so, too.  ``shrinker.cache.LruCache`` heeds it.
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
        default domain, which belongs to everybody.
        """
        if self._is_default:
            raise ShrinkerError("the default domain cannot be closed")
        self._closed = True
        # Again, for what was being registered meanwhile.
        while registrations := self._live():
            for registration in registrations:
                registration.close()
        self._let_linger_go()

    def shrink_slab(
        self,
        *,
        gfp_mask: int = _GFP_KERNEL,
        nid: int = 0,
        memcg: Memcg | None = None,
        priority: int = DEF_PRIORITY,
    ) -> int:
        """Walk over shrinkers once.

        For the root, or ``memcg`` None, over all of them in the order of their
        registration; for another memory cgroup over the memcg-aware ones whose
        bit is set there, in the order of their ids; for an offline one over none.

        ``priority`` is 0 (most urgent) to 63; from 12 up little or nothing is
        asked for.  Returns the number of objects freed, modulo 2**64.  Inside a
        callback it returns 0 and does nothing.

        Raises ``CallbackErrors`` after a walk whose callbacks raised,
        ``KeyboardInterrupt`` and ``SystemExit`` as themselves, ``ValueError``
        and ``TypeError`` for bad arguments before anything is called.
        """
        self._check_open()
        self._check_nid(nid)
        gfp_mask = check_int("gfp_mask", gfp_mask, 0, UINT_MAX)
        check_int("priority", priority, 0, SHRINK_MAX_PRIORITY)
        c_memcg = self._c_memcg(memcg)
        freed = self._walk(lib.reclaim_shrink_slab, gfp_mask, nid, c_memcg, priority)
        return int(freed)

    def drop_slab(self) -> int:
        """Walk all nodes and memory cgroups at priority 0, while it is worth it.

        Each round has to free at least twice as much as the round before had
        to.  Returns the number of objects freed in all rounds, modulo 2**64.
        Raises as ``shrink_slab`` does.
        """
        self._check_open()
        freed = self._walk(lib.reclaim_drop_slab)
        return int(freed)

    def reclaim(
        self,
        nr_to_reclaim: int,
        *,
        gfp_mask: int = _GFP_KERNEL,
        nid: int | None = None,
        memcg: Memcg | None = None,
        priority: int = DEF_PRIORITY,
    ) -> ReclaimResult:
        """Walk at ``priority``, then more and more urgently down to 0.

        Stops after the first priority at which ``nr_to_reclaim`` objects have
        been freed in all; the walks of a priority are always completed, so that
        nobody is spared for standing late.  At each priority ``memcg``, None for
        the root, and the groups below it are walked, parents first, each on all
        nodes, or on ``nid``.  Raises as ``shrink_slab`` does, with a ``ReclaimResult``.
        """
        self._check_open()
        check_int("nr_to_reclaim", nr_to_reclaim, 0, ULONG_MAX)
        gfp_mask = check_int("gfp_mask", gfp_mask, 0, UINT_MAX)
        check_int("priority", priority, 0, SHRINK_MAX_PRIORITY)
        if nid is not None:
            self._check_nid(nid)
        request = ffi.new(
            "struct reclaim_request *",
            {
                "nr_to_reclaim": nr_to_reclaim,
                "gfp_mask": gfp_mask,
                "nid": -1 if nid is None else nid,
                "memcg": self._c_memcg(memcg),
                "priority": priority,
            },
        )
        c_result = ffi.new("struct reclaim_result *")

        def result(_: object) -> ReclaimResult:
            return ReclaimResult(
                nr_reclaimed=c_result.nr_reclaimed,
                nr_scanned=c_result.nr_scanned,
                passes=c_result.passes,
                priority=c_result.priority,
            )

        reclaimed: ReclaimResult = self._walk(
            lib.reclaim_run, request, c_result, convert=result
        )
        return reclaimed

    def shrinkers(self) -> tuple[ShrinkerRegistration[Any], ...]:
        """Return the registrations that are open, in the order of walks."""
        return tuple(self._live())

    def statistics(self) -> DomainStatistics:
        """Return what happened so far.

        Exact for the walks that have ended; parts of one under way may be
        missing.  Also of a closed domain.
        """
        c = ffi.new("struct reclaim_statistics *")

        # SAFETY: `_c` is held.
        lib.reclaim_domain_get_statistics(self._c, c)
        return DomainStatistics(
            **{field.name: getattr(c, field.name) for field in _STATISTICS}
        )

    def report(self) -> str:
        """Return a table of who holds what, was asked, scanned and freed.

        Calls ``count_objects`` of each shrinker for each node.  A shrinker
        whose callback raises shows ``?`` and keeps its other figures.
        """
        self._check_open()
        rows = [("shrinker", "objects", "deferred", "passes", "scanned", "freed")]
        for registration in self._live():
            try:
                objects = str(registration._count_everywhere())
                deferred = str(registration._deferred_everywhere())
            except CallbackErrors:
                objects = deferred = "?"
            except ShrinkerError:
                continue  # Closed meanwhile.
            seen = registration.statistics()
            rows.append(
                (
                    registration.name,
                    objects,
                    deferred,
                    str(seen.passes),
                    str(seen.scanned),
                    str(seen.freed),
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def debugfs(self) -> Mapping[str, str]:
        """Return what the kernel shows in ``/sys/kernel/debug/shrinker``.

        For each shrinker the text of its ``count`` file, under the name of its
        directory, ``<name>-<number>``: a line for each online memory cgroup in
        which it counts objects, with the group's id and a number for each node;
        one line, for id 1, where it is not memcg-aware.  Calls ``count_objects``
        accordingly, and raises ``CallbackErrors`` where one raised.
        """
        self._check_open()
        texts = {}
        for registration in self._live():
            try:
                name, text = registration._debugfs()
            except ShrinkerError:
                if registration.closed:
                    continue  # Meanwhile.
                raise
            texts[name] = text
        return texts

    def trace(self, *, limit: int = 1_000_000) -> Trace:
        """Record the trace events of the passes that run meanwhile.

        A context manager that yields an iterable of ``ShrinkSlabStart`` and
        ``ShrinkSlabEnd``.  At most ``limit`` events are kept, further ones are
        counted as ``lost``.  A domain has one trace at a time: entering a
        second one raises ``ShrinkerError``.
        """
        self._check_open()
        check_int("limit", limit, 1, ULONG_MAX)
        return Trace(self, limit)

    # --- for the floors above ---------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise ShrinkerError("the domain is closed")

    def _check_nid(self, nid: object) -> None:
        if not isinstance(nid, int) or isinstance(nid, bool):
            raise TypeError(f"nid must be an int, not {type(nid).__name__}")
        if not 0 <= nid < self._nr_nodes:
            raise ValueError(
                f"unknown node {nid}: the domain's nodes are 0 to {self._nr_nodes - 1}"
            )

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

    def _lrus_alive(self) -> list[ListLru]:
        found = (reference() for reference in list(self._lrus.values()))
        return [lru for lru in found if lru is not None]

    def _live(self) -> list[ShrinkerRegistration[Any]]:
        found = (reference() for reference in list(self._registrations.values()))
        live = [registration for registration in found if registration is not None]
        # Threads that register at once may come here in another order.
        return sorted(live, key=lambda registration: registration._order)

    def _label(self, scan_function: str) -> int:
        """Return the number that stands for a scan callback's name in events."""
        number = self._labels.get(scan_function)
        if number is None:
            # Never one number for two names; one that is not used is no loss.
            number = self._labels.setdefault(scan_function, next(self._label_numbers))
        return number

    def _let_linger_go(self) -> None:
        pending = self._lingering
        if not pending:
            return
        # Taken away before looking: what comes later is not in `pending`.
        self._lingering = []
        if lib.reclaim_domain_nr_lingering(self._c):
            self._lingering.extend(pending)

    def _walk(
        self,
        walk: Callable[..., Any],
        *args: object,
        convert: Callable[[Any], Any] = int,
    ) -> Any:
        """Run a C function that walks, with everything that belongs around it."""
        with _outcome.Outcome() as outcome:
            # SAFETY: `_c` is held, and arguments were checked.
            result = convert(walk(self._c, *args))
        if self._lingering:
            self._let_linger_go()
        try:
            if self._c_stalled[0] != self._stalls_seen:
                self._warn_of_stalls(result)
        finally:
            outcome.deliver(result)
        return result

    def _warn_of_stalls(self, result: object) -> None:
        self._stalls_seen = self._c_stalled[0]
        raised: RuntimeWarning | None = None
        for registration in self._live():
            if not registration._first_stall():
                continue
            try:
                warnings.warn(
                    f"shrinker {registration.name!r} made no progress: a pass was"
                    " ended by the domain's stall limit",
                    RuntimeWarning,
                    stacklevel=4,
                )
            except RuntimeWarning as error:  # Where warnings are errors.
                raised = raised or error
        if raised is not None:
            raised.add_note(f"result of the walk: {result!r}")
            raise raised


def _check_created(error: int, parent: Memcg) -> None:
    if error == errno.EINVAL:
        raise ShrinkerError(f"the memory cgroup {parent.name!r} is offline")
    if error:
        raise MemoryError("no memory for a memory cgroup")


_STATISTICS = dataclasses.fields(DomainStatistics)
_default_lock = threading.RLock()
_default: list[Domain] = []


def _after_fork() -> None:
    """Make the lock anew: a thread that the child does not have may have held it."""
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
