"""How many steps each epoch takes, and where a training stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.training.history import Curves

State = Mapping[str, NDArray[Any]]
"""Everything a training needs to resume after an epoch, as arrays."""


@dataclass(frozen=True)
class Schedule:
    """Steps of every epoch: full batches, then a smaller last one."""

    examples: int
    batch_size: int
    epochs: int
    updates: int | None = None  # number of steps, if training ends within the last epoch

    def __post_init__(self) -> None:
        per_epoch, total = self.steps_per_epoch, self.total
        ends_within = (self.epochs - 1) * per_epoch < total <= self.epochs * per_epoch
        message = f"{self.updates} updates do not end within epoch {self.epochs} of {per_epoch} steps each"
        require(ends_within, message)

    @property
    def full_batches(self) -> int:
        """Full batches of one epoch."""
        return self.examples // self.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch, the smaller last one included."""
        return -(-self.examples // self.batch_size)

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch if self.updates is None else self.updates

    def steps(self, epoch: int) -> tuple[int, int, bool]:
        """Return steps before an epoch (1, 2, ...), its full batches, and whether it takes the smaller last one."""
        before = (epoch - 1) * self.steps_per_epoch
        remaining = self.total - before
        has_smaller_batch = self.examples % self.batch_size > 0 and remaining > self.full_batches
        return before, min(self.full_batches, remaining), has_smaller_batch


@dataclass
class Position:
    """The state of a training between two epochs, besides its weights."""

    table: NDArray[np.floating]  # (E + 1, 4) curves so far
    blocks: list[NDArray[np.floating]] = field(default_factory=list)  # of every epoch, what was recorded
    epoch: int = -1  # the last one evaluated
    limit: float = np.inf  # of divergence
    seconds: float = 0.0

    def pack(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a checkpoint."""
        numbers = {"epoch": self.epoch, "limit": self.limit, "seconds": self.seconds}
        arrays: dict[str, NDArray[Any]] = {name: np.array(value) for name, value in numbers.items()}
        arrays["table"] = self.table.copy()
        return arrays | ({"steps": np.concatenate(self.blocks)} if self.blocks else {})

    @classmethod
    def unpack(cls, state: State) -> Position:
        """Return the position of a checkpoint."""
        blocks = [state["steps"]] if "steps" in state else []
        numbers = int(state["epoch"]), float(state["limit"]), float(state["seconds"])
        return cls(state["table"].copy(), blocks, *numbers)

    def curves(self, diverged_at: int | None, seconds: float, compile_seconds: float) -> Curves:
        """Return the curves of the whole training.

        Args:
            diverged_at: epoch, or None.
            seconds: wall time of the epochs.
            compile_seconds: wall time of the compilation.
        """
        train_loss, train_accuracy, test_loss, test_accuracy = self.table.T
        columns = (train_loss, train_accuracy, test_loss, test_accuracy)
        return Curves(*columns, diverged_at, seconds, compile_seconds)

    def recorded(self, steps: int, width: int) -> NDArray[np.floating]:
        """Return what was recorded of every step, (steps, width); nan after a divergence."""
        rows = np.full((steps, width), np.nan)
        for block in [np.concatenate(self.blocks)] if self.blocks else []:
            rows[: len(block)] = block
        return rows
