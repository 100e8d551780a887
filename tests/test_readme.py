"""The README's examples run and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
# A block of Python, and the block of text behind it, if there is one.
EXAMPLE = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)


def examples() -> list[tuple[str, str | None]]:
    return EXAMPLE.findall(README.read_text(encoding="utf-8"))


def test_there_are_examples() -> None:
    """The README shows Python with its output."""
    assert examples()
    assert any(output for _, output in examples())


@pytest.mark.parametrize("number", range(len(examples())))
def test_example(number: int, tmp_path: Path) -> None:
    """Each example runs in a fresh interpreter and prints the text behind it."""
    code, output = examples()[number]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    if output:
        assert done.stdout == output
