"""Which layers of a model end in an activation, and what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from dlhw.models.state import layers_of, leaves_of
from dlhw.training.step_rows import layer_names

_LAYERS = keras.layers
_WHOLE = (
    _LAYERS.Dense,
    _LAYERS.EinsumDense,
    _LAYERS.SimpleRNN,
    _LAYERS.Conv1D,
    _LAYERS.Conv2D,
    _LAYERS.Conv3D,
    _LAYERS.Conv1DTranspose,
    _LAYERS.Conv2DTranspose,
    _LAYERS.Conv3DTranspose,
    _LAYERS.DepthwiseConv1D,
    _LAYERS.DepthwiseConv2D,
    _LAYERS.SeparableConv1D,
    _LAYERS.SeparableConv2D,
)
"""Layers whose output is that of their attribute `activation`, whatever else they hold."""
_INSIDE = (_LAYERS.RNN, _LAYERS.MultiHeadAttention, _LAYERS.GroupQueryAttention, _LAYERS.Attention)
"""Layers whose inner layers are parts of a formula: gates, attention weights."""
_NAMES = {
    "relu": "relu",
    "relu6": "relu6",
    "leakyrelu": "leaky_relu",
    "prelu": "prelu",
    "elu": "elu",
    "selu": "selu",
    "celu": "celu",
    "gelu": "gelu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "sigmoid": "sigmoid",
    "hardsigmoid": "hard_sigmoid",
    "hardsilu": "hard_silu",
    "hardtanh": "hard_tanh",
    "tanh": "tanh",
    "softmax": "softmax",
    "logsoftmax": "log_softmax",
    "softplus": "softplus",
    "softsign": "softsign",
}
"""Names of Keras by the names of functions, layers and operations without underscores."""


@dataclass(frozen=True)
class UnitLayer:
    """A layer, or an operation of a functional model, whose output is that of an activation."""

    layer: Any
    name: str
    activation: str
    axis: int  # of the units


def unit_layers(model: keras.Model) -> list[UnitLayer]:
    """Return the layers with an activation other than linear, in any order."""
    skipped = {
        id(inner)
        for layer in layers_of(model)
        if isinstance(layer, (*_INSIDE, *_WHOLE))
        for inner in layer._flatten_layers(include_self=False)
    }
    leaves = {id(layer) for layer in leaves_of(model)}
    names, met = names_of_weights(model), dict[str, int]()
    units = []
    for layer in [*layers_of(model), *_operations(model)]:
        is_whole = isinstance(layer, _WHOLE)
        is_leaf = id(layer) in leaves or not isinstance(layer, _LAYERS.Layer)
        if id(layer) in skipped or not (is_whole or is_leaf) or (isinstance(layer, _LAYERS.RNN) and not is_whole):
            continue
        activation = activation_of(layer)
        if activation in ("", "linear"):
            continue
        name = name_of(layer, names)
        met[name] = met.get(name, 0) + 1
        units.append(UnitLayer(layer, name if met[name] == 1 else f"{name} ({met[name]})", activation, _axis(layer)))
    return units


def activation_of(layer: Any) -> str:
    """Return the name of the activation that gives the output of a layer: linear, relu, ...; "": it has none."""
    if isinstance(layer, _LAYERS.ReLU):
        return "leaky_relu" if _number(layer, "negative_slope") else "relu6" if layer.max_value is not None else "relu"
    if hasattr(layer, "activation") and not isinstance(layer, keras.Model):
        return activation_name(layer.activation)
    kind = _NAMES.get(_plain(type(layer).__name__), "")
    return kind if type(layer).__module__.startswith("keras") else ""


def activation_name(function: Any) -> str:
    """Return the name of an activation: that of Keras where it is one of Keras, else that of the function."""
    if function is None:
        return "linear"
    name = getattr(function, "__name__", None) or type(function).__name__
    if isinstance(function, _LAYERS.Layer) and isinstance(function, _LAYERS.ReLU):
        return activation_of(function)
    return _NAMES.get(_plain(name), name)


def names_of_weights(model: keras.Model) -> dict[int, str]:
    """Return the names of the layers of the trainable variables, as a record of a training has them, by variable."""
    variables = model.trainable_variables
    names = layer_names([getattr(v, "path", v.name) for v in variables])
    return {id(v): name for v, name in zip(variables, names, strict=True)}


def name_of(layer: Any, names: dict[int, str]) -> str:
    """Return the name of a layer: that of its trainable weights, or its path, or its own name."""
    for variable in getattr(layer, "trainable_variables", ()):
        if id(variable) in names:
            return names[id(variable)]
    for variable in getattr(layer, "weights", ()):
        if "/" in variable.path:
            return variable.path.rsplit("/", 1)[0]
    return getattr(layer, "path", None) or layer.name


def _operations(model: keras.Model) -> Iterator[Any]:
    """Yield the operations of functional models that are no layers, such as `keras.ops.relu`."""
    for layer in layers_of(model):
        for operation in getattr(layer, "operations", None) or ():
            if not isinstance(operation, _LAYERS.Layer):
                yield operation


def _axis(layer: Any) -> int:
    """Return the axis of the units in the output of a layer."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _number(layer: Any, name: str) -> float:
    return float(getattr(layer, name, 0.0) or 0.0)
