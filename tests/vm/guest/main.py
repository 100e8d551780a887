"""In the VM: runs the jobs that it is told, and prints each check as a line of JSON."""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback

from support import Checks


def main(jobs: list[str]) -> None:
    """Run each job: the functions in its list STEPS.  The last line says "ended"."""
    for name in jobs:
        began = time.monotonic()
        checks = Checks(name)
        try:
            steps = importlib.import_module(name).STEPS
        except Exception:  # noqa: BLE001 - what fails is a check that fails
            checks("import", "no exception", traceback.format_exc(), ok=False)
            continue
        for step in steps:
            try:
                step(checks)
            except Exception:  # noqa: BLE001
                checks(step.__name__, "no exception", traceback.format_exc(), ok=False)
        print(json.dumps({"job": name, "seconds": time.monotonic() - began}))
    print(json.dumps({"ended": True}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
