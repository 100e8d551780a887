"""``shrinker report``: reads files, and hands what they say to what prints it."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
from concurrent.futures import InvalidStateError, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shrinker._interrupted import end_by_signal
from shrinker._names import printable
from shrinker._number import Number, Real
from shrinker._target import check_target
from shrinker.cli.files import warn_of_repeats
from shrinker.cli.replay import progress
from shrinker.cli.report_tables import (
    print_comparison,
    print_csv,
    print_report,
    print_what_if,
    troubles,
)
from shrinker.cli.streams import print_json
from shrinker.replay.files import STDIN
from shrinker.report import Report, Thresholds, WhatIf, compare, what_if
from shrinker.values import DEF_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor

__all__ = ["Options", "executor", "run"]

# A process takes half a second to start, in which this much is read.
_JOB_BYTES = 4 * 1024 * 1024
# What --what-if can change, and the values that a kernel can have.
_CHANGES: dict[str, click.ParamType[Any]] = {
    "seeks": Number(0, 2**31 - 1),
    "batch": Number(0, 2**63 - 1),
    "era": click.Choice(["B", "C"]),
    "priority_change": Number(-DEF_PRIORITY, DEF_PRIORITY),
    "memcg_aware": click.Choice(["yes", "no"]),
    "own_thread": click.Choice(["yes", "no"]),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line, by the names that click gives them."""

    thresholds: tuple[str, ...]
    as_json: bool
    as_csv: bool
    by: tuple[str, ...]
    era: str | None
    output: str | None
    jobs: int | None
    dask: str | None
    changes: tuple[str, ...]
    trace_events: str | None
    parquet: str | None

    @property
    def prints_text(self) -> bool:
        """Whether the report is printed for people: this says what is left out."""
        return not (self.as_json or self.as_csv or self.output or self.changes)

    def check(self, *, comparing: bool) -> None:
        """Raise UsageError for options that exclude each other."""
        if self.as_json + self.as_csv + (self.output is not None) > 1:
            raise click.UsageError("Give one of --json, --csv and --output.")
        shaped = self.as_csv or self.output is not None or bool(self.by)
        if self.changes and (comparing or self.as_json or shaped):
            raise click.UsageError(
                "--what-if excludes --json, --csv, --output, --by and a comparison."
            )
        if comparing and shaped:
            raise click.UsageError("A comparison is printed as text or with --json.")


def run(files: tuple[str, ...], new: tuple[str, ...], options: Options) -> bool:
    """Print or write the report of ``files``, or what changed from them to ``new``.

    Return whether all could be read to their end and hold passes.
    """
    options.check(comparing=bool(new))
    limits = _thresholds(options.thresholds)
    changes = _changes(options.changes)
    for path in (options.output, options.trace_events, options.parquet):
        if path is not None:
            check_target(Path(path))
    warn_of_repeats(files, new)
    everything = (*files, *new)
    with (
        executor(everything, options.jobs, options.dask) as pool,
        progress(everything) as advance,
    ):
        old, newer = (
            Report.read(
                some, advance, era=options.era, thresholds=limits, executor=pool
            )
            for some in (files, new)
        )
    both = Report((*old.recordings, *newer.recordings), limits)
    if options.trace_events is not None:
        with _naming(options.trace_events):
            both.write_trace_events(options.trace_events)
    if options.parquet is not None:
        with _naming(options.parquet):
            both.write_parquet(options.parquet)
    if new:
        comparison = compare(old, newer)
        (print_json if options.as_json else print_comparison)(comparison)
    else:
        _show(old, options, changes)
    if new or not options.prints_text:
        for line in troubles(both):
            click.echo(printable(line), err=True)
    return both.ok


def _show(report: Report, options: Options, changes: dict[str, Any]) -> None:
    if changes:
        print_what_if(_what_if(report, changes))
    elif options.as_json:
        print_json(report, *options.by)
    elif options.as_csv:
        print_csv(report, options.by)
    elif options.output is not None:
        with _naming(options.output):
            Path(options.output).write_text(report.to_html(), encoding="utf-8")
    else:
        print_report(report, options.by)


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let an OSError name the file: one of a full disk does not."""
    try:
        yield
    except OSError as exc:
        exc.filename = exc.filename or path
        raise


@contextlib.contextmanager
def executor(
    files: Sequence[str], jobs: int | None, dask: str | None
) -> Iterator[Executor | None]:
    """Yield what reads the files side by side; None where this process does.

    ``jobs`` processes, by default one for each processor and ``_JOB_BYTES``; or the
    workers of the Dask cluster at the address ``dask``.
    """
    if dask is not None:
        from distributed import Client  # noqa: PLC0415 - an extra

        with Client(dask) as client:
            yield client.get_executor()
        return
    if jobs is None:
        jobs = min(os.cpu_count() or 1, _stored_bytes(files) // _JOB_BYTES)
    jobs = max(min(jobs, len(files)), 1)
    # The standard input is this process's.
    if jobs == 1 or STDIN in files:
        yield None
        return
    # A fork would copy the thread that draws the progress bar, and its locks.
    context = multiprocessing.get_context("spawn")
    with (
        _quiet_about_cancelled(),
        ProcessPoolExecutor(jobs, context, initializer=end_by_signal) as pool,
    ):
        # Until a process has that, it would print what Ctrl-C raises.  So they start
        # with the signal blocked, here and not when they are first needed.
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            try:
                for _ in range(jobs):
                    pool.submit(int)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            yield pool
        except KeyboardInterrupt:
            # Pressed again, it would only interrupt the end.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            # One that still starts would print a traceback: the semaphores that it
            # opens end with this process.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


@contextlib.contextmanager
def _quiet_about_cancelled() -> Iterator[None]:
    """Print nothing of what the pool's thread raises after Ctrl-C.

    It fails to tell futures of the end of their processes: they are cancelled.
    """
    usual = threading.excepthook

    def hook(raised: threading.ExceptHookArgs) -> None:
        if not issubclass(raised.exc_type, InvalidStateError):
            usual(raised)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual


def _stored_bytes(files: Sequence[str]) -> int:
    """Return the size of the files; 0 for those that cannot be looked at."""
    total = 0
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            total += Path(file).stat().st_size
    return total


def _thresholds(given: tuple[str, ...]) -> Thresholds:
    """Return the thresholds, with what was given as NAME=NUMBER."""
    kinds = {field.name: Real() for field in dataclasses.fields(Thresholds)}
    try:
        return Thresholds(**_settings("--threshold NAME=NUMBER", given, kinds))
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc


def _changes(given: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of ``what_if``."""
    values = _settings("--what-if NAME=VALUE", given, _CHANGES)
    for name in values.keys() & {"memcg_aware", "own_thread"}:
        values[name] = values[name] == "yes"
    return values


def _settings(
    option: str, given: tuple[str, ...], kinds: Mapping[str, click.ParamType[Any]]
) -> dict[str, Any]:
    """Return what an option was given as NAME=VALUE, by the types of its names.

    Raises UsageError.
    """
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name in values:
            reason = f"{text!r}: {name} is given twice; one value is meant."
            raise click.BadParameter(reason, param_hint=option)
        if not equals or name not in kinds:
            raise click.BadParameter(
                f"{text!r}: the names are {', '.join(kinds)}.", param_hint=option
            )
        try:
            values[name] = kinds[name].convert(value, None, None)
        except click.BadParameter as exc:
            reason = f"{text!r}: {exc.message}"
            raise click.BadParameter(reason, param_hint=option) from exc
    return values


def _what_if(report: Report, changes: dict[str, Any]) -> list[WhatIf]:
    """Return the answers for each shrinker."""
    try:
        return [
            what_if(recording, shrinker, **changes)
            for recording in report.recordings
            for shrinker in recording.by_shrinker
        ]
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
