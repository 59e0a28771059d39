"""What is stored of a training on images besides its curves: weights, results of the callback, its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlhw import datasets
from dlhw.runs.context import LiveCurves
from dlhw.runs.jobs import Job
from dlhw.runs.records import TrainingRecord
from dlhw.runs.tasks import Task

if TYPE_CHECKING:
    import keras

    from dlhw.measure import Objective
    from dlhw.training import Curves
    from dlhw.training.tensorboard import EventWriter

CHECKPOINT_SECONDS = 30.0
LIVE_EXAMPLES = 1000
"""Time between two checkpoints of one training: writing them costs nothing, and little is lost."""
_PREFIX = "seen "  # of what was recorded so far, in the state of an unfinished training


class TrainingRecorder:
    """Called by the trainer after every epoch.

    Args:
        job: the training.
        task: its handle, which holds the state of an earlier process.
        data: handed to the callback.
        tensorboard: folder of event files; None: write none.
        float64_net: returns the net in float64, on which measurements are taken; None where the trained net serves.
        live_page: gets the loss and the gradient norm of every epoch.
    """

    def __init__(
        self,
        job: Job,
        task: Task,
        data: datasets.Data,
        tensorboard: Path | None,
        float64_net: Callable[[], keras.Model | None],
        live_page: LiveCurves | None = None,
    ) -> None:
        self.job, self.task, self.data, self.float64_net = job, task, data, float64_net
        self.live_page = live_page
        self.state = task.state()
        stored = {k.removeprefix(_PREFIX): v for k, v in (self.state or {}).items() if k.startswith(_PREFIX)}
        self.weights: list[np.ndarray] = list(stored.pop("weights", ()))
        self.measured = stored
        self.due = time.monotonic() + CHECKPOINT_SECONDS
        self.model: keras.Model | None = None
        self.copy: keras.Model | None = None
        self.objective: Objective | None = None  # of the live page
        self.writer: EventWriter | None = None
        if tensorboard is not None:
            from dlhw.training.tensorboard import EventWriter

            self.writer = EventWriter(tensorboard / task.name)

    def __call__(self, epoch: int, model: keras.Model) -> None:
        """Store the weights and call the callback."""
        from dlhw.models import flat

        self.model = model
        if self.job.snapshot_every and epoch % self.job.snapshot_every == 0:
            self.weights.append(flat(model))
        if self.job.callback is not None:
            self.measured.update(self.job.callback(epoch, self._measured_model(model), self.data))

    def measure_at_end(self, model: keras.Model, curves: Curves) -> None:
        """Call what the job measures where its training ends, with the last epoch; nothing of one that diverged."""
        if self.job.at_end is None or curves.diverged_at is not None:
            return
        last = self.job.epochs if curves.stopped_at is None else curves.stopped_at
        self.measured.update(self.job.at_end(last, self._measured_model(model), self.data))

    def _measured_model(self, model: keras.Model) -> keras.Model:
        self.copy = self.copy or self.float64_net()
        if self.copy is None:
            return model
        self.copy.set_weights(model.get_weights())
        return self.copy

    def log(self, epoch: int, scalars: Mapping[str, float]) -> None:
        """Write the curves and the distribution of the weights for TensorBoard, and the live page."""
        if self.live_page is not None:
            self.live_page.add(self.task.name, epoch, scalars["train_loss"], self._gradient_norm)
        if self.writer is not None and self.model is not None:
            self.writer.write(epoch, scalars, {v.path: np.asarray(v) for v in self.model.trainable_variables})

    def _gradient_norm(self) -> float:
        """Return the gradient norm on the first :data:`LIVE_EXAMPLES` training examples."""
        from dlhw import measure
        from dlhw.training import cross_entropy

        if self.model is None:
            return float("nan")
        if self.objective is None:
            x, y = self.data.x_train[:LIVE_EXAMPLES], self.data.y_train[:LIVE_EXAMPLES]
            self.objective = measure.Objective(self.model, cross_entropy, x, y)
        return float(np.linalg.norm(self.objective.gradient()[1]))

    def checkpoint(self, state: Callable[[], Mapping[str, np.ndarray]], now: bool) -> None:
        """Store the state of the training, if it is time or the training stops here."""
        if now or time.monotonic() >= self.due:
            recorded = self.measured | ({"weights": np.stack(self.weights)} if self.weights else {})
            self.task.checkpoint({**state(), **{_PREFIX + k: v for k, v in recorded.items()}})
            self.due = time.monotonic() + CHECKPOINT_SECONDS

    def record(self, curves: Curves, layout: str) -> TrainingRecord:
        """Return the whole record of the training, which is finished."""
        if self.writer is not None:
            self.writer.close()

        def narrow(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array.astype(np.float32)

        return TrainingRecord(
            train_loss=curves.train_loss.astype(np.float32),
            train_accuracy=curves.train_accuracy.astype(np.float32),
            test_loss=curves.test_loss.astype(np.float32),
            test_accuracy=curves.test_accuracy.astype(np.float32),
            diverged_at=-1 if curves.diverged_at is None else curves.diverged_at,
            seconds=curves.seconds,
            compile_seconds=curves.compile_seconds,
            weights=np.stack(self.weights) if self.weights else None,
            measured=self.measured,
            step_loss=narrow(curves.step_loss),
            gradient_norm=narrow(curves.gradient_norm),
            layer_gradient_norms=narrow(curves.layer_gradient_norms),
            layout=layout,
            stopped_at=-1 if curves.stopped_at is None else curves.stopped_at,
        )
