"""What the panels of a check share: the band of right measurements, and rings around rows that show a mistake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from dlhw.checks.references import Reference
from dlhw.checks.tables import Array
from dlhw.present import style

MARK = style.COLORS[1]
BAND, MEDIAN = "#BDBDBD", "#6E6E6E"


def band(
    axes: Axes,
    ours: Reference | None,
    column: str,
    span: tuple[float, float],
    *,
    label: bool = True,
    color: str = MEDIAN,
) -> None:
    """Draw the right measurements of a column, where they are near the person's x; color: of their median."""
    if ours is None or column not in ours.bands:
        return
    right = ours.bands[column]
    near = (right.x >= span[0]) & (right.x <= span[1])
    if near.sum() < 2:
        near = np.full(len(right.x), True)
    x = right.x[near]
    name = "right measurements" if label else None
    axes.fill_between(x, right.low[near], right.high[near], color=BAND, alpha=0.45, linewidth=0, label=name)
    axes.plot(x, right.median[near], color=color, alpha=0.55, linewidth=1.1, linestyle=style.DASHES[2])


def ring(axes: Axes, x: Array, columns: Sequence[Array], marked: Sequence[int], rows: int) -> None:
    """Ring the rows that show a mistake; where they are all rows, the numbers as a whole do."""
    at = [row for row in marked if row < rows]
    if not at or len(at) == rows:
        return
    size = style.scaled(9 if len(at) <= 40 else 5)
    for k, column in enumerate(columns):
        axes.plot(
            x[at],
            column[at],
            linestyle="",
            marker="o",
            markersize=size,
            markerfacecolor="none",
            markeredgecolor=MARK,
            markeredgewidth=style.scaled(1.3),
            label="where it shows" if k == 0 else None,
            zorder=4,
        )
