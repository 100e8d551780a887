"""What is left where a callback's group, registration or control is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Cache, Scripted, register

from shrinker import ShrinkControl, ShrinkerError, run_pass
from shrinker._ffi import lib
from shrinker.trace.replay import replay_files

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker import Domain


def test_a_control_is_over_with_its_callback(domain: Domain) -> None:
    """What somebody has kept of it says so."""
    kept: list[ShrinkControl] = []
    with register(domain, Scripted(count=lambda sc: kept.append(sc) or 0)):
        domain.shrink_slab()
    (over,) = kept
    for name in ("nid", "memcg"):
        with pytest.raises(ShrinkerError, match="callback is over"):
            getattr(over, name)


def test_passes_inside_passes() -> None:
    """The outer one goes on where the inner one has ended."""

    def scan(n: int) -> int:
        assert run_pass(1000, priority=0, scan=lambda m: m).returned == 1920
        return n

    assert run_pass(1000, priority=0, scan=scan).returned == 1920


def test_registrations_that_go_during_a_report(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shrinker that is closed while the report is made is left out."""
    first = register(domain, Cache(1), name="first")
    second = register(domain, Cache(2), name="second")

    def count(*_: object, **__: object) -> int:
        second.close()
        return 1

    monkeypatch.setattr(type(first), "count", count)
    text = str(domain.report())
    assert "first" in text
    monkeypatch.undo()
    first.close()
    assert second.closed


def test_a_name_that_grows_meanwhile(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is read whole, also where it was shorter when its length was asked."""
    with register(domain, Cache(1), name="a much longer name") as registration:

        class Shorter:
            """The core, which gives the length of an older name at first."""

            def __getattr__(self, name: str) -> Any:
                return getattr(lib, name)

            def shrinker_copy_name(self, c: Any, buffer: Any, size: int) -> Any:
                return lib.shrinker_copy_name(c, buffer, size) if size else 3

        monkeypatch.setattr("shrinker.builder.lib", Shorter())
        assert registration.name == "a much longer name"
        monkeypatch.undo()


def test_progress_of_a_replay(tmp_path: Path) -> None:
    """It is told the name and how far the file has been read."""
    file = tmp_path / "trace.txt"
    file.write_text("# tracer: nop\n", encoding="utf-8")
    told: list[tuple[str, int]] = []
    replay_files([str(file)], progress=lambda *where: told.append(where))
    assert told == [(str(file), 14)]
