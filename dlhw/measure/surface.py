"""The loss over a plane through the space of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.directions import Plane, coarse_to_fine
from dlhw.measure.objective import BATCH, Loss, Objective, Value, kept

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Surface:
    """Loss and accuracy on a grid of a plane."""

    a: Array  # (A,)
    b: Array  # (B,)
    loss: Array  # (A, B)
    accuracy: Array  # (A, B) share in [0, 1]; nan where y are no class labels


class PlaneLoss:
    """Loss and accuracy at any point (a, b) of a plane, over all of (x, y).

    Moving statistics of batch normalization stand still, those that `model` holds. The model serves as the place to
    compute and holds other weights while this is in use: see :func:`surface`, which restores them.
    """

    def __init__(
        self, model: keras.Model, plane: Plane, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH
    ) -> None:
        self.objective = Objective(model, loss, x, y, batch_size=batch_size)
        self.plane = plane
        size = self.objective.size
        require(len(plane.origin) == size, f"the plane lies among {len(plane.origin)} weights; the model trains {size}")

    def __call__(self, a: float, b: float) -> Value:
        """At the weights origin + a first + b second."""
        return self.at(self.plane.at(a, b))

    def at(self, theta: Array) -> Value:
        """At any weights (P,), on the plane or not."""
        self.objective.move(theta)
        return self.objective.value()


def surface(
    model: keras.Model,
    plane: Plane,
    loss: Loss,
    x: Any,
    y: Any,
    a: Sequence[float] | Array,
    b: Sequence[float] | Array,
    *,
    batch_size: int = BATCH,
    progress: Callable[[int, float], None] | None = None,
) -> Surface:
    """Loss and accuracy at origin + a first + b second for all pairs of `a` and `b`, coarse grid first.

    The model is afterwards as it was, even if something raises. progress gets (points done, newest loss).

        theta = measure.flat(model)
        plane = measure.random_plane(theta, [v.shape for v in model.trainable_variables])
        found = measure.surface(model, plane, loss, x, y, np.linspace(-1, 1, 51), np.linspace(-1, 1, 51))

    Li et al. 2018, Visualizing the loss landscape of neural nets.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    found = np.full((2, len(a), len(b)), np.nan)
    with kept(model):
        at = PlaneLoss(model, plane, loss, x, y, batch_size=batch_size)
        for done, (i, j) in enumerate(np.concatenate(coarse_to_fine(len(a), len(b))), start=1):
            value = at(a[i], b[j])
            found[:, i, j] = value.loss, value.accuracy
            if progress is not None:
                progress(done, value.loss)
    return Surface(a, b, *found)
