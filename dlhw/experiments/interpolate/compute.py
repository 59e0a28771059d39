"""Train both ends of every line, and measure the losses between them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dlhw.experiments.interpolate import examples
from dlhw.experiments.interpolate.spec import Result, Settings
from dlhw.present.curves import CURVES
from dlhw.runs import image_training
from dlhw.runs.context import Context
from dlhw.runs.image_trainer import ImageTrainer
from dlhw.runs.jobs import Job
from dlhw.runs.records import TrainingRecord
from dlhw.runs.tasks import Arrays, Task, run_tasks
from dlhw.seeds import extra_seed


def run(settings: Settings, context: Context) -> Result:
    """Train every end from every seed, then measure the lines between them."""
    trainings, jobs = settings.trainings(), _jobs(settings)
    trainer = ImageTrainer(settings, context, len(jobs))
    records = image_training.train(settings, jobs, context, trainer)
    pairs = {
        f"line {r} seed {s}": [records[_name(trainings.index(end), s)] for end in settings.ends(text)]
        for r, text in enumerate(settings.by)
        for s in settings.seed_range
    }
    lines = run_tasks(
        {name: 2 * len(settings.grid) for name in pairs},
        lambda task: _measure_line(settings, trainer, pairs[task.name], task),
        context,
        image_training.executor(context, trainer, jobs),
        unit="points",
        what="lines",
        activity="measuring",
        among=len(jobs),
    )
    shape = len(settings.by), settings.seeds

    def table(key: str) -> np.ndarray:
        return np.reshape([lines[name][key] for name in pairs], (*shape, -1))

    return Result(
        alphas=settings.grid,
        train_loss=table("train_loss"),
        train_accuracy=table("train_accuracy"),
        test_loss=table("test_loss"),
        test_accuracy=table("test_accuracy"),
        curvature=table("curvature"),
        distance=table("distance")[..., 0],
        diverged_at=np.reshape([_first_divergence(ends) for ends in pairs.values()], shape),
        seconds=tuple(records[name].seconds for name in jobs),
        line_seconds=tuple(float(lines[name]["seconds"]) for name in pairs),
        **examples.fields([lines[f"line {r} seed {settings.seed}"] for r in range(len(settings.by))]),
    )


def _jobs(settings: Settings) -> dict[str, Job]:
    """Return every training, once."""
    jobs = {}
    for k, end in enumerate(settings.trainings()):
        for s in settings.seed_range:
            seed = extra_seed(s, k)
            init_seed = seed if settings.own_start else s
            jobs[_name(k, s)] = end.job(seed, init_seed=init_seed, snapshot_every=end.settings.epochs)
    return jobs


def _name(training: int, seed: int) -> str:
    return f"training {training} seed {seed}"


def _first_divergence(ends: list[TrainingRecord]) -> int:
    return min((end.diverged_at for end in ends if end.diverged), default=-1)


def _measure_line(settings: Settings, trainer: ImageTrainer, ends: list[TrainingRecord], task: Task) -> Arrays:
    """Return losses and accuracies along a line, curvature at both ends, distance; nan where an end diverged."""
    import tensorflow as tf

    from dlhw import measure, models
    from dlhw.training import cross_entropy

    grid = settings.grid
    arrays: Arrays = {name: np.full(len(grid), np.nan, np.float32) for name in CURVES}
    arrays |= {"curvature": np.full(2, np.nan), "distance": np.array(np.nan), "seconds": np.array(0.0)}
    trainer.load_data()
    arrays |= examples.unmeasured(trainer.data, len(grid))
    if any(end.diverged for end in ends):
        return arrays
    began = time.perf_counter()
    vectors = [end.weights[-1] for end in ends if end.weights is not None]
    with tf.device(trainer.device):
        data = trainer.data
        model = models.image_net(settings.net, data.shape, data.classes, activation=settings.activation)
        weights = []
        for vector in vectors:
            models.assign(model, vector)
            weights.append(model.get_weights())
        a, b = weights
        sample = trainer.evaluation_subset()
        for which, (x, y) in (("train", sample), ("test", (trainer.images[1], data.y_test))):
            report = _reporter(task, len(grid) * (which == "test"))
            profile = measure.line(model, a, b, cross_entropy, x, y, grid, progress=report)
            arrays[f"{which}_loss"] = profile.loss.astype(np.float32)
            arrays[f"{which}_accuracy"] = profile.accuracy.astype(np.float32)
        arrays["probabilities"] = examples.probabilities(model, a, b, grid, data)
        arrays["curvature"] = measure.line_curvature(model, a, b, cross_entropy, *sample)
    arrays["distance"] = np.array(np.linalg.norm(vectors[0].astype(np.float64) - vectors[1]))
    arrays["seconds"] = np.array(time.perf_counter() - began)
    return arrays


def _reporter(task: Task, before: int) -> Callable[[int, float], None]:
    """Return where progress is reported after `before` points; it raises Stopped if the task should stop."""
    from dlhw.training import Stopped

    def report(done: int, loss: float) -> None:
        task.report(before + done, loss)
        if task.should_stop():
            raise Stopped

    return report
