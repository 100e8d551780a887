"""Children of a fork that end by themselves."""

from __future__ import annotations

import os
import signal
import time
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHILD_SECONDS = 300
"""A child that takes longer is killed."""

_SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
_ENDING_SECONDS = 0.02
"""A thread that was joined still gives its memory back.  A fork leaves a lock of
AddressSanitizer's allocator as it is, and the child would wait for it for ever."""


def start_child(use: Callable[[], object]) -> int:
    """Fork; call ``use`` in the child, which ends then with 0, or 1 if it raised."""
    if _SANITIZED:
        time.sleep(_ENDING_SECONDS)
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(CHILD_SECONDS)
        use()
        status = 0
    except BaseException:  # noqa: BLE001 - the parent's test must not go on in here
        traceback.print_exc()
    finally:
        os._exit(status)


def status_of_child(use: Callable[[], object]) -> int:
    """Fork; return what ``use`` made of the child's exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(start_child(use), 0)[1])
