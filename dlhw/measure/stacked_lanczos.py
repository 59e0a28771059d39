"""The largest eigenvalues of many symmetric operators of one size, by Lanczos's method in lockstep.

One step multiplies every operator with a vector of its own, which a compiled program does for all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require

Array = NDArray[np.floating]
Products = Callable[[Array], Array]
"""Row b of the result is operator b times row b of the argument, (B, P) -> (B, P)."""

CHECKED_EVERY = 4
"""Steps between two looks at the residuals."""


@dataclass(frozen=True)
class LeadingPairs:
    """The k largest eigenvalues of B operators, from the largest down."""

    values: Array  # (B, k)
    vectors: Array  # (B, k, P) orthonormal rows
    residuals: Array  # (B, k) |A v - value v| by the recurrence; an eigenvalue lies within that distance of the value
    converged: NDArray[np.bool_]  # (B,) all residuals are within the tolerance
    steps: int  # products of every operator


def leading_eigenpairs(
    products: Products, start: Array, k: int, *, steps: int = 200, tolerance: float = 1e-6, seed: int = 0
) -> LeadingPairs:
    """Return the k largest eigenvalues (not by magnitude) of B operators, with their eigenvectors.

    With full re-orthogonalization (Golub and Van Loan, Matrix Computations, 4th ed., section 10.1). The error of an
    eigenvalue is of the order of the square of its residual. An operator whose space is exhausted continues from a new
    random direction, so that an eigenvalue of multiplicity comes as often as it is there.

    Args:
        products: multiplies every operator with a vector of its own.
        start: first vectors, (B, P), not zero; eigenvectors of nearby operators shorten the way.
        k: number of eigenvalues.
        steps: most products.
        tolerance: residual relative to the largest |eigenvalue| met, below which a pair has converged.
        seed: of the directions that continue an exhausted space.

    Returns:
        The pairs, each with its residual, and which operators have converged.

    Raises:
        UserError: if k exceeds the size or the steps, and for products that are not finite.
    """
    count, size = start.shape
    most = min(steps, size)
    require(1 <= k <= most, f"`k` {k} must lie in 1..{most}, the size of the operators or the steps")
    rng = np.random.default_rng(seed)
    basis = np.empty((count, most, size))
    basis[:, 0] = start / np.linalg.norm(start, axis=1, keepdims=True)
    alpha, beta = np.zeros((count, most)), np.zeros((count, most))
    m = 0
    while m < most:
        w = products(basis[:, m])
        require(bool(np.isfinite(w).all()), "an operator returns values that are not finite")
        alpha[:, m] = np.einsum("bp,bp->b", basis[:, m], w)
        scale = np.linalg.norm(w, axis=1)
        m += 1
        w = _orthogonal(basis[:, :m], w)
        length = np.linalg.norm(w, axis=1)
        beta[:, m - 1] = np.where(length <= 1e-12 * scale, 0.0, length)
        if m < most:
            basis[:, m] = _next(basis[:, :m], w, beta[:, m - 1], rng)
        if (m >= k and m % CHECKED_EVERY == 0) or m == most:
            values, rows = np.linalg.eigh(_tridiagonal(alpha[:, :m], beta[:, : m - 1]))
            # At the full size the space is whole, and the pairs are exact.
            last = np.zeros(count) if m == size else beta[:, m - 1]
            residuals = np.abs(last[:, None] * rows[:, -1, -k:])[:, ::-1]
            bound = tolerance * np.abs(values).max(axis=1)
            # beta = 0 hides what else there is: only a whole space may end there.
            converged = (residuals <= bound[:, None]).all(axis=1) & ((last > 0) | (m == size))
            if converged.all():
                break
    vectors = np.swapaxes(rows[:, :, -k:], 1, 2)[:, ::-1] @ basis[:, :m]
    return LeadingPairs(values[:, ::-1][:, :k], vectors, residuals, converged, m)


def _orthogonal(basis: Array, w: Array) -> Array:
    """Orthogonalize w (B, P) to the rows of the bases (B, m, P); twice is enough (Parlett 1998, section 6.9)."""
    for _ in range(2):
        w = w - (np.matmul(basis, w[:, :, None])[:, None, :, 0] @ basis)[:, 0]
    return w


def _next(basis: Array, w: Array, beta: Array, rng: np.random.Generator) -> Array:
    """Return w over its length beta (B,); where that is 0, a random direction orthogonal to the basis."""
    exhausted = beta == 0
    if exhausted.any():
        w = w.copy()
        w[exhausted] = _orthogonal(basis[exhausted], rng.normal(size=(int(exhausted.sum()), w.shape[1])))
        beta = np.where(exhausted, np.linalg.norm(w, axis=1), beta)
    return np.asarray(w / beta[:, None])


def _tridiagonal(alpha: Array, beta: Array) -> Array:
    """Return the matrices with diagonals alpha (B, m) and beside them beta (B, m - 1)."""
    count, m = alpha.shape
    t = np.zeros((count, m, m))
    at = np.arange(m)
    t[:, at, at] = alpha
    t[:, at[1:], at[:-1]] = t[:, at[:-1], at[1:]] = beta
    return t
