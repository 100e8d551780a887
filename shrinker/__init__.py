"""The Linux kernel's memory shrinker, as a library.

A cache becomes a shrinker by two methods, ``count_objects`` and
``scan_objects``; a domain asks its shrinkers to give objects back, with the
kernel's arithmetic.  ``shrinker.cache`` has caches that are shrinkers already,
``shrinker.pressure`` what reclaims when memory is short.

README.md starts with examples, docs/specification.md says exactly what happens,
docs/pressure.md when a service's caches give back, docs/rust-map.md leads from the
Rust abstraction of the kernel to here.
"""

from pathlib import Path as _Path

from shrinker import cache, pressure
from shrinker._trampolines import Shrinker
from shrinker.builder import (
    ShrinkerBuilder,
    ShrinkerRegistration,
    ShrinkerStatistics,
)
from shrinker.cache.watch import watch
from shrinker.control import ShrinkControl
from shrinker.domain import Domain, DomainStatistics, ReclaimResult, default_domain
from shrinker.errors import CallbackErrors, ShrinkerError, StallError
from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.gfp import GFP
from shrinker.growth import noreclaim
from shrinker.list_lru import ListLru, LruStatus
from shrinker.memcg import Memcg, ShrinkerInfo
from shrinker.one_pass import PassResult, run_pass
from shrinker.pressure.protect import protect
from shrinker.values import (
    DEF_PRIORITY,
    DEFAULT_SEEKS,
    SHRINK_BATCH,
    CountObjects,
    ScanObjects,
    ShrinkerFlags,
)

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_SEEKS",
    "DEF_PRIORITY",
    "GFP",
    "SHRINK_BATCH",
    "CallbackErrors",
    "CountObjects",
    "Domain",
    "DomainStatistics",
    "ListLru",
    "LruStatus",
    "Memcg",
    "PassResult",
    "ReclaimResult",
    "ScanObjects",
    "ShrinkControl",
    "ShrinkSlabEnd",
    "ShrinkSlabStart",
    "Shrinker",
    "ShrinkerBuilder",
    "ShrinkerError",
    "ShrinkerFlags",
    "ShrinkerInfo",
    "ShrinkerRegistration",
    "ShrinkerStatistics",
    "StallError",
    "cache",
    "default_domain",
    "get_include",
    "get_library",
    "noreclaim",
    "pressure",
    "protect",
    "run_pass",
    "watch",
]


def get_include() -> str:
    """Return the directory of the C headers, for ``cc -I``.

    It holds ``shrinker/*.h`` and ``linux/shrinker.h``, under which sources
    written for the kernel find their names.
    """
    return str(_Path(__file__).parent / "include")


def get_library() -> str:
    """Return the path of the static C library that belongs to the headers.

    Link it with ``-lpthread``.  A program that uses it has a default domain of
    its own, apart from Python's.
    """
    return str(_Path(__file__).parent / "lib" / "libshrinker.a")
