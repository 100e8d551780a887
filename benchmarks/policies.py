"""Hit ratios of eviction policies on recorded and on generated requests.

    python benchmarks/policies.py DIRECTORY             # of traces
    python benchmarks/policies.py FILE ... [--requests 500000] [--plot out.svg]

Sizes are parts of the distinct keys.  "cache" is ``shrinker.cache.Cache`` itself with
that ``maxsize``.  The others are small models; "best" knows what comes next.
Of a trace the first requests are taken.  Its name says what a record is (``FORMATS``);
``.gz`` and ``.xz`` are read as they are.  Nothing is measured time: each run prints the
same.  A plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import array
import fnmatch
import gzip
import heapq
import itertools
import lzma
import random
import statistics
import sys
from collections import OrderedDict, deque
from pathlib import Path
from typing import TYPE_CHECKING

from shrinker import Domain
from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import BufferedIOBase

SIZES = (0.01, 0.05, 0.2)
"""Of the distinct keys."""

FORMATS: dict[str, tuple[str, int]] = {
    "lirs_*": ("text", 0),
    "address*": ("text", 1),
    "adapt_size*": ("text", 1),
    "cache2k_*": ("I", 0),
    "cloud_physics*": ("I", 0),
    "corda*": ("Q", 0),
}
"""By a file's name: lines of text and the field of the key, or the type of a key."""

ZIPF_KEYS = 20_000
ZIPF_SKEW = 0.9
ZIPF_REQUESTS = 300_000
SCAN_KEYS = 2_000
"""Keys of a scan, each asked for once and never again."""
SCAN_EVERY = 10_000
"""Requests between two scans."""
DRIFT_EVERY = 4
"""Requests after which each key is as popular as the next more popular one was."""
SEED = 1


# --- policies: functions of the keys and a size; they return how many were hits ------


def lru(keys: Sequence[int], size: int) -> int:
    """Evict what was used longest ago."""
    entries: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in keys:
        if key in entries:
            hits += 1
            entries.move_to_end(key)
            continue
        if len(entries) >= size:
            entries.popitem(last=False)
        entries[key] = None
    return hits


def ours(keys: Sequence[int], size: int) -> int:
    """Ask the real cache."""
    with Domain() as domain, Cache[int, bool](size, weigher=None, domain=domain) as own:
        for key in keys:
            if own.get(key) is None:
                own[key] = True
        return own.statistics().hits


def clock(keys: Sequence[int], size: int) -> int:
    """Evict what came in first; what was used since gets a second chance."""
    used: OrderedDict[int, bool] = OrderedDict()
    hits = 0
    for key in keys:
        if key in used:
            hits += 1
            used[key] = True
            continue
        while len(used) >= size:
            first, was_used = used.popitem(last=False)
            if was_used:
                used[first] = False
        used[key] = False
    return hits


def sieve(keys: Sequence[int], size: int) -> int:
    """SIEVE: a hand goes from old to new; it evicts what was not used since it passed.

    Unlike in a clock, used entries stay in their place.
    """
    newer: dict[int | None, int | None] = {None: None}  # None stands at both ends.
    older: dict[int | None, int | None] = {None: None}
    used: dict[int, bool] = {}
    hand: int | None = None
    hits = 0
    for key in keys:
        if key in used:
            hits += 1
            used[key] = True
            continue
        if len(used) >= size:
            victim = newer[None] if hand is None else hand
            while victim is None or used[victim]:
                if victim is not None:
                    used[victim] = False
                victim = newer[victim]
            hand = newer[victim]
            before = older.pop(victim)
            newer[before] = newer.pop(victim)
            older[hand] = before
            del used[victim]
        newest = older[None]
        newer[newest], older[key] = key, newest
        newer[key], older[None] = None, key
        used[key] = False
    return hits


def s3_fifo(keys: Sequence[int], size: int) -> int:
    """S3-FIFO: a small queue, a main queue, and ghosts of what left the small one.

    The small queue has a tenth.  What was asked for twice in it, or is asked for again
    while it is a ghost, goes to the main queue, which counts uses up to 3.  So does,
    until the first eviction, what the small queue has no room for.
    """
    most_small = max(size // 10, 1)
    small: deque[int] = deque()
    main: deque[int] = deque()
    ghosts: OrderedDict[int, None] = OrderedDict()
    uses: dict[int, int] = {}
    evicts = False
    hits = 0
    for key in keys:
        if key in uses:
            hits += 1
            uses[key] = min(uses[key] + 1, 3)
            continue
        while len(uses) >= size:
            evicts = True
            if small and (len(small) >= most_small or not main):
                first = small.popleft()
                if uses[first] > 1:
                    uses[first] = 0
                    main.append(first)
                    continue
                ghosts[first] = None
                if len(ghosts) > max(size - most_small, 1):
                    ghosts.popitem(last=False)
            else:
                first = main.popleft()
                if uses[first]:
                    uses[first] -= 1
                    main.append(first)
                    continue
            del uses[first]
        if key in ghosts:
            del ghosts[key]
            main.append(key)
        elif evicts or len(small) < most_small:
            small.append(key)
        else:
            main.append(key)
        uses[key] = 0
    return hits


class Counts(dict[int, int]):
    """How often keys were asked for, up to 15; halved after ten times the size.

    W-TinyLFU estimates these counts in less memory.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._period = self._left = 10 * size

    def add(self, key: int) -> None:
        """Count a request."""
        self[key] = min(self.get(key, 0) + 1, 15)
        self._left -= 1
        if not self._left:
            self._left = self._period
            halves = [(key, count // 2) for key, count in self.items() if count > 1]
            self.clear()
            self.update(halves)


def w_tiny_lfu(keys: Sequence[int], size: int) -> int:
    """W-TinyLFU: a window, and a main part that admits what was asked for more often.

    The window is an LRU of 1 %.  The main part is a segmented LRU; its protected
    segment has 80 %.
    """
    counts = Counts(size)
    most_window = max(size // 100, 1)
    most_main = size - most_window
    most_protected = most_main * 8 // 10
    window: OrderedDict[int, None] = OrderedDict()
    probation: OrderedDict[int, None] = OrderedDict()
    protected: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in keys:
        counts.add(key)
        if key in window:
            hits += 1
            window.move_to_end(key)
        elif key in protected:
            hits += 1
            protected.move_to_end(key)
        elif key in probation:
            hits += 1
            del probation[key]
            protected[key] = None
            if len(protected) > most_protected:
                probation[protected.popitem(last=False)[0]] = None
        else:
            window[key] = None
            if len(window) <= most_window:
                continue
            candidate, _ = window.popitem(last=False)
            if len(probation) + len(protected) < most_main:
                probation[candidate] = None
            elif most_main:
                segment = probation or protected
                victim = next(iter(segment))
                if counts.get(candidate, 0) > counts.get(victim, 0):
                    del segment[victim]
                    probation[candidate] = None
    return hits


def best(keys: Sequence[int], size: int) -> int:
    """Evict what is asked for again last, even the new key: the upper bound."""
    never = len(keys)
    following, seen = [never] * never, dict[int, int]()
    for i in range(never - 1, -1, -1):
        following[i] = seen.get(keys[i], never)
        seen[keys[i]] = i
    entries: dict[int, int] = {}
    last: list[tuple[int, int]] = []  # Old pairs stay in; `entries` has what is true.
    hits = 0
    for i, key in enumerate(keys):
        hits += key in entries
        entries[key] = following[i]
        heapq.heappush(last, (-following[i], key))
        while len(entries) > size:
            when, victim = heapq.heappop(last)
            if entries.get(victim) == -when:
                del entries[victim]
    return hits


POLICIES: dict[str, Callable[[Sequence[int], int], int]] = {
    "LRU": lru,
    "cache": ours,
    "clock": clock,
    "SIEVE": sieve,
    "S3-FIFO": s3_fifo,
    "W-TinyLFU": w_tiny_lfu,
    "best": best,
}
COLOURS = ("#7A7A7A", "#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#000000")
MARKERS = "odDsv^|"


# --- requests ------------------------------------------------------------------------


def zipf(requests: int, *, scans: bool) -> Iterator[int]:
    """Yield keys that are asked for by Zipf's law, in between keys of scans."""
    chance = random.Random(SEED)  # noqa: S311 - requests, no secrets
    weights = itertools.accumulate((n + 1) ** -ZIPF_SKEW for n in range(ZIPF_KEYS))
    cumulated = list(weights)
    scanned = itertools.count(ZIPF_KEYS)
    for begin in range(0, requests, SCAN_EVERY):
        nr = min(SCAN_EVERY, requests - begin)
        yield from chance.choices(range(ZIPF_KEYS), cum_weights=cumulated, k=nr)
        if scans:
            yield from itertools.islice(scanned, SCAN_KEYS)


def text_keys(file: BufferedIOBase, field: int) -> Iterator[int]:
    """Yield the key of each line; lines without a number there are no requests."""
    for line in file:
        fields = line.split()
        if len(fields) > field:
            try:
                yield int(fields[field], 0)
            except ValueError:
                continue


def opened(path: Path) -> BufferedIOBase:
    """Open a file for reading; unpack it where its name says that it is packed."""
    if path.suffix == ".gz":
        return gzip.open(path)
    return lzma.open(path) if path.suffix == ".xz" else path.open("rb")


def read(path: Path, requests: int) -> list[int] | None:
    """Return the first keys of a trace; None where its name tells no format."""
    found = [how for name, how in FORMATS.items() if fnmatch.fnmatch(path.name, name)]
    if not found:
        return None
    (kind, field), *_ = found
    with opened(path) as file:
        if kind == "text":
            return list(itertools.islice(text_keys(file, field), requests))
        keys = array.array(kind)
        data = file.read(requests * keys.itemsize)
        keys.frombytes(data[: len(data) - len(data) % keys.itemsize])
        return keys.tolist()


def traces(paths: Sequence[Path], requests: int) -> Iterator[tuple[str, list[int]]]:
    """Yield names and keys: the traces', then the generated ones'."""
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            keys = read(file, requests)
            if keys:
                yield file.name.partition(".")[0].removesuffix("_trace"), keys
            else:
                print(f"{file.name}: not a trace with a known name", file=sys.stderr)
    nr = min(requests, ZIPF_REQUESTS)
    yield "zipf", list(zipf(nr, scans=False))
    yield "zipf, with scans", list(zipf(nr, scans=True))
    drifting = (key + n // DRIFT_EVERY for n, key in enumerate(zipf(nr, scans=False)))
    yield "zipf, drifting", list(drifting)


# --- what comes out ------------------------------------------------------------------

Ratios = dict[str, dict[str, float]]
"""Hit ratios in per cent by trace and policy."""


def measure(paths: Sequence[Path], requests: int) -> dict[float, Ratios]:
    """Return the hit ratios for each size."""
    found: dict[float, Ratios] = {size: {} for size in SIZES}
    for name, keys in traces(paths, requests):
        distinct = len(set(keys))
        print(f"{name}: {len(keys):,} requests, {distinct:,} keys", file=sys.stderr)
        for part, ratios in found.items():
            size = max(round(part * distinct), 1)
            ratios[name] = {
                policy: 100 * hits(keys, size) / len(keys)
                for policy, hits in POLICIES.items()
            }
    return found


def print_table(part: float, ratios: Ratios) -> None:
    """Print the ratios, their means, and how often each is above ours."""
    print(f"{f'hits in %, size {part:.0%}':26}", *(f"{name:>10}" for name in POLICIES))
    for name, row in ratios.items():
        print(f"{name:26}", *(f"{row[policy]:10.1f}" for policy in POLICIES))
    means = {p: statistics.mean(row[p] for row in ratios.values()) for p in POLICIES}
    print(f"{'mean':26}", *(f"{mean:10.1f}" for mean in means.values()))
    cells = []
    for policy in POLICIES:
        above = [row[policy] - row["cache"] for row in ratios.values()]
        more, less = sum(n >= 1 for n in above), sum(n <= -1 for n in above)
        cells.append(f"{f'+{more} -{less}':>10}")
    print(f"{'a point above, below ours':26}", *cells, end="\n\n")


def draw(found: dict[float, Ratios], path: Path) -> None:
    """Write the picture: a panel for each size, a row for each trace."""
    import matplotlib as mpl  # noqa: PLC0415 - only for plots
    from matplotlib.figure import Figure  # noqa: PLC0415

    from shrinker.bench.plot import STYLE  # noqa: PLC0415

    settings = {**STYLE, "svg.hashsalt": "policies", "svg.fonttype": "none"}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 5.4), layout="constrained")
        for axes, (part, ratios) in zip(
            figure.subplots(1, len(found), sharey=True), found.items(), strict=True
        ):
            rows = range(len(ratios))
            for policy, colour, marker in zip(POLICIES, COLOURS, MARKERS, strict=True):
                axes.plot(
                    [row[policy] for row in ratios.values()],
                    rows,
                    marker,
                    color=colour,
                    markersize=9 if policy == "best" else 5,
                    alpha=0.8,
                    label=policy,
                )
            axes.set(
                xlim=(-2, 102),
                xlabel="hits, %",
                title=f"size {part:.0%} of the keys",
                yticks=rows,
                yticklabels=list(ratios),
            )
            axes.grid(axis="y", alpha=0.3)
        axes.invert_yaxis()
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=130)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", type=Path, nargs="*", help="traces, or directories")
    parser.add_argument("--requests", type=int, default=500_000, help="of each trace")
    parser.add_argument("--plot", type=Path, help="file for a picture")
    options = parser.parse_args()
    found = measure(options.paths, options.requests)
    for part, ratios in found.items():
        print_table(part, ratios)
    if options.plot:
        draw(found, options.plot)


if __name__ == "__main__":
    main()
