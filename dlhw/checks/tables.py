"""A table of numbers that belongs to an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dlhw.checks.items import Item

Array = NDArray[np.float64]
Fact = float | int | str
PERCENT = 100
SHARE = 2
"""Accuracies up to 100 are per cent if the largest is above this: one of 1.02 is a share that is too large."""


@dataclass(frozen=True)
class Table:
    """Columns by their names in the item, sorted by x; every number finite."""

    item: Item
    columns: Mapping[str, Array]  # (rows,); columns of which there are many are (rows, number)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # columns of text
    headers: Mapping[str, str] = field(default_factory=dict)  # name -> header in the user's file
    source: str = ""
    numbers: tuple[int, ...] = ()  # of the rows where the user has them, from 1; (): they stand there in this order

    def has(self, *names: str) -> bool:
        """Whether all of these columns and facts are known."""
        return all(name in self.columns or name in self.facts or name in self.words for name in names)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def number(self, name: str) -> float:
        """Return a fact that is a number."""
        return float(self.facts[name])

    def row_number(self, row: int) -> int:
        """Return the number, from 1, that a row of this table has in the table of the user."""
        return self.numbers[row] if self.numbers else int(row) + 1

    @property
    def x(self) -> Array:
        """The first column of the item; numbers of rows where it is not given."""
        name = self.item.columns[0].name
        return self.columns[name] if name in self.columns else np.arange(1.0, self.rows + 1)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))
