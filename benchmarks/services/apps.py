"""The model under each server: an ASGI and a WSGI application, a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Do the unit of work that a request names, on the event loop."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    hits = await model.work_on_loop(int(scope["path"][1:]))
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"%d" % hits})


def wsgi(
    environ: dict[str, Any], start_response: Callable[..., object]
) -> Iterable[bytes]:
    """Do the unit of work that a request names, in a thread."""
    hits = model.work(int(environ["PATH_INFO"][1:]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % hits]


def pool(processes: int, rate: float, seconds: float) -> None:
    """Give a pool units of work at a fixed rate.

    A process that is killed is replaced, and its unit is lost, with all others where it
    was holding the lock of their queue.  So no result is waited for, and not the pool's
    end.
    """
    workers = multiprocessing.get_context("fork").Pool(processes)
    begin = time.monotonic()
    for seed in range(int(rate * seconds)):
        time.sleep(max(begin + seed / rate - time.monotonic(), 0))
        workers.apply_async(model.work, (seed,))
    time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    pool(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
