"""The figures of the runs as a table, by rich where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from run import Run

__all__ = ["print_table"]

MIB = 1 << 20
PAGE_BYTES = 4096
"""Of the pages in which caches that weigh their entries count."""


def print_table(runs: Sequence[Run]) -> None:
    """Print a column for each run."""
    columns = [_column(run) for run in runs]
    header = ["", *("protected" if run.protected else "unprotected" for run in runs)]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "-") for column in columns)] for name in names]
    try:
        from rich import box  # noqa: PLC0415 - optional
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
    except ImportError:
        _print_plain([header, *rows])
        return
    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row, end_section=row[0] in LAST_OF_SECTION)
    console = Console()
    with console.capture() as captured:
        console.print(table)
    print()
    for line in captured.get().splitlines():
        print(line.rstrip())
    print()


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        numbers = (
            cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)
        )
        print(name.ljust(widths[0]), *numbers, sep="   ")
        if name in LAST_OF_SECTION:
            print()


LAST_OF_SECTION = {"", "requests failed", "latency, slowest", "RSS, end"}
"""Rows that a rule or an empty line follows."""


def _column(run: Run) -> dict[str, str]:
    """Return the figures of a run by name."""
    load = run.load
    last = run.samples[-1]
    column = {
        "outcome": run.outcome,
        "after": f"{last.seconds:.1f} s",
        "requests served": f"{load['served']:,}",
        "requests failed": f"{load['failed']:,}",
        "hit ratio, profiles": _share(load["hit_ratio"].get("profiles")),
        "hit ratio, images": _share(load["hit_ratio"].get("images")),
    }
    for name, key in (("median", "median"), ("99 %", "p99"), ("slowest", "max")):
        latency = load["latency_ms"].get(key)
        column[f"latency, {name}"] = "-" if latency is None else f"{latency:.0f} ms"
    column |= {
        "limit": _mib(run.limit),
        "memory, peak": _mib(max(sample.memory for sample in run.samples)),
        "RSS, peak": _mib(max(sample.rss for sample in run.samples)),
        "RSS, end": _mib(last.rss),
    }
    did = run.statistics
    if did:
        column |= {
            "reclaims, background": f"{did['reclaims'] - did['direct_reclaims']:,}",
            "reclaims, direct": f"{did['direct_reclaims']:,}",
            "time in reclaim": f"{1000 * did['reclaim_seconds']:,.0f} ms",
            "freed by caches": _mib(did["freed"] * PAGE_BYTES),
            "given back to the system": _mib(did["given_back"]),
        }
    return column


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _mib(size: int) -> str:
    return f"{size / MIB:,.1f} MiB"
