"""Extreme eigenpairs, trace and spectral density of a symmetric operator.

The operator is a matrix, a SciPy `LinearOperator`, or :func:`dlhw.measure.hessian` of a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.lanczos import Lanczos, symmetric_operator

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenpairs of a symmetric operator, each with its own quality."""

    values: Array  # (k,) from the largest down
    vectors: Array  # (k, P) orthonormal rows
    residuals: Array  # (k,) |A v - value v|, computed; an eigenvalue lies within that distance of the value
    converged: NDArray[np.bool_]  # (k,) residual <= tolerance * largest |value| met
    steps: int  # products with the operator, those for the residuals included


def eigenpairs(
    operator: Any,
    k: int = 1,
    *,
    which: Literal["largest", "smallest", "both"] = "largest",
    steps: int = 100,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> Eigenpairs:
    """Return the k largest eigenvalues (not by magnitude), the k smallest, or k of both ends, by Lanczos's method.

    With full re-orthogonalization. `converged` says that a pair is an eigenpair; it cannot say that none was missed: an
    eigenvalue of multiplicity is found again only after the space of the start vector is exhausted. Memory 8 steps P
    bytes. Golub and Van Loan, Matrix Computations, 4th ed., section 10.1.

    Args:
        operator: a symmetric matrix, a SciPy `LinearOperator`, or :func:`dlhw.measure.hessian` of a model, (P, P).
        k: number of pairs (at each end).
        which: "largest", "smallest" or "both".
        steps: most products with the operator; fewer are taken as soon as the wanted pairs have converged.
        tolerance: residual relative to the largest |eigenvalue| met, below which a pair has converged.
        seed: of the start vector.

    Returns:
        The pairs from the largest eigenvalue down, each with its residual.

    Raises:
        UserError: if k (or 2 k for both ends) exceeds the size of the operator or the steps.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> measure.eigenpairs(np.diag([1.0, 5.0, 3.0]), k=2).values.round(6).tolist()
        [5.0, 3.0]
    """
    a = symmetric_operator(operator)
    ends = {"largest": 1, "smallest": 1, "both": 2}
    require(which in ends, f"`which` {which!r} is unknown; use {', '.join(ends)}")
    require(k >= 1, f"`k` {k} must be positive")
    require(ends[which] * k <= a.shape[0], f"`k` {k} ({which}) exceeds the operator's size {a.shape[0]}")
    require(steps >= ends[which] * k, f"`steps` {steps} must be at least the {ends[which] * k} pairs wanted")
    run = Lanczos(a, steps, seed)
    while len(run.alpha) < min(steps, a.shape[0]):
        run.step()
        m = len(run.alpha)
        if m >= ends[which] * k and m % 5 == 0 and run.beta[-1] > 0:  # at 0 the space is used up: go on from another
            values, rows = np.linalg.eigh(run.tridiagonal())
            estimate = np.abs(run.beta[-1] * rows[-1, _ends(m, k, which)])  # the residual, by theory
            if (estimate <= 0.5 * tolerance * np.abs(values).max()).all():
                break
    values, rows = np.linalg.eigh(run.tridiagonal())
    at = _ends(len(values), k, which)[::-1]
    vectors = rows[:, at].T @ run.basis[: len(values)]
    images = np.stack([a.matvec(v) for v in vectors])
    residuals = np.linalg.norm(images - values[at, None] * vectors, axis=1)
    converged = residuals <= tolerance * np.abs(values).max()
    return Eigenpairs(values[at], vectors, residuals, converged, len(values) + len(at))


def _ends(m: int, k: int, which: str) -> NDArray[np.integer]:
    """Return the indices of the wanted ones of m ascending values."""
    low, high = np.arange(k), np.arange(m - k, m)
    return {"largest": high, "smallest": low, "both": np.concatenate([low, high])}[which]


@dataclass(frozen=True)
class Estimate:
    """A number estimated from random samples."""

    value: float
    standard_error: float  # of the value; 0 where nothing is random
    products: int  # with the operator


def trace(
    operator: Any, *, products: int = 100, method: Literal["hutchinson", "hutch++"] = "hutch++", seed: int = 0
) -> Estimate:
    """Trace of a symmetric operator from products with vectors of random signs.

    hutchinson: mean of z^T A z over vectors z of random signs (Hutchinson 1989); error ~ |A|_F / sqrt(products).
        hutch++: a third of the products finds the dominant directions, whose part is then taken exactly, and only the
        rest is sampled (Meyer et al. 2021); error ~ 1 / products for spectra that decay.

    Args:
        operator: as in :func:`eigenpairs`.
        products: number of products with the operator.
        method: see above.
        seed: of the signs.

    Returns:
        The estimate. Its standard error is that of the sampled part, so it is itself an estimate.

    Raises:
        UserError: for an unknown method, and too few products.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> measure.trace(np.diag([1.0, 2.0, 3.0]), products=30).value
        6.0
    """
    a = symmetric_operator(operator)
    size = a.shape[0]
    require(method in ("hutchinson", "hutch++"), f"`method` {method!r} is unknown; use hutchinson or hutch++")
    least = 2 if method == "hutchinson" else 6
    require(products >= least, f"`products` {products} must be at least {least}")
    rng = np.random.default_rng(seed)

    def signs(n: int) -> Array:
        return np.asarray(rng.choice([-1.0, 1.0], (n, size)))

    exact, used, basis = 0.0, 0, np.zeros((size, 0))
    if method == "hutch++":
        third = min(products // 3, size)
        basis, _ = np.linalg.qr(np.stack([a.matvec(z) for z in signs(third)], axis=1))
        exact = float(sum(q @ a.matvec(q) for q in basis.T))
        used = 2 * third
        if third == size:
            return Estimate(exact, 0.0, used)
    samples = []
    for z in signs(products - used):
        remainder = z - basis @ (basis.T @ z)
        samples.append(float(remainder @ a.matvec(remainder)))
    error = float(np.std(samples, ddof=1) / np.sqrt(len(samples)))
    return Estimate(exact + float(np.mean(samples)), error, products)


@dataclass(frozen=True)
class Density:
    """Spectral density of a symmetric operator: point masses, and smoothed."""

    nodes: Array  # (m,) ascending
    weights: Array  # (m,) shares of the spectrum; they add up to 1
    grid: Array  # (g,)
    density: Array  # (g,) per unit of the eigenvalue; integrates to 1
    width: float  # standard deviation of the Gaussians that smooth it


def spectral_density(
    operator: Any, *, steps: int = 60, probes: int = 8, points: int = 1000, width: float | None = None, seed: int = 0
) -> Density:
    """Estimate the spectral density by stochastic Lanczos quadrature (Lin, Saad and Yang 2016; Ghorbani et al. 2019).

    For each of `probes` random vectors, `steps` of Lanczos; nodes are the eigenvalues of T, weights the squared *first*
    entries of its eigenvectors; their mean over the probes is smoothed by Gaussians. Extreme eigenvalues are sharp; the
    bulk is resolved to about the range over `steps`.

    Args:
        operator: as in :func:`eigenpairs`.
        steps: Lanczos steps per probe.
        probes: random start vectors.
        points: of the grid.
        width: standard deviation of the Gaussians; default: a hundredth of the range.
        seed: of the probes.

    Returns:
        The density on a grid, per unit of the eigenvalue, and the nodes and weights before smoothing.

    Raises:
        UserError: for a width that is not positive, or below the spacing of the grid.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> density = measure.spectral_density(np.diag([1.0, 2.0, 3.0]), steps=3)
        >>> float(density.weights.sum().round(6))
        1.0
    """
    a = symmetric_operator(operator)
    require(steps >= 1 and probes >= 1, f"`steps` {steps} and `probes` {probes} must be positive")
    nodes, weights = [], []
    for probe in range(probes):
        run = Lanczos(a, steps, seed + 7919 * probe)
        for _ in range(min(steps, a.shape[0])):
            run.step()
        values, rows = np.linalg.eigh(run.tridiagonal())
        nodes.append(values)
        weights.append(rows[0] ** 2 / probes)
    at, share = np.concatenate(nodes), np.concatenate(weights)
    order = np.argsort(at, kind="stable")
    at, share = at[order], share[order]
    span = at[-1] - at[0] or max(abs(float(at[0])), 1.0)
    sigma = span / 100 if width is None else width
    require(sigma > 0, f"`width` {sigma} must be positive")
    grid = np.linspace(at[0] - 4 * sigma, at[-1] + 4 * sigma, points)
    step = (grid[-1] - grid[0]) / (points - 1)
    require(sigma >= step, f"`width` {sigma:g} is below the grid step {step:.2g}; use more than {points} points")
    bells = np.exp(-0.5 * ((grid[:, None] - at) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return Density(at, share, grid, bells @ share, sigma)
