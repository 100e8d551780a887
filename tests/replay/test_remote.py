"""Recordings at addresses that fsspec opens."""

from __future__ import annotations

import functools
import io
import lzma
import sys
import threading
import types
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from replay_support import DROP_CACHES, lines

from shrinker.replay import read_events, replay_file, replay_files
from shrinker.replay.remote import is_address


@pytest.fixture
def memory() -> Any:
    """Return fsspec's file system in memory, which is this process's."""
    fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("s3://bucket/recording.txt", True),
        ("simplecache::https://host/recording.txt", True),
        ("recording.txt", False),
        ("/data/12:30/recording.txt", False),
        ("-", False),
    ],
)
def test_what_is_an_address(name: str, *, address: bool) -> None:
    """A scheme and ://."""
    assert is_address(name) is address


def test_local_files(tmp_path: Path) -> None:
    """file:// gives what the name of the file gives."""
    pytest.importorskip("fsspec", reason="addresses need fsspec")
    expected, found = replay_file(DROP_CACHES), replay_file(DROP_CACHES.as_uri())
    assert found.file == DROP_CACHES.as_uri()
    assert (found.passes, found.exact, found.error) == (71, expected.exact, None)
    missing = replay_file((tmp_path / "missing").as_uri())
    assert missing.error == "No such file or directory"


def test_memory(memory: Any) -> None:
    """Plain, compressed and in an archive: as files."""
    text = "".join(lines()).encode()
    memory.pipe("/plain.txt", text)
    memory.pipe("/small.txt.xz", lzma.compress(text))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("a.txt", text)
        written.writestr("b.txt", text)
    memory.pipe("/two.zip", archive.getvalue())
    assert list(read_events("memory://plain.txt")) == list(read_events(lines()))
    positions: list[int] = []
    result = replay_files(
        ["memory://plain.txt", "memory://small.txt.xz", "memory://two.zip"],
        lambda _, position: positions.append(position),
    )
    assert [each.passes for each in result.files] == [71] * 4
    assert result.files[-1].file == "memory://two.zip/b.txt"
    assert max(positions) >= len(text)


def test_fsspec_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    error = replay_file("s3://bucket/recording.txt").error
    assert error == "an address; to read it: pip install 'shrinker[remote]'"


def test_what_fsspec_needs_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words say what a scheme needs."""
    pytest.importorskip("fsspec", reason="addresses need fsspec")
    for name in ("s3fs", "fsspec.implementations.http", "aiohttp"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "s3fs" in (replay_file("s3://bucket/recording.txt").error or "")
    assert "aiohttp" in (replay_file("https://host/recording.txt").error or "")
    assert "unheard" in (replay_file("unheard://recording.txt").error or "")


def test_errors_of_a_file_system(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They become the recording's error; what came before them is read."""
    text = "".join(lines()).encode()
    memory.pipe("/breaks.txt", text * 20)
    opened = memory.open("/breaks.txt", "rb")
    read = opened.read

    def breaking(size: int) -> bytes:
        if opened.tell():
            raise RuntimeError("the connection broke")
        data: bytes = read(size)
        return data

    monkeypatch.setattr(opened, "read", breaking)
    monkeypatch.setattr(memory, "_open", lambda *_, **__: opened)
    result = replay_file("memory://breaks.txt")
    assert result.error == "fsspec: the connection broke"
    assert result.passes > 71


def test_perfetto_gets_a_file(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only another program reads is copied for it."""
    memory.pipe("/boot.pftrace", b"recorded")

    def opening(trace: str) -> None:
        raise RuntimeError(Path(trace).read_text())

    module = types.SimpleNamespace(TraceProcessor=opening)
    monkeypatch.setitem(sys.modules, "perfetto.trace_processor", module)  # type: ignore[arg-type]
    error = replay_file("memory://boot.pftrace").error
    assert error == "the perfetto package failed: recorded"


def test_trace_cmd_gets_a_file(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is what trace-cmd has to print."""
    magic = b"\x17\x08\x44tracing\n"
    memory.pipe("/trace.dat", magic + "".join(lines()).encode())
    program = tmp_path / "trace-cmd"
    program.write_text('#!/bin/sh\ntail -n +2 "$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert replay_file("memory://trace.dat").passes == 71


def test_what_is_not_there(memory: Any) -> None:
    """The error says so; fsspec's own has the address alone."""
    assert not memory.exists("/none.txt")
    error = replay_file("memory://none.txt").error
    assert error == "fsspec: No such file or directory"


def test_over_http() -> None:
    """A server's file is read; what it has not, and no server, are told apart."""
    pytest.importorskip("fsspec", reason="addresses need fsspec")
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(DROP_CACHES.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            assert replay_file(f"{address}/{DROP_CACHES.name}").exact == 71
            assert "404" in (replay_file(f"{address}/none.txt").error or "")
        finally:
            server.shutdown()
            thread.join()
    error = replay_file(f"{address}/{DROP_CACHES.name}").error or ""
    assert error.startswith("fsspec: Cannot connect")
