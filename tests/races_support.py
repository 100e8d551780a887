"""What the tests of races share: threads that may hang, and data that is counted."""

from __future__ import annotations

import faulthandler
import itertools
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import ShrinkControl

__all__ = ["SECONDS", "Counted", "Ledger", "go_on", "run_all"]

SECONDS = float(os.environ.get("SHRINKER_STRESS_SECONDS", "1"))
"""How long each test goes on."""
HANGS = 40
"""After so many seconds beyond that, a thread that has not ended hangs."""


def go_on(
    ledger: Ledger, enough: Callable[[], object] = lambda: True
) -> Callable[[], bool]:
    """Return what says whether to go on: for a time, and until enough has happened."""
    end = time.monotonic() + SECONDS
    return lambda: (
        time.monotonic() < end or len(ledger.gone) < ledger.at_least or not enough()
    )


def run_all(*targets: Callable[[], object]) -> None:
    """Run each in a thread; fail where one raises, end all where one does not end."""
    raised: list[BaseException] = []

    def guarded(target: Callable[[], object]) -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    threads = [
        threading.Thread(target=guarded, args=(target,), daemon=True)
        for target in targets
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS + HANGS
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    if raised:
        raise raised[0]
    if any(thread.is_alive() for thread in threads):
        # Whoever closes its domain on the way out would hang as well.
        faulthandler.dump_traceback(sys.__stderr__)
        os._exit(3)


class Ledger:
    """Private data that came and that went, and callbacks that should not be."""

    def __init__(self, *, at_least: int) -> None:
        self.at_least = at_least
        self.numbers = itertools.count()
        self.gone: list[int] = []
        self.wrong: list[str] = []

    def check(self) -> None:
        """All went that came, once each, and nothing wrong was seen."""
        assert self.wrong == []
        born = next(self.numbers)
        assert sorted(self.gone) == list(range(born))
        assert born >= self.at_least
        print(f"{born} private data")  # noqa: T201 - the figure, for -s


class State:
    """Of one private data, which it outlives."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.closed = False


class Counted:
    """A cache of 1,000 objects that a ledger knows of."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.number = next(ledger.numbers)
        self.state = State()

    def count_objects(self, sc: ShrinkControl) -> Any:
        return self._called(1000)

    def scan_objects(self, sc: ShrinkControl) -> Any:
        return self._called(sc.nr_to_scan)

    def _called(self, result: int) -> int:
        state, ledger = self.state, self.ledger
        state.inside.append(1)
        try:
            if state.closed:
                ledger.wrong.append("called after close() had returned")
            return self.act(result)
        finally:
            state.inside.pop()

    def act(self, result: int) -> int:
        """What the test does in callbacks."""
        return result

    def __del__(self) -> None:
        self.ledger.gone.append(self.number)
