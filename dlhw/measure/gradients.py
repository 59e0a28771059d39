"""Norms of the gradient of a loss with respect to the weights, in inference mode and in chunks of `batch_size`."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.layer_norms import layer_groups
from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.measure.objective import BATCH, Objective

Array = NDArray[np.floating]


def gradient_norm(model: keras.Model, loss: Loss, x: Data, y: Data, *, batch_size: int = BATCH) -> tuple[float, Array]:
    """Return the norm of the gradient of the mean loss over all of (x, y), of the whole model and of each layer.

    |g| = sqrt(sum over trainable tensors of squared entries), of the loss that is minimized: the mean over the examples
    plus what layers add (regularizers). It is not the mean of the norms of batches, which is larger.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        |g|, and the norms of the L layers with weights, (L,), followed by that of weights that belong to no layer, if
        there are any. The squares add up to |g|^2. In units of the loss per unit of a weight.

    Raises:
        UserError: for data that do not fit the model or the loss.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> total, layers = measure.gradient_norm(net, "mse", x, y)
        >>> bool(np.isclose(total, np.sqrt(np.sum(layers**2))))
        True
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    _, gradient = objective.gradient()
    squares = [float(np.sum(piece**2)) for piece in np.split(gradient, np.cumsum(objective.sizes)[:-1])]
    layers = np.array([sum(squares[i] for i in group) for group in layer_groups(model)])
    return float(np.sqrt(layers.sum())), np.sqrt(layers)
