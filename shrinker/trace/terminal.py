"""Text on the terminal: tables that are never cut but in their names, and prose.

A file or a pipe has no width: names stay whole in it, but where a table is told to cut
them; prose is wrapped for 80 columns, and no line ends in blanks.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["NameTable", "Terminal", "shortened"]

_PIPE_WIDTH = 80
_MIN_NAME = 12
_ELLIPSIS = "…"


class Terminal:
    """Standard output, or ``console``."""

    def __init__(self, console: Console | None = None) -> None:
        """Ask standard output what it is."""
        if console is None:
            console = Console(highlight=False)
            if not console.is_terminal:
                console = Console(highlight=False, width=_PIPE_WIDTH)
        self._console = console

    def print(self, text: RenderableType) -> None:
        """Print prose, with markup, wrapped where a line ends."""
        self._write(text, self._console.width)

    def print_line(self, text: str) -> None:
        """Print a line, with markup, however long it is."""
        self._console.print(text, soft_wrap=True)

    def print_table(self, table: NameTable) -> None:
        """Print a table, its names cut as far as the terminal demands."""
        console = self._console
        room = console.width if console.is_terminal else None
        title = table.title if room is None else shortened(table.title, room)
        self.print_line(f"[bold]{escape(title)}[/]")
        fitted = table.fitted(console, console.width if table.always_cut else room)
        # Rather wider than the terminal than a number cut.
        self._write(fitted, max(_width(console, fitted), console.width))
        self.print_line("")

    def _write(self, what: RenderableType, width: int) -> None:
        console, text = self._console, io.StringIO()
        Console(
            file=text,
            width=width,
            highlight=False,
            force_terminal=console.is_terminal,
            color_system=console.color_system,  # type: ignore[arg-type]
            no_color=console.no_color,
        ).print(what)
        lines = text.getvalue().splitlines()
        if not console.is_terminal:
            lines = [line.rstrip() for line in lines]
        console.file.write("".join(f"{line}\n" for line in lines))


class NameTable:
    """A table whose first column is a name, the only one that may be cut."""

    def __init__(self, title: str, name: str, *, always_cut: bool = False) -> None:
        """Without rows and without other columns.

        ``always_cut``: names that are too long are cut where there is no terminal, too.
        """
        self.title = title
        self.always_cut = always_cut
        self._name = name
        self._columns: list[tuple[str, bool]] = []
        self._rows: list[tuple[str, tuple[str, ...], str | None]] = []
        self._sections: set[int] = set()

    def add_column(self, header: str, *, right: bool = True) -> None:
        """Add a column of numbers, or of words."""
        self._columns.append((header, right))

    def add_row(self, name: str, *cells: str, style: str | None = None) -> None:
        """Add a row, without markup."""
        self._rows.append((name, cells, style))

    def add_section(self) -> None:
        """Leave room below the last row."""
        self._sections.add(len(self._rows))

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def headers(self) -> list[str]:
        """What the columns behind the name are called."""
        return [header for header, _ in self._columns]

    def fitted(self, console: Console, room: int | None) -> Table:
        """Return it with names cut so that it is ``room`` wide, if possible."""
        table = self._built(None)
        width = _width(console, table)
        if room is None or width <= room or not self._rows:
            return table
        longest = max(len(name) for name, *_ in self._rows)
        return self._built(max(longest - (width - room), _MIN_NAME))

    def _built(self, name_width: int | None) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
            show_edge=False,
        )
        table.add_column(self._name, no_wrap=True)
        for header, right in self._columns:
            table.add_column(
                header,
                justify="right" if right else "left",
                no_wrap=True,
                vertical="bottom",
            )
        for place, (name, cells, style) in enumerate(self._rows):
            if place in self._sections:
                table.add_section()
            shown = name if name_width is None else shortened(name, name_width)
            table.add_row(escape(shown), *map(escape, cells), style=style)
        return table


def _width(console: Console, table: Table) -> int:
    # Without a limit: the console's own would hide what does not fit.
    options = console.options.update(width=10_000)
    return Measurement.get(console, options, table).maximum


def shortened(name: str, width: int) -> str:
    """Cut ``name`` in the middle: names differ at both ends."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return name[: width - 1 - tail] + _ELLIPSIS + name[len(name) - tail :]
