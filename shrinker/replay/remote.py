"""Recordings at addresses (s3://, https://, ...), which fsspec opens."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

__all__ = ["is_address", "open_address"]

# file:///tmp/x, s3://bucket/key, and several in a row: simplecache::https://...
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")


def is_address(path: str | os.PathLike[str]) -> bool:
    """Return whether ``path`` is an address, and not the name of a file."""
    return _ADDRESS.match(os.fspath(path)) is not None


class _Fetched(io.RawIOBase):
    """What fsspec has opened.  Each error is an OSError or a ValueError."""

    def __init__(self, source: Any, opened: Any) -> None:
        super().__init__()
        self._source = source  # fsspec wants it kept while the file is open.
        self._opened = opened

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return whether it can be read from elsewhere, as archives need it."""
        with _translated():
            return bool(self._opened.seekable())

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes; return their number, 0 at the end."""
        room = memoryview(buffer).cast("B")
        with _translated():
            data: bytes = self._opened.read(len(room))
        room[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place; return it."""
        with _translated():
            return int(self._opened.seek(offset, whence))

    def tell(self) -> int:
        """Return the place from which the next bytes come."""
        with _translated():
            return int(self._opened.tell())

    def close(self) -> None:
        """Close what was opened."""
        try:
            if not self.closed:
                with _translated():
                    self._opened.close()
        finally:
            super().close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        # That of fsspec says the address, and nothing of what happened.
        if exc.errno is None:
            why = str(exc.__cause__ or "") or os.strerror(errno.ENOENT)
            raise ValueError(f"fsspec: {why}") from exc
        raise
    except (OSError, ValueError):
        raise
    except Exception as exc:
        # Each file system of fsspec has exceptions of its own.
        raise ValueError(f"fsspec: {exc or type(exc).__name__}") from exc


def open_address(address: str, buffer_bytes: int) -> io.BufferedReader:
    """Open an address for reading.

    Raises OSError, and ValueError where fsspec, or what it needs for the address, is
    not installed.
    """
    try:
        fsspec: Any = importlib.import_module("fsspec")
    except ModuleNotFoundError as exc:
        raise ValueError(
            "an address; to read it: pip install 'shrinker[remote]'"
        ) from exc
    with _translated():
        source = fsspec.open(address, "rb")
        opened = source.open()
    return io.BufferedReader(_Fetched(source, opened), buffer_bytes)
