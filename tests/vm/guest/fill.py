"""``fill.py KIND PROTECT SECONDS``: puts 300 MB into a cache, by two threads.

KIND is ``cache``, a ``Cache`` that is filled at full speed, or ``dict``, a dict that is
watched and whose values take a millisecond to load, under its lock.  PROTECT is 0 or 1.
Prints how many entries it has put, after SECONDS at most.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time

import shrinker
from shrinker.cache import Cache

kind, protect, seconds = sys.argv[1], sys.argv[2] == "1", float(sys.argv[3])
THREADS = 2
ENTRIES = 3_750  # for each
BYTES = 40_000
LOAD_SECONDS = 0.001
lock = threading.Lock()
cache: dict[int, bytes] | Cache[int, bytes] = {}
watched: object = None
if kind == "cache":
    cache = Cache(weigher=lambda _, value: len(value))
elif protect:
    watched = shrinker.watch(cache, lock=lock)
put = [0] * THREADS


def fill(thread: int) -> None:
    """Put this thread's entries."""
    for n in range(ENTRIES):
        with lock:
            if kind == "dict":
                time.sleep(LOAD_SECONDS)
            cache[n * THREADS + thread] = b"x" * BYTES
        put[thread] += 1
        if time.monotonic() > end:
            break


with shrinker.protect() if protect else contextlib.nullcontext():
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=fill, args=(n,)) for n in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
print(sum(put))
