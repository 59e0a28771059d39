"""What a terminal shows: progress, tables, and a silent start of TensorFlow."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dlhw.present.layout import column_widths, may_wrap, tables_that_fit
from dlhw.present.numbers import NONE, format_duration
from dlhw.present.tables import Summary
from dlhw.quiet import silent_stderr
from dlhw.runs.context import ProgressReport
from dlhw.runs.flags import with_flags

_WIDTH_OF_A_PIPE = 120


def stdout() -> Console:
    """The console of results: as wide as the terminal, or $COLUMNS, else fixed, in a pipe."""
    columns = os.environ.get("COLUMNS", "")
    pipe = int(columns) if columns.isdecimal() and int(columns) >= 40 else _WIDTH_OF_A_PIPE
    return Console(width=None if sys.stdout.isatty() else pipe, highlight=False)


def print_error(message: str) -> None:
    """Print one line on stderr, with the options of the command line in place of the arguments that it names."""
    print(f"dlhw: {with_flags(message)}", file=sys.stderr)


@contextmanager
def silent_start() -> Iterator[None]:
    """Load TensorFlow and Keras without their messages.

    Keras loads scikit-learn, if it finds it, for wrappers that no command uses: a seventh of the start.
    """
    absent = "sklearn" not in sys.modules
    if absent:
        sys.modules["sklearn"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        with silent_stderr():
            yield
    finally:
        if absent:
            del sys.modules["sklearn"]


@contextmanager
def progress(visible: bool) -> Iterator[ProgressReport | None]:
    """A bar with the time left, and what else has room, on stderr; None where it is not wanted or no terminal."""
    if not visible or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    screen = Console(stderr=True)
    # What has no room is left out, the time left last.
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=20 if screen.width < 120 else 40)]
    columns += [TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}")]
    columns += [TextColumn("{task.fields[rate]}/s")] if screen.width >= 100 else []
    columns += [TextColumn("{task.fields[quantity]} {task.fields[value]}")] if screen.width >= 90 else []
    columns += [TextColumn("{task.fields[note]}")] if screen.width >= 120 else []
    columns += [TextColumn("{task.fields[left]}")]
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("compiling", total=1, rate=NONE, value=NONE, quantity="", unit="", note="", left="")
        first: list[tuple[float, float]] = []  # time and units computed here at the first report

        def report(
            done: float,
            total: float,
            value: float,
            unit: str = "steps",
            note: str = "",
            *,
            activity: str = "training",
            quantity: str = "loss",
            restored: float = 0.0,
        ) -> None:
            first.append((time.perf_counter(), done - restored)) if not first else None
            passed, computed = time.perf_counter() - first[0][0], done - restored - first[0][1]
            rate = computed / passed if passed > 0 else 0.0
            remaining = f"{format_duration((total - done) / rate)} left" if rate > 0 else ""
            shown = f"{rate:,.3g}" if rate > 0 else NONE
            fields: dict[str, Any] = {
                "rate": shown,
                "value": f"{value:.3g}",
                "quantity": quantity,
                "unit": unit,
                "note": note,
            }
            bar.update(task, description=activity, completed=done, total=total, left=remaining, **fields)

        yield report


def as_text(text: str) -> str:
    """Return a text that the console shows as it is: no markup, and no control characters of a terminal."""
    return escape("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))


def tables(summary: Summary, width: int) -> list[Table]:
    """The table of a summary; several where one would be wider than the screen. No cell is cut or wrapped."""
    grids: list[Table] = []
    for part in tables_that_fit(summary, width):
        grid = Table(title=as_text(summary.title) if not grids else None, title_justify="left", title_style="bold")
        for k, (name, least) in enumerate(zip(part.columns, column_widths(part), strict=True)):
            heading = textwrap.fill(as_text(name), least, break_long_words=False, break_on_hyphens=False)
            grid.add_column(heading, style="bold" if k == 0 else None, no_wrap=not may_wrap(part, k), overflow="fold")
        for row in part.rows:
            grid.add_row(*map(as_text, row))
        grids.append(grid)
    return grids


def print_summary(console: Console, summary: Summary, spelled: Callable[[str], str] = with_flags) -> None:
    """Print the findings, each as `spelled` gives it, then the table and its notes."""
    for sentence in summary.sentences:
        console.print(as_text(spelled(sentence)))
    for grid in tables(summary, console.width):
        console.print(grid)
    for note in summary.notes:
        console.print(as_text(note))


def pairs(title: str, values: dict[str, Any]) -> Table:
    """Two columns, name and value."""
    grid = Table(title=as_text(title), title_justify="left", title_style="bold", show_header=False)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for name, value in values.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        grid.add_row(as_text(name), as_text(shown))
    return grid
