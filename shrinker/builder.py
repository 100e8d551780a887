"""``ShrinkerBuilder``: a shrinker before it is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from shrinker import native
from shrinker._capsule import NotCopied, own
from shrinker._ffi import ffi, lib
from shrinker._trampolines import Record, adopt
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError, check_int
from shrinker.registration import (
    SETTABLE_FLAGS,
    ShrinkerRegistration,
    encode_name,
    read_flags,
    read_id,
)
from shrinker.values import ULONG_MAX, ShrinkerFlags

if TYPE_CHECKING:
    from shrinker.protocols import Shrinker

__all__ = ["ShrinkerBuilder"]

S = TypeVar("S", bound="Shrinker")

_NO_FLAGS = ShrinkerFlags(0)
# Looked up here, so that no call comes between an allocation and its owner.
_FREE = ffi.addressof(lib, "python_host_free_shrinker")


class ShrinkerBuilder(NotCopied):
    """A shrinker that is allocated but not yet registered.

    A context manager.  Leaving it, ``close()`` and dropping an unregistered builder
    free the shrinker.  ``register`` uses the builder up: from then on its methods
    raise ``ShrinkerError``.

    ``name`` is taken as it is, never as a format.  ``flags`` that the domain cannot
    honour are dropped, as in the kernel: ``MEMCG_AWARE`` is where the domain has no
    memory cgroups.  ``domain`` None is the default domain.

    Raises ``ValueError`` for an empty name, a NUL or lone surrogate in it, and flags
    that are the library's own; ``TypeError``; ``ShrinkerError`` where the domain is
    closed; ``MemoryError``.  See docs/specification.md, "Life of a shrinker".
    """

    # Invariants: `_c` is a shrinker that only this builder knows, owned by `_memory`.
    # Both are NULL and None once it was freed or given to a registration.
    _c: Any = ffi.NULL
    _memory: object = None

    def __init__(
        self,
        name: str,
        *,
        flags: ShrinkerFlags = _NO_FLAGS,
        domain: Domain | None = None,
    ) -> None:
        c_name = encode_name(name)
        check_int("flags", flags, 0, int(SETTABLE_FLAGS))
        if int(flags) & ~int(SETTABLE_FLAGS):
            raise ValueError(f"unknown flags: {flags!r}")
        domain = default_domain() if domain is None else domain
        if not isinstance(domain, Domain):
            raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
        domain._check_open()
        self._domain = domain

        # SAFETY: we hold the domain, which holds its pointer; the core copies the
        # name.
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
        """Return a builder with the name ``template.format(*args)``."""
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
        return read_flags(self._c)

    @property
    def id(self) -> int | None:
        """Id in the maps of memory cgroups; None where not memcg-aware."""
        self._check_usable()
        return read_id(self._c)

    @property
    def domain(self) -> Domain:
        """The domain in which it will be registered."""
        return self._domain

    def set_seeks(self, seeks: int) -> Self:
        """Set the cost of recreating an object, 0 to 2**31 - 1; default 2.

        A pass at priority p asks for the 2**p-th part of the cache times
        4 / ``seeks``.  0 means cheap to recreate: every pass asks for half of the
        cache (docs/specification.md, "The steps").  Raises ``ValueError`` out of
        range and ``TypeError``.
        """
        self._check_usable()
        self._c.seeks = check_int("seeks", seeks, 0, 2**31 - 1)
        return self

    def set_batch(self, batch: int) -> Self:
        """Set how many objects one scan call is asked for, 0 to 2**63 - 1.

        0, the default, means 128.  Raises ``ValueError`` out of range and
        ``TypeError``.
        """
        self._check_usable()
        self._c.batch = check_int("batch", batch, 0, 2**63 - 1)
        return self

    def register(self, private_data: S) -> ShrinkerRegistration[S]:
        """Register ``private_data``, an object with the ``Shrinker`` methods.

        The shrinker goes to the end of the walk order.  Waits for no callback, and
        may be called from one.  Uses the builder up.

        Raises ``TypeError`` where one of the methods is missing, ``ShrinkerError``
        where the domain is closed; the builder is then as it was.
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
        adopt(c_shrinker, record)
        return ShrinkerRegistration._publish(
            c_shrinker, memory, self._domain, record, private_data, label, None
        )

    def register_native(
        self,
        count_objects: object,
        scan_objects: object,
        private_data: int = 0,
        *,
        keepalive: object = None,
    ) -> ShrinkerRegistration[Any]:
        """Register C callbacks; calling them enters no interpreter.

        Each is an address, a cffi or ctypes function pointer, or anything with
        an ``address`` (a numba ``cfunc``); ``shrinker.native`` has their type.
        They find ``private_data``, a number or an address, in
        ``shrinker->private_data``.  A walk that has met a Python shrinker may hold
        the GIL while they run, so they must not wait for a thread that wants it.
        The callbacks and ``keepalive`` are kept until no callback can run any more.
        Otherwise as ``register``.

        Raises ``TypeError`` and ``ValueError`` for what has no address; the builder
        is then as it was.
        """
        self._check_usable()
        count_address = native.address_of("count_objects", count_objects)
        scan_address = native.address_of("scan_objects", scan_objects)
        check_int("private_data", private_data, 0, ULONG_MAX)
        label = native.name_of(scan_objects)
        c_shrinker, memory = self._take()
        fields = dict(ffi.typeof("struct shrinker").fields)
        for name, address in (
            ("count_objects", count_address),
            ("scan_objects", scan_address),
            ("private_data", private_data),
        ):
            setattr(c_shrinker, name, ffi.cast(fields[name].type, address))
        needed = (count_objects, scan_objects, keepalive)
        return ShrinkerRegistration._publish(
            c_shrinker, memory, self._domain, None, private_data, label, needed
        )

    def _memcg_id(self) -> int:
        self._check_usable()
        return int(lib.shrinker_id(self._c))

    def _check_usable(self) -> None:
        if self._c == ffi.NULL:
            raise ShrinkerError("the builder was used up or closed")

    def _take(self) -> tuple[Any, object]:
        """Take the C shrinker out of the builder, which is then used up."""
        self._domain._check_open()
        memory = self._memory
        c_shrinker, self._c = self._c, ffi.NULL
        if c_shrinker == ffi.NULL:
            raise ShrinkerError("the builder was used up or closed")
        self._memory = None
        return c_shrinker, memory
