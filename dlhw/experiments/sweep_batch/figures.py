"""The figures of `sweep-batch`."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dlhw.experiments.sweep_batch.spec import Array, Result, Settings
from dlhw.present import plot, scales, style
from dlhw.present.curves import LEAST_ERROR, errors
from dlhw.present.numbers import diverged_note
from dlhw.present.section import ComparisonCurves, Curve


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures: `sensitivity` (loss, error and sensitivity against batch size) and `sharpness`."""
    return {"sensitivity": _sensitivity_figure(settings, result), "sharpness": _sharpness_figure(settings, result)}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the sensitivity against batch size."""
    order = np.argsort(settings.sizes)
    lines = (Curve("sensitivity", np.array(settings.sizes)[order], result.sensitivity[order].T),)
    y_label = "sensitivity (nats per unit of a pixel)"
    return ComparisonCurves("batch size", y_label, lines, log_x=True, log_y=True, at=tuple(settings.sizes))


def _note(settings: Settings) -> str:
    same = f"{settings.epochs} epochs each" if settings.equal == "epochs" else f"{settings.updates(1)} updates each"
    return same + ("; dots: seeds, line: median" if settings.seeds > 1 else "; one seed")


def _sensitivity_figure(settings: Settings, result: Result) -> Figure:
    fig, panels = plot.figure(3, height=7.6, head=1.15)
    x = np.array(settings.sizes)
    for panel, kind in zip(panels[:2], ("loss", "error"), strict=True):
        for k, which, dashes in ((0, "train", "-"), (2, "test", style.TEST_DASHES)):
            values = _quantity(result, f"{which}_{kind}")
            plot.scatter_with_median(panel, x, values, which if kind == "loss" else "", k, linestyle=dashes)
        panel.set(xscale="log", ylabel="cross entropy (nats)" if kind == "loss" else "error (%)")
        scales.positive_log(panel, 1e-7 if kind == "loss" else LEAST_ERROR)
    bottom = panels[2]
    plot.scatter_with_median(bottom, x, result.sensitivity, "sensitivity, one gradient per example", 1, linestyle="-")
    thin = {"linestyle": "--", "linewidth": 0.8, "markersize": 0}
    plot.scatter_with_median(bottom, x, result.batch_mean_gradient, "popular mistake: of the batch mean", 1, **thin)
    start = float(np.median(result.start_sensitivity))
    label = "sensitivity before training"
    bottom.axhline(start, color=style.COLORS[1], linewidth=0.9, linestyle=":", label=label)
    scales.positive_log(bottom, 0)
    bottom.set(xlabel="batch size", ylabel="nats per unit of a pixel")
    title = f"{settings.net} on {settings.size()}{diverged_note(result.diverged_at)}"
    plot.header(fig, title, f"{_note(settings)}; sensitivity on the test set", (panels[0], bottom))
    scales.ticks_at(bottom, x)
    return fig


def _quantity(result: Result, name: str) -> Array:
    """Return a quantity for a figure: errors in per cent, from accuracies."""
    which, _, kind = name.partition("_")
    return errors(getattr(result, f"{which}_accuracy")) if kind == "error" else np.asarray(getattr(result, name))


def _sharpness_figure(settings: Settings, result: Result) -> Figure:
    fig, (top, middle, bottom) = plot.figure(3, height=7.4)
    x = np.array(settings.sizes)
    for k, epsilon in enumerate(settings.epsilon):
        plot.scatter_with_median(top, x, result.keskar[..., k], f"box ε = {epsilon:g}", k)
    plot.scatter_with_median(middle, x, result.eigenvalue, "", 2)
    plot.scatter_with_median(bottom, x, result.jacobian, "", 3)
    for panel, label in ((top, "Keskar's sharpness φ (%)"), (middle, "largest Hessian eigenvalue")):
        panel.set_ylabel(label)
        scales.positive_log(panel, 0)
    bottom.set(xscale="log", xlabel="batch size", ylabel="|d softmax / d x|, mean")
    plot.legend(top, _note(settings))
    n = min(settings.curvature_examples, settings.training_examples)
    top.set_title(f"{settings.data}: φ and λ on {n} training images, Jacobian on the test set")
    scales.ticks_at(bottom, x)
    return fig
