"""Recorded kernel traces through the C core: which passes come out the same.

Each file is one recording: pairs and deferred counters do not carry over from
one to the next.  docs/replay.md says what is checked.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.trace.parsing import EXPECTED, Parser
from shrinker.trace.results import (
    FileReplay,
    Interval,
    Problem,
    Replay,
    ReplayedShrinker,
    SeeksFit,
)
from shrinker.trace.sources import READ_ERRORS, open_trace, read_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["REASONS", "Session", "replay_file", "replay_files"]

# Of one file; the rest is counted.
_MAX_PROBLEMS = 1000

REASONS = {
    lib.TRACE_REPLAY_FREEABLE: "no event for this count",
    lib.TRACE_REPLAY_PRIORITY: "priority out of range",
    lib.TRACE_REPLAY_DELTA: "no seeks gives delta",
    lib.TRACE_REPLAY_SEEKS: "delta contradicts seeks",
    lib.TRACE_REPLAY_TOTAL_SCAN: "total_scan",
    lib.TRACE_REPLAY_UNUSED: "start and end differ in nr",
    lib.TRACE_REPLAY_NID: "start and end differ in nid",
    lib.TRACE_REPLAY_BATCH: "no batch fits",
    lib.TRACE_REPLAY_NEW_LOST: "new counter: events were lost",
    lib.TRACE_REPLAY_NEW_ORDER: "new counter: print order",
    lib.TRACE_REPLAY_NEW_LATE: "new counter: print order, late start",
    lib.TRACE_REPLAY_NEW_MERGED: "new counter: merged slots",
    lib.TRACE_REPLAY_NEW_OTHER: "new counter: another slot's",
    lib.TRACE_REPLAY_NEW_UNEXPLAINED: "new counter: unexplained",
    lib.TRACE_REPLAY_UNTRACKED: "too many walkers at once",
    lib.TRACE_REPLAY_ORPHAN_START: "start without an end",
    lib.TRACE_REPLAY_ORPHAN_END: "end without a start",
}
"""Why a pass is not exact, in short, by enum trace_replay_reason."""

_DETAILS = {
    lib.TRACE_REPLAY_FREEABLE: "after a count of {recorded} there is no event",
    lib.TRACE_REPLAY_PRIORITY: "priority {recorded} is outside 0 to 63",
    lib.TRACE_REPLAY_DELTA: "no seeks gives delta {recorded} for {computed} cache"
    " items at priority {priority}",
    lib.TRACE_REPLAY_SEEKS: "delta {recorded} contradicts the seeks of the"
    " events before, which give {computed}",
    lib.TRACE_REPLAY_TOTAL_SCAN: "total_scan is {recorded}, computed {computed}",
    lib.TRACE_REPLAY_UNUSED: "unused scan count {recorded}, but the start took"
    " {computed}",
    lib.TRACE_REPLAY_NID: "the end is on node {recorded}, the start on {computed}",
    lib.TRACE_REPLAY_BATCH: "left {recorded} of total_scan {computed}: no batch"
    " lets a pass do that",
    lib.TRACE_REPLAY_NEW_LOST: "new scan count is {recorded}, computed {computed};"
    " events were lost meanwhile",
    lib.TRACE_REPLAY_NEW_ORDER: "new scan count is {recorded}, computed {computed};"
    " print order: a line within 0.2 ms shows that the counter was what it takes",
    lib.TRACE_REPLAY_NEW_LATE: "new scan count is {recorded}, computed {computed};"
    " print order: right if the start line was printed late, after passes that"
    " found the counter at 0",
    lib.TRACE_REPLAY_NEW_MERGED: "new scan count is {recorded}, computed {computed};"
    " merged slots: idle counters of the shrinker make up the difference",
    lib.TRACE_REPLAY_NEW_OTHER: "new scan count is {recorded}, computed {computed};"
    " another idle counter of the shrinker holds what it takes",
    lib.TRACE_REPLAY_NEW_UNEXPLAINED: "new scan count is {recorded}, computed"
    " {computed}; unexplained",
    lib.TRACE_REPLAY_UNTRACKED: "more walkers at once than are followed",
    lib.TRACE_REPLAY_ORPHAN_START: "start without an end",
    lib.TRACE_REPLAY_ORPHAN_END: "end without a start",
}


class Session:
    """One recording while it is replayed.

    Invariant: ``_replay`` owns a ``struct trace_replay`` for as long as the
    object lives.
    """

    def __init__(self) -> None:
        """Begin before the first event.  Raises MemoryError."""
        replay = lib.trace_replay_new()
        if not replay:
            raise MemoryError
        self._replay: Any = ffi.gc(replay, lib.trace_replay_free)

    def feed(self, text: Any, events: Any) -> None:
        """Replay events of ``Parser.feed``.  Raises MemoryError."""
        # SAFETY: both come from Parser.feed(), which keeps them until its next.
        if lib.trace_replay_feed(self._replay, text, events, len(events)):
            raise MemoryError

    def finish(self) -> None:
        """Call what has not ended an orphan."""
        lib.trace_replay_finish(self._replay)

    def totals(self) -> Any:
        """Return a ``struct trace_replay_totals``."""
        totals = ffi.new("struct trace_replay_totals *")
        lib.trace_replay_totals(self._replay, totals)
        return totals

    def shrinkers(self) -> Any:
        """Return an array of ``struct trace_replay_shrinker``.

        The names in it live as long as the session.
        """
        count = lib.trace_replay_shrinkers(self._replay, ffi.NULL, 0)
        array = ffi.new("struct trace_replay_shrinker[]", count)
        lib.trace_replay_shrinkers(self._replay, array, count)
        return array

    def problems(self) -> Any:
        """Return an array of ``struct trace_replay_problem``, in no order."""
        count = lib.trace_replay_problems(self._replay, ffi.NULL, 0)
        array = ffi.new("struct trace_replay_problem[]", count)
        lib.trace_replay_problems(self._replay, array, count)
        return array


def replay_files(
    files: Iterable[str | os.PathLike[str]],
    progress: Callable[[str, int], None] | None = None,
) -> Replay:
    """Replay recordings, each by itself.

    A file that cannot be read is named in the result and does not keep the
    others from being replayed.  ``progress(file, position)`` is called now and
    then with how many bytes of the file, as stored, have been read.
    """
    return Replay(tuple(replay_file(file, progress) for file in files))


def replay_file(
    file: str | os.PathLike[str],
    progress: Callable[[str, int], None] | None = None,
) -> FileReplay:
    """Replay one recording; ``-`` is the standard input.

    Raises nothing for what is wrong with the file: see ``FileReplay.error``.
    """
    name = os.fspath(file)
    session, parser = Session(), Parser()
    malformed: list[Problem] = []
    error = None
    seen = 0
    began = time.perf_counter()

    def feed(chunk: bytes, *, final: bool = False) -> None:
        nonlocal seen
        for text, events in parser.feed(chunk, final=final):
            session.feed(text, events)
            if parser.counts.malformed > seen:
                seen = parser.counts.malformed
                _note_malformed(name, events, malformed)

    try:
        with open_trace(file) as (text, stored):
            for chunk in read_chunks(text):
                feed(chunk)
                if progress:
                    progress(name, _position(stored))
    except READ_ERRORS as exc:
        error = _describe(exc)
    feed(b"", final=True)
    session.finish()
    seconds = time.perf_counter() - began
    if error is None and not parser.counts.starts + parser.counts.ends:
        error = _no_events(parser.counts)
    return _result(
        name,
        session,
        parser,
        malformed=malformed,
        error=error,
        seconds=seconds,
    )


def _position(stored: Any) -> int:
    try:
        return int(stored.tell())
    except OSError:
        return 0


def _describe(exc: BaseException) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__


def _no_events(counts: Any) -> str:
    if not counts.lines:
        return "empty"
    if counts.malformed:
        return "no event of a shrinker could be read"
    if counts.others:
        return "a trace without events of shrinkers"
    return "no trace: no line is an event"


def _note_malformed(name: str, events: Any, problems: list[Problem]) -> None:
    for event in events:
        if len(problems) >= _MAX_PROBLEMS:
            return
        if event.kind == lib.TRACE_LINE_MALFORMED:
            expected = EXPECTED[event.error]
            problems.append(
                Problem(name, event.line, f"malformed line: expected {expected}")
            )


def _result(
    name: str,
    session: Session,
    parser: Parser,
    *,
    malformed: list[Problem],
    error: str | None,
    seconds: float,
) -> FileReplay:
    counts, totals = parser.counts, session.totals()
    shrinkers = session.shrinkers()
    tallies = [shrinker.tallies[shrinker.reading] for shrinker in shrinkers]
    reasons = {
        text: count
        for reason, text in REASONS.items()
        if (count := sum(tally.reasons[reason] for tally in tallies))
    }
    exact = sum(tally.exact for tally in tallies)
    inexact = sum(reasons.values())
    problems = malformed + _replay_problems(name, session, shrinkers)
    problems.sort(key=lambda problem: problem.line or 0)
    del problems[_MAX_PROBLEMS:]
    happened = inexact + totals.orphan_starts + totals.orphan_ends + counts.malformed
    omitted = happened - len(problems)
    if error is not None:
        problems.insert(0, Problem(name, None, error))
    return FileReplay(
        file=name,
        seconds=seconds,
        error=error,
        passes=totals.passes,
        exact=exact,
        inexact=inexact,
        arithmetic_exact=sum(shrinker.arithmetic for shrinker in shrinkers),
        overlaps=sum(tally.overlaps for tally in tallies),
        adopted=sum(tally.adopted for tally in tallies),
        orphan_starts=totals.orphan_starts,
        orphan_ends=totals.orphan_ends,
        other_events=counts.others,
        malformed_lines=counts.malformed,
        unknown_lines=counts.unknown,
        first_unknown_line=counts.first_unknown or None,
        lost_events=counts.lost,
        untracked_events=totals.untracked,
        events=counts.starts + counts.ends,
        problems_omitted=omitted,
        inexact_reasons=reasons,
        shrinkers=tuple(map(_shrinker, shrinkers)),
        problems=tuple(problems),
    )


def _replay_problems(name: str, session: Session, shrinkers: Any) -> list[Problem]:
    problems = []
    for problem in session.problems():
        shrinker = shrinkers[problem.shrinker]
        if not problem.readings >> shrinker.reading & 1:
            continue
        detail = _DETAILS[problem.reason].format(
            recorded=problem.recorded,
            computed=problem.computed,
            priority=problem.priority,
        )
        who = f"{_function(shrinker)} {shrinker.pointer:x}"
        if problem.start_line and problem.start_line != problem.line:
            detail += f" (started in line {problem.start_line})"
        problems.append(Problem(name, problem.line, f"{who}: {detail}"))
    return problems


def _function(shrinker: Any) -> str:
    # SAFETY: the session owns the name, and the caller holds the session.
    name: bytes = ffi.buffer(shrinker.function, shrinker.function_length)[:]
    return name.decode(errors="backslashreplace")


def _shrinker(shrinker: Any) -> ReplayedShrinker:
    by_node = shrinker.tallies[lib.TRACE_REPLAY_BY_NODE].cost
    one_set = shrinker.tallies[lib.TRACE_REPLAY_ONE_SET].cost
    batch: Interval = (1, shrinker.batch_hi) if shrinker.batch_hi else (None, None)
    unstopped = batch
    if shrinker.batch_least:
        # Without an upper end nothing is a closed interval.
        least, most = shrinker.batch_least, shrinker.batch_hi
        unstopped = (least, most) if least <= most else (None, None)
    return ReplayedShrinker(
        scan_function=_function(shrinker),
        pointer=shrinker.pointer,
        passes=shrinker.passes,
        exact=shrinker.tallies[shrinker.reading].exact,
        nodes=shrinker.nodes,
        numa_aware=None
        if shrinker.nodes < 2 or by_node == one_set  # noqa: PLR2004
        else by_node < one_set,
        seeks=SeeksFit(shrinker.seeks_lo, shrinker.seeks_hi, bool(shrinker.seeks_zero)),
        batch=batch,
        batch_unstopped=unstopped,
    )
