"""``PressureSource``: one interface for whatever can say that memory is short.

A source has a descriptor to sleep on (``fileno``), or a time at which to ask again
(``due``), or both, and ``read`` says whether there was something.  On these three the
base class builds waiting in a thread and in asyncio; a program with an event loop of
its own uses them directly::

    poll.register(source.fileno(), select.POLLIN)
    ...
    event = source.read()

What the kernel announces as an exceptional condition (``POLLPRI``) is wrapped into an
epoll descriptor, which is itself readable as long as something inside is ready, since
asyncio and many other loops know nothing but readable and writable.  The kernel says
it of a PSI trigger once, to whoever asks first.  So ``read`` must be called when the
descriptor was readable, and only then or when ``due`` has come.
"""

from __future__ import annotations

import abc
import dataclasses
import os
import select
import time
from typing import TYPE_CHECKING, Self

from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["PressureEvent", "PressureSource", "SourceGone"]

_LONGEST = 3600.0


def check_path(name: str, value: str | os.PathLike[str]) -> str:
    """Return a path as a ``str``; raises ``TypeError`` for what is none."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise TypeError(f"{name} must be a path, not {type(value).__name__}")
    return path


@dataclasses.dataclass(frozen=True, slots=True)
class PressureEvent:
    """What a source said."""

    source: str
    """The source's name, such as ``PSI /proc/pressure/memory``."""
    detail: str
    """For people, such as ``some: 312 ms stalled since the last event``."""


class SourceGone(ShrinkerError):  # noqa: N818
    """The source has ended: its file has vanished, or its peer has closed.

    It may be closed and opened again, which shows whether there is another one.
    """


class PressureSource(abc.ABC):
    """Something that tells when memory is short; see the module.

    A source belongs to one thread or task at a time.  ``open`` before use, or use it
    in ``with`` or ``async with``.  After a fork the child has the parent's descriptors:
    before using the source it must call ``close`` and ``open`` again, which does not
    disturb the parent.
    """

    name: str
    """For people: what it is and which file it watches."""
    reason: str = ""
    """Why ``auto()`` chose it; empty where nobody chose."""
    _awaited: bool = False

    @abc.abstractmethod
    def open(self) -> None:
        """Begin to listen.  Idempotent.

        Raises ``OSError``, with a text that says what can be done, where it does not
        work here; then nothing is left open.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Stop listening.  Idempotent; it may be opened again.

        It closes this process's descriptors and does nothing to what they share with
        a parent or child.
        """

    @abc.abstractmethod
    def fileno(self) -> int | None:
        """Return a descriptor, readable (``POLLIN``) when ``read`` has news.

        ``None``: only time tells, see ``due``; also while the source is closed.
        """

    def due(self) -> float | None:
        """Return in how many seconds ``read`` wants to be called anyway.

        ``None``: never; ``fileno`` tells everything.
        """
        return None

    @abc.abstractmethod
    def read(self) -> PressureEvent | None:
        """Take what there is; never blocks.

        To be called when ``fileno`` was readable or ``due`` has come.  ``None`` means
        a false alarm.  Raises ``SourceGone`` when nothing will come any more, and
        ``ShrinkerError`` while the source is closed.
        """

    @property
    @abc.abstractmethod
    def is_open(self) -> bool:
        """Whether it listens."""

    def wait(self, timeout: float | None = None) -> PressureEvent | None:
        """Sleep until there is an event, at most ``timeout`` seconds.

        Returns ``None`` when the time is over, and raises what ``read`` raises.  A
        ``timeout`` of 0 looks without sleeping.
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
            if left == 0:  # A source that gives false alarms only must not hold us.
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
                # Also because adding a reader would swallow what is there already.
                if self._sleep(0):
                    event = self.read()
                    if event is not None:
                        return event
                woken = asyncio.Event()
                descriptor, due = self.fileno(), self.due()
                timer = None if due is None else loop.call_later(due, woken.set)
                if descriptor is not None:
                    # One of our own: whoever closes the source before cancelling us
                    # gives its number free, and then it is somebody else's reader.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<{type(self).__name__} {self.name!r} {state}>"

    def _sleep(self, seconds: float | None) -> bool:
        """Sleep until ``read`` should be called; return whether it should."""
        if not self.is_open:
            raise ShrinkerError(f"{self.name} is not open")
        poll = select.poll()
        descriptor = self.fileno()
        if descriptor is not None:
            poll.register(descriptor, select.POLLIN)
        due = self.due()
        if seconds is not None:
            seconds = min(seconds, _LONGEST)  # Of what poll takes.
        if due is not None and due <= _LONGEST and (seconds is None or due <= seconds):
            poll.poll(due * 1000)
            return True  # Either is a reason.
        return bool(poll.poll(None if seconds is None else seconds * 1000))
