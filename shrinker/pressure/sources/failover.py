"""``SourceFailover``: the pressure source of a reclaimer, and what replaces a lost one.

Files vanish, peers close.  Then another source is looked for.  Where there is none, the
watermarks go on alone; the log and the history say so.  A lost source is tried again
every ``RETRY_SECONDS``.

A process may be moved to another group.  Its old group's file goes on to tell of the
old group, or is removed with it.  So the choice is made anew, with the sources of the
new group (``follow``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from shrinker.pressure.sources.auto import auto
from shrinker.pressure.sources.base import PressureSource, SourceGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.pressure.limits.cgroups import Cgroups
    from shrinker.pressure.limits.memory import Memory
    from shrinker.pressure.sources.base import PressureEvent

__all__ = ["SourceFailover", "Wanted"]

Wanted = PressureSource | Literal["auto"] | None

RETRY_SECONDS = 60.0
"""How often a source that was lost is looked for again."""


class SourceFailover:
    """Has at most one open source.

    ``wanted`` is a source, ``"auto"``, or None for no source at all.  ``changed`` is
    told the kind and a text for each source that is chosen, lost or found.
    """

    def __init__(
        self,
        wanted: Wanted,
        memory: Memory,
        changed: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._memory = memory
        self._changed = changed
        self._clock = clock
        self._source: PressureSource | None = None
        self._lost: list[str] = []
        self._said = ""
        self._retry_at: float | None = None
        self._cgroups: Cgroups | None = None

    @property
    def is_chosen(self) -> bool:
        """Whether ``auto`` chooses the source, and ``changed`` is told the choice."""
        return self._wanted == "auto"

    @property
    def name(self) -> str:
        """The source's name; empty where there is none."""
        source = self._source
        return "" if source is None else source.name

    def open(self) -> None:
        """Begin to listen.

        Raises what a given source's ``open`` raises.  Problems of ``auto`` are logged.
        """
        self._retry_at = None
        self._lost.clear()
        if isinstance(self._wanted, PressureSource):
            self._wanted.close()  # A child has its parent's descriptors.
            self._wanted.open()
            self._source = self._wanted
        elif self._wanted == "auto":
            self._choose()

    def close(self) -> None:
        """Stop listening.  Idempotent."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def fileno(self) -> int | None:
        """Return the descriptor to sleep on, if there is one."""
        source = self._source
        if source is None:
            return None
        try:
            descriptor = source.fileno()
            if descriptor is not None and descriptor < 0:
                raise SourceGone("its descriptor is closed")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a source may be a user's class
            self._lose(source, error)
            return None
        return descriptor

    def due(self) -> float | None:
        """Return in how many seconds ``read`` must be called anyway."""
        source = self._source
        if source is not None:
            try:
                due = source.due()
                return None if due is None else max(0.0, due)
            except Exception as error:  # noqa: BLE001 - a source may be a user's class
                self._lose(source, error)
        return (
            None if self._retry_at is None else max(0.0, self._retry_at - self._clock())
        )

    def read(self) -> PressureEvent | None:
        """Take what there is; where the source has gone, look for another."""
        source = self._source
        if source is None:
            if self._retry_at is not None and self._clock() >= self._retry_at:
                self._retry()
            return None
        try:
            return source.read()
        except Exception as error:  # noqa: BLE001 - a source may be a user's class
            self._lose(source, error)
            return None

    def follow(self) -> bool:
        """Choose anew where this process was moved to another group.

        Returns whether it was moved.  A given source stays.
        """
        if self._wanted != "auto":
            return False
        cgroups = self._memory.cgroups
        if cgroups is self._cgroups:
            return False
        before, self._cgroups = self._cgroups, cgroups
        if before is None or before.v2 == cgroups.v2:
            return False
        where = cgroups.v2[0] if cgroups.v2 else "a group that cannot be seen"
        self._changed("source", f"this process was moved to {where}")
        self._said = ""
        self._lost.clear()
        self._retry_at = None
        try:
            self.close()
        except Exception as error:  # noqa: BLE001 - it is replaced in any case
            self._changed("source lost", f"closing it: {error}")
        self._choose()
        return True

    def _lose(self, source: PressureSource, error: Exception) -> None:
        expected = isinstance(error, (SourceGone, OSError))
        said = str(error) if expected else f"{type(error).__name__}: {error}"
        self._changed("source lost", f"{source.name}: {said}")
        try:
            self.close()
        except Exception as raised:  # noqa: BLE001 - it is lost in any case
            self._changed("source lost", f"{source.name}: closing it: {raised}")
        if self._wanted == "auto":
            self._lost.append(source.name)
            self._memory.refresh()  # A group is removed when its processes have left.
            if not self.follow():
                self._choose()
        if self._source is None:
            self._retry_at = self._clock() + RETRY_SECONDS

    def _retry(self) -> None:
        try:
            self.open()
        except Exception:  # noqa: BLE001 - a source may be a user's class
            self._retry_at = self._clock() + RETRY_SECONDS
        else:
            if isinstance(self._wanted, PressureSource):
                self._changed("source found", f"{self.name} is back")
            elif self._source is None:
                self._retry_at = self._clock() + RETRY_SECONDS

    def _choose(self) -> None:
        try:
            self._cgroups = self._memory.cgroups
            source = auto(memory=self._memory, exclude=self._lost)
        except Exception as error:  # noqa: BLE001 - watermarks work without a source
            text = f"none works here, the watermarks go on alone: {error}"
            self._say("source lost", text)
            return
        self._source = source
        if source.fileno() is None:
            # Its timer would read what the reclaimer's own, better timer reads.
            self.close()
            text = f"none can wake the thread, a timer does it ({source.reason})"
            self._say("source", text)
            return
        self._say("source", f"{source.name}, because {source.reason}")

    def _say(self, kind: str, text: str) -> None:
        """Report the choice, unless it is the one reported last."""
        if text != self._said:
            self._said = text
            self._changed(kind, text)
