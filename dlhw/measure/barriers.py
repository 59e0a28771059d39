"""Heights of barriers from the losses along a line: arrays only, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.results import Saved

Array = NDArray[np.floating]


@dataclass(frozen=True)
class LineProfile(Saved):
    """Loss and accuracy at G points of a line between two sets of weights."""

    alphas: Array  # (G,) ascending, 0 and 1 among them
    loss: Array  # (G,)
    accuracy: Array  # (G,) fraction in [0, 1]; nan where targets are not class labels


def alpha_grid(alphas: Sequence[float] | Array) -> Array:
    """Return sorted points of a line, each once, with 0 and 1 among them.

    Args:
        alphas: any numbers.

    Returns:
        (G,), ascending.

    Raises:
        UserError: unless all are finite.

    Example:
        >>> from dlhw import measure
        >>> measure.alpha_grid([2, 0.5, 0.5]).tolist()
        [0.0, 0.5, 1.0, 2.0]
    """
    values = np.asarray(alphas, np.float64)
    bad = values[~np.isfinite(values)]
    require(not len(bad), f"`alphas` contain {', '.join(map(str, bad[:3]))}; they must be finite numbers")
    return np.unique(np.concatenate([values.ravel(), [0.0, 1.0]]))


def barrier_over_mean(alphas: Array, values: Array) -> Array:
    """Return the height of a barrier: largest value in [0, 1] minus the mean of the two ends.

    Frankle et al. 2020 (Linear mode connectivity and the lottery ticket hypothesis) define it in this way for the
    classification error; it can be applied to the loss too. It is positive even without a barrier where the ends
    differ.

    Args:
        alphas: points of the line, (G,), with 0 and 1 among them.
        values: losses or errors, (..., G).

    Returns:
        Heights, (...,), in units of the values.

    Raises:
        UserError: if 0 or 1 is missing from the alphas.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> float(measure.barrier_over_mean(np.array([0, 0.5, 1]), np.array([1.0, 3.0, 2.0])))
        1.5
    """
    inside = (alphas >= 0) & (alphas <= 1)
    return np.asarray(values[..., inside].max(axis=-1) - (_at(alphas, values, 0) + _at(alphas, values, 1)) / 2)


def barrier_over_chord(alphas: Array, values: Array) -> Array:
    """Return the height of a barrier: largest excess in [0, 1] over the straight line between the two ends.

    max of L(alpha) - ((1 - alpha) L(0) + alpha L(1)): Entezari et al. 2022, The role of permutation invariance in
    linear mode connectivity. It is never negative, and 0 where the loss is convex along the line.

    Args:
        alphas: points of the line, (G,), with 0 and 1 among them.
        values: losses or errors, (..., G).

    Returns:
        Heights, (...,), in units of the values.

    Raises:
        UserError: if 0 or 1 is missing from the alphas.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> float(measure.barrier_over_chord(np.array([0, 0.5, 1]), np.array([1.0, 1.5, 2.0])))
        0.0
    """
    inside = (alphas >= 0) & (alphas <= 1)
    at = alphas[inside]
    chord = (1 - at) * _at(alphas, values, 0)[..., None] + at * _at(alphas, values, 1)[..., None]
    return np.asarray((values[..., inside] - chord).max(axis=-1))


def _at(alphas: Array, values: Array, alpha: float) -> Array:
    positions = np.flatnonzero(alphas == alpha)
    require(len(positions) > 0, f"`alphas` do not contain {alpha:g}; a barrier needs both ends of the line")
    return np.asarray(values[..., int(positions[0])])
