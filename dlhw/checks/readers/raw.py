"""A table as its author wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.checks.tables import Fact

Cell = float | str | None
"""None: the cell is empty."""
Values = tuple[Cell, ...] | NDArray[np.float64]
"""A column; an array where every cell is a number."""
MOST_BYTES = 64 * 2**20
"""Larger files are not those of a table."""
MOST_COLUMNS = 1000
"""A matrix with more columns is no table of layers."""


@dataclass(frozen=True)
class Raw:
    """Columns by header, in the order of the file; they may differ in length."""

    source: str  # file and place in it, for messages
    columns: Mapping[str, Values]
    item: str = ""  # what was measured, where the file says it
    facts: Mapping[str, Fact] = field(default_factory=dict)
    on_request: bool = False  # whether only a user who names the item wants it
    cut: bool = False  # whether rows were left out when it was printed
    numbers: tuple[int, ...] = ()  # of the rows in the table that this is a part of, from 1; (): it is no part

    def row_number(self, row: int) -> int:
        """Return the number, from 1, that a row has in the whole table."""
        return self.numbers[row] if self.numbers else row + 1


def column_name(k: int) -> str:
    """Return the header of a column that has none: `column 1` for the first."""
    return f"column {k + 1}"


def arrays(values: Mapping[str, Any]) -> dict[str, Values]:
    """Return arrays as columns: a matrix (rows, k) becomes `name 1` to `name k`; what has more axes is left out."""
    columns: dict[str, Values] = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.dtype.kind in "US" and array.ndim == 1:
            columns[name] = as_cells(array.tolist())
        elif array.dtype.kind in "biuf" and array.ndim == 1:
            columns[name] = array.astype(float)
        elif array.dtype.kind in "biuf" and array.ndim == 2 and array.shape[1] <= MOST_COLUMNS:
            columns |= {f"{name} {k + 1}": array[:, k].astype(float) for k in range(array.shape[1])}
    return columns


def as_cells(values: Sequence[Any]) -> tuple[Cell, ...]:
    """Return values as cells: numbers and truth values as float."""
    return tuple(None if v is None else float(v) if isinstance(v, (bool, int, float)) else as_text(v) for v in values)


def as_text(value: Any) -> str:
    """Return a value as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
