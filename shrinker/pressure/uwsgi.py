"""What uWSGI does to threads.

Its master loads the program, and then forks the workers in C, without the GIL.  A
worker that is forked while another thread has the GIL waits for ever, since that thread
does not exist in the worker.  So the reclaimer runs no thread in the master; each
worker starts one at its first insert.
"""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["in_uwsgi_master", "warn_of_uwsgi"]

logger = logging.getLogger("shrinker.pressure")


def in_uwsgi_master() -> bool:
    """Return whether uWSGI will fork its workers from this process."""
    uwsgi = sys.modules.get("uwsgi")
    try:
        if uwsgi is None or uwsgi.worker_id() or uwsgi.mule_id():
            return False
        return uwsgi.masterpid() in {0, os.getpid()}  # 0: it has no master.
    except AttributeError:  # Another module of that name.
        return False


def warn_of_uwsgi() -> None:
    """Warn that no thread runs, where uWSGI was started without threads."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if isinstance(options, dict) and not {
        key.decode() if isinstance(key, bytes) else key for key in options
    } & {"enable-threads", "threads"}:
        logger.warning(
            "uWSGI runs without threads, so nothing reclaims in the background: start"
            " it with enable-threads = true"
        )
