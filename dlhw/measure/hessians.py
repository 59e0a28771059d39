"""Second derivatives: the Hessian as an operator, and as a matrix. What is done with it: dlhw.measure.spectrum."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import require
from dlhw.measure.derivative_check import check_second_derivatives
from dlhw.measure.objective import BATCH, Objective

Array = NDArray[np.floating]

LARGEST_MATRIX = 5000


def hessian(
    model: keras.Model, loss: Loss, x: Data, y: Data, *, batch_size: int = BATCH, check: bool = True
) -> LinearOperator:
    """Return the Hessian of the loss over all of (x, y) at the weights of the model, as an operator of shape (P, P).

    H v costs about two gradients over the data set (Pearlmutter 1994). Vectors are in the order of
    :func:`dlhw.measure.flat`; rounding is that of the precision of the model: for small curvatures use
    :func:`dlhw.measure.as_float64`. A ReLU net is piecewise smooth, and H is that of the piece that contains the
    weights.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples per chunk; it changes rounding and memory only.
        check: compare one product with a central difference of the gradient, in float64 on a few examples, before
            anything is returned; it costs a few gradients of at most 32 examples.

    Returns:
        The operator; `@` multiplies it with vectors (P,).

    Raises:
        UserError: where the second derivatives of a layer are missing or wrong; the layer is named.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> h = measure.hessian(net, "mse", x, y)
        >>> (h @ np.ones(13)).shape
        (13,)
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    if check:
        check_second_derivatives(objective)
    return operator(objective)


def operator(objective: Objective) -> LinearOperator:
    """Return the Hessian of an :class:`Objective` as an operator."""
    size = objective.size
    product = lambda v: objective.product(np.ravel(v))  # noqa: E731
    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=np.float64)


def hessian_matrix(
    model: keras.Model, loss: Loss, x: Data, y: Data, *, batch_size: int = BATCH, check: bool = True
) -> Array:
    """Return the whole Hessian, for models of at most some thousand weights, symmetrized.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples per chunk; it changes rounding and memory only.
        check: as in :func:`hessian`.

    Returns:
        H, (P, P), in float64; in units of the loss per product of two weights.

    Raises:
        UserError: for more than 5000 weights (such a matrix takes hours and hundreds of megabytes), and where the
            second derivatives of a layer are missing or wrong.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> h = measure.hessian_matrix(net, "mse", x, y)
        >>> h.shape, bool((h == h.T).all())
        ((13, 13), True)
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
