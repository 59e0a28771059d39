"""Newton's method on the loss of small dense nets: towards any critical point, and towards a minimum."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers, require
from dlhw.measure.stacked_objective import StackedObjective

Array = NDArray[np.floating]

FLAT = 1e-10
"""Curvature relative to the largest, along which a Newton step does not move."""
CLOSE = 1e-10
"""Gradient norm at which Newton's method ends; :func:`dlhw.measure.critical_point` goes on to rounding."""


@check_numbers
def newton(
    objective: StackedObjective,
    theta: Array,
    *,
    radius: float = 1.0,
    hessians: int = 60,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[Array, int]:
    """Solve g(theta) = 0 by Newton's method, with steps of at most `radius`.

    The step -H^+ g, H^+ the pseudo-inverse, is the same towards a minimum, a saddle and a maximum: it leads to
    whichever critical point is near. It may wander, and |g| may rise on the way (Nocedal and Wright 2006, Numerical
    Optimization, chapter 11): check where it ended.

    Args:
        objective: the loss of small dense nets.
        theta: weights of one net at which it starts, (P,).
        radius: length of the longest step.
        hessians: largest number of Hessians.
        progress: called with the number of Hessians taken and |g|.

    Returns:
        The weights where it ended, (P,), and the number of Hessians taken.

    Raises:
        UserError: for a radius that is not positive, and for fewer than one Hessian.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> net = models.mlp((1,), activation="tanh", seed=0, dtype="float64")
        >>> objective = measure.StackedObjective([net], x, np.sin(3 * x), block=1)
        >>> end, taken = measure.newton(objective, measure.flat(net), hessians=5)
        >>> end.shape, taken <= 5
        ((4,), True)
    """
    require(radius > 0, f"`radius` {radius:g} must be positive")
    require(hessians >= 1, f"`hessians` {hessians} must be at least 1")
    theta, taken = np.array(theta, objective.dtype), 0
    while taken < hessians:
        _, (gradient,), (matrix,) = objective.hessian(theta[None])
        taken, size = taken + 1, float(np.linalg.norm(gradient))
        if progress is not None:
            progress(taken, size)
        if not np.isfinite(matrix).all() or size < CLOSE:
            break
        values, vectors = np.linalg.eigh(matrix)
        flat = np.abs(values) <= FLAT * np.abs(values).max()
        step = -vectors @ (np.where(flat, 0, 1 / np.where(flat, 1, values)) * (vectors.T @ gradient))
        length = float(np.linalg.norm(step))
        if not np.isfinite(length) or length == 0:
            break
        theta = (theta + min(1.0, radius / length) * step).astype(objective.dtype)
    return theta, taken


@check_numbers
def descend(
    objective: StackedObjective,
    theta: Array,
    *,
    hessians: int = 100,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[Array, int]:
    """Minimize the loss itself with Newton's method in a trust region.

    Where a search on |g|^2 ends in a gradient-flat region, this leads to a minimum of the loss near it, from which
    :func:`critical_point` reaches rounding. The step solves the trust-region problem exactly (More and Sorensen 1983,
    Computing a trust region step), with the method `trust-exact` of SciPy.

    Args:
        objective: the loss of small dense nets.
        theta: weights of one net at which it starts, (P,).
        hessians: largest number of Hessians.
        progress: called with the number of Hessians taken and |g|.

    Returns:
        The weights where it ended, (P,), and the number of Hessians taken.

    Raises:
        UserError: for fewer than one Hessian.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> net = models.mlp((2,), activation="tanh", seed=0, dtype="float64")
        >>> objective = measure.StackedObjective([net], x, np.sin(3 * x), block=1)
        >>> end, taken = measure.descend(objective, measure.flat(net), hessians=5)
        >>> objective.gradient(end[None])[0] < objective.gradient(measure.flat(net)[None])[0]
        array([ True])
    """
    from scipy.optimize import minimize

    require(hessians >= 1, f"`hessians` {hessians} must be at least 1")
    taken, size = 0, np.nan

    def value(at: Array) -> tuple[float, Array]:
        nonlocal size
        (loss,), (gradient,) = objective.gradient(at[None].astype(objective.dtype))
        size = float(np.linalg.norm(gradient))
        return float(loss), gradient.astype(float)

    def matrix(at: Array) -> Array:
        nonlocal taken
        taken += 1
        if progress is not None:
            progress(taken, size)
        return np.asarray(objective.hessian(at[None].astype(objective.dtype))[2][0].astype(float))

    options = {"gtol": 1e-10, "maxiter": hessians - 1, "max_trust_radius": 50.0}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        end = minimize(value, theta.astype(float), jac=True, hess=matrix, method="trust-exact", options=options)
    return np.asarray(end.x.astype(theta.dtype)), taken
