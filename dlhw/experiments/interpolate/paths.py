"""Other ways from A to B: the line after the hidden units of B are matched with those of A, and a curve of low loss."""

from __future__ import annotations

import numpy as np

from dlhw.experiments.interpolate.lines import Pair, along, reporter, unmeasured
from dlhw.experiments.interpolate.spec import Settings
from dlhw.runs.image_trainer import ImageTrainer
from dlhw.runs.tasks import Arrays, Task


def measure_aligned(settings: Settings, trainer: ImageTrainer, pair: Pair, task: Task) -> Arrays:
    """Return losses and accuracies on the line from A to the permuted B, their distance, the share of units moved."""
    import tensorflow as tf

    from dlhw import measure

    arrays = unmeasured(len(settings.grid)) | {"distance": np.array(np.nan), "moved": np.array(np.nan)}
    if pair.diverged:
        return arrays
    trainer.load_data()
    with tf.device(trainer.device):
        a, b = pair.models(settings, trainer)
        images = trainer.evaluation_subset()[0]
        alignment = measure.align(a, b, method=settings.matching, x=images, seed=pair.seed)
        arrays |= along(settings, trainer, a, alignment.weights, task)
    arrays["distance"] = np.array(alignment.distances[-1])
    arrays["moved"] = np.array(alignment.moved)
    return arrays


def measure_curve(settings: Settings, trainer: ImageTrainer, pair: Pair, task: Task) -> Arrays:
    """Return losses and accuracies along a curve from A to B, whose bend is trained on all training images."""
    import tensorflow as tf

    from dlhw import measure
    from dlhw.training import cross_entropy

    positions = settings.between
    arrays = unmeasured(len(positions))
    if pair.diverged:
        return arrays
    trainer.load_data()
    with tf.device(trainer.device):
        a, b = pair.models(settings, trainer)
        x, y = trainer.images[0], trainer.data.y_train
        report = reporter(task)
        bezier = measure.curve(
            a, b, cross_entropy, x, y, epochs=settings.curve_epochs, ts=(), seed=pair.seed, progress=report
        )
        for which, (x, y) in (
            ("train", trainer.evaluation_subset()),
            ("test", (trainer.images[1], trainer.data.y_test)),
        ):
            profile = bezier.profile(a, cross_entropy, x, y, positions)
            arrays[f"{which}_loss"] = profile.loss.astype(np.float32)
            arrays[f"{which}_accuracy"] = profile.accuracy.astype(np.float32)
    return arrays
