"""A web service with two caches that give memory back.

``profiles`` has many small entries: user profiles of a few hundred bytes, from a
database that answers in 5 ms.  ``images`` has few large ones: rendered images of half a
megabyte to four, of which one tile is sent at a time.  Neither has a ``maxsize``.  They
keep what there is memory for, because of ``with shrinker.protect():`` in ``lifespan``.

With ``PROTECT=0`` in the environment the caches are the same, but nothing reclaims.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
import sys
import threading
import time
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import shrinker
from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

TILE_BYTES = 16 * 1024
DATABASE_SECONDS = 0.005
RENDER_SECONDS = 0.04


def weigh(_: int, profile: dict[str, str]) -> int:
    """Return the approximate size of a profile in bytes."""
    return 400 + len(profile["about"])  # 400 for the dict and its short strings.


profiles: Cache[int, dict[str, str]] = Cache(
    name="profiles", weigher=weigh, rebuild_seconds=DATABASE_SECONDS
)
images: Cache[int, bytes] = Cache(
    name="images",
    weigher=lambda _, image: len(image),
    rebuild_seconds=RENDER_SECONDS,
)

rendering = threading.Semaphore(4)
"""Limits how many images are rendered at once, as the number of processors would."""


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Protect the service while it runs."""
    if os.environ.get("PROTECT") == "0":
        yield
        return
    with shrinker.protect() as app.state.reclaimer:
        yield


async def people(request: Request) -> Response:
    """Send the names of some users."""
    users = [int(user) for user in request.path_params["users"].split(",")]
    found = {user: profiles.get(user) for user in users}
    missing = [user for user, profile in found.items() if profile is None]
    if missing:
        for user, profile in (await select_profiles(missing)).items():
            found[user] = profiles[user] = profile
    hits = len(found) - len(missing)
    names = [profile["name"] for profile in found.values() if profile]
    return JSONResponse(names, headers={"x-hits": f"{hits}/{len(found)}"})


def tile(request: Request) -> Response:
    """Send a part of an image.  Not async, so Starlette calls it in a thread."""
    number = request.path_params["image"]
    image = images.get(number)
    hit = image is not None
    if image is None:
        image = images[number] = render(number)
    start = request.path_params["tile"] * TILE_BYTES
    body = image[start : start + TILE_BYTES]
    return Response(body, headers={"x-hits": f"{hit:d}/1"}, media_type="image/x-tile")


async def select_profiles(users: list[int]) -> dict[int, dict[str, str]]:
    """Stand in for a database query."""
    await asyncio.sleep(DATABASE_SECONDS)
    return {
        user: {
            "name": f"User {user}",
            "mail": f"user{user}@example.org",
            "about": f"Nothing is known about user {user}. " * (3 + user % 11),
        }
        for user in users
    }


def render(number: int) -> bytes:
    """Stand in for a renderer."""
    noise = random.Random(number)  # noqa: S311 - the same image each time
    with rendering:
        time.sleep(RENDER_SECONDS)
        return noise.randbytes(4096) * int(128 * 8 ** noise.random())


async def statistics(request: Request) -> Response:
    """Send what the reclaimer did."""
    reclaimer = getattr(request.app.state, "reclaimer", None)
    if reclaimer is None:
        return JSONResponse(None)
    return JSONResponse(
        {
            "statistics": dataclasses.asdict(reclaimer.statistics()),
            "verdicts": [dataclasses.asdict(one) for one in reclaimer.history()],
        }
    )


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/people/{users}", people),
        Route("/images/{image:int}/tiles/{tile:int}", tile),
        Route("/statistics", statistics),
    ],
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        uds=sys.argv[1],
        access_log=False,
        log_level="warning",
        timeout_keep_alive=60,  # Seconds; longer than clients keep idle connections.
    )
