"""An explanation on the terminal, or as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from shrinker.explain import EMPTY, number
from shrinker.values import SHRINK_BATCH, CountObjects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.explain import Explanation, ScanCalls, Step

__all__ = ["print_explanation", "print_json"]

# Runs of equal scan calls that are listed, from the first and from the last.
_FIRST, _LAST = 6, 2


def print_json(explanation: Explanation) -> None:
    """Print one JSON object on standard output."""
    json.dump(explanation.to_json(), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_explanation(explanation: Explanation) -> None:
    """Print the pass step by step."""
    console = Console(highlight=False, markup=False)
    batch = explanation.batch
    stands_for = f" (stands for {SHRINK_BATCH})" if batch == 0 else ""
    console.print(
        f"One pass: count {_count(explanation.count)}, deferred"
        f" {explanation.deferred:,}, priority {explanation.priority}, seeks"
        f" {explanation.seeks}, batch {batch:,}{stands_for}",
        style="bold",
    )
    if not explanation.steps:
        console.print(_nothing(explanation))
        return
    for place, step in enumerate(explanation.steps, 1):
        console.print()
        console.print(Text.assemble((f"{place}. ", "bold"), step.title))
        for line in _lines(step, explanation):
            console.print(Padding(line, (0, 0, 0, 5), expand=False))
    for warning in explanation.warnings:
        console.print()
        console.print(Text.assemble(("! ", "bold red"), (warning, "red")))


def _count(count: int) -> str:
    names = {
        EMPTY: "EMPTY",
        CountObjects.MAX.value: "MAX",
    }
    return f"{names[count]} = {count:,}" if count in names else f"{count:,}"


def _nothing(explanation: Explanation) -> str:
    said = (
        "count_objects() said that the cache is empty."
        if explanation.count == EMPTY
        else "count_objects() said 0: not known, or leave me out this time."
    )
    return (
        f"\n{said} The pass is over: nothing is scanned, no trace event is emitted, and"
        f" the deferred counter stays at {explanation.result.nr_deferred:,}, to apply"
        " in full when objects come back."
    )


def _lines(step: Step, explanation: Explanation) -> Iterator[Text]:
    """Yield what stands below the title of a step."""
    yield Text(step.formula, style="dim")
    if step.name == "total_scan_left":
        yield Text(step.filled_in)
        for call in _calls(explanation):
            yield Text(call)
        yield Text.assemble("total_scan is now ", (f"{step.value:,}", "bold"))
    elif step.filled_in == number(step.value):
        yield Text.assemble(f"{step.name} = ", (f"{step.value:,}", "bold"))
    else:
        yield Text.assemble(
            f"{step.name} = {step.filled_in} = ", (f"{step.value:,}", "bold")
        )
    if step.remark:
        yield Text(step.remark, style="italic")


def _calls(explanation: Explanation) -> list[str]:
    """Return a line for each scan call, equal ones taken together."""
    runs = explanation.scans
    if not runs:
        return ["(no scan call)"]
    hidden = runs[_FIRST : len(runs) - _LAST]
    if len(hidden) < 2:  # noqa: PLR2004 - a line saved is none
        return [_call(run) for run in runs]
    calls = sum(run.times for run in hidden)
    return [
        *(_call(run) for run in runs[:_FIRST]),
        f"... {calls:,} more calls ...",
        *(_call(run) for run in runs[-_LAST:]),
    ]


def _call(run: ScanCalls) -> str:
    times = f"{run.times:,} x " if run.times > 1 else ""
    return f"{times}scan_objects({number(run.nr_to_scan)})"
