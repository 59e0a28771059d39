"""Tables that fit a width: transposed, shortened or split, without cutting a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlhw.present.numbers import NONE
from dlhw.present.tables import Summary

PROSE = ("what it is", "status")
"""Columns of words, which may be wrapped like the names in the first column."""
COUNTS = ("diverged", "dead")
"""Columns that are left out where every row has zero."""
BOOKKEEPING = ("seconds",)
"""Columns that are left out where a table would be too wide."""


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


def column_widths(summary: Summary) -> list[int]:
    """Return the least width of every column: its longest cell, or the longest word of its heading.

    Names in the first column, and the columns of :data:`PROSE`, may be wrapped between words.
    """
    cells = [
        [part for row in summary.rows for part in (row[k].split() if may_wrap(summary, k) else [row[k]])]
        for k in range(len(summary.columns))
    ]
    return [max(map(len, [*name.split(), *column, "-"])) for name, column in zip(summary.columns, cells, strict=True)]


def may_wrap(summary: Summary, k: int) -> bool:
    """Whether the cells of column k may be wrapped between words."""
    return k == 0 or summary.columns[k] in PROSE


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
