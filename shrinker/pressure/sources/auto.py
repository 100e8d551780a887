"""``auto()``: chooses the source that works here and says most."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shrinker.pressure.limits.memory import Memory
from shrinker.pressure.sources.memory_events import MemoryEvents
from shrinker.pressure.sources.polling import Polling
from shrinker.pressure.sources.psi import PsiTrigger
from shrinker.pressure.sources.systemd import WATCH, SystemdPressure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, MutableMapping

    from shrinker.pressure.limits.cgroups import Cgroups
    from shrinker.pressure.sources.base import PressureSource

__all__ = ["auto"]

_log = logging.getLogger("shrinker.pressure")
_SYSTEMD = "systemd's protocol"
_MACHINE = "PSI of the machine"


def auto(
    *,
    memory: Memory | None = None,
    environ: MutableMapping[str, str] | None = None,
    exclude: Collection[type[PressureSource] | str] = (),
) -> PressureSource:
    """Return an open source, the first that works here.

    They are tried in this order:

    1. what the service manager has set up (``SystemdPressure``);
    2. this process's cgroup: its stalls (``PsiTrigger``), then its limits
       (``MemoryEvents``);
    3. stalls on the whole machine (``PsiTrigger``);
    4. reading free memory once a second (``Polling``), which always works.

    Its ``reason`` says why each one before it was passed over; where the memory is
    limited in version 1, which counts no stalls, also whose stalls it tells of.
    ``memory`` says where the process is, and ``Polling`` reads it.  systemd's variables
    are taken out of ``environ``.  ``exclude`` has the types, or the names, of sources
    that should not be tried; ``Polling`` cannot be excluded.
    """
    _check(memory, exclude)
    own = Memory() if memory is None else memory
    passed_over: list[str] = []
    for what, make in _candidates(own, environ):
        try:
            source = make()
            if source is None:
                why = f"not set up ({WATCH})"
            elif type(source) in exclude or source.name in exclude:
                why = "excluded"
            else:
                source.open()
                break
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            if what == _SYSTEMD:  # The environment asks for it.
                _log.warning("%s: %s", what, error)
        passed_over.append(f"{what}: {why}")
    else:
        what, source = "polling", Polling(memory)
        source.open()
    try:
        note = _whose_stalls(what, source, own.cgroups)
        if memory is None:
            own.close()
        passed = f"; passed over: {'; '.join(passed_over)}" if passed_over else ""
        source.reason = f"{what} works{note}{passed}"
    except BaseException:  # Raised by a signal handler.
        source.close()
        raise
    return source


def _check(memory: object, exclude: object) -> None:
    if memory is not None and not isinstance(memory, Memory):
        raise TypeError(f"memory must be a Memory, not {type(memory).__name__}")
    if isinstance(exclude, str):
        raise TypeError("exclude must be a collection of types and names, not a str")


def _whose_stalls(what: str, source: PressureSource, cgroups: Cgroups) -> str:
    if not cgroups.v1 or not isinstance(source, PsiTrigger):
        return ""
    groups = [group for group in cgroups.v2[:1] if not group.is_root]
    whose = groups[0] if groups and what != _MACHINE else "the machine"
    return (
        f" (it tells of stalls of {whose}, not of {cgroups.v1[0]}; a limit of that is"
        " looked at by watermarks and thresholds of usage)"
    )


def _candidates(
    memory: Memory, environ: MutableMapping[str, str] | None
) -> Iterator[tuple[str, Callable[[], PressureSource | None]]]:
    """Yield the name of each source to try, in order, and how to make it."""
    cgroups = memory.cgroups
    yield _SYSTEMD, lambda: SystemdPressure.from_environment(environ, cgroups=cgroups)
    root = bool(cgroups.v2) and cgroups.v2[0].is_root
    yield (
        "memory.pressure of this process's cgroup"
        + (" (the root of version 2: the whole machine's)" if root else ""),
        lambda: PsiTrigger.of_own_cgroup(cgroups=cgroups),
    )
    yield (
        "memory.events of this process's cgroup",
        lambda: MemoryEvents.of_own_cgroup(cgroups=cgroups),
    )
    yield _MACHINE, PsiTrigger
