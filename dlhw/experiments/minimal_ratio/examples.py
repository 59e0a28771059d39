"""The images of `task` digits, small enough for whole Hessians."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXAMPLES, SIDE, CLASSES = 300, 4, 10
DIGITS_SIZES = SIDE * SIDE, CLASSES
"""Inputs and outputs of a net."""


@functools.cache
def digits() -> tuple[Array, Array]:
    """Return 300 training digits, a stratified subset: pixels averaged to 4x4, (n, 16), and one-hot targets, (n, 10).

    The targets are fitted in the mean square: the cross entropy of a net that separates the classes has no minimum at
    finite weights, and so no critical point to arrive at.
    """
    from dlhw import datasets

    data = datasets.load("digits", examples=EXAMPLES, seed=0)
    blocks = data.x_train.astype(np.float64).reshape(EXAMPLES, SIDE, 2, SIDE, 2)
    return blocks.mean(axis=(2, 4)).reshape(EXAMPLES, -1), np.eye(CLASSES)[data.y_train]
