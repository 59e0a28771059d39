"""Second derivatives: the Hessian as an operator, and as a matrix. What is done with it: dlhw.measure.spectrum."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dlhw.errors import require
from dlhw.measure.derivative_check import check_second_derivatives
from dlhw.measure.objective import BATCH, Loss, Objective

Array = NDArray[np.floating]

LARGEST_MATRIX = 5000


def hessian(
    model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH, check: bool = True
) -> LinearOperator:
    """Hessian of the loss over all of (x, y) at the model's weights, a symmetric operator of shape (P, P).

    H v costs about two gradients over the data set (Pearlmutter 1994). Vectors are those of
    :func:`dlhw.measure.flat`; rounding is that of the model's precision: for small curvatures use
    :func:`dlhw.measure.widened`. A ReLU net is piecewise smooth, and H that of the piece the weights lie in.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples of a chunk; acts on rounding and memory alone.
        check: hold one product against a central difference of the gradient, in float64 on a few examples, before
            anything is returned; costs a few gradients of at most 32 examples.

    Returns:
        The operator; `@` multiplies it with vectors (P,).

    Raises:
        UserError: where the second derivatives of a layer are missing or wrong; the layer is named.
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    if check:
        check_second_derivatives(objective)
    return operator(objective)


def operator(objective: Objective) -> LinearOperator:
    """The Hessian of an :class:`Objective` as an operator."""
    size = objective.size
    product = lambda v: objective.product(np.ravel(v))  # noqa: E731
    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=np.float64)


def hessian_matrix(
    model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH, check: bool = True
) -> Array:
    """The whole Hessian, (P, P), for nets of at most some thousand weights; symmetric up to rounding, and symmetrised.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples of a chunk; acts on rounding and memory alone.
        check: as in :func:`hessian`.

    Returns:
        H, (P, P), in float64; in units of the loss over units of two weights.

    Raises:
        UserError: over 5000 weights (such a matrix takes hours and hundreds of megabytes); where the second
            derivatives of a layer are missing or wrong.
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    require(
        objective.size <= LARGEST_MATRIX,
        f"the whole Hessian of {objective.size} weights is too large (at most {LARGEST_MATRIX}); use hessian(...), an "
        "operator",
    )
    if check:
        check_second_derivatives(objective)
    matrix = objective.matrix()
    return (matrix + matrix.T) / 2
