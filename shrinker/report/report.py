"""A report: what one or many recordings say, as rows and findings."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shrinker.report.export import trace_events, write_parquet
from shrinker.report.figures import Row, rows_of
from shrinker.report.finding import Finding, Thresholds
from shrinker.report.findings import findings_of
from shrinker.report.recording import Recording, read_recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

__all__ = ["Report"]


@dataclasses.dataclass(frozen=True)
class Report:
    """What recordings say, each by itself.

    ::

        report = Report.read(["recording.txt.xz"])
        for row in report.rows("shrinker"):
            print(row.shrinker, row.passes, row.freed, row.longest_ns)
    """

    recordings: tuple[Recording, ...]
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)

    @classmethod
    def read(
        cls,
        files: Iterable[str | os.PathLike[str]],
        progress: Callable[[str, int], None] | None = None,
        *,
        era: str | None = None,
        thresholds: Thresholds | None = None,
        executor: Executor | None = None,
    ) -> Report:
        """Read recordings; each file of an archive is one.

        A file that cannot be read has a ``replay.error``; the others are read all the
        same.  ``progress`` and ``era`` are as in ``shrinker.replay.replay_files``;
        ``thresholds`` say what is worth a finding.  With an ``executor`` files are read
        side by side, and ``progress`` is not called: a ``ProcessPoolExecutor``, or what
        ``get_executor()`` of a Dask client returns, whose workers then open the files.
        """
        if executor is None:
            found = [tuple(read_recordings(file, progress, era)) for file in files]
        else:
            names = [os.fspath(file) for file in files]
            found = list(executor.map(_read, names, [era] * len(names)))
        recordings = tuple(recording for some in found for recording in some)
        return cls(recordings, thresholds or Thresholds())

    @property
    def ok(self) -> bool:
        """Whether every file was read to its end and holds passes."""
        return all(recording.replay.error is None for recording in self.recordings)

    def rows(self, *by: str) -> tuple[Row, ...]:
        """Return a row for each group of passes of each recording.

        ``by`` is any of shrinker, node, memcg, caller.  Those with most time inside
        come first, recording by recording.  Raises ValueError for another name.
        """
        return tuple(row for each in self.recordings for row in rows_of(each, by))

    @functools.cached_property
    def shrinkers(self) -> tuple[Row, ...]:
        """A row for each shrinker."""
        return self.rows("shrinker")

    @functools.cached_property
    def callers(self) -> tuple[Row, ...]:
        """A row for each caller: kswapd, drop_caches, direct reclaim by task name."""
        return self.rows("caller")

    @functools.cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is worth a look, recording by recording, what hurts most first."""
        return tuple(
            found
            for each in self.recordings
            for found in findings_of(each, self.thresholds)
        )

    def to_html(self) -> str:
        """Return one HTML file: what it says in words, findings, timelines, tables.

        It needs no network, is light or dark as the reader's browser is, and prints.
        Needs jinja2.
        """
        from shrinker.report.html import as_html  # noqa: PLC0415 - only here

        return as_html(self.recordings, self.findings)

    def write_trace_events(self, path: str | os.PathLike[str]) -> None:
        """Write a timeline that ui.perfetto.dev shows: passes by task, and counters.

        Raises OSError.
        """
        with Path(path).open("w", encoding="utf-8") as file:
            file.writelines(trace_events(self.recordings))

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write all passes into a Parquet file.  Needs pyarrow; raises OSError."""
        write_parquet(self.recordings, path)

    def to_json(self, *by: str) -> dict[str, Any]:
        """Return the object that ``shrinker report --json`` prints.

        ``by`` is what its ``rows`` are grouped by, shrinkers without it.
        """
        return {
            "recordings": [_summary(recording) for recording in self.recordings],
            "findings": [found.to_json() for found in self.findings],
            "rows": [row.to_json() for row in self.rows(*(by or ("shrinker",)))],
        }


def _read(file: str, era: str | None) -> tuple[Recording, ...]:
    """Read a file in another process, which sends its passes."""
    return tuple(read_recordings(file, era=era))


def _summary(recording: Recording) -> dict[str, Any]:
    replay = recording.replay
    return {
        "file": replay.file,
        "error": replay.error,
        "era": replay.era,
        "kernels": replay.kernels,
        "passes": len(recording.passes),
        "exact": replay.exact,
        "lost_events": replay.lost_events,
        "wall_ns": recording.wall_ns or None,
    }
