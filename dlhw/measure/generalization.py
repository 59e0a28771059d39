"""Standard error of the gap between test and training loss."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlhw._tf.losses import Loss
from dlhw.measure.objective import Objective


def gap_standard_error(model: keras.Model, loss: Loss, train: tuple[Any, Any], test: tuple[Any, Any]) -> float:
    """Return the standard error of the generalization gap, mean test loss minus mean training loss.

    sqrt(var(train losses) / n + var(test losses) / m): the error from evaluating on finitely many examples. All
    trainings that are evaluated on the same examples share it, so that more seeds do not lower it.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        train: inputs and targets of n training examples.
        test: inputs and targets of m test examples.

    Returns:
        The standard error, in units of the loss.

    Raises:
        UserError: where the loss of an example depends on the others.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> error = measure.gap_standard_error(net, "mse", (x[:15], y[:15]), (x[15:], y[15:]))
        >>> error > 0
        True
    """
    variance = 0.0
    for x, y in (train, test):
        losses = Objective(model, loss, x, y).example_losses()
        variance += float(losses.var(ddof=1)) / len(losses)
    return float(np.sqrt(variance))
