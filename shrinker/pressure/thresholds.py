"""``UsageThreshold``: a cgroup of version 1 says when its usage crosses a number.

The kernel compares what is charged to the group, file cache included, with a list of
thresholds, and signals an eventfd when one is crossed, upwards or downwards.  So a
thread can sleep until memory really gets short, and costs nothing meanwhile.

Closing the eventfd ends it; nothing else needs to be taken back.  The kernel also
signals when the group is removed.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from shrinker.errors import ShrinkerError, check_int
from shrinker.pressure.kernel_file import KernelFile, drained, file_error
from shrinker.pressure.source import (
    PressureEvent,
    PressureSource,
    SourceGone,
    check_path,
)

__all__ = ["UsageThreshold"]

_MAX_BYTES = (1 << 63) - 1


class UsageThreshold(PressureSource):
    """Tells when a version 1 cgroup's usage crosses one of ``thresholds``, in bytes.

    ``directory`` is the group's, such as ``/sys/fs/cgroup/memory/app``.
    """

    def __init__(self, directory: str | os.PathLike[str], *thresholds: int) -> None:
        self._directory = Path(check_path("directory", directory))
        self._thresholds = _checked(thresholds)
        self._eventfd = -1
        self._usage: KernelFile | None = None
        self._last = 0
        self.name = f"thresholds of {self._directory}"

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The thresholds in bytes, ascending."""
        return self._thresholds

    def open(self) -> None:
        """Register the thresholds; see ``PressureSource``."""
        if self.is_open:
            return
        try:
            usage = KernelFile(self._directory / "memory.usage_in_bytes")
            self._last = usage.value()
            self._eventfd = self._armed(usage)
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error), str(self._directory)) from error
        except OSError as error:
            if error.errno == errno.ENOENT:
                advice = "no memory cgroup of version 1 that has thresholds"
                raise file_error(error, advice, self._directory) from error
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
                advice = "thresholds need write access to cgroup.event_control"
                raise file_error(error, advice, self._directory) from error
            raise
        self._usage = usage

    def rearm(self, *thresholds: int) -> None:
        """Take other thresholds.  ``fileno()`` stays; what was pending is dropped.

        Raises ``OSError`` where the kernel refuses, and goes on with the old ones.
        """
        checked = _checked(thresholds)
        if self._usage is None:
            self._thresholds = checked
            return
        before, self._thresholds = self._thresholds, checked
        try:
            self._last = self._usage.value()
            armed = self._armed(self._usage)
        except (OSError, ValueError):
            self._thresholds = before
            raise
        # Closes the old one and takes its number in one go.
        os.dup2(armed, self._eventfd, inheritable=False)
        os.close(armed)

    def close(self) -> None:
        """Drop the thresholds; see ``PressureSource``."""
        self._usage = None
        eventfd, self._eventfd = self._eventfd, -1
        if eventfd >= 0:
            os.close(eventfd)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._eventfd >= 0

    def fileno(self) -> int | None:
        """Return the eventfd."""
        return self._eventfd if self._eventfd >= 0 else None

    def read(self) -> PressureEvent | None:
        """Return what was crossed; see ``PressureSource``."""
        if self._usage is None:
            raise ShrinkerError(f"{self.name} is not open")
        if not drained(self._eventfd):
            return None
        try:
            usage = self._usage.value()
        except OSError as error:
            raise SourceGone(f"{self.name}: the cgroup was removed") from error
        last, self._last = self._last, usage
        low, high = sorted((last, usage))
        crossed = [each for each in self._thresholds if low < each <= high]
        if not crossed:
            what = "crossed a threshold and came back"
        elif usage > last:
            what = f"rose above {crossed[-1]} bytes"
        else:
            what = f"fell below {crossed[0]} bytes"
        return PressureEvent(self.name, f"{what}; {usage} bytes are charged now")

    def _armed(self, usage: KernelFile) -> int:
        """Return an eventfd that the kernel signals at the thresholds."""
        eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            control = self._directory / "cgroup.event_control"
            descriptor = os.open(control, os.O_WRONLY | os.O_CLOEXEC)
            try:
                for each in self._thresholds:
                    line = f"{eventfd} {usage.fileno()} {each}"
                    os.write(descriptor, line.encode("ascii"))
            finally:
                os.close(descriptor)
        except BaseException:
            os.close(eventfd)
            raise
        return eventfd


def _checked(thresholds: tuple[int, ...]) -> tuple[int, ...]:
    """Check and sort thresholds."""
    if not thresholds:
        raise ValueError("at least one threshold is needed")
    for each in thresholds:
        check_int("a threshold", each, 1, _MAX_BYTES)
    return tuple(sorted(set(thresholds)))
