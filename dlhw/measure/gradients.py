"""Norms of the gradient of a loss with respect to the weights, in inference mode and in chunks of `batch_size`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.results import Saved
from dlhw.models.selection import Layers, named_groups

Array = NDArray[np.floating]


@dataclass(frozen=True)
class GradientNorm(Saved):
    """The norm of a gradient, of all weights and by layer; unpacks as the pair (total, layers)."""

    total: float
    layers: Array  # (L,) whose squares add up to total^2
    names: tuple[str, ...]  # of the layers, L

    def __iter__(self) -> Iterator[Any]:
        return iter((self.total, self.layers))

    def __getitem__(self, k: int | slice) -> Any:
        return (self.total, self.layers)[k]

    def __len__(self) -> int:
        return 2


@check_numbers
def gradient_norm(
    model: keras.Model, loss: Loss, x: Data, y: Data, *, layers: Layers = None, batch_size: int = BATCH
) -> GradientNorm:
    """Return the norm of the gradient of the mean loss over all of (x, y), of the whole model and of each layer.

    |g| = sqrt(sum over trainable tensors of squared entries), of the loss that is minimized: the mean over the examples
    plus what layers add (regularizers). It is not the mean of the norms of batches, which is larger.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        layers: names of layers, one or several, wherever they are nested: the gradient with respect to their weights
            alone; None: all.
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        |g| as `.total`, and as `.layers` the norms of the L layers with weights named in `.names`, (L,), followed by
        that of weights that belong to no layer ("other"), if there are any. The squares add up to |g|^2. In units of
        the loss per unit of a weight. It unpacks as a pair, total and layers.

    Raises:
        UserError: for data that do not fit the model or the loss, and names of layers that the model does not have.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> norm = measure.gradient_norm(net, "mse", x, y)
        >>> norm.names
        ('dense_1', 'dense_2')
        >>> bool(np.isclose(norm.total, np.sqrt(np.sum(norm.layers**2))))
        True
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    _, gradient = objective.gradient()
    squares = [float(np.sum(piece**2)) for piece in np.split(gradient, np.cumsum(objective.sizes)[:-1])]
    names, groups = named_groups(model, layers)
    by_layer = np.array([sum(squares[i] for i in group) for group in groups])
    return GradientNorm(float(np.sqrt(by_layer.sum())), np.sqrt(by_layer), names)
