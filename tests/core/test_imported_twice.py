"""The package imported again in one process, as some tools for isolated tests do."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import shrinker

class Cache:
    def count_objects(self, sc):
        return 1000

    def scan_objects(self, sc):
        return sc.nr_to_scan

domain = shrinker.Domain()
registration = shrinker.ShrinkerBuilder("cache", domain=domain).register(Cache())
before = domain.shrink_slab(priority=0)
mine = {name for name in sys.modules if name.partition(".")[0] == "shrinker"}
if KEEP_EXTENSION:
    mine.discard("shrinker._shrinker")
for name in mine:
    del sys.modules[name]
for _ in range(2):
    try:
        import shrinker as again
    except ImportError as error:
        print(error)
    else:
        print("imported again")
print(before > 0, domain.shrink_slab(priority=0) == before)
with shrinker.Domain() as other:
    another = shrinker.ShrinkerBuilder("another", domain=other).register(Cache())
    print(other.shrink_slab(priority=0) == before)
    error = ValueError("from a callback")
    class Raises(Cache):
        def count_objects(self, sc):
            raise error
    raises = shrinker.ShrinkerBuilder("raises", domain=other).register(Raises())
    try:
        other.shrink_slab()
    except shrinker.CallbackErrors as errors:
        print(errors.exceptions == (error,))
registration.close()
domain.close()
"""


def test_a_second_copy() -> None:
    """A second import is refused each time, and the first copy goes on working."""
    for keep in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("KEEP_EXTENSION", str(keep))],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[:2] == ["shrinker cannot be imported twice in a process"] * 2
        assert lines[2:] == ["True True", "True", "True"]
        assert done.returncode == 0
