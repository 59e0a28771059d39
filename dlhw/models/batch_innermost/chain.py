"""From a Keras model that is a chain of known layers to one function with the batch innermost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.models.batch_innermost import layers as ours
from dlhw.models.batch_innermost.known import (
    Link,
    activation_of,
    has_activation,
    is_non_decreasing,
    is_pool_without_overlap,
    known_links,
)
from dlhw.models.batch_innermost.sizes import Size, needed, pads
from dlhw.models.batch_innermost.tiles import Filter, best_tile

K = keras.layers


@dataclass(frozen=True)
class Chain:
    """The layers of a model in order."""

    layers: tuple[ours.Layer, ...]
    inputs: tuple[int, ...]  # shape of an example
    dtype: str
    last: Callable[[Tensor], Tensor]  # activation of the outputs, with the batch first, from which losses read logits
    normalizes: bool  # whether it has batch normalization, for which a batch of a training is taken whole
    drops: bool  # whether it has dropout, which draws other numbers in a program of XLA

    def __call__(self, x: Tensor, read: ours.Read, training: bool) -> Tensor:
        """Return the outputs of the model, (n, ...), for inputs (n, ...)."""
        return self.after(0, self._first(x), read, training)

    def _first(self, x: Tensor) -> Tensor:
        return ours.batch_last(tf.cast(x, self.dtype))

    def before(self, last: int, x: Tensor) -> Tensor:
        """Return the inputs of layer `last` in inference mode, if no layer before it has weights."""
        return _through(self.layers[:last], self._first(x), _NO_WEIGHTS, False)

    def after(self, first: int, h: Tensor, read: ours.Read, training: bool) -> Tensor:
        """Return the outputs of the model, from the inputs of layer `first`."""
        return self.last(ours.batch_first(_through(self.layers[first:], h, read, training)))


def _through(layers: Sequence[ours.Layer], h: Tensor, read: ours.Read, training: bool) -> Tensor:
    for layer in layers:
        h = layer(h, read, training)
    return h


class _NoWeights:
    is_pure = True

    def __call__(self, variable: keras.Variable) -> Tensor:
        raise KeyError(variable.path)


_NO_WEIGHTS = _NoWeights()


def chain_of(model: keras.Model, *, first_reused: bool = False) -> Chain | None:
    """Return the layers of `model`; None if it is not a chain of known layers.

    Args:
        model: any built Keras model.
        first_reused: whether the products of the first convolution are computed once and used many times, so that only
            what follows them has to be fast.
    """
    links = known_links(model)
    if links is None:
        return None
    end = links[-1].layer
    last = activation_of(end) if has_activation(end) else keras.activations.linear
    sizes = needed(links)
    layers: list[ours.Layer] = []
    k = 0
    while k < len(links):
        layer, taken = _layer(links[k:], sizes[k:])
        if first_reused and isinstance(layer, ours.Convolution):
            layer, first_reused = replace(layer, tile=layer.sizes.pool), False
        layers.append(layer)
        k += taken
    kinds = {type(link.layer) for link in links}
    dtype = model.inputs[0].dtype
    return Chain(tuple(layers), links[0].inputs, dtype, last, K.BatchNormalization in kinds, K.Dropout in kinds)


def _layer(links: Sequence[Link], sizes: Sequence[Size]) -> tuple[ours.Layer, int]:
    """Return the function of the first of `links`, and how many of them it computes."""
    layer = links[0].layer
    if isinstance(layer, K.Conv2D):
        return _convolution(links, sizes)
    if isinstance(layer, K.Flatten):
        if len(links) > 1 and isinstance(links[1].layer, K.Dense) and len(links[0].inputs) == 3:
            height, width, channels = links[0].inputs
            return _dense(links[1:], (channels, height, width)), 2
        return ours.Flatten() if len(links[0].inputs) == 3 else ours.Elementwise(keras.activations.linear), 1
    if isinstance(layer, K.Dense):
        return _dense(links, None), 1
    if isinstance(layer, (K.MaxPooling2D, K.AveragePooling2D)):
        size, strides = layer.pool_size, layer.strides
        average = isinstance(layer, K.AveragePooling2D)
        return ours.Pool(size, strides, sizes[0], pads(links[0], sizes[0], sizes[1]), average), 1
    if isinstance(layer, (K.GlobalMaxPooling2D, K.GlobalAveragePooling2D)):
        return ours.GlobalPool(isinstance(layer, K.GlobalAveragePooling2D), layer.keepdims), 1
    if isinstance(layer, K.Rescaling):
        return ours.Rescaling(layer), 1
    if isinstance(layer, K.Dropout):
        return ours.Elementwise(keras.activations.linear), 1
    if isinstance(layer, K.BatchNormalization):
        return ours.BatchNormalization(layer), 1
    return ours.Elementwise(_inner_activation(links)), 1


def _inner_activation(links: Sequence[Link]) -> ours.Activation:
    """Return the activation of the first of `links`; none if it is the last, whose activation has the batch first."""
    return activation_of(links[0].layer) if len(links) > 1 else keras.activations.linear


def _dense(links: Sequence[Link], image: tuple[int, int, int] | None) -> ours.Dense:
    layer = links[0].layer
    return ours.Dense(layer.kernel, layer.bias, _inner_activation(links), image)


def _convolution(links: Sequence[Link], sizes: Sequence[Size]) -> tuple[ours.Convolution, int]:
    """Return a convolution with the activation and the max-pool after it, where these can be computed together."""
    conv, taken = links[0].layer, 1
    activation, monotone = _inner_activation(links), is_non_decreasing(conv)
    after = links[1].layer if len(links) > 2 else conv
    if conv.activation is keras.activations.linear and has_activation(after) and not after.weights:
        activation, monotone, taken = _inner_activation(links[1:]), is_non_decreasing(after), 2
    outputs, pool = sizes[taken], (1, 1)
    if monotone and taken < len(links) and is_pool_without_overlap(links[taken].layer):
        pool, taken = links[taken].layer.pool_size, taken + 1
    kernel = conv.kernel
    height, width, channels, filters = kernel.shape
    shape = Filter((height, width), conv.strides, channels, filters, pool)
    around = pads(links[0], sizes[0], outputs)
    return ours.Convolution(
        shape, best_tile(shape, outputs), sizes[0], outputs, around, kernel, conv.bias, activation
    ), taken
