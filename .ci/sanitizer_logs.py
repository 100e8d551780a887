"""Judge what sanitizers have written while the Python tests ran.

``sanitizer_logs.py DIRECTORY`` reads the files ``log.*`` there, one for each process
that had something to say.  Errors count, whoever made them.  Leaks count where the
memory was allocated by this library itself: the interpreter, cffi and others keep
some of theirs at exit, and a suppression by name would hide ours as well, because
whatever the library allocates is allocated below a call of theirs.  So there is always
something to be read, and no file at all means that no sanitizer was there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OURS = re.compile(r"\bcsrc/|/shrinker/_shrinker\.")
LEAK = re.compile(r"^(?:Direct|Indirect) leak of ", re.MULTILINE)
# The first frame is the sanitizer's malloc(), the second whoever called it.
CALLER = re.compile(r"^\s*#1 .*$", re.MULTILINE)


def complaints(text: str) -> list[str]:
    """Return the parts of one process's log that count."""
    head, *leaks = LEAK.split(text)
    found = []
    if "ERROR: LeakSanitizer" not in head or "runtime error" in head:
        found.append(head)
    for leak in leaks:
        caller = CALLER.search(leak)
        if caller and OURS.search(caller.group()):
            found.append(f"leak of {leak}")
    return found


def main() -> int:
    """Print what counts, and return 1 where there is any."""
    logs = sorted(Path(sys.argv[1]).glob("log.*"))
    found = [part for log in logs for part in complaints(log.read_text("utf-8"))]
    print(*found, sep="\n")
    print(f"{len(logs)} logs of sanitizers, {len(found)} complaints")
    return bool(found or not logs)


if __name__ == "__main__":
    sys.exit(main())
