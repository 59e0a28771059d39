"""What the inputs and targets of the first training batch are, computed inside of its step.

The probe may be scaled otherwise than what a model trains on, so the training data themselves are looked at.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor

INPUT = ("input_low", "input_high", "input_mean", "input_std", "input_nonfinite")
TARGET = ("target_low", "target_high", "target_nonfinite", "target_integer", "target_distinct", "target_one_hot")
NAMES = (*INPUT, *TARGET)
"""Fields of :class:`dlhw.watch.spec.Facts`, in the order of the statistics."""
_WORDS = {0.0: "no", 1.0: "yes"}


def statistics(data: Any) -> Tensor:
    """Return the statistics of a batch as numbers, (names,); nan where there is not one array of numbers.

    Args:
        data: what a training step is given: x, y and weights of the examples.
    """
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    return tf.stack([*_of_inputs(x), *_of_targets(y)])


def as_facts(values: np.ndarray) -> dict[str, Any]:
    """Return the statistics as fields of :class:`dlhw.watch.spec.Facts`."""
    facts: dict[str, Any] = {name: float(value) for name, value in zip(NAMES, values, strict=True)}
    for name in ("target_integer", "target_one_hot"):
        facts[name] = _WORDS.get(facts[name], "")
    facts["target_distinct"] = int(np.nan_to_num(facts["target_distinct"]))
    return facts


def _of_inputs(x: Any) -> list[Tensor]:
    """Return low, high, mean, standard deviation and share that is not finite, of the first input of floats."""
    floats = [a for a in keras.tree.flatten(x) if a is not None and a.dtype.is_floating]
    if not floats:
        return [_unknown()] * len(INPUT)
    a = tf.cast(floats[0], tf.float32)
    finite = tf.math.is_finite(a)
    share = tf.reduce_mean(tf.cast(finite, tf.float32))
    filled = tf.where(finite, a, 0.0)
    mean = tf.reduce_mean(filled) / share
    variance = tf.reduce_mean(tf.where(finite, tf.square(a - mean), 0.0)) / share
    return [*_range(a), mean, tf.sqrt(variance), 1.0 - share]


def _of_targets(y: Any) -> list[Tensor]:
    """Return what is known of targets that are one array of numbers."""
    arrays = [a for a in keras.tree.flatten(y) if a is not None and (a.dtype.is_floating or a.dtype.is_integer)]
    if len(arrays) != 1:
        return [_unknown()] * len(TARGET)
    a = tf.cast(arrays[0], tf.float32)
    finite = tf.cast(tf.math.is_finite(a), tf.float32)
    is_whole = tf.cast(tf.reduce_all(tf.equal(a, tf.round(a))), tf.float32)
    ordered = tf.sort(tf.reshape(a, [-1]))
    distinct = 1.0 + tf.reduce_sum(tf.cast(tf.not_equal(ordered[1:], ordered[:-1]), tf.float32))
    is_one_hot = tf.zeros([])
    if len(a.shape) > 1 and (a.shape[-1] or 0) > 1:
        ends = tf.reduce_all(tf.equal(a * (1.0 - a), 0.0))
        is_one_hot = tf.cast(ends & tf.reduce_all(tf.equal(tf.reduce_sum(a, -1), 1.0)), tf.float32)
    return [*_range(a), 1.0 - tf.reduce_mean(finite), is_whole, distinct, is_one_hot]


def _range(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest finite entry."""
    finite, infinity = tf.math.is_finite(a), tf.constant(np.inf, a.dtype)
    return tf.reduce_min(tf.where(finite, a, infinity)), tf.reduce_max(tf.where(finite, a, -infinity))


def _unknown() -> Tensor:
    return tf.constant(np.nan, tf.float32)
