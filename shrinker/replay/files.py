"""Opening recordings: files, addresses, the standard input; compressed, archives."""

from __future__ import annotations

import bz2
import contextlib
import importlib
import io
import lzma
import os
import sys
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from shrinker.replay.remote import is_address, open_address
from shrinker.replay.text import as_lines
from shrinker.replay.tools import (
    PERFETTO_ENDINGS,
    TOOLS,
    local_copy,
    perfetto_lines,
    printed_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from _typeshed import WriteableBuffer

__all__ = [
    "READ_ERRORS",
    "STDIN",
    "Recording",
    "open_recording",
    "read_chunks",
    "recordings",
]

STDIN = "-"
"""The file name that means the standard input."""

READ_ERRORS = (
    OSError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    ValueError,
)
"""What reading raises where a file is damaged, missing or forbidden."""

# About a thousand lines: large enough that the calls cost nothing, small
# enough to stay in the processor's cache.
CHUNK_BYTES = 256 * 1024
_COMPRESSED_CHUNK_BYTES = 64 * 1024

_EXTRA = "pip install 'shrinker[formats]'"


def _bzip2() -> Any:
    return bz2.BZ2Decompressor()


def _zstd() -> Any:
    # Part of Python since 3.14.
    for module in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(module).ZstdDecompressor()
    raise ValueError(f"compressed with zstd; to read it: {_EXTRA}")


def _lz4() -> Any:
    try:
        return importlib.import_module("lz4.frame").LZ4FrameDecompressor()
    except ModuleNotFoundError as exc:
        raise ValueError(f"compressed with lz4; to read it: {_EXTRA}") from exc


_DECOMPRESSORS: dict[bytes, Callable[[], Any]] = {
    # 16: with the header and the checksum of gzip.
    b"\x1f\x8b": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    b"BZh": _bzip2,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x04\x22\x4d\x18": _lz4,
}
"""Makes a decompressor for one stream, by the first bytes of the file."""
# Of the first file, or of the end of an archive without any.
_ZIP_MAGICS = b"PK\x03\x04", b"PK\x05\x06"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_BEGINNING_BYTES = 512
# An archive in a compressed file with compressed members has three.
_MAX_LAYERS = 6


class _Decompressed(io.RawIOBase):
    """The text of one or more compressed streams in a row.

    Python's own readers end silently where something else follows a stream, and
    take the padding that may follow an xz stream for damage.

    Invariant: ``_unread`` is what no decompressor has had yet; ``_inside`` is
    true until ``_decompressor`` has reached the end of its stream.
    """

    def __init__(self, stored: BinaryIO, magic: bytes, make: Callable[[], Any]) -> None:
        """Read nothing yet.  ``make`` returns a decompressor for one stream."""
        super().__init__()
        self._stored = stored
        self._magic = magic
        self._make = make
        self._decompressor = make()
        self._inside = True
        self._unread = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some of the text; return its length in bytes, 0 at the end.

        Raises EOFError where the last stream is cut, ValueError where something
        else than streams and padding follows, and what the decompressor raises.
        """
        room = memoryview(buffer).cast("B")
        while True:
            if not self._unread and self._wants_more():
                self._unread = self._stored.read(_COMPRESSED_CHUNK_BYTES)
                if not self._unread:
                    if not self._inside:
                        return 0
                    raise EOFError("the compressed data is cut off before its end")
            if not self._inside:
                self._begin_stream()
                continue
            text = self._decompress(len(room))
            if text:
                room[: len(text)] = text
                return len(text)

    def _wants_more(self) -> bool:
        return not self._inside or getattr(self._decompressor, "needs_input", True)

    def _begin_stream(self) -> None:
        self._unread = self._unread.lstrip(b"\0")
        if not self._unread:
            return
        beginning = self._unread[: len(self._magic)]
        if not self._magic.startswith(beginning):
            raise ValueError(
                "the compressed data is followed by something that is not"
                " compressed the same way"
            )
        self._decompressor = self._make()
        self._inside = True

    def _decompress(self, size: int) -> bytes:
        try:
            text: bytes = self._decompressor.decompress(self._unread, size)
        except READ_ERRORS:
            raise
        except Exception as exc:
            # Each library has exceptions of its own.
            raise ValueError(f"the compressed data is damaged: {exc}") from exc
        # zlib returns the input for which it had no room; lzma keeps it.
        self._unread = getattr(self._decompressor, "unconsumed_tail", b"")
        if self._decompressor.eof:
            self._unread = self._decompressor.unused_data
            self._inside = False
        return text


class Recording(NamedTuple):
    """A recording that can be opened."""

    member: str | None
    """Its name in an archive; None where it is the whole file."""
    opened: AbstractContextManager[tuple[BinaryIO, BinaryIO]]
    """As ``open_recording`` returns it."""


@contextlib.contextmanager
def open_recording(
    path: str | os.PathLike[str],
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a recording for reading; decompress it, or have a tool print it, on the way.

    Yields two streams: the text, as lines in UTF-8 (``text``), and the bytes as stored,
    whose position tells how much has been read (they are one stream where nothing is
    compressed).  The content decides what is compressed, not the name: so a pipe works
    too.  ``-`` is the standard input, which stays open; what has ``://`` in it is an
    address for fsspec.  Of a zip or tar archive, the only file in it is read.

    Raises OSError where the file cannot be opened, ValueError where its format needs
    something that is not installed.
    """
    with contextlib.closing(recordings(path)) as found:
        recording = next(found)
        if recording.member is not None:
            number = sum(1 for _ in recordings(path))
            if number > 1:
                raise ValueError(
                    f"an archive of {number} files; replay_files() reads each of them"
                )
        with recording.opened as opened:
            yield opened


def recordings(
    path: str | os.PathLike[str],
) -> Generator[Recording, None, None]:
    """Yield the files of an archive, or the one recording that a file is.

    Each is to be opened and read before the next is asked for: so the file is read
    once, from its beginning to its end.  Raises one of READ_ERRORS.
    """
    with contextlib.ExitStack() as stack:
        stdin = os.fspath(path) == STDIN
        if stdin and sys.stdin is None:
            raise ValueError("the standard input is closed")
        remote = is_address(path)
        if stdin:
            stored = cast("io.BufferedReader", sys.stdin.buffer)
        elif remote:
            stored = stack.enter_context(open_address(os.fspath(path), CHUNK_BYTES))
        else:
            # Not Path.open(): "" would be the current directory.
            stored = stack.enter_context(open(path, "rb"))  # noqa: PTH123
        if os.fspath(path).endswith(PERFETTO_ENDINGS):
            local = stack.enter_context(local_copy(stored)) if remote else path
            lines = perfetto_lines(local)
            yield Recording(None, contextlib.nullcontext((lines, stored)))
            return
        text = _decompressed(stored)
        # What has been read of a pipe cannot be read again.
        again = not stdin and stored.seekable()
        zipped = text.peek(_BEGINNING_BYTES).startswith(_ZIP_MAGICS)
        if not zipped and not _is_tar(text):
            whole = path if again and text is stored and not remote else None
            yield Recording(None, _opened(text, stored, whole))
            return
        if not again:
            source = "the standard input" if stdin else "a pipe"
            raise ValueError(f"an archive cannot be read from {source}: give its name")
        number = 0
        for recording in _in_zip(stored) if zipped else _in_tar(text, stored):
            number += 1
            yield recording
        if not number:
            raise ValueError("an archive without files")


def _decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    for _ in range(_MAX_LAYERS):
        beginning = stream.peek(_BEGINNING_BYTES)
        for magic, make in _DECOMPRESSORS.items():
            # A file may be cut inside these first bytes.
            if beginning and magic.startswith(beginning[: len(magic)]):
                stream = io.BufferedReader(
                    _Decompressed(stream, magic, make), CHUNK_BYTES
                )
                break
        else:
            return stream
    raise ValueError(f"compressed more than {_MAX_LAYERS} times")


def _is_tar(stream: io.BufferedReader) -> bool:
    return stream.peek(_BEGINNING_BYTES)[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def _in_zip(stored: BinaryIO) -> Iterator[Recording]:
    with zipfile.ZipFile(stored) as archive:
        for file in archive.infolist():
            if not file.is_dir():
                yield Recording(file.filename, _opened_in_zip(archive, file, stored))


@contextlib.contextmanager
def _opened_in_zip(
    archive: zipfile.ZipFile, file: zipfile.ZipInfo, stored: BinaryIO
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    try:
        inside: Any = archive.open(file)
    except (RuntimeError, NotImplementedError) as exc:
        # It is encrypted, or compressed in a way that zipfile does not know.
        raise ValueError(str(exc)) from exc
    with inside, _opened(io.BufferedReader(inside, CHUNK_BYTES), stored) as opened:
        yield opened


def _in_tar(text: BinaryIO, stored: BinaryIO) -> Iterator[Recording]:
    with tarfile.open(fileobj=text, mode="r|") as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isfile() else None
            if file is not None:
                inside = cast("io.BufferedReader", file)
                yield Recording(info.name, _opened(inside, stored))


@contextlib.contextmanager
def _opened(
    stream: io.BufferedReader,
    stored: BinaryIO,
    path: str | os.PathLike[str] | None = None,
) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield ``stream`` as lines, and ``stored``.

    ``path`` is the file that holds just what ``stream`` has; None where there is none.
    """
    text = _decompressed(stream)
    beginning = text.peek(_BEGINNING_BYTES)
    for magic, tool in TOOLS.items():
        if beginning.startswith(magic):
            with printed_by(tool, text, path) as printed:
                yield printed, stored
            return
    yield as_lines(text, beginning), stored


def read_chunks(text: BinaryIO, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the bytes of a stream, at most ``size`` at a time.

    Where a compressed stream is damaged, the text before the damage is yielded
    first; then one of READ_ERRORS is raised.
    """
    # read() would throw away what it has when the stream breaks off.
    read = getattr(text, "read1", text.read)
    while chunk := read(size):
        yield chunk
