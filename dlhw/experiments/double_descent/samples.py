"""The images of a run: a subset to train on, others to select by, and the test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw import datasets
from dlhw.runs.context import Context
from dlhw.seeds import Stream

if TYPE_CHECKING:
    from dlhw.experiments.double_descent.spec import Settings

Images = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Samples:
    """Images as rows (n, d), pixels in [0, 1], and their labels (n,)."""

    x: Images
    y: Labels  # true ones
    x_validation: Images
    y_validation: Labels
    x_test: Images
    y_test: Labels
    classes: int

    def labels(self, noise: float, seed: int) -> Labels:
        """Return the labels that are trained on: shuffled once, those of a seed."""
        return datasets.shuffle_labels(self.y, noise, seed)

    def one_hot(self, labels: Labels) -> Images:
        """Return targets, (n, classes)."""
        return np.eye(self.classes)[labels]

    def error_and_loss(self, outputs: Images, labels: Labels) -> tuple[float, float]:
        """Return the fraction of wrong labels, and the squared error summed over the classes."""
        losses = np.square(outputs - self.one_hot(labels)).sum(1)
        return float(np.mean(outputs.argmax(1) != labels)), float(losses.mean())


def load(settings: Settings, context: Context) -> Samples:
    """Read the data set and draw the subsets, by the base seed: all repeats share the images."""
    data = datasets.load(settings.data, folder=context.data_dir)
    rows = datasets.stratified(data.y_train, settings.examples, settings.seed)
    others = np.setdiff1d(np.arange(len(data.y_train)), rows)
    selecting = datasets.stratified(data.y_train[others], settings.validation, settings.seed, Stream.VALIDATION)
    held_out = others[selecting]

    def flat(x: np.ndarray) -> Images:
        return np.reshape(x, (len(x), -1)).astype(np.float64)

    return Samples(
        flat(data.x_train[rows]),
        data.y_train[rows],
        flat(data.x_train[held_out]),
        data.y_train[held_out],
        flat(data.x_test),
        data.y_test,
        data.classes,
    )
