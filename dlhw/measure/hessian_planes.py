"""The plane of the weights along the two directions in which the loss curves most."""

from __future__ import annotations

from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.budget import Progress
from dlhw.measure.derivative_check import check_second_derivatives
from dlhw.measure.directions import Plane
from dlhw.measure.hessians import operator
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.spectrum import Eigenpairs, eigenpairs
from dlhw.models.selection import Layers

Array = NDArray[np.floating]


@check_numbers
def hessian_plane(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    which: Literal["largest", "both"] = "largest",
    layers: Layers = None,
    steps: int = 100,
    tolerance: float = 1e-4,
    seed: int = 0,
    batch_size: int = BATCH,
    check: bool = True,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> tuple[Plane, Eigenpairs]:
    """Return the plane through the weights along two eigenvectors of the Hessian.

    The directions are orthonormal: a coordinate is a Euclidean distance of the weights, and to second order the loss is
    f + g'd + (value_1 a^2 + value_2 b^2) / 2 with d = a first + b second. They are not rescaled filter by filter: what
    comes out would not be an eigenvector. So the picture depends on the scale of the weights, as curvature does. The
    sign of an eigenvector means nothing; its largest entry is made positive.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        which: "largest": the two largest eigenvalues; "both": the largest and the smallest, which is negative at a
            saddle.
        layers: as in :func:`dlhw.measure.hessian`: eigenvectors of the block of these layers; the others stay.
        steps: as in :func:`dlhw.measure.eigenpairs`.
        tolerance: as in :func:`dlhw.measure.eigenpairs`.
        seed: as in :func:`dlhw.measure.eigenpairs`.
        batch_size: examples per chunk; it changes rounding and memory only.
        check: as in :func:`dlhw.measure.hessian`.
        progress: as in :func:`dlhw.measure.eigenpairs`.
        max_seconds: as in :func:`dlhw.measure.eigenpairs`.

    Returns:
        The plane, with the weights of the model as its origin, and the eigenpairs with their residuals.

    Raises:
        UserError: for fewer than two weights, too little time for two eigenvectors, and as for
            :func:`dlhw.measure.hessian`.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> plane, pairs = measure.hessian_plane(net, "mse", x, y)
        >>> float(np.round(plane.first @ plane.second, 9)) + 0.0, bool(pairs.converged.all())
        (0.0, True)
    """
    require(which in ("largest", "both"), f"`which` {which!r} is unknown; use largest or both")
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    if check:
        check_second_derivatives(objective)
    k = 2 if which == "largest" else 1
    pairs = eigenpairs(
        operator(objective),
        k,
        which=which,
        steps=steps,
        tolerance=tolerance,
        seed=seed,
        progress=progress,
        max_seconds=max_seconds,
    )
    require(len(pairs.values) == 2, f"`max_seconds` {max_seconds} is too short for two eigenvectors; give more time")
    moved = {id(v) for v in objective.weights}
    positions = np.concatenate([np.full(int(np.prod(v.shape)), id(v) in moved) for v in model.trainable_variables])
    origin = np.concatenate([np.asarray(v, np.float64).ravel() for v in model.trainable_variables])
    first, second = (_embedded(vector, positions) for vector in pairs.vectors)
    return Plane(origin, first, second), pairs


def _embedded(vector: Array, positions: NDArray[np.bool_]) -> Array:
    """Return an eigenvector of a block as a unit vector of all weights, its largest entry positive."""
    whole = np.zeros(len(positions))
    whole[positions] = oriented(vector)
    return whole


def oriented(vector: Array) -> Array:
    """Return a vector as a unit vector in float64 whose largest entry is positive."""
    wide = np.asarray(vector, np.float64)
    wide = wide / np.linalg.norm(wide)
    return wide if wide[int(np.abs(wide).argmax())] > 0 else -wide
