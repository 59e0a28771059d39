"""Contours of the loss over a plane, with the path or the nets on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from dlhw.experiments.landscape import view
from dlhw.experiments.landscape.spec import Result, Settings
from dlhw.present import plot, scales, style

LEVELS = 18
PATH = "#D55E00"
FILLED = 0.4
"""A panel keeps equal axes if they fill so much of it."""


def loss_scale(result: Result) -> tuple[Any, np.ndarray]:
    """Return colour scale and levels of the loss, the same for all nets: logarithmic where every loss is positive."""
    low, high = view.loss_range(result.loss)
    if low > 0 and high > 1.5 * low:
        return LogNorm(low, high), np.geomspace(low, high, LEVELS)
    high = high if high > low else low + 1.0
    return Normalize(low, high), np.linspace(low, high, LEVELS)


def panels(settings: Settings, result: Result, note: str = "") -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel per net, titled; note: what is measured."""
    count = len(result.labels)
    fig, axes = plot.panels(count, height=4.3, head=1.0, right=True)
    if count == 1:
        fig.set_figwidth(style.WIDTH)
    plot.header(fig, view.title(settings), note or f"loss on {settings.where()}", ())
    return fig, axes


def map_figure(settings: Settings, result: Result, *, filled: bool, quantity: str = "loss") -> Figure:
    """Draw the loss or the accuracy over the plane, as contour lines or filled, with the path or the nets on it."""
    marks = "dots: the net after every epoch; ring: the start" if settings.plane == "path" else "+: the net"
    marks = "" if settings.plane == "three-points" else f"; {marks}"
    fig, flat_axes = panels(settings, result, f"{quantity} on {settings.where()}{marks}")
    scale, levels = loss_scale(result)
    if quantity == "accuracy":
        scale, levels = Normalize(0, 100), np.linspace(0, 100, 11)
    names = view.axis_names(settings)
    for m, axes in enumerate(flat_axes):
        label_panel(axes, result, m)
        axes.set(xlabel=names[0], ylabel=names[1] if m == 0 else "")
        if result.diverged_at[m] >= 0:
            continue
        values = result.loss[m] if quantity == "loss" else 100 * result.accuracy[m]
        contours(axes, result, m, values, scale, levels, filled)
        equal_axes(axes, result, m)
        mark(settings, axes, result, m, scale if quantity == "loss" else None)
    scales.colorbar(fig, flat_axes[-1], scale, "loss" if quantity == "loss" else "%", log=isinstance(scale, LogNorm))
    return fig


def equal_axes(axes: Axes, result: Result, m: int) -> None:
    """Draw equal distances of the weights equally long, unless that would leave most of the panel empty."""
    box = axes.get_window_extent()
    ratio = float(np.ptp(result.a[m]) / np.ptp(result.b[m])) * box.height / box.width
    if FILLED <= ratio <= 1 / FILLED:
        axes.set_aspect("equal", anchor="C")
    else:
        axes.set_title(f"{axes.get_title('left')} (axes not to scale)")


def contours(
    axes: Axes, result: Result, m: int, values: np.ndarray, scale: Any, levels: np.ndarray, filled: bool
) -> None:
    """Draw contour lines of values (A, B) over the plane of net m, or filled contours."""
    z = np.ma.masked_invalid(values.T)
    axes.grid(False)
    if filled:
        axes.contourf(result.a[m], result.b[m], z, levels=levels, norm=scale, cmap="viridis", extend="both")
        axes.contour(result.a[m], result.b[m], z, levels=levels[::3], colors="white", linewidths=0.4, alpha=0.6)
        return
    lines = axes.contour(result.a[m], result.b[m], z, levels=levels, norm=scale, cmap="viridis", linewidths=1.1)
    for text in axes.clabel(lines, levels[::3], fontsize=style.scaled(6.5), fmt=lambda v: f"{v:.2g}"):
        across, up = axes.transAxes.inverted().transform(axes.transData.transform(text.get_position()))
        if not (0.04 < across < 0.96 and 0.04 < up < 0.96):
            text.remove()  # a label at the border would be cut


def label_panel(axes: Axes, result: Result, m: int) -> None:
    """Set the title of the panel of net m."""
    diverged = f": diverged at epoch {result.diverged_at[m]}" if result.diverged_at[m] >= 0 else ""
    axes.set_title(result.labels[m] + diverged)


def mark(settings: Settings, axes: Axes, result: Result, m: int, scale: Any, last: int | None = None) -> None:
    """Plot the path, its markers coloured by the true loss on the scale of the contour; or the nets."""
    at = result.marks[m]
    if settings.plane == "path":
        at = at if last is None else at[: last + 1]
        axes.plot(*at.T, color=PATH, linewidth=1.2)
        faces = scales.sequential(scale(result.mark_loss[m][: len(at)])) if scale is not None else PATH
        axes.scatter(at[:, 0], at[:, 1], c=faces, s=26, edgecolors="white", linewidths=0.6, zorder=3)
        axes.plot(*at[0], marker="o", markersize=10, color=PATH, markerfacecolor="none", linestyle="")
        return
    names = view.net_names(settings)
    for name, point in zip(names, at, strict=False):
        axes.plot(*point, marker="o" if name else "+", markersize=7, color=PATH, markerfacecolor="white", linestyle="")
        edge = [withStroke(linewidth=2.5, foreground="white")]
        axes.annotate(
            name,
            point,
            (6, 6),
            textcoords="offset points",
            color="#A03E00",
            weight="bold",
            fontsize=style.scaled(10),
            path_effects=edge,
        )


def growing_path(settings: Settings, result: Result, k: int) -> Figure:
    """Plot the path of the first net that did not diverge, up to its point k, over the filled contour."""
    m = int(np.flatnonzero(result.diverged_at < 0)[0])
    fig, (axes,) = plot.panels(1, height=4.6, head=0.8, right=True)
    scale, levels = loss_scale(result)
    contours(axes, result, m, result.loss[m], scale, levels, True)
    mark(settings, axes, result, m, scale, k)
    names = view.axis_names(settings)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set(xlim=(result.a[m][0], result.a[m][-1]), ylim=(result.b[m][0], result.b[m][-1]))
    scales.colorbar(fig, axes, scale, "loss", log=isinstance(scale, LogNorm))
    plot.header(fig, view.title(settings), f"{result.labels[m]}, epoch {result.steps[k]} of {result.steps[-1]}", ())
    return fig
