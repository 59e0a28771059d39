"""Train both ends of every line, and measure the losses between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dlhw.experiments.interpolate import examples
from dlhw.experiments.interpolate.lines import Pair, measure_line
from dlhw.experiments.interpolate.paths import measure_aligned, measure_curve
from dlhw.experiments.interpolate.spec import Result, Settings
from dlhw.present.curves import CURVES
from dlhw.runs import image_training
from dlhw.runs.context import Context
from dlhw.runs.image_trainer import ImageTrainer
from dlhw.runs.jobs import Job
from dlhw.runs.tasks import Arrays, Task, run_tasks
from dlhw.seeds import extra_seed

Measure = Callable[[Settings, ImageTrainer, Pair, Task], Arrays]


def run(settings: Settings, context: Context) -> Result:
    """Train every end from every seed, then measure the lines between them, and other ways where they are asked for."""
    trainings, jobs = settings.trainings(), _jobs(settings)
    trainer = ImageTrainer(settings, context, len(jobs))
    records = image_training.train(settings, jobs, context, trainer)
    pairs = {
        f"line {r} seed {s}": Pair(s, tuple(records[_name(trainings.index(end), s)] for end in settings.ends(text)))
        for r, text in enumerate(settings.by)
        for s in settings.seed_range
    }
    shape = len(settings.by), settings.seeds

    def measured(measure: Measure, units: int, prefix: str = "", **words: str) -> dict[str, Arrays]:
        """Return what `measure` gives for every pair, each a task of its own."""
        results = run_tasks(
            {prefix + name: units for name in pairs},
            lambda task: measure(settings, trainer, pairs[task.name.removeprefix(prefix)], task),
            context,
            image_training.executor(context, trainer, jobs),
            among=len(jobs),
            **words,
        )
        return {name: results[prefix + name] for name in pairs}

    def table(results: dict[str, Arrays], key: str) -> np.ndarray:
        return np.reshape([results[name][key] for name in pairs], (*shape, -1))

    points = 2 * len(settings.grid)
    lines = measured(measure_line, points, unit="points", what="lines", activity="measuring")
    others: dict[str, Any] = {}
    if settings.align:
        words = {"unit": "points", "what": "aligned lines", "activity": "measuring"}
        aligned = measured(measure_aligned, points, "aligned ", **words)
        others |= {f"aligned_{key}": table(aligned, key) for key in CURVES}
        others |= {
            "aligned_distance": table(aligned, "distance")[..., 0],
            "moved_units": table(aligned, "moved")[..., 0],
        }
    if settings.curve:
        curves = measured(measure_curve, settings.curve_epochs, "curve ", what="curves")
        others |= {f"curve_{key}": table(curves, key) for key in CURVES} | {"curve_positions": settings.between}
    return Result(
        alphas=settings.grid,
        train_loss=table(lines, "train_loss"),
        train_accuracy=table(lines, "train_accuracy"),
        test_loss=table(lines, "test_loss"),
        test_accuracy=table(lines, "test_accuracy"),
        curvature=table(lines, "curvature"),
        distance=table(lines, "distance")[..., 0],
        diverged_at=np.reshape([_first_divergence(pair) for pair in pairs.values()], shape),
        seconds=tuple(records[name].seconds for name in jobs),
        line_seconds=tuple(float(lines[name]["seconds"]) for name in pairs),
        **others,
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


def _first_divergence(pair: Pair) -> int:
    return min((end.diverged_at for end in pair.ends if end.diverged), default=-1)
