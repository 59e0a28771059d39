"""The figures of a sweep that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.sweep.spec import Result, SweepSettings
from dlhw.present.curves import LEAST_ERROR, errors
from dlhw.present.interactive import (
    MISTAKE,
    RIGHT,
    Axis,
    InteractiveFigure,
    Line,
    Panel,
    TypedNumbers,
    mistake_and_right,
)
from dlhw.present.interactive_curves import dots, statistic_of_dots

_VIEWS = mistake_and_right(
    (
        "Usual mistake: gradient of the batch mean",
        "The gradient of the mean loss of a batch by its images carries a factor 1/B: it falls with the "
        "batch size whatever the net does.",
    ),
    (
        "Right: one gradient per example",
        "The norm of the gradient of the loss of every image by that image, averaged over the test set.",
    ),
)
"""The mistake that is often made with batch sizes, and what is right."""


def interactive(settings: SweepSettings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `sensitivity`, for batch sizes with the gradient of the batch mean as the mistake, and `sharpness`."""
    x, what = np.array(settings.points), settings.variable
    axis = Axis(what.axis, log=what.log and bool((x > 0).all()))
    sensitivity = _sensitivity(settings, result, axis)
    sharpness = [dots(f"box ε = {e:g}", x, result.keskar[..., k], k) for k, e in enumerate(settings.epsilon)]
    panels = (
        Panel(axis, Axis("Keskar's sharpness φ (%)", True), tuple(sharpness)),
        Panel(axis, Axis("largest Hessian eigenvalue", True), (dots("on training images", x, result.eigenvalue, 2),)),
        Panel(axis, Axis("|d softmax / d x|, mean"), (dots("on the test set", x, result.jacobian, 3),)),
    )
    note = statistic_of_dots(settings.seeds)
    return {
        "sensitivity": InteractiveFigure(
            sensitivity,
            what.axis,
            start=0,
            statistic=note,
            views=_VIEWS if settings.of_batch_size else (),
            own=f"{what.axis}, value",
        ),
        "sharpness": InteractiveFigure(panels, what.axis, start=0, statistic=note, own=f"{what.axis}, value"),
    }


def _sensitivity(settings: SweepSettings, result: Result, axis: Axis) -> tuple[Panel, ...]:
    x = np.array(settings.points)

    def train_and_test(kind: str) -> tuple[Line, ...]:
        pairs = ((getattr(result, f"{which}_{kind}"), which) for which in ("train", "test"))
        return tuple(
            dots(which, x, errors(v) if kind == "accuracy" else v, 2 * k, dash=k) for k, (v, which) in enumerate(pairs)
        )

    start = float(np.median(result.start_sensitivity))
    sensitivity: tuple[Line, ...] = (dots("sensitivity, per example", x, result.sensitivity, 1),)
    if settings.of_batch_size:
        sensitivity = (
            dots("sensitivity, per example", x, result.sensitivity, 1, view=RIGHT),
            dots("gradient of the batch mean", x, result.batch_mean_gradient, 1, dash=1, view=MISTAKE),
        )
    return (
        Panel(axis, Axis("cross entropy (nats)", True, 1e-7), train_and_test("loss")),
        Panel(axis, Axis("error (%)", True, LEAST_ERROR), train_and_test("accuracy")),
        Panel(
            axis,
            Axis("sensitivity (nats per unit of a pixel)", True),
            sensitivity,
            levels=() if settings.variable.name == "width" else ((start, "before training"),),
            typed=(TypedNumbers("sensitivity", "batch", "value"),) if settings.of_batch_size else (),
        ),
    )
