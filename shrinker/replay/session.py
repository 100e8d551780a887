"""The replay of one recording, in the era whose formula its passes fit.

No line names the kernel.  So the recording is replayed in all eras side by side, and an
era that falls behind is dropped.  An era ``fits`` a start whose delta and total_scan it
computes, and a pass that is exact.  A few hundred lines of passes with
deferred work tell the eras apart.  Passes without any are the same in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.eras import ERA_LETTERS, ERAS, era_named, kernels
from shrinker.replay.reader import Parser
from shrinker.replay.results import SeeksFit

if TYPE_CHECKING:
    from shrinker.events import ShrinkSlabStart

__all__ = ["Session", "seeks_of_start"]

# An era is dropped when it fits fewer starts and passes than the best one, by more than
# this number and this share of the best one's together.
_FEWER = 32
_FEWER_SHARE = 0.02


class Session:
    """The replay of one recording.

    Invariant: ``_replays`` has at least one ``struct trace_replay``, by enum
    pass_era, and owns them.
    """

    def __init__(self, era: str | None = None) -> None:
        """Begin before the first event; ``era`` (A, B or C) forces one.

        Raises ValueError, MemoryError.
        """
        if era not in (None, *ERA_LETTERS):
            letters = ", ".join(ERA_LETTERS)
            raise ValueError(f"era must be one of {letters}; got {era!r}")
        self._forced = era
        self._replays: dict[int, Any] = {}
        for number, words in ERAS.items():
            if era in (None, words.letter):
                self._replays[number] = _new_replay(number)

    def feed(self, text: Any, events: Any) -> None:
        """Replay what ``Parser.feed`` yielded.  Raises MemoryError."""
        for replay in self._replays.values():
            # SAFETY: Parser.feed() keeps text and events until its next pair.
            if lib.trace_replay_feed(replay, text, events, len(events)):
                raise MemoryError
        if len(self._replays) > 1:
            fits = self._fits()
            most = max(fits.values())
            enough = most - _FEWER - most * _FEWER_SHARE
            for era, fitting in fits.items():
                if fitting < enough:
                    del self._replays[era]

    def finish(self) -> None:
        """Count each pass that has not ended as a start without an end."""
        for replay in self._replays.values():
            lib.trace_replay_finish(replay)

    def totals(self) -> Any:
        """Return a ``struct trace_replay_totals``."""
        return _totals(self._likeliest)

    def shrinkers(self) -> Any:
        """Return an array of ``struct trace_replay_shrinker``.

        The session owns the names in it.
        """
        replay = self._likeliest
        count = lib.trace_replay_shrinkers(replay, ffi.NULL, 0)
        array = ffi.new("struct trace_replay_shrinker[]", count)
        lib.trace_replay_shrinkers(replay, array, count)
        return array

    def problems(self) -> Any:
        """Return an array of ``struct trace_replay_problem``, unordered."""
        replay = self._likeliest
        count = lib.trace_replay_problems(replay, ffi.NULL, 0)
        array = ffi.new("struct trace_replay_problem[]", count)
        lib.trace_replay_problems(replay, array, count)
        return array

    def era(self) -> str | None:
        """Return the letter of the era; None where several fit, or none does."""
        letters = {ERAS[era].letter for era in self._fitting()}
        return self._forced or (letters.pop() if len(letters) == 1 else None)

    def kernels(self) -> str | None:
        """Return the kernels whose formula fits, in words; None where none does."""
        fitting = [ERAS[era] for era in self._fitting()]
        if not fitting:
            return None
        # The versions of B-4.19 are inside those of B.
        spans = [era for era in fitting if era.name != "B-4.19"] or fitting
        return kernels(spans[-1].first, spans[0].last)

    @property
    def _likeliest(self) -> Any:
        # Of equal ones the first, and so the newest, because dicts keep their order.
        fits = self._fits()
        return self._replays[max(fits, key=fits.__getitem__)]

    def _fits(self) -> dict[int, int]:
        return {
            era: int(_totals(replay).fitting) for era, replay in self._replays.items()
        }

    def _fitting(self) -> list[int]:
        """Return the eras that fit most starts and passes, the newest first."""
        fits = self._fits()
        most = max(fits.values())
        return [era for era, fitting in fits.items() if fitting == most > 0]


def seeks_of_start(start: ShrinkSlabStart, era: str) -> SeeksFit:
    """Return the values of seeks that give the delta of a start.

    ``era`` is the name of one, as ``run_pass`` takes it.  A delta that no seeks gives
    rules nothing out: all values are returned.
    """
    replay = _new_replay(era_named(era))
    data = str(start).encode(errors="surrogateescape")
    for text, events in Parser().feed(data, final=True):
        # SAFETY: Parser.feed() keeps text and events until its next pair.
        if lib.trace_replay_feed(replay, text, events, len(events)):
            raise MemoryError
    shrinker = ffi.new("struct trace_replay_shrinker *")
    lib.trace_replay_shrinkers(replay, shrinker, 1)
    return SeeksFit(shrinker.seeks_lo, shrinker.seeks_hi, bool(shrinker.seeks_zero))


def _new_replay(era: int) -> Any:
    replay = lib.trace_replay_new(era)
    if not replay:
        raise MemoryError
    return ffi.gc(replay, lib.trace_replay_free)


def _totals(replay: Any) -> Any:
    totals = ffi.new("struct trace_replay_totals *")
    lib.trace_replay_totals(replay, totals)
    return totals
