"""Where the bytes of a trace come from: files, compressed or not, and stdin."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

__all__ = ["READ_ERRORS", "STDIN", "open_trace", "read_chunks"]

STDIN = "-"
"""The name that stands for the standard input."""

READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError)
"""What reading a damaged, missing or forbidden file raises."""

# About a thousand lines: large enough that the calls cost nothing, small
# enough to stay in the processor's cache.
CHUNK = 256 * 1024

_GZIP_MAGIC = b"\x1f\x8b"
_XZ_MAGIC = b"\xfd7zXZ\x00"


@contextlib.contextmanager
def open_trace(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a trace for reading, and decompress it on the way.

    Yields the stream of its text and the stream of its bytes as stored (the
    same where it is not compressed), whose position tells how far reading has
    come.  Compression is recognised by the content, not by the name, so that
    it works through a pipe too.  ``-`` is the standard input, which is not
    closed.

    Raises OSError where the file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        if os.fspath(path) == STDIN:
            stored = cast("io.BufferedReader", sys.stdin.buffer)
        else:
            # A directory can be opened for reading on some systems; not here.
            stored = stack.enter_context(open(path, "rb"))  # noqa: PTH123
        magic = stored.peek(len(_XZ_MAGIC))
        text: BinaryIO = stored
        if magic.startswith(_GZIP_MAGIC):
            text = cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=stored)))
        elif magic.startswith(_XZ_MAGIC):
            text = cast("BinaryIO", stack.enter_context(lzma.LZMAFile(stored)))
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
