"""``make check-vm``: what its judge must not let pass.  No VM is booted here."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

RIGHT = {"job": "limits", "name": "a", "expected": "1", "got": "1", "ok": True}
WRONG = RIGHT | {"name": "b", "got": "2", "ok": False}
DONE = {"job": "limits", "seconds": 3.0}
ENDED = {"ended": True}


@pytest.fixture(scope="module")
def judge() -> ModuleType:
    """tests/vm/check_vm.py."""
    path = Path(__file__).parent / "vm" / "check_vm.py"
    spec = importlib.util.spec_from_file_location("check_vm", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_vm"] = module  # Dataclasses look there.
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("lines", "ended", "passed", "cell"),
    [
        ([RIGHT, DONE, ENDED], True, True, "1/1, 3 s"),
        ([RIGHT, WRONG, DONE, ENDED], True, False, "1/2, 3 s"),
        ([DONE, ENDED], True, False, "0/0, 3 s"),
        ([RIGHT, DONE], False, True, "1/1, 3 s"),
        ([RIGHT], False, False, "no end"),
        ([], False, False, "no end"),
    ],
)
def test_results(
    judge: Any,
    tmp_path: Path,
    lines: list[dict[str, Any]],
    ended: bool,
    passed: bool,
    cell: str,
) -> None:
    """A job passes that came to its end, checked something, and found all right.

    A line that is cut off, as where the emulator fails, counts for nothing.
    """
    path = tmp_path / "lines"
    text = "".join(f"{json.dumps(line)}\r\n" for line in lines)
    path.write_text(text + '{"job": "lim', "utf-8")
    found, came_to_end = judge.read_results(path, ["limits"])
    assert came_to_end is ended
    assert found["limits"].passed is passed
    assert str(found["limits"]) == cell


@pytest.mark.parametrize(
    ("boots", "expected"),
    [
        ([[RIGHT, DONE, ENDED]], 1),
        ([[RIGHT], [RIGHT, DONE, ENDED]], 2),
        ([[RIGHT, WRONG, DONE, ENDED]], 1),
        ([[], [], []], 3),
    ],
)
def test_boots(
    judge: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    boots: list[list[dict[str, Any]]],
    expected: int,
) -> None:
    """A VM without an end is booted again, bounded; one with a wrong check is not."""
    started = []

    def run_vm(directory: Path, kernel: str, arguments: str, name: str) -> Path:
        path = directory / name
        lines = boots[len(started)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
        started.append(name)
        return path

    monkeypatch.setattr(judge, "run_vm", run_vm)
    found = judge.run_jobs(tmp_path, "6.12", "", ["limits"])
    assert len(started) == expected
    assert found["limits"].passed is (WRONG not in boots[-1] and boots[-1] != [])


def test_what_is_missing_of_a_kernel(judge: Any, tmp_path: Path) -> None:
    """A VM that writes nothing has no end."""
    found, ended = judge.read_results(tmp_path / "missing", ["limits"])
    assert not ended
    assert not found["limits"].passed
