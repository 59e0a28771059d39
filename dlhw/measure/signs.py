"""Signs of eigenvalues: how many directions curve up, down, or not at all. Arrays only, no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require

Array = NDArray[np.floating]

LARGEST = 1000
"""Weights of a net whose whole Hessian is taken many times over."""


@dataclass(frozen=True)
class Inertia:
    """Counts of eigenvalues by sign, each (...,); they add up to P."""

    positive: NDArray[np.integer]
    zero: NDArray[np.integer]
    negative: NDArray[np.integer]
    tolerance: Array  # (...,) what counted as zero: |eigenvalue| <= tolerance

    @property
    def minimal_ratio(self) -> Array:
        """Share of eigenvalues that are positive, in [0, 1]."""
        return np.asarray(self.positive / (self.positive + self.zero + self.negative))


def inertia(eigenvalues: Any, tolerance: float | None = None) -> Inertia:
    """Inertia (Sylvester 1852) of symmetric matrices from their eigenvalues (..., P).

    tolerance: eigenvalues of that magnitude or less count as zero. None: eps P max|eigenvalue| of each matrix, eps that
    of the precision of `eigenvalues` (2.2e-16, or 1.2e-7 for float32): the error bound of a symmetric eigensolver
    (Golub and Van Loan, Matrix Computations, section 8.1), under which a sign means nothing. 0 is the strict count.
    """
    values = np.asarray(eigenvalues)
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    require(values.ndim >= 1 and values.shape[-1] >= 1, "inertia needs at least one eigenvalue")
    require(bool(np.isfinite(values).all()), "inertia needs finite eigenvalues")
    if tolerance is None:
        zero = np.finfo(values.dtype).eps * values.shape[-1] * np.abs(values).max(axis=-1)
    else:
        require(np.isfinite(tolerance) and tolerance >= 0, f"tolerance {tolerance} must be zero or positive")
        zero = np.full(values.shape[:-1], float(tolerance))
    up = (values > zero[..., None]).sum(axis=-1)
    down = (values < -zero[..., None]).sum(axis=-1)
    return Inertia(up, values.shape[-1] - up - down, down, zero)


def resolution(eigenvalues: Any, gradient_norm: Any) -> Array:
    """Curvature under which a sign means nothing where the gradient is `gradient_norm` (...,): (..., P) -> (...,).

    10 sqrt(|g| max|eigenvalue|), an order of magnitude. Where a direction is flat to second order and cubic,
    g = c s^2 / 2 and its curvature is c s = sqrt(2 c |g|), at a distance s from the point at which it is 0: far above
    |g| itself, and positive on one side. (With a quartic it is |g|^(2/3), which is less.) c is
    put at the largest curvature, as for weights of order one, and ten is for safety.
    """
    largest = np.abs(np.asarray(eigenvalues)).max(axis=-1)
    return np.asarray(10 * np.sqrt(np.asarray(gradient_norm, np.float64) * largest))


def effective_rank(eigenvalues: Any) -> Array:
    """exp of the entropy of the shares |eigenvalue| / sum |eigenvalue|, (..., P) -> (...,), in [1, P].

    Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality. It needs no threshold: P for equal
    magnitudes, 1 for one direction. nan where all eigenvalues are zero.
    """
    size = np.abs(np.asarray(eigenvalues, np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = size / size.sum(axis=-1, keepdims=True)
        terms = np.where(share > 0, share * np.log(share), np.where(np.isnan(share), np.nan, 0.0))
    return np.asarray(np.exp(-terms.sum(axis=-1)))


def gradient_flatness(hessian: Any, gradient: Any) -> Array:
    """|H g| / |g|, (..., P, P) and (..., P) -> (...,), in units of the curvature: the gradient-flat test.

    d/dtheta of 1/2 |g|^2 is H g: where it vanishes and g does not, minimising |g|^2 stops, however far from a critical
    point (Frye et al. 2021, Critical point-finding methods reveal gradient-flat regions of deep network losses).
    nan where g = 0: that is a critical point.
    """
    g = np.asarray(gradient, np.float64)
    along = np.einsum("...ij,...j->...i", np.asarray(hessian, np.float64), g)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.linalg.norm(along, axis=-1) / np.linalg.norm(g, axis=-1))


def chance_curvature(eigenvalues: Any) -> Array:
    """|H u| / |u| of a random direction u, as its root mean square: sqrt(mean eigenvalue^2), (..., P) -> (...,).

    What :func:`gradient_flatness` has to be held against: E |H u|^2 = |u|^2 trace(H^2) / P for u uniform on a sphere.
    Held against the largest eigenvalue instead, any vector passes for flat where few eigenvalues are large: a random
    one has 0.085 to 0.118 of it in nets of 141 weights.

    Args:
        eigenvalues: of symmetric matrices, (..., P).

    Returns:
        In units of the curvature, (...,). A ratio of `gradient_flatness` to it near 1 is chance, far below 1 a
        gradient-flat point (Frye et al. 2021).
    """
    return np.asarray(np.sqrt(np.mean(np.square(np.asarray(eigenvalues, np.float64)), axis=-1)))
