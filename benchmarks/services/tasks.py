"""The model as a Celery task.

The broker is the worker's own memory, so the worker sends the tasks to itself.
"""

from __future__ import annotations

import os
import threading
import time

import celery
import celery.signals
import model

DRAIN_SECONDS = 2
"""What the last tasks have."""

app = celery.Celery("tasks", broker="memory://")
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4)


@app.task
def work(seed: int) -> None:
    """Do a unit of work."""
    model.work(seed)


def send() -> None:
    """Send tasks at a fixed rate, and end the worker."""
    rate, seconds = float(os.environ["RATE"]), float(os.environ["SECONDS"])
    begin = time.monotonic()
    for seed in range(int(rate * seconds)):
        time.sleep(max(begin + seed / rate - time.monotonic(), 0))
        work.delay(seed)
    time.sleep(DRAIN_SECONDS)
    os._exit(0)


@celery.signals.worker_ready.connect
def ready(**_: object) -> None:
    """Begin once the worker takes tasks."""
    threading.Thread(target=send, daemon=True).start()
