"""What one training recorded, as it goes into a checkpoint and comes out of it. No TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.present.curves import CURVES, CurveRows

Array = NDArray[np.floating]

UPDATES = ("step_loss", "gradient_norm", "layer_gradient_norms")
_SCALARS = ("diverged_at", "stopped_at", "seconds", "compile_seconds")
_FIELDS = {*CURVES, *UPDATES, *_SCALARS, "weights", "layout"}


@dataclass(frozen=True)
class TrainingRecord:
    """One training on images: E epochs, U updates; entry 0 of a curve is before training, nan follows a divergence."""

    train_loss: Array  # (E + 1,) cross entropy in nats, of the labels trained on
    train_accuracy: Array  # (E + 1,) fraction in [0, 1]
    test_loss: Array  # (E + 1,)
    test_accuracy: Array  # (E + 1,)
    diverged_at: int  # epoch, or -1
    seconds: float  # wall time
    compile_seconds: float
    weights: Array | None = None  # (snapshots, P)
    measured: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)  # what the callback returned
    step_loss: Array | None = None  # (U,) loss of the batch before each update
    gradient_norm: Array | None = None  # (U,)
    layer_gradient_norms: Array | None = None  # (U, layers)
    layout: str = "plain"  # how the outputs of the net were computed
    stopped_at: int = -1  # epoch after which it had converged and stopped, or -1; nan follows

    @property
    def diverged(self) -> bool:
        """Whether the training diverged."""
        return self.diverged_at >= 0

    def final(self, name: str) -> float:
        """Return the last value of a curve; nan where the training diverged."""
        return np.nan if self.diverged else float(getattr(self, name)[self.stopped_at])  # -1 is the last epoch

    def measurement(self, name: str, width: int = 1) -> NDArray[np.floating]:
        """Return numbers of the callback, (width,); nan where the training diverged."""
        return np.full(width, np.nan) if self.diverged else np.ravel(self.measured[name])

    def pack(self) -> dict[str, np.ndarray]:
        """Return the arrays of a checkpoint."""
        arrays = {name: getattr(self, name) for name in (*CURVES, *UPDATES, "weights")}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        arrays |= {name: np.array(getattr(self, name)) for name in (*_SCALARS, "layout")}
        taken = sorted(_FIELDS & set(self.measured))
        require(not taken, f"a callback returned {', '.join(taken)}, which the training itself records; rename it")
        return arrays | dict(self.measured)

    @classmethod
    def unpack(cls, arrays: Mapping[str, np.ndarray]) -> TrainingRecord:
        """Return the record of a checkpoint."""
        return cls(
            train_loss=arrays["train_loss"],
            train_accuracy=arrays["train_accuracy"],
            test_loss=arrays["test_loss"],
            test_accuracy=arrays["test_accuracy"],
            diverged_at=int(arrays["diverged_at"]),
            seconds=float(arrays["seconds"]),
            compile_seconds=float(arrays["compile_seconds"]),
            weights=arrays.get("weights"),
            measured={name: array for name, array in arrays.items() if name not in _FIELDS},
            step_loss=arrays.get("step_loss"),
            gradient_norm=arrays.get("gradient_norm"),
            layer_gradient_norms=arrays.get("layer_gradient_norms"),
            layout=str(arrays.get("layout", "plain")),
            stopped_at=int(arrays.get("stopped_at", -1)),
        )


Rows = Sequence[Sequence[TrainingRecord]]
"""Records in rows (nets, batch sizes, noise levels) of seeds."""


def stack(rows: Rows, value: Callable[[TrainingRecord], float | Array]) -> Array:
    """Return one number or array of every record as an array (rows, seeds, ...)."""
    return np.stack([np.stack([np.asarray(value(record)) for record in row]) for row in rows])


def divergences(rows: Rows) -> NDArray[np.integer]:
    """Return the epoch at which each training diverged, or -1, (rows, seeds)."""
    return np.array([[record.diverged_at for record in row] for row in rows])


def seconds(rows: Rows) -> tuple[float, ...]:
    """Return the wall times of all trainings, row by row.

    Times are plain numbers, which go into run.json: equal settings give equal bytes of the arrays.
    """
    return tuple(record.seconds for row in rows for record in row)


def compile_seconds(rows: Rows) -> tuple[float, ...]:
    """Return the compilation times of all trainings, row by row."""
    return tuple(record.compile_seconds for row in rows for record in row)


C = TypeVar("C", bound=CurveRows)


def stack_curves(rows: Rows, cls: type[C]) -> C:
    """Return the learning curves of all records as a result that has these fields alone."""
    return cls(
        train_loss=stack(rows, lambda record: record.train_loss),
        train_accuracy=stack(rows, lambda record: record.train_accuracy),
        test_loss=stack(rows, lambda record: record.test_loss),
        test_accuracy=stack(rows, lambda record: record.test_accuracy),
        diverged_at=divergences(rows),
        seconds=seconds(rows),
        compile_seconds=compile_seconds(rows),
    )
