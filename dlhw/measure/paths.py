"""What a line of losses says: arrays only, no model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Line:
    """Loss and accuracy at G points of a line between two sets of weights."""

    alphas: Array  # (G,) ascending, 0 and 1 among them
    loss: Array  # (G,)
    accuracy: Array  # (G,) share in [0, 1]; nan where y are no class labels


def barrier_over_mean(alphas: Array, values: Array) -> Array:
    """Height of a barrier, Frankle et al. 2020: largest value in [0, 1] less the mean of the ends, (..., G) -> (...).

    Linear mode connectivity and the lottery ticket hypothesis. Positive even without a hill where the ends differ.
    """
    inside = (alphas >= 0) & (alphas <= 1)
    return np.asarray(values[..., inside].max(axis=-1) - (_at(alphas, values, 0) + _at(alphas, values, 1)) / 2)


def barrier_over_chord(alphas: Array, values: Array) -> Array:
    """Height of a barrier, Entezari et al. 2022: largest excess in [0, 1] over the straight line between the ends.

    The role of permutation invariance in linear mode connectivity. max of L(alpha) - ((1 - alpha) L(0) + alpha L(1)):
    never negative, 0 where the loss is convex along the line.
    """
    inside = (alphas >= 0) & (alphas <= 1)
    at = alphas[inside]
    chord = (1 - at) * _at(alphas, values, 0)[..., None] + at * _at(alphas, values, 1)[..., None]
    return np.asarray((values[..., inside] - chord).max(axis=-1))


def _at(alphas: Array, values: Array, alpha: float) -> Array:
    return np.asarray(values[..., int(np.flatnonzero(alphas == alpha)[0])])
