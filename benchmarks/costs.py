"""``Cache`` beside GDSF, where entries differ in cost or in size.

    python benchmarks/costs.py DIRECTORY  # of traces

The first 500,000 requests of two public traces: one says what a miss costs, the other
how large an entry is.  GDSF (GreedyDual-Size-Frequency) evicts what has the least hits
times cost, divided by size.  Sizes are parts of what all entries have.  "pressure" is
a ``Cache`` that grew to that size before memory became short, and stays short.  No time
is measured: each run prints the same.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from policies import SIZES, opened

from shrinker import Domain
from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Sequence

TRACES = "address_penalties_gcc.trace.xz", "adapt_size_request.trace.xz"
REQUESTS = 500_000


class Request(NamedTuple):
    """A key, and what its entry weighs and costs."""

    key: int
    size: int
    cost: float


def read(path: Path) -> list[Request]:
    """Return requests: the name says what the fields of a line are."""
    costs = "penalties" in path.name
    requests = []
    # Numbers: the hash of bytes is another one in each run, and so are its ghosts.
    numbers: dict[bytes, int] = {}
    with opened(path) as file:
        for line in itertools.islice(file, REQUESTS):
            fields = line.split()
            size, cost = (1, float(fields[4])) if costs else (int(fields[2]), 1.0)
            key = numbers.setdefault(fields[1], len(numbers))
            requests.append(Request(key, max(1, size), cost))
    return requests


def gdsf(requests: Sequence[Request], room: int) -> float:
    """Return the cost of the misses."""
    lost = inflation = 0.0
    used = 0
    # Of each key its hits, and what it stands at in the heap.
    entries: dict[int, tuple[int, float]] = {}
    heap: list[tuple[float, int, Request]] = []
    for turn, request in enumerate(requests):
        hits, _ = entries.get(request.key, (0, 0.0))
        if not hits:
            lost += request.cost
            if request.size > room:
                continue
            while used + request.size > room:
                value, _, first = heapq.heappop(heap)
                if entries.get(first.key, (0, 0.0))[1] == value:
                    inflation = value
                    used -= first.size
                    del entries[first.key]
            used += request.size
        value = inflation + (hits + 1) * request.cost / request.size
        entries[request.key] = hits + 1, value
        heapq.heappush(heap, (value, turn, request))
    return lost


def ours(requests: Sequence[Request], room: int, *, pressure: bool = False) -> float:
    """Return the cost of the misses."""
    lost = 0.0
    with Domain() as domain:
        cache: Cache[int, int] = Cache(
            None if pressure else room, weigher=lambda _key, size: size, domain=domain
        )
        for request in requests:
            if cache.get(request.key) is not None:
                continue
            lost += request.cost
            cache[request.key] = request.size
            if pressure and cache.weight >= room:
                domain.under_pressure = True
    return lost


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, help="directory of traces")
    print(f"{'cost of misses, % of all':34}{'size':>6}", end="")
    print(f"{'GDSF':>8}{'cache':>8}{'pressure':>10}")
    directory = parser.parse_args().directory
    for path in map(directory.joinpath, TRACES):
        requests = read(path)
        whole = sum({request.key: request.size for request in requests}.values())
        all_costs = sum(request.cost for request in requests)
        for part in SIZES:
            room = int(part * whole)
            row = (
                gdsf(requests, room),
                ours(requests, room),
                ours(requests, room, pressure=True),
            )
            shown = [100 * lost / all_costs for lost in row]
            name = path.name.partition(".")[0]
            print(f"{name:34}{part:6.0%}{shown[0]:8.2f}{shown[1]:8.2f}{shown[2]:10.2f}")


if __name__ == "__main__":
    main()
