"""The loss along lines through the space of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers
from dlhw.measure.barriers import LineProfile, alpha_grid
from dlhw.measure.batch_statistics import BatchNorm, check_batch_norm
from dlhw.measure.derivative_check import check_second_derivatives
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.path_points import Weights, values_at, weights_of
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]


@check_numbers
def line(
    model: keras.Model,
    start: Weights,
    end: Weights,
    loss: Loss,
    x: Data,
    y: Data,
    alphas: Sequence[float] | Array,
    *,
    batch_norm: BatchNorm = "interpolate",
    batch_size: int = BATCH,
    progress: Callable[[int, float], None] | None = None,
) -> LineProfile:
    """Return loss and accuracy at (1 - alpha) start + alpha end, each computed from `start` and `end` themselves.

    Weights that do not train, such as the moving statistics of batch normalization, are interpolated too
    ("interpolate"), or computed anew from x at every alpha ("recompute"): interpolated statistics are not those of the
    interpolated net, and can make a barrier by themselves. Recomputed, they are those over all of x; with several such
    layers, what enters the later ones is normalized chunk by chunk, as in training. Goodfellow et al. 2015,
    Qualitatively characterizing neural network optimization problems.

    Args:
        model: any built Keras model of one output; it is used to compute, and afterwards is as it was, even after an
            error.
        start: a model, its weights as `model.get_weights()` returns them, or a vector of :func:`dlhw.measure.flat`,
            (P,).
        end: likewise.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        alphas: points of the line; 0 and 1 are added where they are missing.
        batch_norm: see above.
        batch_size: examples per chunk; it changes rounding and memory only.
        progress: called with the number of alphas done and the latest loss.

    Returns:
        The alphas, in order, with loss and accuracy at each.

    Raises:
        UserError: for weights that are not those of the model, and layers of batch normalization that are called more
            than once with "recompute".

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> other = models.mlp((4,), activation="tanh", seed=1, dtype="float64")
        >>> profile = measure.line(net, net, other, "mse", x, y, [0.5])
        >>> profile.alphas.tolist(), profile.loss.shape
        ([0.0, 0.5, 1.0], (3,))
    """
    check_batch_norm(batch_norm)
    grid = alpha_grid(alphas)
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    ends = [weights_of(objective, start, "start"), weights_of(objective, end, "end")]
    values = values_at(objective, ends, np.stack([1 - grid, grid], 1), batch_norm, progress)
    return LineProfile(grid, np.array([v.loss for v in values]), np.array([v.accuracy for v in values]))


@check_numbers
def line_curvature(
    model: keras.Model,
    start: Weights,
    end: Weights,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    batch_size: int = BATCH,
    check: bool = True,
) -> Array:
    """Return the second derivative of the loss with respect to alpha, d^T H d with d = end - start, at both ends.

    One Hessian-vector product each; moving statistics are those of the end.

    Args:
        model: any built Keras model of one output.
        start: as in :func:`line`.
        end: as in :func:`line`.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples per chunk; it changes rounding and memory only.
        check: as in :func:`dlhw.measure.hessian`.

    Returns:
        At alpha = 0 and 1, (2,), in units of the loss; divide by |d|^2 for the curvature per unit of length.

    Raises:
        UserError: as :func:`line` and :func:`dlhw.measure.hessian`.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> other = models.mlp((4,), activation="tanh", seed=1, dtype="float64")
        >>> measure.line_curvature(net, net, other, "mse", x, y).shape
        (2,)
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    a, b = weights_of(objective, start, "start"), weights_of(objective, end, "end")
    curvatures = []
    with restore_weights(model):
        model.set_weights(b)
        to = objective.theta
        model.set_weights(a)
        if check:
            check_second_derivatives(objective)
        direction = to - objective.theta
        for weights in (a, b):
            model.set_weights(weights)
            curvatures.append(float(direction @ objective.product(direction)))
    return np.array(curvatures)
