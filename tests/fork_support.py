"""Children of a fork that end by themselves."""

from __future__ import annotations

import os
import signal
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHILD_SECONDS = 300
"""A child that takes longer is killed."""


def start_child(use: Callable[[], object]) -> int:
    """Fork; call ``use`` in the child, which ends then with 0, or 1 if it raised."""
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
