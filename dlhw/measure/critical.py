"""From a point of training to the nearest critical point: where the gradient vanishes, whatever the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers, require
from dlhw.measure.eigenvalue_signs import gradient_flatness
from dlhw.measure.results import Saved
from dlhw.measure.stacked_objective import StackedObjective

Array = NDArray[np.floating]

STEP = 0.1  # of the finite difference along a step, as Transtrum and Sethna advise
BEND = 0.75  # most that |a| may be of |v|, the step being v + a / 2
MOST_TRIALS = 60  # dampings tried for one step
CREEP, CREEP_STEPS, NEAR_ROUNDING = 0.9, 5, 1000.0
"""|g| within so many times its rounding that falls by less than a tenth in five Hessians is rounding."""


@dataclass(frozen=True)
class CriticalPoint(Saved):
    """The end point of the search, and how well it converged."""

    theta: Array  # (P,)
    loss: float
    gradient_norm: float  # |g|, of the loss
    eigenvalues: Array  # (P,) of the Hessian, ascending
    flatness: float  # |H g| / |g|: if near zero while |g| is not, the search ended because H g vanished
    arrived: bool  # |g| < tolerance, and so is the rounding of g: a float32 sum can fall below it by rounding
    ended: Literal["rounding", "stalled", "budget", "overflow"]
    """By what: |g| at rounding, of the weights or of the sum over the examples; no damping that lowers |g|; as many
    Hessians as allowed; nan."""
    hessians: int  # taken


@check_numbers
def critical_point(
    objective: StackedObjective,
    theta: Array,
    *,
    tolerance: float = 1e-8,
    hessians: int = 150,
    progress: Callable[[int, float], None] | None = None,
) -> CriticalPoint:
    """Minimize 1/2 |g|^2 until rounding ends the search, or `hessians` exact Hessians have been taken.

    Levenberg-Marquardt on the system g(theta) = 0, whose Jacobian is the Hessian H = V diag(lambda) V^T: v = -(H^2 +
    mu)^-1 H g, where mu is divided by ten after a step that lowers |g| and doubled after one that does not. The step
    includes a second-order correction (geodesic acceleration: Transtrum and Sethna 2012, Improvements to the
    Levenberg-Marquardt algorithm): v + a/2 with a = -(H^2 + mu)^-1 H g'', where g'' is the second derivative of g
    along v by a finite difference; it is refused where |a| exceeds 0.75 |v|.

    The search does not stop at `tolerance`: close to a degenerate critical point, curvatures that are zero at the point
    itself are as large as sqrt(|g|), half of them positive (see :func:`dlhw.measure.resolution`).

    It finds saddles and maxima as well as minima. It may end where H g = 0 and g does not (gradient-flat regions,
    Frye et al. 2021): check `arrived` and `flatness`.

    Args:
        objective: the loss of small dense nets.
        theta: weights of one net at which the search starts, (P,).
        tolerance: gradient norm below which the search counts as arrived.
        hessians: largest number of Hessians.
        progress: called with the number of Hessians taken and |g|.

    Returns:
        The end point of the search, and how well it converged.

    Raises:
        UserError: for a tolerance that is not positive, and for fewer than one Hessian.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> net = models.mlp((2,), activation="tanh", seed=0, dtype="float64")
        >>> objective = measure.StackedObjective([net], x, np.sin(3 * x), block=1)
        >>> point = measure.critical_point(objective, measure.flat(net), hessians=5)
        >>> point.hessians <= 5, point.eigenvalues.shape
        (True, (7,))
    """
    require(tolerance > 0, f"`tolerance` {tolerance} must be positive")
    require(hessians >= 1, f"`hessians` {hessians} must be at least 1")
    theta = np.asarray(theta, objective.dtype)
    point = _at(objective, theta)
    mu, taken, sizes = 1e-4 * float(np.abs(point.values).max()) ** 2 or 1.0, 1, list[float]()
    while True:
        if progress is not None:
            progress(taken, point.size)
        sizes.append(point.size)
        ended = _end(objective, point, taken >= hessians)
        if ended in (None, "budget") and _creeps(objective, point, sizes):
            ended = "rounding"
        step = None if ended else _step(objective, point, mu)
        if step is None:
            break
        theta, mu = step
        point, taken = _at(objective, theta), taken + 1
    return CriticalPoint(
        point.theta,
        point.loss,
        point.size,
        point.values,
        float(gradient_flatness(point.matrix, point.gradient)),
        bool(max(point.size, _rounding(objective, point)) < tolerance),
        ended or "stalled",  # no damping lowers |g|: a minimum of it, to rounding
        taken,
    )


def _end(objective: StackedObjective, at: _Point, spent: bool) -> Literal["rounding", "budget", "overflow"] | None:
    """Return why the search ends here; None if it does not."""
    if not np.isfinite(at.size):
        return "overflow"
    if at.size <= _rounding(objective, at):
        return "rounding"
    return "budget" if spent else None


def _creeps(objective: StackedObjective, at: _Point, sizes: list[float]) -> bool:
    """Whether |g| of all Hessians so far has stopped decreasing near its rounding."""
    at_rest = len(sizes) > CREEP_STEPS and sizes[-1] > CREEP * sizes[-1 - CREEP_STEPS]
    return at_rest and at.size <= NEAR_ROUNDING * _rounding(objective, at)


def _rounding(objective: StackedObjective, at: _Point) -> float:
    """Return |g| due to rounding: of the weights, eps |theta| times the largest curvature, and of the sum over the
    examples, eps times the size of its terms.

    Of a mean of squared residuals r the terms are 2 r dr/dtheta, in the mean at most 2 sqrt(f mean |dr/dtheta|^2), and
    the largest curvature is about 2 mean |dr/dtheta|^2.
    """
    curvature = float(np.abs(at.values).max())
    terms = float(np.sqrt(2 * max(at.loss, 0.0) * curvature))
    return float(np.finfo(objective.dtype).eps) * max(float(np.linalg.norm(at.theta)) * curvature, terms)


@dataclass(frozen=True)
class _Point:
    theta: Array
    loss: float
    gradient: Array
    matrix: Array
    values: Array
    vectors: Array
    size: float  # |g|


def _at(objective: StackedObjective, theta: Array) -> _Point:
    (loss,), (gradient,), (matrix,) = objective.hessian(theta[None])
    if not np.isfinite(matrix).all():
        nothing = np.full(len(theta), np.nan)
        return _Point(theta, float(loss), gradient, matrix, nothing, matrix, np.nan)
    values, vectors = np.linalg.eigh(matrix)
    return _Point(theta, float(loss), gradient, matrix, values, vectors, float(np.linalg.norm(gradient)))


def _step(objective: StackedObjective, at: _Point, mu: float) -> tuple[Array, float] | None:
    """Return the next weights and damping; None if no damping gives a point of smaller |g|."""

    def solve(right: Any) -> Array:
        """Return -(H^2 + mu)^-1 H right."""
        return np.asarray(-at.vectors @ (at.values / (at.values**2 + mu) * (at.vectors.T @ right)))

    for _ in range(MOST_TRIALS):
        mu = max(mu, 1e-30)
        v = solve(at.gradient)
        ahead = objective.gradient((at.theta + STEP * v)[None])[1][0]
        bend = (2 / STEP) * ((ahead - at.gradient) / STEP - at.matrix @ v)
        a = solve(bend)
        if np.linalg.norm(a) <= BEND * np.linalg.norm(v):
            theta = (at.theta + v + a / 2).astype(at.theta.dtype)
            if np.linalg.norm(objective.gradient(theta[None])[1][0]) < at.size:
                return theta, mu / 10
        mu *= 2
    return None
