"""One training on images: which net, from which seed, on which labels, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlhw import datasets
from dlhw.runs.base_settings import BatchSettings

if TYPE_CHECKING:
    import keras

    Callback = Callable[[int, keras.Model, datasets.Data], dict[str, np.ndarray]]
    """(epoch, model, data) -> arrays to store; called before training (epoch 0) and after every epoch."""


@dataclass(frozen=True)
class Job:
    """The configuration of one training."""

    net: str
    seed: int  # of the initial weights and of the order of the examples
    batch_size: int
    learning_rate: float
    epochs: int
    init_seed: int | None = None  # of the initial weights, if not `seed`
    updates: int | None = None  # number of steps, if training ends within the last epoch
    labels: Callable[[np.ndarray], np.ndarray] | None = None  # true training labels -> those that are trained on
    snapshot_every: int = 0  # epochs between stored weights; 0: store none
    callback: Callback | None = None
    record_updates: bool = False  # loss and gradient norms of every step
    settings: BatchSettings | None = None  # of this training, where they are not those of the run
    until_converged: bool = False  # stop where the training loss has converged; `epochs` is then the most
    target_loss: float | None = None  # stop after the first epoch whose training loss is not above it
    at_end: Callback | None = None  # called where the training ends, unless it diverged
    validation: bool = False  # hold out a part of the training examples, and evaluate it in place of the test set


def make_job(
    settings: BatchSettings,
    net: str,
    seed: int,
    *,
    updates: int | None = None,
    labels: Callable[[np.ndarray], np.ndarray] | None = None,
    snapshot_every: int = 0,
    callback: Callback | None = None,
    record_updates: bool = False,
    until_converged: bool = False,
) -> Job:
    """Return the training of `net` from `seed` with the batch size, learning rate and epochs of the settings."""
    return Job(
        net,
        seed,
        settings.batch_size,
        settings.learning_rate,
        settings.epochs,
        updates=updates,
        labels=labels,
        snapshot_every=snapshot_every,
        callback=callback,
        record_updates=record_updates,
        until_converged=until_converged,
    )
