"""The report as one HTML file, which needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2

import shrinker
from shrinker._names import printable
from shrinker.report.figures import rows_of
from shrinker.report.summary import summary
from shrinker.report.timeline import timelines
from shrinker.report.words import duration, number, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.report.figures import Row
    from shrinker.report.finding import Finding
    from shrinker.report.recording import Recording

__all__ = ["as_html"]

# Rows of a table, and findings of a recording; the file stays small with any recording.
_MAX_ROWS = 200
_TABLES = (
    ("By shrinker", ("shrinker",)),
    ("By caller", ("caller",)),
    ("By shrinker and caller", ("shrinker", "caller")),
    ("By memory cgroup", ("memcg",)),
    ("By node", ("node",)),
)
_COLUMNS: tuple[tuple[str, str, Any], ...] = (
    ("passes", "passes", str),
    ("idle", "idle_passes", str),
    ("count", "count", number),
    ("asked", "asked", number),
    ("scanned", "scanned", number),
    ("freed", "freed", number),
    ("yield", "freed_per_scanned", lambda share: f"{share:.2f}"),
    ("deferred", "deferred", number),
    ("time", "time_ns", duration),
    ("of wall", "wall_share", percent),
    ("p50", "p50_ns", duration),
    ("p99", "p99_ns", duration),
    ("longest", "longest_ns", duration),
)


def as_html(recordings: Sequence[Recording], findings: Sequence[Finding]) -> str:
    """Return the whole file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shrinker.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    return environment.get_template("report.html.jinja").render(
        version=shrinker.__version__,
        recordings=[_recording(each, findings) for each in recordings],
    )


def _shown(value: Any) -> Any:
    # Not Markup: the drawings, which have no names.
    return printable(value, "\n") if type(value) is str else value


def _recording(recording: Recording, found: Sequence[Finding]) -> dict[str, Any]:
    findings = [f for f in found if f.recording == recording.name]
    return {
        "name": recording.name,
        "error": recording.replay.error,
        "summary": summary(recording),
        "findings": findings[:_MAX_ROWS],
        "more_findings": max(len(findings) - _MAX_ROWS, 0),
        "timelines": timelines(recording),
        "wall": duration(recording.wall_ns),
        "tables": [
            _table(title, by, rows)
            for title, by in _TABLES
            if _says_something(by, rows := rows_of(recording, by))
        ],
    }


def _says_something(by: Sequence[str], rows: Sequence[Row]) -> bool:
    """Return whether a table has more in it than the one before it."""
    return len(rows) > 1 or (by in {("shrinker",), ("caller",)} and bool(rows))


def _table(title: str, by: Sequence[str], rows: Sequence[Row]) -> dict[str, Any]:
    shown = [
        (header, name, words)
        for header, name, words in _COLUMNS
        if any(getattr(row, name) is not None for row in rows)
    ]
    return {
        "title": title,
        "by": by,
        "headers": [header for header, *_ in shown],
        "rows": [
            (
                [str(getattr(row, name)) for name in by],
                [_cell(getattr(row, name), words) for _, name, words in shown],
            )
            for row in rows[:_MAX_ROWS]
        ],
        "more": max(len(rows) - _MAX_ROWS, 0),
    }


def _cell(value: float | None, words: Any) -> tuple[str, str]:
    """Return what a cell is sorted by, and its text."""
    if value is None:
        return "-1", ""
    return f"{value:.6g}", words(value)
