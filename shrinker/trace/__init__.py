"""Recorded kernel traces: reading them, and replaying them through the core."""

from shrinker.trace.reader import TraceCounts, TraceReader, TraceRecord, read_events
from shrinker.trace.recording import bundled_recording
from shrinker.trace.replay import replay_file, replay_files
from shrinker.trace.results import (
    FileReplay,
    Problem,
    Replay,
    ReplayedShrinker,
    SeeksFit,
)
from shrinker.trace.sources import READ_ERRORS

__all__ = [
    "READ_ERRORS",
    "FileReplay",
    "Problem",
    "Replay",
    "ReplayedShrinker",
    "SeeksFit",
    "TraceCounts",
    "TraceReader",
    "TraceRecord",
    "bundled_recording",
    "read_events",
    "replay_file",
    "replay_files",
]
