"""Tests of the suite that want a kernel with memory in cgroup v2."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

from support import CGROUP2, enable_memory

if TYPE_CHECKING:
    from support import Checks

PROJECT = Path("/project")
REPORT = Path("/var/tmp/report.xml")
PYTEST_SECONDS = 300


def run(check: Checks, name: str) -> None:
    """Run a file of tests.  Each must pass, but for those that want version 1."""
    command = [sys.executable, "-m", "pytest", f"{PROJECT}/tests/pressure/{name}"]
    command += ["-c", f"{PROJECT}/pyproject.toml", "--rootdir", str(PROJECT), "-q"]
    command += ["-p", "no:cacheprovider", "--basetemp=/var/tmp/pytest"]
    command += [f"--junitxml={REPORT}"]
    REPORT.unlink(missing_ok=True)
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PYTEST_SECONDS,
        check=False,
        cwd="/var/tmp",
    )
    if not REPORT.exists():
        check(f"{name}: pytest", "a report", done.stdout, ok=False)
        return
    for case in ET.parse(REPORT).iter("testcase"):  # noqa: S314 - it is ours
        problem = next(iter(case), None)
        said = "passed" if problem is None else f"{problem.tag}: {problem.text}"
        if not (said.startswith("skipped") and "cgroup v1" in said):
            check(f"{name}: {case.get('name')}", "passed", said)


def real_kernel(check: Checks) -> None:
    """Limits and sources."""
    enable_memory(CGROUP2)
    run(check, "test_real_kernel.py")


STEPS = [real_kernel]
