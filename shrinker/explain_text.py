"""An explanation on the terminal, or as JSON."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from shrinker.explain import EMPTY, number
from shrinker.values import SHRINK_BATCH, CountObjects

if TYPE_CHECKING:
    from shrinker.explain import Explanation, ScanCalls, Step

__all__ = ["print_explanation", "print_json"]

_INDENT = 5
_HANG = 4
_MIN_WIDTH = 40
_TIE = "\N{NO-BREAK SPACE}"
# Runs of equal scan calls that are listed, from the first and from the last.
_FIRST, _LAST = 6, 2


def print_json(explanation: Explanation) -> None:
    """Print one JSON object on standard output."""
    json.dump(explanation.to_json(), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_explanation(explanation: Explanation) -> None:
    """Print the pass step by step."""
    page = _Page()
    batch = explanation.batch
    stands_for = f" (stands for {SHRINK_BATCH})" if batch == 0 else ""
    page.print(
        f"One pass: count {_count(explanation.count)}, deferred"
        f" {explanation.deferred:,}, priority {explanation.priority}, seeks"
        f" {explanation.seeks}, batch {batch:,}{stands_for}",
        style="bold",
    )
    if not explanation.steps:
        page.print("")
        page.print(_nothing(explanation))
        return
    for place, step in enumerate(explanation.steps, 1):
        page.print("")
        page.print(f"{place}. {step.title}", hang=3)
        _print_step(page, step, explanation)
    for warning in explanation.warnings:
        page.print("")
        page.print(f"! {_tied(warning, '*')}", hang=2, style="red")


class _Page:
    """The terminal: wraps lines with a hanging indent, and pads none."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False)
        self._width = max(self._console.width, _MIN_WIDTH)

    def print(
        self,
        text: str,
        *,
        indent: int = 0,
        hang: int = 0,
        style: str = "",
        bold: str = "",
    ) -> None:
        """Print one paragraph; ``bold`` is its end, which is to stand out."""
        lines = textwrap.wrap(
            text,
            self._width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [""]:
            shown = Text(line.replace(_TIE, " "), style=style)
            if bold and line is lines[-1]:
                shown.stylize("bold", len(shown) - len(bold))
            self._console.print(shown, soft_wrap=True)


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
        f"{said} The pass is over: nothing is scanned, no trace event is emitted, and"
        f" the deferred counter stays at {explanation.result.nr_deferred:,}, to apply"
        " in full when objects come back."
    )


def _print_step(page: _Page, step: Step, explanation: Explanation) -> None:
    """Print what stands below the title of a step."""
    value = f"{step.value:,}"
    for line in step.formula.splitlines():
        body = line.lstrip()
        indent = _INDENT + len(line) - len(body)
        page.print(_tied(body), indent=indent, hang=_HANG, style="dim")
    if step.name == "total_scan_left":
        page.print(step.filled_in, indent=_INDENT)
        for call in _calls(explanation):
            page.print(call, indent=_INDENT)
        page.print(f"total_scan is now {value}", indent=_INDENT, bold=value)
    else:
        terms = [step.name, step.filled_in, value]
        if step.filled_in == number(step.value):
            del terms[1]
        page.print(
            _tied(" = ".join(terms)),
            indent=_INDENT,
            hang=len(f"{step.name} = "),
            bold=value,
        )
    if step.remark:
        page.print(step.remark, indent=_INDENT, style="italic")


def _tied(text: str, *operators: str) -> str:
    """Let a formula break behind commas and before the weaker operators only.

    In prose, ``operators`` alone are tied to what stands around them.
    """
    for operator in operators or ("*", "/", ">>"):
        text = text.replace(f" {operator} ", f"{_TIE}{operator}{_TIE}")
    for operator in () if operators else ("=", "+", "-"):
        text = text.replace(f" {operator} ", f" {operator}{_TIE}")
    return text


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
