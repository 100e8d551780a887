"""The example service: alone it is killed, protected it serves every request."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support import Checks

RUN = Path("/project/examples/service/run.py")
FIGURES = Path("/var/tmp/service.json")
REQUESTS = 480
REQUESTS_PER_SECOND = 8
"""Few: an emulated processor takes up to 0.1 s for one."""
RUN_SECONDS = 1200
"""Several times what both runs take on a busy machine."""


def example(check: Checks) -> None:
    """examples/service/run.py, with a load that outgrows the limit."""
    FIGURES.unlink(missing_ok=True)
    command = [sys.executable, str(RUN), "--limit", "96M", "--json", str(FIGURES)]
    command += ["--seconds", str(REQUESTS / REQUESTS_PER_SECOND)]
    command += ["--rate", str(REQUESTS_PER_SECOND)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    if not FIGURES.exists():
        check("run.py", "figures", done.stdout, ok=False)
        return
    alone, protected = json.loads(FIGURES.read_text("utf-8"))
    check("alone", "killed by OOM", alone["outcome"])
    load = protected["load"]
    check(
        "protected: outcome, served, failures",
        ("finished", REQUESTS, {}),
        (protected["outcome"], load["served"], load["failures"]),
    )
    freed = load["service"]["statistics"]["freed"]
    check("protected: pages freed", "1 or more", freed, ok=freed > 0)


STEPS = [example]
