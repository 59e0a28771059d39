"""Second derivatives: the Hessian as an operator, and as a matrix.

What is done with it: dlhw.measure.spectrum and dlhw.measure.random_probes.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require, warn
from dlhw.measure.budget import Budget, Progress
from dlhw.measure.derivative_check import check_second_derivatives
from dlhw.measure.objective import BATCH, Curvature, Objective
from dlhw.models.selection import Layers

Array = NDArray[np.floating]

LARGEST_MATRIX = 5000


@check_numbers
def hessian(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    layers: Layers = None,
    batch_size: int = BATCH,
    check: bool = True,
) -> LinearOperator:
    """Return the Hessian of the loss over all of (x, y) at the weights of the model, as an operator of shape (P, P).

    H v costs about two gradients over the data set (Pearlmutter 1994). Vectors are in the order of
    :func:`dlhw.measure.flat`; rounding is that of the precision of the model: for small curvatures use
    :func:`dlhw.measure.as_float64`. A ReLU net is piecewise smooth, and H is that of the piece that contains the
    weights.

    With `layers`, it is the block of H that belongs to the weights of these layers, (P', P'): the slice of the whole
    that :func:`dlhw.measure.layer_parts` names, computed at the cost of these layers and of those that follow.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        layers: names of layers, one or several, wherever they are nested; None: all trainable weights.
        batch_size: examples per chunk; it changes rounding and memory only. By default fewer than 500 where activations
            are large.
        check: compare one product with a central difference of the gradient, in float64 on a few examples, before
            anything is returned; it costs a few gradients of at most 32 examples.

    Returns:
        The operator; `@` multiplies it with vectors (P,). Its precision is that of the model.

    Raises:
        UserError: for names of layers that the model does not have, and where the second derivatives of a layer are
            missing or wrong; the layer is named.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> h = measure.hessian(net, "mse", x, y)
        >>> (h @ np.ones(13)).shape
        (13,)
        >>> measure.hessian(net, "mse", x, y, layers="dense_2").shape
        (5, 5)
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    if check:
        check_second_derivatives(objective)
    return operator(objective)


def operator(objective: Objective, kind: Curvature = "hessian") -> LinearOperator:
    """Return the Hessian of an :class:`Objective`, or a relative of it, as an operator in the model's precision."""
    size, dtype = objective.size, objective.dtype.as_numpy_dtype

    def product(vector: Array) -> Array:
        return objective.product(np.ravel(vector), kind).astype(dtype)

    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=dtype)


@check_numbers
def hessian_matrix(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    layers: Layers = None,
    batch_size: int = BATCH,
    check: bool = True,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> Array:
    """Return the whole Hessian, for models of at most some thousand weights, symmetrized.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        layers: as in :func:`hessian`.
        batch_size: examples per chunk; it changes rounding and memory only.
        check: as in :func:`hessian`.
        progress: called after every 128 rows with the number done, that of all, and the seconds that the others will
            take; True: prints them.
        max_seconds: no rows are begun later; the entries that are then unknown are nan, with a warning.

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
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    require(
        objective.size <= LARGEST_MATRIX,
        f"the whole Hessian of {objective.size} weights is too large (at most {LARGEST_MATRIX}); use hessian(...), an "
        "operator",
    )
    if check:
        check_second_derivatives(objective)
    budget = Budget("hessian_matrix", objective.size, progress, max_seconds, unit="rows")

    def is_spent(done: int) -> bool:
        budget.step(done - budget.done)
        return budget.is_spent

    matrix = objective.matrix(is_spent)
    if budget.done < objective.size:
        warn(f"`max_seconds` ended hessian_matrix after {budget.done} of {objective.size} rows; the others are nan")
        matrix = np.where(np.isnan(matrix), matrix.T, matrix)  # H is symmetric
    return (matrix + matrix.T) / 2
