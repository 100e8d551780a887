"""Numbers on the command line: how they may be written, and what is refused."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

import click
from click.testing import CliRunner

from shrinker._number import Number, Real
from shrinker.cli.app import cli


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4096", 4096),
        ("0x1000", 4096),
        ("0X1000", 4096),
        ("4,096", 4096),
        ("4_096", 4096),
        ("2**12", 4096),
        ("2^62-1", 2**62 - 1),
        ("0010", 10),
        ("max", 2**63 - 1),
        ("EMPTY", 2**64 - 2),
        ("-1", 2**64 - 1),
        ("-2**63", 2**63),
        ("3*2**61", 3 * 2**61),
        ("2**61*3-2*4", 3 * 2**61 - 8),
        ("10k", 10_000),
        ("1M", 10**6),
        ("1e6", 10**6),
        ("1,234,567", 1_234_567),
    ],
)
def test_spellings(text: str, value: int) -> None:
    """Large numbers may be written as people write them."""
    done = CliRunner().invoke(cli, ["explain", "--count", text, "--json"])
    assert json.loads(done.output)["count"] == value


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--count", "many"],
        ["--count=-2**63-1"],
        ["--count", "1,2,3,,4"],
        ["--count", "1,,000"],
        ["--count", "1,00"],
        ["--count", "1__0"],
        ["--count", ",1"],
        ["--count", "3*"],
        ["--count", "*3"],
        ["--count", "3*-2"],
        ["--count", "k"],
        ["--count", "1e"],
        ["--count", "1kk"],
        ["--count", "1+"],
        ["--count", "2**64"],
        ["--count", "99999**999"],
        ["--count", "1.5"],
        ["--count", "2**"],
        ["--count", "1**1234"],
        ["--count", ""],
        ["--count", "1000", "--priority", "64"],
        ["--count", "1000", "--priority", "-1"],
        ["--count", "1000", "--seeks", "2**31"],
        ["--count", "1000", "--batch", "2**63"],
        ["--count", "1000", "--deferred", "-2**63-1"],
        ["--count", "1000", "extra"],
        ["--what"],
    ],
)
def test_bad_input_is_a_usage_error(args: list[str]) -> None:
    """Exit code 2 and a message, never a traceback."""
    done = CliRunner().invoke(cli, ["explain", *args])
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert "Usage" in done.output


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--count", "2**64", "'2**64' is outside -2**63 to 2**64-1"),
        ("--count", "-2**63-1", "'-2**63-1' is outside -2**63 to 2**64-1"),
        ("--deferred", "2**63", "'2**63' is outside -2**63 to 2**63-1"),
        ("--batch", "-1e19", "'-1e19' is outside -2**63 to 2**63-1"),
        ("--seeks", "1e10", "'1e10' is outside -2**31 to 2**31-1"),
        ("--priority", "-1", "'-1' is outside 0 to 63"),
    ],
)
def test_the_range_that_is_said_is_taken(option: str, value: str, text: str) -> None:
    """Both ends of what the error says are accepted."""
    done = CliRunner().invoke(cli, ["explain", "--count=9", f"{option}={value}"])
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert text in said
    for end in text.rpartition("outside ")[2].split(" to "):
        done = CliRunner().invoke(cli, ["explain", "--count=9", f"{option}={end}"])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_integer_is_a_number(name: str) -> None:
    """All options take 1e3 and 1_000; none takes an integer by click's own types."""
    for param in cli.commands[name].params:
        assert not isinstance(param.type, type(click.INT))
        if isinstance(param.type, Number):
            spelled = {param.type.convert(text, None, None) for text in ("6e1", "6_0")}
            assert spelled == {60}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["report", "--jobs=0", "-"], "'0' is less than 1"),
        (["bench", "--rounds=1"], "'1' is less than 2"),
        (["record", "--buffer=2**22+1"], "'2**22+1' is outside 4 to 4,194,304"),
    ],
)
def test_other_ranges(arguments: list[str], text: str) -> None:
    """Those of numbers that have no type of the kernel."""
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert text in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("command", "option"), [("record", "--seconds"), ("top", "--interval")]
)
@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "-inf", "1e999", "x"])
def test_no_number_and_no_end(command: str, option: str, value: str) -> None:
    """NaN, which no range excludes, and infinity are refused, as words are."""
    done = CliRunner().invoke(cli, [command, f"{option}={value}"])
    assert done.exit_code == 2
    assert f"Invalid value for '{option}'" in done.stderr


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_real_number_is_finite(name: str) -> None:
    """No option takes a float by click's own types."""
    for param in cli.commands[name].params:
        a_float = isinstance(param.type, type(click.FLOAT))
        assert a_float == isinstance(param.type, Real)
