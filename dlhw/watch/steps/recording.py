"""Rows of variables, as they are read from a training, become rows of layers. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dlhw.training.step_rows import NORMS, SHARES, by_layer, layers_of

Array = NDArray[np.floating]
LEADING = 4  # loss, learning rate, examples, whether the weights moved
MOST_NUMBERS = 40_000_000
"""Numbers that are stored at most; of a longer training every second row is dropped, again and again."""


@dataclass
class OptimizerRows:
    """The rows of one optimizer, by layer.

    Args:
        name: of the optimizer.
        paths: of its variables.
        sizes: of its variables, in entries.
    """

    name: str
    paths: Sequence[str]
    sizes: Sequence[int]
    layers: tuple[str, ...] = field(init=False)
    updates: int = 0
    stride: int = 1
    lost: int = 0
    batches: list[NDArray[np.integer]] = field(default_factory=list)
    leading: list[Array] = field(default_factory=list)
    layered: list[Array] = field(default_factory=list)  # (rows, statistics, layers)

    def __post_init__(self) -> None:
        self.layers, self.groups = layers_of(self.paths)

    def add(self, batches: NDArray[np.integer], rows: Array, lost: int) -> None:
        """Add rows of variables.

        Args:
            batches: number of the batch of every row.
            rows: (rows, 4 + 6 variables), see :mod:`dlhw.watch.steps.tap`.
            lost: rows that were overwritten before they could be read.
        """
        first = self.updates + lost
        self.updates, self.lost = first + len(rows), self.lost + lost
        keep = np.arange(first, self.updates) % self.stride == 0
        if not keep.any():
            return
        rows = rows[keep].astype(np.float64)
        columns = rows[:, LEADING:].reshape(len(rows), len(NORMS) + len(SHARES), len(self.sizes))
        self.batches.append(batches[keep])
        self.leading.append(rows[:, :LEADING])
        self.layered.append(by_layer(columns, self.groups, self.sizes).astype(np.float32))
        while sum(block.size for block in self.layered) > MOST_NUMBERS:
            self._thin()

    def _thin(self) -> None:
        """Drop every second row."""
        batches, leading, layered = self.concatenated()
        self.stride *= 2
        self.batches, self.leading, self.layered = [batches[::2]], [leading[::2]], [layered[::2]]

    def concatenated(self) -> tuple[NDArray[np.integer], Array, Array]:
        """Return batches (rows,), leading columns (rows, 4), and statistics of layers (rows, 6, layers)."""
        if not self.batches:
            empty = np.zeros((0, len(NORMS) + len(SHARES), len(self.layers)), np.float32)
            return np.zeros(0, np.int64), np.zeros((0, LEADING)), empty
        return np.concatenate(self.batches), np.concatenate(self.leading), np.concatenate(self.layered)


def joined(records: Sequence[OptimizerRows]) -> dict[str, NDArray[np.generic] | tuple[str, ...]]:
    """Return the fields of a :class:`~dlhw.watch.spec.Result` that hold steps, of several optimizers.

    The rows are in the order of the batches, and within a batch in that of the optimizers; a row is nan in the layers
    of other optimizers.
    """
    layers = [f"{r.name}: {name}" if _is_repeated(name, records) else name for r in records for name in r.layers]
    parts = [r.concatenated() for r in records]
    total = sum(len(batches) for batches, _, _ in parts)
    table = np.full((total, len(NORMS) + len(SHARES), len(layers)), np.nan, np.float32)
    row = column = 0
    for record, (batches, _, layered) in zip(records, parts, strict=True):
        table[row : row + len(batches), :, column : column + len(record.layers)] = layered
        row, column = row + len(batches), column + len(record.layers)
    batches = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    leading = np.concatenate([np.zeros((0, LEADING)), *(part[1] for part in parts)])
    owner = np.repeat(np.arange(len(records)), [len(part[0]) for part in parts])
    order = np.argsort(batches, kind="stable")
    named = zip((*NORMS, *SHARES), np.moveaxis(table[order], 1, 0), strict=True)
    loss, rate, examples, updated = leading[order].T
    return {
        "layers": tuple(layers),
        "optimizers": tuple(r.name for r in records),
        "updates": np.array([r.updates for r in records], dtype=np.int64),
        "step": batches[order],
        "optimizer": owner[order],
        "loss": loss,
        "learning_rate": rate,
        "examples": examples,
        "updated": updated > 0,
        **dict(named),
    }


def _is_repeated(name: str, records: Sequence[OptimizerRows]) -> bool:
    return sum(name in r.layers for r in records) > 1
