"""Random streams by name: every use of a seed draws from a stream of its own.

With one stream for all, the labels that are shuffled would be those that are evaluated, and those that are seen first.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are used for. The values are part of every stored result and never change."""

    LABELS = 1  # which labels are shuffled
    BATCHES = 2  # the order of the training examples
    EVALUATION = 3  # the fixed subset on which training loss and accuracy are evaluated
    SUBSETS = 4  # stratified subsets of the training set
    BUNDLED_SPLIT = 5  # training and test split of data sets that come without one
    TRAINING_LENGTHS = 7  # number of steps of each net of minimal-ratio
    VALIDATION = 8  # training examples that are held out while learning rates are tuned
    FEATURES = 12  # random features of double-descent


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """Return the random number generator of a seed for one purpose."""
    return np.random.default_rng([seed, int(stream)])


def extra_seed(seed: int, k: int) -> int:
    """Return the seed of the k-th further training of a seed; no seed that a user can give (they are below 2^31)."""
    return seed + k * 2**40
