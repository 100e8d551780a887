"""Where the bytes of a trace come from: files, compressed or not, and stdin."""

from __future__ import annotations

import contextlib
import io
import lzma
import os
import sys
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import WriteableBuffer

__all__ = ["READ_ERRORS", "STDIN", "open_trace", "read_chunks"]

STDIN = "-"
"""The name that stands for the standard input."""

READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError)
"""What reading a damaged, missing or forbidden file raises."""

# About a thousand lines: large enough that the calls cost nothing, small
# enough to stay in the processor's cache.
CHUNK = 256 * 1024
_STORED_CHUNK = 64 * 1024

_DECOMPRESSORS: dict[bytes, Callable[[], Any]] = {
    # 16: with the header and the checksum of gzip.
    b"\x1f\x8b": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}
"""By what a file begins with, for one stream each."""
_REFUSED = {
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\x04\x22\x4d\x18": "compressed with lz4; unpack it first",
    b"PERFILE2": "perf's own format; print it with `perf script` first",
    b"\x17\x08\x44tracing": "trace-cmd's own format; print it with"
    " `trace-cmd report` first",
}
"""What files begin with that are recordings, but not read here."""
_MAGIC_LENGTH = max(map(len, (*_DECOMPRESSORS, *_REFUSED)))


class _Inflated(io.RawIOBase):
    """The text of compressed streams that stand one behind the other.

    Python's own readers take whatever follows a stream and is none for its end,
    and the padding that may follow an xz stream for damage.

    Invariant: ``_waiting`` is what no decompressor has had yet; ``_inside`` says
    that ``_decompressor`` has not reached the end of its stream.
    """

    def __init__(self, stored: BinaryIO, magic: bytes, make: Callable[[], Any]) -> None:
        """Read nothing yet.  ``make`` returns a decompressor for one stream."""
        super().__init__()
        self._stored = stored
        self._magic = magic
        self._make = make
        self._decompressor = make()
        self._inside = True
        self._waiting = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some of the text; 0 is its end.

        Raises EOFError where it breaks off, ValueError where something else than
        streams and padding follows, and what the decompressor raises.
        """
        room = memoryview(buffer).cast("B")
        while True:
            if not self._waiting and self._wants_more():
                self._waiting = self._stored.read(_STORED_CHUNK)
                if not self._waiting:
                    if not self._inside:
                        return 0
                    raise EOFError(
                        "Compressed file ended before the end-of-stream marker was"
                        " reached"
                    )
            if not self._inside:
                self._begin_stream()
                continue
            text = self._inflate(len(room))
            if text:
                room[: len(text)] = text
                return len(text)

    def _wants_more(self) -> bool:
        return not self._inside or getattr(self._decompressor, "needs_input", True)

    def _begin_stream(self) -> None:
        self._waiting = self._waiting.lstrip(b"\0")
        if not self._waiting:
            return
        beginning = self._waiting[: len(self._magic)]
        if not self._magic.startswith(beginning):
            raise ValueError(
                "what follows the compressed data is not compressed the same way"
            )
        self._decompressor = self._make()
        self._inside = True

    def _inflate(self, size: int) -> bytes:
        text: bytes = self._decompressor.decompress(self._waiting, size)
        # zlib hands back what it had no room for; lzma keeps it.
        self._waiting = getattr(self._decompressor, "unconsumed_tail", b"")
        if self._decompressor.eof:
            self._waiting = self._decompressor.unused_data
            self._inside = False
        return text


@contextlib.contextmanager
def open_trace(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a trace for reading, and decompress it on the way.

    Yields the stream of its text and the stream of its bytes as stored (the
    same where it is not compressed), whose position tells how far reading has
    come.  Compression is recognised by the content, not by the name, so that
    it works through a pipe too.  ``-`` is the standard input, which is not
    closed.

    Raises OSError where the file cannot be opened, ValueError where it is a
    recording in a form that is not read here.
    """
    with contextlib.ExitStack() as stack:
        if os.fspath(path) == STDIN:
            stored = cast("io.BufferedReader", sys.stdin.buffer)
        else:
            # A directory can be opened for reading on some systems; not here.
            stored = stack.enter_context(open(path, "rb"))  # noqa: PTH123
        beginning = stored.peek(_MAGIC_LENGTH)
        for magic, reason in _REFUSED.items():
            if beginning.startswith(magic):
                raise ValueError(reason)
        text: BinaryIO = stored
        for magic, make in _DECOMPRESSORS.items():
            # A file may be cut inside this, too.
            if beginning and magic.startswith(beginning[: len(magic)]):
                text = cast("BinaryIO", _Inflated(stored, magic, make))
        yield text, stored


def read_chunks(text: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the bytes of a stream, at most ``size`` at a time.

    What precedes damage in a compressed stream is yielded before the exception
    (one of READ_ERRORS) comes.
    """
    # read() would throw away what it has when the stream breaks off.
    read = getattr(text, "read1", text.read)
    while chunk := read(size):
        yield chunk
