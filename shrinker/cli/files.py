"""The files of a command line: none that a command reads is written."""

from __future__ import annotations

import itertools
import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FileCommand", "FileName", "as_word", "warn_of_repeats"]

_STDIN = "-"


class FileName(click.Path):
    """The name of a file that may be missing or not permitted: opening it tells."""

    def convert(self, value: Any, *_: object) -> Any:
        """Return the name as it is."""
        return value


class FileCommand(click.Command):
    """A command that refuses to write a file that it reads, or one file twice.

    A ``click.Path`` that is ``writable`` is written; one that is ``readable`` only is
    read; one that is neither is not looked at.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.  Raises UsageError before anything is written."""
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            self._check_files(ctx)
        return rest

    def input_names(self, ctx: click.Context) -> Iterator[str]:
        """Yield the names of the files to be read."""
        for param in self.get_params(ctx):
            if _is_path(param, writable=False):
                yield from _names(ctx, param)

    def _check_files(self, ctx: click.Context) -> None:
        outputs = [
            (param, name)
            for param in self.get_params(ctx)
            if _is_path(param, writable=True)
            for name in _names(ctx, param)
        ]
        inputs = list(self.input_names(ctx)) if outputs else []
        for param, output in outputs:
            if not output:
                raise click.BadParameter("The name of the file is empty.", ctx, param)
            for name in inputs:
                if _same(output, name):
                    what = "the standard input" if name == _STDIN else repr(name)
                    raise click.BadParameter(
                        f"{output!r} is also an input ({what}), and would be"
                        " overwritten.",
                        ctx,
                        param,
                    )
        for (_, one), (param, other) in itertools.combinations(outputs, 2):
            if _same(one, other) or _both_new(one, other):
                raise click.BadParameter(f"{other!r} is written twice.", ctx, param)


def as_word(name: str) -> str:
    """Return a name as a word of a shell, in characters that can be printed."""
    if name.isprintable():
        return shlex.quote(name)
    return f"$'{''.join(map(_in_quotes, name))}'"


def _in_quotes(char: str) -> str:
    if char.isprintable() and char not in "\\'":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))


def warn_of_repeats(old: Iterable[str], new: Iterable[str] = ()) -> None:
    """Print a line on standard error for each file that is given once more.

    ``new`` are the files that ``old`` are compared with.  Links are the same file.
    """
    seen: dict[object, tuple[str, int]] = {}
    for side, names in enumerate((old, new)):
        for name in names:
            file = _identity(name)
            if file not in seen:
                seen[file] = name, side
                continue
            first, first_side = seen[file]
            again = "given again" if name == first else f"the same file as {first!r}"
            so = (
                "its passes are counted again"
                if side == first_side
                else "it is compared with itself"
            )
            click.echo(f"warning: {name!r}: {again}, so {so}", err=True)


def _identity(name: str) -> object:
    """Return what the names of one file have in common."""
    try:
        found = os.fstat(0) if name == _STDIN else Path(name).stat()
    except (OSError, ValueError):
        return name
    return found.st_dev, found.st_ino


def _is_path(param: click.Parameter, *, writable: bool) -> bool:
    kind = param.type
    if not isinstance(kind, click.Path) or not (kind.writable or kind.readable):
        return False
    return kind.writable == writable


def _names(ctx: click.Context, param: click.Parameter) -> Iterable[str]:
    value = ctx.params.get(param.name or "")
    if value is None:
        return ()
    return map(os.fspath, value if isinstance(value, tuple) else (value,))


def _both_new(one: str, other: str) -> bool:
    """Return whether both name one file that does not exist yet."""
    where = os.path.realpath(one)
    return where == os.path.realpath(other) and not Path(where).exists()


def _same(output: str, name: str) -> bool:
    """Return whether both are one file that exists, which writing would destroy."""
    try:
        written = Path(output).stat()
        other = os.fstat(0) if name == _STDIN else Path(name).stat()
    except (OSError, ValueError):
        return False
    # A device such as /dev/null loses nothing.
    return os.path.samestat(written, other) and not stat.S_ISCHR(written.st_mode)
