"""The few kinds of figure: panels, bands, dots, headers. Arrays in, Figure out; knows no model and no experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from dlhw.present import style

Array = NDArray[np.floating]


def figure(
    rows: int = 1,
    *,
    height: float = 3.9,
    heights: Sequence[float] | None = None,
    right: bool = False,
    head: float = 0.35,
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure, style.WIDTH by `height` inches, with `rows` panels that share the horizontal axis.

    right: leave room for a second vertical axis (:func:`twin`); head: inches above the panels (:func:`header`).
    """
    with style.house_style():
        # Fixed margins and label places, in inches: to find them, matplotlib measures all text and draws twice.
        fig = Figure(figsize=(style.WIDTH, height))
        FigureCanvasAgg(fig)
        left, margin, foot, head = (style.scaled(v) for v in (0.85, 0.85 if right else 0.32, 0.55, head))
        fig.subplots_adjust(left / style.WIDTH, foot / height, 1 - margin / style.WIDTH, 1 - head / height, hspace=0.09)
        ratios = {"height_ratios": heights} if heights else None
        axes = fig.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
        for one in axes:
            box = one.get_position()
            one.xaxis.set_label_coords(0.5, -style.scaled(0.36) / (box.height * height))
            one.yaxis.set_label_coords(-style.scaled(0.6) / (box.width * style.WIDTH), 0.5)
    return fig, list(axes)


def panels(
    columns: int,
    *,
    rows: int = 1,
    height: float = 3.9,
    right: bool = False,
    head: float = 0.35,
    panel_width: float = 0.68 * style.WIDTH,
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with `columns` panels side by side, each with its own axes; see :func:`figure`.

    rows: of `columns` panels; the panels come row by row. panel_width: inches, where they fill more than style.WIDTH.
    """
    with style.house_style():
        fig = Figure(figsize=(max(style.WIDTH, panel_width * columns), height))
        FigureCanvasAgg(fig)
        width = fig.get_figwidth()
        space = style.scaled(0.5 if right else 0.26)
        left, margin, foot, head = (style.scaled(v) for v in (0.75, 0.75 if right else 0.2, 0.55, head))
        fig.subplots_adjust(left / width, foot / height, 1 - margin / width, 1 - head / height, wspace=space)
        return fig, list(fig.subplots(rows, columns, squeeze=False).flat)


def twin(axes: Axes, label: str, k: int) -> Axes:
    """Add a second vertical axis on the right, without grid; both axes are coloured like their curves, 0 and `k`."""
    with style.house_style():
        right = axes.twinx()
    right.grid(False)
    right.spines["right"].set_visible(True)
    right.set_ylabel(label)
    for one, color in ((axes.yaxis, style.COLORS[0]), (right.yaxis, style.COLORS[k])):
        one.label.set_color(color)
        one.set_tick_params(colors=color, which="both")
    return right


def labelled_vline(axes: Axes, x: float, text: str) -> None:
    """Draw a dotted vertical line at x with `text` at its foot."""
    axes.axvline(x, color=style.TRUTH, linewidth=0.8, linestyle=":")
    where: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "xytext": (3, 2)}
    axes.annotate(text, (x, 0.0), fontsize=style.scaled(8.2), color=style.TRUTH, **where)


def thin(x: NDArray[Any], values: Array, most: int = 700) -> tuple[NDArray[Any], Array, int]:
    """Return at most `most` points of a long curve: medians over equal runs of `width` points along the last axis.

    Returns x and values thinned, and width; a short curve comes back as it is, with width 1.
    """
    width = -(-values.shape[-1] // most)
    if width == 1:
        return x, values, 1
    n = values.shape[-1] // width * width
    cut = values[..., :n].reshape(*values.shape[:-1], -1, width)
    return x[:n].reshape(-1, width)[:, width // 2], np.median(cut, axis=-1), width


def band(axes: Axes, x: NDArray[Any], values: Array, label: str, k: int = 0, **line_style: Any) -> None:
    """Plot the median over the first axis of `values` (seeds, n) and the band from minimum to maximum.

    Colour and dashes are those of the k-th curve, unless `line_style` overrides them.
    """
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(values).any(axis=0)
        x, values = x[finite], values[:, finite]
        if not len(x):
            return
        style_ = style.curve_style(k) | line_style
        if len(values) > 1:
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            axes.fill_between(x, low, high, color=style_["color"], alpha=0.16, linewidth=0)
        axes.plot(x, np.nanmedian(values, axis=0), label=label, **style_)


def scatter_with_median(axes: Axes, x: NDArray[Any], values: Array, label: str, k: int = 0, **line_style: Any) -> None:
    """Plot seeds as dots and their median as a line: x (n,), values (n, seeds), drawn in order of x; nan left out.

    linestyle="" draws the medians as bars, for things that no line should join; markersize=0 leaves out the dots.
    """
    order = np.argsort(x, kind="stable")
    x, values = np.asarray(x)[order], values[order]
    finite = np.isfinite(values).any(axis=1)
    style_ = style.curve_style(k) | line_style
    size = style_.pop("markersize", 4)
    marks = {"color": style_["color"], "marker": style.MARKERS[k % len(style.MARKERS)], "markersize": size}
    if not style_["linestyle"]:
        style_ |= {"marker": "_", "markersize": 13, "markeredgewidth": 1.8}
    axes.plot(x[finite], np.nanmedian(values[finite], axis=1), label=label, **style_)
    axes.plot(x, values, linestyle="", alpha=0.75, **marks)


def name_points(axes: Axes, x: NDArray[Any], names: Sequence[str], y: Array) -> None:
    """Write names upright above points at (x, y) on a logarithmic vertical axis, with room above the highest."""
    order, low = np.argsort(x, kind="stable"), axes.get_ylim()[0]
    top = float(np.nanmax(y))
    axes.set_ylim(low, top * (top / low) ** 0.45)
    span = max(float(np.log10(x.max() / x.min())), 1e-9)
    room, size = 60.0 * axes.get_window_extent().width / axes.figure.dpi, style.scaled(6.5)
    last = -np.inf
    for k in order:
        if y[k] > 0:
            at = room * float(np.log10(x[k] / x.min())) / span  # points from the left
            last = max(at, last + 1.35 * size)  # moved to the right until it covers no other name
            where: Any = {"textcoords": "offset points", "rotation": 90, "ha": "center", "va": "bottom"}
            axes.annotate(names[k], (x[k], y[k]), (last - at, 5), fontsize=size, color=style.TRUTH, **where)


def rolling_median(values: Array, width: int) -> Array:
    """Return the running median of odd `width` along the last axis, (..., n) -> (..., n - width + 1)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=-1)
    block = max(1, 4_000_000 // (width * (values.size // values.shape[-1])))  # np.median copies what it sorts
    starts = range(0, windows.shape[-2], block)
    return np.concatenate([np.median(windows[..., s : s + block, :], axis=-1) for s in starts], axis=-1)


def legend(axes: Axes, note: str = "", **where: Any) -> None:
    """Add a legend, by default where it hides least; `note` is printed small above it and says what is drawn."""
    if not axes.get_legend_handles_labels()[0]:
        return  # every curve diverged
    box = axes.legend(handlelength=2.6, title=note or None, **({"loc": "best"} | where))
    box.get_title().set(fontsize=style.scaled(8.2), color="#555555")
    box.set_alignment("left")


def header(fig: Figure, title: str, note: str, axes: Sequence[Axes], columns: int = 2) -> None:
    """Place title, note and one legend for the curves of `axes` above all panels, so that it covers no curve."""
    height, left = fig.get_figheight(), fig.subplotpars.left
    with style.house_style():
        large, small = style.scaled(style.STYLE["axes.titlesize"]), style.scaled(8.2)
        _fitted(fig, fig.text(left, 1 - style.scaled(0.1) / height, title, va="top", fontsize=large))
        _fitted(fig, fig.text(left, 1 - style.scaled(0.33) / height, note, va="top", fontsize=small, color="#555555"))
        pairs = [pair for one in axes for pair in zip(*one.get_legend_handles_labels(), strict=True)]
        if pairs:
            where: Any = {
                "loc": "upper left",
                "bbox_to_anchor": (left, 1 - style.scaled(0.53) / height),
                "borderaxespad": 0,
            }
            fig.legend(*zip(*pairs, strict=True), ncols=columns, handlelength=2.6, borderpad=0, **where)


def _fitted(fig: Figure, text: Text) -> None:
    """Reduce the size of a text that would leave the figure on the right."""
    room = fig.bbox.width * (1 - text.get_position()[0]) - 4
    width = text.get_window_extent().width
    if width > room:
        text.set_fontsize(float(text.get_fontsize()) * room / width)


def header_height(labels: int, columns: int = 2, title: bool = False) -> float:
    """Return the inches above the panels that :func:`header` needs for its legend; title: panels have titles."""
    return 0.62 + 0.2 * -(-labels // columns) + (0.25 if title else 0.0)
