"""The figures of a sweep."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dlhw.experiments.sweep.spec import Array, Result, SweepSettings
from dlhw.present import plot, scales, style
from dlhw.present.curves import LEAST_ERROR, errors
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve


def figures(settings: SweepSettings, result: Result) -> dict[str, Figure]:
    """Return the figures: `sensitivity` (loss, error and sensitivity against the variable) and `sharpness`."""
    return {"sensitivity": _sensitivity_figure(settings, result), "sharpness": _sharpness_figure(settings, result)}


def series(settings: SweepSettings, result: Result) -> ComparisonCurves:
    """Return the sensitivity against the variable."""
    points, what = np.array(settings.points), settings.variable
    order = np.argsort(points)
    lines = (Curve("sensitivity", points[order], result.sensitivity[order].T),)
    y_label = "sensitivity (nats per unit of a pixel)"
    log = what.log and bool((points > 0).all())
    return ComparisonCurves(what.axis, y_label, lines, log_x=log, log_y=True, at=tuple(settings.points))


def _note(settings: SweepSettings) -> str:
    count = settings.updates(settings.points[0])
    same = f"{settings.epochs} epochs each" if settings.equal == "epochs" else f"{count} updates each"
    return same + ("; dots: seeds, line: median" if settings.seeds > 1 else "; one seed")


def _sensitivity_figure(settings: SweepSettings, result: Result) -> Figure:
    fig, panels = plot.figure(3, height=7.6, head=1.15)
    x = np.array(settings.points)
    for panel, kind in zip(panels[:2], ("loss", "error"), strict=True):
        for k, which, dashes in ((0, "train", "-"), (2, "test", style.TEST_DASHES)):
            values = _quantity(result, f"{which}_{kind}")
            plot.scatter_with_median(panel, x, values, which if kind == "loss" else "", k, linestyle=dashes)
        panel.set(ylabel="cross entropy (nats)" if kind == "loss" else "error (%)")
        scales.positive_log(panel, 1e-7 if kind == "loss" else LEAST_ERROR)
    bottom = panels[2]
    plot.scatter_with_median(bottom, x, result.sensitivity, "sensitivity, one gradient per example", 1, linestyle="-")
    if settings.of_batch_size:
        thin = {"linestyle": "--", "linewidth": 0.8, "markersize": 0}
        plot.scatter_with_median(bottom, x, result.batch_mean_gradient, "popular mistake: of the batch mean", 1, **thin)
    if settings.variable.name != "width":  # whose nets start from weights of their own
        start = float(np.median(result.start_sensitivity))
        label = "sensitivity before training"
        bottom.axhline(start, color=style.COLORS[1], linewidth=0.9, linestyle=":", label=label)
    scales.positive_log(bottom, 0)
    bottom.set(xlabel=settings.variable.axis, ylabel="nats per unit of a pixel")
    title = f"{settings.net} on {settings.size()}{diverged_note(result.diverged_at)}"
    plot.header(fig, title, f"{_note(settings)}; sensitivity on the test set", (panels[0], bottom))
    scales.at_values(panels, x, log=settings.variable.log)
    return fig


def _quantity(result: Result, name: str) -> Array:
    """Return a quantity for a figure: errors in per cent, from accuracies."""
    which, _, kind = name.partition("_")
    return errors(getattr(result, f"{which}_accuracy")) if kind == "error" else np.asarray(getattr(result, name))


def _sharpness_figure(settings: SweepSettings, result: Result) -> Figure:
    fig, (top, middle, bottom) = plot.figure(3, height=7.4)
    x = np.array(settings.points)
    for k, epsilon in enumerate(settings.epsilon):
        plot.scatter_with_median(top, x, result.keskar[..., k], f"box ε = {epsilon:g}", k)
    plot.scatter_with_median(middle, x, result.eigenvalue, "", 2)
    plot.scatter_with_median(bottom, x, result.jacobian, "", 3)
    for panel, label in ((top, "Keskar's sharpness φ (%)"), (middle, "largest Hessian eigenvalue")):
        panel.set_ylabel(label)
        scales.positive_log(panel, 0)
    bottom.set(xlabel=settings.variable.axis, ylabel="|d softmax / d x|, mean")
    plot.legend(top, _note(settings))
    n = min(settings.curvature_examples, settings.training_examples)
    top.set_title(f"{settings.data}: φ and λ on {n} training images, Jacobian on the test set")
    scales.at_values((top, middle, bottom), x, log=settings.variable.log)
    return fig
