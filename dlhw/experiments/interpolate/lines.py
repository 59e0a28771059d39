"""Losses on the line between the two nets of a pair."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.interpolate import examples
from dlhw.experiments.interpolate.spec import Settings
from dlhw.present.curves import CURVES
from dlhw.runs.image_trainer import ImageTrainer
from dlhw.runs.records import TrainingRecord
from dlhw.runs.tasks import Arrays, Task

if TYPE_CHECKING:
    import keras

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Pair:
    """The two trainings of a line, from one seed."""

    seed: int
    ends: tuple[TrainingRecord, ...]

    @property
    def diverged(self) -> bool:
        """Whether one of them diverged."""
        return any(end.diverged for end in self.ends)

    def models(self, settings: Settings, trainer: ImageTrainer) -> list[keras.Model]:
        """Return the nets at the ends of the trainings."""
        from dlhw import models

        data, nets = trainer.data, []
        for end in self.ends:
            net = models.image_net(settings.net, data.shape, data.classes, activation=settings.activation)
            if end.weights is not None:
                models.assign(net, end.weights[-1])
            nets.append(net)
        return nets


def unmeasured(points: int) -> Arrays:
    """Return losses and accuracies at `points` points that are nan."""
    return {name: np.full(points, np.nan, np.float32) for name in CURVES}


def measure_line(settings: Settings, trainer: ImageTrainer, pair: Pair, task: Task) -> Arrays:
    """Return losses and accuracies along a line, curvature at both ends, distance; nan where an end diverged."""
    import tensorflow as tf

    from dlhw import measure
    from dlhw.training import cross_entropy

    grid = settings.grid
    arrays = unmeasured(len(grid))
    arrays |= {"curvature": np.full(2, np.nan), "distance": np.array(np.nan), "seconds": np.array(0.0)}
    trainer.load_data()
    arrays |= examples.unmeasured(trainer.data, len(grid))
    if pair.diverged:
        return arrays
    began = time.perf_counter()
    vectors = [end.weights[-1] for end in pair.ends if end.weights is not None]
    with tf.device(trainer.device):
        model, other = pair.models(settings, trainer)
        a, b = model.get_weights(), other.get_weights()
        arrays |= along(settings, trainer, model, b, task)
        arrays["probabilities"] = examples.probabilities(model, a, b, grid, trainer.data)
        arrays["curvature"] = measure.line_curvature(model, a, b, cross_entropy, *trainer.evaluation_subset())
    arrays["distance"] = np.array(np.linalg.norm(vectors[0].astype(np.float64) - vectors[1]))
    arrays["seconds"] = np.array(time.perf_counter() - began)
    return arrays


def along(settings: Settings, trainer: ImageTrainer, model: keras.Model, end: list[Array], task: Task) -> Arrays:
    """Return losses and accuracies on the line from a model to the weights `end`, of training and test images."""
    from dlhw import measure
    from dlhw.training import cross_entropy

    arrays: Arrays = {}
    start, grid = model.get_weights(), settings.grid
    for which, (x, y) in (
        ("train", trainer.evaluation_subset()),
        ("test", (trainer.images[1], trainer.data.y_test)),
    ):
        report = reporter(task, len(grid) * (which == "test"))
        profile = measure.line(model, start, end, cross_entropy, x, y, grid, progress=report)
        arrays[f"{which}_loss"] = profile.loss.astype(np.float32)
        arrays[f"{which}_accuracy"] = profile.accuracy.astype(np.float32)
    return arrays


def reporter(task: Task, before: int = 0) -> Callable[[int, float], None]:
    """Return where progress is reported after `before` units; it raises Stopped if the task should stop."""
    from dlhw.training import Stopped

    def report(done: int, loss: float) -> None:
        task.report(before + done, loss)
        if task.should_stop():
            raise Stopped

    return report
