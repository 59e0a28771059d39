"""Gradients of a loss with respect to weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def gradient_norm(
    model: keras.Model, loss: str | Callable[[Any, Any], Any], x: Any, y: Any
) -> tuple[float, NDArray[np.floating]]:
    """Norm of the gradient of the mean loss over (x, y), whole and a layer each.

    |g| = sqrt(sum over trainable tensors of squared entries), in inference mode, of the loss on the examples given,
    not of a batch mean of anything else. Returns (|g|, norms of the L layers with weights, (L,)); the squares of
    the layers add up to |g|^2.
    """
    function = keras.losses.get(loss)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(function(y, model(x, training=False)))
    variables = [v.value for v in model.trainable_variables]
    total, layers = norms(tape.gradient(value, variables, unconnected_gradients="zero"), layer_slices(model))
    return float(total), np.asarray(layers)


def norms(gradients: Sequence[Any], slices: Sequence[slice], axis: Sequence[int] | None = None) -> tuple[Any, Any]:
    """Euclidean norm over all tensors, and stacked last over each slice of them.

    `axis` names the axes summed in a stack of nets; None sums all. Accumulated in the dtype of the gradients.
    """
    squares = [tf.reduce_sum(tf.square(g), axis) for g in gradients]
    layers = [tf.add_n(squares[s]) for s in slices]
    return tf.sqrt(tf.add_n(layers)), tf.sqrt(tf.stack(layers, -1))


def layer_slices(model: keras.Model) -> list[slice]:
    """Which of `model.trainable_variables` belong to each layer with weights, in order."""
    slices, start = [], 0
    for layer in model.layers:
        n = len(layer.trainable_variables)
        if n:
            slices.append(slice(start, start + n))
        start += n
    return slices
