"""Signs of eigenvalues: how many directions curve up, down, or not at all. Arrays only, no model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlhw.errors import check_numbers, require

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


@check_numbers
def inertia(eigenvalues: ArrayLike, tolerance: float | None = None) -> Inertia:
    """Return the number of positive, zero and negative eigenvalues of symmetric matrices (Sylvester 1852).

    Args:
        eigenvalues: (..., P).
        tolerance: eigenvalues of that magnitude or less count as zero. None: eps P max|eigenvalue| of each matrix, with
            eps that of the precision of `eigenvalues` (2.2e-16, or 1.2e-7 for float32): the error bound of a symmetric
            eigensolver (Golub and Van Loan, Matrix Computations, section 8.1), below which a sign means nothing. 0 is
            the strict count.

    Returns:
        The counts, each (...,).

    Raises:
        UserError: for eigenvalues that are not finite, and a negative tolerance.

    Example:
        >>> from dlhw import measure
        >>> signs = measure.inertia([-1.0, 0.0, 1.0, 2.0])
        >>> int(signs.positive), int(signs.zero), int(signs.negative), float(signs.minimal_ratio)
        (2, 1, 1, 0.5)
    """
    values = np.asarray(eigenvalues)
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    require(values.ndim >= 1 and values.shape[-1] >= 1, "inertia needs at least one eigenvalue")
    require(bool(np.isfinite(values).all()), "inertia needs finite eigenvalues")
    if tolerance is None:
        zero = np.finfo(values.dtype).eps * values.shape[-1] * np.abs(values).max(axis=-1)
    else:
        require(np.isfinite(tolerance) and tolerance >= 0, f"`tolerance` {tolerance} must be zero or positive")
        zero = np.full(values.shape[:-1], float(tolerance))
    up = (values > zero[..., None]).sum(axis=-1)
    down = (values < -zero[..., None]).sum(axis=-1)
    return Inertia(up, values.shape[-1] - up - down, down, zero)


def resolution(eigenvalues: ArrayLike, gradient_norm: ArrayLike) -> Array:
    """Return the magnitude below which the sign of an eigenvalue is not reliable, because g is not exactly zero.

    10 sqrt(|g| max|eigenvalue|), an order of magnitude. Take a direction along which the loss is cubic near the
    critical point. At a distance s from it, g = c s^2 / 2 and the curvature is c s = sqrt(2 c |g|). This is far above
    |g|, and positive on one side, although the curvature is zero at the critical point. (For a quartic it is
    proportional to |g|^(2/3), which is less.) c is set to the largest curvature, as for weights of order one, and the
    factor of ten is for safety.

    Args:
        eigenvalues: of symmetric matrices, (..., P).
        gradient_norm: |g|, (...,).

    Returns:
        In units of the curvature, (...,).

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> from dlhw import measure
        >>> float(measure.resolution([1.0, -4.0], 1e-8))
        0.002
    """
    largest = np.abs(np.asarray(eigenvalues)).max(axis=-1)
    return np.asarray(10 * np.sqrt(np.asarray(gradient_norm, np.float64) * largest))


def effective_rank(eigenvalues: ArrayLike) -> Array:
    """Return exp of the entropy of the fractions |eigenvalue| / sum |eigenvalue|, in [1, P].

    Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality. It needs no threshold: it is P for
    equal magnitudes, and 1 for one direction.

    Args:
        eigenvalues: of symmetric matrices, (..., P).

    Returns:
        (...,), without unit; nan where all eigenvalues are zero.

    Raises:
        ValueError: for values that are not numbers.

    Example:
        >>> from dlhw import measure
        >>> float(measure.effective_rank([2.0, -2.0, 0.0]).round(6))
        2.0
    """
    size = np.abs(np.asarray(eigenvalues, np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = size / size.sum(axis=-1, keepdims=True)
        terms = np.where(share > 0, share * np.log(share), np.where(np.isnan(share), np.nan, 0.0))
    return np.asarray(np.exp(-terms.sum(axis=-1)))


def gradient_flatness(hessian: ArrayLike, gradient: ArrayLike) -> Array:
    """Return |H g| / |g|, the test for gradient-flat points.

    The gradient of 1/2 |g|^2 is H g: where it vanishes and g does not, minimizing |g|^2 stops, however far from a
    critical point (Frye et al. 2021, Critical point-finding methods reveal gradient-flat regions of deep network
    losses).

    Args:
        hessian: (..., P, P).
        gradient: (..., P).

    Returns:
        In units of the curvature, (...,); nan where g = 0: that is a critical point.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> float(measure.gradient_flatness(np.diag([1.0, 0.0]), [0.0, 3.0]))
        0.0
    """
    g = np.asarray(gradient, np.float64)
    along = np.einsum("...ij,...j->...i", np.asarray(hessian, np.float64), g)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.linalg.norm(along, axis=-1) / np.linalg.norm(g, axis=-1))


def chance_curvature(eigenvalues: ArrayLike) -> Array:
    """Return |H u| / |u| of a random direction u, as its root mean square: sqrt(mean eigenvalue^2).

    What :func:`gradient_flatness` has to be compared with: E |H u|^2 = |u|^2 trace(H^2) / P for u uniform on a sphere.
    Compare with this and not with the largest eigenvalue: if few eigenvalues are large, |H u| / |u| is small for almost
    every u, 0.085 to 0.118 times the largest in nets of 141 weights.

    Args:
        eigenvalues: of symmetric matrices, (..., P).

    Returns:
        In units of the curvature, (...,). A ratio of `gradient_flatness` to it near 1 is chance, far below 1 a
        gradient-flat point (Frye et al. 2021).

    Raises:
        ValueError: for values that are not numbers.

    Example:
        >>> from dlhw import measure
        >>> float(measure.chance_curvature([3.0, 3.0]))
        3.0
    """
    return np.asarray(np.sqrt(np.mean(np.square(np.asarray(eigenvalues, np.float64)), axis=-1)))
