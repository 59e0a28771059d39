"""The figures of `gradient-norm` that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.gradient_norm.figures import WINDOW, loss_name, median_seed
from dlhw.experiments.gradient_norm.spec import Result, Settings
from dlhw.present import plot
from dlhw.present.interactive import (
    MISTAKE,
    MOST,
    RIGHT,
    Array,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    TypedNumbers,
    mistake_and_right,
)

STEP = Axis("iteration")


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `gradient-norm`, and `layers` with the sum of the norms as the mistake."""
    window, shown = min(WINDOW, (settings.epochs - 1) // 2 * 2 + 1), median_seed(result)
    at = _steps(settings.epochs, window)
    seed = f"seed {settings.seed + shown}"
    panels = []
    for k, (name, values) in enumerate((("gradient norm", result.gradient_norm), (loss_name(settings), result.loss))):
        raw = Line(f"{seed}, raw", at, values[shown, at].astype(np.float64), color=k, faint=True)
        smooth = _smooth(values, window, at)
        low, high = (np.fmin.reduce(smooth), np.fmax.reduce(smooth)) if len(values) > 1 else (None, None)
        panels.append(
            Panel(
                STEP,
                Axis(name, True, 1e-12),
                (raw, Line(f"{seed}, rolling median", at, smooth[shown], low, high, color=k)),
                typed=() if k == 0 else (TypedNumbers("loss", "step", "value"),),
            )
        )
    spread = f"; band: range of the rolling medians of {settings.seeds} seeds" if settings.seeds > 1 else ""
    statistic = f"rolling median over {window} iterations"
    return {
        "gradient-norm": InteractiveFigure(
            tuple(panels), "iteration", statistic=statistic + spread, own="iteration, value"
        ),
        "layers": _layers(result, shown, window, at, f"{seed}, {statistic}"),
    }


def _steps(epochs: int, window: int) -> Array:
    """Return the iterations that are shown: those with a whole window, every so many."""
    first, last = window // 2, epochs - 1 - window // 2
    return np.arange(first, last + 1, max(1, -(-(last + 1 - first) // MOST)))


def _smooth(values: Array, window: int, at: Array) -> Array:
    return np.asarray(plot.rolling_median(values, window)[..., at - window // 2], np.float64)


def _layers(result: Result, shown: int, window: int, at: Array, statistic: str) -> InteractiveFigure:
    norms = result.layer_gradient_norms[shown].T.astype(np.float64)  # (L, T)
    lines = [Line(f"layer {k + 1}", at, _smooth(row, window, at), color=k, dash=k) for k, row in enumerate(norms)]
    lines += [
        Line("whole net", at, _smooth(result.gradient_norm[shown], window, at), color=6, view=RIGHT),
        Line("sum of the norms", at, _smooth(norms.sum(axis=0), window, at), color=6, dash=1, view=MISTAKE),
    ]
    return InteractiveFigure(
        (Panel(STEP, Axis("gradient norm", True, 1e-12), tuple(lines)),),
        "iteration",
        statistic=statistic,
        views=mistake_and_right(
            (
                "Usual mistake: norms added up",
                "The norms of the layers added up are larger than the norm of the gradient of the whole net.",
            ),
            (
                "Right: squares add up",
                "The norm of the gradient of the whole net is the root of the sum of the squares of the layers.",
            ),
        ),
        own="iteration, gradient norm",
    )
