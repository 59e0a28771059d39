"""What one update says of every trainable variable: norms of its gradient, its change and its value, and shares.

All are scalars of the graph in which the update is computed, so that nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor, Tensors

STATISTICS = ("raw", "applied", "update", "weight", "zeros", "nonfinite")
"""The parts of a row in their order, one number of every variable each: four norms, and two numbers of entries."""


SMALL = 1e-28
"""Sums of squares below this are added again in float64."""


@dataclass(frozen=True)
class Gradient:
    """A gradient as a tensor of its nonzero part, and the number of entries of the whole."""

    values: Tensor
    size: int


def as_gradient(gradient: Tensor | None, shape: Sequence[int], dtype: tf.DType, *, static: bool) -> Gradient | None:
    """Return a gradient whose entries add up once; None stays None.

    Args:
        gradient: a tensor, or the slices of an embedding, in which a row may occur several times.
        shape: of the variable.
        dtype: in which it is measured.
        static: whether all shapes must be known to the compiler; then the rows that slices lack are filled with zeros.
    """
    if gradient is None:
        return None
    size = 1
    for n in shape:
        size *= int(n)
    if isinstance(gradient, tf.IndexedSlices):
        if static:
            gradient = tf.convert_to_tensor(gradient)
        else:
            rows, index = tf.unique(gradient.indices)
            gradient = tf.math.unsorted_segment_sum(gradient.values, index, tf.size(rows))
    return Gradient(tf.cast(gradient, dtype), size)


def squared_norms(tensors: Sequence[Tensor | None], dtype: tf.DType) -> Tensor:
    """Return the sums of the squared entries, (n,); 0 for None. One operation each, without an intermediate tensor."""
    return 2.0 * tf.stack([tf.zeros([], dtype) if t is None else tf.nn.l2_loss(t) for t in tensors])


def gradient_statistics(gradients: Sequence[Gradient | None], dtype: tf.DType) -> tuple[Tensor, Tensor, Tensor]:
    """Return of every gradient its norm, its entries that are not zero, and its entries that are not finite, (n,) each.

    The squares are added in `dtype`, and again in float64 where a sum is not finite or so small that squares of entries
    may have become 0: gradients that vanish or explode are what one looks for.
    """
    values = [None if g is None else g.values for g in gradients]
    squares = squared_norms(values, dtype)
    sums = tf.stack(
        [s for s, v in zip(tf.unstack(squares), values, strict=True) if v is not None] or [tf.ones([], dtype)]
    )

    def usual() -> tuple[Tensor, Tensor, Tensor]:
        # The squares of signs are ones: fewer passes over the entries than by comparing and counting.
        nonzero = squared_norms([None if v is None else tf.sign(v) for v in values], dtype)
        return tf.sqrt(squares), nonzero, tf.zeros_like(squares)

    def exact() -> tuple[Tensor, Tensor, Tensor]:
        columns = [_exact(v, dtype) for v in values]
        norms, nonzero, nonfinite = (tf.stack(column) for column in zip(*columns, strict=True))
        return norms, nonzero, nonfinite

    is_usual = tf.logical_and(tf.reduce_min(sums) > SMALL, tf.math.is_finite(tf.reduce_max(sums)))
    return tf.cond(is_usual, usual, exact)


def _exact(values: Tensor | None, dtype: tf.DType) -> tuple[Tensor, Tensor, Tensor]:
    """Return norm, nonzero entries and entries that are not finite, whatever the entries are."""
    if values is None:
        return (tf.zeros([], dtype),) * 3
    norm = tf.cast(tf.norm(tf.cast(values, tf.float64)), dtype)
    nonzero = tf.reduce_sum(tf.cast(tf.not_equal(values, 0), dtype))
    finite = tf.reduce_sum(tf.cast(tf.math.is_finite(values), dtype))
    return norm, nonzero, tf.cast(tf.size(values), dtype) - finite


def change_norms(before: Tensors, after: Tensors, dtype: tf.DType) -> tuple[Tensor, Tensor]:
    """Return the norm of the change of every variable, and of its value before, (n,) both."""
    first, last = ([tf.cast(t, dtype) for t in tensors] for tensors in (before, after))
    changes = squared_norms([b - a for a, b in zip(first, last, strict=True)], dtype)
    return tf.sqrt(changes), tf.sqrt(squared_norms(first, dtype))


def of_update(
    gradients: Sequence[Gradient | None],
    before: Tensors,
    after: Tensors,
    sizes: Sequence[int],
    dtype: tf.DType,
    *,
    scale: Tensor | None = None,
    detailed: bool = True,
) -> dict[str, Tensor]:
    """Return the statistics of every variable, (n,) each, by their names in :data:`STATISTICS`, `applied` left out.

    Args:
        gradients: of the variables.
        before: values of the variables before the update; not used unless `detailed`.
        after: their values after it.
        sizes: numbers of entries.
        dtype: of the numbers.
        scale: factor of the loss, which the norms of gradients do not contain.
        detailed: False leaves out what takes several passes over the weights: it is nan.
    """
    if detailed:
        norms, nonzero, nonfinite = gradient_statistics(gradients, dtype)
        changes, weights = change_norms(before, after, dtype)
        zeros = tf.constant(list(sizes), dtype) - nonzero
    else:
        squares = squared_norms([None if g is None else g.values for g in gradients], dtype)
        is_known = squares > tf.constant([-1.0 if g is None else SMALL for g in gradients], dtype)
        norms = tf.sqrt(tf.where(is_known, squares, np.nan))
        nonfinite = squares - squares  # 0; nan, which is not known, where the norm is not finite
        changes = weights = zeros = tf.constant(np.nan, dtype, [len(sizes)])
    if scale is not None:
        norms = norms / tf.cast(scale, dtype)
    return {"raw": norms, "update": changes, "weight": weights, "zeros": zeros, "nonfinite": nonfinite}


def as_columns(statistics: Mapping[str, Tensor]) -> Tensor:
    """Return all statistics as rows in the order of :data:`STATISTICS`, (statistics, n)."""
    return tf.stack([statistics[name] for name in STATISTICS])
