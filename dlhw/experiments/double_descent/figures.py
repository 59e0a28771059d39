"""The figures of double descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.experiments.double_descent.spec import Array, Result, Settings
from dlhw.present import plot, scales, style
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve
from dlhw.present.tables import statistic_of_figures


@dataclass(frozen=True)
class Family:
    """One kind of model over its sizes, and its control."""

    x: NDArray[np.integer]  # (P,) sizes
    threshold: int  # size from which every training target can be fitted
    unit: str  # what is counted
    axis: str
    at_threshold: str  # what holds there
    plain: str  # what the uncontrolled models are
    control: str  # what keeps the control from fitting noise
    test_error: Array  # (L, P, S)
    train_error: Array
    norm: Array
    control_error: Array
    what_norm: str
    test_loss: Array
    control_loss: Array


def families(settings: Settings, result: Result) -> dict[str, Family]:
    """Return the random features, and the nets if there are any, by the names of their figures."""
    every = {
        "features": Family(
            result.features,
            settings.examples,
            "features",
            "random features p",
            f"p = n = {settings.examples}",
            "least norm",
            "ridge",
            result.test_error,
            result.train_error,
            result.norm,
            result.ridge_test_error,
            "norm of coefficients",
            result.test_loss,
            result.ridge_test_loss,
        )
    }
    if settings.nets:
        every["nets"] = Family(
            result.parameters,
            settings.threshold_of_nets,
            "parameters",
            "parameters of the net",
            f"n × classes = {settings.threshold_of_nets}",
            "last epoch",
            "stopped early",
            result.net_test_error,
            result.net_train_error,
            result.net_norm,
            result.early_test_error,
            "norm of weights",
            result.net_test_loss,
            result.early_test_loss,
        )
    return every


def label_of(noise: float) -> str:
    """Return what a noise level is called."""
    return "true labels" if noise == 0 else f"{100 * noise:g} % of labels shuffled"


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures: `features`, and `nets` if there are any."""
    return {name: _figure(settings, result, name, family) for name, family in families(settings, result).items()}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the test error of the features of least norm against their number, one line per noise level."""
    x = np.asarray(result.features)
    lines = tuple(Curve(label_of(noise), x, 100 * result.test_error[k].T) for k, noise in enumerate(settings.noise))
    return ComparisonCurves("random features", "test error (%)", lines, log_x=True, at=tuple(map(float, x)))


def _figure(settings: Settings, result: Result, name: str, family: Family) -> Figure:
    labels = 2 * len(settings.noise)
    fig, axes = plot.figure(
        4, height=8.6 + 0.2 * len(settings.noise), heights=(1.7, 1.2, 1.0, 1.0), head=plot.header_height(labels)
    )
    top, second, third, bottom = axes
    for k, noise in enumerate(settings.noise):
        what, same = label_of(noise), {"color": style.COLORS[k], "marker": style.MARKERS[k], "markersize": 3.5}
        dashed = {"linestyle": style.TEST_DASHES, "color": style.COLORS[k]}
        _draw(top, family, 100 * family.test_error[k], f"{what}, {family.plain}", linestyle="-", **same)
        _draw(top, family, 100 * family.control_error[k], f"{what}, {family.control}", **dashed)
        _draw(second, family, family.test_loss[k], "", linestyle="-", **same)
        _draw(second, family, family.control_loss[k], "", **dashed)
        _draw(third, family, 100 * family.train_error[k], "", linestyle="-", **same)
        _draw(bottom, family, family.norm[k], "", linestyle="-", **same)
    for panel in axes:
        plot.labelled_vline(panel, family.threshold, family.at_threshold if panel is bottom else "")
    for panel in (top, third):
        panel.set_ylim(bottom=0)
    for panel in (second, bottom):
        scales.positive_log(panel, 0)
    scales.log_sizes(bottom)
    bottom.set(xlabel=family.axis, ylabel=family.what_norm)
    top.set_ylabel("test error (%)")
    second.set_ylabel("squared error, test")
    third.set_ylabel("training error (%)")
    if name == "features":
        title = f"Random Fourier features on {settings.size()}"
    else:
        title = f"Nets of one hidden layer on {settings.size()}, {settings.epochs} epochs"
        title += diverged_note(result.diverged_at)
    plot.header(fig, title, f"{statistic_of_figures(settings.seeds)}; dotted: interpolation threshold", [top])
    return fig


def _draw(axes: Axes, family: Family, values: Array, label: str, **line: object) -> None:
    plot.band(axes, np.asarray(family.x), values.T, label, 0, **line)
