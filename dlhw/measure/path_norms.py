"""The path norm: the weights of all paths through a net."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlhw._tf.inputs import first_line
from dlhw.errors import UserError, require
from dlhw.models.state import require_built

_LINEAR = {"Dense", "Conv1D", "Conv2D", "Conv3D"}
_ACTIVATIONS = {"Activation", "ReLU", "LeakyReLU", "ELU", "Softmax"}
_PASSING = {
    "InputLayer", "Flatten", "Reshape", "Permute", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "Add",
    "Concatenate", "ZeroPadding1D", "ZeroPadding2D", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D",
    "AveragePooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
}  # fmt: skip
"""Layers that keep non-negative numbers non-negative and pass them on as they are."""


def path_norm(model: keras.Model) -> float:
    """Return the path norm: the root of the sum, over all paths to the outputs, of the product of squared weights.

    Neyshabur et al. 2015, Norm-based capacity control in neural networks. A path begins at an input or a bias, and
    takes one weight in every layer. The sum is the sum of the outputs of the net whose weights and biases are all
    squared, for an input of ones (Jiang et al. 2020, appendix C). It does not change when the incoming weights of a
    ReLU unit are scaled and its outgoing ones are scaled back. Activations count as the identity, which they are for
    ReLU, as all numbers are non-negative; pooling acts as it does on an image, so that max pooling keeps the largest
    of the sums.

    Args:
        model: a Sequential or functional Keras model of Dense layers, convolutions, pooling, activations, Flatten,
            Reshape, Dropout, Add and Concatenate, with a fixed input shape.

    Returns:
        The norm, computed in float64.

    Raises:
        UserError: for another layer and for an operation that is no layer, such as x + y, by their names, and an input
            shape that is not fixed.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,), inputs=3, seed=0)
        >>> w, a, v, b = (weight**2 for weight in net.get_weights())
        >>> bool(np.isclose(measure.path_norm(net), np.sqrt(((w.sum(0) + a) @ v + b).sum())))
        True
    """
    require_built(model)
    for operation in getattr(model, "operations", ()):
        if not isinstance(operation, keras.Layer):
            raise UserError(_no_layer(operation))
    for layer in model.layers:
        known = (
            type(layer).__module__.startswith("keras.") and type(layer).__name__ in _LINEAR | _ACTIVATIONS | _PASSING
        )
        require(known, f"layer {layer.name!r} is a {type(layer).__name__}, for which paths are not defined here")
    shapes = [tuple(i.shape[1:]) for i in model.inputs]
    require(all(None not in shape for shape in shapes), "the input shape is not fixed: paths begin at every input")
    try:
        squared = keras.models.clone_model(model, clone_function=_linear_copy)
        squared.set_weights([np.square(np.asarray(w, np.float64)) for w in model.get_weights()])
    except (ValueError, TypeError, NotImplementedError) as error:
        raise UserError(f"{model.name} cannot be copied: {first_line(error)}") from None
    ones = [np.ones((1, *shape)) for shape in shapes]
    outputs = squared(ones[0] if len(ones) == 1 else ones, training=False)
    return float(np.sqrt(np.sum(keras.ops.convert_to_numpy(outputs), dtype=np.float64)))


def _no_layer(operation: Any) -> str:
    """Return the message on an operation of `keras.ops` in a model: what it is, and the layer that does the same."""
    kind = type(operation).__name__
    layers = {name.lower(): name for name in _ACTIVATIONS | _PASSING}
    same = f"keras.layers.{layers[kind.lower()]}()" if kind.lower() in layers else "a layer"
    return (
        f"operation {operation.name!r} is keras.ops.{kind.lower()} and no layer; paths are followed through layers: "
        f"use {same} in its place"
    )


def _linear_copy(layer: Any) -> Any:
    """Return a copy of a layer in float64, with the identity in place of its activation."""
    if type(layer).__name__ in _ACTIVATIONS:
        return keras.layers.Activation("linear", dtype="float64", name=layer.name)
    config = layer.get_config() | {"dtype": "float64"}
    if "activation" in config:
        config["activation"] = "linear"
    return type(layer).from_config(config)
