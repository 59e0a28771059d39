"""Rows of texts -> a table: finds the header, turns what is transposed or long."""

from __future__ import annotations

from collections.abc import Sequence

from dlhw.checks.readers import cells
from dlhw.checks.readers.long import widened
from dlhw.checks.readers.raw import Cell, Raw, column_name

Rows = list[list[Cell]]


def table(rows: Sequence[Sequence[str]], source: str, *, comma: bool = False, header: Sequence[str] = ()) -> Raw:
    """Return the table of rows of equal length.

    Args:
        rows: texts; the first row may be a header.
        source: of the table.
        comma: whether numbers have decimal commas.
        header: where it is known.

    Raises:
        UserError: if a number has thousands separators.
    """
    names = [name.strip() for name in header]
    texts = [list(row) for row in rows]
    numbers = _parsed(texts, source, comma)
    if not names and _has_header(numbers):
        names, numbers = [word.strip() for word in texts[0]], numbers[1:]
    if not names and _is_transposed(numbers):
        return _turned(numbers, source)
    if names and _has_names_in_rows(names, numbers, source):
        return _turned(numbers, source)
    columns = {name: tuple(row[k] for row in numbers) for k, name in enumerate(_unique(names, len(numbers[0])))}
    return widened(Raw(source, _without_index(columns, names)))


def _parsed(rows: Sequence[Sequence[str]], source: str, comma: bool) -> Rows:
    return [[cells.parse(word, source, comma=comma) for word in row] for row in rows]


def _has_header(rows: Rows) -> bool:
    """Whether words of the first row stand above numbers, or all of it is words."""
    words = [isinstance(cell, str) for cell in rows[0]]
    above = [word and any(isinstance(row[k], float) for row in rows[1:]) for k, word in enumerate(words)]
    numbered = rows[0][0] is None and all(isinstance(cell, float) for cell in rows[0][1:]) and _is_transposed(rows[1:])
    return len(rows) > 1 and not _is_transposed(rows) and (all(words) or any(above) or numbered)


def _is_transposed(rows: Rows) -> bool:
    """Whether every row is a quantity: its name, then its numbers."""
    return (
        bool(rows)
        and len(rows[0]) > 2
        and all(isinstance(row[0], str) and all(isinstance(cell, float) for cell in row[1:]) for row in rows)
    )


def _has_names_in_rows(names: Sequence[str], rows: Rows, source: str) -> bool:
    """Whether the header numbers the columns, and rows begin with the name of a quantity."""
    numbered = all(isinstance(cells.parse(name, source), float) for name in names[1:])
    return len(names) > 2 and not names[0] and numbered and _is_transposed(rows)


def _turned(rows: Rows, source: str) -> Raw:
    names = _unique([str(row[0]) for row in rows], len(rows))
    return Raw(source, {name: tuple(row[1:]) for name, row in zip(names, rows, strict=True)})


def _unique(names: Sequence[str], number: int) -> list[str]:
    """Return headers that differ; one that comes again gets `.1`, as in pandas."""
    headers: list[str] = []
    for k in range(number):
        name = names[k] if k < len(names) and names[k] else column_name(k)
        times = sum(earlier == name or earlier.startswith(f"{name}.") for earlier in headers)
        headers.append(f"{name}.{times}" if name in headers else name)
    return headers


def _without_index(columns: dict[str, tuple[Cell, ...]], names: Sequence[str]) -> dict[str, tuple[Cell, ...]]:
    """Leave out a first column without header that numbers the rows, as pandas writes it."""
    first = next(iter(columns))
    unnamed = bool(names) and (not names[0] or names[0].lower().startswith("unnamed"))
    counts = all(isinstance(cell, float) and cell == k for k, cell in enumerate(columns[first]))
    if unnamed and counts and len(columns) > 1:
        return {name: column for name, column in columns.items() if name != first}
    return columns
