"""Rise of the loss at random points at one distance from the weights. The weights of the model are restored."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.budget import Budget, Progress
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.results import Saved
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]


@dataclass(frozen=True)
class BallRise(Saved):
    """The rise of the loss at random points at one distance, in pairs of opposite points."""

    rises: Array  # (samples,) f(theta + radius u) - f(theta); entries 2k and 2k + 1 are those of u and -u
    loss: float  # f(theta)
    complete: bool = True  # whether all samples were taken in time

    @property
    def pairs(self) -> Array:
        """Mean rise of each pair, (samples / 2,): radius^2 u'Hu / 2 and higher even terms, without the gradient's."""
        return self.rises.reshape(-1, 2).mean(axis=1)

    @property
    def mean(self) -> float:
        """Mean rise; for small radii it tends to radius^2 trace(H) / 2P."""
        return float(self.rises.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, from the means of the pairs."""
        return float(self.pairs.std(ddof=1) / np.sqrt(len(self.pairs)))

    @property
    def largest(self) -> float:
        """Largest of the samples; it grows with their number, and says little of the maximum in many dimensions."""
        return float(self.rises.max())


@check_numbers
def random_ball(
    model: keras.Model,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    radius: float,
    samples: int = 20,
    seed: int = 0,
    batch_size: int = BATCH,
    progress: Progress = None,
    max_seconds: float | None = None,
) -> BallRise:
    """Return the rise of the loss at points drawn uniformly from the sphere of `radius` around the weights.

    Every point is measured from the weights themselves, not from the previous point (that would be a random walk), and
    directions are uniform in all of space (normalized Gaussians), not in the positive orthant. They come in opposite
    pairs, u and -u: away from a minimum, the contribution of the gradient, radius g'u, dominates that of the curvature,
    and it cancels in the mean of a pair.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        radius: Euclidean distance from the weights.
        samples: number of points, even and at least 4.
        seed: of the directions.
        batch_size: examples per chunk; it changes rounding and memory only.
        progress: called after every pair with the number of samples done, that of all, and the seconds that the others
            will take; True: prints them.
        max_seconds: after two pairs, none begins later; `complete` is then False.

    Returns:
        The rises, in units of the loss.

    Raises:
        UserError: for a radius that is not positive, and an odd number of samples or fewer than 4.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> rise = measure.random_ball(net, "mse", x, y, radius=0.1, samples=10)
        >>> rise.rises.shape, rise.pairs.shape
        ((10,), (5,))
    """
    require(radius > 0 and np.isfinite(radius), f"`radius` {radius:g} must be positive and finite")
    require(
        samples >= 4 and samples % 2 == 0,
        f"`samples` {samples} must be even and at least 4, because points are drawn in pairs",
    )
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    rng, theta, rises = np.random.default_rng(seed), objective.theta, []
    budget = Budget("random_ball", samples, progress, max_seconds, unit="samples")
    with restore_weights(model):
        base = objective.value().loss
        for _ in range(samples // 2):
            u = rng.normal(size=objective.size)
            step = radius * u / np.linalg.norm(u)
            for way in (step, -step):
                objective.move(theta + way)
                rises.append(objective.value().loss - base)
            budget.step(2)
            if budget.is_spent and len(rises) >= 4:
                break
    return BallRise(np.array(rises), base, len(rises) == samples)
