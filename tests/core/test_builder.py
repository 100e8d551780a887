"""ShrinkerBuilder: what it takes, what it refuses, and what it leaves behind."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from tests_support import Cache, Scripted

from shrinker import (
    Domain,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    default_domain,
)


def test_defaults(domain: Domain) -> None:
    """Unset, seeks is 2 and batch is 0, as in the kernel."""
    with ShrinkerBuilder("c", domain=domain).register(Cache(1)) as registration:
        assert (registration.seeks, registration.batch) == (2, 0)
        assert registration.flags == ShrinkerFlags(0)
        assert registration.id is None


def test_settings_reach_the_registration(domain: Domain) -> None:
    """Name, seeks and batch are those that were set; setters chain."""
    builder = ShrinkerBuilder("sb-ext4", domain=domain).set_seeks(0).set_batch(1024)
    assert builder.name == "sb-ext4"
    with builder.register(Cache(1)) as registration:
        assert registration.name == "sb-ext4"
        assert (registration.seeks, registration.batch) == (0, 1024)
        assert registration.domain is domain


def test_new_fmt(domain: Domain) -> None:
    """new_fmt formats the name."""
    builder = ShrinkerBuilder.new_fmt("sb-{}:{}", "ext4", "vda1", domain=domain)
    assert builder.name == "sb-ext4:vda1"


def test_name_is_no_format(domain: Domain) -> None:
    """A user's text is never a format."""
    with ShrinkerBuilder("%s%n{}", domain=domain).register(Cache(1)) as registration:
        assert registration.name == "%s%n{}"


@pytest.mark.parametrize("name", ["héap", "\udcff", "x" * 10_000, "jbd2:(254:0)"])
def test_odd_names(domain: Domain, name: str) -> None:
    """Any text is a name, whatever its length and characters."""
    with ShrinkerBuilder(name, domain=domain).register(Cache(1)) as registration:
        assert registration.name == name


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_bad_names(domain: Domain, name: str) -> None:
    """An empty name, or one with a NUL, is a ValueError."""
    with pytest.raises(ValueError, match="name"):
        ShrinkerBuilder(name, domain=domain)


@pytest.mark.parametrize("name", [None, b"cache", 5])
def test_name_type(domain: Domain, name: Any) -> None:
    """A name is a str."""
    with pytest.raises(TypeError, match="name"):
        ShrinkerBuilder(name, domain=domain)


@pytest.mark.parametrize(
    ("setter", "bad"),
    [
        ("set_seeks", -1),
        ("set_seeks", 2**31),
        ("set_batch", -1),
        ("set_batch", 2**63),
    ],
)
def test_setter_range(domain: Domain, setter: str, bad: int) -> None:
    """A value out of range is a ValueError, and the setting stays."""
    builder = ShrinkerBuilder("c", domain=domain).set_seeks(7).set_batch(8)
    with pytest.raises(ValueError, match=setter[4:]):
        getattr(builder, setter)(bad)
    with builder.register(Cache(1)) as registration:
        assert (registration.seeks, registration.batch) == (7, 8)


@pytest.mark.parametrize("setter", ["set_seeks", "set_batch"])
@pytest.mark.parametrize("bad", [True, 1.0, None, "1"])
def test_setter_type(domain: Domain, setter: str, bad: object) -> None:
    """Setters take ints only."""
    with pytest.raises(TypeError):
        getattr(ShrinkerBuilder("c", domain=domain), setter)(bad)


def test_largest_settings(domain: Domain) -> None:
    """The largest values that the C fields hold are accepted."""
    builder = ShrinkerBuilder("c", domain=domain)
    builder.set_seeks(2**31 - 1).set_batch(2**63 - 1)
    with builder.register(Cache(1)) as registration:
        assert (registration.seeks, registration.batch) == (2**31 - 1, 2**63 - 1)


def test_flags(domain: Domain) -> None:
    """Flags that a domain cannot honour are dropped, as in the kernel."""
    flags = ShrinkerFlags.NUMA_AWARE | ShrinkerFlags.MEMCG_AWARE
    builder = ShrinkerBuilder("c", flags=flags, domain=domain)
    assert (builder.flags, builder.id) == (flags, 0)
    with Domain(memcg=False) as without:
        builder = ShrinkerBuilder("c", flags=flags, domain=without)
        assert (builder.flags, builder.id) == (ShrinkerFlags.NUMA_AWARE, None)


@pytest.mark.parametrize("flags", [1, 2, 32, -1])
def test_unknown_flags(domain: Domain, flags: int) -> None:
    """The library's own flag bits and unknown ones are refused."""
    with pytest.raises(ValueError, match="flags"):
        ShrinkerBuilder("c", flags=ShrinkerFlags(flags), domain=domain)


def test_consumed(domain: Domain) -> None:
    """Register uses the builder up."""
    builder = ShrinkerBuilder("c", domain=domain)
    with builder.register(Cache(1)):
        for use in (
            lambda: builder.register(Cache(1)),
            lambda: builder.set_seeks(1),
            lambda: builder.name,
            lambda: builder.flags,
            builder.__enter__,
        ):
            with pytest.raises(ShrinkerError, match="used up"):
                use()
        builder.close()
        assert len(domain.shrinkers()) == 1


@pytest.mark.parametrize("missing", ["count_objects", "scan_objects"])
def test_methods_are_checked(domain: Domain, missing: str) -> None:
    """An object without the methods is refused, and the builder stays usable."""

    class Half:
        def __getattr__(self, name: str) -> Any:
            if name == missing:
                raise AttributeError(name)
            return lambda sc: 0

    builder = ShrinkerBuilder("c", domain=domain)
    with pytest.raises(TypeError, match=missing):
        builder.register(Half())
    with builder.register(Scripted()):
        assert len(domain.shrinkers()) == 1


def test_context_manager(domain: Domain) -> None:
    """Leaving an unregistered builder frees it; a registered one lives on."""
    with ShrinkerBuilder("c", domain=domain) as builder:
        pass
    with pytest.raises(ShrinkerError, match="used up or closed"):
        builder.register(Cache(1))
    with ShrinkerBuilder("c", domain=domain) as builder:
        registration = builder.register(Cache(1))
    assert domain.shrinkers() == (registration,)
    registration.close()


def test_dropped_builder(domain: Domain) -> None:
    """A dropped builder leaves nothing behind, and causes no warning."""
    for _ in range(1000):
        ShrinkerBuilder("c", domain=domain)
    gc.collect()
    assert domain.shrinkers() == ()


def test_closed_domain() -> None:
    """Neither builders nor registrations can be made in a closed domain; a builder
    that was made before is not used up."""
    domain = Domain()
    builder = ShrinkerBuilder("c", domain=domain)
    domain.close()
    with pytest.raises(ShrinkerError, match="the domain is closed"):
        builder.register(Cache(1))
    with pytest.raises(ShrinkerError, match="the domain is closed"):
        builder.register_native(1, 2)
    assert builder.name == "c"
    with pytest.raises(ShrinkerError, match="closed"):
        ShrinkerBuilder("c", domain=domain)


def test_domain_type() -> None:
    """A domain is a Domain."""
    with pytest.raises(TypeError, match="domain"):
        ShrinkerBuilder("c", domain=5)  # type: ignore[arg-type]


def test_default_domain() -> None:
    """Without a domain, shrinkers go to the default one, which is always there."""
    with ShrinkerBuilder("c").register(Cache(10)) as registration:
        assert registration.domain is default_domain()
        assert registration in default_domain().shrinkers()
        default_domain().drop_slab()
        assert registration.private_data.objects == 0
    with pytest.raises(ShrinkerError, match="default"):
        default_domain().close()
    with default_domain():
        pass
    assert not default_domain().closed
