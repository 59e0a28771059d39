"""The figures of `gradient-norm`."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dlhw.experiments.gradient_norm.spec import Result, Settings
from dlhw.present import plot, scales, style
from dlhw.present.section import ComparisonCurves, Curve

Array = NDArray[np.floating]
WINDOW = 101  # iterations of the rolling median


def figures(settings: Settings, result: Result) -> dict[str, Figure]:
    """Return the figures. `gradient-norm`: norm and loss per iteration. `layers`: the norm of each layer."""
    return {"gradient-norm": _norm_figure(settings, result), "layers": _layer_figure(settings, result)}


def series(settings: Settings, result: Result) -> ComparisonCurves:
    """Return the gradient norm against iteration."""
    x, values, _ = plot.thin(np.arange(settings.epochs), result.gradient_norm)
    return ComparisonCurves("iteration", "gradient norm", (Curve("gradient norm", x, values),), log_y=True)


def loss_name(settings: Settings) -> str:
    """Return what the loss is."""
    return "training MSE" if settings.data == "function" else "cross entropy of the batch (nats)"


def _step_name(settings: Settings) -> str:
    return "iteration (one full-batch step)" if settings.data == "function" else "iteration (one batch)"


def _window(settings: Settings) -> int:
    return min(WINDOW, (settings.epochs - 1) // 2 * 2 + 1)


def median_seed(result: Result) -> int:
    """Return the seed whose late loss is the median of all: any fixed seed may be one that hardly learns."""
    late = np.median(result.loss[:, -max(1, round(0.05 * result.loss.shape[1])) :].astype(np.float64), axis=1)
    late = np.where((result.diverged_at < 0) & np.isfinite(late), late, np.inf)
    finite = max(1, int(np.isfinite(late).sum()))
    return int(np.argsort(late, kind="stable")[(finite - 1) // 2])


def _draw(axes: Axes, values: Array, shown: int, window: int, k: int, name: str) -> None:
    """Draw values (S, T): one seed raw and light, its rolling median dark, the range of all rolling medians a band.

    name: of the quantity, and of the seed.
    """
    steps = np.arange(values.shape[1])
    color = style.curve_style(k)["color"]
    axes.plot(steps, values[shown], color=color, alpha=0.3, linewidth=0.6, label=f"{name}, raw")
    smooth = plot.rolling_median(values, window)
    x = steps[window // 2 : window // 2 + smooth.shape[1]]
    if len(values) > 1:
        low, high = np.fmin.reduce(smooth), np.fmax.reduce(smooth)  # nan only where all are
        axes.fill_between(
            x, low, high, color="#777777", alpha=0.22, linewidth=0, label=f"range of the medians, {len(values)} seeds"
        )
    axes.plot(x, smooth[shown], color=color, label=f"rolling median over {window} iterations")


def _norm_figure(settings: Settings, result: Result) -> Figure:
    fig, (top, bottom) = plot.figure(2, height=5.4)
    window, shown = _window(settings), median_seed(result)
    panels = [(top, result.gradient_norm, "gradient norm"), (bottom, result.loss, loss_name(settings))]
    for k, (axes, values, label) in enumerate(panels):
        _draw(axes, values, shown, window, k, f"{label}, seed {settings.seed + shown}")
        scales.positive_log(axes, 1e-12)
        axes.set_ylabel(label)
        plot.legend(axes)
    bottom.set(xlabel=_step_name(settings), xlim=(0, settings.epochs))
    diverged = int((result.diverged_at >= 0).sum())
    note = f"; {diverged} of {settings.seeds} diverged" if diverged else ""
    top.set_title(f"{settings.model} net ({settings.parameters:,} parameters) on {settings.where()}{note}")
    return fig


def _layer_figure(settings: Settings, result: Result) -> Figure:
    fig, (axes,) = plot.figure()
    window, shown = _window(settings), median_seed(result)
    smooth = plot.rolling_median(result.layer_gradient_norms[shown].T, window)
    x = np.arange(smooth.shape[1]) + window // 2
    for k, row in enumerate(smooth):
        axes.plot(x, row, label=f"layer {k + 1}", **style.curve_style(k))
    scales.positive_log(axes, 1e-12)
    axes.set(xlabel=_step_name(settings), ylabel="gradient norm of the layer", xlim=(0, settings.epochs))
    axes.set_title(f"{settings.model} net, seed {settings.seed + shown}: rolling median over {window} iterations")
    plot.legend(axes, ncols=2 if len(smooth) > 4 else 1)
    return fig
