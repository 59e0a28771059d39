"""The first layer of a net over a plane of weights: linear in them, so three passes are reused for all points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.inputs import chunks
from dlhw._tf.types import Tensor
from dlhw.errors import UserError
from dlhw.measure.directions import Plane
from dlhw.models.copies import copied
from dlhw.models.state import agree

Array = NDArray[np.floating]

MOST_BYTES = 1 << 30
"""Largest memory that the passes may take."""
ELEMENTWISE = ("linear", "relu", "relu6", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus")
"""Elementwise activations."""


@dataclass(frozen=True)
class FirstLayer:
    """z(a, b) = z0 + a z1 + b z2: what the first layer gives before its activation, for each of the examples.

    A max-pool without padding or overlap right after the layer belongs to it; the positions in a pool form an axis.
    """

    passes: list[Any]  # (3, q, n, m) each: z0, z1, z2 of a chunk of n examples; q the places of a pool, 1 without
    weights: int  # in the layer
    activation: Callable[[Any], Any]  # elementwise
    shape: tuple[int, ...]  # of an example after the activation and the pool
    following: keras.Model  # from there to the output

    def outputs(self, passes: Tensor, a: Tensor, b: Tensor) -> list[Tensor]:
        """Return the inputs of the other layers at points a, b (T,), from passes (3, q, n, m): T tensors (n, ...)."""
        # For XLA: point by point, so that nothing but the end of each is written to memory; place by place, for a
        # reduction over an axis is not vectorised; all numbers in one row, for an axis of 10 channels is too short.
        rows = tf.reshape(passes, [*passes.shape[:2], -1])
        places = [[rows[k, q] for k in range(3)] for q in range(rows.shape[1])]
        outputs = []
        for s, t in zip(tf.unstack(a), tf.unstack(b), strict=True):
            values = [self.activation(z0 + s * z1 + t * z2) for z0, z1, z2 in places]
            outputs.append(tf.reshape(reduce(tf.maximum, values), [-1, *self.shape]))
        return outputs


def first_layer(model: keras.Model, plane: Plane, x: Tensor, batch_size: int) -> FirstLayer | None:
    """Return the first layer over `plane` with its passes computed; None if the model does not allow it.

    It is where the first layer with weights is a Dense or Conv2D, all of it is trained, the input reaches the one
    output through it alone, its activation is of `ELEMENTWISE`, no layer adds a loss, and the passes take at most 1 GB.
    `model` is not touched: layers are taken from a copy.
    """
    copy = _copy(model, x)
    layer = None if copy is None else next((one for one in copy.layers if one.weights), None)
    if copy is None or layer is None or type(layer) not in (keras.layers.Dense, keras.layers.Conv2D):
        return None
    if layer.activation not in {keras.activations.get(name) for name in ELEMENTWISE}:
        return None
    own, trained = layer.trainable_variables, copy.trainable_variables
    if len(own) != len(layer.weights) or any(a is not b for a, b in zip(own, trained, strict=False)):
        return None
    if layer.compute_dtype != layer.variable_dtype or getattr(layer, "lora_enabled", False):
        return None
    pool = _pool_after(copy, layer)
    try:
        before = keras.Model(copy.inputs, layer.input)
        following = keras.Model(layer.output if pool is None else pool.output, copy.outputs[0])
        one = layer(before(x[:1], training=False))
        whole = following(one if pool is None else pool(one), training=False)
    except (ValueError, AttributeError, KeyError):  # a way around the layer, or several ways through it
        return None
    if not agree(whole, copy(x[:1], training=False)):
        return None
    if len(following.trainable_variables) != len(trained) - len(own):
        return None
    n, size = int(x.shape[0]), tf.as_dtype(layer.compute_dtype).size
    if None in layer.output.shape[1:] or 3 * n * int(np.prod(layer.output.shape[1:])) * size > MOST_BYTES:
        return None
    weights = sum(int(np.prod(v.shape)) for v in own)
    kernels = [_split(row[:weights], own) for row in (plane.origin, plane.first, plane.second)]
    passes = []
    for part in chunks(x, batch_size):
        h = before(part, training=False)
        passes.append(tf.stack([_apart(_linear(layer, h, kernel, bias), pool) for kernel, *bias in kernels]))
    after = layer if pool is None else pool
    return FirstLayer(passes, weights, layer.activation, tuple(after.output.shape[1:]), following)


def _copy(model: keras.Model, x: Tensor) -> keras.Model | None:
    """Return a copy whose graph can be cut; None for a model that is not just a graph, or whose layers add losses."""
    empty = keras.Input((1,))
    functional = type(keras.Model(empty, keras.ops.abs(empty)))  # the class has no public name
    graph = type(model).call in (functional.call, keras.Sequential.call)
    if not graph or not tf.is_tensor(x) or len(model.inputs) != 1 or len(model.outputs) != 1:
        return None
    try:
        copy = copied(model, x[:1])
        z = copy(x[:1], training=False)  # only then does a layer say which losses it adds
    except (UserError, ValueError, TypeError, AttributeError, NotImplementedError):  # a layer that cannot be made anew
        return None
    return None if copy.losses or not tf.is_tensor(z) else copy


def _split(row: Array, variables: Tensor) -> list[Tensor]:
    sizes = [int(np.prod(v.shape)) for v in variables]
    pieces = np.split(row, np.cumsum(sizes)[:-1])
    return [tf.constant(p.reshape(v.shape), v.dtype) for p, v in zip(pieces, variables, strict=True)]


def _linear(layer: keras.layers.Layer, h: Tensor, kernel: Tensor, bias: list[Any]) -> Tensor:
    """Apply the layer without its activation, with other weights."""
    if isinstance(layer, keras.layers.Dense):
        z = keras.ops.matmul(h, kernel)
    else:
        z = keras.ops.conv(
            h,
            kernel,
            strides=list(layer.strides),
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            data_format=layer.data_format,
        )
    if not bias:
        return z
    first = isinstance(layer, keras.layers.Conv2D) and layer.data_format == "channels_first"
    return z + (tf.reshape(bias[0], [1, -1, 1, 1]) if first else bias[0])


def _pool_after(model: keras.Model, layer: keras.layers.Layer) -> Tensor:
    """Return the max-pool that is the only consumer of `layer`, if it has no overlap, padding or remainder."""
    nodes = layer._outbound_nodes
    pool: Any = nodes[0].operation if len(nodes) == 1 and len(layer._inbound_nodes) == 1 else None
    if type(pool) is not keras.layers.MaxPooling2D or pool not in model.layers:
        return None
    shape = layer.output.shape
    last = isinstance(layer, keras.layers.Conv2D) and layer.data_format == pool.data_format == "channels_last"
    whole = last and all(s is not None and s % p == 0 for s, p in zip(shape[1:3], pool.pool_size, strict=True))
    return pool if whole and tuple(pool.strides) == tuple(pool.pool_size) else None


def _apart(z: Tensor, pool: keras.layers.Layer) -> Tensor:
    """Reshape (n, ...) to (q, n, m): the positions under a pool on the first axis, one if there is no pool."""
    if pool is None:
        return tf.reshape(z, [1, z.shape[0], -1])
    n, h, w, c = z.shape
    p, q = pool.pool_size
    return tf.reshape(tf.transpose(tf.reshape(z, [n, h // p, p, w // q, q, c]), [2, 4, 0, 1, 3, 5]), [p * q, n, -1])
