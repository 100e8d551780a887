"""The C list_lru and ``ListLru`` against recorded calls of genuine kernels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from list_lru_scenarios import (
    CWorld,
    PythonWorld,
    Scenario,
    Step,
    build_library,
    first_difference,
    load,
    open_library,
    python_can,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SAME = load("7.2")
OTHER = [s for s in load("6.12") if "7.2" not in s["kernel"]]


def by_number(scenario: Scenario) -> str:
    return str(scenario["id"])


@pytest.fixture(scope="module")
def c_world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Scenario], CWorld]:
    """Makes a world of the C list_lru."""
    path = build_library(tmp_path_factory.mktemp("list_lru"))
    if path is None:
        pytest.skip("no C compiler to make list_lru_calls.c with")
    return functools.partial(CWorld, open_library(path))


@pytest.mark.parametrize("scenario", SAME, ids=by_number)
def test_c(c_world: Callable[[Scenario], CWorld], scenario: Scenario) -> None:
    """Every call returns, and leaves behind, what it did in a 7.2 kernel."""
    assert first_difference(c_world, scenario) is None


@pytest.mark.parametrize("scenario", [s for s in SAME if python_can(s)], ids=by_number)
def test_python(scenario: Scenario) -> None:
    """So does every call that ``ListLru`` has."""
    assert first_difference(PythonWorld, scenario) is None


def explained(scenario: Scenario, step: Step, ours: Any, recorded: Any) -> bool:
    """Whether docs/specification.md names this difference from 6.12."""
    at = scenario["steps"].index(step)
    before = scenario["steps"][:at]
    offline = {s["memcg"] for s in before if s["op"] == "memcg_offline"}
    if step["op"] == "add":
        # The bit is not that of the offline group, or there is none without kmem.
        del ours[1]["bits"], recorded[1]["bits"]
        return ours == recorded and (not scenario["kmem"] or step["memcg"] in offline)
    # The list of an offline group is empty.
    return step["op"] in {"count_one", "walk"} and step["memcg"] in offline


@pytest.mark.parametrize("scenario", OTHER, ids=by_number)
def test_6_12(c_world: Callable[[Scenario], CWorld], scenario: Scenario) -> None:
    """Where 6.12 differs from 7.2, we do as 7.2, and the specification says so."""
    found = first_difference(c_world, scenario)
    assert found is not None
    assert explained(scenario, *found)


def test_enough() -> None:
    """The recordings are there."""
    assert (len(SAME), len(OTHER)) == (84, 11)
    assert sum(map(python_can, SAME)) > 40
