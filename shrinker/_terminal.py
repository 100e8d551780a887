"""Text on the terminal: prose, and tables in which only names are ever cut.

A file or a pipe has no width.  There prose is wrapped at 80 columns, names are not cut
unless the table says so, and no line ends in blanks.  Names may have any characters:
those that cannot be printed are shown as escapes.
"""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from shrinker._names import printable, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["NameTable", "Terminal"]

_PIPE_COLUMNS = 80
_MIN_PARAGRAPH_COLUMNS = 40
_MIN_NAME_COLUMNS = 12
_TIE = "\N{NO-BREAK SPACE}"


class Terminal:
    """Standard output, or ``console``."""

    def __init__(self, console: Console | None = None) -> None:
        """Find out whether standard output is a terminal, and how wide."""
        if console is None:
            console = Console(highlight=False)
            if not console.is_terminal:
                console = Console(highlight=False, width=_PIPE_COLUMNS)
        self._console = console

    def print(self, text: str) -> None:
        """Print prose, with markup, wrapped at the width."""
        self._write(printable(text, "\n"), self._console.width)

    def print_paragraph(
        self,
        text: str,
        *,
        indent: int = 0,
        hang: int = 0,
        style: str = "",
        bold: str = "",
    ) -> None:
        """Print prose, without markup, wrapped between words.

        Its lines are indented by ``indent`` columns, all but the first by ``hang``
        more.  It is not wrapped at NO-BREAK SPACEs.  ``bold`` is the end of the
        text, to be set in bold.
        """
        lines = textwrap.wrap(
            printable(text, _TIE),
            max(self._console.width, _MIN_PARAGRAPH_COLUMNS),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [""]:
            shown = Text(line.replace(_TIE, " "), style=style)
            if bold and line is lines[-1]:
                shown.stylize("bold", len(shown) - len(bold))
            self._console.print(shown, soft_wrap=True)

    def print_line(self, text: str) -> None:
        """Print one line, with markup, without wrapping it."""
        self._console.print(printable(text), soft_wrap=True)

    def print_table(self, table: NameTable) -> None:
        """Print a table, its names cut where it is wider than the terminal."""
        console = self._console
        room = console.width if console.is_terminal else None
        title = printable(table.title)
        title = title if room is None else shortened(title, room)
        self.print_line(f"[bold]{escape(title)}[/]")
        fitted = table.fitted(console, console.width if table.always_cut else room)
        width = _width(console, fitted)
        if room is not None and width > room:
            self._print_records(table)
        else:
            # Where there is no terminal it is printed as wide as it is.
            self._write(fitted, max(width, console.width))
        self.print_line("")

    def _print_records(self, table: NameTable) -> None:
        """Print each row as a paragraph: a terminal would break wide lines anywhere."""
        for name, cells, style in table.rows:
            self.print_paragraph(name, style=style or "bold")
            pairs = zip(table.headers, cells, strict=True)
            described = (f"{header} {cell}" for header, cell in pairs if cell)
            tied = (each.replace(" ", _TIE) for each in described)
            self.print_paragraph(", ".join(tied), indent=2)

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
    """A table whose first column has names, which may be cut; others may not."""

    def __init__(
        self,
        title: str,
        name: str,
        *,
        always_cut: bool = False,
        tight: bool = False,
    ) -> None:
        """Make a table without rows and without other columns.

        ``always_cut``: long names are cut even where there is no terminal.
        ``tight``: one blank between columns, not two.
        """
        self.title = title
        self.always_cut = always_cut
        self._padding = 0 if tight else 1
        self._name = name
        self._columns: list[tuple[str, bool]] = []
        self._rows: list[tuple[str, tuple[str, ...], str | None]] = []
        self._sections: set[int] = set()

    def add_column(self, header: str, *, right: bool = True) -> None:
        """Add a column, aligned right for numbers, left for words."""
        self._columns.append((header, right))

    def add_row(self, name: str, *cells: str, style: str | None = None) -> None:
        """Add a row, without markup."""
        self._rows.append((printable(name), tuple(map(printable, cells)), style))

    def add_section(self) -> None:
        """Separate the rows so far from those that follow."""
        self._sections.add(len(self._rows))

    @property
    def row_count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    @property
    def rows(self) -> list[tuple[str, tuple[str, ...], str | None]]:
        """Return the name, the other cells and the style of each row."""
        return self._rows

    @property
    def headers(self) -> list[str]:
        """Return the headers of the columns after the name."""
        return [header for header, _ in self._columns]

    def fitted(self, console: Console, room: int | None) -> Table:
        """Return the table, its names cut to make it ``room`` wide where possible."""
        table = self._built(None)
        width = _width(console, table)
        if room is None or width <= room or not self._rows:
            return table
        longest = max(len(name) for name, *_ in self._rows)
        return self._built(max(longest - (width - room), _MIN_NAME_COLUMNS))

    def _built(self, name_width: int | None) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD,
            padding=(0, self._padding),
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
    # Far wider than any table: within the console's own width it would be cut.
    options = console.options.update(width=10_000)
    return Measurement.get(console, options, table).maximum
