"""PSI triggers, on ordinary files."""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Any

import pytest

from shrinker.pressure import PsiTrigger, SourceGone
from shrinker.pressure.limits.cgroups import Cgroups

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"window": 0.4}, ValueError, "window must be 0.5 to 10 seconds, not 0.4"),
        ({"window": 10.5}, ValueError, "window must be"),
        ({"window": float("nan")}, ValueError, "window must be"),
        ({"window": "2"}, TypeError, "window must be a number, not str"),
        ({"stall": 0}, ValueError, "stall must be above 0"),
        ({"stall": 2.1}, ValueError, "stall must be"),
        ({"stall": float("nan")}, ValueError, "stall must be"),
        ({"kind": "most"}, ValueError, "kind must be"),
        ({"kind": []}, ValueError, "kind must be"),
        ({"path": 0.15}, TypeError, "path must be a path, not float"),
        ({"path": b"/x"}, TypeError, "path must be a path, not bytes"),
    ],
)
def test_wrong_arguments(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """They are refused before anything is opened, and the text says why."""
    with pytest.raises(error, match=text):
        PsiTrigger(**arguments)


def test_missing_file(tmp_path: Path) -> None:
    """The error says what is missing."""
    source = PsiTrigger(tmp_path / "memory.pressure")
    with pytest.raises(FileNotFoundError, match="no PSI"):
        source.open()
    assert not source.is_open


@pytest.mark.parametrize(("switch", "said"), [("0\n", "write 1"), ("1\n", "no PSI")])
def test_psi_that_is_off_for_a_group(tmp_path: Path, switch: str, said: str) -> None:
    """The kernel hides the file then; that is not a kernel without PSI."""
    (tmp_path / "cgroup.pressure").write_text(switch)
    source = PsiTrigger(tmp_path / "memory.pressure")
    with pytest.raises(FileNotFoundError, match=said) as caught:
        source.open()
    assert ("PSI is off for this group" in str(caught.value)) == (switch == "0\n")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    """A file without ``total=`` is not a PSI file."""
    (tmp_path / "x").write_text("some avg10=0.00\n")
    with pytest.raises(OSError, match="does not take this trigger"):
        PsiTrigger(tmp_path / "x").open()


def test_no_version_2() -> None:
    """Without a version 2 hierarchy there is no memory.pressure."""
    with pytest.raises(FileNotFoundError, match="cgroup v2"):
        PsiTrigger.of_own_cgroup(cgroups=Cgroups())
    with pytest.raises(TypeError, match="cgroups must be Cgroups"):
        PsiTrigger.of_own_cgroup(cgroups="/")  # type: ignore[arg-type]


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary files can be waited for, as the kernel's can."""

    class Epoll:
        def register(self, descriptor: int, events: int) -> None:
            pass

        def poll(self, timeout: float) -> list[tuple[int, int]]:
            return []

        def close(self) -> None:
            pass

    monkeypatch.setattr(select, "epoll", Epoll)


def lines(some: str, full: str) -> str:
    """What a PSI file says."""
    return f"some avg10=0.00 avg60=0.00 {some}\nfull avg10=0.00 avg60=0.00 {full}\n"


@pytest.mark.usefixtures("announced")
def test_false_alarms(tmp_path: Path) -> None:
    """Less growth than the threshold since the last event is no event."""
    file = tmp_path / "pressure"
    file.write_text(lines("total=0", "total=0"))
    with PsiTrigger(file, stall=0.1) as source:
        for total, detail in [
            (99_000, None),
            (150_000, "some: 150 ms stalled since the last event"),
            (150_000, None),
            (249_999, None),
            (250_000, "some: 100 ms stalled since the last event"),
        ]:
            file.write_text(lines(f"total={total}", "total=9999999"))
            event = source.read()
            assert (event and event.detail) == detail


@pytest.mark.usefixtures("announced")
def test_stalls_of_all_tasks(tmp_path: Path) -> None:
    """The line is found by its first word, the figure by its name."""
    file = tmp_path / "memory.pressure"
    file.write_text(lines("total=7", "total=x total=1000"))
    with PsiTrigger(file, kind="full", stall=0.1) as source:
        file.write_text("\n" + lines("total=7", "total=x total=201000"))
        event = source.read()
        assert event is not None
        assert event.detail == "full: 200 ms stalled since the last event"
        file.write_text(lines("total=7", ""))
        with pytest.raises(SourceGone, match="no total of full"):
            source.read()


def test_an_error_without_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised as it is."""

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    source = PsiTrigger(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", broken)
        with pytest.raises(OSError, match="Input/output error") as caught:
            source.open()
    assert caught.value.filename is None
    assert not source.is_open
