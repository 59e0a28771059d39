"""How much the gradients of single examples scatter, against the gradient itself: the scale of useful batch sizes."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.inputs import take
from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.results import Saved

Array = NDArray[np.floating]

GROUPS = 32
"""Small batches by default: the standard error of the trace is then about a quarter of it at the worst."""


@dataclass(frozen=True)
class NoiseScale(Saved):
    """The simple noise scale tr(Sigma) / |G|^2 and what it is made of, estimated from two batch sizes."""

    trace: float  # of Sigma, the covariance of the gradients of single examples; never negative
    squared_norm: float  # estimate of |G|^2; negative where the noise hides the gradient
    standard_error: float  # of `value`; nan where `value` is not finite
    small: int  # examples of the small batches
    large: int  # examples of the large batch

    @property
    def value(self) -> float:
        """The noise scale in examples; inf where the estimate of |G|^2 is not positive, nan where all gradients are 0.

        inf says that these examples are too few to tell the gradient from 0, not that the scale is infinite.
        """
        if self.squared_norm > 0:
            return self.trace / self.squared_norm
        return float("inf") if self.trace > 0 else float("nan")


@check_numbers
def gradient_noise_scale(
    model: keras.Model, loss: Loss, x: Data, y: Data, *, small: int | None = None, batch_size: int = BATCH
) -> NoiseScale:
    """Return the simple noise scale B = tr(Sigma) / |G|^2, the batch size at which noise and gradient are equally long.

    McCandlish et al. 2018, An empirical model of large-batch training, appendix A.1. G is the gradient of the mean loss
    of the population that the examples are drawn from, Sigma the covariance of the gradients of single examples. The
    gradient of a batch of b examples has an expected squared norm of |G|^2 + tr(Sigma) / b: from the squared norms at
    two batch sizes, those of disjoint small batches and that of all of them together, follow estimates of both parts
    without bias. Their ratio has a bias, which vanishes as examples are added. Batches far below B average too little;
    batches far above it hardly save steps.

    Everything is taken in inference mode, so that the noise of dropout does not count. Losses that layers add
    (regularizers) belong to G and not to Sigma.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...), in random order: neighbours form a small batch.
        y: targets, (n, ...).
        small: examples of a small batch; None: a 32nd of all. Examples that fill no small batch are left out.
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        The scale in examples, both parts, and a standard error from the jackknife over the small batches.

    Raises:
        UserError: for fewer than two small batches, and where the loss of an example depends on the others.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> scale = measure.gradient_noise_scale(net, "mse", x, y, small=1)
        >>> bool(np.isclose(scale.value, scale.trace / scale.squared_norm))
        True
    """
    whole = Objective(model, loss, x, y, batch_size=batch_size)
    require(
        not whole.probe.at_once,
        "the loss of an example depends on the other examples of its batch, so its gradient has no noise scale",
    )
    size = max(whole.n // GROUPS, 1) if small is None else small
    require(
        1 <= size <= whole.n // 2,
        f"`small` {size} must lie in 1..{whole.n // 2}: two small batches of {whole.n} examples at least",
    )
    large = whole.n // size * size
    objective = whole
    if large < whole.n:
        objective = Objective(model, loss, *take(whole.data, np.arange(large)), batch_size=batch_size)
    return from_gradients(*_products(objective, size), small=size)


def _products(objective: Objective, size: int) -> tuple[Array, Array, float]:
    """Return |g_k|^2 and g_k . g of the gradients of all small batches, and |g|^2 of all examples; two passes."""
    _, mean = objective.gradient()
    squares, along = [], []
    for gradient in objective.group_gradients(size):
        squares.append(float(gradient @ gradient))
        along.append(float(gradient @ mean))
    return np.array(squares), np.array(along), float(mean @ mean)


def from_gradients(squares: Array, along: Array, whole: float, *, small: int) -> NoiseScale:
    """Return the noise scale from products of gradients.

    Args:
        squares: |g_k|^2 of the gradients of K batches of as many examples, (K,).
        along: g_k . g of them with their mean g, (K,).
        whole: |g|^2.
        small: examples of each batch.
    """
    k = len(squares)
    trace, norm = _estimates(float(squares.mean()), whole, k, small)
    # The jackknife: the ratio without each batch in turn, whose mean gradient is (K g - g_k) / (K - 1).
    error = np.nan
    if k > 2 and norm > 0:
        others = (squares.sum() - squares) / (k - 1)
        means = (k**2 * whole - 2 * k * along + squares) / (k - 1) ** 2
        traces, norms = _estimates(others, means, k - 1, small)
        if (norms > 0).all():
            ratios = traces / norms
            error = float(np.sqrt((k - 1) / k * np.sum((ratios - ratios.mean()) ** 2)))
    return NoiseScale(float(trace), float(norm), error, small, k * small)


def _estimates(squares: Array | float, whole: Array | float, k: int, small: int) -> tuple[Array, Array]:
    """Return tr(Sigma) and |G|^2 from the mean of |g_k|^2 over k small batches and |g|^2 of all their examples."""
    trace = np.maximum(np.subtract(squares, whole), 0.0) * small * k / (k - 1)  # below 0 by rounding only
    return trace, whole - trace / (small * k)
