"""A norm for each example, and its mean over a population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import check_numbers
from dlhw.measure.results import Saved

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Norms(Saved):
    """A norm for each of n examples, and their mean."""

    each: Array  # (n,)

    @property
    def mean(self) -> float:
        """Mean over the examples."""
        return float(np.mean(self.each, dtype=np.float64))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over the population of examples: s / sqrt(n); nan for one example."""
        if len(self.each) < 2:
            return float("nan")
        return float(np.std(self.each, ddof=1, dtype=np.float64) / np.sqrt(len(self.each)))

    @check_numbers
    def of_batch_means(self, batch_size: int) -> Norms:
        """Return the norms of gradients of batch means: each divided by the size of its batch, the last one smaller.

        Args:
            batch_size: B.

        Returns:
            The norms.
        """
        start = np.arange(len(self.each)) // batch_size * batch_size
        return Norms(self.each / np.minimum(batch_size, len(self.each) - start).astype(self.each.dtype))
