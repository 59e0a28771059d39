"""Euclidean norms of gradients, over all tensors and per layer."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlhw._tf.types import Tensor, Tensors


def norms(
    gradients: Tensors, groups: Sequence[Sequence[int]], axis: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Return the Euclidean norm over all tensors, and stacked last over each group of them.

    `axis` names the axes summed in a stack of nets; None sums all. Accumulated in the dtype of the gradients.
    """
    squares = [tf.reduce_sum(tf.square(g), axis) for g in gradients]
    layers = [tf.add_n([squares[i] for i in group]) for group in groups]
    return tf.sqrt(tf.add_n(layers)), tf.sqrt(tf.stack(layers, -1))


def layer_groups(model: keras.Model) -> list[list[int]]:
    """Return which trainable variables belong to each layer with weights, in order; last those of no layer."""
    at = {id(v): i for i, v in enumerate(model.trainable_variables)}
    groups = [[at.pop(id(v)) for v in layer.trainable_variables if id(v) in at] for layer in model.layers]
    return [group for group in (*groups, list(at.values())) if group]


def layers_with_weights(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers to which the groups of :func:`layer_groups` belong, weights of no layer excepted."""
    known = {id(v) for v in model.trainable_variables}
    layers = []
    for layer in model.layers:
        own = {id(v) for v in layer.trainable_variables} & known
        known -= own
        layers += [layer] if own else []
    return layers
