"""What many tests share: caches to register, callbacks, threads."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from shrinker import (
    CountObjects,
    Domain,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerFlags,
    ShrinkerRegistration,
    native,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NO_FLAGS = ShrinkerFlags(0)
HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


class Cache:
    """A cache of a number of objects; frees what it is asked for."""

    def __init__(self, objects: int) -> None:
        self.objects = objects

    def count_objects(self, sc: ShrinkControl) -> CountObjects:
        return CountObjects.new(self.objects)

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects:
        freed = min(self.objects, sc.nr_to_scan)
        self.objects -= freed
        return ScanObjects.from_count(freed)


class Scripted:
    """Calls the given functions; by default it counts 100 and frees none."""

    def __init__(
        self,
        count: Callable[[ShrinkControl], Any] = lambda sc: 100,
        scan: Callable[[ShrinkControl], Any] = lambda sc: 0,
    ) -> None:
        self.count = count
        self.scan = scan

    def count_objects(self, sc: ShrinkControl) -> Any:
        return self.count(sc)

    def scan_objects(self, sc: ShrinkControl) -> Any:
        return self.scan(sc)


def register(
    domain: Domain,
    shrinker: Any,
    *,
    name: str = "cache",
    seeks: int = 2,
    batch: int = 0,
    flags: ShrinkerFlags = NO_FLAGS,
) -> ShrinkerRegistration[Any]:
    """Register ``shrinker`` in ``domain``."""
    builder = ShrinkerBuilder(name, flags=flags, domain=domain)
    return builder.set_seeks(seeks).set_batch(batch).register(shrinker)


def raiser(error: BaseException) -> Callable[[ShrinkControl], Any]:
    """Return a callback that raises ``error``."""

    def callback(sc: ShrinkControl) -> Any:
        raise error

    return callback


def make_callbacks(objects: int) -> tuple[Any, Any, list[int]]:
    """Return count and scan as C functions, and a list of what scans were asked for."""
    asked: list[int] = []

    def count(shrinker: Any, sc: Any) -> int:
        return objects

    def scan(shrinker: Any, sc: Any) -> int:
        asked.append(sc.contents.nr_to_scan)
        return int(sc.contents.nr_to_scan)

    return native.Callback(count), native.Callback(scan), asked


def run_threads(*targets: Callable[[], object]) -> list[BaseException]:
    """Run each target in a thread of its own; return what they raised."""
    raised: list[BaseException] = []

    def guarded(target: Callable[[], object]) -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001 - for the test to see
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
