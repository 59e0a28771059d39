"""The loss over a plane through the space of weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data, Tensor
from dlhw.errors import check_numbers, require
from dlhw.measure.combinations import POINTS, combinations
from dlhw.measure.directions import Plane
from dlhw.measure.grid_order import coarse_to_fine
from dlhw.measure.objective import BATCH, Objective, Value
from dlhw.measure.results import Saved
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]

POINTS_PER_CALL = POINTS
"""Points of a plane computed at once: so the first layer is computed once for all of them."""
MANY = 1 << 20


@dataclass(frozen=True)
class Surface(Saved):
    """Loss and accuracy on a grid of a plane."""

    a: Array  # (A,)
    b: Array  # (B,)
    loss: Array  # (A, B)
    accuracy: Array  # (A, B) fraction in [0, 1]; nan where targets are not class labels


class PlaneLoss:
    """Loss and accuracy at points (a, b) of a plane, over all of (x, y).

    Where the batch-innermost layout computes the model, the outputs of the first layer are combined from three passes
    in place of one at every point. The result equals the direct computation up to rounding.

    Moving statistics of batch normalization are fixed at those that `model` holds. The model is used for the
    computation and may hold other weights meanwhile: see :func:`surface`, which restores them. Several threads may call
    `points`; only one at a time may call `at`.
    """

    @check_numbers
    def __init__(
        self,
        model: keras.Model,
        plane: Plane,
        loss: Loss,
        x: Data,
        y: Data,
        *,
        batch_size: int = BATCH,
        expected: int | None = None,
    ) -> None:
        """Prepare the measurement.

        Args:
            model: any built Keras model of one output.
            plane: such as from :func:`dlhw.measure.random_plane`.
            loss: see :class:`dlhw.measure.Objective`.
            x: inputs, (n, ...).
            y: targets, (n, ...).
            batch_size: examples per chunk; it changes rounding and memory only.
            expected: number of points to come, which decides on the layout; None: many.

        Raises:
            UserError: for a plane whose dimension does not match the model, and data that do not fit the model.
        """
        self.objective = Objective(model, loss, x, y, batch_size=batch_size)
        self.plane = plane
        size = self.objective.size
        require(
            len(plane.origin) == size, f"the plane has {len(plane.origin)} weights; the model has {size} trainable ones"
        )
        self._lock = threading.Lock()
        trained = {id(v) for v in model.trainable_variables}
        self._fixed = [None if id(v) in trained else v.numpy() for v in model.weights]
        zeros = [0 * w for w in self._weights(plane.origin)]
        still = [v is not None for v in self._fixed]
        directions = [
            [z if fixed else w for w, z, fixed in zip(self._weights(row), zeros, still, strict=True)]
            for row in (plane.first, plane.second)
        ]
        bases = [self._weights(plane.origin), *directions]
        self._fast = combinations(self.objective, bases, MANY if expected is None else expected)

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
        """Return loss and accuracy at several points; :data:`POINTS_PER_CALL` at a time are fastest.

        Args:
            ab: coordinates, (n, 2).

        Returns:
            Loss and accuracy of each point, in order.
        """
        if self._fast is None:
            with self._lock:
                return [self.at(self.plane.at(a, b)) for a, b in ab]
        coordinates = np.asarray(ab, np.float64)
        coefficients = np.concatenate([np.ones((len(coordinates), 1)), coordinates], 1)
        return self._fast.values(coefficients, [self._weights(self.plane.at(a, b)) for a, b in coordinates])

    def _weights(self, row: Array) -> list[Array]:
        """Return the weights of the model, whose trainable ones are those of a vector (P,)."""
        trained = iter(np.split(row, np.cumsum(self.objective.sizes)[:-1]))
        shapes = iter(self.objective.shapes)
        return [next(trained).reshape(next(shapes)) if v is None else v for v in self._fixed]


@check_numbers
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
        at = PlaneLoss(model, plane, loss, x, y, batch_size=batch_size, expected=table[0].size)
        order = np.concatenate(coarse_to_fine(len(a), len(b)))
        for k in range(0, len(order), POINTS_PER_CALL):
            i, j = order[k : k + POINTS_PER_CALL].T
            values = at.points(np.stack([a[i], b[j]], 1))
            table[:, i, j] = [v.loss for v in values], [v.accuracy for v in values]
            if progress is not None:
                progress(k + len(values), values[-1].loss)
    return Surface(a, b, *table)
