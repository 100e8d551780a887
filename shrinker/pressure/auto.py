"""``auto()``: the source that works here and says most, and why this one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shrinker.pressure.memory import Memory
from shrinker.pressure.memory_events import MemoryEvents
from shrinker.pressure.polling import Polling
from shrinker.pressure.psi import PsiTrigger
from shrinker.pressure.systemd import WATCH, SystemdPressure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, MutableMapping

    from shrinker.pressure.source import PressureSource

__all__ = ["auto"]

_log = logging.getLogger("shrinker.pressure")


def auto(
    *,
    memory: Memory | None = None,
    environ: MutableMapping[str, str] | None = None,
    exclude: Collection[type[PressureSource] | str] = (),
) -> PressureSource:
    """Return an open source, the first that works here.

    They are tried in this order:

    1. what the service manager has set up (``SystemdPressure``);
    2. stalls in the own cgroup (``PsiTrigger``), then its limits (``MemoryEvents``);
    3. stalls on the whole machine (``PsiTrigger``);
    4. looking once a second (``Polling``), which always works.

    Its ``reason`` says why this one, and why none before it.  ``memory`` says where
    the process is and is what ``Polling`` looks at; ``environ`` is where systemd's
    variables are, which it takes out.  ``exclude`` has the types, or the names, of
    sources that are not to be tried again; ``Polling`` cannot be excluded.
    """
    _check(memory, exclude)
    looked_at = Memory() if memory is None else memory
    passed_over: list[str] = []
    for what, make in _candidates(looked_at, environ):
        try:
            source = make()
        except (OSError, ValueError) as error:
            passed_over.append(f"{what}: {_text(error)}")
            if isinstance(error, ValueError):  # Somebody has set something.
                _log.warning("%s: %s", what, error)
            continue
        if source is None:
            passed_over.append(f"{what}: not set up ({WATCH})")
            continue
        if type(source) in exclude or source.name in exclude:
            passed_over.append(f"{what}: excluded")
            continue
        try:
            source.open()
        except OSError as error:
            passed_over.append(f"{what}: {_text(error)}")
            if isinstance(source, SystemdPressure):  # Somebody wanted it.
                _log.warning("%s: %s", what, error)
            continue
        break
    else:
        what, source = "polling", Polling(memory)
        source.open()
    try:
        if memory is None:
            looked_at.close()
        passed = f"; passed over: {'; '.join(passed_over)}" if passed_over else ""
        source.reason = f"{what} works{passed}"
    except BaseException:  # A signal's.
        source.close()
        raise
    return source


def _check(memory: object, exclude: object) -> None:
    if memory is not None and not isinstance(memory, Memory):
        raise TypeError(f"memory must be a Memory, not {type(memory).__name__}")
    if isinstance(exclude, str):
        raise TypeError("exclude must be a collection of types and names, not a str")


def _candidates(
    memory: Memory, environ: MutableMapping[str, str] | None
) -> Iterator[tuple[str, Callable[[], PressureSource | None]]]:
    """Name what may be tried, in order, and how to make it."""
    yield "systemd's protocol", lambda: SystemdPressure.from_environment(environ)
    cgroups = memory.cgroups
    root = bool(cgroups.v2) and cgroups.v2[0].is_root
    yield (
        "memory.pressure of the own cgroup"
        + (" (the root of version 2: the whole machine's)" if root else ""),
        lambda: PsiTrigger.of_own_cgroup(cgroups=cgroups),
    )
    yield (
        "memory.events of the own cgroup",
        lambda: MemoryEvents.of_own_cgroup(cgroups=cgroups),
    )
    yield "PSI of the machine", PsiTrigger


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
