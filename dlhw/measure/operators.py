"""Symmetric operators, and arithmetic with the vectors that they multiply."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dlhw.errors import UserError, require

Array = NDArray[np.floating]


class Operator(Protocol):
    """What the solvers need of an operator: a SciPy `LinearOperator` has it."""

    shape: tuple[int, int]
    dtype: Any

    def matvec(self, vector: Array, /) -> Array:
        """Return the product with a vector, (P,)."""


def symmetric_operator(operator: Any) -> LinearOperator:
    """Return a matrix or operator as a SciPy operator; UserError unless it is square, and a dense matrix symmetric."""
    if hasattr(operator, "matvec") or issparse(operator):
        a = aslinearoperator(operator)
        require(a.shape[0] == a.shape[1], f"the operator has shape {a.shape}; it must be square")
        return a
    try:
        matrix = np.atleast_2d(np.asarray(operator, np.float64))
    except (TypeError, ValueError):
        raise UserError(
            f"the operator is of type {type(operator).__name__}; give a symmetric matrix, a SciPy LinearOperator, or "
            "what hessian, ggn, fisher and ntk return"
        ) from None
    require(
        matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1],
        f"the operator has shape {matrix.shape}; it must be square",
    )
    return aslinearoperator(_symmetric(matrix))


def _symmetric(matrix: Array) -> Array:
    """Return the matrix; UserError if it is not its own transpose up to the rounding of float32."""
    tolerance = 1e-4 * max((float(np.abs(row).max()) for row in matrix), default=0.0)
    for i, row in enumerate(matrix):  # row by row: a kernel may have 20000
        wrong = np.flatnonzero(np.abs(row - matrix[:, i]) > tolerance)  # entries that are nan fail in products
        j = int(wrong[0]) if len(wrong) else 0
        require(
            not len(wrong),
            f"the matrix is not symmetric: entry ({i}, {j}) is {matrix[i, j]:g} and ({j}, {i}) {matrix[j, i]:g}",
        )
    return matrix


def precision(a: Operator) -> np.dtype[Any]:
    """Return in what vectors of an operator are held: float32 if its products are float32, else float64."""
    return np.dtype(np.float32 if a.dtype in (np.float32, np.float16) else np.float64)


def inner(a: Array, b: Array) -> float:
    """Return the inner product of two vectors, summed in float64 without copies of them."""
    return float(np.einsum("i,i->", a, b, dtype=np.float64)) if a.dtype != np.float64 else float(a @ b)
