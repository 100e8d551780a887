"""How ``shrinker report`` prints: tables, CSV."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from shrinker._terminal import NameTable, Terminal
from shrinker.report.figures import GROUPS
from shrinker.report.summary import summary
from shrinker.report.words import duration, number, of_many, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from shrinker.replay import FileReplay
    from shrinker.report import (
        Comparison,
        Finding,
        MeanChange,
        Recording,
        Report,
        Row,
        WhatIf,
    )
    from shrinker.report.what_if import Outcome

__all__ = [
    "print_comparison",
    "print_csv",
    "print_report",
    "print_what_if",
    "troubles",
]

# Of each table; --json and --csv have all rows.
_MAX_ROWS = 12
_MAX_PAYERS = 3
_THOUSAND = 1000


def print_report(
    report: Report, by: Sequence[str] = (), console: Console | None = None
) -> None:
    """Print each recording's tables; ``by`` is what to group by besides the usual."""
    terminal = Terminal(console)
    for line in troubles(report):
        terminal.print_line(f"[red]{escape(line)}[/]")
    for recording in report.recordings:
        _print_recording(terminal, report, recording, by)
    if any(len(recording.passes) for recording in report.recordings):
        terminal.print(_LEGEND)


def troubles(report: Report) -> list[str]:
    """Return a line for each reason why a recording is not all in the report."""
    lines = []
    for recording in report.recordings:
        replay, name = recording.replay, recording.name or "''"
        if replay.error:
            lines.append(f"{name}: {replay.error}")
        if replay.malformed_lines:
            left_out = of_many(replay.malformed_lines, "line")
            lines.append(f"{name}: {left_out} left out; {_first_bad(replay)}")
    return lines


def _first_bad(replay: FileReplay) -> str:
    problems = (each for each in replay.problems if each.line is not None)
    first = next((each for each in problems if "malformed" in each.reason), None)
    if first is None:  # Only so many problems are kept.
        return "shrinker replay names them"
    return f"the first is line {first.line}: {first.reason}"


def _print_recording(
    terminal: Terminal, report: Report, recording: Recording, by: Sequence[str]
) -> None:
    if not len(recording.passes):
        return
    terminal.print_paragraph(summary(recording))
    terminal.print_line("")
    _print_findings(
        terminal, [f for f in report.findings if f.recording == recording.name]
    )
    groupings = [tuple(by)] if by else [("shrinker",), ("caller",)]
    for grouping in groupings:
        rows = [r for r in report.rows(*grouping) if r.recording == recording.name]
        for title, columns in (("Work", _WORK), ("Time", _TIME)):
            terminal.print_table(
                _table(f"{title} by {_words(grouping)}", rows, columns)
            )
        if len(rows) > _MAX_ROWS:
            terminal.print_line(
                f"... and {len(rows) - _MAX_ROWS} more; --csv and --json have all"
            )
            terminal.print_line("")


def _print_findings(terminal: Terminal, findings: Sequence[Finding]) -> None:
    for finding in findings:
        terminal.print_paragraph(f"[{finding.kind}] {finding.sentence}", hang=2)
        terminal.print_paragraph(finding.look, indent=2, style="dim")
        if finding.lines:
            lines = ", ".join(str(start) for start, _ in finding.lines)
            terminal.print_paragraph(f"Passes that start in line {lines}.", indent=2)
    if not findings:
        terminal.print_line("Nothing in it is worth a finding.")
    terminal.print_line("")


def _words(grouping: Sequence[str]) -> str:
    return " and ".join(grouping)


def _lines(row: Row) -> str:
    return "" if row.longest_lines is None else str(row.longest_lines[0])


def _priorities(row: Row) -> str:
    if not row.priorities:
        return ""
    low, high = min(row.priorities), max(row.priorities)
    return f"{low}" if low == high else f"{low}-{high}"


def _yield(row: Row) -> str:
    share = row.freed_per_scanned
    return "" if share is None else f"{share:.2f}"


_WORK = {
    "passes": lambda row: f"{row.passes:,}",
    "idle": lambda row: percent(row.idle_passes / row.passes),
    "count": lambda row: number(row.count),
    "asked": lambda row: number(row.asked),
    "scanned": lambda row: number(row.scanned),
    "freed": lambda row: number(row.freed),
    "yield": _yield,
    "deferred": lambda row: number(row.deferred),
}
_TIME = {
    "time": lambda row: duration(row.time_ns),
    "of wall": lambda row: percent(row.wall_share),
    "p50": lambda row: duration(row.p50_ns),
    "p99": lambda row: duration(row.p99_ns),
    "longest": lambda row: duration(row.longest_ns),
    "in line": _lines,
    "priority": _priorities,
}
_LEGEND = (
    "[bold]idle[/]: passes that scanned nothing.  [bold]count[/]: objects counted, the"
    " median.  [bold]asked[/]: objects to scan, with deferred ones.  [bold]yield[/]:"
    " freed for each scanned.  [bold]deferred[/]: as the last pass left it."
    "  [bold]in line[/]: where the longest pass starts.  docs/report.md says more.\n"
)


def _table(title: str, rows: Sequence[Row], columns: dict[str, Any]) -> NameTable:
    table = NameTable(title, "", always_cut=True)
    for header in columns:
        table.add_column(header)
    for row in rows[:_MAX_ROWS]:
        name = " ".join(str(part) for part in _row_name(row))
        table.add_row(name, *(text(row) for text in columns.values()))
    return table


def _row_name(row: Row) -> list[str]:
    """Return what a row is of, a text for each grouping."""
    texts = {"node": "node {}", "memcg": "memcg {}"}
    return [
        texts.get(name, "{}").format(value)
        for name in GROUPS
        if (value := getattr(row, name)) is not None
    ]


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print what changed: a table of figures, findings that are new or gone."""
    terminal = Terminal(console)
    if comparison.changes:
        table = NameTable("Changed beyond the noise", "scan function", always_cut=True)
        for header in ("figure", "median", "now", "mean", "now", "larger"):
            table.add_column(header, right=header != "figure")
        for change in comparison.changes:
            averages = change.old, change.new, change.old_mean, change.new_mean
            table.add_row(
                change.shrinker,
                change.figure,
                *map(_figure, averages),
                percent(change.larger),
            )
        terminal.print_table(table)
        terminal.print_paragraph(
            "median: of slices of the old recordings, or of their passes; 0 where most"
            " slices are empty, because reclaim came in a burst. mean: over all of"
            " them, so with the burst. now: the same of the new recordings. larger: of"
            " all pairs of an old value and a new one, those in which the new one is"
            " larger."
        )
    if bursts := [c.figure for c in comparison.changes if c.comes_in_bursts]:
        terminal.print_paragraph(
            f"{', '.join(dict.fromkeys(bursts))}: median and mean went opposite ways,"
            " so it comes in bursts. The mean says whether there is more of it in all."
        )
    terminal.print_paragraph(
        f"{len(comparison.changes)} of {of_many(comparison.tested, 'figure')} changed"
        " beyond the noise."
    )
    _print_mean_changes(terminal, comparison.mean_changes)
    for title, names in (
        ("Only in the old recordings", comparison.only_old),
        ("Only in the new recordings", comparison.only_new),
    ):
        if names:
            terminal.print_paragraph(f"{title}: {', '.join(names)}.")
    for title, findings in (
        ("New findings", comparison.new_findings),
        ("Findings that are gone", comparison.gone_findings),
    ):
        if findings:
            terminal.print_line("")
            terminal.print_line(f"[bold]{title}[/]")
            _print_findings(terminal, findings)


def _print_mean_changes(terminal: Terminal, changes: Sequence[MeanChange]) -> None:
    if not changes:
        return
    terminal.print_line("")
    title = "Only the mean doubled or halved"
    table = NameTable(title, "scan function", always_cut=True)
    for header in ("figure", "mean", "now"):
        table.add_column(header, right=header != "figure")
    for change in changes[:_MAX_ROWS]:
        table.add_row(
            change.shrinker, change.figure, _figure(change.old), _figure(change.new)
        )
    terminal.print_table(table)
    if len(changes) > _MAX_ROWS:
        terminal.print_line(f"... and {len(changes) - _MAX_ROWS} more; --json has all")
        terminal.print_line("")
    terminal.print_paragraph(
        "One burst, or a few long passes, do that. It may be chance: nothing here says"
        " how likely; more recordings of the same load would."
    )


def _figure(value: float) -> str:
    return number(round(value)) if value >= _THOUSAND else f"{value:.3g}"


def print_what_if(answers: Sequence[WhatIf], console: Console | None = None) -> None:
    """Print a table with three lines for each shrinker: recorded, model, changed.

    Those that scanned nothing, and would scan nothing, are only counted.
    """
    idle = sum(not (each.recorded.scanned or each.changed.scanned) for each in answers)
    answers = [
        each for each in answers if each.recorded.scanned or each.changed.scanned
    ]
    terminal = Terminal(console)
    table = NameTable("What if", "", always_cut=True)
    for header in ("", "scanned", "idle", "largest", "time", "deferred", "freed"):
        table.add_column(header, right=header != "")
    for answer in answers:
        table.add_section()
        for name in ("recorded", "model", "changed"):
            outcome = getattr(answer, name)
            low, high = (number(round(value)) for value in outcome.freed_range)
            took = outcome.longest_ns
            table.add_row(
                answer.shrinker if name == "recorded" else "",
                name,
                number(outcome.scanned),
                number(outcome.idle_passes),
                number(outcome.longest),
                duration(None if took is None else round(took)),
                number(outcome.deferred_max),
                low if low == high else f"{low}-{high}",
            )
    if not answers:
        terminal.print_line("No shrinker scanned anything, or would scan anything.")
        return
    terminal.print_table(table)
    terminal.print_paragraph(
        "model: the recorded passes again, with nothing changed; where it is far from"
        " recorded, do not trust changed. largest: objects scanned in one pass, and its"
        " time. freed: at the recorded yield. Counts are as recorded: what more or less"
        " freeing would have made of them cannot be known. Each shrinker is changed by"
        " itself: what that would have spared or cost the others is left out."
    )
    if idle:
        terminal.print_paragraph(
            f"Not shown: {of_many(idle, 'shrinker')} without anything scanned, recorded"
            " or changed."
        )
    for answer in answers:
        if answer.assumptions:
            terminal.print_paragraph(
                f"{answer.shrinker}: {_who_pays(answer.recorded)}. Changed:"
                f" {_who_pays(answer.changed)}."
            )
    for assumption in sorted({each for some in answers for each in some.assumptions}):
        terminal.print_paragraph(assumption)


def _who_pays(outcome: Outcome) -> str:
    """Return passes, the largest payers, and how long callers and objects wait."""
    parts = [of_many(outcome.passes, "pass")]
    payers = sorted(outcome.payers.items(), key=lambda payer: -payer[1])
    parts += [
        f"{percent(scanned / max(outcome.scanned, 1))} scanned by {name}"
        for name, scanned in payers[:_MAX_PAYERS]
    ]
    if outcome.callers_ns is not None:
        parts.append(f"{duration(round(outcome.callers_ns))} of callers' time")
    if outcome.late_ns:
        parts.append(
            f"objects freed at most {duration(round(outcome.late_ns))} after a request"
        )
    return ", ".join(parts)


def print_csv(report: Report, by: Sequence[str] = ()) -> None:
    """Print the rows as CSV, with a line of names."""
    rows = [row.to_json() for row in report.rows(*(by or ("shrinker",)))]
    if not rows:
        return
    for row in rows:
        lines = row.pop("longest_lines") or (None, None)
        row["longest_start_line"], row["longest_end_line"] = lines
        row["priorities"] = " ".join(
            f"{priority}:{passes}" for priority, passes in row["priorities"].items()
        )
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
