"""The loss at many points of a line or plane of weights, for which the first layer is computed only a few times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled
from dlhw._tf.inputs import chunks
from dlhw._tf.losses import correct_predictions
from dlhw._tf.pieces import examples_per_call, sums_over_pieces
from dlhw._tf.sliding import stored
from dlhw._tf.types import Tensor
from dlhw.measure.objective import Objective, Value
from dlhw.models.batch_innermost.chain import Chain
from dlhw.models.batch_innermost.layers import Convolution, Dense
from dlhw.models.forward import FAILURES, Forward, forward_function

Array = NDArray[np.floating]
Weights = Sequence[Array]
"""One array for each of `model.weights`."""

POINTS = 16
"""Points computed together, for each piece of the examples: the first layer is computed once for all of them."""
EXAMPLES = 40
"""Examples of a piece: few, since the outputs of the first layer for each W_k have to stay in the cache."""
_MOST_BYTES = 1 << 27
"""Largest memory of the weights of all points."""


@dataclass(frozen=True)
class _Split:
    """A chain of layers, and which of them is linear in its weights and comes before all other weights."""

    chain: Chain
    position: int
    first: Convolution | Dense


@dataclass(frozen=True)
class _Point:
    """The weights of one point, out of those of all points."""

    stacked: Sequence[Tensor]
    order: Mapping[int, int]  # of the variables, by id
    t: Tensor
    is_pure = True

    def __call__(self, variable: keras.Variable) -> Tensor:
        return self.stacked[self.order[id(variable)]][self.t]


class Combinations:
    """Loss and accuracy at sums of c_k W_k for fixed weights W_k, such as (1 - alpha) start + alpha end.

    The outputs of the first layer with weights are linear in its weights before its activation: at any point they are
    the same sums of the outputs for each W_k. Computed so, they are equal up to rounding. Of the model nothing is
    changed, so that several threads may call `values`.
    """

    def __init__(self, objective: Objective, forward: Forward, split: _Split, bases: Sequence[Weights]) -> None:
        """bases: the W_k; see :func:`combinations`."""
        self.objective, self.forward = objective, forward
        self.chain, self.position, self.first = split.chain, split.position, split.first
        variables = forward.model.weights
        self.kernel = next(k for k, v in enumerate(variables) if v is self.first.kernel)
        self.kinds = [v.dtype for v in variables]
        self.kernels = tf.constant(np.stack([base[self.kernel] for base in bases]), self.kinds[self.kernel])
        size = sum(v.shape.num_elements() * tf.as_dtype(v.dtype).size for v in variables)
        self.examples = examples_per_call(objective.n, objective.data[0])
        self.most = int(max(1, min(POINTS, _MOST_BYTES // size)))
        self._compiled = Compiled(self._sums, xla=True)

    def compile(self) -> None:
        """Compile for the first chunk; no point is computed."""
        x, y = next(chunks(self.objective.data, self.examples))
        points = tf.zeros([self.most, len(self.kernels)], self.kernels.dtype)
        stacked = [
            tf.zeros([self.most, *([1] if k == self.kernel else v.shape)], v.dtype)
            for k, v in enumerate(self.forward.model.weights)
        ]
        self._compiled(x, y, tf.constant(0), self.kernels, points, stacked)

    def values(self, coefficients: Array, weights: Sequence[Weights]) -> list[Value]:
        """Return loss and accuracy at each point.

        Args:
            coefficients: c_k, (points, bases).
            weights: those of each point, of which the kernel of the first layer is not used.
        """
        values: list[Value] = []
        for k in range(0, len(weights), self.most):
            sums = self._block(coefficients[k : k + self.most], weights[k : k + self.most])
            values += [
                Value(float(loss / self.objective.denominator), float(right / self.objective.n)) for loss, right in sums
            ]
        return values

    def _block(self, coefficients: Array, weights: Sequence[Weights]) -> Array:
        """Return sums of losses and correct predictions, (points, 2), at no more than `most` points."""
        count = len(weights)
        rows = np.resize(np.arange(count), self.most)  # another number of points would compile anew
        stacked = [
            tf.constant(np.stack([weights[int(r)][k] for r in rows]) if k != self.kernel else np.zeros(1), kind)
            for k, kind in enumerate(self.kinds)
        ]
        points = tf.constant(coefficients[rows], self.kernels.dtype)
        total = np.zeros((self.most, 2))
        for x, y in chunks(self.objective.data, self.examples):
            total += self._compiled(x, y, tf.constant(count), self.kernels, points, stacked).numpy()
        return total[:count]

    def _sums(
        self, x: Tensor, y: Tensor, count: Tensor, kernels: Tensor, points: Tensor, stacked: Sequence[Tensor]
    ) -> Tensor:
        """Return the sums of losses and correct predictions over a chunk at the first `count` points, (most, 2)."""
        zeros = tf.zeros([self.most, 2], tf.float64)
        piece = partial(self._piece, count, kernels, points, stacked)
        return sums_over_pieces(piece, (x, y), zeros, EXAMPLES)

    def _piece(
        self, count: Tensor, kernels: Tensor, points: Tensor, stacked: Sequence[Tensor], x: Tensor, y: Tensor
    ) -> Tensor:
        first, chain = self.first, self.chain
        order = {id(v): k for k, v in enumerate(self.forward.model.weights)}
        h = chain.before(self.position, x)
        outputs = [first.linear(h, kernel) for kernel in tf.unstack(kernels)]

        def point(t: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            factors = tf.unstack(stored(points[t]))  # not looked up again for every number
            z = tf.add_n([factor * output for factor, output in zip(factors, outputs, strict=True)])
            weights = _Point(stacked, order, t)
            h = first.nonlinear(z, None if first.bias is None else weights(first.bias))
            logits = chain.after(self.position + 1, h, weights, False)
            right = correct_predictions(y, logits)
            unknown = tf.constant(np.nan, tf.float64)
            share = unknown if right is None else tf.reduce_sum(tf.cast(right, tf.float64))
            row = tf.stack([tf.cast(self.objective.loss.sums(y, logits)[0], tf.float64), share])
            return t + 1, tf.tensor_scatter_nd_update(sums, [[t]], [row])

        sums = tf.zeros([self.most, 2], tf.float64)
        return tf.while_loop(lambda t, _: t < count, point, (tf.constant(0), sums))[1]


def combinations(objective: Objective, bases: Sequence[Weights], points: int) -> Combinations | None:
    """Return the fast way to losses at `points` combinations of `bases`; None where the model does not allow it.

    It allows it if the batch-innermost layout computes it, its first layer with weights is a Dense or Conv2D layer,
    no layer adds a loss, and a pass does not change the model.
    """
    probe = objective.probe
    if probe.moving or probe.added or probe.at_once:
        return None
    forward = forward_function(objective.model, "auto", "line", objective.n * points, objective.data[0])
    split = None if forward.chain is None else _split(forward.chain)
    if split is None:
        return None
    fast = Combinations(objective, forward, split, bases)
    try:
        fast.compile()
    except FAILURES:  # such as a loss that XLA does not have
        return None
    return fast


def _split(chain: Chain) -> _Split | None:
    """Return the first layer with weights, if it is of the kinds that allow it."""
    for k, layer in enumerate(chain.layers):
        if isinstance(layer, (Convolution, Dense)):
            return _Split(chain, k, layer)
        if getattr(getattr(layer, "layer", None), "weights", None):
            return None
    return None
