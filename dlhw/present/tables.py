"""What the numbers of a run say: a table, findings, and the numbers themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.present.findings import Finding
from dlhw.present.numbers import NONE

Array = NDArray[np.floating]
COUNTS = ("diverged", "dead")
"""Columns that are left out where every row has zero."""
BOOKKEEPING = ("seconds",)
"""Columns that are left out where a table would be too wide."""


@dataclass(frozen=True)
class Summary:
    """A table of text cells, the findings that the numbers support, and every scalar by name."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    findings: tuple[Finding, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The texts of the findings."""
        return tuple(finding.text for finding in self.findings)

    def __str__(self) -> str:
        cells = [self.columns, *self.rows]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.columns))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([self.title, *lines, "", *self.sentences])


def transposed_if_narrower(summary: Summary) -> Summary:
    """Return the summary with its table transposed where that makes it narrower."""
    if len(summary.columns) <= len(summary.rows) + 1:
        return summary
    return _transposed(summary)


def without_empty_counts(summary: Summary) -> Summary:
    """Return the summary without columns of :data:`COUNTS` that are zero in every row."""
    filled = [
        k
        for k, name in enumerate(summary.columns)
        if name not in COUNTS or not all(row[k].split(" ")[0] in ("0", NONE) for row in summary.rows)
    ]
    return _columns(summary, filled)


def tables_that_fit(summary: Summary, width: int) -> list[Summary]:
    """Return the table of a summary as one or several tables of at most `width` characters, without cutting a cell.

    The first of these that fits: the table; transposed; the same without :data:`BOOKKEEPING`. Otherwise its columns
    are distributed over several tables, each with the first column.
    """
    shown = without_empty_counts(summary)
    less = _columns(shown, [k for k, name in enumerate(shown.columns) if name not in BOOKKEEPING])
    ways = [
        transposed_if_narrower(shown),
        shown,
        _transposed(shown),
        transposed_if_narrower(less),
        less,
        _transposed(less),
    ]
    for way in ways:
        if _width(way) <= width:
            return [way]
    narrowest = min(ways[3:], key=lambda way: max(column_widths(way)))
    widths = column_widths(narrowest)
    blocks: list[list[int]] = [[0]]
    for k in range(1, len(widths)):
        if len(blocks[-1]) > 1 and _sum_of_widths([widths[i] for i in [*blocks[-1], k]]) > width:
            blocks.append([0])
        blocks[-1].append(k)
    return [_columns(narrowest, block) for block in blocks]


def to_csv(summary: Summary) -> str:
    """Return the table of a summary as comma-separated values with a heading."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([summary.columns, *summary.rows])
    return file.getvalue()


def column_widths(summary: Summary) -> list[int]:
    """Return the width of every column: its longest cell, or the longest word of its heading.

    The first column holds names, which may be wrapped between words.
    """
    cells = [[word for row in summary.rows for word in row[0].split()]]
    cells += [[row[k] for row in summary.rows] for k in range(1, len(summary.columns))]
    return [max(map(len, [*name.split(), *column, "-"])) for name, column in zip(summary.columns, cells, strict=True)]


def _width(summary: Summary) -> int:
    return _sum_of_widths(column_widths(summary))


def _sum_of_widths(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * len(widths) + 1  # a space on both sides, and lines


def _columns(summary: Summary, positions: Sequence[int]) -> Summary:
    rows = tuple(tuple(row[k] for k in positions) for row in summary.rows)
    return replace(summary, columns=tuple(summary.columns[k] for k in positions), rows=rows)


def _transposed(summary: Summary) -> Summary:
    columns, *rows = zip(summary.columns, *summary.rows, strict=True)
    return replace(summary, columns=columns, rows=tuple(rows))


def statistics(values: Array) -> dict[str, float | int]:
    """Return median, min, max, mean, standard deviation (n - 1) and n of the finite values."""
    finite = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    if not len(finite):
        return {"median": np.nan, "min": np.nan, "max": np.nan, "mean": np.nan, "std": np.nan, "n": 0}
    std = float(finite.std(ddof=1)) if len(finite) > 1 else np.nan
    ends = {"median": float(np.median(finite)), "min": float(finite.min()), "max": float(finite.max())}
    return {**ends, "mean": float(finite.mean()), "std": std, "n": len(finite)}


def row_means(values: Array) -> Array:
    """Return the mean of the finite values of every row; nan where there are none."""
    return np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in values])


def row_medians(values: Array) -> Array:
    """Return the median of the finite values of every row; nan where there are none."""
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values])


def statistic_of_tables(seeds: int) -> str:
    """Return what the numbers of a table are, for its title."""
    return f"mean ± standard deviation of {seeds} seeds; below, median (min to max)" if seeds > 1 else "one seed"


def statistic_of_figures(seeds: int) -> str:
    """Return what the lines of a figure are, for its note."""
    return f"median of {seeds} seeds, band from min to max" if seeds > 1 else "one seed"
