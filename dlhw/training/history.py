"""What a training recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.training.step_rows import StepStatistics

CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
"""Fields of :class:`Curves`, in the order of a row."""


@dataclass(frozen=True)
class History:
    """One training of T full-batch steps.

    Entry k of `loss` is the loss at the weights after k updates (so entry 0 is the start and entry T the end),
    entry k of the gradient norms belongs to the gradient of that loss, before update k + 1.
    """

    loss: NDArray[np.floating]  # (T + 1,) of the loss that is minimized; nan after a divergence
    gradient_norm: NDArray[np.floating] | None  # (T,) Euclidean norm over all trainable tensors; nan after a divergence
    layer_gradient_norms: NDArray[np.floating] | None  # (T, layers) the same per layer; squares add up
    diverged_at: int | None  # first k whose loss is not finite or over the limit; None: never
    seconds: float  # of wall time in steps, compilation left out; nets of one stack share it
    compile_seconds: float  # of wall time in tracing and compilation
    weights: NDArray[np.floating] | None = None  # (F, P) after the steps that were asked for, in the order of `flat`
    stopped_at: int | None = None  # updates after which it had converged and stopped; what follows is nan

    @property
    def steps(self) -> int:
        """T, the number of updates asked for."""
        return len(self.loss) - 1


@dataclass(frozen=True)
class Curves:
    """One training of E epochs in mini-batches: what was measured at the start (entry 0) and after every epoch.

    All in inference mode on fixed examples, at the weights of that moment; never a running mean over an epoch.
    """

    train_loss: NDArray[np.floating]  # (E + 1,) mean of the loss, regularizers left out; nan after a divergence
    train_accuracy: NDArray[np.floating]  # (E + 1,) share of examples in [0, 1]; nan where targets are not class labels
    test_loss: NDArray[np.floating]  # (E + 1,)
    test_accuracy: NDArray[np.floating]  # (E + 1,)
    diverged_at: int | None  # first epoch after which the training loss was not finite or over the limit
    seconds: float  # of wall time in epochs and their measurements
    compile_seconds: float  # of wall time in tracing and compilation
    step_loss: NDArray[np.floating] | None = None  # (U,) what each of U updates minimized: the mean over its batch
    gradient_norm: NDArray[np.floating] | None = None  # (U,) of that loss, before the update
    layer_gradient_norms: NDArray[np.floating] | None = None  # (U, layers) squares add up
    stopped_at: int | None = None  # epoch after which it had converged and stopped; what follows is nan
    statistics: StepStatistics | None = None  # of every update, with record="all"


def first_divergence(loss: NDArray[np.floating], limit: float) -> int | None:
    """Return the first index at which `loss` is not finite or exceeds `limit`; None if there is none."""
    bad = ~(loss <= limit)  # nan compares false
    return int(np.argmax(bad)) if bad.any() else None


def divergence_limit(first_loss: float, target_power: float) -> float:
    """Return a million times the scale of the problem, mean(y^2) + the first loss, far above any useful loss."""
    return 1e6 * (first_loss + target_power + float(np.finfo(np.float32).tiny))
