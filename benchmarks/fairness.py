"""Five caches of very different sizes and costs under one reclaim, as a picture.

    python benchmarks/fairness.py            # writes docs/fairness.svg
    python benchmarks/fairness.py out.png    # or elsewhere

60 passes at priority 6, then 8 at priority 3, over dicts that are watched.  Beside
what is left of each the picture has what the formula leaves: in a pass at priority p
a cache loses the part 4 / (seeks * 2**p).  Prints the same as a table.  The result is
the same in every run: nothing in it is measured time.  Needs matplotlib.
"""

from __future__ import annotations

import argparse
import dataclasses
import threading
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from shrinker import Domain
from shrinker.bench.plot import STYLE
from shrinker.cache.watch import watch

PASSES = (*[6] * 60, *[3] * 8)
MILD = PASSES.count(6)


@dataclasses.dataclass(frozen=True)
class Sort:
    """A cache of the five."""

    about: str
    entries: int
    seeks: int
    entry_bytes: int | None
    colour: str


SORTS = (
    Sort("300 entries, seeks 2", 300, 2, None, "#7A7A7A"),
    Sort("100,000 entries, seeks 8", 100_000, 8, None, "#CC79A7"),
    Sort("82,000 x 200 B, seeks 2", 82_000, 2, 200, "#009E73"),
    Sort("1,000,000 entries, seeks 2", 1_000_000, 2, None, "#0072B2"),
    Sort("100,000 entries, seeks 1", 100_000, 1, None, "#D55E00"),
)


def measure() -> list[list[float]]:
    """Return for each cache what is left of it before and after every pass, in %."""
    with Domain() as domain:
        watches = [
            watch(
                dict.fromkeys(range(sort.entries)),
                lock=threading.Lock(),
                seeks=sort.seeks,
                entry_bytes=sort.entry_bytes,
                domain=domain,
            ).registration
            for sort in SORTS
        ]
        counts = [[watched.count()] for watched in watches]
        for priority in PASSES:
            domain.shrink_slab(priority=priority)
            for series, watched in zip(counts, watches, strict=True):
                series.append(watched.count())
    return [[100 * n / series[0] for n in series] for series in counts]


def predict(sort: Sort) -> list[float]:
    """Return what the formula leaves, in %."""
    left = [100.0]
    for priority in PASSES:
        left.append(left[-1] * (1 - 4 / sort.seeks / 2**priority))
    return left


def draw(found: list[list[float]], path: Path) -> None:
    """Write the picture: one panel for each priority."""
    settings = {**STYLE, "svg.hashsalt": "fairness", "svg.fonttype": "none"}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
        lines = []
        for sort, series in zip(SORTS, found, strict=True):
            formula = predict(sort)
            for axes, first, last in ((left, 0, MILD), (right, MILD, len(PASSES))):
                x, part = range(first, last + 1), slice(first, last + 1)
                axes.plot(x, formula[part], color=sort.colour, linewidth=5, alpha=0.25)
                (line,) = axes.plot(x, series[part], color=sort.colour, linewidth=1.4)
            line.set_label(sort.about)
            lines.append(line)
        (line,) = left.plot([], color="black", linewidth=5, alpha=0.25)
        line.set_label("wide and pale: the formula")
        left.set(
            xlim=(0, MILD),
            ylim=(0, 103),
            xlabel="passes",
            ylabel="left of the cache, %",
            title="60 passes at priority 6",
        )
        right.set(
            xlim=(MILD, len(PASSES)), xlabel="passes", title="then 8 at priority 3"
        )
        figure.legend(
            handles=[*lines, line], fontsize=8, loc="outside lower center", ncols=2
        )
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=130)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(__file__).parent.parent / "docs" / "fairness.svg"
    parser.add_argument("path", type=Path, nargs="?", default=default)
    path = parser.parse_args().path
    found = measure()
    rows = [("left of the cache, %", "30 passes", "60 passes", "8 at priority 3")]
    for sort, series in zip(SORTS, found, strict=True):
        formula = predict(sort)
        cells = [f"{series[n]:.1f} ({formula[n]:.1f})" for n in (30, MILD, -1)]
        rows.append((sort.about, *cells))
    for first, *others in rows:
        print(f"{first:26}", *(f"{cell:>16}" for cell in others))
    draw(found, path)


if __name__ == "__main__":
    main()
