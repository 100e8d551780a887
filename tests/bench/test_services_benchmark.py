"""benchmarks/services: a pool of processes in a small container."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/services/run.py"
STATUS_NOT_POSSIBLE = 77


@pytest.mark.alone("nine processes do work at a fixed rate")
@pytest.mark.no_asan("the processes do not fit into the container with it")
@pytest.mark.untraced("the processes do not fit into the container with a tracer")
def test_a_pool_under_a_limit(tmp_path: Path) -> None:
    """No process is killed with a reclaimer; the figures add up."""
    file = tmp_path / "services.json"
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--runs", "1", "--only", "Pool"),
            *("--seconds", "6", "--rate", "160", "--limit", "128", "-o", str(file)),
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if done.returncode == STATUS_NOT_POSSIBLE:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    unprotected, protected = json.loads(file.read_text())["runs"]
    assert (unprotected["protected"], protected["protected"]) == (False, True)
    assert unprotected["kills"] >= protected["kills"] == 0
    assert protected["alive"]
    assert protected["offered"] == 960
    assert sum(protected["shares"]) == protected["served"] > 0
    assert len(protected["shares"]) == 8
    assert 0 < protected["hit_ratio"] < 1
    rows = [line for line in done.stdout.splitlines() if "Pool" in line]
    assert [row.split("|")[2].strip() for row in rows] == ["unprotected", "protected"]
