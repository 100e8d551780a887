"""``PsiTrigger``: pressure stall information, the time that tasks wait for memory.

The kernel counts how long tasks were stalled because of memory: reading back what had
just been reclaimed, reclaiming themselves, swapping.  A trigger fires when that was
more than a given time within a window.  ``some`` counts time in which at least one task
waited, ``full`` time in which no task ran.

What to know (Documentation/accounting/psi.rst, and measured):

- The trigger lives as long as its file is open; an open file has one, a second fails.
- Windows are 0.5 to 10 s.  Without CAP_SYS_RESOURCE only multiples of 2 s work.
- There is at most one event in a window.
- The kernel overwrites the last byte that is written to ``/proc/pressure``, so the
  text must end with a NUL.
- Some kernels fire once right after arming.  The file's own sum tells: where less than
  the threshold was added since the last event, it was a false alarm.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from shrinker.pressure.limits.cgroups import own_cgroups
from shrinker.pressure.limits.kernel_file import open_descriptor
from shrinker.pressure.sources.base import (
    FileSource,
    PressureEvent,
    SourceGone,
    check_number,
    check_path,
)

if TYPE_CHECKING:
    from shrinker.pressure.limits.cgroups import Cgroups

__all__ = ["SYSTEM_WIDE", "PsiTrigger"]

SYSTEM_WIDE = "/proc/pressure/memory"
_MIN_WINDOW_SECONDS, _MAX_WINDOW_SECONDS = 0.5, 10.0
_UNPRIVILEGED_WINDOW_US = 2_000_000
_ADVICE = {
    errno.ENOENT: "no such file; the kernel has no PSI, or was started with psi=0",
    errno.EOPNOTSUPP: "PSI is off; start the kernel with psi=1",
    errno.EACCES: "a trigger needs write access to the file",
    errno.EPERM: "a trigger needs write access to the file",
    errno.EROFS: "a trigger needs write access; containers often mount it read-only",
    errno.EBUSY: "the file has a trigger already; open it once for each trigger",
    errno.EINVAL: "the kernel does not take this trigger",
}
_SWITCH = "cgroup.pressure"


def is_switched_off(path: str) -> bool:
    """Return whether PSI is off for the group that a PSI file is in.

    Then the kernel hides the file (since Linux 6.1), as if there was no PSI at all.
    """
    with contextlib.suppress(OSError):
        return Path(path).with_name(_SWITCH).read_bytes().strip() == b"0"
    return False


class PsiTrigger(FileSource):
    """Tells when tasks stalled ``stall`` seconds within ``window`` seconds.

    Raises ``ValueError`` unless ``window`` is 0.5 to 10 and ``stall`` is more than 0
    and no more than ``window``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = SYSTEM_WIDE,
        *,
        kind: Literal["some", "full"] = "some",
        stall: float = 0.15,
        window: float = 2.0,
    ) -> None:
        check_number("stall", stall)
        check_number("window", window)
        if kind not in ("some", "full"):
            raise ValueError(f"kind must be 'some' or 'full', not {kind!r}")
        if not _MIN_WINDOW_SECONDS <= window <= _MAX_WINDOW_SECONDS:
            raise ValueError(f"window must be 0.5 to 10 seconds, not {window}")
        if not 0 < stall <= window:
            raise ValueError(f"stall must be above 0 and up to {window}, not {stall}")
        self._path = check_path("path", path)
        self._kind = kind
        self._stall_us = max(1, round(stall * 1_000_000))
        self._window_us = round(window * 1_000_000)
        self._total_us = 0
        self.name = f"PSI {self._path}"

    @classmethod
    def of_own_cgroup(
        cls,
        *,
        cgroups: Cgroups | None = None,
        kind: Literal["some", "full"] = "some",
        stall: float = 0.15,
        window: float = 2.0,
    ) -> Self:
        """Make one for ``memory.pressure`` of this process's cgroup (version 2).

        Raises ``FileNotFoundError`` where no version 2 hierarchy can be seen.
        """
        found = own_cgroups(cgroups)
        if not found.v2:
            raise FileNotFoundError(
                errno.ENOENT, "no cgroup v2 hierarchy can be seen", "memory.pressure"
            )
        path = found.v2[0].directory / "memory.pressure"
        return cls(path, kind=kind, stall=stall, window=window)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = open_descriptor(os.open, self._path, flags)
        self._total_us = self._read_total()
        trigger = f"{self._kind} {self._stall_us} {self._window_us}\0"
        os.write(self._descriptor, trigger.encode("ascii"))
        self._watch_priority()

    def _advice(self, error: OSError) -> str | None:
        if error.errno == errno.EINVAL and self._window_us % _UNPRIVILEGED_WINDOW_US:
            return (
                f"a window of {self._window_us / 1e6:g} s needs CAP_SYS_RESOURCE; "
                "without it, it must be a multiple of 2 s"
            )
        if is_switched_off(self._path):
            return f"PSI is off for this group; write 1 to its {_SWITCH}"
        return _ADVICE.get(error.errno or 0)

    def read(self) -> PressureEvent | None:
        """Return how long tasks stalled; see ``PressureSource``."""
        if not self.is_open:
            raise self._not_open()
        self._check_trigger()
        try:
            total = self._read_total()
        except OSError as error:
            raise SourceGone(f"{self.name}: {error.strerror}") from error
        grown = total - self._total_us
        if grown < self._stall_us:
            return None
        self._total_us = total
        detail = f"{self._kind}: {grown // 1000} ms stalled since the last event"
        return PressureEvent(self.name, detail)

    def _read_total(self) -> int:
        """Return the microseconds stalled since boot."""
        for line in os.pread(self._descriptor, 4096, 0).splitlines():
            words = line.split()
            if words and words[0] == self._kind.encode("ascii"):
                for word in words[1:]:
                    name, _, value = word.partition(b"=")
                    if name == b"total" and value.isdigit():
                        return int(value)
        raise OSError(errno.EINVAL, f"no total of {self._kind}", self._path)
