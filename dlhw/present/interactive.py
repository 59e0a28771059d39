"""A figure that a reader can move: its curves as numbers, and what a slider or a switch does. Arrays in, values out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.present import plot

Array = NDArray[Any]
MOST = 400
"""Points of a curve in the page; longer ones are thinned by :func:`dlhw.present.plot.thin`."""
MISTAKE, RIGHT = "mistake", "right"
"""Keys of the two views of a figure that shows a usual mistake."""


@dataclass(frozen=True)
class Axis:
    """An axis: its name, and its ends where they are not those of the data."""

    label: str
    log: bool = False
    low: float | None = None  # of a logarithmic axis: where it ends at the latest
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A curve, or a set of points."""

    label: str
    x: Array  # (n,)
    y: Array  # (n,), the median where there are seeds
    low: Array | None = None  # (n,), minimum over the seeds
    high: Array | None = None
    seeds: Array | None = None  # (S, n), drawn as dots
    color: int = 0  # of `style.COLORS`
    dash: int = 0  # of `style.DASHES`
    joined: bool = True  # by a line; otherwise points alone
    faint: bool = False  # drawn thin and light
    read: bool = True  # whether the readings name it
    view: str = ""  # key of the view that it belongs to; "": all
    details: Mapping[str, Array] = field(default_factory=dict)  # (n,) read at a point beside x and y


@dataclass(frozen=True)
class TypedNumbers:
    """What numbers that a reader types beside a panel are: two columns of an item of `dlhw check`."""

    item: str
    x: str
    y: str
    label: str = ""  # words for y, where a panel has several


TRAIN_AND_TEST = (("train", "training"), ("test", "test"))


def of_train_and_test(item: str, x: str, kind: str) -> tuple[TypedNumbers, ...]:
    """Return loss or accuracy of training and test, as columns of an item."""
    return tuple(TypedNumbers(item, x, f"{which}_{kind}", f"{words} {kind}") for which, words in TRAIN_AND_TEST)


@dataclass(frozen=True)
class Panel:
    """A pair of axes."""

    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    title: str = ""
    equal: bool = False  # one scale for both axes
    marks: tuple[tuple[float, str], ...] = ()  # labelled vertical lines
    levels: tuple[tuple[float, str], ...] = ()  # labelled horizontal lines
    typed: tuple[TypedNumbers, ...] = ()  # what numbers of readers may be


@dataclass(frozen=True)
class View:
    """What a button of the switch shows."""

    key: str
    label: str
    note: str  # what is seen, in a sentence or two


@dataclass(frozen=True)
class Examples:
    """Images, and what a net predicts at every position of the slider."""

    images: Array  # (E, height, width, 1 or 3), 0 to 255
    labels: Array  # (E,)
    nets: tuple[str, ...]  # (N,)
    predicted: Array  # (N, positions, E)
    probability: Array  # (N, positions, E), of the class that is predicted


@dataclass(frozen=True)
class EmbeddedPage:
    """A page that is opened inside of the report: its code, which other figures may share, and its numbers."""

    code: str  # HTML with %TITLE%, %NOTE% and %DATA%
    title: str
    note: str
    data: str  # JSON without "<"


@dataclass(frozen=True)
class InteractiveFigure:
    """Panels, read at a slider.

    The slider is at a value of x in all panels ("x"), at a point of every line ("path"), or at one point of them all
    ("point").
    """

    panels: tuple[Panel, ...]
    slider: str = ""  # what it moves along, such as epoch
    mode: Literal["x", "path", "point"] = "x"
    positions: Array | None = None  # None: every x, or every point, of the lines
    start: int = -1  # position at first; -1: the last
    columns: int = 1  # panels side by side, where there is room
    statistic: str = ""  # what lines and bands are
    views: tuple[View, ...] = ()  # the first is shown at first
    examples: Examples | None = None
    page: EmbeddedPage | None = None
    own: str = ""  # what readers may add, such as "epoch, loss"; "": nothing
    chart_first: bool = True  # otherwise the picture, until the reader asks for the chart


def over_seeds(label: str, x: Array, values: Array, *, dots: bool = False, **how: Any) -> Line:
    """Return the median of `values` (S, n) with the range over the seeds; nan where no seed is finite.

    Args:
        label: of the line.
        x: (n,).
        values: (S, n).
        dots: also draw the seeds.
        **how: other fields of :class:`Line`.
    """
    values = np.asarray(values, np.float64)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but nan at a point
        median = np.nanmedian(values, axis=0)
        low, high = (np.nanmin(values, axis=0), np.nanmax(values, axis=0)) if len(values) > 1 else (None, None)
    return Line(label, np.asarray(x), median, low, high, values if dots and len(values) > 1 else None, **how)


def thinned(label: str, x: Array, values: Array, **how: Any) -> Line:
    """Return :func:`over_seeds` of a curve that is thinned to :data:`MOST` points as the figures are."""
    short_x, short, _ = plot.thin(x, values, MOST)
    return over_seeds(label, short_x, short, **how)


def mistake_and_right(mistake: tuple[str, str], right: tuple[str, str]) -> tuple[View, View]:
    """Return the two views of a switch, the right one first; each argument is a label and a sentence."""
    return View(RIGHT, *right), View(MISTAKE, *mistake)


def positions_of(figure: InteractiveFigure) -> Array:
    """Return where the slider of a figure stops, in order."""
    if figure.positions is not None:
        return np.asarray(figure.positions)
    lines = [line for panel in figure.panels for line in panel.lines if line.read]
    if figure.mode == "x":
        return np.unique(np.concatenate([line.x for line in lines])) if lines else np.array([])
    return np.arange(max((len(line.x) for line in lines), default=0))
