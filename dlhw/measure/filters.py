"""Which slices of the weights of a Keras model are filters: the incoming weights of one neuron."""

from __future__ import annotations

import keras

from dlhw._tf.types import Tensor
from dlhw.models.state import layers_of

_NO_KERNELS = ("bias", "gamma", "beta", "alpha", "scale")
"""Names of weights that shift or scale a neuron; in Keras some of them have several axes."""


def filter_axes(model: keras.Model) -> list[tuple[int, ...] | None]:
    """Return the axes over which the norm of a filter is taken, for every trainable weight of `model`.

    A filter is the incoming weights of one neuron (Li et al. 2018, Visualizing the loss landscape of neural nets):

    - Dense, convolutions, kernels of recurrent cells: a slice of the last axis (of a recurrent cell one gate of one
      unit); custom layers are assumed to follow this rule
    - transposed convolutions, whose kernels are (..., filters, channels): a slice of the axis before the last
    - depthwise kernels (..., channels, multiplier): a slice of the last two axes
    - EinsumDense, and with it the kernels of attention: a slice of all axes that are axes of the output too, so that
      every unit of every head has a filter
    - Embedding: a row, the vector of one word

    Biases, scales and shifts of normalizations, slopes of PReLU and all weights of one axis have no filters.

    Args:
        model: any built Keras model, whatever is nested in it.

    Returns:
        In the order of `model.trainable_variables`, axes as integers from 0; None: no filters.

    Raises:
        AttributeError: for anything but a Keras model.

    Example:
        >>> from dlhw import measure, models
        >>> measure.filter_axes(models.mlp((4,)))
        [(0,), None, (0,), None]
    """
    axes: dict[int, tuple[int, ...] | None] = {}
    for layer in layers_of(model):
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            axes.setdefault(id(variable), _axes(layer, variable))
    return [axes.get(id(v), _all_but_last(v)) for v in model.trainable_variables]


def _all_but_last(variable: Tensor) -> tuple[int, ...] | None:
    return tuple(range(len(variable.shape) - 1)) if len(variable.shape) > 1 else None


def _axes(layer: keras.layers.Layer, variable: Tensor) -> tuple[int, ...] | None:
    rank, name = len(variable.shape), variable.name
    if rank < 2 or name in _NO_KERNELS:
        return None
    kind = type(layer).__name__
    if isinstance(layer, keras.layers.EinsumDense) and name == "kernel":
        inputs, output = layer.equation.replace(" ", "").split("->")
        return tuple(k for k, letter in enumerate(inputs.split(",")[1]) if letter not in output)
    if isinstance(layer, keras.layers.Embedding) and variable.shape[0] == layer.input_dim:
        return tuple(range(1, rank))
    if "Transpose" in kind and name == "kernel":
        return (*range(rank - 2), rank - 1)
    if name == "depthwise_kernel" or ("Depthwise" in kind and name == "kernel"):
        return tuple(range(rank - 2))
    return _all_but_last(variable)
