"""Keeping some memory free: caches give back before the system takes everything.

``protect()`` is all that most services need::

    with shrinker.protect():
        serve()

docs/pressure.md says when it acts and why.  The parts can be used alone: ``Memory``
reads the limits that a process lives under (``limits``), and each pressure source
(``sources``, docs/pressure-sources.md) tells in its own way when memory is short.
"""

from shrinker.pressure.journal import ReclaimerStatistics, ReclaimRecord
from shrinker.pressure.limits.cgroups import Cgroup, Cgroups
from shrinker.pressure.limits.memory import Memory, MemoryLevel
from shrinker.pressure.reclaimer import Reclaimer, protect
from shrinker.pressure.sources.auto import auto
from shrinker.pressure.sources.base import PressureEvent, PressureSource, SourceGone
from shrinker.pressure.sources.memory_events import MemoryEvents
from shrinker.pressure.sources.polling import Polling
from shrinker.pressure.sources.psi import PsiTrigger
from shrinker.pressure.sources.systemd import SystemdPressure
from shrinker.pressure.sources.thresholds import UsageThreshold
from shrinker.pressure.watermarks import Watermarks

__all__ = [
    "Cgroup",
    "Cgroups",
    "Memory",
    "MemoryEvents",
    "MemoryLevel",
    "Polling",
    "PressureEvent",
    "PressureSource",
    "PsiTrigger",
    "ReclaimRecord",
    "Reclaimer",
    "ReclaimerStatistics",
    "SourceGone",
    "SystemdPressure",
    "UsageThreshold",
    "Watermarks",
    "auto",
    "protect",
]
