"""Norms of the gradient of a loss by the weights, in inference mode and in chunks of `batch_size`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw.measure.objective import BATCH, Loss, Objective

Array = NDArray[np.floating]


def gradient_norm(model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH) -> tuple[float, Array]:
    """Norm of the gradient of the mean loss over all of (x, y), whole and a layer each.

    |g| = sqrt(sum over trainable tensors of squared entries), of the loss that is minimised: the mean over the examples
    plus what layers add (regularizers). Never a mean of the norms of batches, which is larger. Returns (|g|, norms of
    the L layers with weights, (L,), and last of weights that belong to no layer, if there are any); the squares add up
    to |g|^2.
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    _, gradient = objective.gradient()
    squares = [float(np.sum(piece**2)) for piece in np.split(gradient, np.cumsum(objective.sizes)[:-1])]
    layers = np.array([sum(squares[i] for i in group) for group in layer_groups(model)])
    return float(np.sqrt(layers.sum())), np.sqrt(layers)


def norms(
    gradients: Sequence[Any], groups: Sequence[Sequence[int]], axis: Sequence[int] | None = None
) -> tuple[Any, Any]:
    """Euclidean norm over all tensors, and stacked last over each group of them.

    `axis` names the axes summed in a stack of nets; None sums all. Accumulated in the dtype of the gradients.
    """
    squares = [tf.reduce_sum(tf.square(g), axis) for g in gradients]
    layers = [tf.add_n([squares[i] for i in group]) for group in groups]
    return tf.sqrt(tf.add_n(layers)), tf.sqrt(tf.stack(layers, -1))


def layer_groups(model: keras.Model) -> list[list[int]]:
    """Which of `model.trainable_variables` belong to each layer with weights, in order; last those of no layer."""
    at = {id(v): i for i, v in enumerate(model.trainable_variables)}
    groups = [[at.pop(id(v)) for v in layer.trainable_variables if id(v) in at] for layer in model.layers]
    return [group for group in (*groups, list(at.values())) if group]
