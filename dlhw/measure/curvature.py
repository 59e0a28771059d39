"""Second derivatives: the Hessian as an operator, and as a matrix. What is done with it: dlhw.measure.spectrum."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from dlhw._compiled import Compiled
from dlhw.errors import require
from dlhw.measure.objective import BATCH, Loss, Objective, chunks

Array = NDArray[np.floating]


def hessian(model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH) -> LinearOperator:
    """Hessian of the mean loss over all of (x, y) at the model's weights, a symmetric operator of shape (P, P).

    H v costs about two gradients over the data set (Pearlmutter 1994). Vectors are those of
    :func:`dlhw.measure.flat`; rounding is that of the model's precision: for small curvatures use
    :func:`dlhw.measure.widened`. A ReLU net is piecewise smooth, and H that of the piece the weights lie in.
    """
    return operator(Objective(model, loss, x, y, batch_size=batch_size))


def operator(objective: Objective) -> LinearOperator:
    """The Hessian of an :class:`Objective` as an operator."""
    size = objective.size
    product = lambda v: objective.product(np.ravel(v))  # noqa: E731
    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=np.float64)


def hessian_matrix(model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH) -> Array:
    """The whole Hessian, (P, P), for nets of at most some thousand weights; symmetric up to rounding, and symmetrised.

    One backward pass a row and chunk, one after the other: the memory is that of one gradient.
    Raises UserError over 5000 weights: such a matrix takes hours and hundreds of megabytes.
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    require(
        objective.size <= 5000,
        f"the whole Hessian of {objective.size} weights is too large (at most 5000); use hessian(...), an operator",
    )

    def matrix(x: Any, y: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(objective.variables)
            _, gradient = objective._gradient(x, y)
        rows = outer.jacobian(gradient, objective.variables, unconnected_gradients="zero", experimental_use_pfor=False)
        return tf.concat([tf.reshape(r, [objective.size, -1]) for r in rows], 1)

    compiled = Compiled(matrix)
    parts = [np.asarray(compiled(*part), np.float64) for part in chunks(objective.data, batch_size)]
    total = np.sum(parts, axis=0) / objective.n
    return (total + total.T) / 2
