"""The figures of a watched training; one with nothing to show is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.present import plot, style
from dlhw.watch.display import layer_figures, probe_figures
from dlhw.watch.display.curves import envelope
from dlhw.watch.display.drawing import draw_envelope, log_if_wide
from dlhw.watch.spec import Result, Settings

Array = NDArray[np.floating]

CAPTIONS = {
    "loss": "Loss of every batch before its update (line: running median, band: smallest to largest), what Keras's "
    "history holds, and the loss on the probe; below, the metrics.",
    "gradient-norm": "Norm of the gradient of the batch by layer; dashed where it differs, the norm that was applied, "
    "after accumulation and clipping.",
    "update-ratio": "Norm of the update over norm of the weights by layer; about 1e-3 is usual.",
    "units": "Units of every layer that are dead, or saturated, for every example of the probe.",
    "sharpness": "Largest eigenvalue of the Hessian of the loss on the probe, and the learning rate's limit 2/eta "
    "(2(1 + beta)/eta with momentum beta); below, the loss.",
    "probe": "What else was measured on the probe.",
    "path": "Path of the weights in its first two principal components.",
}
MOST_METRICS = 6
LOSS_NAMES = ("loss", "val_loss")


def figures(settings: Settings, result: Result, names: Sequence[str] = tuple(CAPTIONS)) -> dict[str, Figure]:
    """Return the figures that have something to show, by name.

    Args:
        settings: of the training.
        result: what was recorded.
        names: of those that are wanted.
    """
    of_name: dict[str, Callable[[], Figure | None]] = {
        "loss": lambda: _loss_figure(settings, result),
        "gradient-norm": lambda: layer_figures.gradient_norms(result),
        "update-ratio": lambda: layer_figures.update_ratios(result),
        "units": lambda: probe_figures.units(result),
        "sharpness": lambda: probe_figures.sharpness(result),
        "probe": lambda: probe_figures.measures(result),
        "path": lambda: probe_figures.path(result),
    }
    drawn = {name: of_name[name]() for name in names}
    return {name: fig for name, fig in drawn.items() if fig is not None}


def _loss_figure(settings: Settings, result: Result) -> Figure | None:
    names = [n for n in result.history_names if n not in LOSS_NAMES and n != "learning_rate"][:MOST_METRICS]
    metrics = [n for n in names if np.isfinite(_history(result, n)).any()]
    accuracy = bool(np.isfinite(result.probe_accuracy).any())
    losses = [result.loss, result.probe_loss, *(_history(result, n) for n in LOSS_NAMES)]
    if not any(np.isfinite(v).any() for v in losses) and not metrics:
        return None
    has_metrics = bool(metrics) or accuracy
    rows = 2 if has_metrics else 1
    labels = 4 + len(metrics) + accuracy
    columns = 3 if max(map(len, [*metrics, ""])) <= 16 else 2
    head = plot.header_height(labels, columns)
    fig, axes = plot.figure(rows, height=3.1 * (1 if rows == 1 else 1.55) + head, head=head, heights=(2, 1)[:rows])
    _draw_losses(axes[0], result)
    if has_metrics:
        _draw_metrics(axes[1], result, metrics)
    axes[-1].set_xlabel("batch")
    title = f"{settings.model or 'model'}, {settings.parameters:,} weights"
    plot.header(fig, title, f"{settings.optimizer}; {settings.loss}", axes, columns=columns)
    return fig


def _draw_losses(axes: Axes, result: Result) -> None:
    batch = envelope(result.step, result.loss)
    what = "batch" if batch.width == 1 else f"batch, median over {batch.width}"
    if len(batch.x):
        draw_envelope(axes, result.step, result.loss, what)
    for name, label, k in (("loss", "history: loss", 1), ("val_loss", "history: val_loss", 2)):
        values = _history(result, name)
        if np.isfinite(values).any():
            axes.plot(result.epoch_step, values, label=label, marker=".", **style.curve_style(k))
    known = np.isfinite(result.probe_loss)
    if known.any():
        marks: dict[str, Any] = {"marker": "o", "markersize": 5, "color": style.COLORS[3], "linewidth": 0.9}
        axes.plot(result.probe_step[known], result.probe_loss[known], label="probe", **marks)
    drawn = [*axes.lines]
    nonfinite = np.flatnonzero(~np.isfinite(result.loss)) if np.isfinite(result.loss).any() else np.array([], int)
    if len(nonfinite):
        plot.labelled_vline(axes, float(result.step[nonfinite[0]]), "not finite")
    shown = [np.asarray(line.get_ydata(), float) for line in drawn]
    log_if_wide(axes, np.concatenate(shown) if shown else np.zeros(0))
    axes.set_ylabel("loss")


def _draw_metrics(axes: Axes, result: Result, names: list[str]) -> None:
    for k, name in enumerate(names):
        axes.plot(result.epoch_step, _history(result, name), label=name, marker=".", **style.curve_style(4 + k))
    known = np.isfinite(result.probe_accuracy)
    if known.any():
        marks: dict[str, Any] = {
            "marker": "o",
            "markersize": 5,
            "color": style.COLORS[3],
            "linewidth": 0.9,
            "linestyle": ":",
        }
        axes.plot(result.probe_step[known], result.probe_accuracy[known], label="probe accuracy", **marks)
    axes.set_ylabel("metric")


def _history(result: Result, name: str) -> Array:
    """Return a column of Keras's history, (E,); nan where it has none of that name."""
    if name not in result.history_names:
        return np.full(len(result.epoch_step), np.nan)
    return np.asarray(result.history[:, result.history_names.index(name)], np.float64)
