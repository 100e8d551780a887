"""Keys, values, caches and checks that the tests of ``shrinker.cache`` share."""

from __future__ import annotations

import contextlib
import functools
import gc
import random
import signal
import threading
from typing import TYPE_CHECKING, Any

from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from shrinker import Domain

__all__ = [
    "CountAndEvict",
    "Dice",
    "Index",
    "Interrupt",
    "Interrupter",
    "PythonKey",
    "Value",
    "check_sound",
    "filled",
    "interrupted_caches",
    "interrupter",
    "lru_function",
]

Dice = random.Random


class PythonKey:
    """A key that lets other threads in while it is hashed and compared."""

    broken = False
    """Whether hashing raises."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        for _ in range(2):
            pass
        if self.broken:
            raise RuntimeError("no hash")
        return self.number % 7

    def __eq__(self, other: object) -> bool:
        for _ in range(2):
            pass
        return isinstance(other, PythonKey) and self.number == other.number


class Value:
    """A value that can be referenced weakly."""


class CountAndEvict:
    """A cache of ``n`` entries with the two methods that ``watch`` needs."""

    def __init__(self, n: int = 1000) -> None:
        self.n = n
        self.asked: list[int] = []
        self.lock = threading.Lock()

    def count(self) -> int:
        return self.n

    def evict(self, n: int) -> int:
        self.asked.append(n)
        with self.lock:
            evicted = min(n, self.n)
            self.n -= evicted
        return evicted


class Index:
    """An integer that is no ``int``, as numpy's are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def filled(n: int = 1000) -> dict[int, int]:
    return dict.fromkeys(range(n), 0)


def lru_function(n: int) -> Any:
    """Return a function under ``functools.lru_cache`` with ``n`` results."""

    @functools.lru_cache(maxsize=100_000)
    def square(x: int) -> int:
        return x * x

    for x in range(n):
        square(x)
    return square


def check_sound(
    cache: Cache[Any, Any],
    weigher: Callable[[Any, Any], int] = lambda key, value: 1,
) -> None:
    """The weight is that of the entries, and scans evict everything."""
    items = list(cache.items())
    assert cache.weight == sum(weigher(key, value) for key, value in items)
    assert len(cache) == len(items)
    evicted = cache.statistics().evicted
    for _ in range(3):  # The first turns may only clear marks.
        cache.registration.scan(cache.registration.count() * 2)
    assert cache.statistics().evicted - evicted >= len(items)
    assert cache.weight == 0
    assert len(cache) == 0
    assert cache.registration.count() == 0


class Interrupt(KeyboardInterrupt):
    """Raised by an ``Interrupter``.  Comes out of calls and walks as it is."""


class Interrupter:
    """Raises ``Interrupt`` in a signal handler: once, some time after ``run`` began."""

    def __init__(self) -> None:
        self.armed = False
        self.times = 0

    def run(self, work: Callable[[], object]) -> bool:
        """Run ``work``; return whether it was interrupted, and not ended otherwise.

        No signal raises in here, wherever this Python looks for signals: the handler
        sees in which function it came (``interrupter``).
        """
        self.armed = True
        try:
            work()
        except Interrupt:
            return True
        finally:
            self.armed = False
        return False


@contextlib.contextmanager
def interrupter(
    act: Callable[[], object] = lambda: None, *, seconds: float = 1e-4
) -> Iterator[Interrupter]:
    """Interrupt what it runs, after so many seconds; ``act`` before."""
    made = Interrupter()

    def handler(_number: int, frame: FrameType | None) -> None:
        if (
            made.armed
            and frame is not None
            and frame.f_code is not Interrupter.run.__code__
        ):
            made.armed = False
            made.times += 1
            act()
            raise Interrupt

    # The exception must not come in a finaliser, where it would be ignored.
    gc.collect()
    gc.disable()
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield made
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.enable()


def interrupted_caches(domain: Domain, number: int) -> Iterator[Cache[int, int]]:
    """Yield caches in which an exception has cut some call short, anywhere in it."""
    dice = Dice(6)
    with interrupter(seconds=5e-5) as signals:
        for _ in range(number):
            with Cache[int, int](20, weigher=None, domain=domain) as cache:

                def work(cache: Cache[int, int] = cache) -> None:
                    while True:
                        cache[dice.randrange(30)] = 1
                        cache.pop(dice.randrange(30), None)
                        if dice.random() < 0.1:
                            cache.registration.scan(2)
                            cache.popitem()

                with contextlib.suppress(KeyError):  # It was empty.
                    signals.run(work)
                yield cache
