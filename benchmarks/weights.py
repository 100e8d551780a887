"""What the default weigher says that entries weigh, beside the memory that they take.

    python benchmarks/weights.py [--mib 100] [--kind NAME ...]

Each kind fills a ``Cache()`` in a process of its own.  Printed are the entries, the
bytes of one as the cache has them, and as the process's resident memory grew, and their
ratio.  A kind whose library is not installed is left out.
"""

from __future__ import annotations

import argparse
import array
import dataclasses
import gc
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 100
PAGE_BYTES = 4096


@dataclasses.dataclass
class Profile:
    """An instance with a ``__dict__``."""

    number: int
    name: str
    mail: str
    score: float
    tags: list[str]


def profile(n: int) -> Profile:
    """Return an instance of a class, and what it holds."""
    tags = [f"tag-{n}-{i}" for i in range(5)]
    return Profile(n, f"name {n}", f"{n}@example.org", n / 3, tags)


def record(n: int) -> Any:
    """Return a record as ``json.loads`` makes it."""
    fields = {f"field_{i}": f"value {n} of {i}" for i in range(10)}
    return json.loads(json.dumps(fields | {"id": n + 1000, "score": n / 3}))


def document(n: int) -> Any:
    """Return 200 records in a list."""
    rows = [
        {"id": n * 200 + i, "name": f"name {n} {i}", "prices": [n / (i + 1), i / 7]}
        for i in range(200)
    ]
    return json.loads(json.dumps({"rows": rows, "total": 200}))


def row(n: int) -> Any:
    """Return a row as a database driver returns it."""
    names = ("id", "name", "mail", "city", "note")
    return dict(zip(names, (n, f"n{n}", f"{n}@x.org", f"c{n}", "o" * 90), strict=True))


def frame(n: int) -> Any:
    """Return a frame with a column of numbers and one of text."""
    import pandas as pd  # noqa: PLC0415 - only for this kind

    numbers = range(n, n + 2_000)
    return pd.DataFrame(
        {"x": [i / 7 for i in numbers], "s": [f"r{i}" for i in numbers]}
    )


def floats(n: int) -> Any:
    """Return an array of 80 KB."""
    import numpy as np  # noqa: PLC0415 - only for this kind

    return np.full(10_000, float(n))


def table(n: int) -> Any:
    """Return a table of pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - only for this kind

    return pa.table({"x": list(range(n, n + 10_000))})


def image(n: int) -> Any:
    """Return an image of 200 x 200 pixels."""
    from PIL import Image  # noqa: PLC0415 - only for this kind

    return Image.new("RGB", (200, 200), (n % 256, 1, 2))


KINDS: dict[str, tuple[Callable[[int], Any], str | None]] = {
    "counter (int)": (lambda n: n + 1_000_000, None),
    "session (str of 100)": (lambda n: f"{n:0100}", None),
    "page (bytes of 200 KB)": (lambda n: bytes([n % 255 + 1]) * 200_000, None),
    "text (str, not ASCII)": (lambda n: f"{n} текст " * 300, None),
    "row (dict, shared names)": (row, None),
    "record (dict of JSON)": (record, None),
    "document (JSON, nested)": (document, None),
    "instance (dataclass)": (profile, None),
    "set of 500 strings": (lambda n: {f"{n}-{i}" for i in range(500)}, None),
    "tuples in a list": (lambda n: [(n, i / 3, f"{n} {i}") for i in range(50)], None),
    "array.array": (lambda n: array.array("d", [n] * 2_000), None),
    "numpy, 80 KB": (floats, "numpy"),
    "pandas, 2,000 rows": (frame, "pandas"),
    "pyarrow, 80 KB": (table, "pyarrow"),
    "PIL, 200 x 200": (image, "PIL"),
}


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def fill(kind: str, mib: int) -> tuple[int, float, float]:
    """Return the entries, and bytes of one: by the cache, and by resident memory."""
    make, _ = KINDS[kind]
    warm: Cache[str, Any] = Cache()
    for n in range(WARM_UP):
        warm[f"key-{n}"] = make(n)
    warm.close()
    cache: Cache[str, Any] = Cache()
    gc.collect()
    before, n = resident(), 0
    while n % WARM_UP or resident() - before < mib << 20:
        cache[f"key-{n}"] = make(n)
        n += 1
    return n, cache.weight / n, (resident() - before) / n


def main() -> None:
    """Fill a cache with each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=100, help="to fill each cache to")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(fill(options.child, options.mib)))
        return
    print(f"{'an entry':26}{'entries':>9}{'weight':>10}{'memory':>10}{'ratio':>8}")
    for kind in options.kind or KINDS:
        library = KINDS[kind][1]
        if library and not importlib.util.find_spec(library):
            print(f"{kind:26} {library} is not installed", file=sys.stderr)
            continue
        command = [sys.executable, __file__, "--child", kind, "--mib", str(options.mib)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603 - ourselves
        entries, weight, memory = json.loads(said)
        ratio = weight / memory
        print(f"{kind:26}{entries:9,}{weight:10,.0f}{memory:10,.0f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
