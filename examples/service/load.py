"""A load: the same requests at the same times in each run.

Requests are sent at a fixed rate, whether the service keeps up or not.  A latency
counts from the time at which a request was due, so waiting behind a slow request
counts.  Keys follow Zipf's law: the n-th most popular key is asked for in proportion to
1/n.  In the second half a crawler comes for a while, and asks for all images alike.

The load runs in its own process, outside of the service's cgroup, and prints its
results as JSON.  Requests that are due after the service has gone count as failed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import dataclasses
import json
import random
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = 1_000_000
IMAGES = 400
USERS_PER_REQUEST = 100
TILES_PER_IMAGE = 16

CRAWLER = (0.55, 0.70)
"""Start and end of the crawler's visit, as parts of the load."""

CRAWLER_IMAGES, USUAL_IMAGES = 0.4, 0.15
"""Part of the requests that ask for an image, with and without the crawler."""

WORKERS = 32
TIMEOUT_SECONDS = 30
KEEPALIVE_SECONDS = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request, and when it is due."""

    due: float
    """Seconds after the start."""
    cache: str
    """Name of the service's cache that it uses."""
    path: str


def requests(number: int, rate: float, seed: int) -> Iterator[Request]:
    """Yield ``number`` requests, ``rate`` for each second."""
    rng = random.Random(seed)  # noqa: S311 - the same load each time
    for i in range(number):
        crawled = CRAWLER[0] <= i / number < CRAWLER[1]
        if rng.random() < (CRAWLER_IMAGES if crawled else USUAL_IMAGES):
            image = rng.randrange(IMAGES) if crawled else _zipf(rng, IMAGES)
            tile = rng.randrange(TILES_PER_IMAGE)
            yield Request(i / rate, "images", f"/images/{image}/tiles/{tile}")
        else:
            users = [_zipf(rng, USERS) for _ in range(USERS_PER_REQUEST)]
            yield Request(i / rate, "profiles", "/people/" + ",".join(map(str, users)))


def _zipf(rng: random.Random, number: int) -> int:
    """Return one of ``number`` keys, the n-th in proportion to about 1/n."""
    return int(number ** rng.random()) - 1


class Load:
    """Sends the requests, and counts what comes back."""

    def __init__(self, socket: str, number: int, rate: float, seed: int) -> None:
        self.number = number
        self.gone = False
        """Whether the service accepts no connections any more."""
        self.failures: collections.Counter[str] = collections.Counter()
        self.latencies: list[float] = []
        self.lookups: collections.Counter[str] = collections.Counter()
        self.hits: collections.Counter[str] = collections.Counter()
        self._requests = requests(number, rate, seed)
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=socket,
                # Close idle connections before the service does: otherwise one may be
                # used just when the service closes it.
                limits=httpx.Limits(
                    max_keepalive_connections=WORKERS,
                    keepalive_expiry=KEEPALIVE_SECONDS,
                ),
            ),
            base_url="http://service",
            timeout=TIMEOUT_SECONDS,
        )

    async def run(self) -> dict[str, Any]:
        """Send all requests; return the results."""
        start = time.monotonic()
        async with self._client:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(self._work(start))
            seconds = time.monotonic() - start
            service = await self._get_statistics()
        served = len(self.latencies)
        unsent = self.number - served - self.failures.total()
        if unsent:
            self.failures["not sent, the service was gone"] = unsent
        return {
            "requests": self.number,
            "served": served,
            "failed": self.number - served,
            "failures": dict(self.failures),
            "seconds": seconds,
            "latency_ms": _latencies(self.latencies),
            "hit_ratio": {
                cache: self.hits[cache] / lookups
                for cache, lookups in sorted(self.lookups.items())
            },
            "service": service,
        }

    async def _work(self, start: float) -> None:
        for request in self._requests:
            if self.gone:
                return
            await asyncio.sleep(start + request.due - time.monotonic())
            try:
                response = await self._client.get(request.path)
                response.raise_for_status()
            except httpx.HTTPError as error:
                self.failures[type(error).__name__] += 1
                self.gone = self.gone or isinstance(error, httpx.ConnectError)
            else:
                self.latencies.append(time.monotonic() - start - request.due)
                hits, lookups = response.headers["x-hits"].split("/")
                self.hits[request.cache] += int(hits)
                self.lookups[request.cache] += int(lookups)

    async def _get_statistics(self) -> dict[str, Any] | None:
        if self.gone:
            return None
        try:
            response = await self._client.get("/statistics")
            answer: dict[str, Any] = response.raise_for_status().json()
        except httpx.HTTPError:
            return None
        return answer


def _latencies(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {
        "median": 1000 * ordered[len(ordered) // 2],
        "p99": 1000 * ordered[len(ordered) * 99 // 100],
        "max": 1000 * ordered[-1],
    }


def main() -> None:
    """Run the load and print the results."""
    parser = argparse.ArgumentParser(description="A load for app.py.")
    parser.add_argument("socket", help="where the service listens")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=150, help="requests per second")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    load = Load(args.socket, args.requests, args.rate, args.seed)
    print(json.dumps(asyncio.run(load.run())))


if __name__ == "__main__":
    main()
