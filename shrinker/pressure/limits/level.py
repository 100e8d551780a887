"""``MemoryLevel``: one limit that the process lives under."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shrinker.pressure.limits.cgroups import Cgroup

__all__ = ["MemoryLevel"]


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryLevel:
    """One limit that the process lives under, and how much of it is used."""

    where: str
    """A label: ``cgroup v2 /app (memory.high)``, ``cgroup v1 /x``, ``machine``,
    ``process (RLIMIT_AS)``."""
    limit: int
    """Bytes: the lower of ``memory.max`` and ``memory.high``,
    ``memory.limit_in_bytes``, ``MemTotal``, or a limit of the process alone."""
    used: int
    """Bytes, without file cache and slab that the kernel can take back."""
    charged: int
    """Bytes as the kernel charges them, with file cache.  The thresholds of cgroup v1
    are compared with this."""
    cgroup: Cgroup | None = None
    """The group with the limit; None where it is no group's, or a hidden one's."""
    own: bool = False
    """Whether it limits this process alone, so that no other one can relieve it."""

    @property
    def free(self) -> int:
        """Bytes below the limit; 0 where more is used."""
        return max(0, self.limit - self.used)
