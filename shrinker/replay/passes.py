"""Replaying recordings: which passes the C core computes as the kernel did.

``replay_file`` reads a recording in chunks (``files``).  ``Parser`` makes events of
their lines (``csrc/replay/line.c``).  ``Session`` finds the era, and pairs and checks
the events (``csrc/replay/replay.c``, ``counters.c``).  ``_result`` puts numbers and
problems into words.  docs/replay.md says what is checked.

Each file is a recording of its own: neither unfinished passes nor deferred counters
carry over to the next.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from shrinker._ffi import ffi, lib
from shrinker.replay.files import (
    READ_ERRORS,
    STDIN,
    Recording,
    open_recording,
    read_chunks,
    recordings,
)
from shrinker.replay.reader import EXPECTED, Parser
from shrinker.replay.results import (
    FileReplay,
    Interval,
    Problem,
    Replay,
    ReplayedShrinker,
    SeeksFit,
)
from shrinker.replay.session import Session
from shrinker.replay.unreadable import BEGINNING_BYTES, is_recording, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Tap = Callable[[Any, Any], None]

__all__ = ["replay_each", "replay_file", "replay_files"]

# Kept of one file; the others are counted.
_MAX_PROBLEMS = 1000


class _Reason(NamedTuple):
    """Why a pass is not exact, or an event is an orphan."""

    short: str
    """As the counts name it, and docs/replay.md."""
    detail: str = ""
    """As a problem names it, to be formatted; ``short`` where it is empty."""


_NEW = "new scan count is {recorded}, computed {computed};"
_REASONS = {
    lib.TRACE_REPLAY_FIELDS: _Reason(
        "fields of another era", "the start has the fields of another era"
    ),
    lib.TRACE_REPLAY_FREEABLE: _Reason(
        "no event for this count", "a pass with a count of {recorded} has no events"
    ),
    lib.TRACE_REPLAY_PRIORITY: _Reason(
        "priority out of range", "priority {recorded} is outside 0 to 63"
    ),
    lib.TRACE_REPLAY_DELTA: _Reason(
        "no seeks gives delta",
        "no seeks gives delta {recorded} for {computed} cache items at priority"
        " {priority}",
    ),
    lib.TRACE_REPLAY_SEEKS: _Reason(
        "delta contradicts seeks",
        "delta is {recorded}, but the seeks of the starts before gives {computed}",
    ),
    lib.TRACE_REPLAY_TOTAL_SCAN: _Reason(
        "total_scan", "total_scan is {recorded}, computed {computed}"
    ),
    lib.TRACE_REPLAY_UNUSED: _Reason(
        "start and end differ in nr",
        "unused scan count is {recorded}, but the start took over {computed}",
    ),
    lib.TRACE_REPLAY_NID: _Reason(
        "start and end differ in nid",
        "the end is on node {recorded}, the start on node {computed}",
    ),
    lib.TRACE_REPLAY_BATCH: _Reason(
        "no batch fits",
        "{recorded} of total_scan {computed} are left: no batch size gives that",
    ),
    lib.TRACE_REPLAY_NEW_LOST: _Reason(
        "new counter: events were lost", f"{_NEW} events were lost meanwhile"
    ),
    lib.TRACE_REPLAY_NEW_ORDER: _Reason(
        "new counter: print order",
        f"{_NEW} print order: a line of another pass within 0.2 ms shows the counter"
        " that this pass needs",
    ),
    lib.TRACE_REPLAY_NEW_LATE: _Reason(
        "new counter: print order, late start",
        f"{_NEW} print order: exact if the start line was printed late, after passes"
        " that found the counter at 0",
    ),
    lib.TRACE_REPLAY_NEW_MERGED: _Reason(
        "new counter: merged slots",
        f"{_NEW} merged slots: idle counters of the shrinker make up the difference",
    ),
    lib.TRACE_REPLAY_NEW_OTHER: _Reason(
        "new counter: another slot's",
        f"{_NEW} another idle counter of the shrinker has the value that this pass"
        " needs",
    ),
    lib.TRACE_REPLAY_NEW_UNEXPLAINED: _Reason(
        "new counter: unexplained", f"{_NEW} unexplained"
    ),
    lib.TRACE_REPLAY_UNTRACKED: _Reason(
        "too many walkers at once", "too many unfinished passes at once to follow"
    ),
    lib.TRACE_REPLAY_ORPHAN_START: _Reason("start without an end"),
    lib.TRACE_REPLAY_ORPHAN_END: _Reason("end without a start"),
}
"""By enum trace_replay_reason."""


def replay_files(
    files: Iterable[str | os.PathLike[str]],
    progress: Callable[[str, int], None] | None = None,
    *,
    era: str | None = None,
) -> Replay:
    """Replay recordings, each by itself and in its own era; each file of an archive.

    A file that cannot be read raises nothing: its ``FileReplay.error`` says why, and
    ``Replay.ok`` whether there is one; the others are replayed all the same.
    ``progress(file, position)`` is called from time to time;
    ``position`` is the number of stored bytes read so far.  ``era`` (A, B or C) is
    used for every file.
    """
    return Replay(
        tuple(result for file in files for result in replay_each(file, progress, era))
    )


def replay_each(
    file: str | os.PathLike[str],
    progress: Callable[[str, int], None] | None,
    era: str | None,
    new_tap: Callable[[], Tap] | None = None,
) -> Iterator[FileReplay]:
    """Replay the files of an archive, or the one recording that a file is.

    ``new_tap`` is called before each recording; what it returns gets what
    ``Parser.feed`` yields, too.
    """
    found = recordings(file)
    while True:
        try:
            recording = next(found, None)
        except (*READ_ERRORS, KeyboardInterrupt) as exc:
            recording = Recording(None, _Unreadable(exc))
        if recording is None:
            return
        tap = new_tap() if new_tap else None
        yield _replay(file, recording, progress, era, tap)


class _Unreadable(contextlib.AbstractContextManager[NoReturn]):
    """What cannot be opened, because of an error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __enter__(self) -> NoReturn:
        raise self._error

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to close."""


def replay_file(
    file: str | os.PathLike[str],
    progress: Callable[[str, int], None] | None = None,
    *,
    era: str | None = None,
) -> FileReplay:
    """Replay one recording; ``-`` is the standard input.

    A file that is missing, damaged or without passes raises nothing, because what came
    before the damage counts: look at ``FileReplay.error``, which is None where all is
    well.

    ``era`` (A, B or C) says which kernels' formula the passes are compared with;
    without it, the one that fits them best.
    """
    recording = Recording(None, open_recording(file))
    return _replay(file, recording, progress, era)


def _replay(
    file: str | os.PathLike[str],
    recording: Recording,
    progress: Callable[[str, int], None] | None,
    era: str | None,
    tap: Tap | None = None,
) -> FileReplay:
    name = os.fspath(file)
    if recording.member is not None:
        name += f"/{recording.member}"
    session, parser = Session(era), Parser()
    malformed: list[Problem] = []
    malformed_before = 0
    began = time.perf_counter()

    def feed(chunk: bytes, *, final: bool = False) -> None:
        nonlocal malformed_before
        for text, events in parser.feed(chunk, final=final):
            session.feed(text, events)
            if tap:
                tap(text, events)
            if parser.counts.malformed > malformed_before:
                malformed_before = parser.counts.malformed
                _note_malformed(name, events, malformed)

    error, beginning = _read(file, recording, feed, progress)
    feed(b"", final=True)
    session.finish()
    seconds = time.perf_counter() - began
    if error is None and not parser.counts.starts + parser.counts.ends:
        error = _no_events(parser.counts, beginning)
    if error is None and not session.totals().passes:
        error = _no_pass(parser.counts)
    return _result(
        name,
        session,
        parser,
        malformed=malformed,
        error=error,
        seconds=seconds,
    )


def _read(
    file: str | os.PathLike[str],
    recording: Recording,
    feed: Callable[[bytes], None],
    progress: Callable[[str, int], None] | None,
) -> tuple[str | None, bytes]:
    """Feed all of a file; return what is wrong with it, and its first bytes."""
    error, beginning = None, b""
    try:
        with recording.opened as (stream, stored):
            for chunk in read_chunks(stream):
                if len(beginning) < BEGINNING_BYTES:
                    beginning += chunk[:BEGINNING_BYTES]
                feed(chunk)
                if progress:
                    progress(os.fspath(file), _position(stored))
    except READ_ERRORS as exc:
        error = _describe(exc)
    except KeyboardInterrupt:
        if os.fspath(file) != STDIN:
            raise
        # The user ends a running recording to see its passes so far.
        error = "interrupted: what came before was replayed"
    return error, beginning


def _position(stored: Any) -> int:
    try:
        return int(stored.tell())
    except OSError:
        return 0


def _describe(exc: BaseException) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__


def _no_events(counts: Any, beginning: bytes) -> str:
    if not counts.lines:
        return "the file is empty"
    if reason := unreadable(beginning):
        return reason
    if counts.malformed:
        return "no shrinker event could be read"
    if counts.others or is_recording(beginning):
        return (
            "a recording without shrinker events: were mm_shrink_slab_start and"
            " mm_shrink_slab_end enabled, and was anything reclaimed?"
        )
    return "not a recording: no line is an event"


def _no_pass(counts: Any) -> str:
    if not counts.malformed:
        for count, event in (counts.starts, "start"), (counts.ends, "end"):
            if not count:
                return f"no pass has its {event}: was mm_shrink_slab_{event} enabled?"
    return "no pass has both its start and its end"


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
        texts.short: count
        for reason, texts in _REASONS.items()
        if (count := sum(tally.reasons[reason] for tally in tallies))
    }
    exact = sum(tally.exact for tally in tallies)
    inexact = sum(reasons.values())
    problems = malformed + _replay_problems(name, session, shrinkers)
    problems.sort(key=lambda problem: problem.line or 0)
    del problems[_MAX_PROBLEMS:]
    counted = inexact + totals.orphan_starts + totals.orphan_ends + counts.malformed
    omitted = counted - len(problems)
    if error is not None:
        problems.insert(0, Problem(name, None, error))
    return FileReplay(
        file=name,
        seconds=seconds,
        error=error,
        era=session.era(),
        kernels=session.kernels(),
        passes=totals.passes,
        exact=exact,
        inexact=inexact,
        arithmetic_exact=sum(shrinker.arithmetic for shrinker in shrinkers),
        overlaps=sum(tally.overlaps for tally in tallies),
        adopted=sum(tally.adopted for tally in tallies),
        reordered=sum(tally.reordered for tally in tallies),
        merged=sum(tally.merged for tally in tallies),
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
        reason = _REASONS[problem.reason]
        detail = (reason.detail or reason.short).format(
            recorded=problem.recorded,
            computed=problem.computed,
            priority=problem.priority,
        )
        text = f"{_function(shrinker)} {shrinker.pointer:x}: {detail}"
        if problem.start_line and problem.start_line != problem.line:
            text += f" (started in line {problem.start_line})"
        problems.append(Problem(name, problem.line, text))
    return problems


def _function(shrinker: Any) -> str:
    # SAFETY: the session owns the name, and the caller keeps the session.
    name: bytes = ffi.buffer(shrinker.function, shrinker.function_length)[:]
    return name.decode(errors="backslashreplace")


def _shrinker(shrinker: Any) -> ReplayedShrinker:
    by_node = shrinker.tallies[lib.TRACE_REPLAY_BY_NODE].cost
    one_set = shrinker.tallies[lib.TRACE_REPLAY_ONE_SET].cost
    batch: Interval = (1, shrinker.batch_hi) if shrinker.batch_hi else (None, None)
    unstopped = batch
    if shrinker.batch_least:
        # No largest batch (0) means that no interval is known.
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
