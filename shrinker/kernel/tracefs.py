"""Switching events on in a tracefs *instance*: a ring buffer of our own.

The buffer, clock, events and readers of others stay as they are.  Removing the instance
puts everything back.  A process killed by SIGKILL leaves its instance behind, with the
events on; the next start removes it: the name tells whose it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "CALLERS",
    "CONTEXT",
    "SHRINKER_EVENTS",
    "Instance",
    "KernelError",
    "Losses",
    "Tracefs",
    "default_buffer_bytes",
    "find_tracefs",
]

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
"""Where tracefs is mounted; the second on kernels before 4.1."""
SHRINKER_EVENTS = ("mm_shrink_slab_start", "mm_shrink_slab_end")
CALLERS = (
    "mm_vmscan_direct_reclaim_begin",
    "mm_vmscan_direct_reclaim_end",
    "mm_vmscan_kswapd_wake",
    "mm_vmscan_kswapd_sleep",
    "mm_vmscan_memcg_reclaim_begin",
    "mm_vmscan_memcg_reclaim_end",
    "mm_vmscan_memcg_softlimit_reclaim_begin",
    "mm_vmscan_memcg_softlimit_reclaim_end",
    "mm_vmscan_node_reclaim_begin",
    "mm_vmscan_node_reclaim_end",
)
"""Events that say on whose behalf shrinkers are asked; few beside those of passes."""
CONTEXT = (
    "mm_vmscan_balance_pgdat_begin",
    "mm_vmscan_balance_pgdat_end",
    "mm_vmscan_throttled",
    "mm_vmscan_wakeup_kswapd",
)
"""More of the circumstances; some kernels lack some, and they can be many."""

# The clock that CLOCK_MONOTONIC is, the same on all processors.
_CLOCK = "mono"
_MIN_BUFFER_BYTES = 512 << 10
_MAX_BUFFER_BYTES = 8 << 20
_BUFFERS_SHARE_OF_MEMORY = 1 / 100
_SMALLEST_BUFFER_KIB = 4
_READ_BYTES = 64 << 10
# A reader that has just been closed may be counted for a moment.
_REMOVE_ATTEMPTS = 50
_REMOVE_WAIT_SECONDS = 0.01


class KernelError(ShrinkerError):
    """The kernel cannot be watched: what is missing, and what to do."""


class Losses(NamedTuple):
    """Events that the ring buffer lost, as the kernel counts them."""

    overwritten: int
    """Overwritten before they were read."""
    dropped: int
    """Not written, because the buffer had no room."""

    @property
    def total(self) -> int:
        """Return the sum of both."""
        return self.overwritten + self.dropped


def default_buffer_bytes() -> int:
    """Return the bytes for each processor: 512 KiB to 8 MiB, 1 % of memory in all."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    share = pages * page * _BUFFERS_SHARE_OF_MEMORY / (os.cpu_count() or 1)
    return min(max(int(share), _MIN_BUFFER_BYTES), _MAX_BUFFER_BYTES)


def find_tracefs(places: Iterable[str] = PLACES) -> Tracefs:
    """Return the mounted tracefs.

    Raises KernelError where none of ``places`` is one, or it may not be read.
    """
    for place in places:
        instances = Path(place) / "instances"
        with _complaints(f"reading {place}"):
            try:
                instances.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            os.listdir(instances)  # noqa: PTH208 - only whether it may be read
            return Tracefs(Path(place))
    raise KernelError(
        "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing"
    )


class Tracefs:
    """A mounted tracefs."""

    def __init__(self, root: Path) -> None:
        """``root`` is where it is mounted."""
        self.root = root

    @property
    def instances(self) -> Path:
        """Return the directory of the instances."""
        return self.root / "instances"

    def has_event(self, event: str) -> bool:
        """Return whether the kernel has an event of vmscan."""
        return (self.root / "events/vmscan" / event).exists()

    def has_field(self, event: str, field: str) -> bool:
        """Return whether an event of vmscan has a field, such as ``memcg_id``."""
        try:
            text = (self.root / "events/vmscan" / event / "format").read_text()
        except OSError:
            return False
        return re.search(rf"\b{re.escape(field)};", text) is not None

    def remove_stale(self) -> list[str]:
        """Remove the instances of processes that have ended; return their names.

        An instance that some process reads stays, of ours or not: removing it fails
        (EBUSY).  So does that of a process in another pid namespace.
        """
        removed = []
        for name in sorted(entry.name for entry in self.instances.iterdir()):
            owner = _Owner.of_name(name)
            if owner is None or owner.is_alive():
                continue
            with contextlib.suppress(OSError):
                self._remove(self.instances / name)
                removed.append(name)
        return removed

    def _make(self, instance: Path) -> None:
        instance.mkdir()

    def _remove(self, instance: Path) -> None:
        instance.rmdir()


class _Owner(NamedTuple):
    """A process: its number, and when it started, because numbers are used again."""

    pid: int
    start: str
    """In clock ticks since the boot."""

    @classmethod
    def current(cls) -> Self:
        """Return this process."""
        return cls(os.getpid(), _start_of(os.getpid()) or "0")

    @classmethod
    def of_name(cls, name: str) -> Self | None:
        """Return the process that made an instance; None where it is not ours."""
        match = re.fullmatch(r"shrinker-(\d+)-(\d+)", name)
        return match and cls(int(match[1]), match[2])

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return _start_of(self.pid) == self.start

    def name(self) -> str:
        """Return the name of the instance that this process makes."""
        return f"shrinker-{self.pid}-{self.start}"


def _start_of(pid: int) -> str | None:
    """Return when a process started; None where it does not run."""
    try:
        # The name of the program, in parentheses, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else start


class Instance:
    """A ring buffer of our own, with events switched on; ``with`` puts all back.

    Only one exists in a process at a time.  Raises KernelError where something is
    missing or not permitted.  Where somebody else reads the instance at the end, it
    stays, with its events off and ``left_behind`` true.

    Invariant: from ``__enter__`` to ``__exit__`` the instance exists, and ``_pipe`` is
    open, which keeps others from removing it.
    """

    def __init__(
        self, tracefs: Tracefs, events: Iterable[str], buffer_bytes: int
    ) -> None:
        """Change nothing yet.

        ``events`` are events of vmscan; those that the kernel lacks are left out, but
        for the two of passes.  ``buffer_bytes`` is for each processor.
        """
        self._tracefs = tracefs
        self.path = tracefs.instances / _Owner.current().name()
        self.events = tuple(
            event
            for event in events
            if event in SHRINKER_EVENTS or tracefs.has_event(event)
        )
        self.buffer_bytes = buffer_bytes
        """For each processor; less than asked for where memory was short."""
        self.left_behind = False
        """Whether it could not be removed, because somebody else reads it."""
        self._pipe = -1

    def __enter__(self) -> Self:
        """Make the instance, and switch the events on."""
        with contextlib.ExitStack() as undo:
            with _complaints(f"making {self.path}"):
                self._tracefs._make(self.path)
            undo.callback(self._remove)
            with _complaints(f"setting up {self.path}"):
                self._open_pipe()
                undo.callback(self._close_pipe)
                self._size_buffer()
                self._choose_clock()
                for event in self.events:
                    self._enable(event)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._close_pipe()
        self._remove()

    def stop(self) -> None:
        """Write no more events; what is in the buffer can still be read."""
        with contextlib.suppress(OSError):
            self._write("tracing_on", "0")

    def read(self) -> Iterator[bytes]:
        """Yield the text of the events in the buffer until it is empty.

        Endless where events come as fast as they are read.  A chunk ends anywhere.
        """
        while True:
            try:
                chunk = os.read(self._pipe, _READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                return
            yield chunk

    def losses(self) -> Losses:
        """Return what the buffers of all processors lost so far."""
        overwritten = dropped = 0
        for stats in (self.path / "per_cpu").glob("cpu*/stats"):
            text = stats.read_text()
            overwritten += _number(text, "overrun") + _number(text, "commit overrun")
            dropped += _number(text, "dropped events")
        return Losses(overwritten, dropped)

    def _open_pipe(self) -> None:
        self._pipe = os.open(self.path / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)

    def _close_pipe(self) -> None:
        os.close(self._pipe)

    def _size_buffer(self) -> None:
        while True:
            try:
                self._write("buffer_size_kb", str(self.buffer_bytes >> 10))
            except OSError as exc:
                if exc.errno != errno.ENOMEM or self.buffer_bytes <= _MIN_BUFFER_BYTES:
                    raise
                self.buffer_bytes //= 2
            else:
                return

    def _choose_clock(self) -> None:
        clocks = (self.path / "trace_clock").read_text().replace("[", " ")
        if _CLOCK in clocks.replace("]", " ").split():
            self._write("trace_clock", _CLOCK)

    def _enable(self, event: str) -> None:
        if not self._tracefs.has_event(event):
            raise KernelError(f"this kernel has no event vmscan:{event}")
        self._write(f"events/vmscan/{event}/enable", "1")

    def _remove(self) -> None:
        for attempt in range(_REMOVE_ATTEMPTS):
            try:
                self._tracefs._remove(self.path)
            except FileNotFoundError:
                return  # Another process took us for dead: nothing is left to do.
            except OSError:
                if not attempt:
                    self._make_cheap()
                time.sleep(_REMOVE_WAIT_SECONDS)
            else:
                return
        self.left_behind = True

    def _make_cheap(self) -> None:
        """Switch the events off and free the memory, where the instance must stay."""
        for file, value in (
            ("events/enable", "0"),
            ("buffer_size_kb", str(_SMALLEST_BUFFER_KIB)),
        ):
            with contextlib.suppress(OSError):
                self._write(file, value)

    def _write(self, file: str, value: str) -> None:
        # Not write_text(): a file that does not exist is an error.
        descriptor = os.open(self.path / file, os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


def _number(text: str, name: str) -> int:
    found = re.search(rf"^{name}: (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def _complaints(doing: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as exc:
        advice = "run as root" if os.geteuid() else "this root may not (a container?)"
        raise KernelError(f"{doing}: not permitted; {advice}") from exc
    except FileExistsError as exc:
        raise KernelError(f"{doing}: this process has one already") from exc
    except OSError as exc:
        raise KernelError(f"{doing}: {exc.strerror}") from exc
