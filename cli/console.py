"""What a terminal shows: progress, tables, and a silent start of TensorFlow."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dlhw.present.tables import Summary, transposed_if_narrower
from dlhw.quiet import silent_stderr
from dlhw.runs.context import ProgressReport
from dlhw.runs.flags import with_flags

_WIDTH_OF_A_PIPE = 120


def stdout() -> Console:
    """The console of results: as wide as the terminal, or fixed in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False)


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
    """A bar with loss, steps a second and time left on stderr; None where it is not wanted or no terminal."""
    if not visible or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}/s"),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling", total=1, rate="–", loss="–", unit="", note="")
        first: list[tuple[float, float]] = []  # time and state at the first report: a resumed run starts above zero

        def report(done: float, total: float, loss: float, unit: str = "steps", note: str = "") -> None:
            first.append((time.perf_counter(), done)) if not first else None
            passed = time.perf_counter() - first[0][0]
            rate = f"{(done - first[0][1]) / passed:,.3g}" if passed > 0 else "–"
            fields: dict[str, Any] = {"rate": rate, "loss": f"{loss:.3g}", "unit": unit, "note": note}
            bar.update(task, description="training", completed=done, total=total, **fields)

        yield report


def table(summary: Summary) -> Table:
    """The table of a summary; stood on its side where that makes it narrower."""
    grid = Table(title=summary.title, title_justify="left", title_style="bold")
    shown = transposed_if_narrower(summary)
    for k, name in enumerate(shown.columns):
        grid.add_column(name, style="bold" if k == 0 else None)
    for row in shown.rows:
        grid.add_row(*map(escape, row))
    return grid


def print_summary(console: Console, summary: Summary) -> None:
    """Table, then sentences."""
    console.print(table(summary))
    for sentence in summary.sentences:
        console.print(with_flags(sentence), markup=False)


def pairs(title: str, values: dict[str, Any]) -> Table:
    """Two columns, name and value."""
    grid = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    for name, value in values.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        grid.add_row(name, shown)
    return grid
