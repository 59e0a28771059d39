"""Logarithmic and integer axes, ticks, colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from dlhw.present import style

Array = NDArray[np.floating]
LEAST_ERROR = 0.005
"""Error in per cent at which an error of zero is drawn: half of one image of 10000."""
ACCURACIES = (10, 20, 40, 60, 80, 90, 95, 97, 98, 99, 99.5, 99.7, 99.8, 99.9)
"""Ticks of a colour bar of accuracies, in per cent."""


def at_values(panels: Sequence[Axes], x: NDArray[Any], *, log: bool) -> None:
    """Set the horizontal axis of panels one above the other, with ticks at the values x of the lowest.

    log: logarithmic; from zero to the smallest positive value it is linear.
    """
    positive = np.sort(x[x > 0])
    if log and len(positive):
        scale: dict[str, Any] = {"linthresh": float(positive[0]), "linscale": 0.5} if (x <= 0).any() else {}
        for axes in panels:
            axes.set_xscale("symlog" if scale else "log", **scale)
        if scale:  # Matplotlib would leave as much room below zero as there is above
            panels[-1].set_xlim(-0.4 * float(positive[0]), 1.6 * float(positive[-1]))
    panels[-1].set_xticks(list(x), labels=[f"{v:g}" for v in x])
    panels[-1].xaxis.set_minor_locator(NullLocator())


def positive_log(axes: Axes, low: float) -> None:
    """Set a logarithmic vertical axis whose lower end is `low` or above the smallest value drawn.

    Where nothing that is drawn is positive the axis stays linear.
    """
    if not any(np.any(np.asarray(line.get_ydata(), float) > 0) for line in axes.lines):
        return
    axes.set_yscale("log")
    if np.isfinite(low) and low > 0:
        axes.set_ylim(bottom=max(axes.get_ylim()[0], low))
    bottom, top = axes.get_ylim()
    if top < 300 * bottom:  # few decades: powers of ten would read 2.3 × 10⁰, and be too few
        axes.yaxis.set_major_locator(MaxNLocator(6) if top < 10 * bottom else LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: power_of_ten(v)))
        axes.yaxis.set_minor_locator(NullLocator())


def decades(axes: Axes) -> None:
    """Label the logarithmic vertical axis with plain numbers, or powers of ten if there are many."""
    low, high = axes.get_ylim()
    if high < 5 * low:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    elif high < 300 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: power_of_ten(v)))
    axes.yaxis.set_minor_locator(NullLocator())


def log_sizes(axes: Axes) -> None:
    """Set a logarithmic horizontal axis of sizes, with labels that do not touch: plain numbers up to 300-fold."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_minor_locator(NullLocator())
    if high >= 300 * low:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: power_of_ten(v)))
        return
    axes.xaxis.set_major_locator(MaxNLocator(5) if high < 5 * low else LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}" if v < 1e6 else f"{v / 1e6:g}M"))


def signed_decades(axes: Axes, floor: float) -> None:
    """Set the ticks of a symmetric logarithmic vertical axis: 0 and about four powers of ten a side."""
    low, high = axes.get_ylim()
    top = max(abs(low), abs(high))
    first, last = np.ceil(np.log10(floor)), np.floor(np.log10(top))
    every = max(1, int(np.ceil((last - first + 1) / 4)))
    powers = [10.0**k for k in np.arange(last, first - 1, -every)]
    ticks = [v for v in (*(-p for p in powers), 0.0, *powers[::-1]) if low <= v <= high]
    names = ["0" if v == 0 else ("−" if v < 0 else "") + power_of_ten(abs(v)) for v in ticks]
    axes.set_yticks(ticks, labels=names)
    axes.yaxis.set_minor_locator(NullLocator())


def sequential(values: Array) -> NDArray[np.floating]:
    """Return colours of values in [0, 1], (n, 4): viridis, even in lightness and colour-blind safe."""
    return np.asarray(matplotlib.colormaps["viridis"](np.asarray(values)))


def accuracy_norm(values: Array) -> FuncNorm:
    """Return a norm of accuracies in per cent, even in the logarithm of the error: 90 to 99 counts as 99 to 99.9.

    Args:
        values: what is drawn; nan is left out. Nothing finite gives the norm of 0 to 100.
    """
    finite = np.asarray(values)[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 100.0)
    if high - low < 0.1:  # of one accuracy there is no scale
        low, high = max(0.0, low - 0.1), min(100.0, high + 0.1)

    def decades_of_error(accuracy: Array) -> Array:
        return -np.log10(np.maximum(100.0 - np.asarray(accuracy), LEAST_ERROR))

    return FuncNorm((decades_of_error, lambda v: 100.0 - 10.0 ** -np.asarray(v)), low, high)


def accuracy_colorbar(fig: Figure, axes: Axes, norm: FuncNorm) -> None:
    """Add a colour bar on the right of `axes` for a norm of :func:`accuracy_norm`, with ticks at round accuracies."""
    colorbar(fig, axes, norm, "accuracy (%)", log=False)
    side, low, high = fig.axes[-1], float(norm.vmin or 0.0), float(norm.vmax or 100.0)
    ticks: list[float] = []
    for value in (high, *(v for v in reversed(ACCURACIES) if low < v < high), low):
        if all(abs(float(norm(value)) - float(norm(other))) > 0.08 for other in ticks):
            ticks.append(value)
    side.set_yticks(ticks, labels=[f"{v:.3g}" for v in ticks])
    side.yaxis.set_minor_locator(NullLocator())


def colorbar(fig: Figure, axes: Axes, scale: Any, label: str, *, log: bool = True) -> None:
    """Add a colour bar on the right of `axes` for the norm `scale`, logarithmic by default."""
    axes.apply_aspect()
    box, width = axes.get_position(), fig.get_figwidth()
    with style.house_style():
        side = fig.add_axes((box.x1 + style.scaled(0.12) / width, box.y0, style.scaled(0.13) / width, box.height))
    colorbar_in(fig, side, scale, label, log=log)


def colorbar_in(fig: Figure, side: Axes, scale: Any, label: str, *, log: bool = True) -> None:
    """Add a colour bar in axes of its own."""
    from matplotlib.cm import ScalarMappable

    with style.house_style():
        fig.colorbar(ScalarMappable(scale, matplotlib.colormaps["viridis"]), cax=side)
        side.set_title(label)
    side.grid(False)
    if log:
        decades(side)


def power_of_ten(value: float) -> str:
    """Format 0.001 as 10⁻³, as plain text: Matplotlib's math text takes a tenth of a second to start."""
    exponent = np.log10(value)
    whole = round(float(exponent))
    if abs(exponent - whole) > 1e-9:
        return ""
    return "10" + str(whole).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def whole_numbers(axes: Axes) -> None:
    """Set ticks at integers only on the horizontal axis, such as epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
