"""House style and the few kinds of figure: arrays in, Figure out. Sees no model and no experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from dlhw.errors import require

Array = NDArray[np.floating]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
"""Okabe and Ito (2008): told apart with colour-blind eyes; the lines differ in dashes too, for print in grey."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
TRUTH = "#222222"
WIDTH = 7.2  # inches

STYLE: dict[str, Any] = {
    "font.size": 9.5,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titley": 1.0,  # a fixed place: else every redraw measures every tick label
    "axes.labelsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "dlhw",  # ids of an SVG are random without it, and a redraw would differ
    "svg.fonttype": "path",
}


SCALES = {"paper": 1.0, "slides": 1.25}
"""Of text, lines and margins against a figure: print, or a screen at the far end of a room."""
_scale: ContextVar[float] = ContextVar("scale", default=1.0)


@contextmanager
def styled(name: str) -> Iterator[None]:
    """One of :data:`SCALES` for the figures that are made *and* rendered inside."""
    require(name in SCALES, f"--style {name!r} is unknown; use {' or '.join(SCALES)}")
    token = _scale.set(SCALES[name])
    try:
        yield
    finally:
        _scale.reset(token)


def enlarged() -> bool:
    """Whether text is larger than the figures were laid out for."""
    return _scale.get() > 1


def scaled(value: float) -> float:
    """Points of text, or inches of a margin, in the style that is set."""
    return value * _scale.get()


@contextmanager
def style() -> Iterator[None]:
    """The house style, for the figures made inside."""
    sized = {k: scaled(v) for k, v in STYLE.items() if k.endswith(("size", "linewidth"))}
    sized |= {"xtick.labelsize": sized["font.size"], "ytick.labelsize": sized["font.size"]}
    with matplotlib.rc_context(STYLE | sized | {"lines.markersize": scaled(6)}):  # type: ignore[arg-type]
        yield


def figure(
    rows: int = 1,
    *,
    height: float = 3.9,
    heights: Sequence[float] | None = None,
    right: bool = False,
    head: float = 0.35,
) -> tuple[Figure, list[Axes]]:
    """An empty figure, WIDTH by `height` inches, with `rows` panels that share the horizontal axis.

    right: leave room for a second vertical axis (:func:`twin`); head: inches above the panels (:func:`header`).
    """
    with style():
        # Fixed margins and label places, in inches: to find them, matplotlib measures all text and draws twice.
        made = Figure(figsize=(WIDTH, height))
        FigureCanvasAgg(made)
        left, margin, foot, head = (scaled(v) for v in (0.85, 0.85 if right else 0.32, 0.55, head))
        made.subplots_adjust(left / WIDTH, foot / height, 1 - margin / WIDTH, 1 - head / height, hspace=0.09)
        ratios = {"height_ratios": heights} if heights else None
        axes = made.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
        for one in axes:
            box = one.get_position()
            one.xaxis.set_label_coords(0.5, -scaled(0.36) / (box.height * height))
            one.yaxis.set_label_coords(-scaled(0.6) / (box.width * WIDTH), 0.5)
    return made, list(axes)


def panels(columns: int, *, height: float = 3.9, right: bool = False, head: float = 0.35) -> tuple[Figure, list[Axes]]:
    """An empty figure with `columns` panels side by side, each with axes of its own; the rest as in :func:`figure`."""
    with style():
        made = Figure(figsize=(WIDTH * max(1.0, 0.68 * columns), height))
        FigureCanvasAgg(made)
        width = made.get_figwidth()
        space = scaled(0.5 if right else 0.26)
        left, margin, foot, head = (scaled(v) for v in (0.75, 0.75 if right else 0.2, 0.55, head))
        made.subplots_adjust(left / width, foot / height, 1 - margin / width, 1 - head / height, wspace=space)
        return made, list(made.subplots(1, columns, squeeze=False)[0])


def twin(axes: Axes, label: str, k: int) -> Axes:
    """A second vertical axis on the right, without grid; both axes are coloured like their curves, 0 and `k`."""
    with style():
        right = axes.twinx()
    right.grid(False)
    right.spines["right"].set_visible(True)
    right.set_ylabel(label)
    for one, color in ((axes.yaxis, COLORS[0]), (right.yaxis, COLORS[k])):
        one.label.set_color(color)
        one.set_tick_params(colors=color, which="both")
    return right


def mark(axes: Axes, x: float, text: str) -> None:
    """A dotted vertical line at x with `text` at its foot."""
    axes.axvline(x, color=TRUTH, linewidth=0.8, linestyle=":")
    where: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "xytext": (3, 2)}
    axes.annotate(text, (x, 0.0), fontsize=scaled(8.2), color=TRUTH, **where)


def line(k: int) -> dict[str, Any]:
    """Colour and dashes of the k-th curve."""
    return {"color": COLORS[k % len(COLORS)], "linestyle": DASHES[k % len(DASHES)]}


def thin(x: NDArray[Any], values: Array, most: int = 700) -> tuple[NDArray[Any], Array, int]:
    """At most `most` points of a long curve: medians over equal runs of `width` points along the last axis.

    Returns x and values thinned, and width; a short curve comes back as it is, with width 1.
    """
    width = -(-values.shape[-1] // most)
    if width == 1:
        return x, values, 1
    n = values.shape[-1] // width * width
    cut = values[..., :n].reshape(*values.shape[:-1], -1, width)
    return x[:n].reshape(-1, width)[:, width // 2], np.median(cut, axis=-1), width


def band(axes: Axes, x: Array, values: Array, label: str, k: int = 0, **look: Any) -> None:
    """Median over the first axis of `values` (seeds, n), with the band from min to max; nan rows end where they end.

    Colour and dashes are those of the k-th curve, unless `look` says otherwise.
    """
    with np.errstate(invalid="ignore"):
        some = np.isfinite(values).any(axis=0)
        x, values = x[some], values[:, some]
        if not len(x):
            return
        style_ = line(k) | look
        if len(values) > 1:
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            axes.fill_between(x, low, high, color=style_["color"], alpha=0.16, linewidth=0)
        axes.plot(x, np.nanmedian(values, axis=0), label=label, **style_)


def dots(axes: Axes, x: NDArray[Any], values: Array, label: str, k: int = 0, **look: Any) -> None:
    """Every seed a dot, the median over seeds a line: x (n,), values (n, seeds), drawn in order of x; nan left out.

    linestyle="" draws the medians as bars, for things that no line should join; markersize=0 leaves out the dots.
    """
    order = np.argsort(x, kind="stable")
    x, values = np.asarray(x)[order], values[order]
    some = np.isfinite(values).any(axis=1)
    style_ = line(k) | look
    size = style_.pop("markersize", 4)
    marks = {"color": style_["color"], "marker": MARKERS[k % len(MARKERS)], "markersize": size}
    if not style_["linestyle"]:
        style_ |= {"marker": "_", "markersize": 13, "markeredgewidth": 1.8}
    axes.plot(x[some], np.nanmedian(values[some], axis=1), label=label, **style_)
    axes.plot(x, values, linestyle="", alpha=0.75, **marks)


def sizes(axes: Axes, x: NDArray[Any]) -> None:
    """Ticks at the values x themselves on a logarithmic horizontal axis, such as batch sizes."""
    axes.set_xticks(list(x), labels=[f"{v:g}" for v in x])
    axes.xaxis.set_minor_locator(NullLocator())


def rolling_median(values: Array, width: int) -> Array:
    """Running median of odd `width` along the last axis, (..., n) -> (..., n - width + 1)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=-1)
    block = max(1, 4_000_000 // (width * (values.size // values.shape[-1])))  # np.median copies what it sorts
    starts = range(0, windows.shape[-2], block)
    return np.concatenate([np.median(windows[..., s : s + block, :], axis=-1) for s in starts], axis=-1)


def legend(axes: Axes, note: str = "", **where: Any) -> None:
    """A legend where it hides least, unless told; `note` stands above it, small, and says what is drawn."""
    if not axes.get_legend_handles_labels()[0]:
        return  # every curve diverged
    made = axes.legend(handlelength=2.6, title=note or None, **({"loc": "best"} | where))
    made.get_title().set(fontsize=scaled(8.2), color="#555555")
    made.set_alignment("left")


def header(made: Figure, title: str, note: str, axes: Sequence[Axes], columns: int = 2) -> None:
    """Title, note and one legend of the curves of `axes` above all panels, where curves leave no room for it."""
    height, left = made.get_figheight(), made.subplotpars.left
    with style():
        made.text(left, 1 - scaled(0.1) / height, title, va="top", fontsize=scaled(STYLE["axes.titlesize"]))
        made.text(left, 1 - scaled(0.33) / height, note, va="top", fontsize=scaled(8.2), color="#555555")
        pairs = [pair for one in axes for pair in zip(*one.get_legend_handles_labels(), strict=True)]
        if pairs:
            where: Any = {"loc": "upper left", "bbox_to_anchor": (left, 1 - scaled(0.53) / height), "borderaxespad": 0}
            made.legend(*zip(*pairs, strict=True), ncols=columns, handlelength=2.6, borderpad=0, **where)


def room(labels: int, columns: int = 2, title: bool = False) -> float:
    """Inches above the panels that :func:`header` needs for a legend of so many labels; title: panels have titles."""
    return 0.62 + 0.2 * -(-labels // columns) + (0.25 if title else 0.0)


def positive_log(axes: Axes, low: float) -> None:
    """A logarithmic vertical axis whose lower end is `low` or above the smallest value drawn.

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
    """Plain numbers, powers of ten where there are many, on the logarithmic vertical axis of `axes`."""
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
    """Ticks of a symmetric logarithmic vertical axis that is linear within `floor`: 0 and about four powers a side."""
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
    """Colours of values in [0, 1], (n, 4): viridis, even in lightness and told apart with colour-blind eyes."""
    return np.asarray(matplotlib.colormaps["viridis"](np.asarray(values)))


def colorbar(made: Figure, axes: Axes, scale: Any, label: str, *, log: bool = True) -> None:
    """A bar of :func:`sequential` on the right of `axes` for the norm `scale`, logarithmic unless told."""
    box, width = axes.get_position(), made.get_figwidth()
    with style():
        side = made.add_axes((box.x1 + scaled(0.12) / width, box.y0, scaled(0.13) / width, box.height))
    colorbar_in(made, side, scale, label, log=log)


def colorbar_in(made: Figure, side: Axes, scale: Any, label: str, *, log: bool = True) -> None:
    """The same in axes of its own."""
    from matplotlib.cm import ScalarMappable

    with style():
        made.colorbar(ScalarMappable(scale, matplotlib.colormaps["viridis"]), cax=side)
        side.set_title(label)
    side.grid(False)
    if log:
        decades(side)


def power_of_ten(value: float) -> str:
    """10⁻³ for 0.001, "" between powers: plain text; Matplotlib's formula text takes a tenth of a second to start."""
    exponent = np.log10(value)
    whole = round(float(exponent))
    if abs(exponent - whole) > 1e-9:
        return ""
    return "10" + str(whole).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def whole_numbers(axes: Axes) -> None:
    """No ticks between whole numbers on the horizontal axis, such as epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
