"""Tables that hold several trainings: several rows of equal x."""

from __future__ import annotations

import numpy as np

from dlhw.checks.tables import Array, Table


def repeated(table: Table) -> bool:
    """Whether an x has several rows."""
    return len(np.unique(table.x)) < table.rows


def mean_rows(table: Table, *names: str) -> tuple[Array, ...]:
    """Return every x once, and the means of columns over the rows of each x."""
    values, group = np.unique(table.x, return_inverse=True)
    counts = np.bincount(group)
    return (values, *(np.bincount(group, table[name]) / counts for name in names))
