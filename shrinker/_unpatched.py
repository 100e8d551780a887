"""Waiting and threads in programs that gevent or eventlet have patched.

Both replace what blocks by what lets other greenlets run, and remove what they cannot
replace:

=============  =======================================  ===============================
               gevent                                   eventlet
=============  =======================================  ===============================
select.poll    lets others run                          removed; ``select.select`` does
select.epoll   removed                                  removed
a thread       is a greenlet                            is a greenlet
locks          also work between threads                do not
=============  =======================================  ===============================

A greenlet waits until the others let it run.  One that computes or fills a cache in a
loop does not: memory runs out before a reclaimer's turn comes.  So with gevent a
reclaimer has a thread of the system.  With eventlet it cannot: a log handler's lock
that both it and a greenlet want would never be free again.  There it is a greenlet, and
what helps beside it is that inserts reclaim below *min*.

Neither is imported here.  What a program has not imported has not patched it.
"""

from __future__ import annotations

import importlib
import math
import select
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["NativeThread", "has_green_threads", "original", "wait_readable"]

JOIN_PERIOD_SECONDS = 0.005
"""How often ``NativeThread.join`` looks, so that other greenlets run meanwhile."""


def original(module: str, name: str) -> Any:
    """Return what a module had before it was patched; raises ``AttributeError``."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original(module, name)
    found = importlib.import_module(module)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and not hasattr(found, name):
        found = eventlet.original(module)
    return getattr(found, name)


def has_green_threads() -> bool:
    """Return whether gevent made greenlets of threads, so that a real one is needed."""
    gevent = sys.modules.get("gevent.monkey")
    return gevent is not None and bool(gevent.is_module_patched("threading"))


def wait_readable(
    descriptors: Collection[int], seconds: float | None, *, blocking: bool = False
) -> set[int]:
    """Wait until some are readable, at most ``seconds``; returns those.

    Other greenlets run meanwhile, unless ``blocking``: for a thread of the system.
    """
    if not blocking and not hasattr(select, "poll"):
        return set(select.select(list(descriptors), [], [], seconds)[0])
    # poll has no descriptor of its own that a child would share.
    poll = (original("select", "poll") if blocking else select.poll)()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    timeout = None if seconds is None else math.ceil(seconds * 1000)
    return {descriptor for descriptor, _ in poll.poll(timeout)}


class NativeThread:
    """A thread of the system where ``threading.Thread`` makes greenlets.

    Has what is needed of ``threading.Thread``.
    """

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self.name = name
        self._target = target
        self._ident = -1
        self._ended = False
        self._started = False

    def start(self) -> None:
        """Start it; raises ``RuntimeError`` where the system has no more threads."""
        original("_thread", "start_new_thread")(self._run, ())
        self._started = True

    def is_alive(self) -> bool:
        """Whether it runs, or will soon."""
        return self._started and not self._ended

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, while other greenlets run; ``RuntimeError`` in itself."""
        if not self._started:
            raise RuntimeError("cannot join a thread before it is started")
        if original("_thread", "get_ident")() == self._ident:
            raise RuntimeError("cannot join the current thread")
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._ended and time.monotonic() < end:
            time.sleep(JOIN_PERIOD_SECONDS)

    def _run(self) -> None:
        self._ident = original("_thread", "get_ident")()
        threading.current_thread().name = self.name  # For the log.
        try:
            self._target()
        finally:
            self._ended = True
