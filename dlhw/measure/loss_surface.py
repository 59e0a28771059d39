"""The loss over a plane through the space of weights."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled
from dlhw._tf.inputs import chunks
from dlhw._tf.losses import Loss, correct_predictions
from dlhw._tf.types import Data, Tensor
from dlhw.errors import require
from dlhw.measure.directions import Plane
from dlhw.measure.first_layer import FirstLayer, first_layer
from dlhw.measure.grid_order import coarse_to_fine
from dlhw.measure.objective import BATCH, Objective, Value
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]

POINTS_PER_CALL = 8
"""Points of a plane computed at once: so each value of a first layer is read from memory once for all of them."""


@dataclass(frozen=True)
class Surface:
    """Loss and accuracy on a grid of a plane."""

    a: Array  # (A,)
    b: Array  # (B,)
    loss: Array  # (A, B)
    accuracy: Array  # (A, B) fraction in [0, 1]; nan where targets are not class labels


class PlaneLoss:
    """Loss and accuracy at points (a, b) of a plane, over all of (x, y).

    If the first layer is a Dense or Conv2D layer, its outputs are combined from three passes instead of computed at
    every point. The result equals the direct computation up to rounding, and takes up to 1 GB of memory. It is compared
    with the direct computation on one chunk, and not used if the two differ.

    Moving statistics of batch normalization are fixed at those that `model` holds. The model is used for the
    computation and may hold other weights meanwhile: see :func:`surface`, which restores them. Several threads may call
    `points`; only one at a time may call `at`.
    """

    def __init__(
        self, model: keras.Model, plane: Plane, loss: Loss, x: Data, y: Data, *, batch_size: int = BATCH
    ) -> None:
        self.objective = Objective(model, loss, x, y, batch_size=batch_size)
        self.plane = plane
        size = self.objective.size
        require(
            len(plane.origin) == size, f"the plane has {len(plane.origin)} weights; the model has {size} trainable ones"
        )
        plain = self.objective.probe
        simple = not (plain.masked or plain.moving or plain.added or plain.at_once)
        first = first_layer(model, plane, self.objective.data[0], batch_size) if simple else None
        self._lock = threading.Lock()
        self._first: FirstLayer | None = None
        if first is not None:
            self._fused = tf.function(first.outputs, jit_compile=True, autograph=False)
            self._compiled = Compiled(lambda *arguments: self._sums(first, *arguments))
            if self._agrees(first):
                self._first = first

    def _agrees(self, first: FirstLayer) -> bool:
        """Whether both ways give the same loss over the first chunk, at a point off the origin."""
        a, b = 0.02, -0.01
        x, y = next(chunks(self.objective.data, self.objective.batch_size))
        with restore_weights(self.objective.model):
            few = Objective(self.objective.model, self.objective.given, x, y)
            few.move(self.plane.at(a, b))
            plain = few.value()
        fast = self._together(first, np.tile([a, b], (POINTS_PER_CALL, 1)), only=1)[0] / few.denominator
        return bool(np.isclose(fast[0], plain.loss, rtol=1e-3, equal_nan=True))

    def __call__(self, a: float, b: float) -> Value:
        """Return loss and accuracy at the weights origin + a first + b second."""
        return self.points([(a, b)])[0]

    def at(self, theta: Array) -> Value:
        """Return loss and accuracy at any weights, on the plane or not, by the direct computation.

        Args:
            theta: weights, (P,).

        Returns:
            Loss and accuracy.
        """
        self.objective.move(theta)
        return self.objective.value()

    def points(self, ab: Sequence[tuple[float, float]] | Array) -> list[Value]:
        """Return loss and accuracy at several points; eight at a time are fastest.

        Args:
            ab: coordinates, (n, 2).

        Returns:
            Loss and accuracy of each point, in order.
        """
        if self._first is None:
            with self._lock:
                return [self.at(self.plane.at(a, b)) for a, b in ab]
        values: list[Value] = []
        for k in range(0, len(ab), POINTS_PER_CALL):
            block = np.asarray(ab[k : k + POINTS_PER_CALL], np.float64)
            full = block[np.resize(np.arange(len(block)), POINTS_PER_CALL)]  # another number of rows would compile anew
            values += [
                Value(float(loss / self.objective.denominator), float(right / self.objective.n))
                for loss, right in self._together(self._first, full)[: len(block)]
            ]
        return values

    def _together(self, first: FirstLayer, ab: Array, only: int | None = None) -> Array:
        """Return sums of loss and correct predictions, (T, 2), at points (T, 2), over `only` chunks or all."""
        objective = self.objective
        kind = objective.variables[0].dtype
        rows = np.stack([self.plane.at(a, b)[first.weights :] for a, b in ab])
        points = [tf.constant(v, kind) for v in (*ab.T, rows)]
        total = np.zeros((len(ab), 2))
        parts = zip(first.passes, chunks(objective.data[1], objective.batch_size), strict=True)
        for passes, y in itertools.islice(parts, only):
            total += self._compiled(passes, y, *points).numpy()
        return total

    def _sums(self, first: FirstLayer, passes: Tensor, y: Tensor, a: Tensor, b: Tensor, rows: Tensor) -> Tensor:
        """Return sums of loss and correct predictions, (T, 2), at a, b (T,), with other weights `rows` (T, P')."""
        objective = self.objective
        variables = first.following.trainable_variables
        sizes = [int(np.prod(v.shape)) for v in variables]
        still = [v.value for v in first.following.non_trainable_variables]

        def one(h: Tensor, row: Any) -> Tensor:
            pieces = tf.split(row, sizes) if sizes else []
            weights = [tf.reshape(p, v.shape) for p, v in zip(pieces, variables, strict=True)]
            z, _ = first.following.stateless_call(weights, still, h, training=False)
            right = correct_predictions(y, z)
            nothing = tf.constant(np.nan, tf.float64)
            share = nothing if right is None else tf.reduce_sum(tf.cast(right, tf.float64))
            return tf.stack([tf.cast(objective.loss.sums(y, z)[0], tf.float64), share])

        sums: list[Any] = []
        for h, row in zip(self._fused(passes, a, b), tf.unstack(rows), strict=True):
            with tf.control_dependencies(sums[-1:]):  # two at once would compete for the same threads
                sums.append(one(tf.identity(h), row))
        return tf.stack(sums)


def surface(
    model: keras.Model,
    plane: Plane,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    a: Sequence[float] | Array,
    b: Sequence[float] | Array,
    *,
    batch_size: int = BATCH,
    progress: Callable[[int, float], None] | None = None,
) -> Surface:
    """Return loss and accuracy at origin + a first + b second for all pairs of `a` and `b`, coarse grid first.

    Li et al. 2018, Visualizing the loss landscape of neural nets.

    Args:
        model: any built Keras model of one output; it is used to compute, and afterwards is as it was, even after an
            error.
        plane: such as from :func:`dlhw.measure.random_plane`.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        a: coordinates along the first direction, (A,).
        b: coordinates along the second direction, (B,).
        batch_size: examples per chunk; it changes rounding and memory only.
        progress: called with the number of points done and the latest loss.

    Returns:
        The grid with loss and accuracy, (A, B).

    Raises:
        UserError: for a plane whose dimension does not match the model, and data that do not fit the model or the loss.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> plane = measure.random_plane(measure.flat(net), net)
        >>> measure.surface(net, plane, "mse", x, y, [-1, 0, 1], [0, 1]).loss.shape
        (3, 2)
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    table = np.full((2, len(a), len(b)), np.nan)
    with restore_weights(model):
        at = PlaneLoss(model, plane, loss, x, y, batch_size=batch_size)
        order = np.concatenate(coarse_to_fine(len(a), len(b)))
        for k in range(0, len(order), POINTS_PER_CALL):
            i, j = order[k : k + POINTS_PER_CALL].T
            values = at.points(np.stack([a[i], b[j]], 1))
            table[:, i, j] = [v.loss for v in values], [v.accuracy for v in values]
            if progress is not None:
                progress(k + len(values), values[-1].loss)
    return Surface(a, b, *table)
