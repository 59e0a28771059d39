"""How much the loss rises near the weights. The weights of the model are put back, even if something raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.objective import BATCH, Loss, Objective
from dlhw.measure.state import kept

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Sharpness:
    """A rise of the loss near the weights."""

    value: float  # in the units that the function says
    loss: float  # f(theta)
    largest: float  # the largest loss met: a lower bound of the true maximum
    evaluations: int  # of the loss, or of loss and gradient


def keskar(
    model: keras.Model,
    loss: Loss,
    x: Any,
    y: Any,
    *,
    epsilon: float = 1e-3,
    subspace: int | None = None,
    iterations: int = 10,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Sharpness:
    """Keskar et al. 2017, On large-batch training for deep learning: phi = 100 (max f(theta + A z) - f) / (1 + f).

    The maximum is sought in the box |z_i| <= epsilon (|(A^+ theta)_i| + 1) by SciPy's L-BFGS-B with `iterations`
    iterations (10 in the paper), from a random point of the box: at z = 0 of a trained net the gradient all but
    vanishes, and the search would end where it began. subspace=None: A = 1, all P directions; subspace=p: A of shape
    (P, p), random orthonormal columns, A^+ = A^T. phi is in per cent of 1 + f. The largest loss met is a lower bound of
    the maximum, so phi can only be too small; it is never negative, for z = 0 is in the box. nan where the loss itself
    is not finite. Deterministic for a seed.

    Raises UserError unless 0 < epsilon <= 1, and for losses of -1 and below, of which phi makes no sense.
    """
    from scipy.optimize import minimize

    require(0 < epsilon <= 1, f"epsilon {epsilon:g} must lie in (0, 1]")
    require(iterations >= 1, f"iterations {iterations} must be positive")
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    require(
        subspace is None or 1 <= subspace <= objective.size,
        f"subspace {subspace} must lie in 1..{objective.size}, the number of weights",
    )
    rng = np.random.default_rng(seed)
    theta = objective.theta
    a = None if subspace is None else np.linalg.qr(rng.normal(size=(objective.size, subspace)))[0]
    box = epsilon * (np.abs(theta if a is None else a.T @ theta) + 1)
    met: list[float] = []

    # L-BFGS-B sees the unit cube and a function whose gradient has entries of about 1 there: its tolerances are
    # absolute, so that a rise of 1e-5 would pass for none, and its first step is the gradient, which should reach the
    # walls. With a gradient of sum one, ten iterations found a third of the rise.
    def falling(u: Array, scale: float = 1.0) -> tuple[float, Array]:
        step = u * box
        objective.move(theta + (step if a is None else a @ step))
        value, gradient = objective.gradient()
        if np.isfinite(value):
            met.append(value)
        return (base - value) / scale, -(gradient if a is None else a.T @ gradient) * box / scale

    with kept(model):
        base = objective.value().loss
        if not np.isfinite(base):
            return Sharpness(np.nan, base, np.nan, 1)
        require(base > -1, f"the loss is {base:g}; Keskar's sharpness divides by 1 + loss, which must be positive")
        met.append(base)
        start = rng.uniform(-1, 1, len(box))
        scale = float(np.abs(falling(start)[1]).mean()) or 1.0
        search = {"bounds": [(-1, 1)] * len(box), "options": {"maxiter": iterations, "maxfun": 5 * iterations}}
        minimize(falling, start, args=(scale,), jac=True, method="L-BFGS-B", **search)
    largest = max(met)
    return Sharpness(100 * (largest - base) / (1 + base), base, largest, len(met))


def sam(
    model: keras.Model,
    loss: Loss,
    x: Any,
    y: Any,
    *,
    rho: float = 0.05,
    adaptive: bool = False,
    batch_size: int = BATCH,
) -> Sharpness:
    """One-step sharpness: f(theta + e) - f(theta), where e is the step of SAM of length `rho`.

    e = rho g / |g| (Foret et al. 2021); adaptive: e = rho T^2 g / |T g| with T = diag |theta| (Kwon et al. 2021), which
    does not change when the weights of ReLU layers are rescaled. Units of the loss. 0 where the gradient vanishes.
    """
    require(rho > 0 and np.isfinite(rho), f"rho {rho:g} must be positive and finite")
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    theta = objective.theta
    with kept(model):
        base, g = objective.gradient()
        scale = np.abs(theta) if adaptive else np.ones_like(theta)
        length = float(np.linalg.norm(scale * g))
        if length == 0:
            return Sharpness(0.0, base, base, 1)
        objective.move(theta + rho * scale**2 * g / length)
        largest = objective.value().loss
    return Sharpness(largest - base, base, largest, 2)


@dataclass(frozen=True)
class BallRise:
    """The rise of the loss at random points at one distance."""

    rises: Array  # (samples,) f(theta + radius u) - f(theta)
    loss: float  # f(theta)

    @property
    def mean(self) -> float:
        """Mean rise; for small radii it tends to radius^2 trace(H) / 2P."""
        return float(self.rises.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(self.rises.std(ddof=1) / np.sqrt(len(self.rises)))

    @property
    def largest(self) -> float:
        """Of the samples; it grows with their number, and says little of the true maximum in many dimensions."""
        return float(self.rises.max())


def random_ball(
    model: keras.Model,
    loss: Loss,
    x: Any,
    y: Any,
    *,
    radius: float,
    samples: int = 20,
    seed: int = 0,
    batch_size: int = BATCH,
) -> BallRise:
    """Rise of the loss at `samples` points drawn uniformly from the sphere of `radius` about the weights.

    Every point is measured from the weights themselves, never from the point before (that would be a random walk), and
    directions are uniform in all of space (normalised Gaussians), not in the positive orthant.
    """
    require(radius > 0 and np.isfinite(radius), f"radius {radius:g} must be positive and finite")
    require(samples >= 2, f"samples={samples} must be at least 2")
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    rng, theta, rises = np.random.default_rng(seed), objective.theta, []
    with kept(model):
        base = objective.value().loss
        for _ in range(samples):
            u = rng.normal(size=objective.size)
            objective.move(theta + radius * u / np.linalg.norm(u))
            rises.append(objective.value().loss - base)
    return BallRise(np.array(rises), base)
