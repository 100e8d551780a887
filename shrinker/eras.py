"""The eras of the formula of a pass: spans of kernel versions that compute the same.

docs/specification.md, "Eras", has the formulas; ``csrc/eras.h`` computes them.
"""

from __future__ import annotations

from typing import NamedTuple

from shrinker._ffi import lib

__all__ = ["ERAS", "ERA_LETTERS", "Era", "era_named"]


class Era(NamedTuple):
    """One formula."""

    name: str
    """As ``run_pass`` and ``shrinker explain --era`` take it."""
    first: str
    """The oldest kernels that compute it."""
    last: str
    """The newest; empty where today's kernels compute it."""

    @property
    def letter(self) -> str:
        """Return A, B or C."""
        return self.name[0]

    @property
    def kernels(self) -> str:
        """Return the kernel versions in words."""
        return kernels(self.first, self.last)


def kernels(first: str, last: str) -> str:
    """Return a span of kernel versions in words."""
    if first == last != "":
        return first
    if not last:
        return f"{first} and later" if first else "any version"
    return f"{first} to {last}" if first else f"up to {last}"


ERAS = {
    lib.PASS_ERA_C: Era("C", "5.13", ""),
    lib.PASS_ERA_B: Era("B", "4.16", "5.12"),
    lib.PASS_ERA_B_4_19: Era("B-4.19", "4.19.y", "4.19.y"),
    lib.PASS_ERA_A: Era("A", "4.11", "4.15"),
    lib.PASS_ERA_A_4_10: Era("A-4.10", "", "4.10"),
}
"""By enum pass_era, in the order in which they are tried."""

ERA_LETTERS = "A", "B", "C"


def era_named(name: str) -> int:
    """Return the enum pass_era of a name.  Raises ValueError."""
    for era, words in ERAS.items():
        if words.name == name:
            return int(era)
    names = ", ".join(sorted(words.name for words in ERAS.values()))
    raise ValueError(f"era must be one of {names}; got {name!r}")
