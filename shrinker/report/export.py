"""Passes for other tools: a timeline for a browser, a table for data frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinker._names import encodable
from shrinker.report.finding import took_ns

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from shrinker.report.recording import Recording

__all__ = ["trace_events", "write_parquet"]

_US_NS = 1000
_ARGUMENTS = (
    *("count", "before", "delta", "asked", "scanned", "freed", "deferred"),
    *("priority", "node", "memcg", "start_line", "end_line"),
)


def trace_events(recordings: Sequence[Recording]) -> Iterator[str]:
    """Yield the text of a JSON file in the Trace Event Format, piece by piece.

    ui.perfetto.dev and chrome://tracing show it: a process for each recording, in it a
    row for each task with its passes, and a counter of what each shrinker deferred.
    Passes whose lines have no time are left out.
    """
    yield '{"displayTimeUnit": "ms", "traceEvents": [\n'
    separator = ""
    for number, recording in enumerate(recordings, 1):
        for event in _events(number, recording):
            yield f"{separator}{json.dumps(event)}"
            separator = ",\n"
    yield "\n]}\n"


def _events(process: int, recording: Recording) -> Iterator[dict[str, Any]]:
    passes = recording.passes[recording.passes["timed"]]
    yield _named(process, 0, "process_name", recording.name)
    tasks, first = np.unique(passes["pid"], return_index=True)
    for task, place in zip(tasks.tolist(), first, strict=True):
        caller = recording.callers[passes["caller"][place]]
        yield _named(process, task, "thread_name", caller)
    columns = [passes[name].tolist() for name in _ARGUMENTS]
    starts, took = passes["start_ns"].tolist(), took_ns(passes).tolist()
    shrinkers, pids = passes["shrinker"].tolist(), passes["pid"].tolist()
    deferred = columns[_ARGUMENTS.index("deferred")]
    for place, values in enumerate(zip(*columns, strict=True)):
        common = {"name": recording.shrinkers[shrinkers[place]], "pid": process}
        yield common | {
            "ph": "X",
            "ts": starts[place] / _US_NS,
            "dur": took[place] / _US_NS,
            "tid": pids[place],
            "args": dict(zip(_ARGUMENTS, values, strict=True)),
        }
        yield common | {
            "ph": "C",
            "ts": (starts[place] + took[place]) / _US_NS,
            "args": {"deferred": deferred[place]},
        }


def _named(process: int, task: int, what: str, name: str) -> dict[str, Any]:
    return {
        "ph": "M",
        "name": what,
        "pid": process,
        "tid": task,
        "args": {"name": name},
    }


def write_parquet(
    recordings: Sequence[Recording], path: str | os.PathLike[str]
) -> None:
    """Write all passes into a Parquet file, a row for each.

    Its columns are those of ``Recording.passes``, with names in place of the numbers
    of shrinkers and callers, and the recording's name.  Needs pyarrow.
    """
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    with parquet.ParquetWriter(path, _schema()) as writer:
        for recording in recordings:
            writer.write_table(_table(recording))


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    from shrinker.report.columns import PASS  # noqa: PLC0415 - beside it

    names = pa.dictionary(pa.int32(), pa.string())
    fields = [("recording", names), ("shrinker", names), ("caller", names)]
    fields += [
        (name, pa.from_numpy_dtype(PASS[name]))
        for name in PASS.names or ()
        if name not in {"shrinker", "caller", "comm"}
    ]
    return pa.schema(fields)


def _table(recording: Recording) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    passes = recording.passes
    named = {
        "recording": (np.zeros(len(passes), "i4"), [recording.name]),
        "shrinker": (passes["shrinker"], recording.shrinkers),
        "caller": (passes["caller"], recording.callers),
    }
    schema = _schema()
    return pa.table(
        [
            pa.DictionaryArray.from_arrays(
                pa.array(np.ascontiguousarray(named[name][0])),
                pa.array(list(map(encodable, named[name][1])), pa.string()),
            )
            if name in named
            else pa.array(np.ascontiguousarray(passes[name]))
            for name in schema.names
        ],
        schema=schema,
    )
