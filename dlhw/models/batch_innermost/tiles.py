"""How many neighbouring outputs of a convolution one matrix product computes. No TensorFlow.

An output at (y, x) is a row of weights times a window of the input. A tile of outputs shares one larger window: the
rows are the weights, each shifted to its place in that window and filled with zeros. Fewer numbers are copied into
windows, and the product has more rows, at the price of the zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_COPY, _MOVE = 50.0, 25.0
"""Multiplications in a product at full rate that take as long as one number copied into a window, or moved once."""
_HALF = 12.0
"""Rows, or numbers in a window, at which a matrix product reaches half of its full rate."""


@dataclass(frozen=True)
class Filter:
    """A convolution along both axes of an image."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    channels: int  # of the input
    filters: int
    pool: tuple[int, int]  # of the max-pool that follows without overlap; (1, 1): none

    def window(self, tile: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the input that a tile of outputs depends on."""
        (k, m), (s, t) = self.kernel, self.strides
        return (tile[0] - 1) * s + k, (tile[1] - 1) * t + m

    def cost(self, tile: tuple[int, int]) -> float:
        """Return the time per output, in multiplications of a product at full rate (AMD and Intel, AVX2 and AVX-512).

        Args:
            tile: outputs, a multiple of the pool in each direction.
        """
        outputs = math.prod(tile)
        window, rows = self.channels * math.prod(self.window(tile)), self.filters * outputs
        product = window * rows * (1 + _HALF / window) * (1 + _HALF / rows)
        moved = self.filters * outputs / math.prod(self.pool) if tile != self.pool else 0  # into rows and columns
        return (product + _COPY * window + _MOVE * moved) / outputs


def best_tile(convolution: Filter, outputs: tuple[int, int]) -> tuple[int, int]:
    """Return the tile of least cost among those that cover `outputs` without a remainder.

    Args:
        convolution: its sizes.
        outputs: height and width of what is computed, a multiple of the pool in each direction.
    """
    rows, columns = (
        [size for size in range(pool, min(full, 8) + 1, pool) if full % size == 0] or [pool]
        for pool, full in zip(convolution.pool, outputs, strict=True)
    )
    return min(((a, b) for a in rows for b in columns), key=lambda tile: (convolution.cost(tile), tile))
