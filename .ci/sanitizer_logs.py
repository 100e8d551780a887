"""Judge what sanitizers have written while the Python tests ran.

``sanitizer_logs.py DIRECTORY PROCESSES`` reads the files ``log.*`` there, one for each
process that had something to say.  All errors count, also those of other libraries.
Leaks count where this library itself allocated the memory.  The interpreter, cffi and
others keep some memory at exit; a suppression by name would hide our leaks as well,
because all that the library allocates is allocated below a call of theirs.  So each
process that runs tests has something to say, and fewer files than PROCESSES mean that
the sanitizer of one was not there, or did not come to its end.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OURS = re.compile(r"\bcsrc/|/shrinker/_shrinker\.")
LEAK = re.compile(r"^(?:Direct|Indirect) leak of ", re.MULTILINE)
# The first frame is the sanitizer's malloc(), the second its caller.
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
    return bool(found) or len(logs) < int(sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
