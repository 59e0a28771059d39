"""Quantities of every step by layer: lines, or a heat map where there are many layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.present import plot, scales, style
from dlhw.watch.display import curves
from dlhw.watch.display.drawing import MOST_LINES, draw_map, has_positive, maps, short
from dlhw.watch.spec import Result

Array = NDArray[np.floating]

COLUMNS = 240
"""Of a heat map."""
LEAST = 1e-30
"""Where an axis of norms ends at the latest."""
USUAL_RATIO = 1e-3
"""Update over weights of a learning rate that suits a layer, to about a factor of ten."""


def gradient_norms(result: Result) -> Figure | None:
    """Return the norms of the gradient by layer, raw and as applied where these differ; None without any."""
    raw = np.asarray(result.gradient_norm, np.float64)
    if not has_positive(raw):
        return None
    clipped = curves.is_clipped(result)
    applied = np.where(result.updated[:, None] & clipped, result.applied_norm, np.nan)
    if len(result.layers) > MOST_LINES:
        used = np.where(result.updated[:, None], result.applied_norm, np.nan)
        panels = [("gradient norm of the batch", raw)] + ([("as applied", used)] if clipped.any() else [])
        return heat_maps(result.step, result.layers, panels, "Gradient norm by layer")
    note = "of the batch"
    note += "; dashed: as applied (accumulated, clipped)" if clipped.any() else ""
    fig, axes = _lines(result, raw, "Gradient norm by layer", note, "gradient norm", bands=not clipped.any())
    for k in np.flatnonzero(clipped):
        line = curves.envelope(result.step, applied[:, k])
        axes.plot(line.x, line.median, color=style.COLORS[k % len(style.COLORS)], linestyle=(0, (4, 2)), linewidth=1.1)
    scales.positive_log(axes, LEAST)
    return fig


def update_ratios(result: Result) -> Figure | None:
    """Return the norm of the update over that of the weights by layer; None without any update."""
    ratio = curves.update_ratio(result)
    if not has_positive(ratio):
        return None
    title = "Update over weights by layer"
    if len(result.layers) > MOST_LINES:
        return heat_maps(result.step, result.layers, [("update / weights", ratio)], title)
    fig, axes = _lines(result, ratio, title, "norm of the update / norm of the weights", "update / weights")
    axes.axhline(USUAL_RATIO, color=style.TRUTH, linewidth=0.9, linestyle=":")
    where: Any = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "xytext": (-3, 3),
        "ha": "right",
    }
    axes.annotate("1e-3, usual", (1.0, USUAL_RATIO), fontsize=style.scaled(8.2), color=style.TRUTH, **where)
    scales.positive_log(axes, LEAST)
    return fig


def _lines(
    result: Result, values: Array, title: str, note: str, label: str, *, bands: bool = True
) -> tuple[Figure, Axes]:
    """Return a figure of one line for every layer, values (S, L)."""
    shown = [k for k in range(len(result.layers)) if has_positive(values[:, k])]
    columns = 2 if max(len(result.layers[k]) for k in shown) > 14 else 4
    head = plot.header_height(len(shown), columns)
    fig, (axes,) = plot.figure(height=3.6 + head, head=head)
    width = 1
    for k in shown:
        line = curves.envelope(result.step, np.where(values[:, k] > 0, values[:, k], np.nan))
        color, width = style.COLORS[k % len(style.COLORS)], max(width, line.width)
        if bands and line.width > 1:
            axes.fill_between(line.x, line.low, line.high, color=color, alpha=0.13, linewidth=0)
        axes.plot(line.x, line.median, label=short(result.layers[k]), color=color, linewidth=1.3)
    axes.set(xlabel="batch", ylabel=label)
    if width > 1:
        note += f"; median over {width} batches" + (", band from smallest to largest" if bands else "")
    plot.header(fig, title, note, (axes,), columns=columns)
    return fig, axes


def heat_maps(x: NDArray[np.integer], names: Sequence[str], panels: Sequence[tuple[str, Array]], title: str) -> Figure:
    """Return maps of values (S, K) against step, a row for every name, with one logarithmic scale for all panels."""
    fig, axes = maps(len(panels), names)
    grids = [curves.grid(x, values, COLUMNS) for _, values in panels]
    finite = np.concatenate([values[values > 0] for _, values in grids])
    scale = LogNorm(float(finite.min()), max(float(finite.max()), 1.01 * float(finite.min())), clip=True)
    for one, (name, _), (places, values) in zip(axes, panels, grids, strict=True):
        draw_map(one, places, values, names, scale)
        one.set_title(name)
        scales.colorbar(fig, one, scale, "")
    axes[-1].set_xlabel("batch")
    width = -(-len(x) // COLUMNS)
    note = f"median over {width} batches; " if width > 1 else ""
    plot.header(fig, title, f"{note}from the input at the top to the output", ())
    return fig
