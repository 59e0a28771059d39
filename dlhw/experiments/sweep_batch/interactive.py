"""The figures of `sweep-batch` that a reader can move."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.sweep_batch.spec import Array, Result, Settings
from dlhw.present.curves import LEAST_ERROR, errors
from dlhw.present.interactive import MISTAKE, RIGHT, Axis, InteractiveFigure, Line, Panel, mistake_and_right
from dlhw.present.interactive_curves import dots, statistic_of_dots

SIZE = Axis("batch size", log=True)


def interactive(settings: Settings, result: Result) -> dict[str, InteractiveFigure]:
    """Return `sensitivity`, with the gradient of the batch mean as the mistake, and `sharpness`."""
    x = np.array(settings.sizes)
    sensitivity = _sensitivity(result, x)
    sharpness = [dots(f"box ε = {e:g}", x, result.keskar[..., k], k) for k, e in enumerate(settings.epsilon)]
    panels = (
        Panel(SIZE, Axis("Keskar's sharpness φ (%)", True), tuple(sharpness)),
        Panel(SIZE, Axis("largest Hessian eigenvalue", True), (dots("on training images", x, result.eigenvalue, 2),)),
        Panel(SIZE, Axis("|d softmax / d x|, mean"), (dots("on the test set", x, result.jacobian, 3),)),
    )
    note = statistic_of_dots(settings.seeds)
    return {
        "sensitivity": InteractiveFigure(
            sensitivity,
            "batch size",
            start=0,
            statistic=note,
            views=mistake_and_right(
                (
                    "Usual mistake: gradient of the batch mean",
                    "The gradient of the mean loss of a batch by its images carries a factor 1/B: it falls with the "
                    "batch size whatever the net does.",
                ),
                (
                    "Right: one gradient per example",
                    "The norm of the gradient of the loss of every image by that image, averaged over the test set.",
                ),
            ),
            own="batch size, value",
        ),
        "sharpness": InteractiveFigure(panels, "batch size", start=0, statistic=note, own="batch size, value"),
    }


def _sensitivity(result: Result, x: Array) -> tuple[Panel, ...]:
    def train_and_test(kind: str) -> tuple[Line, ...]:
        pairs = ((getattr(result, f"{which}_{kind}"), which) for which in ("train", "test"))
        return tuple(
            dots(which, x, errors(v) if kind == "accuracy" else v, 2 * k, dash=k) for k, (v, which) in enumerate(pairs)
        )

    start = float(np.median(result.start_sensitivity))
    return (
        Panel(SIZE, Axis("cross entropy (nats)", True, 1e-7), train_and_test("loss")),
        Panel(SIZE, Axis("error (%)", True, LEAST_ERROR), train_and_test("accuracy")),
        Panel(
            SIZE,
            Axis("sensitivity (nats per unit of a pixel)", True),
            (
                dots("sensitivity, per example", x, result.sensitivity, 1, view=RIGHT),
                dots("gradient of the batch mean", x, result.batch_mean_gradient, 1, dash=1, view=MISTAKE),
            ),
            levels=((start, "before training"),),
        ),
    )
