"""``Table``: the shared memory in which the workers under one limit find each other.

It is a file in ``/dev/shm``, else in ``$XDG_RUNTIME_DIR``, else memory that only forked
children share (*private*).  A header says what it is; behind it there is a slot for
each worker.  Children of a fork inherit the open file.

- A slot has one writer: the worker that claimed it.  A slot is written in one call and
  carries a checksum, so a torn one is noticed, and passed over.
- A claim takes a lock on the file, for a moment; the kernel lets it go when its holder
  dies.  While a stopped process holds it, newcomers get no slot; the others go on.
- A slot whose process is gone is free: no such pid, or one that started at another
  time, or a zombie.  A worker that finds another one in its slot claims a new one.
- Nothing that is read is believed without a check: the header must be the expected
  bytes, numbers must be in range.

The file is read and written, not mapped: a mapping of a file that someone truncates
kills the process that touches it (SIGBUS).  Both take microseconds and keep the GIL:
once given up, it would come back too late (``kernel_file``).  Only a plain file of this
user with mode 0600 and one name is opened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import stat
import struct
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from shrinker.pressure.limits.kernel_file import pread, pwrite
from shrinker.pressure.shared.shares import Member, Shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Owner",
    "Table",
    "TableError",
    "directories",
    "is_alive",
    "open_private",
    "open_shared",
    "pid_namespace",
    "start_time",
    "tables",
]

MAGIC = b"SHRWRKRS"
VERSION = 1
SLOTS = 128
_HEADER = struct.Struct("<8sIIII160sQ52xI")
"""Magic, version, bytes of the header, slots, bytes of a slot, label, inode of the PID
namespace (0: unknown), CRC-32."""
_SLOT = struct.Struct("<I?3xQQQdQddQQddQQQQQQdd32x")
"""CRC-32 of the rest, then the fields of ``Owner`` and ``Member``.  Reserved behind
them: refaults, learned seeks, seconds of the TTL, and 32 bytes."""
_CHECKSUMS = struct.Struct("<" + f"I{_SLOT.size - 4}x" * SLOTS)
_RESERVED = (0, 0.0, 0.0)
FILE_BYTES = _HEADER.size + SLOTS * _SLOT.size
_LABEL_BYTES = 160
_EMPTY = bytes(_SLOT.size)
CLAIM_ATTEMPTS = 20
"""Tries to get the lock, a millisecond apart."""
MAX_NUMBER = 1 << 53
"""No counter and no number of bytes is larger."""
MAX_SECONDS = 1e12
MAX_SEEKS = float(1 << 31)
PREFIX = "shrinker-workers"
MAX_UNUSED_SECONDS = 3600.0
"""A worker writes its slot at each look, every few seconds.  A table that was not
written for longer is removed, also one whose processes cannot be looked up here."""


class TableError(Exception):
    """The file is not a table, or not one to be trusted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """Whose a slot is."""

    pid: int
    start: int
    """When the process started, in ticks since the machine did."""
    nonce: int
    """Tells the workers of one process apart."""


def start_time(pid: int) -> int:
    """Return the start time of a process; 0 for a missing one or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = text.rpartition(b")")[2].split()  # The name may contain anything.
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):  # noqa: PLR2004 - proc(5)
        return 0
    return int(fields[19])


def is_alive(owner: Owner) -> bool:
    """Return whether the process that claimed a slot still exists."""
    return start_time(owner.pid) == owner.start != 0


def pid_namespace() -> int:
    """Return the inode of this process's PID namespace.

    A process in another one looks dead from here.  Raises ``OSError``.
    """
    return Path("/proc/self/ns/pid").stat().st_ino


def directories() -> Iterator[Path]:
    """Return where tables may be, the best first."""
    yield Path("/dev/shm")  # noqa: S108 - each file is checked
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        yield Path(runtime)


def _name(key: str) -> str:
    digest = hashlib.sha256(f"{VERSION} {key}".encode("utf-8", "surrogateescape"))
    return f"{PREFIX}-{os.geteuid()}-{digest.hexdigest()[:24]}"


def open_shared(key: str, label: str) -> tuple[Table | None, list[str]]:
    """Open the table named by a key, or make it; returns also what went wrong.

    ``label`` is for people.  The table is None where no directory works.
    """
    problems: list[str] = []
    for directory in directories():
        path = directory / _name(key)
        try:
            is_new = not path.exists()
            table = Table(_open(path, create=True), label, path)
        except (OSError, TableError) as error:
            problems.append(f"{path}: {error}")
            continue
        if is_new:
            _remove_left(path)
        return table, problems
    return None, problems


def _remove_left(new: Path) -> None:
    """Remove the tables beside a new one that killed workers have left.

    A worker that still uses one notices by ``Table.removed``.
    """
    oldest = time.time() - MAX_UNUSED_SECONDS
    for path in new.parent.glob(f"{PREFIX}-{os.geteuid()}-*"):
        if path == new:
            continue
        with contextlib.suppress(OSError, TableError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mtime < oldest:
                path.unlink()
                continue
            table = Table(_open(path, create=False), None, path)
            try:
                table.remove_if_left()
            finally:
                table.close()


def open_private(label: str) -> Table:
    """Make a table that only this process and its forked children have.

    Raises ``OSError``.
    """
    return Table(os.memfd_create(PREFIX, os.MFD_CLOEXEC), label, None)


def tables() -> Iterator[Table]:
    """Open the tables of this user that there are, for reading."""
    for directory in directories():
        for path in sorted(directory.glob(f"{PREFIX}-{os.geteuid()}-*")):
            with contextlib.suppress(OSError, TableError):
                yield Table(_open(path, create=False), None, path)


def _open(path: Path, *, create: bool) -> int:
    """Open a file that may be trusted; raises ``OSError`` or ``TableError``."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags | (os.O_CREAT if create else 0), 0o600)
    try:
        _check_file(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(descriptor: int) -> os.stat_result:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise TableError("not a plain file")
    if found.st_uid != os.geteuid():
        raise TableError(f"it belongs to user {found.st_uid}, not {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) != 0o600:  # noqa: PLR2004 - as it was made
        raise TableError(f"its mode is {stat.S_IMODE(found.st_mode):o}, not 600")
    if found.st_nlink != 1:
        raise TableError(f"it has {found.st_nlink} names, not 1")
    return found


class Table:
    """An open table.  May be used from several threads, and in children of a fork.

    ``label`` None only reads: an empty file is then an error.  Owns ``descriptor``.
    Raises ``TableError`` for anything that is not a table, and ``OSError``.
    """

    def __init__(
        self,
        descriptor: int,
        label: str | None,
        path: Path | None,
        *,
        alive: Callable[[Owner], bool] = is_alive,
    ) -> None:
        self._descriptor = descriptor
        self.path = path
        """None where it is private."""
        self.alive = alive
        try:
            if label is not None and os.fstat(descriptor).st_size == 0:
                with self._locked() as locked:
                    if locked:
                        self._make(label)
            header = os.pread(descriptor, _HEADER.size, 0)
            if label is not None and header == bytes(_HEADER.size):
                # Its maker was killed in the middle.
                with self._locked() as locked:
                    if locked:
                        self._make(label)
                header = os.pread(descriptor, _HEADER.size, 0)
            self.label, self._namespace = self._check_header(header)
            self._header = header
            self.read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it.  Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self.close()

    def removed(self) -> bool:
        """Return whether its file has no name any more, so newcomers use another."""
        return self.path is not None and os.fstat(self._descriptor).st_nlink == 0

    # --- slots ------------------------------------------------------------

    def read(self) -> list[tuple[int, Owner, Member]]:
        """Return the slots in use that can be read; also those of dead processes.

        Raises ``TableError`` where the file is not the table any more.
        """
        data = pread(self._descriptor, FILE_BYTES + 1, 0)
        if len(data) != FILE_BYTES:
            raise TableError(f"it has {len(data)} bytes or more, not {FILE_BYTES}")
        if hasattr(self, "_header") and not data.startswith(self._header):
            raise TableError("its header has changed")
        found = []
        for index, crc in enumerate(_CHECKSUMS.unpack_from(data, _HEADER.size)):
            if not crc:
                continue
            at = _HEADER.size + index * _SLOT.size
            read = _unpack(data[at : at + _SLOT.size])
            if read is not None:
                found.append((index, *read))
        return found

    def members(self, but: Owner | None = None) -> list[tuple[Owner, Member]]:
        """Return the living workers, without the owner ``but``."""
        return [
            (owner, member)
            for _, owner, member in self.read()
            if owner != but and self.alive(owner)
        ]

    def claim(self, owner: Owner) -> int | None:
        """Return the slot of a worker, a free one if it has none; None if all are used.

        Also None while another process holds the lock.
        """
        with self._locked() as locked:
            if not locked:
                return None
            free = set(range(SLOTS))
            for index, other, _ in self.read():
                if other == owner:
                    return index
                if self.alive(other):
                    free.discard(index)
            if not free:
                return None
            index = min(free)
            self.write(index, owner, Member())
            return index

    def write(self, index: int, owner: Owner, member: Member) -> None:
        """Write a slot, which must be the writer's own."""
        pwrite(self._descriptor, _pack(owner, member), self._offset(index))

    def release(self, index: int, owner: Owner) -> None:
        """Give a slot back, if it is the owner's; remove the file with the last one."""
        with self._locked() as locked:
            others = [slot for slot in self.read() if slot[1] != owner]
            if all(slot[0] != index for slot in others):
                os.pwrite(self._descriptor, _EMPTY, self._offset(index))
            if locked and not any(self.alive(other) for _, other, _ in others):
                self._remove()

    def remove_if_left(self) -> None:
        """Remove the file if its workers can be looked up here, and none lives."""
        if self._namespace != pid_namespace():
            return
        with self._locked() as locked:
            if locked and not any(self.alive(owner) for _, owner, _ in self.read()):
                self._remove()

    def _remove(self) -> None:
        """Remove the file, if it still is the one with that name.

        A newcomer that has opened it meanwhile finds out by ``removed()``.
        """
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            named, own = os.lstat(self.path), os.fstat(self._descriptor)
            if (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino):
                self.path.unlink()

    def _offset(self, index: int) -> int:
        return _HEADER.size + index * _SLOT.size

    # --- the file ---------------------------------------------------------

    def _make(self, label: str) -> None:
        """Make an empty table, unless another process has.  Needs the lock."""
        header = os.pread(self._descriptor, _HEADER.size, 0)
        if header.strip(b"\0"):
            return
        # Takes the memory now: a full file system is an error here, not later.
        os.posix_fallocate(self._descriptor, 0, FILE_BYTES)
        os.pwrite(self._descriptor, _header(label), 0)

    @staticmethod
    def _check_header(header: bytes) -> tuple[str, int]:
        """Return the label and the PID namespace."""
        if len(header) < _HEADER.size or not header.startswith(MAGIC):
            raise TableError("not a table of workers")
        fields = _HEADER.unpack(header)
        magic, version, size, slots, slot_size, label, namespace, crc = fields
        if (version, size, slots, slot_size) != (
            VERSION,
            _HEADER.size,
            SLOTS,
            _SLOT.size,
        ):
            raise TableError(
                f"it has format {version}, {slots} slots of {slot_size} bytes; expected"
                f" {VERSION}, {SLOTS} of {_SLOT.size}"
            )
        if crc != zlib.crc32(header[: _HEADER.size - 4]) or magic != MAGIC:
            raise TableError("its header is damaged")
        text: bytes = label.rstrip(b"\0")
        return text.decode("utf-8", "replace"), namespace

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the lock; yields False where that took too long."""
        locked = False
        for _ in range(CLAIM_ATTEMPTS):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            except OSError:
                time.sleep(0.001)
            else:
                locked = True
                break
        try:
            yield locked
        finally:
            if locked:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1)


def _header(label: str) -> bytes:
    text = label.encode("utf-8", "replace")[:_LABEL_BYTES]
    namespace = 0
    with contextlib.suppress(OSError):
        namespace = pid_namespace()
    fields = (MAGIC, VERSION, _HEADER.size, SLOTS, _SLOT.size, text, namespace)
    data = _HEADER.pack(*fields, 0)[:-4]
    return data + struct.pack("<I", zlib.crc32(data))


def _pack(owner: Owner, member: Member) -> bytes:
    shortage = member.shortage
    data = _SLOT.pack(
        0,
        member.busy,
        *(owner.pid, owner.start, owner.nonce),
        *(member.beat, member.pages, member.seeks, member.bytes_per_object),
        *(shortage.number, shortage.deficit),
        *(shortage.opened_at, shortage.since),
        *(member.claimed, member.freed, member.kept, member.given, member.shortages),
        *_RESERVED,
    )[4:]
    # 0 marks a slot that was never used.
    return struct.pack("<I", zlib.crc32(data) or 1) + data


def _unpack(data: bytes) -> tuple[Owner, Member] | None:
    """Return what a slot says; None where it is torn, or cannot be true."""
    crc, busy, pid, start, nonce, *fields = _SLOT.unpack(data)
    beat, pages, seeks, size, number, deficit, opened_at, since = fields[:8]
    claimed, freed, kept, given, shortages = fields[8:13]
    if crc != (zlib.crc32(data[4:]) or 1):
        return None
    if not (
        max(pages, number, deficit, *fields[8:13]) <= MAX_NUMBER
        and 0 < pid < 1 << 31
        and -MAX_SECONDS <= beat <= MAX_SECONDS
        and -MAX_SECONDS <= opened_at <= MAX_SECONDS
        and -MAX_SECONDS <= since <= MAX_SECONDS
        and 0 <= seeks <= MAX_SEEKS
        and 1 <= size <= MAX_NUMBER
    ):
        return None  # Comparisons with NaN are false.
    shortage = Shortage(number, deficit, opened_at, since)
    return Owner(pid, start, nonce), Member(
        *(beat, pages, seeks, size, shortage, busy),
        *(claimed, freed, kept, given, shortages),
    )
