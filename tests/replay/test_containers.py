"""Archives, more compressions, and recordings that other tools print."""

from __future__ import annotations

import bz2
import functools
import gzip
import importlib
import io
import lzma
import os
import sys
import tarfile
import types
import zipfile
from typing import TYPE_CHECKING, Any, Self

import pytest
from replay_support import DROP_CACHES, ORPHAN_START, lines

from shrinker.replay import files, read_events, replay_file, replay_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEXT = "".join(lines()).encode()
PERF = b"PERFILE2" + bytes(100)


def test_bzip2(tmp_path: Path) -> None:
    """Streams of bzip2, one after the other."""
    half = TEXT.index(b"\n", len(TEXT) // 2) + 1
    path = tmp_path / "file"
    path.write_bytes(bz2.compress(TEXT[:half]) + bz2.compress(TEXT[half:]))
    assert replay_file(path).exact == 71
    path.write_bytes(bz2.compress(TEXT)[:-9])
    assert "cut off" in str(replay_file(path).error)


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_libraries_of_the_extra(tmp_path: Path, name: str) -> None:
    """Streams of zstd and lz4, and damaged ones."""
    if name == "lz4":
        compress = functools.partial(
            pytest.importorskip("lz4.frame").compress, content_checksum=True
        )
    elif sys.version_info >= (3, 14):
        compress = importlib.import_module("compression.zstd").compress
    else:
        compress = pytest.importorskip("backports.zstd").compress
    path = tmp_path / "file"
    path.write_bytes(compress(TEXT[:5000]) + compress(TEXT[5000:]))
    assert replay_file(path).exact == 71
    damaged = bytearray(compress(TEXT))
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    assert replay_file(path).error
    path.write_bytes(compress(TEXT)[:-7])
    assert replay_file(path).error


def write_tar(path: Path, files: dict[str, bytes], mode: str) -> None:
    """Write an archive with a directory and files."""
    with tarfile.open(path, mode) as tar:
        directory = tarfile.TarInfo("traces")
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        for name, data in files.items():
            info = tarfile.TarInfo(f"traces/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_zip(path: Path, files: dict[str, bytes], _mode: str) -> None:
    """Write an archive with a directory and files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("traces")
        for name, data in files.items():
            archive.writestr(f"traces/{name}", data)


ARCHIVES: list[tuple[Callable[[Path, dict[str, bytes], str], None], str]] = [
    (write_zip, ""),
    (write_tar, "w:"),
    (write_tar, "w:gz"),
    (write_tar, "w:xz"),
    (write_tar, "w:bz2"),
]


@pytest.mark.parametrize(("write", "mode"), ARCHIVES)
def test_archives(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes], str], None], mode: str
) -> None:
    """Each file of an archive is a recording, compressed or not."""
    path = tmp_path / "archive"
    write(path, {"one": TEXT}, mode)
    assert replay_file(path).exact == 71
    assert list(read_events(path)) == list(read_events(DROP_CACHES))
    write(path, {"one": TEXT, "two.gz": gzip.compress(TEXT), "three": b"hello"}, mode)
    result = replay_files([path])
    names = [f"{path}/traces/{name}" for name in ("one", "two.gz", "three")]
    assert [file.file for file in result.files] == names
    assert [file.exact for file in result.files] == [71, 71, 0]
    assert result.files[2].error == "not a recording: no line is an event"
    assert "an archive of 3 files" in str(replay_file(path).error)


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_is_read_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, dict[str, bytes], str], None],
) -> None:
    """However many files it has: else the cost would grow with their square."""
    path = tmp_path / "archive"
    write(path, {f"{number}": TEXT for number in range(5)}, "w:gz")
    opened = []

    def count(*arguments: Any) -> Any:
        opened.append(arguments)
        return open(*arguments)  # noqa: PTH123 - the caller closes it

    monkeypatch.setattr(files, "open", count, raising=False)
    assert replay_files([path]).total.exact == 5 * 71
    assert opened == [(path, "rb")]


def test_a_cut_archive(tmp_path: Path) -> None:
    """What comes before the cut is replayed; then the archive is said to be damaged."""
    path = tmp_path / "archive"
    write_tar(path, {"one": TEXT, "two": TEXT}, "w:")
    path.write_bytes(path.read_bytes()[: -len(TEXT) // 2])
    whole, *_, cut = replay_files([path]).files
    assert (whole.exact, whole.error) == (71, None)
    assert cut.error


@pytest.mark.parametrize(("write", "mode"), ARCHIVES)
def test_an_archive_without_files(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes], str], None], mode: str
) -> None:
    """It is named, not passed over: one with a directory only, one with nothing."""
    path = tmp_path / "archive"
    write(path, {}, mode)
    for result in (replay_file(path), *replay_files([path]).files):
        assert (result.file, result.error) == (str(path), "an archive without files")
    if write is write_zip:
        zipfile.ZipFile(path, "w").close()
    else:
        tarfile.open(path, mode).close()  # type: ignore[call-overload]
    for result in (replay_file(path), *replay_files([path]).files):
        assert result.file == str(path)
        assert str(result.error).startswith("an archive without files")


def test_zero_bytes_before_a_recording(tmp_path: Path) -> None:
    """They are no empty archive: what follows is read."""
    path = tmp_path / "recording"
    path.write_bytes(bytes(32 * 1024) + b"\n" + TEXT)
    result = replay_file(path)
    assert (result.exact, result.error) == (71, None)


@pytest.mark.parametrize("data", [TEXT[:4000], gzip.compress(TEXT)])
def test_a_pipe_is_a_file(tmp_path: Path, data: bytes) -> None:
    """As a shell's <(command) names it; what is in it can be read only once."""
    assert len(data) <= 4096, "the least that a pipe holds"
    path = tmp_path / "file"
    path.write_bytes(data)
    expected = list(read_events(path))
    for replay in (replay_file, lambda path: replay_files([path]).files[0]):
        reading, writing = os.pipe()
        try:
            os.write(writing, data)
            os.close(writing)
            result = replay(f"/dev/fd/{reading}")
        finally:
            os.close(reading)
        assert (result.events, result.error) == (len(expected), None)


def test_perf_data_in_a_pipe(tool: Callable[[str, str], None]) -> None:
    """``perf script`` gets a copy of all of it; an archive in a pipe is refused."""
    tool("perf", f'[ "$(wc -c < "${{6}}")" = {len(PERF)} ] && echo {ORPHAN_START!r}')
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("one", "")
    results = []
    for data in (PERF, archive.getvalue()):
        reading, writing = os.pipe()
        try:
            os.write(writing, data)
            os.close(writing)
            results.append(replay_file(f"/dev/fd/{reading}"))
        finally:
            os.close(reading)
    assert results[0].orphan_starts == 1
    error = "an archive cannot be read from a pipe: give its name"
    assert results[1].error == error


def test_damaged_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with an archive is one line; the standard input is refused."""
    path = tmp_path / "archive"
    write_zip(path, {"one": TEXT}, "")
    data = path.read_bytes()
    path.write_bytes(data[:500])
    assert "zip" in str(replay_files([path]).files[0].error)
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", stdin)
    error = str(replay_files(["-"]).files[0].error)
    assert error == "an archive cannot be read from the standard input: give its name"
    write_tar(path, {"one": TEXT}, "w:")
    path.write_bytes(path.read_bytes()[:4000])
    assert replay_files([path]).files[0].error


def test_too_many_layers(tmp_path: Path) -> None:
    """A file that is compressed again and again is given up."""
    data = TEXT
    for _ in range(8):
        data = lzma.compress(data)
    (tmp_path / "file").write_bytes(data)
    assert "more than 6 times" in str(replay_file(tmp_path / "file").error)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a program of a name and a text of sh in the place of all others."""
    directory = tmp_path / "bin"
    directory.mkdir()

    def make(name: str, script: str) -> None:
        program = directory / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")

    return make


def test_perf_data_is_printed_by_perf(
    tmp_path: Path, tool: Callable[[str, str], None]
) -> None:
    """``perf script`` gets the file, a copy of it where it is compressed or a pipe."""
    text = tmp_path / "text"
    text.write_bytes(TEXT)
    tool(
        "perf",
        f'[ "$1" = script ] && head -c 8 "${{6}}" | grep -q PERFILE2 && cat {text}',
    )
    path = tmp_path / "perf.data"
    path.write_bytes(PERF)
    assert replay_file(path).exact == 71
    path.write_bytes(gzip.compress(PERF))
    assert replay_file(path).exact == 71


def test_trace_dat_is_printed_by_trace_cmd(
    tmp_path: Path, tool: Callable[[str, str], None]
) -> None:
    """What the tool complains about is the error; text before it is replayed."""
    text = tmp_path / "text"
    text.write_bytes(TEXT)
    tool("trace-cmd", f"cat {text}; echo first >&2; echo no such page >&2; exit 3")
    path = tmp_path / "trace.dat"
    path.write_bytes(b"\x17\x08\x44tracing6" + bytes(100))
    result = replay_file(path)
    assert result.exact == 71
    assert result.error is not None
    assert result.error.endswith("trace-cmd report failed: no such page")


def test_a_tool_that_is_not_waited_for_is_ended(
    tmp_path: Path, tool: Callable[[str, str], None]
) -> None:
    """A reader that is given up early ends the tool."""
    text = tmp_path / "text"
    text.write_bytes(TEXT)
    number = tmp_path / "pid"
    tool("perf", f"echo $$ > {number}; while cat {text}; do :; done")
    path = tmp_path / "perf.data"
    path.write_bytes(PERF)
    events: Iterator[Any] = iter(read_events(path))
    next(events)
    events.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_perfetto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of a Perfetto trace come from its own package."""
    path = tmp_path / "boot.pftrace"
    path.write_bytes(bytes(10))
    monkeypatch.setitem(sys.modules, "perfetto.trace_processor", None)  # type: ignore[arg-type]
    assert "shrinker[perfetto]" in str(replay_file(path).error)
    start = "shr=255 shrink=90 nr_objects_to_shrink=0 gfp_flags=3264 cache_items=8"
    payloads = [
        f"{start} delta=16 total_scan=16 priority=0 nid=0",
        "shr=255 shrink=90 unused_scan=0 new_scan=0 total_scan=0 nid=0 retval=8",
    ]

    class Trace:
        def __init__(self, trace: str) -> None:
            assert trace == str(path)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def query(self, sql: str) -> list[Any]:
            if "from args" not in sql:
                names = ("mm_shrink_slab_start", "mm_shrink_slab_end")
                return [
                    types.SimpleNamespace(
                        ts=n, cpu=1, name=name, arg_set_id=n, tid=7, comm="kswapd0"
                    )
                    for n, name in enumerate(names)
                ]
            fields = payloads[int(sql.rpartition(" ")[2])].split()
            return [
                types.SimpleNamespace(
                    key=field.partition("=")[0], display_value=field.partition("=")[2]
                )
                for field in fields
            ]

    module = types.SimpleNamespace(TraceProcessor=Trace)
    monkeypatch.setitem(sys.modules, "perfetto.trace_processor", module)  # type: ignore[arg-type]
    result = replay_file(path)
    assert (result.passes, result.exact, result.error) == (1, 1, None)
    payloads.clear()
    assert "the perfetto package failed" in str(replay_file(path).error)
