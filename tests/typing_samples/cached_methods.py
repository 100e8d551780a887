"""``@cached`` on functions and methods, as mypy should see it.

``tests/cache/test_typing.py`` has mypy check this file strictly.  A call that is wrong
has a ``type: ignore``, which mypy reports where it is not needed.
"""

from __future__ import annotations

from typing import Any, assert_type

from shrinker.cache import CacheInfo, cached


@cached
def function(x: int, *, y: str = "") -> float:
    return x / 2


@cached(maxsize=3, weigher=len)
async def later(x: int) -> bytes:
    return bytes(x)


class Shop:
    @cached
    def price(self, item: str) -> int:
        return len(item)

    @classmethod
    @cached
    def tax(cls, item: str, *, rate: float = 0.1) -> float:
        return rate * len(cls.__name__ + item)

    @classmethod
    @cached(typed=True)
    def made(cls) -> list[Shop]:
        return [cls()]

    @staticmethod
    @cached
    def fee(item: str) -> int:
        return -len(item)

    @staticmethod
    @cached
    def free() -> None: ...

    @cached
    async def later(self, item: str) -> bytes:
        return item.encode()

    @cached
    def untyped(self, x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return x


class Corner(Shop):
    pass


shop = Shop()
assert_type(function(1, y="a"), float)
function("a")  # type: ignore[arg-type]
assert_type(function.cache_info(), CacheInfo)

for one in (shop, Corner()):
    assert_type(one.price("tea"), int)
    assert_type(one.tax("tea", rate=0.2), float)
    assert_type(one.made(), list[Shop])
    assert_type(one.fee("tea"), int)
    one.free()
    assert_type(one.price.cache_info(), CacheInfo)
    assert_type(one.tax.cache_info(), CacheInfo)
    assert_type(one.fee.cache_info(), CacheInfo)
    assert_type(one.untyped(1), Any)
    one.price(3)  # type: ignore[arg-type]
    one.tax(3)  # type: ignore[arg-type]
    one.fee(3)  # type: ignore[arg-type]

assert_type(Shop.price(shop, "tea"), int)
assert_type(Shop.tax("tea", rate=0.2), float)
assert_type(Corner.tax("tea"), float)
assert_type(Shop.made(), list[Shop])
assert_type(Shop.fee("tea"), int)
Shop.free()
Shop.price.cache_clear()
Shop.tax.cache_clear()
Shop.fee.cache_clear()
Shop.price("tea")  # type: ignore[arg-type, call-arg]
Shop.tax(3)  # type: ignore[arg-type]
Shop.tax("tea", 3)  # type: ignore[call-arg]
Shop.fee(3)  # type: ignore[arg-type]


async def main() -> None:
    assert_type(await later(1), bytes)
    assert_type(await shop.later("tea"), bytes)
    await shop.later(3)  # type: ignore[arg-type]
