"""Numbers on the command line: how they may be written, and what is refused."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

import click
from click.testing import CliRunner

from shrinker.cli.app import cli
from shrinker.cli.number import Real


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
