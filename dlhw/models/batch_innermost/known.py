"""Which Keras models the batch-innermost layout computes: chains of the layers below, in their usual settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dlhw._tf.types import Tensor

K = keras.layers
A = keras.activations
_NON_DECREASING = (A.linear, A.relu, A.relu6, A.tanh, A.sigmoid, A.elu, A.selu, A.softplus, A.softsign)
_ELEMENTWISE = (*_NON_DECREASING, A.leaky_relu, A.gelu, A.silu, A.mish, A.exponential, A.hard_sigmoid, A.hard_silu)
_ELEMENTWISE_LAYERS = (K.ReLU, K.LeakyReLU, K.ELU)
_ACTIVATIONS = (K.Activation, *_ELEMENTWISE_LAYERS, K.Softmax)
_POOLS = (K.MaxPooling2D, K.AveragePooling2D)
_GLOBAL = (K.GlobalMaxPooling2D, K.GlobalAveragePooling2D)
_OTHERS = (K.Conv2D, K.Dense, K.Flatten, K.Dropout, K.BatchNormalization, K.Rescaling)


class Link(NamedTuple):
    """A layer between its shapes, without the batch."""

    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def known_links(model: keras.Model) -> list[Link] | None:
    """Return the layers of `model` from its input to its output; None if it is not a chain of known layers."""
    links = _links(model)
    if not links or not all(_is_known(link) for link in links):
        return None
    return links if all(is_elementwise(link.layer) for link in links[:-1] if has_activation(link.layer)) else None


def _links(model: keras.Model) -> list[Link]:
    """Return the layers in order; none if the graph of the model is not a chain of static shapes."""
    if type(model).call not in (functional_class().call, keras.Sequential.call) or not model.built:
        return []
    if getattr(model, "activity_regularizer", None) is not None:
        return []
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) not in (2, 4):
        return []
    links, tensor = [], model.inputs[0]
    for layer in model.layers:
        if isinstance(layer, K.InputLayer):
            continue
        try:
            before, after = layer.input, layer.output
        except (AttributeError, ValueError):  # not called yet, or several times
            return []
        if before is not tensor or not isinstance(after, keras.KerasTensor):
            return []
        shapes = tuple(before.shape[1:]), tuple(after.shape[1:])
        if None in (*shapes[0], *shapes[1]):
            return []
        links.append(Link(layer, *shapes))
        tensor = after
    return links if tensor is model.outputs[0] else []


@cache
def functional_class() -> type[keras.Model]:
    """Return the class of functional models, which has no public name."""
    empty = keras.Input((1,))
    return type(keras.Model(empty, keras.ops.abs(empty)))


def _is_known(link: Link) -> bool:
    layer, images = link.layer, len(link.inputs) == 3
    if type(layer) not in (*_ACTIVATIONS, *_POOLS, *_GLOBAL, *_OTHERS) or layer.activity_regularizer is not None:
        return False
    types = {layer.compute_dtype, layer.variable_dtype, layer.input.dtype}
    if len(types) > 1 or types & {"float16", "bfloat16"} or getattr(layer, "quantization_mode", None):
        return False
    if isinstance(getattr(layer, "activation", None), K.Layer):  # with weights or a mode of its own
        return False
    if getattr(layer, "lora_enabled", False) or getattr(layer, "noise_shape", None) is not None:
        return False
    if images and getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    if isinstance(layer, K.Conv2D):
        plain = layer.groups == 1 and set(layer.dilation_rate) == {1} and layer.padding in ("valid", "same")
        return images and plain and type(layer.kernel) is keras.Variable
    if isinstance(layer, K.Dense):
        return not images and type(layer.kernel) is keras.Variable
    if isinstance(layer, K.BatchNormalization):
        return layer.axis in (-1, len(link.inputs)) and not getattr(layer, "renorm", False)
    if isinstance(layer, K.Rescaling):
        return all(tf.rank(a) == 0 or (tf.rank(a) == 1 and images) for a in (layer.scale, layer.offset))
    return images or not isinstance(layer, (*_POOLS, *_GLOBAL))


def has_activation(layer: Any) -> bool:
    """Whether `layer` applies an activation."""
    return isinstance(layer, (K.Conv2D, K.Dense, *_ACTIVATIONS))


def activation_of(layer: Any) -> Callable[[Tensor], Tensor]:
    """Return the activation of a layer that has one."""
    function: Callable[[Tensor], Tensor] = getattr(layer, "activation", None) or layer.call
    return function


def is_elementwise(layer: Any) -> bool:
    """Whether the activation of `layer` looks at one number."""
    return isinstance(layer, _ELEMENTWISE_LAYERS) or activation_of(layer) in _ELEMENTWISE


def is_non_decreasing(layer: Any) -> bool:
    """Whether the activation of `layer` is elementwise and non-decreasing, so that a maximum may be taken before it."""
    if isinstance(layer, _ELEMENTWISE_LAYERS):
        return all(getattr(layer, name, 0) >= 0 for name in ("negative_slope", "alpha"))
    return activation_of(layer) in _NON_DECREASING


def is_pool_without_overlap(layer: Any) -> bool:
    """Whether `layer` is a max-pool without overlap and padding."""
    is_pool = isinstance(layer, K.MaxPooling2D) and layer.padding == "valid"
    return is_pool and tuple(layer.pool_size) == tuple(layer.strides)
