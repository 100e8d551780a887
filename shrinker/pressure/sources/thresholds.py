"""``UsageThreshold``: a cgroup of version 1 says when its usage crosses a number.

The kernel compares what is charged to the group, file cache included, with a list of
thresholds.  It signals an eventfd when one is crossed, upwards or downwards, and when
the group is removed.  So a thread can sleep at no cost until memory gets short.
Closing the eventfd ends it.

``ThresholdSet`` has a threshold for each group with a limit.  Since file cache counts,
a threshold may be crossed long before memory is short.  After that, only a timer can
tell when the cache is gone.
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shrinker._names import printable
from shrinker.errors import ShrinkerError, check_int
from shrinker.pressure.limits.kernel_file import KernelFile, drain_eventfd
from shrinker.pressure.sources.base import (
    FileSource,
    PressureEvent,
    SourceGone,
    check_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shrinker.pressure.limits.memory import MemoryLevel

__all__ = ["ThresholdSet", "UsageThreshold"]

_MAX_BYTES = (1 << 63) - 1
_ADVICE = {
    errno.ENOENT: "not a memory cgroup of version 1 with thresholds",
    errno.EACCES: "thresholds need write access to cgroup.event_control",
    errno.EPERM: "thresholds need write access to cgroup.event_control",
    errno.EROFS: "thresholds need write access to cgroup.event_control",
}
EARLY_TIMES_LOW = 2
"""The earlier threshold is where so many times *low* are free: a look there shows how
fast memory fills, so that the thread is quick when *low* is reached."""
FAR_ABOVE_LOW = 4
"""A level without a threshold needs no timer while so many times *low* are free."""

logger = logging.getLogger("shrinker.pressure")


class UsageThreshold(FileSource):
    """Tells when a version 1 cgroup's usage crosses one of ``thresholds``, in bytes.

    ``directory`` is the group's, such as ``/sys/fs/cgroup/memory/app``.
    """

    def __init__(self, directory: str | os.PathLike[str], *thresholds: int) -> None:
        self._path = check_path("directory", directory)
        self._thresholds = _checked(thresholds)
        self._usage: KernelFile | None = None
        self._last = 0
        self.name = f"thresholds of {self._path}"

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The thresholds in bytes, ascending."""
        return self._thresholds

    def _open(self) -> None:
        usage = KernelFile(Path(self._path) / "memory.usage_in_bytes")
        try:
            self._last = usage.value()
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error)) from error
        self._descriptor = self._arm(usage)
        self._usage = usage

    def _advice(self, error: OSError) -> str | None:
        return _ADVICE.get(error.errno or 0)

    def rearm(self, *thresholds: int) -> None:
        """Replace the thresholds.  ``fileno()`` stays; a pending event is dropped.

        Raises ``OSError`` where the kernel refuses; then the old ones stay.
        """
        checked = _checked(thresholds)
        if self._usage is None:
            self._thresholds = checked
            return
        before, self._thresholds = self._thresholds, checked
        try:
            self._last = self._usage.value()
            armed = self._arm(self._usage)
        except (OSError, ValueError):
            self._thresholds = before
            raise
        # Closes the old one and takes its number in one step.
        os.dup2(armed, self._descriptor, inheritable=False)
        os.close(armed)

    def close(self) -> None:
        """Drop the thresholds; see ``PressureSource``."""
        super().close()
        self._usage = None

    def read(self) -> PressureEvent | None:
        """Return what was crossed; see ``PressureSource``."""
        if self._usage is None:
            raise self._not_open()
        if not drain_eventfd(self._descriptor):
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

    def _arm(self, usage: KernelFile) -> int:
        """Return an eventfd that the kernel signals at the thresholds."""
        eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            control = Path(self._path) / "cgroup.event_control"
            descriptor = os.open(control, os.O_WRONLY | os.O_CLOEXEC)
            try:
                for each in self._thresholds:
                    line = f"{eventfd} {usage.fileno()} {each}\n"
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


class ThresholdSet:
    """Thresholds of each version 1 group with a limit: at *low*, and one before.

    ``low`` returns the watermark *low* of a level, in bytes.
    """

    def __init__(self, low: Callable[[MemoryLevel], int]) -> None:
        self._low = low
        self._armed: dict[str, UsageThreshold] = {}
        self._refused: set[str] = set()

    def arm(self, levels: Sequence[MemoryLevel]) -> None:
        """Have thresholds of each level that can have them."""
        wanted: dict[str, tuple[MemoryLevel, tuple[int, ...]]] = {}
        for level in levels:
            if level.cgroup is not None and level.cgroup.version == 1:
                low = self._low(level)
                below = (level.limit - EARLY_TIMES_LOW * low, level.limit - low)
                if at := tuple(each for each in below if each > 0):
                    wanted[str(level.cgroup.directory)] = (level, at)
        for directory in self._armed.keys() - wanted.keys():
            self._armed.pop(directory).close()
        for directory, (level, at) in wanted.items():
            threshold = self._armed.get(directory)
            if directory in self._refused or (threshold and threshold.thresholds == at):
                continue
            try:
                if threshold is None:
                    threshold = UsageThreshold(directory, *at)
                    threshold.open()
                    self._armed[directory] = threshold
                else:
                    threshold.rearm(*at)
            except (OSError, ValueError) as error:
                self._drop(directory)
                logger.info(
                    "%s: no usage threshold, a timer is used: %s",
                    *(printable(level.where), error),
                )

    def close(self) -> None:
        """Drop all of them.  Idempotent; ``arm`` makes them anew."""
        while self._armed:
            self._armed.popitem()[1].close()
        self._refused.clear()

    def filenos(self) -> list[int]:
        """Return descriptors that are readable when a threshold was crossed."""
        found = (threshold.fileno() for threshold in self._armed.values())
        return [descriptor for descriptor in found if descriptor is not None]

    def drain(self) -> None:
        """Reset the descriptors of thresholds that were crossed."""
        for directory, threshold in list(self._armed.items()):
            try:
                threshold.read()
            except (ShrinkerError, OSError):  # The group was removed.
                self._drop(directory)

    def suffice(self, levels: Sequence[MemoryLevel]) -> bool:
        """Return whether no timer is needed: thresholds will tell of any shortage."""
        some = False
        for level in levels:
            low = self._low(level)
            if level.cgroup and str(level.cgroup.directory) in self._armed:
                if level.charged >= level.limit - low:
                    return False  # It was crossed already.
                some = True
            elif level.free < FAR_ABOVE_LOW * low:
                return False
        return some

    def _drop(self, directory: str) -> None:
        self._refused.add(directory)
        threshold = self._armed.pop(directory, None)
        if threshold is not None:
            threshold.close()
