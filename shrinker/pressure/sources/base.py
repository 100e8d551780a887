"""``PressureSource``: one interface for anything that can say that memory is short.

A source has a descriptor to sleep on (``fileno``), or a time at which to ask again
(``due``), or both; ``read`` says whether there was an event.  The base class builds
waiting in a thread and in asyncio on these three.  A program with an event loop of its
own uses them directly::

    poll.register(source.fileno(), select.POLLIN)
    ...
    event = source.read()

The kernel announces some events as an exceptional condition (``POLLPRI``), but asyncio
and many other loops know only readable and writable.  Such a file is wrapped in an
epoll descriptor, which is readable while something inside is ready.  The kernel reports
a PSI event once, to the first that asks.  So call ``read`` when the descriptor was
readable or ``due`` has come, and at no other time.
"""

from __future__ import annotations

import abc
import dataclasses
import os
import select
import time
from typing import Self

from shrinker._unpatched import original, wait_readable
from shrinker.errors import ShrinkerError

__all__ = ["FileSource", "PressureEvent", "PressureSource", "SourceGone"]

_MAX_POLL_SECONDS = 3600.0
"""poll() takes no timeouts of any length; longer waits are divided."""


def check_path(name: str, value: str | os.PathLike[str]) -> str:
    """Return a path as a ``str``; raises ``TypeError`` for anything else."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise TypeError(f"{name} must be a path, not {type(value).__name__}")
    return path


def check_number(name: str, value: float) -> None:
    """Raise ``TypeError`` unless ``value`` is an ``int`` or ``float``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")


def file_error(error: OSError, advice: str, path: object) -> OSError:
    """Return an error of the same kind whose text says what to do."""
    strerror = error.strerror or str(error)
    # OSError chooses the subclass by the number.
    return OSError(error.errno, f"{strerror}: {advice}", str(path))


@dataclasses.dataclass(frozen=True, slots=True)
class PressureEvent:
    """What a source said."""

    source: str
    """The source's name, such as ``PSI /proc/pressure/memory``."""
    detail: str
    """A text such as ``some: 312 ms stalled since the last event``."""


class SourceGone(ShrinkerError):  # noqa: N818
    """The source has ended: its file has vanished, or its peer has closed.

    Close and open it again to find out whether there is another one.
    """


class PressureSource(abc.ABC):
    """Something that tells when memory is short; see the module.

    A source belongs to one thread or task at a time.  ``open`` before use, or use it
    in ``with`` or ``async with``.  After a fork the child has the parent's descriptors:
    before using the source it must call ``close`` and ``open`` again, which does not
    disturb the parent.
    """

    name: str
    """What it is and which file it watches, for logs."""
    reason: str = ""
    """Why ``auto()`` chose it; empty where it was not chosen."""
    _awaited: bool = False

    @abc.abstractmethod
    def open(self) -> None:
        """Begin to listen.  Idempotent.

        Raises ``OSError``, with a text that says what to do, where it does not work
        here; then nothing is left open.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Stop listening.  Idempotent; it may be opened again.

        It closes this process's descriptors and leaves alone what they share with a
        parent or child.
        """

    @abc.abstractmethod
    def fileno(self) -> int | None:
        """Return a descriptor that is readable (``POLLIN``) when ``read`` has news.

        ``None`` means that only time tells, see ``due``, or that it is closed.
        """

    def due(self) -> float | None:
        """Return in how many seconds ``read`` must be called anyway.

        ``None`` means never: ``fileno`` tells everything.
        """
        return None

    @abc.abstractmethod
    def read(self) -> PressureEvent | None:
        """Take what there is; never blocks.

        Call it when ``fileno`` was readable or ``due`` has come.  ``None`` means a
        false alarm.  Raises ``SourceGone`` when there will be no more events, and
        ``ShrinkerError`` while the source is closed.
        """

    @property
    @abc.abstractmethod
    def is_open(self) -> bool:
        """Whether it listens."""

    def wait(self, timeout: float | None = None) -> PressureEvent | None:
        """Sleep until there is an event, at most ``timeout`` seconds.

        Returns ``None`` after the timeout, and raises what ``read`` raises.  A
        ``timeout`` of 0 polls without sleeping.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must not be negative, not {timeout}")
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            if self._sleep(left):
                event = self.read()
                if event is not None:
                    return event
            elif left is not None and time.monotonic() >= (end or 0.0):
                return None
            if left == 0:  # A source with nothing but false alarms must not hold us.
                return None

    async def next_event(self) -> PressureEvent:
        """Wait for the next event without blocking asyncio's loop; cancellable.

        Raises what ``read`` raises, and ``ShrinkerError`` if another task waits for
        this source already.  Closing the source does not end the wait: cancel it.
        """
        import asyncio  # noqa: PLC0415 - only for those who use it

        loop = asyncio.get_running_loop()
        if self._awaited:
            raise ShrinkerError(f"{self.name}: another task is waiting for it")
        self._awaited = True
        try:
            while True:
                # Also because adding a reader would take an event that is there.
                if self._sleep(0):
                    event = self.read()
                    if event is not None:
                        return event
                woken = asyncio.Event()
                descriptor, due = self.fileno(), self.due()
                timer = None if due is None else loop.call_later(due, woken.set)
                if descriptor is not None:
                    # A copy: closing the source before cancelling this task frees its
                    # number, and then a reader of that number may be another file's.
                    descriptor = os.dup(descriptor)
                    loop.add_reader(descriptor, woken.set)
                try:
                    await woken.wait()
                finally:
                    if descriptor is not None:
                        if not loop.is_closed():
                            loop.remove_reader(descriptor)
                        os.close(descriptor)
                    if timer is not None:
                        timer.cancel()
                event = self.read()
                if event is not None:
                    return event
        finally:
            self._awaited = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PressureEvent:
        return await self.next_event()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<{type(self).__name__} {self.name!r} {state}>"

    def _not_open(self) -> ShrinkerError:
        return ShrinkerError(f"{self.name} is not open")

    def _sleep(self, seconds: float | None) -> bool:
        """Sleep until ``read`` should be called; return whether it should."""
        if not self.is_open:
            raise self._not_open()
        descriptor = self.fileno()
        descriptors = () if descriptor is None else (descriptor,)
        due = self.due()
        if seconds is not None:
            seconds = min(seconds, _MAX_POLL_SECONDS)
        if (
            due is not None
            and due <= _MAX_POLL_SECONDS
            and (seconds is None or due <= seconds)
        ):
            wait_readable(descriptors, due)
            return True  # Readable or due, either is a reason.
        return bool(wait_readable(descriptors, seconds))


class FileSource(PressureSource):
    """A source that is one open file.

    Where the kernel announces changes of the file with POLLPRI, an epoll is around it.
    """

    _path: str
    _descriptor = -1
    _epoll: select.epoll | None = None

    def open(self) -> None:
        """Open the file and begin to listen; see ``PressureSource``."""
        if self.is_open:
            return
        try:
            self._open()
        except OSError as error:
            self.close()
            advice = self._advice(error)
            if advice is None:
                raise
            strerror = error.strerror or str(error)
            # OSError chooses the subclass by the number.
            text = f"{strerror}: {advice}"
            raise OSError(error.errno, text, self._path) from error
        except BaseException:  # Raised by a signal handler.
            self.close()
            raise

    @abc.abstractmethod
    def _open(self) -> None:
        """Set the descriptor, and the epoll where there is one."""

    @abc.abstractmethod
    def _advice(self, error: OSError) -> str | None:
        """Return what to do about an error of ``_open``; None where it says that."""

    def close(self) -> None:
        """Close the file; see ``PressureSource``."""
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            epoll.close()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._descriptor >= 0

    def fileno(self) -> int | None:
        """Return the epoll, or the file where there is none."""
        if self._epoll is not None:
            return self._epoll.fileno()
        return self._descriptor if self._descriptor >= 0 else None

    def _watch_priority(self) -> None:
        """Put an epoll around the file; ``OSError`` where it announces nothing."""
        self._epoll = original("select", "epoll")()
        self._epoll.register(self._descriptor, select.EPOLLPRI)

    def _check_trigger(self) -> None:
        """Raise ``SourceGone`` where the kernel has dropped the PSI trigger."""
        if self._epoll is None:
            return
        # The caller's poll may have used an event up; an error stays.
        for _, events in self._epoll.poll(0):
            if events & (select.EPOLLERR | select.EPOLLHUP):
                raise SourceGone(f"{self.name}: the kernel has dropped the trigger")
