"""``ShrinkerRegistration``: a shrinker that walks can find."""

from __future__ import annotations

import dataclasses
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from shrinker._capsule import NotCopied
from shrinker._ffi import ffi, lib
from shrinker._trampolines import forget
from shrinker._walk_errors import WalkErrors
from shrinker.errors import ShrinkerError, check_int
from shrinker.gfp import GFP
from shrinker.registered import count_everywhere
from shrinker.values import ULONG_MAX, ScanObjects, ShrinkerFlags

if TYPE_CHECKING:
    from shrinker._trampolines import Record
    from shrinker.domain import Domain
    from shrinker.memcg import Memcg

__all__ = ["ShrinkerRegistration", "ShrinkerStatistics"]

T = TypeVar("T")

SETTABLE_FLAGS = (
    ShrinkerFlags.NUMA_AWARE | ShrinkerFlags.MEMCG_AWARE | ShrinkerFlags.NONSLAB
)


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkerStatistics:
    """What happened to one shrinker so far; each number only grows."""

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


class ShrinkerRegistration(NotCopied, Generic[T]):
    """A shrinker that walks can find.  ``ShrinkerBuilder.register`` makes it.

    A context manager.  ``close()`` takes the shrinker out of the registry and lets
    the private data go.  Dropping the registration does so too, with a
    ``ResourceWarning``.  After that name, flags, settings and statistics can still
    be read; what needs the callbacks raises ``ShrinkerError``.
    """

    # Invariants:
    # - `_c` is a shrinker that `_memory` keeps allocated to this object's very end,
    #   registered or not: finalisers run before that, and may bring the object back.
    # - `_record` is set from registration to closing where the callbacks are Python.
    #   Besides it only running trampolines hold the record strongly; the table of
    #   numbers holds it weakly.
    # - `_needed` is what native callbacks need, and is set for as long.
    # - `_keeper` is a table that holds this object under `_keeper_key` until closing.
    # - `_quiet` says that dropping it unclosed is normal use: a dropped cache does it.
    _closed = True
    _number: int | None = None
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
        record: Record | None,
        private_data: Any,
        label: str | None,
        needed: object,
    ) -> Self:
        """Register a builder's shrinker, whose callbacks are set.

        ``label`` names the scan callback in trace events.  ``needed`` is kept until
        no native callback can run any more.
        """
        self = object.__new__(cls)
        self._memory = memory
        self._domain = domain
        self._number = None if record is None else record.number
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
        self._order = int(lib.shrinker_order(c_shrinker))
        # From here on others can find it, and close it.
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
        # Any thread may be here, at any point: this waits for nothing and takes no
        # lock that is held while Python code runs.
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
        """Take the shrinker out of the registry, and let the private data go.

        No new callback of it starts, and those that run are waited for; callbacks
        of other shrinkers are not.  Inside a callback of any shrinker it waits for
        nothing: the shrinker is unregistered at once, and the last of its running
        callbacks lets the private data go.  Idempotent.

        A signal does not interrupt the waiting; its handler runs afterwards.  See
        docs/specification.md, "Life of a shrinker".
        """
        self._close(wait=True)

    def _close(self, *, wait: bool) -> None:
        self._closed = True
        idle = False
        try:
            # SAFETY: `_c` stays allocated to our end.
            idle = lib.shrinker_unregister(self._c, wait)
        finally:
            # Also where a signal's exception comes out of the waiting.  Another one
            # may come after a call, so all that others can see is undone before the
            # first call.
            # Other threads may close it too, so each look may have been too early.
            try:  # noqa: SIM105 - that would be a call
                del self._domain._registrations[self._key]
            except KeyError:
                pass
            keeper, key = self._keeper, self._keeper_key
            try:
                if keeper is not None and keeper[key] is self:
                    del keeper[key]
            except KeyError:
                pass
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
    def _keepalive(self) -> object:
        """What native callbacks were registered with, as ``keepalive``."""
        needed = self._needed
        return needed[-1] if isinstance(needed, tuple) else None

    @property
    def private_data(self) -> T:
        """What was registered.  Raises ``ShrinkerError`` once closed."""
        private_data = self._private_data
        self._check_open()
        return private_data  # type: ignore[return-value]

    @property
    def name(self) -> str:
        """Name of the shrinker, as given or set by ``rename``."""
        return read_name(self._c)

    @property
    def debugfs_id(self) -> int:
        """Number in the name of its debugfs directory, ``<name>-<number>``.

        The lowest, from 0, that no registered shrinker of its domain had when it was
        registered.
        """
        return int(lib.shrinker_debugfs_id(self._c))

    @property
    def seeks(self) -> int:
        """Cost of recreating an object; see ``ShrinkerBuilder.set_seeks``."""
        return int(self._c.seeks)

    @property
    def batch(self) -> int:
        """Objects in one scan call; 0 means 128."""
        return int(self._c.batch)

    @property
    def flags(self) -> ShrinkerFlags:
        """What the shrinker is aware of."""
        return read_flags(self._c)

    @property
    def id(self) -> int | None:
        """Id in the maps of memory cgroups; None where not memcg-aware."""
        return read_id(self._c)

    def rename(self, name: str) -> None:
        """Give the shrinker another name, and so its debugfs directory.

        Raises as ``ShrinkerBuilder`` does for a bad name.
        """
        self._check_open()
        if not lib.shrinker_rename(self._c, encode_name(name)):
            raise MemoryError("no memory for a name")
        if (record := self._record) is not None:
            record.name = name

    def nr_deferred(self, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Return the deferred counter: objects that the next pass takes over.

        Without NUMA_AWARE one counter serves all nodes.  A memcg-aware shrinker
        has its counters in each memory cgroup, ``memcg`` None being the root;
        others ignore ``memcg``.  A signed 64-bit number, negative after some counts
        of 2**62 and more (docs/specification.md, "The counter").
        """
        self._check_open()
        self._domain._check_nid(nid)
        c_memcg = self._domain._c_memcg(memcg)
        return int(lib.shrinker_nr_deferred(self._c, nid, c_memcg))

    def count(self, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Call ``count_objects`` once; return its number of objects, EMPTY as 0.

        This is what debugfs ``count`` shows (docs/specification.md, "Shrinker
        debugfs").  Without NUMA_AWARE all objects are on node 0; other nodes read
        0 without a call.  ``memcg`` None is the root; the callback of a shrinker that
        is not memcg-aware gets None.

        Raises ``CallbackErrors`` where the callback raised, ``ShrinkerError`` for
        an offline memory cgroup, ``ValueError`` for any memory cgroup where the
        shrinker is not memcg-aware.
        """
        c_control = self._control(nid, memcg, 0)
        if nid and not self.flags & ShrinkerFlags.NUMA_AWARE:
            return 0
        count = self._call(lib.shrinker_count_objects, c_control)
        return 0 if count == lib.SHRINK_EMPTY else count

    def scan(self, nr_to_scan: int, nid: int = 0, memcg: Memcg | None = None) -> int:
        """Call ``scan_objects`` once; return how many objects it freed, STOP as 0.

        This is what writing debugfs ``scan`` does: the deferred counter stays as it
        is.  0 objects make no call, whatever ``memcg`` is.  Raises as ``count`` does.
        """
        check_int("nr_to_scan", nr_to_scan, 0, ULONG_MAX)
        if nr_to_scan == 0:
            self._check_open()
            self._domain._check_nid(nid)
            return 0
        c_control = self._control(nid, memcg, nr_to_scan)
        freed = self._call(lib.shrinker_scan_objects, c_control)
        return 0 if freed == ScanObjects.STOP.value else freed

    def statistics(self) -> ShrinkerStatistics:
        """Return what happened so far; also of a closed registration."""
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
        with WalkErrors() as errors:
            # SAFETY: `_c` stays allocated to our end; the core refuses it once it
            # is unregistered.
            found = function(self._c, c_control, c_result)
        if not found:
            self._check_open()
            raise MemoryError("no memory for another walk")
        result = int(c_result[0])
        errors.deliver(result)
        return result

    def _count_everywhere(self) -> int:
        return count_everywhere(self)

    def _first_stall(self) -> bool:
        """Return whether a pass was stalled, once: later calls return False."""
        if self._warned_of_stall or not self.statistics().stalled:
            return False
        self._warned_of_stall = True
        return True


_STATISTICS = dataclasses.fields(ShrinkerStatistics)


def encode_name(name: object) -> bytes:
    """Return a shrinker's name for C: any text that UTF-8 or a file name can hold.

    Raises ``TypeError`` for anything but a ``str``, ``ValueError`` for an empty name,
    one with a NUL, or one with a surrogate other than those of file names.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name or "\0" in name:
        raise ValueError(f"name must not be empty or hold a NUL: {name!r}")
    try:
        return name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"name must not have a lone surrogate: {name!r}") from None


def read_name(c_shrinker: Any) -> str:
    """Return a shrinker's name, whole, also beside a rename."""
    size = lib.shrinker_copy_name(c_shrinker, ffi.NULL, 0) + 1
    while True:
        buffer = ffi.new("char[]", size)
        needed = lib.shrinker_copy_name(c_shrinker, buffer, size) + 1
        if needed <= size:
            return str(ffi.string(buffer).decode(errors="surrogateescape"))
        size = needed  # It was renamed meanwhile.


def read_flags(c_shrinker: Any) -> ShrinkerFlags:
    """Return the flags that an owner can set, without the library's own."""
    return ShrinkerFlags(c_shrinker.flags & int(SETTABLE_FLAGS))


def read_id(c_shrinker: Any) -> int | None:
    """Return the id of a memcg-aware shrinker."""
    number = int(lib.shrinker_id(c_shrinker))
    return None if number < 0 else number
