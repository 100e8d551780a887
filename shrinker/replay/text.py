"""Texts that are not plain lines: UTF-16, and the JSON of ``perf data convert``."""

from __future__ import annotations

import codecs
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

__all__ = ["as_lines", "stream_of"]

_CHUNK_BYTES = 64 * 1024
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_JSON_MARK = b'"linux-perf-json-version"'
_SAMPLES_MARK = '"samples"'
# Characters of one JSON sample: far more than perf writes.
_MAX_SAMPLE = 1 << 20
# What making a line of a sample raises.
_DAMAGE = ValueError, TypeError, OverflowError, RecursionError
# What stands in a sample besides the fields of its event.
_NOT_FIELDS = {"timestamp", "pid", "tid", "cpu", "comm", "callchain"}


class _Generated(io.RawIOBase):
    """The bytes that an iterator yields, as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes; return how many, 0 at the end."""
        room = memoryview(buffer).cast("B")
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        part, self._rest = self._rest[: len(room)], self._rest[len(room) :]
        room[: len(part)] = part
        return len(part)


def stream_of(pieces: Iterator[bytes]) -> BinaryIO:
    """Return the bytes that an iterator yields, as a stream."""
    return cast("BinaryIO", io.BufferedReader(_Generated(pieces)))


def as_lines(stream: BinaryIO, beginning: bytes) -> BinaryIO:
    """Return a stream of lines in UTF-8 of a stream that begins with ``beginning``.

    Raises ValueError while it is read, where JSON is damaged.
    """
    pieces: Iterator[bytes] | None = None
    for mark, encoding in _MARKS.items():
        if beginning.startswith(mark):
            pieces = _decoded(stream, encoding)
    # PowerShell writes a byte order mark, which other tools leave out.
    if beginning[1:2] == b"\0" != beginning[:1] and beginning[3:4] == b"\0":
        pieces = pieces or _decoded(stream, "utf-16-le")
    if _JSON_MARK in beginning[:256]:
        pieces = _samples(stream)
    return stream if pieces is None else stream_of(pieces)


def _read(stream: BinaryIO) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)
    while chunk := read(_CHUNK_BYTES):
        yield chunk


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in _read(stream):
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _samples(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a line for each sample, as perf script would print it."""
    parse = json.JSONDecoder().raw_decode
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text, inside = "", False
    for chunk in _read(stream):
        text += decoder.decode(chunk)
        if not inside:
            _, mark, after = text.partition(_SAMPLES_MARK)
            if not mark:
                text = text[-len(_SAMPLES_MARK) :]
                continue
            text, inside = after.lstrip(" \t\r\n:["), True
        while (text := text.lstrip(" \t\r\n,")).startswith("{"):
            try:
                sample, end = parse(text)
                line = _line(sample).encode()
            except _DAMAGE as exc:
                cut = isinstance(exc, json.JSONDecodeError) and len(text) <= _MAX_SAMPLE
                if cut:
                    break
                raise ValueError("a sample of the JSON is damaged") from exc
            yield line
            text = text[end:]
    if text.startswith("{"):
        raise ValueError("the JSON is cut off inside a sample")


def _line(sample: dict[str, Any]) -> str:
    seconds, nanoseconds = divmod(int(sample.get("timestamp", 0)), 10**9)
    fields = " ".join(
        f"{name}={value}" for name, value in sample.items() if name not in _NOT_FIELDS
    )
    kind = "end" if "unused_scan" in sample else "start"
    name = f"vmscan:mm_shrink_slab_{kind}" if "shr" in sample else "other"
    cpu = f"[{int(sample['cpu']):03}] " if "cpu" in sample else ""
    task = f"{sample.get('comm', '')} {sample.get('tid', -1)}"
    return f"{task} {cpu}{seconds}.{nanoseconds:09}: {name}: {fields}\n"
