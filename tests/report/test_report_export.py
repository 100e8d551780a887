"""Passes for other tools, and files read side by side."""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

np = pytest.importorskip("numpy", reason="the report needs numpy")

from replay_support import DROP_CACHES, NUMA_KSWAPD, TRACES
from report_support import Writer

from shrinker.report import Report

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

FILES = [DROP_CACHES, NUMA_KSWAPD, TRACES / "missing", TRACES / "memcg.txt.xz"]


def test_trace_events(tmp_path: Path) -> None:
    """Each pass is an event of its task, with its figures, and a counter."""
    writer = Writer()
    writer.add(count=4096, priority=3, scanned=128, freed=100, took_us=30)
    writer.add("other", took_us=7, comm="cc1", pid=8)
    path, out = writer.write(tmp_path), tmp_path / "out.json"
    Report.read([path, path]).write_trace_events(out)
    events = json.loads(out.read_text())["traceEvents"]
    assert {event["pid"] for event in events} == {1, 2}
    names = [e["args"]["name"] for e in events if e["ph"] == "M" and e["pid"] == 1]
    assert sorted(names) == sorted([str(path), "direct: cc1", "kswapd"])
    first, second = (e for e in events if e["ph"] == "X" and e["pid"] == 1)
    assert (first["name"], first["tid"]) == ("fake_scan", 45)
    assert (first["ts"], first["dur"]) == (1_000_000, 30)
    assert first["args"]["scanned"] == 128
    assert (first["args"]["start_line"], first["args"]["end_line"]) == (1, 2)
    assert (second["name"], second["tid"], second["dur"]) == ("other", 8, 7)
    counters = [e for e in events if e["ph"] == "C" and e["pid"] == 1]
    assert counters[0]["args"] == {"deferred": first["args"]["deferred"]}


def test_trace_events_without_passes(tmp_path: Path) -> None:
    """The file is whole without passes, too."""
    out = tmp_path / "out.json"
    Report(()).write_trace_events(out)
    assert json.loads(out.read_text())["traceEvents"] == []


def test_parquet(tmp_path: Path) -> None:
    """Each pass is a row, with the names of its shrinker and caller."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="it is pyarrow's format")
    report = Report.read([DROP_CACHES, NUMA_KSWAPD])
    out = tmp_path / "out.parquet"
    report.write_parquet(out)
    table = parquet.read_table(out)
    assert table.num_rows == 71 + 19_944
    first, second = report.recordings
    assert table["recording"].to_pylist() == [first.name] * 71 + [second.name] * 19_944
    for name in ("shrinker", "caller"):
        texts = [
            getattr(recording, f"{name}s")[number]
            for recording in report.recordings
            for number in recording.passes[name]
        ]
        assert table[name].to_pylist() == texts
    freed = np.concatenate([recording.passes["freed"] for recording in (first, second)])
    assert table["freed"].to_numpy().tolist() == freed.tolist()


def test_parquet_of_a_name_that_utf_8_cannot_hold(tmp_path: Path) -> None:
    """Other bytes in the name of the recording are escaped."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="it is pyarrow's format")
    path = tmp_path / os.fsdecode(b"\xff\n.txt.xz")
    path.write_bytes(DROP_CACHES.read_bytes())
    out = tmp_path / "out.parquet"
    Report.read([path]).write_parquet(out)
    names = set(parquet.read_table(out)["recording"].to_pylist())
    assert names == {f"{tmp_path}/\\udcff\n.txt.xz"}


def same(one: Report, other: Report) -> bool:
    rows = (
        one.rows("shrinker", "node", "caller"),
        other.rows("shrinker", "node", "caller"),
    )
    errors = [[each.replay.error for each in r.recordings] for r in (one, other)]
    return (
        rows[0] == rows[1]
        and one.findings == other.findings
        and (errors[0] == errors[1])
    )


def test_side_by_side() -> None:
    """An executor gives the same report, in the order of the files."""
    alone = Report.read(FILES)
    with ThreadPoolExecutor(2) as threads:
        assert same(alone, Report.read(FILES, executor=threads))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as processes:
        assert same(alone, Report.read(FILES, executor=processes))


def test_dask() -> None:
    """Two workers of a Dask cluster give the same report."""
    distributed = pytest.importorskip("distributed", reason="Dask is not here")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor: Executor = client.get_executor()
        assert same(Report.read(FILES), Report.read(FILES, executor=executor))
        # Dask needs fsspec itself.
        addresses = [path.as_uri() for path in FILES]
        remote = Report.read(addresses, executor=executor)
        assert same(Report.read(addresses), remote)
        assert len(remote.recordings[0].passes) > 0


def test_command(tmp_path: Path) -> None:
    """--trace-events writes its file; --jobs changes nothing but the processes."""
    pytest.importorskip("click", reason="the command line needs click")
    pytest.importorskip("rich", reason="the command line prints with rich")
    from cli_support import run  # noqa: PLC0415 - only here

    out = tmp_path / "out.json"
    files = (DROP_CACHES, TRACES / "perf_script.txt.xz")
    one = run("report", "--csv", "--trace-events", out, "--jobs", "1", *files)
    assert one.returncode == 0
    assert len(json.loads(out.read_text())["traceEvents"]) > 2 * (71 + 60)
    assert run("report", "--csv", "--jobs", "2", *files).stdout == one.stdout


def test_command_exports_both_sides(tmp_path: Path) -> None:
    """--trace-events of a comparison has the files after -- as well."""
    pytest.importorskip("click", reason="the command line needs click")
    pytest.importorskip("rich", reason="the command line prints with rich")
    from cli_support import run  # noqa: PLC0415 - only here

    out = tmp_path / "out.json"
    old, new = DROP_CACHES, TRACES / "perf_script.txt.xz"
    assert run("report", "--trace-events", out, old, "--", new).returncode == 0
    events = json.loads(out.read_text())["traceEvents"]
    named = [e["args"]["name"] for e in events if e["name"] == "process_name"]
    assert named == [str(old), str(new)]


def test_how_many_jobs(tmp_path: Path) -> None:
    """A process for each 4 MB and file; none for little, and none beside stdin."""
    pytest.importorskip("rich", reason="the command line prints with rich")
    from shrinker.cli.report import executor  # noqa: PLC0415 - only here

    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    for files, jobs, used in (
        ([str(DROP_CACHES)] * 5, None, False),
        ([str(DROP_CACHES), str(tmp_path / "missing")], 2, True),
        ([str(DROP_CACHES)], 2, False),
        ([str(large), "-"], None, False),
    ):
        with executor(files, jobs, None) as pool:
            assert (pool is not None) == used
