"""benchmarks/: what is printed; what is measured is not tested."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(),
    reason="the benchmarks are not part of this source distribution",
)


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_columns_of_caches_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """However large the figures are, two blanks are between them."""
    libraries = ["shrinker", "cachetools", "functools", "lru-dict", "cachebox"]
    caches = load("caches")
    names = {"hit": None} | {name: None for name, _, _ in caches.GOALS}
    caches.show({name: dict.fromkeys(libraries, 81362.0) for name in names})
    header, row = capsys.readouterr().out.splitlines()[:2]
    assert re.split("  +", header) == ["ns (ours/theirs)", *libraries]
    assert re.split("  +", row) == ["hit", "81362", *["81362 (1.00)"] * 4]
    assert len(header) == len(row)
