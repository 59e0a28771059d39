"""Drawing from labels: stratified subsets, and shuffled labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.seeds import Stream, generator

EVALUATED = 10_000
"""Training examples on which loss and accuracy are evaluated by default: the first of a fixed permutation."""


def fixed_sample(n: int, size: int) -> NDArray[np.intp]:
    """Return the positions of training examples used for evaluation: the same for every seed.

    Args:
        n: number of training examples.
        size: number of positions.

    Returns:
        Positions in 0..n-1, (size,).
    """
    return generator(0, Stream.EVALUATION).permutation(n)[:size]


def stratified(labels: NDArray[Any], examples: int, seed: int, stream: Stream = Stream.SUBSETS) -> NDArray[np.intp]:
    """Return the positions of a stratified subset (largest remainders), in random order.

    Args:
        labels: of all examples, (n,).
        examples: size of the subset.
        seed: of the subset.
        stream: what the subset is for.

    Returns:
        Positions in 0..n-1, (examples,).
    """
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (examples / len(labels))
    share = np.maximum(np.floor(exact).astype(int), 1)
    for k in np.argsort(share - exact, kind="stable"):
        if share.sum() < examples and share[k] < counts[k]:
            share[k] += 1
    while share.sum() > examples:  # tiny subsets, where a class was lifted to one
        share[np.argmax(np.where(share > 1, share - exact, -np.inf))] -= 1
    rng = generator(seed, stream)
    drawn = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, share, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def held_out(labels: NDArray[Any], share: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions of the training examples that are trained on, and of those held out for validation.

    Args:
        labels: of all training examples, (n,).
        share: one example in so many is held out, stratified, the same for every seed.

    Returns:
        Ascending positions in 0..n-1, which do not overlap: (n - n // share,) and (n // share,).
    """
    validation = np.sort(stratified(labels, len(labels) // share, 0, Stream.VALIDATION))
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def shuffle_labels(labels: NDArray[Any], noise: float, seed: int) -> NDArray[Any]:
    """Return labels of which a random fraction is permuted (Zhang et al. 2017).

    Every class keeps its number of examples. A shuffled label may fall on its own class, by chance one in ten.

    Args:
        labels: (n,).
        noise: fraction that is shuffled, in [0, 1].
        seed: of the shuffle.

    Returns:
        The labels, (n,).

    Raises:
        UserError: for a fraction outside [0, 1].

    Example:
        >>> import numpy as np
        >>> from dlhw import datasets
        >>> sorted(datasets.shuffle_labels(np.arange(5), 1.0, seed=0).tolist())
        [0, 1, 2, 3, 4]
    """
    require(0 <= noise <= 1, f"`noise` {noise:g} must lie in [0, 1]: the share of labels that are shuffled")
    rng = generator(seed, Stream.LABELS)
    chosen = rng.permutation(len(labels))[: round(noise * len(labels))]
    shuffled = labels.copy()
    shuffled[chosen] = labels[rng.permutation(chosen)]
    return shuffled
