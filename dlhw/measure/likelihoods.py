"""The distributions whose negative log likelihoods are Keras's losses, and the Fisher information of their outputs."""

from __future__ import annotations

import keras
import tensorflow as tf

from dlhw._tf.inputs import wide_dtype
from dlhw._tf.losses import ExampleLoss, cross_entropy
from dlhw._tf.types import Tensor
from dlhw.errors import require

_CATEGORIES = (
    cross_entropy,
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
)
_BITS = (keras.losses.binary_crossentropy,)
_SQUARES = (keras.losses.mean_squared_error,)
_SMALLEST = 1e-7
"""Probabilities are clipped here, as Keras does."""


def check_likelihood(loss: ExampleLoss) -> None:
    """Refuse losses whose distribution is not known.

    Raises:
        UserError: for other losses than cross entropies over the last axis, and squared errors, and smoothed labels.
    """
    known = any(loss.base is f for f in (*_CATEGORIES, *_BITS, *_SQUARES)) and loss.arguments.get("axis", -1) == -1
    name = getattr(loss.base, "__name__", type(loss.base).__name__)
    smoothing = loss.arguments.get("label_smoothing", 0)
    require(
        not smoothing,
        f'the true Fisher information needs the distribution of the targets, and loss "{name}" with label_smoothing '
        f'{smoothing:g} is not the negative log likelihood of any; leave label_smoothing out, or use kind="empirical", '
        "or ggn(...)",
    )
    require(
        known,
        f'the true Fisher information needs the distribution of the targets, and that of loss "{name}" is not known; '
        'use a cross entropy or the mean squared error, kind="empirical", or ggn(...)',
    )


def fisher_of_outputs(loss: ExampleLoss, y: Tensor, z: Tensor, u: Tensor) -> Tensor:
    """Return F u of all entries, in the shape of the outputs z: F = E[s s'] with s = d loss / d z.

    The expectation is over targets drawn from the distribution that z stands for, not over those of the data, and
    exact. The targets y say which entries count.
    """
    dtype = z.dtype
    wide, v = (tf.cast(a, wide_dtype(dtype)) for a in (z, u))
    if any(loss.base is f for f in _CATEGORIES):
        product = _categories(wide, v, bool(loss.from_logits))
    elif any(loss.base is f for f in _BITS):
        product = _bits(wide, v, bool(loss.from_logits)) / z.shape[-1]
    else:
        product = 2 * v / z.shape[-1]
    losses, mask = loss.terms(y, z)
    if mask is not None:
        weights = tf.cast(mask, product.dtype)
        product *= tf.reshape(weights, [*weights.shape, *[1] * (len(product.shape) - len(losses.shape))])
    return tf.cast(product * loss.weight, dtype)


def _categories(z: Tensor, u: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        p = tf.nn.softmax(z)
        return p * (u - tf.reduce_sum(p * u, -1, keepdims=True))
    # log p_k = log z_k - log sum(z), as Keras divides outputs by their sum.
    total = tf.reduce_sum(z, -1, keepdims=True)
    p = tf.clip_by_value(z / total, _SMALLEST, 1.0)
    slopes = p * (u / (p * total) - tf.reduce_sum(u, -1, keepdims=True) / total)
    return slopes / (p * total) - tf.reduce_sum(slopes, -1, keepdims=True) / total


def _bits(z: Tensor, u: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        p = tf.sigmoid(z)
        return p * (1 - p) * u
    p = tf.clip_by_value(z, _SMALLEST, 1 - _SMALLEST)
    return u / (p * (1 - p))
