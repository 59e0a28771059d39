"""What several figures of a watched training draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.present import plot, scales, style
from dlhw.watch.display.curves import envelope

Array = NDArray[np.floating]

MOST_LINES = 8
"""Layers that are drawn as lines; more are a heat map."""
_NAME = 26
"""Most characters of a layer's name."""
_TICKS = 36
"""Most names beside a map."""


def draw_envelope(axes: Axes, x: NDArray[np.integer], values: Array, label: str) -> None:
    """Draw a curve in the first colour: running median, and a band from smallest to largest where it is grouped."""
    line = envelope(x, values)
    if not len(line.x):
        return
    axes.fill_between(line.x, line.low, line.high, color=style.COLORS[0], alpha=0.18, linewidth=0)
    axes.plot(line.x, line.median, label=label, color=style.COLORS[0], linewidth=1.2)


def maps(panels: int, names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Return a figure with room for maps with a row for every name, one above the other, each with a title."""
    inner = len(names) * max(0.07, min(0.2, 6.0 / len(names)))
    gap = style.scaled(0.3)
    height = panels * inner + (panels - 1) * gap + style.scaled(0.85 + 0.55)
    fig, axes = plot.figure(panels, height=height, head=0.85, right=True)
    fig.subplots_adjust(left=style.scaled(1.75) / style.WIDTH, hspace=gap / inner)
    return fig, axes


def draw_map(axes: Axes, x: Array, values: Array, names: Sequence[str], scale: Normalize) -> None:
    """Draw values (n, K) as a map, the first name at the top; what is not positive on a logarithmic scale is grey."""
    shown = np.where(values > 0, values, np.nan) if isinstance(scale, LogNorm) else values
    places = x if len(x) > 1 else np.array([x[0], x[0] + 1.0])
    shown = shown if len(x) > 1 else np.repeat(shown, 2, axis=0)
    middle = np.arange(len(names))
    axes.set_facecolor("#DDDDDD")
    axes.pcolormesh(places, middle, np.ma.masked_invalid(shown.T), norm=scale, cmap="viridis", shading="nearest")
    every = -(-len(names) // _TICKS)
    axes.set_yticks(middle[::every], [short(name) for name in names[::every]], fontsize=style.scaled(7.2))
    axes.invert_yaxis()
    axes.grid(False)


def log_if_wide(axes: Axes, values: Array) -> None:
    """Set a logarithmic vertical axis for positive values that span more than a decade."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min():
        scales.positive_log(axes, 1e-12)


def has_positive(values: Array) -> bool:
    """Return whether some value can be drawn on a logarithmic axis."""
    return bool((np.isfinite(values) & (values > 0)).any())


def short(name: str) -> str:
    """Return a name that fits beside an axis."""
    return name if len(name) <= _NAME else f"{name[: _NAME // 2 - 1]}…{name[-_NAME // 2 :]}"
