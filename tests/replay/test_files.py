"""Opening recordings: compressed, cut, damaged, in other formats, from a pipe."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from pathlib import Path

import pytest
from replay_support import TRACES, lines

from shrinker.replay import (
    READ_ERRORS,
    TraceReader,
    bundled_recording,
    read_events,
    replay_file,
)

COMPRESS = {"gzip": gzip.compress, "xz": lzma.compress}
CUT = "the compressed data is cut off before its end"


def test_compression_is_recognised_by_content(tmp_path: Path) -> None:
    """Plain, gzip and xz files give the same events, whatever their names."""
    text = "".join(lines()).encode()
    files = {"a": text, "b.xz": gzip.compress(text), "c.gz": lzma.compress(text)}
    expected = list(read_events(lines()))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert list(read_events(tmp_path / name)) == expected


@pytest.mark.parametrize("form", COMPRESS)
def test_cut_compressed_file_is_an_error(tmp_path: Path, form: str) -> None:
    """Wherever it is cut: in the header, the data, the checksum, a second stream.

    The text before the cut is replayed all the same.
    """
    text = "".join(lines()).encode()
    one, two = (COMPRESS[form](half) for half in (text[:5000], text[5000:]))
    path = tmp_path / "cut"
    for data, start in ((one, 0), (one + two, len(one))):
        for end in {1, 2, 3, 7, 20, len(data) // 2, *range(len(data) - 30, len(data))}:
            if not start < end < len(data):
                continue
            path.write_bytes(data[:end])
            result = replay_file(path)
            assert result.error == CUT, end
            assert result.problems[0].reason == CUT
            assert not start or result.exact > 5
    path.write_bytes(one + two)
    assert replay_file(path).exact == 71


@pytest.mark.parametrize("form", COMPRESS)
def test_streams_may_follow_each_other(tmp_path: Path, form: str) -> None:
    """As ``cat a.xz b.xz`` makes them, with the padding that xz allows."""
    text = "".join(lines()).encode()
    parts = [COMPRESS[form](text[i : i + 3000]) for i in range(0, len(text), 3000)]
    expected = list(read_events(lines()))
    for padding in (b"", b"\0" * 4, b"\0" * 100_000):
        (tmp_path / "file").write_bytes(b"".join(part + padding for part in parts))
        assert list(read_events(tmp_path / "file")) == expected


@pytest.mark.parametrize("form", COMPRESS)
def test_text_after_a_stream_is_an_error(tmp_path: Path, form: str) -> None:
    """Plain text after compressed text is reported, not dropped."""
    text = "".join(lines()).encode()
    (tmp_path / "file").write_bytes(COMPRESS[form](text) + text)
    result = replay_file(tmp_path / "file")
    assert result.exact == 71
    assert "the compressed data is followed by" in str(result.error)


_LIBRARY = "compressed with {}; to read it: pip install 'shrinker[formats]'"
_TOOL = (
    "`{}` has to print this file, and is not installed: install {}, or print it on"
    " another machine"
)


@pytest.mark.parametrize(
    ("beginning", "error"),
    [
        (b"\x28\xb5\x2f\xfd\x24\x10", _LIBRARY.format("zstd")),
        (b"\x04\x22\x4d\x18\x64", _LIBRARY.format("lz4")),
        (
            b"PERFILE2\x68",
            _TOOL.format(
                "perf script",
                "perf (Debian: linux-perf, Ubuntu: linux-tools-generic, Fedora: perf)",
            ),
        ),
        (
            b"\x17\x08\x44tracing6",
            _TOOL.format("trace-cmd report", "trace-cmd (the package has that name)"),
        ),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beginning: bytes, error: str
) -> None:
    """The error says what the file needs to be read, and what to install."""
    for name in ("compression.zstd", "backports.zstd", "lz4.frame"):
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "file").write_bytes(beginning + bytes(100))
    assert replay_file(tmp_path / "file").error == error


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` reads the standard input, decompresses it too, and leaves it open."""
    data = lzma.compress("".join(lines()).encode())
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", stdin)
    assert len(list(read_events("-"))) == 142
    assert not stdin.closed


def test_text_before_damage_is_read(tmp_path: Path) -> None:
    """A compressed file that is cut yields the lines before the cut, then raises."""
    data = (TRACES / "kswapd.txt.xz").read_bytes()
    data = data[: len(data) // 2]
    (tmp_path / "cut.xz").write_bytes(data)
    reader = TraceReader(tmp_path / "cut.xz")
    with pytest.raises(READ_ERRORS):
        list(reader)
    whole_lines = lzma.LZMADecompressor().decompress(data).count(b"\n")
    assert whole_lines > 1000
    assert reader.counts.lines == whole_lines


def test_missing_file_raises(tmp_path: Path) -> None:
    """A missing file raises an OSError, when it is read."""
    reader = TraceReader(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        list(reader)


def test_bundled_recording_ships() -> None:
    """The package holds a recording that can be read."""
    recording = bundled_recording()
    assert recording.is_file()
    assert isinstance(recording, Path)
    assert sum(1 for _ in read_events(recording)) == 11900
