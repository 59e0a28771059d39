"""Accumulated gradients of a compiled step, whose norms are computed beside what Keras computes.

Keras applies them in a branch of the program. Where the compiler finds that something is read in that branch, it rounds
in another order, so that the weights would differ in their last digit.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlhw._tf import step_statistics as statistics
from dlhw._tf.step_statistics import Gradient
from dlhw._tf.types import Tensor


def accumulated_norms(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[Tensor | tf.IndexedSlices | None],
    variables: Sequence[keras.Variable],
    scale: Tensor | None,
    dtype: tf.DType,
) -> Tensor:
    """Return the norms of the gradients that are applied if this call makes an update: their mean, clipped.

    Args:
        optimizer: that accumulates.
        gradients: of this call, of every variable.
        variables: of the call.
        scale: of the loss; None: 1.
        dtype: of the norms.

    Returns:
        One norm for every gradient that is not None.
    """
    means = []
    for gradient, variable in zip(gradients, variables, strict=True):
        if gradient is None:
            continue
        held = tf.convert_to_tensor(optimizer._accumulated_gradients[optimizer._get_variable_index(variable)])
        own = tf.cast(tf.convert_to_tensor(gradient), held.dtype)
        own = own if scale is None else own / tf.cast(scale, held.dtype)
        means.append((own + held) / optimizer.gradient_accumulation_steps)
    clipped = [Gradient(tf.cast(mean, dtype), 0) for mean in optimizer._clip_gradients(means)]
    norms, _, _ = statistics.gradient_statistics(clipped, dtype)
    return norms
