"""Train at every value of the variable, and measure each net where its training ends."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from dlhw import datasets
from dlhw.experiments.sweep.spec import TOLERANCE, Result, Settings, SweepSettings
from dlhw.runs import image_training
from dlhw.runs.callbacks import gap_error
from dlhw.runs.context import Context
from dlhw.runs.jobs import Job
from dlhw.runs.records import divergences, seconds, stack
from dlhw.runs.variations import Training

if TYPE_CHECKING:
    import keras


R = TypeVar("R", bound=Result)


def run(settings: Settings, context: Context) -> Result:
    """Train at every value of the variable from every seed, and measure each net where its training ends."""
    return measure(settings, context, Result)


def measure(settings: SweepSettings, context: Context, kind: type[R]) -> R:
    """Return the result of a sweep, of the class `kind`."""
    key = "batch" if settings.of_batch_size else settings.variable.name
    names = [[f"{key} {point!r} seed {s}" for s in settings.seed_range] for point in settings.points]
    jobs = {
        name: _job(settings, point, s)
        for row, point in zip(names, settings.points, strict=True)
        for name, s in zip(row, settings.seed_range, strict=True)
    }
    records = image_training.train(settings, jobs, context)
    rows = [[records[name] for name in row] for row in names]

    def measured(name: str) -> np.ndarray:
        return stack(rows, lambda record: record.measurement(name)[0])

    def of_boxes(name: str) -> np.ndarray:
        return stack(rows, lambda record: record.measurement(name, len(settings.epsilon)))

    return kind(
        train_loss=stack(rows, lambda record: record.final("train_loss")),
        train_accuracy=stack(rows, lambda record: record.final("train_accuracy")),
        test_loss=stack(rows, lambda record: record.final("test_loss")),
        test_accuracy=stack(rows, lambda record: record.final("test_accuracy")),
        sensitivity=measured("sensitivity"),
        sensitivity_error=measured("sensitivity_error"),
        batch_mean_gradient=measured("batch_mean_gradient"),
        jacobian=measured("jacobian"),
        start_sensitivity=np.array([record.measured["start_sensitivity"] for record in rows[0]]),
        keskar=of_boxes("keskar"),
        eigenvalue=measured("eigenvalue"),
        eigenvalue_residual=measured("eigenvalue_residual"),
        diverged_at=divergences(rows),
        seconds=seconds(rows),
        keskar_spread=of_boxes("keskar_spread"),
        keskar_settled=of_boxes("keskar_settled"),
        gap_error=measured("gap_error"),
    )


def _job(settings: SweepSettings, point: float, seed: int) -> Job:
    training, updates = settings.training(point), settings.updates(point)
    epochs = -(-updates // settings.steps_per_epoch(training.settings.batch_size))
    callback = partial(_measure_at_the_end, epochs, training, seed, settings.epsilon, settings.curvature_examples)
    return training.job(seed, epochs=epochs, updates=updates, callback=callback)


def _measure_at_the_end(
    last: int,
    training: Training,
    seed: int,
    epsilons: tuple[float, ...],
    examples: int,
    epoch: int,
    model: keras.Model,
    data: datasets.Data,
) -> dict[str, np.ndarray]:
    """Measure the net before the first update (sensitivity alone), and after epoch `last`."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    if epoch not in (0, last):
        return {}
    test = data.x_test, data.y_test
    sensitivity = measure.sensitivity(model, cross_entropy, *test)
    if epoch == 0:
        return {"start_sensitivity": np.array(sensitivity.mean)}
    if labels := training.labels(seed):  # sharpness is that of the loss that is minimized
        data = replace(data, y_train=labels(data.y_train))
    rows = datasets.fixed_sample(len(data.x_train), examples)
    subset = data.x_train[rows], data.y_train[rows]
    mistake = sensitivity.of_batch_means(training.settings.batch_size)
    boxes = [measure.keskar(model, cross_entropy, *subset, epsilon=epsilon) for epsilon in epsilons]
    top = measure.eigenpairs(measure.hessian(model, cross_entropy, *subset), steps=60, tolerance=TOLERANCE)
    return {
        "sensitivity": np.array(sensitivity.mean),
        "sensitivity_error": np.array(sensitivity.standard_error),
        "batch_mean_gradient": np.array(mistake.mean),
        "jacobian": np.array(measure.jacobian_norm(model, test[0]).mean),
        "keskar": np.array([box.value for box in boxes]),
        "keskar_spread": np.array([box.spread for box in boxes]),
        "keskar_settled": np.array([float(box.settled) for box in boxes]),
        "gap_error": gap_error(model, data),
        "eigenvalue": top.values[0],
        "eigenvalue_residual": top.residuals[0],
    }
