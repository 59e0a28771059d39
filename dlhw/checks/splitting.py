"""Parts of a table that are tables of their own, and the rows of a table that are complete."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.checks import inference, spelling
from dlhw.checks.inference import Assignment
from dlhw.checks.items import Item
from dlhw.checks.items import item as item_of
from dlhw.checks.readers.raw import Cell, Raw, Values
from dlhw.errors import UserError, require

_REPEATS = {"seed", "run", "trial", "fold", "repeat", "rep", "model", "net", "trainingmodel"}
"""Headers whose numbers say which training a row belongs to."""
_SETS = {"train", "training", "test", "testing", "val", "valid", "validation", "eval"}
_MOST_PARTS = 30
_X_OF_CURVES = {"epoch", "epochs", "step", "iteration", "iter", "alpha"}


def by_words(raw: Raw, item: Item | None) -> list[Raw]:
    """Return the parts of a table: one for every word in a column that names trainings, or word that headers share.

    Args:
        raw: the table.
        item: what was measured; None: not known.
    """
    if raw.item or len({len(column) for column in raw.columns.values()}) > 1:
        return [raw]
    if _recognized(raw, item):
        return _by_entries(raw)
    # A single loss, such as that of a generator, may be any loss; two curves are those of a training.
    by_header = [p for p in _by_shared_words(raw) if _recognized(p, item) and sum(map(_is_curve, p.columns)) > 1]
    return by_header or [raw]


def _recognized(raw: Raw, item: Item | None) -> bool:
    if item is None:
        return bool(inference.candidates(raw.columns, {}))
    assigned = inference.assign(item, raw.columns, {})
    return all(c.name in assigned for c in item.columns if c.required and c.name not in inference.COUNTERS)


def _by_entries(raw: Raw) -> list[Raw]:
    """Split where a column of words, or the number of a seed beside epochs, tells which training a row belongs to."""
    curves = any(spelling.normalized(header) in _X_OF_CURVES for header in raw.columns)
    if not curves:
        return [raw]
    labels = [
        header
        for header, column in raw.columns.items()
        if (spelling.normalized(header) in _REPEATS) or all(isinstance(cell, str) for cell in column)
    ]
    keys = [tuple(raw.columns[header][k] for header in labels) for k in range(len(next(iter(raw.columns.values()))))]
    rows: dict[tuple[Cell, ...], list[int]] = defaultdict(list)
    for k, key in enumerate(keys):
        rows[key].append(k)
    if not 1 < len(rows) <= _MOST_PARTS or min(map(len, rows.values())) < 2:
        return [raw]
    parts = []
    for key, places in rows.items():
        label = ", ".join(f"{header} {_shown(cell)}" for header, cell in zip(labels, key, strict=True))
        columns = {h: tuple(c[k] for k in places) for h, c in raw.columns.items() if h not in labels}
        numbers = tuple(map(raw.row_number, places))
        parts.append(dataclasses.replace(raw, source=f"{raw.source}, {label}", columns=columns, numbers=numbers))
    return parts


def _shown(cell: Cell) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _by_shared_words(raw: Raw) -> list[Raw]:
    """Split `deep train loss, deep test loss, shallow train loss, ...` by the words that are no part of a quantity."""
    shared = {h: c for h, c in raw.columns.items() if spelling.normalized(h) in _X_OF_CURVES}
    parts: dict[str, dict[str, Values]] = defaultdict(dict)
    for header, column in raw.columns.items():
        words = [word for word in re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", header) if word]
        for length in range(len(words) - 1, 0, -1):
            inner = {" ".join(words[-length:]): words[:-length], " ".join(words[:length]): words[length:]}
            quantity = next((core for core in inner if _is_curve(core)), None)
            if quantity is not None and header not in shared and not _SETS & {w.lower() for w in inner[quantity]}:
                parts[" ".join(inner[quantity])][quantity] = column
                break
    if not shared and sum(map(len, parts.values())) < len(raw.columns):
        return []  # nothing tells what the rows are
    return [
        dataclasses.replace(raw, source=f"{raw.source}, {name}", columns=shared | columns)
        for name, columns in parts.items()
    ]


def _is_curve(text: str) -> bool:
    names = inference.CURVE_NAMES
    return bool(set(spelling.assign(item_of("loss-curve"), [text], {})) & set(names))


def complete_rows(item: Item, raw: Raw, assignment: Assignment) -> tuple[dict[str, Any], tuple[int, ...], list[str]]:
    """Return the columns of an item, without the rows where a cell is empty, the numbers of rows, and what to note.

    Raises:
        UserError: if columns differ in length, or a cell is no finite number.
    """
    lengths = {header: len(raw.columns[header]) for headers in assignment.values() for header in headers}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{header} has {n}" for header, n in lengths.items())
        raise UserError(f"{raw.source}: columns differ in length: {listed}")
    rows = next(iter(lengths.values()))
    used = {name: headers for name, headers in assignment.items() if not _is_empty(raw, headers)}
    complete = _complete(raw, used, rows)
    while not complete and (optional := [c.name for c in item.columns if not c.required and c.name in used]):
        sparsest = max(optional, key=lambda name: _holes(raw, used[name]))  # such as a loss that few epochs have
        del used[sparsest]
        complete = _complete(raw, used, rows)
    require(bool(complete), f"{raw.source}: no row has numbers in all of {', '.join(lengths)}")
    values: dict[str, Any] = {}
    for name, headers in used.items():
        if item.column(name).text:
            values[name] = [_word(raw.columns[headers[0]][k]) for k in complete]
            continue
        columns = np.array([_numbers(raw, header, complete) for header in headers])
        values[name] = columns.T if item.column(name).many else columns[0]
    x = item.columns[0]
    if x.required and x.name in inference.COUNTERS and x.name not in values:
        values[x.name] = np.arange(1.0, len(complete) + 1)
    dropped = rows - len(complete)
    note = f"{raw.source}: {dropped} of {rows} rows have an empty cell in {', '.join(used)}, and are left out"
    numbers = tuple(map(raw.row_number, complete)) if dropped or raw.numbers else ()
    return values, numbers, [note] if dropped else []


def _is_empty(raw: Raw, headers: tuple[str, ...]) -> bool:
    return all(cell is None for header in headers for cell in raw.columns[header])


def _holes(raw: Raw, headers: tuple[str, ...]) -> int:
    return sum(cell is None for header in headers for cell in raw.columns[header])


def _complete(raw: Raw, used: Assignment, rows: int) -> list[int]:
    columns = [raw.columns[header] for headers in used.values() for header in headers]
    columns = [column for column in columns if not isinstance(column, np.ndarray)]  # those have no empty cells
    return [k for k in range(rows) if all(column[k] is not None for column in columns)]


def _word(cell: Cell) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _numbers(raw: Raw, header: str, rows: list[int]) -> NDArray[np.float64]:
    """Return cells as finite numbers.

    Raises:
        UserError: if it is none.
    """
    column = raw.columns[header]
    cells = column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]
    numbers = np.array([cell if isinstance(cell, float) else np.nan for cell in cells], float)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if not len(wrong):
        return numbers
    cell = cells[wrong[0]]
    shown = f"{float(cell)}" if isinstance(cell, float) else repr(cell)
    hint = "; leave out the rows of a training that diverged" if isinstance(cell, float) else ", and no number"
    raise UserError(f"{raw.source}: {header} is {shown} in row {raw.row_number(rows[wrong[0]])}{hint}")
