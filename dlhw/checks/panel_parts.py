"""What the panels of a check share: the band of right measurements, and rings around rows that show a mistake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from dlhw.checks.references import Band, Reference
from dlhw.checks.tables import Array
from dlhw.present import style

MARK = style.COLORS[1]
BAND, MEDIAN = "#BDBDBD", "#6E6E6E"
MARGIN = 0.06
"""Of the height of a panel, above and below what it holds."""
MOST_ROOM, MOST_ROOM_LOG = 2.0, 4.0
"""Height of a panel with the band, over that of the person's numbers; logarithmic axes show a factor at any height."""
LEAST_DECADES, LEAST_SHARE = 0.3, 0.1
"""Height for numbers that hardly differ: in decades, or as a part of their size."""


def within(ours: Reference | None, column: str, span: tuple[float, float]) -> Band | None:
    """Return the right measurements of a column between two x, interpolated at the ends; None if there are none."""
    if ours is None or column not in ours.bands:
        return None
    right = ours.bands[column]
    low, high = max(span[0], float(right.x[0])), min(span[1], float(right.x[-1]))
    if low >= high:
        return None
    x = np.concatenate([[low], right.x[(right.x > low) & (right.x < high)], [high]])
    return Band(x, *(np.interp(x, right.x, values) for values in (right.low, right.median, right.high)))


def band(
    axes: Axes,
    ours: Reference | None,
    column: str,
    span: tuple[float, float],
    *,
    label: bool = True,
    color: str = MEDIAN,
) -> None:
    """Draw the right measurements of a column between two x, or say where they lie; color: of their median."""
    right = within(ours, column, span)
    if right is None:
        if label and ours is not None and column in ours.bands:
            x = ours.bands[column].x
            _note(axes, f"right measurements lie at {x[0]:.2g} to {x[-1]:.2g}", at_top=False)
        return
    name = "right measurements" if label else None
    axes.fill_between(right.x, right.low, right.high, color=BAND, alpha=0.45, linewidth=0, label=name)
    axes.plot(right.x, right.median, color=color, alpha=0.55, linewidth=1.1, linestyle=style.DASHES[2])


def fit_height(axes: Axes, values: Array, right: Sequence[Band], *, log: bool) -> None:
    """Set the vertical range to that of a person's numbers; a band far from them may lie outside, and is named then.

    Args:
        axes: to set.
        values: that must be seen.
        right: bands that are drawn; the range holds them too, if the numbers keep half of its height, or a quarter on
            a logarithmic axis.
        log: whether the axis is logarithmic.
    """
    scaled, unscaled = (np.log10, lambda v: 10.0**v) if log else (np.asarray, float)
    own = scaled(values[values > 0] if log else values)
    middle, height = (own.max() + own.min()) / 2, own.max() - own.min()
    least = LEAST_DECADES if log else LEAST_SHARE * abs(middle)
    height = max(height, least) or 1.0
    low, high = middle - height / 2, middle + height / 2
    lows, highs = (np.concatenate([[], *(getattr(one, key) for one in right)]) for key in ("low", "high"))
    lowest, highest = (lows.min(), highs.max()) if len(lows) else (unscaled(low), unscaled(high))
    start, end = low, high
    if lowest > 0 or not log:
        start, end = min(low, float(scaled(lowest))), max(high, float(scaled(highest)))
    if end - start > (MOST_ROOM_LOG if log else MOST_ROOM) * height:
        start, end = low, high
    room = MARGIN * (end - start)
    axes.set_ylim(unscaled(start - room), unscaled(end + room))
    above, below = lowest > unscaled(end + room), highest < unscaled(start - room)
    if above or below:
        words = f"right measurements lie {'above' if above else 'below'}: {lowest:.2g} to {highest:.2g}"
        _note(axes, words, at_top=bool(above))


def _note(axes: Axes, words: str, *, at_top: bool) -> None:
    """Write at the right end of a panel."""
    y, side = (0.97, "top") if at_top else (0.03, "bottom")
    axes.text(0.99, y, words, transform=axes.transAxes, ha="right", va=side, fontsize=style.scaled(8.2), color=MEDIAN)


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
