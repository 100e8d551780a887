"""How fast recordings are read and replayed, for each event.

A line for each stage: taking the lines apart in C, the whole replay of an uncompressed
file, the same with all passes as numpy columns for a report, and the reader that makes
a Python value of each event.  The recording is the one that ships with the package,
repeated to 119,000 events.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness import column_table, command, compared, timed

from shrinker.bench.lines import Benchmark, Column, Line
from shrinker.replay import bundled_recording, read_events, replay_file
from shrinker.replay.files import open_recording, read_chunks
from shrinker.replay.reader import Parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.bench.lines import Run

REPEAT = 10
EVENTS = 11900 * REPEAT


def parse(path: str) -> None:
    """Take the lines apart, and no more."""
    parser = Parser()
    with open_recording(path) as (text, _):
        for chunk in read_chunks(text):
            for _events in parser.feed(chunk):
                pass
    assert parser.counts.starts + parser.counts.ends == EVENTS


def replay(path: str) -> None:
    """Do what ``shrinker replay`` does before it prints."""
    result = replay_file(path)
    assert result.events == EVENTS
    assert result.passes == EVENTS // 2


def columns(path: str) -> None:
    """Do what ``shrinker report`` does before it looks at the passes."""
    from shrinker.report import Report  # noqa: PLC0415 - needs numpy

    (recording,) = Report.read([path]).recordings
    assert len(recording.passes) == EVENTS // 2


def values(path: str) -> None:
    """Make a Python value of each event."""
    assert sum(1 for _ in read_events(path)) == EVENTS


@contextlib.contextmanager
def opened(stage: Callable[[str], None]) -> Iterator[Run]:
    """Write the file, and run a stage on it."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.fspath(Path(directory, "recording.txt"))
        with bundled_recording().open("rb") as stored:
            Path(path).write_bytes(lzma.decompress(stored.read()) * REPEAT)

        def repeat(loops: int) -> None:
            for _ in range(loops):
                stage(path)

        yield timed(repeat)


def benchmark() -> Benchmark:
    """Return the lines."""
    stages = {"parse": parse, "replay": replay, "columns": columns, "read": values}
    lines = {
        name: Line(f"trace {name}", partial(opened, stage), EVENTS)
        for name, stage in stages.items()
    }
    return Benchmark(
        module="replay_reading",
        title="Reading and replaying recordings",
        machine_is="",
        tables=[
            column_table("ns for an event", Column("ns", "by parse"), compared(lines))
        ],
        legend="parse: taking lines apart. replay: all of it. columns: replay, and all"
        " passes as numpy columns. read: Python values.",
    )


if __name__ == "__main__":
    command(benchmark)()
