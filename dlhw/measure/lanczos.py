"""Lanczos's method: a symmetric operator in a basis in which it is tridiagonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.operators import Operator, inner, precision

Array = NDArray[np.floating]


class Lanczos:
    """An orthonormal basis q_1, q_2, ... in which a symmetric operator is tridiagonal, grown a step at a time.

    The basis is held in the precision of the operator: steps P 4 bytes for one of a model in float32.
    """

    def __init__(self, a: Operator, steps: int, seed: int) -> None:
        self.a, self.rng = a, np.random.default_rng(seed)
        self.alpha: list[float] = []
        self.beta: list[float] = []  # beta[j] couples q_j and q_{j+1}
        self.basis = np.empty((min(steps, a.shape[0]), a.shape[0]), precision(a))
        self._rounding = 1e-12 if self.basis.dtype == np.float64 else 1e-6
        self.basis[0] = self._unit(self.rng.normal(size=a.shape[0]))

    def step(self) -> None:
        """Do one product. If the space is exhausted (beta = 0), continue from a new random direction."""
        m = len(self.alpha)
        q = self.basis[m]
        w = np.asarray(self.a.matvec(q), self.basis.dtype)
        require(bool(np.isfinite(w).all()), "the operator returns values that are not finite")
        self.alpha.append(inner(q, w))
        scale = float(np.linalg.norm(w))
        w = self._orthogonal(w, m + 1)
        beta = float(np.linalg.norm(w))
        beta = 0.0 if beta <= self._rounding * scale or m + 1 == self.a.shape[0] else beta
        self.beta.append(beta)
        if m + 1 < len(self.basis):
            self.basis[m + 1] = w / beta if beta else self._fresh(m + 1)

    def tridiagonal(self) -> Array:
        """Return t, (m, m), after m steps."""
        m = len(self.alpha)
        off = np.diag(self.beta[: m - 1], 1)
        return np.diag(self.alpha) + off + off.T

    def _orthogonal(self, w: Array, m: int) -> Array:
        """Orthogonalize w to the first m vectors; twice is enough (Kahan, in Parlett, The Symmetric Eigenvalue
        Problem, 1998, section 6.9)."""
        for _ in range(2):
            w = w - self.basis[:m].T @ (self.basis[:m] @ w)
        return w

    def _fresh(self, m: int) -> Array:
        return self._unit(self._orthogonal(self.rng.normal(size=self.a.shape[0]), m))

    @staticmethod
    def _unit(w: Array) -> Array:
        return w / np.linalg.norm(w)


class Largest(NamedTuple):
    """The largest eigenvalue of a symmetric operator, as far as it is known: never above the true one."""

    value: float
    residual: float  # an eigenvalue lies within that distance of the value
    steps: int
    converged: bool


def largest_eigenvalue(
    product: Callable[[Array], Array], size: int, *, steps: int, tolerance: float, seed: int = 0
) -> Largest:
    """Return the largest eigenvalue without its vector, by Lanczos's recursion in three vectors of float64.

    Without re-orthogonalization, the basis loses its orthogonality as soon as an eigenvalue has converged, and copies
    of that one appear; the largest stays as exact as rounding allows (Paige 1980, Accuracy and effectiveness of the
    Lanczos algorithm for the symmetric eigenproblem).

    Args:
        product: with the operator, (P,) -> (P,).
        size: P.
        steps: most products.
        tolerance: residual relative to the value, at which it has converged.
        seed: of the start vector.
    """
    from scipy.linalg import eigh_tridiagonal

    q = np.random.default_rng(seed).normal(size=size)
    q /= np.linalg.norm(q)
    previous, alpha, beta = np.zeros(0), [], [0.0]
    for m in range(1, steps + 1):
        w = np.array(product(q), np.float64)
        require(bool(np.isfinite(w).all()), "the operator returns values that are not finite")
        scale = float(np.linalg.norm(w))
        alpha.append(float(q @ w))
        w -= alpha[-1] * q
        if m > 1:
            w -= beta[-1] * previous
        beta.append(float(np.linalg.norm(w)))
        exhausted = beta[-1] <= 1e-12 * scale
        if exhausted or m % 10 == 0 or m == steps:
            values, rows = eigh_tridiagonal(alpha, beta[1:-1], select="i", select_range=(m - 1, m - 1))
            value, residual = float(values[0]), 0.0 if exhausted else beta[-1] * abs(float(rows[-1, 0]))
            if residual <= tolerance * abs(value):
                break
        previous, q = q, w / beta[-1]
    return Largest(value, residual, m, residual <= tolerance * abs(value))
