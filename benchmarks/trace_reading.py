"""How fast recordings are read and replayed, in events per second, with pyperf.

    python benchmarks/trace_reading.py --affinity 0 -o trace.json

One row for each stage: taking the lines apart in C, the whole replay of an
uncompressed file, and the reader that makes a Python value of each event.  The
recording is the one that ships with the package, repeated to 119,000 events.
Times are per event, so that events per second are their reciprocals.
"""

from __future__ import annotations

import lzma
import os
import tempfile
import time
from pathlib import Path

import pyperf

from shrinker.trace import bundled_recording, read_events, replay_file
from shrinker.trace.parsing import Parser
from shrinker.trace.sources import open_trace, read_chunks

REPEAT = 10
EVENTS = 11900 * REPEAT


def parse(path: str) -> None:
    """Take the lines apart, and no more."""
    parser = Parser()
    with open_trace(path) as (text, _):
        for chunk in read_chunks(text):
            for _events in parser.feed(chunk):
                pass
    assert parser.counts.starts + parser.counts.ends == EVENTS


def replay(path: str) -> None:
    """Do what ``shrinker replay`` does before it prints."""
    result = replay_file(path)
    assert result.events == EVENTS
    assert result.passes == EVENTS // 2


def values(path: str) -> None:
    """Make a Python value of each event."""
    assert sum(1 for _ in read_events(path)) == EVENTS


def main() -> None:
    """Run the rows; options are pyperf's."""
    runner = pyperf.Runner(processes=5, values=5)
    runner.metadata["description"] = "Reading and replaying kernel traces"

    with tempfile.TemporaryDirectory() as directory:
        path = os.fspath(Path(directory, "recording.txt"))
        with bundled_recording().open("rb") as stored:
            text = lzma.decompress(stored.read())
        Path(path).write_bytes(text * REPEAT)

        for name, function in (("parse", parse), ("replay", replay), ("read", values)):

            def measure(loops: int, function=function) -> float:  # type: ignore[no-untyped-def] # noqa: ANN001
                began = time.perf_counter()
                for _ in range(loops):
                    function(path)
                return time.perf_counter() - began

            runner.bench_time_func(f"trace {name}", measure, inner_loops=EVENTS)


if __name__ == "__main__":
    main()
