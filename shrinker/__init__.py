"""The Linux kernel's memory shrinker, as a library.

An object with the methods ``count_objects`` and ``scan_objects`` is a shrinker.
A domain asks its shrinkers to free objects, with the kernel's arithmetic.
``shrinker.cache`` has caches that are shrinkers already; ``shrinker.pressure``
reclaims when memory is short.

README.md starts with examples.  docs/specification.md says exactly what happens,
docs/glossary.md what the words mean, docs/pressure.md when a service's caches free,
docs/rust-map.md what each item of the kernel's Rust abstraction is here.
"""

# First: it says what Ctrl-C does while the others are imported.
from shrinker import _interrupted  # noqa: F401  # isort: skip
from pathlib import Path as _Path

from shrinker import cache, pressure
from shrinker.builder import ShrinkerBuilder
from shrinker.cache.watch import watch
from shrinker.control import ShrinkControl
from shrinker.domain import Domain, DomainStatistics, ReclaimResult, default_domain
from shrinker.errors import CallbackErrors, ShrinkerError
from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.gfp import GFP
from shrinker.growth import noreclaim
from shrinker.list_lru import ListLru, LruStatus
from shrinker.memcg import Memcg, ShrinkerInfo
from shrinker.one_pass import PassResult, StallError, run_pass
from shrinker.pressure.reclaimer import protect
from shrinker.protocols import Shrinker
from shrinker.registration import ShrinkerRegistration, ShrinkerStatistics
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
    "get_pkgconfig",
    "noreclaim",
    "pressure",
    "protect",
    "run_pass",
    "watch",
]


def get_include() -> str:
    """Return the directory of the C headers, for ``cc -I``.

    It holds ``shrinker/*.h``, and ``linux/shrinker.h`` and ``linux/list_lru.h``,
    which sources written for the kernel include.
    """
    package = _Path(__file__).parent
    installed = package / "include"
    # In the source tree the headers lie where the C library is built from them.
    return str(installed if installed.is_dir() else package.parent / "csrc/include")


def get_pkgconfig() -> str:
    """Return the directory of ``shrinker.pc``, for ``PKG_CONFIG_PATH``."""
    return str(_Path(get_library()).parent / "pkgconfig")


def get_library() -> str:
    """Return the path of the static C library that belongs to the headers.

    Link it with ``-lpthread``.  A program that links it has a default domain of
    its own, separate from Python's.
    """
    return str(_Path(__file__).parent / "lib" / "libshrinker.a")
