"""What mypy makes of ``@cached``, and of ``protect()``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import shrinker

SAMPLES = Path(__file__).parent / "typing_samples"


@pytest.mark.parametrize("sample", ["cached_methods.py", "protecting.py"])
def test_mypy_knows_what_is_decorated(sample: str, tmp_path: Path) -> None:
    """Arguments and results of functions, methods, class methods and static methods."""
    pytest.importorskip("mypy")
    environment = dict(os.environ)
    package = Path(shrinker.__file__).parents[1]
    if package.name != "site-packages":  # Where mypy looks itself.
        environment["MYPYPATH"] = str(package)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict"),
            *(
                "--config-file",
                os.devnull,
                "--cache-dir",
                str(tmp_path),
                str(SAMPLES / sample),
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stderr
