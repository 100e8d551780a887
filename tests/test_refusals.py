"""What is refused, and answers where there is nothing: one test for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Scripted, register

from shrinker import (
    Domain,
    ListLru,
    ShrinkerBuilder,
    ShrinkerError,
    _trampolines,
)
from shrinker.gfp import format_gfp

if TYPE_CHECKING:
    from collections.abc import Callable

TRACES = Path(__file__).parent / "data" / "traces"


def test_callbacks_of_nobody(domain: Domain) -> None:
    """A record that is gone counts as 0, and STOP is what its scan says."""
    with register(domain, Scripted(scan=lambda sc: 3)) as registration:
        assert registration.count()
        assert registration.scan(1) == 3
        record = _trampolines._records.pop(registration._number)
        assert registration.count() == 0
        assert registration.scan(1) == 0
        assert domain.shrink_slab(priority=0) == 0
        assert registration.statistics().passes == 0
        _trampolines._records[registration._number] = record


def test_nothing_is_due() -> None:
    """Outside of a callback the trampoline's questions have an answer as well."""
    assert not _trampolines._called(3)
    assert not _trampolines._called(None)
    assert _trampolines._next_pass() == 0


def test_no_flag_at_all() -> None:
    """A mask of 0 has a word of its own."""
    assert format_gfp(0) == "none"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ListLru(shrinker=object()), "no builder or registration"),
        (lambda: ListLru(domain=3), "domain must be a Domain"),
    ],
)
def test_list_lru_arguments(make: Callable[[], Any], text: str) -> None:
    """What has no domain makes no lru."""
    with pytest.raises(TypeError, match=text):
        make()


def test_isolate_is_a_function(domain: Domain) -> None:
    """A walk says so before it takes any object."""
    with ListLru(domain=domain) as lru:
        thing = bytearray(1)
        lru.add(thing)
        with pytest.raises(TypeError, match="isolate must be callable"):
            lru.walk(3, 1)
        assert lru.remove(thing)


def test_bits_are_of_shrinkers(domain: Domain) -> None:
    """Anything else has no bit."""
    memcg = domain.create_memcg("tenant")
    with pytest.raises(TypeError, match="no builder or registration"):
        memcg.has_shrinker_bit(0, object())


def test_a_builder_is_used_once(domain: Domain) -> None:
    """After register() or close() it says so."""
    builder = ShrinkerBuilder("cache", domain=domain)
    builder.close()
    with pytest.raises(ShrinkerError, match="used up or closed"):
        builder.register(object())


def test_the_default_domain_outlives_with() -> None:
    """It belongs to the process: leaving a block does not close it."""
    from shrinker import default_domain  # noqa: PLC0415

    with default_domain() as domain:
        pass
    assert not domain.closed


def test_only_known_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is missing for another reason is no missing extra."""
    from shrinker.__main__ import main  # noqa: PLC0415

    monkeypatch.setitem(sys.modules, "shrinker.cli", None)
    with pytest.raises(ModuleNotFoundError, match=r"shrinker\.cli"):
        main()


def test_closed_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line says so on standard error."""
    pytest.importorskip("click")
    from shrinker.cli import cli  # noqa: PLC0415

    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["explain", "--count", "1"])
    assert ended.value.code == 1
    assert "standard output is closed" in capsys.readouterr().err


def test_the_table_of_the_negative_control(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has a row for each field, and says how many changes were noticed."""
    from shrinker.trace.negative_control import FIELDS, Found, main  # noqa: PLC0415

    assert main([str(TRACES / "drop_caches.txt.xz"), "--sample=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + sum(map(len, FIELDS.values()))
    assert all(" of " in line for line in lines[2:])
    assert Found().share == 0.0


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that goes by bytes; without a size for standard input."""
    rich = pytest.importorskip("rich.console")
    import io  # noqa: PLC0415

    from shrinker.trace import printing  # noqa: PLC0415

    drawn = io.StringIO()
    monkeypatch.setattr(
        printing,
        "Console",
        lambda **_: rich.Console(file=drawn, force_terminal=True),
    )
    for files in ((__file__, "/nowhere"), ("-",)):
        with printing.progress(files) as advance:
            assert advance is not None
            advance(files[0], 10)
    assert Path(__file__).name[:6] in drawn.getvalue()


def test_bench_refusals() -> None:
    """Results that cannot be compared, rows that cannot be timed."""
    pytest.importorskip("pyperf")
    from shrinker.bench import compare, memcg_points, memcg_workloads  # noqa: PLC0415

    with pytest.raises(ShrinkerError, match="no row in common"):
        compare.compare([], [])
    with pytest.raises(ShrinkerError, match="no values"):
        compare._benchmark([])
    memory = [
        row
        for row in memcg_points.ROWS + getattr(memcg_points, "MEMORY_ROWS", ())
        if row.operation is memcg_points.Operation.MEMORY
    ]
    for row in memory[:1]:
        with pytest.raises(ValueError, match="memory is not timed"):
            memcg_workloads.MemcgScenario().open(row)


def test_remarks_stand_before_a_comparison() -> None:
    """What makes two results hard to compare comes first."""
    pytest.importorskip("pyperf")
    rich = pytest.importorskip("rich.console")
    import io  # noqa: PLC0415

    from shrinker.bench.compare import Comparison  # noqa: PLC0415
    from shrinker.bench.table import print_comparison  # noqa: PLC0415
    from shrinker.trace.terminal import Terminal  # noqa: PLC0415

    out = io.StringIO()
    comparison = Comparison(changes=[], missing=["a row"], remarks=["other machine"])
    print_comparison(Terminal(rich.Console(file=out)), comparison, "old.json")
    text = out.getvalue()
    assert text.index("other machine") < text.index("1 rows are in one")
    assert "0 slower" in text
