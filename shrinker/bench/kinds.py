"""What the command knows of each scenario but the reclaim loop and the peers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from shrinker.bench.lines import Section, line_results, references
from shrinker.bench.lines_table import print_lines
from shrinker.bench.memcg_points import ROWS as MEMCG_ROWS
from shrinker.bench.memcg_results import memcg_result
from shrinker.bench.memcg_table import print_memcg_result
from shrinker.bench.native.points import C2
from shrinker.bench.native.points import ROWS as NATIVE_ROWS
from shrinker.bench.native.points import SECTIONS as NATIVE_SECTIONS
from shrinker.bench.neighbours.points import LOOP as NEIGHBOURS_LOOP
from shrinker.bench.neighbours.points import ROWS as NEIGHBOURS_ROWS
from shrinker.bench.neighbours.points import SECTIONS as NEIGHBOURS_SECTIONS
from shrinker.bench.scenario import ScenarioName
from shrinker.bench.threads.points import LOOP as THREADS_LOOP
from shrinker.bench.threads.points import ROWS as THREADS_ROWS
from shrinker.bench.threads.points import SECTIONS as THREADS_SECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shrinker.bench.scenario import AnyRow
    from shrinker.trace.terminal import Terminal

__all__ = ["KINDS", "Kind"]


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A scenario: its rows, how a suite is shown and drawn, and its own measure."""

    rows: Sequence[AnyRow]
    show: Callable[[Terminal, Any], None]
    draw: Callable[[Any, Path, str], list[Path]]
    """Of a suite, a path without suffix, and where and when it was measured."""
    reference: Callable[[str], str | None]
    """From a row's name to that of the row that tells how fast the machine is."""


def _show_memcg(terminal: Terminal, suite: Any) -> None:
    print_memcg_result(terminal, memcg_result(suite))


def _draw_memcg(suite: Any, base: Path, about: str) -> list[Path]:
    # Half a second of imports, for this alone; so below.
    from shrinker.bench.memcg_plot import save_memcg_plots  # noqa: PLC0415

    return save_memcg_plots(memcg_result(suite), base, about)


def _of_lines(
    rows: Sequence[AnyRow],
    sections: Sequence[Section],
    title: str,
    explanation: str,
    reference: Callable[[str], str | None],
) -> Kind:
    def show(terminal: Terminal, suite: Any) -> None:
        print_lines(terminal, line_results(suite, sections), explanation)

    def draw(suite: Any, base: Path, about: str) -> list[Path]:
        from shrinker.bench.lines_plot import save_lines_plots  # noqa: PLC0415

        return save_lines_plots(line_results(suite, sections), base, title, about)

    return Kind(rows, show, draw, reference)


def _always(row: str) -> Callable[[str], str | None]:
    return lambda name: None if name == row else row


def _native_reference(name: str) -> str | None:
    return references(NATIVE_SECTIONS)(name)


def _threads_reference(name: str) -> str | None:
    # Bytes are not by how fast the machine is.
    return None if name.startswith("memory") else _always(THREADS_LOOP.name)(name)


KINDS: dict[ScenarioName, Kind] = {
    ScenarioName.MEMCG: Kind(MEMCG_ROWS, _show_memcg, _draw_memcg, lambda _: None),
    ScenarioName.NATIVE: _of_lines(
        NATIVE_ROWS,
        NATIVE_SECTIONS,
        f"Native passes and walks, as ratios to {C2.what} and C4",
        "C2: an indirect call, an atomic exchange and an atomic addition; C4: two"
        " atomic operations more. calls: a pass's callbacks from an empty loop. reset:"
        " passes, the deferred work forgotten before each; carried: carried over."
        " ns of processor time.",
        _native_reference,
    ),
    ScenarioName.NEIGHBOURS: _of_lines(
        NEIGHBOURS_ROWS,
        NEIGHBOURS_SECTIONS,
        "Walks beside busy Python threads",
        "Busy threads are Python loops. Ratios are to the first line of a table.",
        _always(NEIGHBOURS_LOOP.name),
    ),
    ScenarioName.THREADS: _of_lines(
        THREADS_ROWS,
        THREADS_SECTIONS,
        "Walks in two threads, and shrinkers that come and go",
        "Rates of two threads are to that of one. C2 loops share nothing. register,"
        " free: the ratio is to ten times fewer. Memory: by how much a process grows.",
        _threads_reference,
    ),
}
