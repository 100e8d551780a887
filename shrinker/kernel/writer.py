"""Writing a recording as it comes: compressed as its name says."""

from __future__ import annotations

import lzma
import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STDOUT", "Writer", "check_name"]

STDOUT = "-"
"""The file name that means the standard output."""

# A file of events is compressed to a 15th by the quickest levels already, and what
# takes long here is lost there.
_GZIP_LEVEL, _XZ_PRESET = 3, 0
_WITH_GZIP_HEADER = 31
_OTHER_COMPRESSION = {".bz2", ".lz4", ".zip", ".zst", ".tar", ".tgz", ".7z"}


class _Plain:
    """Compresses nothing."""

    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


_COMPRESSORS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.compressobj(_GZIP_LEVEL, wbits=_WITH_GZIP_HEADER),
    ".xz": lambda: lzma.LZMACompressor(preset=_XZ_PRESET),
}


def check_name(name: str) -> None:
    """Raise ValueError where the name promises what a Writer cannot write."""
    suffix = Path(name).suffix.lower()
    if suffix in _OTHER_COMPRESSION:
        raise ValueError(
            f"{suffix} cannot be written: name it .txt, .txt.gz or .txt.xz"
        )


class Writer:
    """A new file, written in order; ``with`` closes it.

    gzip and xz by the name's end, else plain text; ``-`` is the standard output, plain.
    """

    def __init__(self, name: str) -> None:
        """Make the file, or empty it.  Raises OSError."""
        self.name = name
        self.stored_bytes = 0
        """Bytes of the file so far."""
        suffix = Path(name).suffix.lower()
        self._compressor = _COMPRESSORS.get(suffix, _Plain)()
        if name == STDOUT:
            self._descriptor = os.dup(sys.stdout.fileno())
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            # What tasks do is not for everyone to read.
            self._descriptor = os.open(name, flags, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._store(self._compressor.flush())
        finally:
            os.close(self._descriptor)

    def write(self, text: bytes) -> None:
        """Write text.  Raises OSError, for example where the disk is full."""
        self._store(self._compressor.compress(text))

    def flush(self) -> None:
        """Store all that was written so far, so that a kill loses none of it.

        Of xz it stores whole blocks only: xz cannot be continued after a flush.
        """
        if hasattr(self._compressor, "copy"):  # zlib's
            self._store(self._compressor.flush(zlib.Z_SYNC_FLUSH))

    def _store(self, data: bytes) -> None:
        self.stored_bytes += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as exc:
            if self.name != STDOUT:
                exc.filename = self.name
            raise
