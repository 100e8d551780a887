"""``ShrinkerBuilder`` and ``ShrinkerRegistration``: the life of a shrinker."""

from __future__ import annotations

import dataclasses
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from shrinker import _outcome, native
from shrinker._ffi import ffi, lib
from shrinker._memory import NotCopied, own
from shrinker._trampolines import Record, adopt, forget
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError, check_int
from shrinker.gfp import GFP
from shrinker.values import ULONG_MAX, ScanObjects, ShrinkerFlags

if TYPE_CHECKING:
    from shrinker._trampolines import Shrinker
    from shrinker.memcg import Memcg

__all__ = ["ShrinkerBuilder", "ShrinkerRegistration", "ShrinkerStatistics"]

T = TypeVar("T")
S = TypeVar("S", bound="Shrinker")

_SETTABLE = ShrinkerFlags.NUMA_AWARE | ShrinkerFlags.MEMCG_AWARE | ShrinkerFlags.NONSLAB
_NO_FLAGS = ShrinkerFlags(0)


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkerStatistics:
    """What happened to one shrinker so far."""

    passes: int
    """Passes that got past the count."""
    scan_calls: int
    """Scan calls that were accounted."""
    scanned: int
    """Objects scanned, as the callback reported them, modulo 2**64."""
    freed: int
    """Objects freed, as the callback reported them, modulo 2**64."""
    stalled: int
    """Passes that were ended because they made no progress."""


# Looked up before: nothing should come between an allocation and its owner.
_FREE = ffi.addressof(lib, "python_host_free_shrinker")


class ShrinkerBuilder(NotCopied):
    """A shrinker that is allocated but not yet registered.

    A context manager: leaving it, ``close()``, or dropping an unregistered
    builder frees the shrinker.  ``register`` consumes the builder; its methods
    raise ``ShrinkerError`` from then on.

    ``name`` is taken as it is, never as a format; it must not be empty or hold
    a NUL (``ValueError``).  ``flags`` the domain cannot honour are dropped, as
    the kernel does: without memory cgroups ``MEMCG_AWARE`` is.  ``domain``
    None is the default domain.
    """

    # Invariants: `_c` is a shrinker that nobody else knows, owned by `_memory`; or
    # NULL, and `_memory` None, once that was given up or given to a registration.
    _c: Any = ffi.NULL
    _memory: object = None

    def __init__(
        self,
        name: str,
        *,
        flags: ShrinkerFlags = _NO_FLAGS,
        domain: Domain | None = None,
    ) -> None:
        c_name = _c_name(name)
        check_int("flags", flags, 0, int(_SETTABLE))
        if int(flags) & ~int(_SETTABLE):
            raise ValueError(f"unknown flags: {flags!r}")
        domain = default_domain() if domain is None else domain
        if not isinstance(domain, Domain):
            raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
        domain._check_open()
        self._domain = domain

        # SAFETY: the domain's pointer is held by the domain, and the domain by
        # us; the core copies the name.
        c_shrinker = lib.reclaim_shrinker_alloc(domain._c, int(flags), c_name)
        if c_shrinker == ffi.NULL:
            raise MemoryError("no memory for a shrinker")
        self._memory = own(c_shrinker, _FREE)
        self._c = c_shrinker
        self._name = name

    @classmethod
    def new_fmt(
        cls,
        template: str,
        *args: object,
        flags: ShrinkerFlags = _NO_FLAGS,
        domain: Domain | None = None,
    ) -> Self:
        """Return a builder whose name is ``template.format(*args)``."""
        return cls(template.format(*args), flags=flags, domain=domain)

    def __enter__(self) -> Self:
        self._check_usable()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "used up" if self._c == ffi.NULL else f"{self._name!r}"
        return f"<ShrinkerBuilder {state}>"

    def close(self) -> None:
        """Free the shrinker, unless it was registered.  Idempotent."""
        self._c = ffi.NULL
        self._memory = None

    @property
    def name(self) -> str:
        """Name of the shrinker."""
        self._check_usable()
        return self._name

    @property
    def flags(self) -> ShrinkerFlags:
        """Flags that the domain can honour."""
        self._check_usable()
        return _flags(self._c)

    @property
    def id(self) -> int | None:
        """Id in the maps of memory cgroups; None where not memcg-aware."""
        self._check_usable()
        return _id(self._c)

    @property
    def domain(self) -> Domain:
        """The domain it will be registered in."""
        return self._domain

    def set_seeks(self, seeks: int) -> Self:
        """Set the cost of recreating an object, 0 to 2**31 - 1; default 2.

        A pass asks for 4 / ``seeks`` of what its priority says.  0 means cheap
        to recreate: half of the cache is asked for in every pass.
        """
        self._check_usable()
        self._c.seeks = check_int("seeks", seeks, 0, 2**31 - 1)
        return self

    def set_batch(self, batch: int) -> Self:
        """Set how many objects a scan call is asked for, 0 to 2**63 - 1.

        0, the default, stands for 128.
        """
        self._check_usable()
        self._c.batch = check_int("batch", batch, 0, 2**63 - 1)
        return self

    def register(self, private_data: S) -> ShrinkerRegistration[S]:
        """Register ``private_data``, an object with the ``Shrinker`` methods.

        It goes to the end of the walk order.  Waits for no callback, and may be
        called from one.  Consumes the builder.

        Raises ``TypeError``, and leaves the builder as it was, where one of the
        methods is missing.
        """
        self._check_usable()
        for method in ("count_objects", "scan_objects"):
            if not callable(getattr(private_data, method, None)):
                raise TypeError(
                    f"{type(private_data).__name__!r} object has no method {method}"
                )
        record = Record(self._name, private_data, self._domain._memcgs_by_id)
        label = native.name_of(record.scan_objects)
        c_shrinker, memory = self._take()
        number = adopt(c_shrinker, record)
        return ShrinkerRegistration._publish(
            c_shrinker, memory, self._domain, number, record, private_data, label, None
        )

    def register_native(
        self,
        count_objects: object,
        scan_objects: object,
        private_data: int = 0,
        *,
        keepalive: object = None,
    ) -> ShrinkerRegistration[Any]:
        """Register C callbacks; no interpreter is entered for them.

        Each is an address, a cffi or ctypes function pointer, or anything with
        an ``address`` (a numba ``cfunc``); ``shrinker.native`` has their type.
        ``private_data`` is what they find in ``shrinker->private_data``, a
        number or an address.  In a walk that has met a Python shrinker the GIL may
        be held while they run: they must not wait for a thread that wants it.  The
        callbacks and ``keepalive`` are kept until no
        callback can run any more.  Otherwise as ``register``.

        Raises ``TypeError`` and ``ValueError``, and leaves the builder as it
        was, for what is no address.
        """
        self._check_usable()
        count_address = native.address_of("count_objects", count_objects)
        scan_address = native.address_of("scan_objects", scan_objects)
        check_int("private_data", private_data, 0, ULONG_MAX)
        label = native.name_of(scan_objects)
        c_shrinker, memory = self._take()
        for field, address in (
            ("count_objects", count_address),
            ("scan_objects", scan_address),
            ("private_data", private_data),
        ):
            target = ffi.typeof("struct shrinker").fields
            kind = dict(target)[field].type
            setattr(c_shrinker, field, ffi.cast(kind, address))
        needed = (count_objects, scan_objects, keepalive)
        return ShrinkerRegistration._publish(
            c_shrinker, memory, self._domain, None, None, private_data, label, needed
        )

    def _memcg_id(self) -> int:
        self._check_usable()
        return int(lib.shrinker_id(self._c))

    def _check_usable(self) -> None:
        if self._c == ffi.NULL:
            raise ShrinkerError("the builder was used up or closed")

    def _take(self) -> tuple[Any, object]:
        """Take the C shrinker out of the builder, which is used up then."""
        self._domain._check_open()
        memory = self._memory
        c_shrinker, self._c = self._c, ffi.NULL
        if c_shrinker == ffi.NULL:
            raise ShrinkerError("the builder was used up or closed")
        self._memory = None
        return c_shrinker, memory


class ShrinkerRegistration(NotCopied, Generic[T]):
    """A shrinker that walks can find.  ``ShrinkerBuilder.register`` makes it.

    A context manager.  ``close()`` takes it out of the registry and lets go of
    the private data; so does dropping it, with a ``ResourceWarning``.  After
    that name, figures and flags can still be read, while what needs the
    callbacks raises ``ShrinkerError``.
    """

    # Invariants: `_c` is a shrinker, owned by `_memory`, that stays allocated until
    # this object is gone for good, registered or not: finalisers run before that,
    # and may bring it back.
    # `_record` is set from registration to closing where the callbacks are Python;
    # the table of numbers holds it weakly, running trampolines strongly, nobody
    # else.  `_needed` is set as long where they are native.
    # `_keeper` is a table that holds this object under `_keeper_key`, till closing.
    _closed = True
    _number: int | None = None
    # Whether dropping it unclosed is normal use, as it is for who drops a cache.
    _quiet = False
    _keeper: dict[int, object] | None = None
    _keeper_key = 0

    _c: Any
    _memory: object
    _domain: Domain
    _key: int
    _order: int
    _record: Record | None
    _private_data: T | None
    _needed: object
    _warned_of_stall: bool

    def __init__(self) -> None:
        raise TypeError("a ShrinkerRegistration is made by ShrinkerBuilder.register")

    @classmethod
    def _publish(
        cls,
        c_shrinker: Any,
        memory: object,
        domain: Domain,
        number: int | None,
        record: Record | None,
        private_data: Any,
        label: str | None,
        needed: object,
    ) -> Self:
        self = object.__new__(cls)
        self._memory = memory
        self._domain = domain
        self._number = number
        self._record = record
        self._private_data = private_data
        self._needed = needed
        self._warned_of_stall = False
        self._c = c_shrinker
        self._key = int(ffi.cast("uintptr_t", c_shrinker))
        if label:
            lib.shrinker_set_label(c_shrinker, domain._label(label))
        self._closed = False

        # SAFETY: callbacks are set, and `_c` is ours.
        lib.shrinker_register(c_shrinker)
        self._order = int(lib.shrinker_debugfs_id(c_shrinker))
        # Only now can others find it, and close it.
        domain._registrations[self._key] = weakref.ref(self)
        if domain._closed:
            self.close()
            raise ShrinkerError("the domain is closed")
        return self

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Waits for nothing and takes no lock that is held while Python runs:
        # this may be any thread at any point.
        if self._closed:
            return
        self._close(wait=False)
        if self._quiet:
            return
        warnings.warn(
            f"unclosed shrinker {self.name!r}",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<ShrinkerRegistration {self.name!r}, {state}>"

    def close(self) -> None:
        """Take the shrinker out of the registry, and let go of the private data.

        No new callback starts.  Waits until those that run have returned, but
        not for other shrinkers.  Inside a callback, of whichever shrinker, it
        waits for nothing: the shrinker is unregistered at once, and the last of
        its running callbacks lets the private data go.  Idempotent.

        A signal does not interrupt the waiting; its handler runs afterwards.
        """
        self._close(wait=True)

    def _close(self, *, wait: bool) -> None:
        self._closed = True
        idle = False
        try:
            # SAFETY: `_c` stays allocated as long as we live.
            idle = lib.shrinker_unregister(self._c, wait)
        finally:
            # Also where a signal's exception comes out of the waiting.  No call comes
            # before the end of all that others see, behind which another one could.
            registrations = self._domain._registrations
            if self._key in registrations:
                del registrations[self._key]
            keeper, key = self._keeper, self._keeper_key
            if keeper is not None and key in keeper and keeper[key] is self:
                del keeper[key]
            needed, self._needed = self._needed, None
            self._record = None
            self._private_data = None
            if not idle and needed is not None:
                self._domain._lingering.append(needed)
            if self._number is not None:
                forget(self._number)

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._closed

    @property
    def domain(self) -> Domain:
        """The domain it is registered in."""
        return self._domain

    @property
    def private_data(self) -> T:
        """What was registered.  Raises ``ShrinkerError`` once closed."""
        private_data = self._private_data
        self._check_open()
        return private_data  # type: ignore[return-value]

    @property
    def name(self) -> str:
        """Name of the shrinker, as given or by ``rename``."""
        return _name(self._c)

    @property
    def debugfs_id(self) -> int:
        """Number in the name of its debugfs directory, ``<name>-<number>``."""
        return int(lib.shrinker_debugfs_id(self._c))

    @property
    def seeks(self) -> int:
        """Cost of recreating an object."""
        return int(self._c.seeks)

    @property
    def batch(self) -> int:
        """Objects in one scan call; 0 stands for 128."""
        return int(self._c.batch)

    @property
    def flags(self) -> ShrinkerFlags:
        """What it is aware of."""
        return _flags(self._c)

    @property
    def id(self) -> int | None:
        """Id in the maps of memory cgroups; None where not memcg-aware."""
        return _id(self._c)

    def rename(self, name: str) -> None:
        """Give the shrinker another name, under the builder's rules."""
        self._check_open()
        if not lib.shrinker_rename(self._c, _c_name(name)):
            raise MemoryError("no memory for a name")
        if (record := self._record) is not None:
            record.name = name

    def nr_deferred(self, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Return the objects whose scan was put off to the next pass on a node.

        Without NUMA_AWARE there is one counter for all nodes.  A memcg-aware
        shrinker has its counters in each memory cgroup; ``memcg`` None is the
        root, and others ignore it.  Negative after some counts of 2**62 and more.
        """
        self._check_open()
        self._domain._check_nid(nid)
        c_memcg = self._domain._c_memcg(memcg)
        return int(lib.shrinker_nr_deferred(self._c, nid, c_memcg))

    def count(self, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Call ``count_objects`` once and return its number, EMPTY as 0.

        That is what debugfs ``count`` shows.  Without NUMA_AWARE all objects are
        shown on node 0; other nodes read 0, and nothing is called.  ``memcg``
        None is the root.

        Raises ``CallbackErrors`` where the callback raised, ``ShrinkerError`` for
        an offline memory cgroup, ``ValueError`` for any where the shrinker is not
        memcg-aware.
        """
        c_control = self._control(nid, memcg, 0)
        if nid and not self.flags & ShrinkerFlags.NUMA_AWARE:
            return 0
        count = self._call(lib.shrinker_count_objects, c_control)
        return 0 if count == lib.SHRINK_EMPTY else count

    def scan(self, nr_to_scan: int, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Call ``scan_objects`` once, and return what it freed, STOP as 0.

        That is what writing debugfs ``scan`` does: no deferred work is touched,
        and for 0 objects nothing is called.  Raises as ``count`` does.
        """
        check_int("nr_to_scan", nr_to_scan, 0, ULONG_MAX)
        c_control = self._control(nid, memcg, nr_to_scan)
        if nr_to_scan == 0:
            return 0
        freed = self._call(lib.shrinker_scan_objects, c_control)
        return 0 if freed == ScanObjects.STOP.value else freed

    def statistics(self) -> ShrinkerStatistics:
        """Return what happened so far, also once closed."""
        c = ffi.new("struct shrinker_statistics *")
        lib.shrinker_get_statistics(self._c, c)
        return ShrinkerStatistics(
            **{field.name: getattr(c, field.name) for field in _STATISTICS}
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ShrinkerError("the shrinker is closed")

    def _memcg_id(self) -> int:
        self._check_open()
        return int(lib.shrinker_id(self._c))

    def _control(self, nid: int, memcg: Memcg | None, nr_to_scan: int) -> Any:
        self._check_open()
        self._domain._check_nid(nid)
        c_memcg = self._domain._c_memcg(memcg)
        if memcg is not None:
            if not self.flags & ShrinkerFlags.MEMCG_AWARE:
                raise ValueError(f"{self.name!r} is not memcg-aware")
            if not memcg.online:
                raise ShrinkerError(f"the memory cgroup {memcg.name!r} is offline")
        return ffi.new(
            "struct shrink_control *",
            {
                "gfp_mask": int(GFP.KERNEL),
                "nid": nid,
                "nr_to_scan": nr_to_scan,
                "memcg": c_memcg,
            },
        )

    def _call(self, function: Any, c_control: Any) -> int:
        c_result = ffi.new("unsigned long *")
        with _outcome.Outcome() as outcome:
            # SAFETY: `_c` stays allocated as long as we live; the core refuses
            # it once it is unregistered.
            found = function(self._c, c_control, c_result)
        if not found:
            self._check_open()
            raise MemoryError("no memory for another walk")
        result = int(c_result[0])
        outcome.deliver(result)
        return result

    def _memcgs(self) -> tuple[Memcg | None, ...]:
        """Return the groups that have objects or counters of their own."""
        if self.flags & ShrinkerFlags.MEMCG_AWARE:
            return tuple(m for m in self._domain.memcgs() if m.online)
        return (None,)

    def _debugfs(self) -> tuple[str, str]:
        lines = []
        for memcg in self._memcgs():
            counts = self._counts(memcg)
            if any(counts):
                number = 1 if memcg is None else memcg.id
                lines.append(" ".join(map(str, (number, *counts))) + "\n")
        return f"{self.name}-{self.debugfs_id}", "".join(lines)

    def _counts(self, memcg: Memcg | None) -> list[int]:
        """Return the counts of all nodes; none for a group gone offline meanwhile."""
        try:
            return [self.count(nid, memcg) for nid in range(self._domain.nr_nodes)]
        except ShrinkerError:
            if memcg is None or memcg.online or self._closed:
                raise
            return []

    def _count_everywhere(self) -> int:
        return sum(sum(self._counts(memcg)) for memcg in self._memcgs())

    def _deferred_everywhere(self) -> int:
        aware = self.flags & ShrinkerFlags.NUMA_AWARE
        nodes = range(self._domain.nr_nodes if aware else 1)
        return sum(
            self.nr_deferred(nid, memcg) for memcg in self._memcgs() for nid in nodes
        )

    def _first_stall(self) -> bool:
        """Return whether a pass of ours was stalled, the first time it was."""
        if self._warned_of_stall or not self.statistics().stalled:
            return False
        self._warned_of_stall = True
        return True


_STATISTICS = dataclasses.fields(ShrinkerStatistics)


def _c_name(name: object) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name or "\0" in name:
        raise ValueError(f"name must not be empty or hold a NUL: {name!r}")
    return name.encode(errors="surrogateescape")


def _name(c_shrinker: Any) -> str:
    size = lib.shrinker_copy_name(c_shrinker, ffi.NULL, 0) + 1
    while True:
        buffer = ffi.new("char[]", size)
        needed = lib.shrinker_copy_name(c_shrinker, buffer, size) + 1
        if needed <= size:
            return str(ffi.string(buffer).decode(errors="surrogateescape"))
        size = needed  # Renamed meanwhile.


def _flags(c_shrinker: Any) -> ShrinkerFlags:
    return ShrinkerFlags(c_shrinker.flags & int(_SETTABLE))


def _id(c_shrinker: Any) -> int | None:
    number = int(lib.shrinker_id(c_shrinker))
    return None if number < 0 else number
