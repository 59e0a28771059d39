"""Curves of low loss between two sets of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.barriers import LineProfile
from dlhw.measure.batch_statistics import BatchNorm, check_batch_norm
from dlhw.measure.bend_training import BendTraining
from dlhw.measure.objective import BATCH, Objective
from dlhw.measure.path_points import Weights, combined, values_at, weights_of
from dlhw.models.state import restore_weights

Array = NDArray[np.floating]

POINTS = tuple(k / 20 for k in range(21))
"""Points at which a curve is measured by default."""


@dataclass(frozen=True)
class BezierCurve:
    """A quadratic Bezier curve through the space of weights, and the losses along it."""

    start: tuple[Array, ...]  # all weights at t = 0, as `get_weights()` gives them
    bend: tuple[Array, ...]  # the point that the curve is drawn to; it is not on the curve
    end: tuple[Array, ...]  # at t = 1
    ts: Array  # (K,) ascending, 0 and 1 among them
    loss: Array  # (K,)
    accuracy: Array  # (K,) fraction in [0, 1]; nan where targets are not class labels
    history: Array  # (E,) mean loss of the batches of every epoch, each at a t of its own

    @check_numbers
    def at(self, t: float) -> list[Array]:
        """Return the weights (1 - t)^2 start + 2 t (1 - t) bend + t^2 end.

        Args:
            t: position, in [0, 1].

        Returns:
            All weights, for `model.set_weights`.

        Raises:
            UserError: for a position outside of [0, 1].
        """
        require(0 <= t <= 1, f"`t` {t:g} must lie in [0, 1]")
        return combined((self.start, self.bend, self.end), coefficients(np.array([t], np.float64))[0])

    @check_numbers
    def profile(
        self,
        model: keras.Model,
        loss: Loss,
        x: Data,
        y: Data,
        ts: Sequence[float] | Array = POINTS,
        *,
        batch_norm: BatchNorm = "recompute",
        batch_size: int = BATCH,
    ) -> LineProfile:
        """Return loss and accuracy along the curve on other data, such as test images.

        Args:
            model: of the weights; afterwards it is as it was.
            loss: see :class:`dlhw.measure.Objective`.
            x: inputs, (n, ...).
            y: targets, (n, ...).
            ts: positions; 0 and 1 are added where they are missing.
            batch_norm: as in :func:`curve`; "recompute" takes the statistics from x.
            batch_size: examples per chunk; it changes rounding and memory only.

        Returns:
            The positions as alphas, with loss and accuracy at each.

        Raises:
            UserError: as :func:`curve`.
        """
        check_batch_norm(batch_norm)
        grid, objective = positions(ts), Objective(model, loss, x, y, batch_size=batch_size)
        bases = [weights_of(objective, w, "the curve") for w in (self.start, self.bend, self.end)]
        values = values_at(objective, bases, coefficients(grid), batch_norm)
        return LineProfile(grid, np.array([v.loss for v in values]), np.array([v.accuracy for v in values]))


def coefficients(ts: Array) -> Array:
    """Return the shares of start, bend and end at each position, (K, 3)."""
    return np.stack([(1 - ts) ** 2, 2 * ts * (1 - ts), ts**2], 1)


@check_numbers
def curve(
    a: keras.Model,
    b: Weights,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    epochs: int = 10,
    learning_rate: float = 1e-3,
    examples: int = 128,
    ts: Sequence[float] | Array = POINTS,
    batch_norm: BatchNorm = "recompute",
    seed: int = 0,
    batch_size: int = BATCH,
    progress: Callable[[int, float], None] | None = None,
) -> BezierCurve:
    """Return a quadratic Bezier curve from `a` to `b` whose bend is trained so that the loss along it is low.

    Garipov et al. 2018, Loss surfaces, mode connectivity, and fast ensembling of DNNs: the bend w minimizes the mean
    over t in [0, 1] of the loss at (1 - t)^2 a + 2 t (1 - t) w + t^2 b, by steps on batches, each at a random t. It
    starts at the mean of the ends, where the curve is the straight line. The steps are those of Adam, with a rate that
    falls to 0 by half a cosine. Dropout and noise are silent; batch normalization uses the statistics of the batch, and
    every point is measured with statistics taken anew ("recompute"), or both use interpolated ones ("interpolate").

    Args:
        a: any built Keras model of one output; it is used to compute, and afterwards is as it was, even after an error.
        b: a model, its weights as `model.get_weights()` returns them, or a vector of :func:`dlhw.measure.flat`, (P,).
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...), on which the bend is trained and the curve is measured.
        y: targets, (n, ...).
        epochs: passes over the examples; 0 leaves the bend at the mean.
        learning_rate: of the first step.
        examples: of a step.
        ts: positions that are measured; 0 and 1 are added where they are missing.
        batch_norm: see above.
        seed: of the order of the examples and of the random positions.
        batch_size: examples per chunk of a measurement; it changes rounding and memory only.
        progress: called with the number of epochs done and their latest mean loss.

    Returns:
        The curve: its three points, and loss and accuracy along it.

    Raises:
        UserError: for weights that are not those of the model, positions outside of [0, 1], and data that do not fit.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> other = models.mlp((4,), activation="tanh", seed=1, dtype="float64")
        >>> bezier = measure.curve(net, other, "mse", x, y, epochs=5, ts=[0.5])
        >>> bezier.ts.tolist(), bezier.loss.shape, len(bezier.at(0.25))
        ([0.0, 0.5, 1.0], (3,), 4)
    """
    check_batch_norm(batch_norm)
    require(epochs >= 0, f"`epochs` {epochs} must be 0 or more")
    require(examples >= 1, f"`examples` {examples} must be positive")
    require(0 < learning_rate < np.inf, f"`learning_rate` {learning_rate} must be positive")
    grid = positions(ts)
    objective = Objective(a, loss, x, y, batch_size=batch_size)
    ends = weights_of(objective, a, "a"), weights_of(objective, b, "b")
    with restore_weights(a):
        training = BendTraining(objective, ends, batch_norm == "recompute")
        history = training.fit(epochs, learning_rate, examples, np.random.default_rng(seed), progress)
    bases = [ends[0], training.bend(), ends[1]]
    values = values_at(objective, bases, coefficients(grid), batch_norm)
    loss_values, accuracy = np.array([(v.loss, v.accuracy) for v in values]).T
    start, bend, end = map(tuple, bases)
    return BezierCurve(start, bend, end, grid, loss_values, accuracy, history)


def positions(ts: Sequence[float] | Array) -> Array:
    """Return sorted positions of a curve, each once, with 0 and 1 among them."""
    values = np.asarray(ts, np.float64).ravel()
    bad = values[~((values >= 0) & (values <= 1))]
    require(not len(bad), f"`ts` contain {', '.join(map(str, bad[:3]))}; positions of a curve lie in [0, 1]")
    return np.unique(np.concatenate([values, [0.0, 1.0]]))
