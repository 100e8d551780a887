"""What a recording says, in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shrinker.report.figures import rows_of
from shrinker.report.words import duration, number, of_many, percent

if TYPE_CHECKING:
    from shrinker.report.recording import Recording

__all__ = ["summary"]


def summary(recording: Recording) -> str:
    """Return what a recording is, what reclaim did in it, and who gave and waited."""
    replay = recording.replay
    name = Path(recording.name).name
    rows = rows_of(recording, ())
    if not rows:
        return f"{name}: no pass is complete."
    (whole,) = rows
    words = f"{name}: {of_many(whole.passes, 'pass')}"
    if recording.wall_ns:
        words += f" in {duration(recording.wall_ns)}"
    if replay.kernels:
        words += f", of Linux {replay.kernels}"
    words += f"; {percent(whole.idle_passes / whole.passes)} of them scanned nothing."
    # Where only the clocks of processors differ, each pass has its own end, and fits.
    if replay.inexact and (backwards := _ending_before_they_begin(recording)):
        words += (
            f" {of_many(backwards, 'pass')} end before they begin: the lines are out of"
            " order, so starts were paired with the ends of other passes. What was"
            " scanned and freed, times and findings are wrong: sort the lines by time."
        )
    if whole.scanned or whole.freed:
        words += (
            f" {number(whole.scanned)} objects were scanned and {number(whole.freed)}"
            " freed"
        )
        giver = max(rows_of(recording, ("shrinker",)), key=lambda row: row.freed)
        if whole.freed:
            share = percent(giver.freed / whole.freed)
            words += f", {share} of these by {giver.shrinker}"
        words += "."
    if whole.time_ns:
        payer = rows_of(recording, ("caller",))[0]
        words += (
            f" Reclaim spent {duration(whole.time_ns)} inside of shrinkers, most of it"
            f" {payer.caller} ({duration(payer.time_ns)})."
        )
    if replay.lost_events:
        words += f" {replay.lost_events:,} events were lost: figures are too low."
    if replay.inexact:
        words += (
            f" {of_many(replay.inexact, 'pass')} did not come out as the formula says:"
            " shrinker replay names the reasons."
        )
    return words


def _ending_before_they_begin(recording: Recording) -> int:
    timed = recording.passes[recording.passes["timed"]]
    return int((timed["end_ns"] < timed["start_ns"]).sum())
