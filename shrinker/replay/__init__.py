"""Recordings of kernel events: reading them, and replaying them through the core."""

from shrinker.data import bundled_recording
from shrinker.replay.files import READ_ERRORS
from shrinker.replay.passes import replay_file, replay_files
from shrinker.replay.reader import TraceCounts, TraceReader, TraceRecord, read_events
from shrinker.replay.results import (
    FileReplay,
    Problem,
    Replay,
    ReplayedShrinker,
    SeeksFit,
)

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
