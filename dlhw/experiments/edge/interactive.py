"""The figure of `edge` that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.edge.figures import sharpness_limits
from dlhw.experiments.edge.spec import Result, Settings
from dlhw.present.interactive import (
    MISTAKE,
    RIGHT,
    Array,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    View,
    mistake_and_right,
    over_seeds,
)
from dlhw.present.tables import statistic_of_figures

STEP = Axis("step")
HIGHEST = 2.0
"""Sharpness over the line at which the axis ends: divergences go far beyond."""


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `edge`: loss, sharpness, and sharpness over the line; with momentum, 2 / rate as the mistake."""
    at = np.arange(0, len(result.steps), max(1, -(-len(result.steps) // 200)))
    steps = result.steps[at]
    sharpness = result.eigenvalues[..., 0][..., at]
    losses, values, ratios = [], [], []
    for r, rate in enumerate(settings.learning_rates):
        name = f"η = {rate:g}"
        losses.append(over_seeds(name, steps, result.loss[r][:, steps], color=r))
        values.append(over_seeds(name, steps, sharpness[r], color=r))
        ratios += _ratios(settings, name, steps, sharpness[r] * rate, r)
    top = sharpness_limits(settings, result)[1]
    panels = (
        Panel(STEP, Axis(f"training {settings.loss_name()}", True, 1e-12), tuple(losses)),
        Panel(
            STEP,
            Axis("largest Hessian eigenvalue", low=0.0, high=top),
            tuple(values),
            levels=tuple((float(line), f"{line:.3g}") for line in settings.lines),
        ),
        Panel(STEP, Axis("sharpness / line", low=0.0, high=HIGHEST), tuple(ratios), levels=((1.0, "edge"),)),
    )
    views: tuple[View, ...] = ()
    if settings.momentum:
        views = mistake_and_right(
            ("Usual mistake: 2/η", "The line of gradient descent without momentum: the sharpness seems to pass it."),
            (f"Right: {settings.line_name}", "The line of the optimizer that trained."),
        )
    statistic = f"{statistic_of_figures(settings.seeds)}; dotted: {settings.line_name}"
    return {"edge": InteractiveFigure(panels, "step", statistic=statistic, views=views, own="step, value")}


def _ratios(settings: Settings, name: str, steps: Array, product: Array, r: int) -> list[Line]:
    """Return sharpness over the line; product: of rate and sharpness, (S, n)."""
    if not settings.momentum:
        return [over_seeds(name, steps, product / settings.factor, color=r)]
    return [
        over_seeds(name, steps, product / settings.factor, color=r, view=RIGHT),
        over_seeds(name, steps, product / 2, color=r, view=MISTAKE),
    ]
