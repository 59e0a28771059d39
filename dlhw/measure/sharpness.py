"""How much the loss rises near the weights. The weights of the model are restored, even after an error."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.box_search import climb, corners
from dlhw.measure.budget import Budget, Progress
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.results import Saved
from dlhw.models.selection import Layers
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Sharpness(Saved):
    """A rise of the loss near the weights."""

    value: float  # in the units documented by the function
    loss: float  # f(theta)
    largest: float  # the largest loss met: a lower bound of the true maximum
    evaluations: int  # of the loss, or of loss and gradient
    searches: Array = field(default_factory=lambda: np.empty(0))  # value of every search for the maximum; () without
    settled: bool = True  # whether the best search converged before its iteration limit

    @property
    def spread(self) -> float:
        """How far the searches lie apart: (largest - smallest) / largest; nan where there is no rise."""
        top = float(self.searches.max(initial=0.0))
        return float((top - self.searches.min()) / top) if top > 0 else float("nan")


@check_numbers
def keskar(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    epsilon: float = 1e-3,
    subspace: int | None = None,
    starts: int = 3,
    iterations: int = 200,
    seed: int = 0,
    batch_size: int = BATCH,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> Sharpness:
    """Return Keskar's sharpness: phi = 100 (max f(theta + A z) - f) / (1 + f) over a box around the weights.

    Keskar et al. 2017, On large-batch training for deep learning. The maximum is sought in the box |z_i| <= epsilon
    (|(A^+ theta)_i| + 1) by SciPy's L-BFGS-B from random points of the box (at z = 0 of a trained net the gradient
    nearly vanishes, and the search would end where it began), and by moving to the corner to which the gradient points,
    again and again: a convex function has its maximum at a corner. Each search continues until the largest rise that it
    met has grown by less than 1 % in ten iterations. Ten iterations in all, as in the paper, found 74, 96 and 100 % of
    that rise for three nets trained in batches of 500 and 90 to 93 % in batches of 8000: a bias that differs between
    the nets that are compared.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        epsilon: size of the box, in (0, 1].
        subspace: None: A = 1, all P directions; p: A of shape (P, p), random orthonormal columns, A^+ = A^T.
        starts: number of random points from which L-BFGS-B starts.
        iterations: cap of each search.
        seed: of the starts and the subspace; the same seed gives the same result.
        batch_size: examples per chunk; it changes rounding and memory only.
        progress: called after every evaluation with the number done, that of `iterations` in all searches, and the
            seconds that these would take; searches mostly end earlier. True: prints them.
        max_seconds: no iteration begins later, and `settled` is False.

    Returns:
        phi in per cent of 1 + f: a lower bound of the true maximum, never negative (z = 0 is in the box), nan where f
        is not finite. `searches` holds phi of every search, `settled` says whether the best one ended before its cap.

    Raises:
        UserError: unless 0 < epsilon <= 1, and for losses of -1 and below, for which phi makes no sense.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> measure.keskar(net, "mse", x, y, epsilon=0.01, starts=1).value > 0
        True
    """
    require(0 < epsilon <= 1, f"`epsilon` {epsilon:g} must lie in (0, 1]")
    require(iterations >= 1 and starts >= 1, f"`iterations` {iterations} and `starts` {starts} must be positive")
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    require(
        subspace is None or 1 <= subspace <= objective.size,
        f"`subspace` {subspace} must lie in 1..{objective.size}, the number of weights",
    )
    rng = np.random.default_rng(seed)
    theta = objective.theta
    a = None if subspace is None else np.linalg.qr(rng.normal(size=(objective.size, subspace)))[0]
    size = epsilon * (np.abs(theta if a is None else a.T @ theta) + 1)
    evaluations = 1
    budget = Budget("keskar", (starts + 1) * iterations, progress or False, max_seconds, unit="evaluations")

    def rise(u: Array) -> tuple[float, Array]:
        """Return f(theta + A (u size)) - f(theta) at a point u of the unit cube, and its gradient with respect to u."""
        nonlocal evaluations
        evaluations += 1
        step = u * size
        objective.move(theta + (step if a is None else a @ step))
        value, gradient = objective.gradient()
        budget.step()
        return value - base, (gradient if a is None else a.T @ gradient) * size

    with restore_weights(model):
        base = objective.value().loss
        if not np.isfinite(base):
            return Sharpness(np.nan, base, np.nan, 1)
        require(base > -1, f"the loss is {base:g}; Keskar's sharpness divides by 1 + loss, which must be positive")
        points = rng.uniform(-1, 1, (starts, len(size)))
        results = [climb(rise, points[0], iterations, budget)]
        for search, point in (*((climb, point) for point in points[1:]), (corners, points[0])):
            if not budget.is_spent:
                results.append(search(rise, point, iterations, budget))
        budget.finish()
    rises, settled = zip(*results, strict=True)
    best = int(np.argmax(rises))
    is_settled = settled[best] and len(results) == starts + 1
    phi = 100 * np.array(rises) / (1 + base)
    return Sharpness(float(phi[best]), base, base + rises[best], evaluations, phi, is_settled)


@check_numbers
def sam(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    rho: float = 0.05,
    adaptive: bool = False,
    layers: Layers = None,
    batch_size: int = BATCH,
) -> Sharpness:
    """Return the one-step sharpness: f(theta + e) - f(theta), where e is the step of SAM of length `rho`.

    e = rho g / |g| (Foret et al. 2021); adaptive: e = rho T^2 g / |T g| with T = diag |theta| (Kwon et al. 2021), which
    does not change when the weights of ReLU layers are rescaled.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        rho: length of the step.
        adaptive: see above.
        layers: names of layers, one or several: the step moves their weights alone; None: all.
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        The rise, in units of the loss; 0 where the gradient vanishes.

    Raises:
        UserError: unless rho is positive and finite, and for names of layers that the model does not have.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> measure.sam(net, "mse", x, y, rho=0.01).value > 0
        True
    """
    require(rho > 0 and np.isfinite(rho), f"`rho` {rho:g} must be positive and finite")
    objective = Objective(model, loss, x, y, batch_size=batch_size, layers=layers)
    theta = objective.theta
    with restore_weights(model):
        base, g = objective.gradient()
        scale = np.abs(theta) if adaptive else np.ones_like(theta)
        length = float(np.linalg.norm(scale * g))
        if length == 0:
            return Sharpness(0.0, base, base, 1)
        objective.move(theta + rho * scale**2 * g / length)
        largest = objective.value().loss
    return Sharpness(largest - base, base, largest, 2)
