"""The order in which the points of a grid are evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require


def coarse_to_fine(rows: int, columns: int) -> list[NDArray[Any]]:
    """Return all points of a grid in levels, every 2^k-th point first, then those between.

    After any level, the points so far form a coarser grid, so that a figure can be drawn long before the end. The
    middle of an odd grid is on every level.

    Args:
        rows: number of rows.
        columns: number of columns.

    Returns:
        The levels, each an array (n, 2) of row and column.

    Raises:
        UserError: for a grid without points.
    """
    require(rows >= 1 and columns >= 1, f"a grid of {rows} x {columns} points is empty")
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    i, j = i - rows // 2, j - columns // 2
    step = 1
    while 2 * step <= max(rows, columns) // 2:
        step *= 2
    levels, seen = [], np.zeros((rows, columns), bool)
    while step:
        new = (i % step == 0) & (j % step == 0) & ~seen
        seen |= new
        levels.append(np.argwhere(new))
        step //= 2
    return levels
