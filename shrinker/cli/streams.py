"""How the command line writes: any encoding, a full disk, a closed pipe, JSON."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import click

from shrinker._interrupted import EXIT_CODE, raise_again
from shrinker._names import printable
from shrinker.cli.files import FileCommand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Commands", "print_json"]

_SIGNS = {
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
    "\N{EN DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "*",
    "\N{PLUS-MINUS SIGN}": "~",
    "\N{MICRO SIGN}": "u",
}
"""The signs that the commands print, each with one of ASCII that is as wide."""
_ERRORS = "shrinker.signs"
_DEFAULT_ERRORS = ("strict", "surrogateescape", "backslashreplace")
"""Error handlers that Python chooses itself; the user has asked for any other."""


class Commands(FileCommand, click.Group):
    """Commands that end cleanly where their output cannot be written."""

    command_class = FileCommand

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line, as click does.

        An OSError is one line on standard error and exit code 1; a pipe that its
        reader has closed is exit code 1 without a line, and Ctrl-C 130 without one.
        """
        if sys.stdout is None:
            _end("standard output is closed")
        _write_anything()
        try:
            try:
                return super().main(*args, **extra)
            finally:
                # Here, because an error at the interpreter's end cannot be caught.
                sys.stdout.flush()
        except KeyboardInterrupt:
            sys.exit(EXIT_CODE)
        except BrokenPipeError:
            _end(None)
        except OSError as exc:
            what = exc.filename or "writing the output"
            _end(f"{what}: {exc.strerror or exc}")

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; from here on Ctrl-C raises KeyboardInterrupt."""
        with _interruptible():
            raise_again()
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _interruptible():
            return super().invoke(ctx)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """End as ``main`` says; click would print "Aborted!" and end with 1.

    Errors of click are escaped: they quote what was typed, or what ``*`` stood for.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(EXIT_CODE)
    except click.ClickException as exc:
        # In place: subclasses show themselves in their own ways.
        exc.message = printable(exc.message, "\n\t")  # type: ignore[misc,unused-ignore]
        raise


class _Result(Protocol):
    def to_json(self, *options: Any) -> Mapping[str, Any]: ...


def print_json(result: _Result, *options: Any) -> None:
    """Print the JSON object of ``to_json(*options)`` on standard output."""
    import json  # noqa: PLC0415 - not for --help

    json.dump(result.to_json(*options), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _write_anything() -> None:
    """Let standard output and standard error take any character.

    Bytes in file names that are not characters of the encoding are escaped.
    """
    codecs.register_error(_ERRORS, _plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _DEFAULT_ERRORS:
            stream.reconfigure(errors=_ERRORS)


def _plain_signs(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace the signs that the commands print, and escape other characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    first = error.object[error.start]
    if first in _SIGNS:
        return _SIGNS[first], error.start + 1
    error.end = error.start + 1
    return codecs.lookup_error("backslashreplace")(error)


def _end(reason: str | None) -> NoReturn:
    if reason is not None:
        with contextlib.suppress(OSError):
            click.echo(f"Error: {printable(reason)}", err=True)
    # What the buffer still holds must go where it can be written.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    sys.exit(1)
