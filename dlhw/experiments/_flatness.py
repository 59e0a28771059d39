"""What the two experiments on flatness measure of trained nets: along a line between two, and of one alone."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dlhw import datasets
from dlhw._labels import MEASURED, fixed_sample
from dlhw.experiments import _curves, _parts, _shared

TOLERANCE = 1e-3  # residual of an eigenvalue against its size


def along(
    net: str, grid: np.ndarray, shared: _shared.Shared, ends: list[dict[str, np.ndarray]], part: _parts.Part
) -> dict[str, np.ndarray]:
    """Losses and accuracies along the line between two ends, curvature at both, distance; nan where one diverged."""
    import tensorflow as tf

    from dlhw import measure, models
    from dlhw.training import Stopped, cross_entropy

    n = len(grid)
    arrays = {k: np.full(n, np.nan, np.float32) for k in _curves.CURVES}
    arrays |= {"curvature": np.full(2, np.nan), "distance": np.array(np.nan), "seconds": np.array(0.0)}
    if any(end["diverged_at"] >= 0 for end in ends):
        return arrays
    began = time.perf_counter()
    shared.prepare()

    def report(done: int, loss: float) -> None:
        part.report(done, loss)
        if part.stop():
            raise Stopped

    with tf.device(shared.device):
        model = models.image_net(net, shared.data.shape, shared.data.classes, activation=shared.settings.activation)
        sides = []
        for end in ends:
            measure.assign(model, end["weights"][-1])
            sides.append(model.get_weights())
        a, b = sides
        sample = shared.sample()
        for which, (x, y) in (("train", sample), ("test", (shared.images[1], shared.data.y_test))):
            before = n * (which == "test")
            progress = lambda done, loss, before=before: report(before + done, loss)  # noqa: E731
            found = measure.line(model, a, b, cross_entropy, x, y, grid, progress=progress)
            arrays[f"{which}_loss"] = found.loss.astype(np.float32)
            arrays[f"{which}_accuracy"] = found.accuracy.astype(np.float32)
        arrays["curvature"] = measure.line_curvature(model, a, b, cross_entropy, *sample)
    way = ends[0]["weights"][-1].astype(np.float64) - ends[1]["weights"][-1]
    return arrays | {
        "distance": np.array(np.linalg.norm(way)),
        "seconds": np.array(time.perf_counter() - began),
    }


def at_the_end(
    last: int, size: int, epsilons: tuple[float, ...], examples: int, epoch: int, model: Any, data: datasets.Data
) -> dict[str, np.ndarray]:
    """What is measured before the first update, and after the last."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    if epoch not in (0, last):
        return {}
    test = data.x_test, data.y_test
    whole = measure.sensitivity(model, cross_entropy, *test)
    if epoch == 0:
        return {"start_sensitivity": np.array(whole.mean)}
    some = fixed_sample(len(data.x_train), examples)
    subset = data.x_train[some], data.y_train[some]
    wrong = measure.batch_mean_sensitivity(model, cross_entropy, *test, batch_size=size)
    boxes = [measure.keskar(model, cross_entropy, *subset, epsilon=e) for e in epsilons]
    top = measure.eigenpairs(measure.hessian(model, cross_entropy, *subset), steps=60, tolerance=TOLERANCE)
    return {
        "sensitivity": np.array(whole.mean),
        "sensitivity_error": np.array(whole.standard_error),
        "batch_mean_gradient": np.array(wrong.mean),
        "jacobian": np.array(measure.jacobian_norm(model, test[0]).mean),
        "keskar": np.array([box.value for box in boxes]),
        "keskar_spread": np.array([box.spread for box in boxes]),
        "keskar_settled": np.array([float(box.settled) for box in boxes]),
        "gap_error": np.array(_gap_error(model, data)),
        "eigenvalue": top.values[0],
        "eigenvalue_residual": top.residuals[0],
    }


def gap_error_after(last: int, epoch: int, model: Any, data: datasets.Data) -> dict[str, np.ndarray]:
    """For a watch: the standard error of the gap after the last epoch."""
    return {"gap_error": np.array(_gap_error(model, data))} if epoch == last else {}


def _gap_error(model: Any, data: datasets.Data) -> float:
    """Standard error of test loss less training loss, over the images on which both are measured."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    rows = fixed_sample(len(data.x_train), MEASURED)
    variance = 0.0
    for x, y in ((data.x_train[rows], data.y_train[rows]), (data.x_test, data.y_test)):
        losses = measure.Objective(model, cross_entropy, x, y).example_losses()
        variance += float(losses.var(ddof=1)) / len(losses)
    return float(np.sqrt(variance))
