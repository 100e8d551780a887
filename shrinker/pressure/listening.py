"""``Listening``: a pressure source that may go away, and what is heard then.

Files vanish, peers close, a container is moved: then another source is looked for, and
if there is none, the watermarks alone go on; the journal says so.  From time to time
it is tried again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from shrinker.pressure.auto import auto
from shrinker.pressure.source import PressureSource, SourceGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.pressure.memory import Memory
    from shrinker.pressure.source import PressureEvent

__all__ = ["Listening", "Wanted"]

Wanted = PressureSource | Literal["auto"] | None

TRY_AGAIN = 60.0
"""Seconds after which a source that was lost is looked for again."""


class Listening:
    """Has at most one open source.

    ``wanted`` is a source, ``"auto"`` or None: no source at all.  ``changed`` is told
    of each loss and each find: kind and text.
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
        self._again: float | None = None

    @property
    def is_chosen(self) -> bool:
        """Whether it was left to ``auto``, whose choice ``changed`` is told of."""
        return self._wanted == "auto"

    @property
    def name(self) -> str:
        """The source's name; empty where there is none."""
        source = self._source
        return "" if source is None else source.name

    def open(self) -> None:
        """Begin to listen.

        Raises what the source's ``open`` does, if it was given.  What ``auto`` has to
        say is logged.
        """
        self._again = None
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
        except Exception as error:  # noqa: BLE001 - anybody's class
            self._lose(source, error)
            return None
        return descriptor

    def due(self) -> float | None:
        """Return in how many seconds ``read`` wants to be called anyway."""
        source = self._source
        if source is not None:
            try:
                due = source.due()
                return None if due is None else max(0.0, due)
            except Exception as error:  # noqa: BLE001 - anybody's class
                self._lose(source, error)
        return None if self._again is None else max(0.0, self._again - self._clock())

    def read(self) -> PressureEvent | None:
        """Take what there is; where the source has gone, look for another."""
        source = self._source
        if source is None:
            if self._again is not None and self._clock() >= self._again:
                self._try_again()
            return None
        try:
            return source.read()
        except Exception as error:  # noqa: BLE001 - anybody's class
            self._lose(source, error)
            return None

    def _lose(self, source: PressureSource, error: Exception) -> None:
        expected = isinstance(error, (SourceGone, OSError))
        said = str(error) if expected else f"{type(error).__name__}: {error}"
        self._changed("source lost", f"{source.name}: {said}")
        try:
            self.close()
        except Exception as raised:  # noqa: BLE001 - it is gone in any case
            self._changed("source lost", f"{source.name}: closing it: {raised}")
        if self._wanted == "auto":
            self._lost.append(source.name)
            self._choose()
        if self._source is None:
            self._again = self._clock() + TRY_AGAIN

    def _try_again(self) -> None:
        try:
            self.open()
        except Exception:  # noqa: BLE001 - anybody's class
            self._again = self._clock() + TRY_AGAIN
        else:
            if isinstance(self._wanted, PressureSource):
                self._changed("source found", f"{self.name} is back")
            elif self._source is None:
                self._again = self._clock() + TRY_AGAIN

    def _choose(self) -> None:
        try:
            source = auto(memory=self._memory, exclude=self._lost)
        except Exception as error:  # noqa: BLE001 - watermarks work without
            text = f"none works here, watermarks go on alone: {error}"
            self._say("source lost", text)
            return
        self._source = source
        if source.fileno() is None:
            # It would read by a timer what we read by a better one.
            self.close()
            text = f"none that could wake us, a timer has to do ({source.reason})"
            self._say("source", text)
            return
        self._say("source", f"{source.name}, because {source.reason}")

    def _say(self, kind: str, text: str) -> None:
        """Tell what was chosen, unless it is what was said last."""
        if text != self._said:
            self._said = text
            self._changed(kind, text)
