"""Colours, dashes, sizes of text: how figures look. Arrays in, numbers and contexts out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib

from dlhw.errors import require

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
"""Okabe and Ito (2008): colour-blind safe; the lines differ in dashes too, for print in grey."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
TEST_DASHES = (0, (4, 1.8))
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
"""Scales of text, lines and margins: for print, and for slides."""
_scale: ContextVar[float] = ContextVar("scale", default=1.0)


@contextmanager
def use_scale(name: str) -> Iterator[None]:
    """One of :data:`SCALES` for the figures that are made *and* rendered inside."""
    require(name in SCALES, f"`style` {name!r} is unknown; use {' or '.join(SCALES)}")
    token = _scale.set(SCALES[name])
    try:
        yield
    finally:
        _scale.reset(token)


def enlarged() -> bool:
    """Whether text is larger than the figures were laid out for."""
    return _scale.get() > 1


def scaled(value: float) -> float:
    """Scale points of text, or inches of a margin, to the current style."""
    return value * _scale.get()


@contextmanager
def house_style() -> Iterator[None]:
    """The house style, for the figures made inside."""
    sized = {k: scaled(v) for k, v in STYLE.items() if k.endswith(("size", "linewidth"))}
    sized |= {"xtick.labelsize": sized["font.size"], "ytick.labelsize": sized["font.size"]}
    with matplotlib.rc_context(STYLE | sized | {"lines.markersize": scaled(6)}):  # type: ignore[arg-type]
        yield


def curve_style(k: int) -> dict[str, Any]:
    """Return colour and dashes of the k-th curve."""
    return {"color": COLORS[k % len(COLORS)], "linestyle": DASHES[k % len(DASHES)]}
