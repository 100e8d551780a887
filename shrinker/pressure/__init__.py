"""Keeping some memory free: caches give back before the system takes everything.

``protect()`` is all that most services need::

    with shrinker.protect():
        serve()

docs/pressure.md says when it acts and why.  The parts can be used alone: ``Memory``
reads the limits that a process lives under, and each pressure source
(docs/pressure-sources.md) tells in its own way when memory is short.
"""

from shrinker.pressure.auto import auto
from shrinker.pressure.cgroups import Cgroup, Cgroups
from shrinker.pressure.memory import Memory, MemoryLevel
from shrinker.pressure.memory_events import MemoryEvents
from shrinker.pressure.polling import Polling
from shrinker.pressure.protect import protect
from shrinker.pressure.psi import PsiTrigger
from shrinker.pressure.reclaimer import Reclaimer
from shrinker.pressure.source import PressureEvent, PressureSource, SourceGone
from shrinker.pressure.systemd import SystemdPressure
from shrinker.pressure.thresholds import UsageThreshold
from shrinker.pressure.verdicts import ReclaimerStatistics, Verdict
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
    "Reclaimer",
    "ReclaimerStatistics",
    "SourceGone",
    "SystemdPressure",
    "UsageThreshold",
    "Verdict",
    "Watermarks",
    "auto",
    "protect",
]
