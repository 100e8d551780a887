"""A load: the same requests, at the same times, for whoever serves them.

Requests come at a fixed rate, whether the service keeps up or not, and a latency
counts from the moment at which a request was due: who is made to wait behind a slow
one has waited.  What is asked for follows Zipf's law: the number of users who ask for
the n-th most popular key goes as 1/n.  In the second half a crawler comes by for a
while, and asks for everything alike.

It runs in a process of its own, outside of the service's cgroup, and prints what it
saw as JSON.  A service that is gone has not served what would still have come.
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
USERS_ON_A_PAGE = 100

CRAWLER = (0.55, 0.70)
"""When the crawler comes and goes, as shares of the load."""

WORKERS = 32


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What to ask for, and when."""

    due: float
    """Seconds since the beginning."""
    cache: str
    """The cache that it goes through."""
    path: str


def requests(number: int, rate: float, seed: int) -> Iterator[Request]:
    """Yield the ``number`` requests of the load, ``rate`` in each second."""
    chance = random.Random(seed)  # noqa: S311 - the same load each time
    for i in range(number):
        crawled = CRAWLER[0] <= i / number < CRAWLER[1]
        if chance.random() < (0.4 if crawled else 0.15):
            image = chance.randrange(IMAGES) if crawled else _zipf(chance, IMAGES)
            tile = chance.randrange(16)
            yield Request(i / rate, "images", f"/images/{image}/tiles/{tile}")
        else:
            users = [_zipf(chance, USERS) for _ in range(USERS_ON_A_PAGE)]
            yield Request(i / rate, "profiles", "/people/" + ",".join(map(str, users)))


def _zipf(chance: random.Random, number: int) -> int:
    """Return one of ``number`` keys, the n-th with a probability of about 1/n."""
    return int(number ** chance.random()) - 1


class Load:
    """The load, while it runs."""

    def __init__(self, socket: str, number: int, rate: float, seed: int) -> None:
        self.number = number
        self.gone = False
        """Whether the service no longer accepts connections."""
        self.failures: collections.Counter[str] = collections.Counter()
        self.latencies: list[float] = []
        self.lookups: collections.Counter[str] = collections.Counter()
        self.hits: collections.Counter[str] = collections.Counter()
        self._requests = requests(number, rate, seed)
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=socket,
                # Idle connections are given up before the service does so: else one
                # may be used in the very moment in which it is closed.
                limits=httpx.Limits(
                    max_keepalive_connections=WORKERS, keepalive_expiry=1
                ),
            ),
            base_url="http://service",
            timeout=30,
        )

    async def run(self) -> dict[str, Any]:
        """Send everything, and return what was seen."""
        start = time.monotonic()
        async with self._client:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(self._work(start))
            seconds = time.monotonic() - start
            service = await self._ask_how_it_went()
        served = len(self.latencies)
        unsent = self.number - served - self.failures.total()
        if unsent:
            self.failures["not served, the service was gone"] = unsent
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

    async def _ask_how_it_went(self) -> dict[str, Any] | None:
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
    """Run the load, and print what was seen."""
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
