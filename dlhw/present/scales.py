"""Logarithmic and integer axes, ticks, colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from dlhw.present import style

Array = NDArray[np.floating]


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
