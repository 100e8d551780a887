"""The judges of CI: what they must not let pass."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPTS = Path(__file__).parents[1] / ".ci"
LEAK = """
=================================================================
==1==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 64 byte(s) in 1 object(s) allocated from:
    #0 0x1 in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x2 in {caller}
    #2 0x3 in cfunction_vectorcall_O Objects/methodobject.c:514
"""


def script(name: str) -> ModuleType:
    """Load a script that is no module of a package."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses look there.
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (LEAK.format(caller="b_init (/venv/_cffi_backend.so+0x1)"), 0),
        (LEAK.format(caller="reclaim_shrinker_alloc csrc/registry.c:25"), 1),
        (LEAK.format(caller="f (/venv/shrinker/_shrinker.abi3.so+0x1)"), 1),
        ("==1==ERROR: AddressSanitizer: heap-use-after-free", 1),
        ("csrc/scan.h:30:9: runtime error: signed integer overflow", 1),
    ],
)
def test_sanitizer_logs(text: str, count: int) -> None:
    """Errors count always, leaks where the library asked for the memory."""
    assert len(script("sanitizer_logs").complaints(text)) == count


def c_line(number: int, count: int, branches: list[int]) -> dict[str, Any]:
    return {
        "line_number": number,
        "count": count,
        "branches": [{"count": taken} for taken in branches],
    }


@pytest.mark.parametrize(
    ("lines", "code", "missing"),
    [
        ([c_line(1, 1, [1, 1]), c_line(2, 1, [])], 0, ""),
        # One branch of two.
        ([c_line(1, 1, [1, 0]), c_line(2, 1, [])], 1, "x.c: 1:1"),
        # One line of two.
        ([c_line(1, 1, [1, 1]), c_line(2, 0, [])], 1, "x.c: 2"),
        # Reached in one of two copies of an inline function.
        ([c_line(1, 1, [1, 0]), c_line(1, 1, [0, 1])], 0, ""),
    ],
)
def test_coverage_report(
    lines: list[dict[str, Any]],
    code: int,
    missing: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lines and branches are looked at apart, and what is missing is named."""
    python, c = tmp_path / "python.json", tmp_path / "c.json"
    python.write_text(json.dumps({"files": {}}), encoding="utf-8")
    c.write_text(json.dumps({"files": [{"file": "x.c", "lines": lines}]}))
    monkeypatch.setattr("sys.argv", ["coverage_report.py", str(python), str(c)])
    assert script("coverage_report").main() == code
    assert missing in capsys.readouterr().out
