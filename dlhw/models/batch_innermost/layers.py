"""The arithmetic of each layer on activations (channels, height, width, batch), or (features, batch) after flattening.

Each layer equals Keras's up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import keras
import tensorflow as tf

from dlhw._tf.sliding import first_maximum, stored, transposed, windows
from dlhw._tf.types import Tensor
from dlhw.models.batch_innermost.tiles import Filter

Activation: TypeAlias = Callable[[Tensor], Tensor]
Pads: TypeAlias = tuple[tuple[int, int], tuple[int, int]]  # rows before and after, columns before and after


class Read(Protocol):
    """The tensor of a variable: that of the model, or another one given in its place."""

    @property
    def is_pure(self) -> bool:
        """Whether the states of the model stay as they are."""

    def __call__(self, variable: keras.Variable) -> Tensor:
        """Return the tensor."""


class Layer(Protocol):
    """One layer, or several that are computed together."""

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return the outputs for inputs `h`."""


@dataclass(frozen=True)
class Convolution:
    """A convolution, its activation, and a max-pool without overlap or remainder right after it."""

    sizes: Filter
    tile: tuple[int, int]  # outputs that one column of the product gives
    inputs: tuple[int, int]  # rows and columns of the input that anything depends on
    outputs: tuple[int, int]  # before the pool, as many as anything depends on
    pads: Pads
    kernel: keras.Variable
    bias: keras.Variable | None
    activation: Activation  # elementwise; non-decreasing if there is a pool

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return the activations after the pool."""
        bias = None if self.bias is None else read(self.bias)
        return self.nonlinear(self.linear(h, read(self.kernel)), bias)

    def linear(self, h: Tensor, kernel: Tensor) -> Tensor:
        """Return the products with the kernel, (filters and pools in a tile, places in a pool, tiles and batch)."""
        window, step = self.sizes.window(self.tile), [t * s for t, s in zip(self.tile, self.sizes.strides, strict=True)]
        h = _padded(_cropped(h, self.inputs), self.pads)
        patches = windows(windows(h, 1, window[0], step[0]), 2, window[1], step[1])
        z = tf.matmul(self._rows(kernel), tf.reshape(patches, [patches.shape[0], -1]))
        places = math.prod(self.sizes.pool)
        return tf.reshape(z, [z.shape[0] // places, places, -1])

    def nonlinear(self, z: Tensor, bias: Tensor | None) -> Tensor:
        """Return the activations after the pool, (filters, height, width, batch), of what `linear` gives.

        The bias is the same in a pool and the activation non-decreasing, so that both can follow the maximum.
        """
        z = first_maximum(z) if z.shape[1] > 1 else tf.squeeze(z, 1)
        a, b = (t // p for t, p in zip(self.tile, self.sizes.pool, strict=True))
        if bias is not None:
            z = z + tf.repeat(bias, a * b)[:, None]
        h = stored(self.activation(z))
        height, width = (n // t for n, t in zip(self.outputs, self.tile, strict=True))
        h = tf.reshape(h, [self.sizes.filters, a, b, height, width, -1])
        if a * b > 1:
            h = transposed(h, [0, 3, 1, 4, 2, 5])
        return tf.reshape(h, [self.sizes.filters, height * a, width * b, -1])

    def _rows(self, kernel: Tensor) -> Tensor:
        """Return the weights of all outputs of a tile: (filters, pools in a tile, places in a pool) x window."""
        (height, width), (s, t) = self.sizes.window(self.tile), self.sizes.strides
        (k, m), (p, q) = self.sizes.kernel, self.sizes.pool
        kernel = tf.transpose(kernel, [3, 1, 0, 2])  # filter, window column, window row, channel
        shifted = [
            tf.pad(kernel, [[0, 0], [x * t, width - m - x * t], [y * s, height - k - y * s], [0, 0]])
            for top in range(0, self.tile[0], p)
            for start in range(0, self.tile[1], q)
            for y in range(top, top + p)
            for x in range(start, start + q)
        ]
        return tf.reshape(tf.stack(shifted, 1), [len(shifted) * self.sizes.filters, -1])


@dataclass(frozen=True)
class Dense:
    """A dense layer; `image` is the shape (channels, height, width) of inputs that Keras flattens before it."""

    kernel: keras.Variable
    bias: keras.Variable | None
    activation: Activation  # elementwise
    image: tuple[int, int, int] | None = None

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return the activations, (units, batch)."""
        return self.nonlinear(self.linear(h, read(self.kernel)), None if self.bias is None else read(self.bias))

    def linear(self, h: Tensor, kernel: Tensor) -> Tensor:
        """Return the products with the kernel, (units, batch)."""
        if self.image is not None:
            channels, height, width = self.image
            if kernel.shape[1] < h.shape[-1]:  # the smaller of both is brought into the order of the other
                kernel = tf.transpose(tf.reshape(kernel, [height, width, channels, -1]), [2, 0, 1, 3])
                kernel = tf.reshape(kernel, [channels * height * width, -1])
            else:
                h = transposed(h, [1, 2, 0, 3])
            h = tf.reshape(h, [channels * height * width, -1])
        # Not kernel times h: with few examples this product is up to a fifth faster.
        return tf.transpose(tf.matmul(h, kernel, transpose_a=True))

    def nonlinear(self, z: Tensor, bias: Tensor | None) -> Tensor:
        """Return the activations of what `linear` gives."""
        return self.activation(z if bias is None else z + bias[:, None])


@dataclass(frozen=True)
class Pool:
    """Maximum or average over windows, which may overlap; positions outside the image do not count."""

    size: tuple[int, int]
    strides: tuple[int, int]
    inputs: tuple[int, int]  # rows and columns of the input that anything depends on
    pads: Pads
    average: bool

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return the pooled activations."""
        h = _cropped(h, self.inputs)
        z = self._entries(h, 0 if self.average else h.dtype.min)
        places, channels, height, width, batch = z.shape
        if self.average:
            count = self._entries(tf.ones_like(h[:1, :, :, :1]), 0) if any(map(sum, self.pads)) else None
            return tf.reduce_sum(z, 0) / (places if count is None else tf.reduce_sum(count, 0))
        z = tf.transpose(tf.reshape(z, [places, channels, -1]), [1, 0, 2])
        return tf.reshape(first_maximum(z), [channels, height, width, batch])

    def _entries(self, h: Tensor, outside: float) -> Tensor:
        """Return the entries of all windows, row by row: (entries, channels, height, width, batch)."""
        h = _padded(h, self.pads, outside)
        z = windows(windows(h, 2, self.size[1], self.strides[1]), 1, self.size[0], self.strides[0])
        return tf.reshape(z, [math.prod(self.size), h.shape[0], *z.shape[1:]])


@dataclass(frozen=True)
class GlobalPool:
    """Maximum or average over the whole image: (channels, batch), or (channels, 1, 1, batch)."""

    average: bool
    keep: bool  # height and width, as axes of length one

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return the pooled activations."""
        return (tf.reduce_mean if self.average else tf.reduce_max)(h, [1, 2], keepdims=self.keep)


@dataclass(frozen=True)
class Flatten:
    """Features in the order of Keras: rows, columns, channels."""

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return (features, batch)."""
        return tf.reshape(transposed(h, [1, 2, 0, 3]), [-1, h.shape[-1]])


@dataclass(frozen=True)
class Elementwise:
    """A function of one number, such as an activation."""

    function: Activation

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return the function of every number."""
        return self.function(h)


@dataclass(frozen=True)
class Rescaling:
    """A factor and an offset, for all channels or for each."""

    layer: keras.layers.Rescaling

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return scale h + offset."""
        scale, offset = (
            tf.reshape(tf.cast(a, h.dtype), [-1, *[1] * (len(h.shape) - 1)])
            for a in (self.layer.scale, self.layer.offset)
        )
        return h * scale + offset


@dataclass(frozen=True)
class BatchNormalization:
    """Normalized over batch and image if training, which moves the statistics of the layer; by these otherwise."""

    layer: keras.layers.BatchNormalization

    def __call__(self, h: Tensor, read: Read, training: bool) -> Tensor:
        """Return (h - mean) / sqrt(variance + epsilon) gamma + beta."""
        layer, shape = self.layer, [-1, *[1] * (len(h.shape) - 1)]
        if training and layer.trainable:
            axes = list(range(1, len(h.shape)))
            mean = tf.reduce_mean(h, axes)
            variance = tf.reduce_mean(tf.square(h - tf.reshape(mean, shape)), axes)
            moved = () if read.is_pure else ((layer.moving_mean, mean), (layer.moving_variance, variance))
            for moving, value in moved:
                moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
        else:
            mean, variance = read(layer.moving_mean), read(layer.moving_variance)
        factor = tf.math.rsqrt(variance + layer.epsilon)
        if layer.scale:
            factor = factor * read(layer.gamma)
        h = (h - tf.reshape(mean, shape)) * tf.reshape(factor, shape)
        return h + tf.reshape(read(layer.beta), shape) if layer.center else h


def batch_last(x: Tensor) -> Tensor:
    """Return (features, batch) from (batch, features), or (channels, height, width, batch) from Keras's images."""
    return tf.transpose(x, [3, 1, 2, 0] if len(x.shape) == 4 else [1, 0])


def batch_first(h: Tensor) -> Tensor:
    """Undo :func:`batch_last`."""
    return tf.transpose(h, [3, 1, 2, 0] if len(h.shape) == 4 else [1, 0])


def _padded(h: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    return tf.pad(h, [[0, 0], *map(list, pads), [0, 0]], constant_values=value) if any(map(sum, pads)) else h


def _cropped(h: Tensor, size: tuple[int, int]) -> Tensor:
    return h if tuple(h.shape[1:3]) == size else h[:, : size[0], : size[1]]
