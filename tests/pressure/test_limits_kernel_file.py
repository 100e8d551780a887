"""``KernelFile``: read again and again, without giving the GIL up."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from pressure_support import FakeSource

from shrinker.pressure.limits import kernel_file
from shrinker.pressure.limits.kernel_file import (
    KernelFile,
    _calls_with_gil,
    drain_eventfd,
    pread,
    pwrite,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_keep_the_gil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``os.pread`` gives it up, functions of a ``PyDLL`` do not."""
    path = tmp_path / "memory.current"
    path.write_text("4096\n")
    file = KernelFile(path)

    def gives_up(*_: object) -> bytes:
        raise AssertionError("the GIL would be given up")

    for name in ("pread", "pwrite", "eventfd_read"):
        monkeypatch.setattr(os, name, gives_up)
    assert file.value() == 4096
    with path.open("r+b") as plain:
        assert pwrite(plain.fileno(), b"7\0\n", 2) == 3
        assert pread(plain.fileno(), 100, 1) == b"07\0\n"
    eventfd = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    assert drain_eventfd(eventfd)
    os.close(eventfd)


def test_slow_files_give_the_gil_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three slow reads in a row, other threads may run during the next."""
    path = tmp_path / "memory.stat"
    path.write_text("1\n")
    file = KernelFile(path)
    quick = 0

    class Slow:
        def pread(self, *_: int) -> bytes:
            nonlocal quick
            quick += 1
            end = time.perf_counter() + 2 * kernel_file._SLOW_READ_SECONDS
            while time.perf_counter() < end:
                pass
            return b"7\n"

    monkeypatch.setattr(kernel_file, "_calls_with_gil", Slow)
    assert [file.value() for _ in range(5)] == [7, 7, 7, 1, 1]
    assert quick == 3


@pytest.mark.parametrize("quick", [True, False])
def test_with_and_without_ctypes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    """Both ways read the same, and raise the same."""
    if not quick:
        monkeypatch.setattr(kernel_file, "_calls_with_gil", lambda: None)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert KernelFile(path).read() == b"x" * 100_000
    with pytest.raises(IsADirectoryError):
        KernelFile(tmp_path).read()
    eventfd = os.eventfd(3, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    assert drain_eventfd(eventfd)
    assert not drain_eventfd(eventfd)
    os.close(eventfd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        drain_eventfd(eventfd)
    with path.open("r+b") as plain:
        assert pwrite(plain.fileno(), b"yz", 1) == 2
        assert pread(plain.fileno(), 4, 0) == b"xyzx"
    with pytest.raises(OSError, match="Bad file descriptor"):
        pread(-1, 1, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        pwrite(-1, b"1", 0)


def test_no_ctypes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read and eventfds drained without it."""
    _calls_with_gil.cache_clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ctypes", None)
        assert _calls_with_gil() is None
        path = tmp_path / "file"
        path.write_text("42\n")
        assert KernelFile(path).value() == 42
        with FakeSource() as source:
            descriptor = source.fileno()
            assert descriptor is not None
            assert not drain_eventfd(descriptor)
            source.say()
            assert drain_eventfd(descriptor)
    _calls_with_gil.cache_clear()
