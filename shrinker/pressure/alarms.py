"""``Alarms``: usage thresholds of cgroup v1, one for each group with a limit.

Where the kernel says that usage has crossed ``limit - low``, no timer has to ask.  The
thresholds are compared with what is charged, file cache included; so once more than
that is charged, the alarm has been given, and only a timer can tell when the cache is
gone and memory is really short.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shrinker.errors import ShrinkerError
from shrinker.pressure.thresholds import UsageThreshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.pressure.memory import MemoryLevel
    from shrinker.pressure.policy import Policy

__all__ = ["Alarms"]

logger = logging.getLogger("shrinker.pressure")

FAR = 4
"""A level without an alarm is far from short with so many times *low* to spare."""


class Alarms:
    """Keeps the thresholds where the watermarks are."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._set: dict[str, UsageThreshold] = {}
        self._refused: set[str] = set()

    def set(self, levels: Sequence[MemoryLevel]) -> None:
        """Have a threshold at *low* of each level that can have one."""
        wanted: dict[str, tuple[MemoryLevel, int]] = {}
        for level in levels:
            if level.cgroup is not None and level.cgroup.version == 1:
                at = level.limit - self._policy.watermarks(level).low
                if at > 0:
                    wanted[str(level.cgroup.directory)] = (level, at)
        for directory in self._set.keys() - wanted.keys():
            self._set.pop(directory).close()
        for directory, (level, at) in wanted.items():
            alarm = self._set.get(directory)
            if directory in self._refused or (alarm and alarm.thresholds == (at,)):
                continue
            try:
                if alarm is None:
                    alarm = UsageThreshold(directory, at)
                    alarm.open()
                    self._set[directory] = alarm
                else:
                    alarm.rearm(at)
            except OSError as error:
                self._drop(directory)
                logger.info(
                    "%s: no threshold, a timer has to do: %s", level.where, error
                )

    def close(self) -> None:
        """Drop all of them.  Idempotent; ``set`` makes them anew."""
        while self._set:
            self._set.popitem()[1].close()
        self._refused.clear()

    def filenos(self) -> list[int]:
        """Return descriptors that are readable when a threshold was crossed."""
        found = (alarm.fileno() for alarm in self._set.values())
        return [descriptor for descriptor in found if descriptor is not None]

    def still(self) -> None:
        """Take note of what was crossed."""
        for directory, alarm in list(self._set.items()):
            try:
                alarm.read()
            except (ShrinkerError, OSError):  # The group was removed.
                self._drop(directory)

    def cover(self, levels: Sequence[MemoryLevel]) -> bool:
        """Return whether no timer is needed: all is well, and alarms would tell."""
        covered = False
        for level in levels:
            low = self._policy.watermarks(level).low
            alarm = level.cgroup and self._set.get(str(level.cgroup.directory))
            if alarm:
                if level.charged >= level.limit - low:
                    return False
                covered = True
            elif level.free < FAR * low:
                return False
        return covered

    def _drop(self, directory: str) -> None:
        self._refused.add(directory)
        alarm = self._set.pop(directory, None)
        if alarm is not None:
            alarm.close()
