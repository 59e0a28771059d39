"""Extreme eigenpairs and spectral density of a symmetric operator.

The operator is a matrix, a SciPy `LinearOperator`, or :func:`dlhw.measure.hessian` of a model and its relatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers, require
from dlhw.measure.budget import Budget, Progress
from dlhw.measure.lanczos import Lanczos
from dlhw.measure.operators import symmetric_operator
from dlhw.measure.results import Saved

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Eigenpairs(Saved):
    """Some eigenpairs of a symmetric operator, each with its own quality."""

    values: Array  # (k,) from the largest down
    vectors: Array  # (k, P) orthonormal rows, in the precision of the operator
    residuals: Array  # (k,) |A v - value v|; an eigenvalue lies within that distance of the value
    converged: NDArray[np.bool_]  # (k,) residual <= tolerance * largest |value| met
    steps: int  # products with the operator, those for the residuals included
    ended: str = "converged"
    """By what: "converged"; as many "steps" as allowed; "time". After "time" the residuals are those that Lanczos's
    recursion gives, without a product of their own."""


@check_numbers
def eigenpairs(
    operator: Any,
    k: int = 1,
    *,
    which: Literal["largest", "smallest", "both"] = "largest",
    steps: int = 100,
    tolerance: float = 1e-4,
    seed: int = 0,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> Eigenpairs:
    """Return the k largest eigenvalues (not by magnitude), the k smallest, or k of both ends, by Lanczos's method.

    With full re-orthogonalization. `converged` says that a pair is an eigenpair; it cannot say that none was missed: an
    eigenvalue of multiplicity is found again only after the space of the start vector is exhausted. Memory: `steps`
    vectors in the precision of the operator. Golub and Van Loan, Matrix Computations, 4th ed., section 10.1.

    Args:
        operator: a symmetric matrix, a SciPy `LinearOperator`, or :func:`dlhw.measure.hessian` of a model, (P, P).
        k: number of pairs (at each end).
        which: "largest", "smallest" or "both".
        steps: most products with the operator; fewer are taken as soon as the wanted pairs have converged.
        tolerance: residual relative to the largest |eigenvalue| met, below which a pair has converged.
        seed: of the start vector.
        progress: called after every product with the number done, the most, and the seconds that the others will take;
            True: prints them.
        max_seconds: no product begins later. Then there may be fewer than k pairs, and `converged` and `ended` say so.

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
    given = symmetric_operator(operator)
    ends = {"largest": 1, "smallest": 1, "both": 2}
    require(which in ends, f"`which` {which!r} is unknown; use {', '.join(ends)}")
    require(k >= 1, f"`k` {k} must be positive")
    require(ends[which] * k <= given.shape[0], f"`k` {k} ({which}) exceeds the operator's size {given.shape[0]}")
    require(steps >= ends[which] * k, f"`steps` {steps} must be at least the {ends[which] * k} pairs wanted")
    most = min(steps, given.shape[0])
    budget = Budget("eigenpairs", most + ends[which] * k, progress, max_seconds)
    a = budget.watched(given)
    run = Lanczos(a, steps, seed)
    ended = "steps"
    while len(run.alpha) < most and ended == "steps":
        run.step()
        m = len(run.alpha)
        if m >= ends[which] * k and m % 5 == 0 and run.beta[-1] > 0:  # at 0 the space is used up: go on from another
            values, estimates = _estimates(run, k, which)[:2]
            if (estimates <= 0.5 * tolerance * np.abs(values).max()).all():
                ended = "converged"
        if budget.is_spent and ended == "steps":
            ended = "time"
    values, estimates, at, rows = _estimates(run, k, which)
    vectors = rows[:, at].T.astype(run.basis.dtype) @ run.basis[: len(values)]
    residuals = estimates
    if ended != "time":
        pairs = zip(vectors, values[at], strict=True)
        residuals = np.array([np.linalg.norm(a.matvec(v) - value * v) for v, value in pairs])
    budget.finish()
    converged = residuals <= tolerance * np.abs(values).max()
    if converged.all() and ended == "steps":
        ended = "converged"
    return Eigenpairs(values[at], vectors, residuals.astype(np.float64), converged, budget.done, ended)


def _estimates(run: Lanczos, k: int, which: str) -> tuple[Array, Array, NDArray[np.integer], Array]:
    """Return all Ritz values, the residuals of the wanted ones by theory, their positions, and the vectors."""
    values, rows = np.linalg.eigh(run.tridiagonal())
    at = _ends(len(values), k, which)[::-1]
    return values, np.abs(run.beta[-1] * rows[-1, at]), at, rows


def _ends(m: int, k: int, which: str) -> NDArray[np.integer]:
    """Return the indices of the wanted ones of m ascending values; all where there are not as many."""
    k = min(k, m)
    low, high = np.arange(k), np.arange(m - k, m)
    return {"largest": high, "smallest": low, "both": np.union1d(low, high)}[which]


@dataclass(frozen=True)
class Density(Saved):
    """Spectral density of a symmetric operator: point masses, and smoothed."""

    nodes: Array  # (m,) ascending
    weights: Array  # (m,) shares of the spectrum; they add up to 1
    grid: Array  # (g,)
    density: Array  # (g,) per unit of the eigenvalue; integrates to 1
    width: float  # standard deviation of the Gaussians that smooth it
    products: int = 0  # with the operator
    complete: bool = True  # whether all probes were finished in time


@check_numbers
def spectral_density(
    operator: Any,
    *,
    steps: int = 60,
    probes: int = 8,
    points: int = 1000,
    width: float | None = None,
    seed: int = 0,
    progress: Progress = None,
    max_seconds: float | None = None,
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
        progress: as in :func:`eigenpairs`.
        max_seconds: no product begins later. A probe that is then unfinished is left out, unless it is the first, and
            `complete` is False.

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
    given = symmetric_operator(operator)
    require(steps >= 1 and probes >= 1, f"`steps` {steps} and `probes` {probes} must be positive")
    most = min(steps, given.shape[0])
    budget = Budget("spectral_density", probes * most, progress, max_seconds)
    a = budget.watched(given)
    nodes: list[Array] = []
    weights: list[Array] = []
    for probe in range(probes):
        run = Lanczos(a, steps, seed + 7919 * probe)
        while len(run.alpha) < most and not (run.alpha and budget.is_spent):
            run.step()
        if len(run.alpha) == most or not nodes:
            values, rows = np.linalg.eigh(run.tridiagonal())
            nodes.append(values)
            weights.append(rows[0] ** 2)
        if budget.is_spent:
            break
    complete = budget.done == probes * most
    return _smoothed(np.concatenate(nodes), np.concatenate(weights) / len(nodes), points, width, budget.done, complete)


def _smoothed(at: Array, share: Array, points: int, width: float | None, products: int, complete: bool) -> Density:
    """Return the density of point masses, smoothed."""
    order = np.argsort(at, kind="stable")
    at, share = at[order], share[order]
    span = at[-1] - at[0] or max(abs(float(at[0])), 1.0)
    sigma = float(span / 100 if width is None else width)
    require(sigma > 0, f"`width` {sigma} must be positive")
    grid = np.linspace(at[0] - 4 * sigma, at[-1] + 4 * sigma, points)
    step = (grid[-1] - grid[0]) / (points - 1)
    require(sigma >= step, f"`width` {sigma:g} is below the grid step {step:.2g}; use more than {points} points")
    bells = np.exp(-0.5 * ((grid[:, None] - at) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return Density(at, share, grid, bells @ share, sigma, products, complete)
