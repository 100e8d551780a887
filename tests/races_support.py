"""What the race tests share: threads that may hang, and private data that is
counted."""

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

__all__ = ["HANGS", "SECONDS", "Counted", "Ledger", "go_on", "run_all"]

SECONDS = float(os.environ.get("SHRINKER_STRESS_SECONDS", "1"))
"""How long each test goes on."""
HANGS = 300
"""After so many seconds beyond that, a thread that has not ended hangs."""


def go_on(
    ledger: Ledger, enough: Callable[[], object] = lambda: True
) -> Callable[[], bool]:
    """Return a function that says whether to go on: for a time, and until enough
    happened."""
    end = time.monotonic() + SECONDS
    return lambda: (
        time.monotonic() < end or len(ledger.gone) < ledger.at_least or not enough()
    )


def run_all(*targets: Callable[[], object]) -> None:
    """Run each target in a thread. Raise what one raised; end the process if one
    hangs."""
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
        # Leaving the test would close its domain, and hang as well.
        faulthandler.dump_traceback(sys.__stderr__)
        os._exit(3)


class Ledger:
    """Counts private data that was made and that is gone, and notes wrong callbacks."""

    def __init__(self, *, at_least: int) -> None:
        self.at_least = at_least
        self.numbers = itertools.count()
        self.gone: list[int] = []
        self.wrong: list[str] = []

    def check(self) -> None:
        """Each private data went exactly once, and nothing wrong was seen."""
        assert self.wrong == []
        born = next(self.numbers)
        assert sorted(self.gone) == list(range(born))
        assert born >= self.at_least
        print(f"{born} private data")  # noqa: T201 - the figure, for -s


class State:
    """The state of one private data, which outlives it."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.closed = False


class Counted:
    """A cache of 1,000 objects that a ledger counts."""

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
        """Do what the test does in callbacks."""
        return result

    def __del__(self) -> None:
        self.ledger.gone.append(self.number)
