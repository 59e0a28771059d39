"""Symmetric operators, and arithmetic with the vectors that they multiply."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from dlhw.errors import require

Array = NDArray[np.floating]


class Operator(Protocol):
    """What the solvers need of an operator: a SciPy `LinearOperator` has it."""

    shape: tuple[int, int]
    dtype: Any

    def matvec(self, vector: Array, /) -> Array:
        """Return the product with a vector, (P,)."""


def symmetric_operator(operator: Any) -> LinearOperator:
    """Return a matrix or operator as a SciPy operator; UserError unless it is square."""
    # SciPy takes no lists, and turns down arrays of other ranks than two with a message of its own.
    a = aslinearoperator(operator if hasattr(operator, "matvec") else np.atleast_2d(np.asarray(operator, np.float64)))
    require(a.shape[0] == a.shape[1], f"the operator has shape {a.shape}; it must be square")
    return a


def precision(a: Operator) -> np.dtype[Any]:
    """Return in what vectors of an operator are held: float32 if its products are float32, else float64."""
    return np.dtype(np.float32 if a.dtype in (np.float32, np.float16) else np.float64)


def inner(a: Array, b: Array) -> float:
    """Return the inner product of two vectors, summed in float64 without copies of them."""
    return float(np.einsum("i,i->", a, b, dtype=np.float64)) if a.dtype != np.float64 else float(a @ b)
