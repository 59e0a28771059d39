"""Long tables, with the name of the quantity or of the set in a column -> one column per quantity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from dlhw.checks.readers.raw import Cell, Raw, Values

_NAMES = {"variable", "quantity", "metric", "name", "measure", "series", "tag", "key", "curve", "what", "type"}
_VALUES = {"value", "values", "val", "number", "y", "measurement"}
_SETS = {"train", "training", "tr", "test", "testing", "te", "val", "valid", "validation", "eval"}

Columns = dict[str, tuple[Cell, ...]]


def widened(raw: Raw) -> Raw:
    """Return a long table as a wide one, another one as it is."""
    words = [name for name, column in raw.columns.items() if all(isinstance(cell, str) for cell in column)]
    for name in words:
        entries = {str(cell).lower().strip() for cell in raw.columns[name]}
        if len(entries) < len(raw.columns[name]) and entries <= _SETS:
            return Raw(raw.source, _by_set(raw.columns, name))
    values = [name for name in raw.columns if name.lower().strip() in _VALUES]
    names = [name for name in words if name.lower().strip() in _NAMES]
    if len(values) == 1 and len(names) == 1:
        return Raw(raw.source, _pivoted(raw.columns, names[0], {values[0]: ""}))
    return raw


def _by_set(columns: Mapping[str, Values], name: str) -> Columns:
    """Widen a table with a column that says whether a row is of the training or the test set."""
    x = next(iter(header for header in columns if header != name))
    quantities = {h: h for h in columns if h not in (x, name) and isinstance(columns[h][0], float)}
    return _pivoted(columns, name, quantities)


def _pivoted(columns: Mapping[str, Values], name: str, quantities: Mapping[str, str]) -> Columns:
    """Return a column for every entry of `name` and every quantity; the k-th row of one key goes with other k-th ones.

    Args:
        columns: of the long table.
        name: the column whose entries become headers.
        quantities: the columns that are widened, and what follows the entry in the new headers.
    """
    keys = [h for h in columns if h != name and h not in quantities]
    rows: dict[tuple[object, ...], dict[str, Cell]] = {}
    times: dict[tuple[object, ...], int] = defaultdict(int)
    for k, entry in enumerate(columns[name]):
        key = tuple(columns[h][k] for h in keys)
        count = times[(*key, entry)]
        times[(*key, entry)] += 1
        row = rows.setdefault((*key, count), {h: columns[h][k] for h in keys})
        for quantity, suffix in quantities.items():
            row[f"{entry} {suffix}".strip()] = columns[quantity][k]
    headers = list(dict.fromkeys(header for row in rows.values() for header in row))
    return {header: tuple(row.get(header) for row in rows.values()) for header in headers}
