"""Allocation contexts: the ``gfp_mask`` of a reclaim, by the kernel's names.

The bits are those of Linux 6.18 (docs/specification.md, "Interface").  Members
carry no ``__GFP_`` or ``GFP_`` prefix: ``GFP.KERNEL`` is ``GFP_KERNEL`` and
``GFP.FS`` is ``__GFP_FS``.
"""

import enum
import functools

__all__ = ["GFP", "format_gfp"]


class GFP(enum.IntFlag, boundary=enum.KEEP):
    """What an allocation may do, and so what reclaim for it may do.

    Unknown bits are kept, so that a mask from a newer kernel stays whole.
    """

    DMA = 1 << 0
    HIGHMEM = 1 << 1
    DMA32 = 1 << 2
    MOVABLE = 1 << 3
    RECLAIMABLE = 1 << 4
    HIGH = 1 << 5
    IO = 1 << 6
    FS = 1 << 7
    ZERO = 1 << 8
    DIRECT_RECLAIM = 1 << 10
    KSWAPD_RECLAIM = 1 << 11
    WRITE = 1 << 12
    NOWARN = 1 << 13
    RETRY_MAYFAIL = 1 << 14
    NOFAIL = 1 << 15
    NORETRY = 1 << 16
    MEMALLOC = 1 << 17
    COMP = 1 << 18
    NOMEMALLOC = 1 << 19
    HARDWALL = 1 << 20
    THISNODE = 1 << 21
    ACCOUNT = 1 << 22
    ZEROTAGS = 1 << 23
    NO_OBJ_EXT = 1 << 24

    RECLAIM = DIRECT_RECLAIM | KSWAPD_RECLAIM
    NOIO = RECLAIM
    NOFS = RECLAIM | IO
    KERNEL = RECLAIM | IO | FS
    KERNEL_ACCOUNT = KERNEL | ACCOUNT
    USER = KERNEL | HARDWALL
    HIGHUSER = USER | HIGHMEM
    HIGHUSER_MOVABLE = HIGHUSER | MOVABLE
    ATOMIC = HIGH | KSWAPD_RECLAIM
    NOWAIT = KSWAPD_RECLAIM | NOWARN


# In the order in which the kernel's trace events look for them.
_COMPOSITES = (
    ("GFP_HIGHUSER_MOVABLE", GFP.HIGHUSER_MOVABLE),
    ("GFP_HIGHUSER", GFP.HIGHUSER),
    ("GFP_USER", GFP.USER),
    ("GFP_KERNEL_ACCOUNT", GFP.KERNEL_ACCOUNT),
    ("GFP_KERNEL", GFP.KERNEL),
    ("GFP_NOFS", GFP.NOFS),
    ("GFP_ATOMIC", GFP.ATOMIC),
    ("GFP_NOIO", GFP.NOIO),
    ("GFP_NOWAIT", GFP.NOWAIT),
    ("__GFP_RECLAIM", GFP.RECLAIM),
)
_SINGLES = tuple((f"__GFP_{flag.name}", flag) for flag in GFP)


@functools.lru_cache(maxsize=256)
def format_gfp(mask: int) -> str:
    """Return ``mask`` as the kernel's trace events print it.

    ``none`` for 0, otherwise names joined by ``|``: composites first, each taken
    where all its bits are still left, then single bits upwards, then the rest in
    hexadecimal (docs/specification.md, "Trace events").
    """
    if mask == 0:
        return "none"
    names = []
    rest = mask
    for name, bits in _COMPOSITES:
        if rest & bits == bits:
            names.append(name)
            rest &= ~int(bits)
    for name, bit in _SINGLES:
        if rest & bit:
            names.append(name)
            rest &= ~int(bit)
    if rest:
        names.append(hex(rest))
    return "|".join(names)
