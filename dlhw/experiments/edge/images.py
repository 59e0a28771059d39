"""Trainings on images: one task each, with all images in every batch, and the Hessian measured while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlhw import datasets
from dlhw.experiments.edge.measurements import Arrays, overlaps, unmeasured
from dlhw.experiments.edge.spec import EIGENVALUES, TOLERANCE, Array, Settings
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.tasks import Task, run_tasks

if TYPE_CHECKING:
    import keras

    from dlhw.measure import Objective
    from dlhw.training.tensorboard import EventWriter

CHECKPOINT_SECONDS = 30.0
FEW = 10
"""Images that the trainer evaluates after every step, for its progress and to see a divergence."""
_PREFIX = "measured "
"""Of what was measured so far, in the state of an unfinished training."""


def train_on_images(settings: Settings, context: Context, names: list[str]) -> tuple[Mapping[str, Arrays], float]:
    """Train every net on all images at once; its arrays by the name of the training, and the seconds of measuring."""
    plan = context.plan(len(names), splittable=False)
    context.provenance.plan = plan
    data = datasets.load(settings.data, folder=context.data_dir, examples=settings.examples or None, seed=settings.seed)
    jobs = [(rate, seed) for rate in settings.learning_rates for seed in settings.seed_range]
    devices = {name: plan.devices[k % len(plan.devices)] for k, name in enumerate(names)}
    trainings = dict(zip(names, jobs, strict=True))

    def train(task: Task) -> Arrays:
        import tensorflow as tf

        with tf.device(devices[task.name]):
            return _train(settings, context, data, *trainings[task.name], task)

    arrays = run_tasks(dict.fromkeys(names, settings.epochs), train, context, Threads(context.workers, xla=True))
    spent = sum(float(values["measuring_seconds"]) for values in arrays.values())
    return arrays, spent / min(context.workers, len(names))


def _train(settings: Settings, context: Context, data: datasets.Data, rate: float, seed: int, task: Task) -> Arrays:
    """Train one net from its initial weights, or from the state of an earlier process."""
    from dlhw import measure, models
    from dlhw.training import Trainer, cross_entropy, optimizer

    images = settings.image_settings()
    model = models.image_net(
        settings.image_net, data.shape, data.classes, activation=settings.activation, init=settings.init, seed=seed
    )
    squares = settings.loss == "squares"
    loss: Any = "mean_squared_error" if squares else cross_entropy
    x, y = data.x_train, np.eye(data.classes, dtype=np.float32)[data.y_train] if squares else data.y_train
    recorder = _Recorder(settings, context, task, measure.Objective(model, loss, x, y), seed)
    trainer = Trainer(
        model,
        batch_size=images.training_examples,
        optimizer=optimizer(settings.optimizer, rate, settings.momentum),
        loss=loss,
        record=True,
    )
    curves = trainer.fit(
        (x, y),
        (x[:FEW], y[:FEW]),
        epochs=settings.epochs,
        seed=seed,
        train_eval_examples=min(FEW, len(x)),
        hooks=[recorder],
        progress=lambda epoch, _: task.report(epoch, recorder.loss),
        should_stop=task.should_stop,
        checkpoint=recorder.checkpoint,
        initial_state=recorder.state,
    )
    if curves.step_loss is None:
        raise TypeError("the training recorded no losses")
    diverged_at = -1 if curves.diverged_at is None else curves.diverged_at
    recorder.close()
    path = np.append(curves.step_loss, recorder.loss).astype(np.float32)
    if diverged_at >= 0:
        path[diverged_at:] = np.nan
    spent = float(recorder.arrays["measuring_seconds"])
    return recorder.arrays | {
        "loss": path,
        "diverged_at": np.array(diverged_at),
        "seconds": np.array(curves.seconds - spent),
        "compile_seconds": np.array(curves.compile_seconds),
    }


@dataclass
class _Measured:
    """Eigenvalues, eigenvectors and gradient at one point."""

    values: Array
    vectors: Array
    residual: float
    converged: bool
    gradient: Array


class _Recorder:
    """Called by the trainer after every step; measures the Hessian at the steps of the settings."""

    def __init__(self, settings: Settings, context: Context, task: Task, objective: Objective, seed: int) -> None:
        self.task, self.objective, self.seed, self.live_page = task, objective, seed, context.live_page
        self.at = {int(step): k for k, step in enumerate(settings.steps)}
        self.arrays: Arrays = unmeasured(settings, np.float64) | {"measuring_seconds": np.array(0.0)}
        self.vectors: Array | None = None  # of the last measurement: they are near those of the next
        self.loss = np.nan  # of the last measurement, over all images
        self.writer: EventWriter | None = None
        if context.tensorboard is not None:
            from dlhw.training.tensorboard import EventWriter

            self.writer = EventWriter(context.tensorboard / task.name)
        self.state = task.state()
        if self.state is not None:
            stored = {k.removeprefix(_PREFIX): v for k, v in self.state.items() if k.startswith(_PREFIX)}
            self.vectors = stored.pop("vectors", None)
            self.arrays |= {name: np.array(value) for name, value in stored.items()}
        self.due = time.monotonic() + CHECKPOINT_SECONDS

    def __call__(self, epoch: int, model: keras.Model) -> None:
        """Measure, if it is time."""
        if epoch not in self.at:
            return
        began, k, arrays = time.perf_counter(), self.at[epoch], self.arrays
        measured = self._measure()
        self.vectors = measured.vectors
        arrays["eigenvalues"][k], arrays["residual"][k] = measured.values, measured.residual
        arrays["converged"][k], arrays["gradient_norm"][k] = measured.converged, np.linalg.norm(measured.gradient)
        arrays["overlap"][k] = overlaps(measured.gradient[None], measured.vectors[None])[0]
        self.loss, norm = self.objective.value().loss, float(arrays["gradient_norm"][k])
        if self.writer is not None:
            scalars = {"loss": self.loss, "gradient norm": norm, "sharpness": float(measured.values[0])}
            self.writer.write(epoch, scalars, {v.path: np.asarray(v) for v in model.trainable_variables})
        if self.live_page is not None:
            self.live_page.add(self.task.name, epoch, self.loss, lambda: norm)
        arrays["measuring_seconds"] = arrays["measuring_seconds"] + time.perf_counter() - began

    def close(self) -> None:
        """Close the event file."""
        if self.writer is not None:
            self.writer.close()

    def _measure(self) -> _Measured:
        from dlhw.measure.stacked_lanczos import leading_eigenpairs

        _, gradient = self.objective.gradient()
        rng = np.random.default_rng(self.seed)
        start = rng.normal(size=len(gradient))
        start /= np.linalg.norm(start)
        if self.vectors is not None:
            start = self.vectors.sum(axis=0) + 0.1 * start
        pairs = leading_eigenpairs(
            lambda rows: self.objective.product(rows[0])[None],
            start[None],
            EIGENVALUES,
            tolerance=TOLERANCE["images"],
        )
        return _Measured(
            pairs.values[0], pairs.vectors[0], float(pairs.residuals.max()), bool(pairs.converged[0]), gradient
        )

    def checkpoint(self, state: Callable[[], Mapping[str, np.ndarray]], now: bool) -> None:
        """Store the state of the training, if it is time or the training stops here."""
        if now or time.monotonic() >= self.due:
            recorded = self.arrays | ({} if self.vectors is None else {"vectors": self.vectors})
            self.task.checkpoint({**state(), **{_PREFIX + k: v for k, v in recorded.items()}})
            self.due = time.monotonic() + CHECKPOINT_SECONDS
