"""A web service with two caches, which give memory back.

``profiles`` has many small objects: users, a few hundred bytes each, from a database
that answers after a moment.  ``images`` has few large ones: rendered images of half a
megabyte to four, of which one tile is shown at a time.  Neither has a size: they keep
what there is room for, because of ``with shrinker.protect():`` in ``lifespan``.

With ``PROTECT=0`` in the environment the caches are the same, but nobody takes from
them.
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
from shrinker.cache import LruCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

TILE = 16 * 1024


def weigh(_: int, profile: dict[str, str]) -> int:
    """Return about how many bytes a profile takes."""
    return 400 + len(profile["about"])  # The dictionary, and what is short in it.


profiles: LruCache[int, dict[str, str]] = LruCache(
    name="profiles", weigher=weigh, rebuild_seconds=0.005
)
images: LruCache[int, bytes] = LruCache(
    name="images", weigher=lambda _, image: len(image), rebuild_seconds=0.04
)

drawing = threading.Semaphore(4)
"""An image at a time for each processor that we would have."""


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Protect the service as long as it runs."""
    if os.environ.get("PROTECT") == "0":
        yield
        return
    with shrinker.protect() as app.state.reclaimer:
        yield


async def people(request: Request) -> Response:
    """Show who wrote what is on a page."""
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
    """Show a part of an image; in a thread, as functions that are not async are."""
    number = request.path_params["image"]
    image = images.get(number)
    hit = image is not None
    if image is None:
        image = images[number] = render(number)
    start = request.path_params["tile"] * TILE
    body = image[start : start + TILE]
    return Response(body, headers={"x-hits": f"{hit:d}/1"}, media_type="image/x-tile")


async def select_profiles(users: list[int]) -> dict[int, dict[str, str]]:
    """Stand in for a database."""
    await asyncio.sleep(0.005)
    return {
        user: {
            "name": f"User {user}",
            "mail": f"user{user}@example.org",
            "about": f"Nothing is known about user {user}. " * (3 + user % 11),
        }
        for user in users
    }


def render(number: int) -> bytes:
    """Stand in for something that draws."""
    noise = random.Random(number)  # noqa: S311 - the same image each time
    with drawing:
        time.sleep(0.04)
        return noise.randbytes(4096) * int(128 * 8 ** noise.random())


async def statistics(request: Request) -> Response:
    """Say what the reclaimer did."""
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
        timeout_keep_alive=60,  # Longer than clients keep connections that are idle.
    )
