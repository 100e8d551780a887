"""Say which lines and branches no test has reached; fail where it is too many.

``coverage_report.py [--least PERCENT] PYTHON.json C.json`` reads what ``coverage
json`` and ``gcovr --json`` wrote.  Lines and branches of C and of Python are four
numbers, and each has to reach the least by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Reached:
    """What was reached in one file, or in several together."""

    lines: int = 0
    lines_there: int = 0
    branches: int = 0
    branches_there: int = 0

    def add(self, other: Reached) -> None:
        """Add what was reached in another file."""
        for field in dataclasses.fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            setattr(self, field.name, ours + theirs)

    def line_share(self) -> float:
        """Return the lines reached, in percent."""
        return 100 * self.lines / self.lines_there if self.lines_there else 100

    def branch_share(self) -> float:
        """Return the branches reached, in percent."""
        return 100 * self.branches / self.branches_there if self.branches_there else 100


def python_file(data: dict[str, Any]) -> tuple[Reached, list[str]]:
    """Return what ``coverage json`` says of one file, and what is missing."""
    summary = data["summary"]
    reached = Reached(
        summary["covered_lines"],
        summary["num_statements"],
        summary["covered_branches"],
        summary["num_branches"],
    )
    gone = set(data["missing_lines"])
    missing = [str(line) for line in sorted(gone)]
    missing += [
        f"{start}->{'exit' if end < 0 else end}"
        for start, end in data["missing_branches"]
        if start not in gone
    ]
    return reached, missing


def c_file(data: dict[str, Any]) -> tuple[Reached, list[str]]:
    """Return what ``gcovr --json`` says of one file, and what is missing."""
    # A line of an inline function comes once for each function it is part of.
    counts: dict[int, int] = {}
    branches: dict[tuple[int, int], int] = {}
    for line in data["lines"]:
        if line.get("gcovr/excluded"):
            continue
        number = line["line_number"]
        counts[number] = counts.get(number, 0) + line["count"]
        for i, branch in enumerate(line["branches"]):
            if not branch.get("gcovr/excluded"):
                place = number, i
                branches[place] = branches.get(place, 0) + branch["count"]
    reached = Reached(
        sum(map(bool, counts.values())),
        len(counts),
        sum(map(bool, branches.values())),
        len(branches),
    )
    missing = [str(number) for number, count in sorted(counts.items()) if not count]
    missing += [
        f"{number}:{branch}"
        for (number, branch), count in sorted(branches.items())
        if not count and counts[number]
    ]
    return reached, missing


def show(language: str, files: dict[str, tuple[Reached, list[str]]]) -> Reached:
    """Print a line for each file that is not reached everywhere; return the sum."""
    total = Reached()
    for name, (reached, missing) in sorted(files.items()):
        total.add(reached)
        if missing:
            shares = f"{reached.line_share():5.1f} {reached.branch_share():5.1f}"
            print(f"{shares} {name}: {' '.join(missing)}")
    print(
        f"{language}: {total.line_share():.2f} % of {total.lines_there} lines, "
        f"{total.branch_share():.2f} % of {total.branches_there} branches",
    )
    return total


def within(path: str) -> str:
    """Return the path from the package on: where it was installed says nothing."""
    return "shrinker/" + path.rpartition("site-packages/shrinker/")[2]


def main() -> int:
    """Report, and return 1 where one of the four numbers is too low."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--least", type=float, default=95)
    parser.add_argument("python", type=Path)
    parser.add_argument("c", type=Path)
    options = parser.parse_args()

    python = json.loads(options.python.read_text(encoding="utf-8"))
    c = json.loads(options.c.read_text(encoding="utf-8"))
    totals = {
        "Python": show(
            "Python",
            {within(name): python_file(data) for name, data in python["files"].items()},
        ),
        "C": show("C", {data["file"]: c_file(data) for data in c["files"]}),
    }
    low = [
        f"{share:.2f} % of the {kind} of {language}"
        for language, total in totals.items()
        for kind, share in (
            ("lines", total.line_share()),
            ("branches", total.branch_share()),
        )
        if share < options.least
    ]
    for text in low:
        print(f"too low: {text}, {options.least:g} % wanted", file=sys.stderr)
    return bool(low)


if __name__ == "__main__":
    sys.exit(main())
