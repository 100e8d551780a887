"""What seeks that are learned save: five caches share a limit that falls and rises.

    python benchmarks/learned_seeks.py [--requests 400000] [--plot out.svg]

The caches differ in size, in the time to compute an entry, and in how often they are
asked.  The limit of what all of them have falls from 100 % to 33 % of what they would
have without one, and rises again, in 2 steps and in 64.  What a policy costs are the
seconds of computing again after the first quarter of the requests, when each has all:

    static    each cache keeps its part of the limit, by its size
    size      one domain reclaims; all caches have 2 seeks
    learned   the same, with seeks that are learned: the default
    offline   each cache keeps the part that was best for these requests

Time is simulated: computing takes none, and requests come at an even rate.  Each run
prints the same.  A plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shrinker import Domain
from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SEED = 1
SECONDS = 1200
"""Simulated, of all requests."""
LEAST = 0.33
"""Of what the caches have without a limit."""
STEPS = (2, 64)
WARM = 4
"""This part of the requests comes first, without a limit."""
PAGE = 4096
NEAR = 0.98
"""A reclaim goes down to this part of the limit."""
WALKS = 4
"""So many at one priority."""
GRID = 20
"""Sizes at which the offline split knows a cache's misses."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A cache, and what is asked of it."""

    name: str
    keys: int
    size: int
    """Bytes of an entry."""
    seconds: float
    """To compute one."""
    share: float
    """Of all requests."""
    skew: float


KINDS = (
    Kind("profiles", 40_000, 600, 0.005, 0.45, 0.9),
    Kind("records", 20_000, 4_096, 0.010, 0.20, 0.7),
    Kind("pages", 3_000, 40_960, 0.050, 0.20, 1.0),
    Kind("images", 300, 1_500_000, 0.040, 0.10, 0.8),
    Kind("reports", 1_000, 102_400, 1.000, 0.05, 0.9),
)

Request = tuple[int, int]


def make_requests(nr: int) -> list[Request]:
    """Return pairs of cache and key."""
    dice = random.Random(SEED)  # noqa: S311 - requests, no secrets
    kinds = dice.choices(range(len(KINDS)), [kind.share for kind in KINDS], k=nr)
    streams = [
        itertools.cycle(
            dice.choices(
                range(kind.keys),
                [1 / (rank + 1) ** kind.skew for rank in range(kind.keys)],
                k=int(nr * kind.share * 1.1) + 1,
            )
        )
        for kind in KINDS
    ]
    return [(kind, next(streams[kind])) for kind in kinds]


class Caches:
    """The five, in one domain or in one each."""

    def __init__(self, together: bool, **options: Any) -> None:
        self.domains = [Domain() for _ in range(1 if together else len(KINDS))]
        self.caches: list[Cache[int, int]] = [
            Cache(
                weigher=lambda _key, _value, size=kind.size: size,
                name=kind.name,
                domain=self.domains[0 if together else i],
                **options,
            )
            for i, kind in enumerate(KINDS)
        ]
        self.lost = 0.0
        """Seconds of computing."""

    def ask(self, kind: int, key: int) -> None:
        """Look a key up; compute it where it is not in."""
        cache = self.caches[kind]
        if cache.get(key) is None:
            store = cache._store
            store.keep(key, key, store.generation, KINDS[kind].seconds)
            self.lost += KINDS[kind].seconds

    def pages(self) -> list[int]:
        """Return what each cache has."""
        return [-(-cache.weight // PAGE) for cache in self.caches]

    def hold(self, limits: Sequence[float]) -> None:
        """Reclaim where a domain's caches have more than its limit.

        As ``protect()`` does: walks at the priority that frees what is missing; where
        that is not enough, since entries get their second chance, a few more of them,
        and then more urgent ones.
        """
        for domain, limit, caches in zip(
            self.domains, limits, self._by_domain(), strict=True
        ):
            urgent = 0
            for walk in itertools.count():
                pages = sum(-(-cache.weight // PAGE) for cache in caches)
                missing = pages - limit * NEAR if walk else pages - limit
                if missing <= 0:
                    break
                fitting = math.ceil(math.log2(pages / max(1, missing)))
                urgent += walk > 0 and walk % WALKS == 0
                domain.reclaim(0, priority=max(0, min(12, fitting) - urgent))

    def _by_domain(self) -> list[list[Cache[int, int]]]:
        if len(self.domains) == 1:
            return [self.caches]
        return [[cache] for cache in self.caches]

    def close(self) -> None:
        """Close all."""
        for domain in self.domains:
            domain.close()


def limits(steps: int, nr: int) -> Iterator[float]:
    """Yield the limit at each request, as a part of all."""
    warm = nr // WARM
    yield from itertools.repeat(1.0, warm)
    half = steps // 2
    down = [1 - (1 - LEAST) * (i + 1) / half for i in range(half)]
    levels = down + down[-2::-1] + [1.0]
    if steps == STEPS[0]:
        levels = [LEAST, LEAST, 1.0]
    for i in range(nr - warm):
        yield levels[i * len(levels) // (nr - warm)]


def run(
    requests: list[Request],
    steps: int,
    caches: Caches,
    split: Callable[[float], Sequence[float]],
) -> tuple[float, list[list[int]]]:
    """Return the seconds lost, and the pages of each cache now and then."""
    # The caches' own clock must not come between.
    start = time.monotonic_ns() + 10**18
    warm, shown = len(requests) // WARM, len(requests) // 200
    seen = []
    for i, ((kind, key), part) in enumerate(
        zip(requests, limits(steps, len(requests)), strict=True)
    ):
        if i == warm:
            caches.lost = 0.0
        caches.ask(kind, key)
        if part < 1:
            caches.hold(split(part))
        if i % 50 == 0:
            now = start + i * SECONDS * 10**9 // len(requests)
            for domain in caches.domains:
                domain._growth.learn(now)
        if i % shown == 0:
            seen.append(caches.pages())
    return caches.lost, seen


def curve(requests: list[Request], kind: int) -> list[float]:
    """Return the seconds that a cache loses at each size of the grid, from 0."""
    keys = [key for of, key in requests if of == kind]
    warm = len(keys) // WARM
    full = len(set(keys))
    lost = [float(len(keys) - warm)]
    for size in range(1, GRID + 1):
        with Domain() as domain:
            cache: Cache[int, int] = Cache(
                full * size // GRID, weigher=None, domain=domain
            )
            missed = 0
            for i, key in enumerate(keys):
                if cache.get(key) is None:
                    cache[key] = key
                    missed += i >= warm
        lost.append(float(missed))
    return [nr * KINDS[kind].seconds for nr in lost]


def best_split(
    curves: list[list[float]], full: list[int]
) -> Callable[[float], Sequence[float]]:
    """Return a function of the limit: pages of each cache, by the steepest gain."""

    def split(part: float) -> Sequence[float]:
        room = part * sum(full)
        sizes = [0.0] * len(full)
        at = [0] * len(full)
        while True:
            gains = [
                (
                    (curves[k][at[k]] - curves[k][to])
                    / (full[k] * (to - at[k]) / GRID),
                    k,
                    to,
                )
                for k in range(len(full))
                for to in range(at[k] + 1, GRID + 1)
                if full[k] * (to - at[k]) / GRID <= room
            ]
            if not gains:
                break
            _, k, to = max(gains)
            room -= full[k] * (to - at[k]) / GRID
            at[k] = to
            sizes[k] = full[k] * to / GRID
        return [size + room * size / (sum(sizes) or 1) for size in sizes]

    known: dict[float, Sequence[float]] = {}

    def remembered(part: float) -> Sequence[float]:
        if part not in known:
            known[part] = split(part)
        return known[part]

    return remembered


Found = dict[int, dict[str, tuple[float, list[list[int]]]]]
"""By steps and policy: the seconds lost, and the pages of each cache now and then."""


def measure(requests: list[Request]) -> Found:
    """Return what each policy loses, and its pages, by steps."""
    full = [
        -(-len({key for of, key in requests if of == kind}) * KINDS[kind].size // PAGE)
        for kind in range(len(KINDS))
    ]
    curves = [curve(requests, kind) for kind in range(len(KINDS))]
    whole = sum(full)
    policies: dict[str, tuple[bool, dict[str, Any], Callable[[float], Sequence[float]]]]
    policies = {
        "static": (False, {}, lambda part: [part * pages for pages in full]),
        "size": (True, {"seeks": 2}, lambda part: [part * whole]),
        "learned": (True, {}, lambda part: [part * whole]),
        "offline": (False, {}, best_split(curves, full)),
    }
    found: Found = {}
    for steps in STEPS:
        found[steps] = {}
        for name, (together, options, split) in policies.items():
            caches = Caches(together, **options)
            found[steps][name] = run(requests, steps, caches, split)
            caches.close()
    return found


def print_table(found: Found) -> None:
    """Print the seconds lost, and how they compare."""
    names = list(next(iter(found.values())))
    print(f"{'seconds of computing again':30}", *(f"{name:>10}" for name in names))
    for steps, row in found.items():
        print(
            f"{f'100 -> 33 -> 100 %, {steps} steps':30}",
            *(f"{row[name][0]:10.0f}" for name in names),
        )
        print(
            f"{'  part of offline':30}",
            *(f"{row[name][0] / row['offline'][0]:10.2f}" for name in names),
        )


def draw(found: Found, path: Path) -> None:
    """Write the picture: what each cache has, by policy and steps."""
    import matplotlib as mpl  # noqa: PLC0415 - only for plots
    from matplotlib.figure import Figure  # noqa: PLC0415

    from shrinker.bench.plot import STYLE  # noqa: PLC0415

    settings = {**STYLE, "svg.hashsalt": "learned_seeks", "svg.fonttype": "none"}
    names = list(next(iter(found.values())))
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        rows = figure.subplots(len(found), len(names), sharex=True, sharey=True)
        for row, (steps, policies) in zip(rows, found.items(), strict=True):
            for axes, (name, (lost, seen)) in zip(row, policies.items(), strict=True):
                part = lost / policies["offline"][0]
                axes.stackplot(
                    [i * SECONDS / len(seen) for i in range(len(seen))],
                    [
                        [pages[kind] * PAGE / 2**20 for pages in seen]
                        for kind in range(len(KINDS))
                    ],
                    labels=[kind.name for kind in KINDS],
                    linewidth=0,
                )
                axes.set(title=f"{name}, {steps} steps: {part:.2f}", xmargin=0)
            row[0].set_ylabel("MiB")
        for axes in rows[-1]:
            axes.set_xlabel("seconds")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=130)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--plot", type=Path, help="file for a picture")
    options = parser.parse_args()
    found = measure(make_requests(options.requests))
    print_table(found)
    if options.plot:
        draw(found, options.plot)


if __name__ == "__main__":
    main()
