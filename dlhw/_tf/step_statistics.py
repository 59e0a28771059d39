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


def nonzero_count(tensor: Tensor) -> Tensor:
    """Return the number of entries that are not zero, in the dtype of the tensor."""
    return tf.reduce_sum(tf.cast(tf.cast(tensor, tf.bool), tensor.dtype))


def gradient_norms(
    gradients: Sequence[Gradient | None], dtype: tf.DType, *, exact_counts: bool = True
) -> tuple[Tensor, Tensor]:
    """Return the norm of every gradient, and its number of entries that are not finite, (n,) both.

    The squares are added in `dtype`, and again in float64 where their sum is not finite: an entry that is not finite is
    told apart from a sum that is too large.

    Args:
        gradients: of the variables.
        dtype: of the numbers.
        exact_counts: False saves the branch: where a norm is not finite, the number of entries is nan, not known.
    """
    zero = tf.zeros([], dtype)
    squares = squared_norms([None if g is None else g.values for g in gradients], dtype)
    if not exact_counts:
        norms = tf.sqrt(squares)
        return norms, norms - norms  # 0, or nan

    def exact() -> tuple[Tensor, Tensor]:
        wide = [None if g is None else tf.cast(g.values, tf.float64) for g in gradients]
        norms = [zero if g is None else tf.cast(tf.norm(g), dtype) for g in wide]
        finite = [zero if g is None else tf.cast(tf.math.is_finite(g.values), dtype) for g in gradients]
        counts = [
            zero if g is None else tf.cast(tf.size(f), dtype) - tf.reduce_sum(f)
            for g, f in zip(gradients, finite, strict=True)
        ]
        return tf.stack(norms), tf.stack(counts)

    is_finite = tf.math.is_finite(tf.reduce_sum(squares))
    return tf.cond(is_finite, lambda: (tf.sqrt(squares), tf.zeros_like(squares)), exact)


def zero_counts(gradients: Sequence[Gradient | None], sizes: Sequence[int], dtype: tf.DType) -> Tensor:
    """Return the number of entries of every gradient that are zero, (n,); all of one that is None."""
    zero = tf.zeros([], dtype)
    nonzero = tf.stack([zero if g is None else nonzero_count(g.values) for g in gradients])
    return tf.constant(list(sizes), dtype) - nonzero


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
    norms, nonfinite = gradient_norms(gradients, dtype, exact_counts=detailed)
    if scale is not None:
        norms = norms / tf.cast(scale, dtype)
    known = {"raw": norms, "nonfinite": nonfinite}
    if not detailed:
        unknown = tf.constant(np.nan, dtype, [len(sizes)])
        return known | {"update": unknown, "weight": unknown, "zeros": unknown}
    changes, weights = change_norms(before, after, dtype)
    return known | {"update": changes, "weight": weights, "zeros": zero_counts(gradients, sizes, dtype)}


def as_columns(statistics: Mapping[str, Tensor]) -> Tensor:
    """Return all statistics as rows in the order of :data:`STATISTICS`, (statistics, n)."""
    return tf.stack([statistics[name] for name in STATISTICS])
