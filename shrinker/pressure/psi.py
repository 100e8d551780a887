"""``PsiTrigger``: pressure stall information, the time that tasks wait for memory.

The kernel counts how long tasks were stalled because of memory: refaulting what had
just been reclaimed, reclaiming by themselves, swapping.  A trigger says when that was
more than so much within so long.  ``some`` counts time in which at least one task
waited, ``full`` time in which nobody got anything done.

What has to be known (Documentation/accounting/psi.rst, and measured):

- The trigger lives as long as its file is open; a file has one, a second is refused.
- Windows are 0.5 to 10 s.  Without CAP_SYS_RESOURCE only multiples of 2 s will do.
- There is at most one event in a window.
- The kernel overwrites the last byte that is written to ``/proc/pressure``, so the
  text must end with a NUL.
- Some kernels report once right after arming.  The file's own sum tells: where less
  than the threshold was added since the last event, it was a false alarm.
"""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Literal, Self

from shrinker.errors import ShrinkerError
from shrinker.pressure.cgroups import own_cgroups
from shrinker.pressure.kernel_file import file_error, opened, watch_priority
from shrinker.pressure.priority_file import PriorityFile
from shrinker.pressure.source import (
    PressureEvent,
    SourceGone,
    check_path,
)

if TYPE_CHECKING:
    from shrinker.pressure.cgroups import Cgroups

__all__ = ["SYSTEM_WIDE", "PsiTrigger"]

SYSTEM_WIDE = "/proc/pressure/memory"
_WINDOW = (0.5, 10.0)
_ADVICE = {
    errno.ENOENT: "no such file; the kernel has no PSI, or was started with psi=0",
    errno.EOPNOTSUPP: "PSI is off; start the kernel with psi=1",
    errno.EACCES: "a trigger needs write access to the file",
    errno.EPERM: "a trigger needs write access to the file",
    errno.EROFS: "a trigger needs write access; containers often mount it read-only",
    errno.EBUSY: "the file has a trigger already; each needs a file opened for itself",
    errno.EINVAL: "the kernel does not take this trigger",
}


class PsiTrigger(PriorityFile):
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
        for name, value in (("stall", stall), ("window", window)):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number, not {value!r}")
        if kind not in ("some", "full"):
            raise ValueError(f"kind must be 'some' or 'full', not {kind!r}")
        if not _WINDOW[0] <= window <= _WINDOW[1]:
            raise ValueError(f"window must be 0.5 to 10 seconds, not {window}")
        if not 0 < stall <= window:
            raise ValueError(f"stall must be above 0 and up to {window}, not {stall}")
        self._path = check_path("path", path)
        self._kind = kind
        self._stall_us = max(1, round(stall * 1_000_000))
        self._window_us = round(window * 1_000_000)
        self._total = 0
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
        """Make one for ``memory.pressure`` of the own cgroup (version 2).

        Raises ``FileNotFoundError`` where no version 2 hierarchy can be seen.
        """
        found = own_cgroups(cgroups)
        if not found.v2:
            raise FileNotFoundError(
                errno.ENOENT, "no cgroup v2 hierarchy can be seen", "memory.pressure"
            )
        path = found.v2[0].directory / "memory.pressure"
        return cls(path, kind=kind, stall=stall, window=window)

    def open(self) -> None:
        """Arm the trigger; see ``PressureSource``."""
        if self.is_open:
            return
        try:
            self._open()
        except OSError as error:
            self.close()
            advice = _ADVICE.get(error.errno or 0)
            if error.errno == errno.EINVAL and self._window_us % 2_000_000:
                advice = (
                    f"a window of {self._window_us / 1e6:g} s needs CAP_SYS_RESOURCE; "
                    "without it, it must be a multiple of 2 s"
                )
            if advice is None:
                raise
            raise file_error(error, advice, self._path) from error
        except BaseException:  # A signal's.
            self.close()
            raise

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = opened(os.open, self._path, flags)
        self._total = self._read_total()
        trigger = f"{self._kind} {self._stall_us} {self._window_us}\0"
        os.write(self._descriptor, trigger.encode("ascii"))
        self._epoll = watch_priority(self._descriptor)

    def read(self) -> PressureEvent | None:
        """Return how long tasks stalled; see ``PressureSource``."""
        if self._epoll is None:
            raise ShrinkerError(f"{self.name} is not open")
        # Whoever polled may have used the event up; an error stays.
        for _, events in self._epoll.poll(0):
            if events & (select.EPOLLERR | select.EPOLLHUP):
                raise SourceGone(f"{self.name}: the kernel has dropped the trigger")
        try:
            total = self._read_total()
        except OSError as error:
            raise SourceGone(f"{self.name}: {error.strerror}") from error
        grown = total - self._total
        if grown < self._stall_us:
            return None
        self._total = total
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
