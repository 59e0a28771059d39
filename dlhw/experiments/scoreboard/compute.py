"""Train every net until it reaches the target, and take all measures of it."""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import numpy as np

from dlhw.experiments.scoreboard.axes import Configuration
from dlhw.experiments.scoreboard.measures import measure_net
from dlhw.experiments.scoreboard.spec import Array, Result, Settings
from dlhw.runs import image_training
from dlhw.runs.context import Context
from dlhw.runs.jobs import Job
from dlhw.runs.records import TrainingRecord, divergences, stack

_CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
_OTHERS = (*_CURVES, "diverged_at", "seconds")


def run(settings: Settings, context: Context) -> Result:
    """Train every configuration from every seed until it reaches the target, and take all measures of it."""
    names = [[f"{c}, seed {s}" for s in settings.seed_range] for c in settings.configurations]
    jobs = {
        name: _job(settings, configuration, s)
        for row, configuration in zip(names, settings.configurations, strict=True)
        for name, s in zip(row, settings.seed_range, strict=True)
    }
    records = image_training.train(settings, jobs, context)
    rows = [[records[name] for name in row] for row in names]
    is_in = stack(rows, lambda record: record.final("train_loss")) <= settings.target_loss

    def measured(name: str) -> Array:
        values = stack(rows, lambda record: _number(record, name)).astype(np.float64)
        return values if name in ("gap_error", "epochs") else np.where(is_in, values, np.nan)

    own = [f.name for f in fields(Result) if f.name not in _OTHERS]

    def final(name: str) -> Array:
        return stack(rows, lambda record: record.final(name))

    return Result(
        **{name: final(name) for name in _CURVES},
        **{name: measured(name) for name in own},
        diverged_at=divergences(rows),
        seconds=tuple(r.seconds + float(r.measured.get("measure_seconds", 0.0)) for row in rows for r in row),
    )


def _number(record: TrainingRecord, name: str) -> float:
    """Return what was measured of a net; nan where it was not."""
    return float(record.measured.get(name, np.nan))


def _job(settings: Settings, configuration: Configuration, seed: int) -> Job:
    own, net = configuration.settings(settings), configuration.net(settings)
    start = tuple(map(tuple, settings.kernels(net))), settings.init, seed
    return Job(
        net,
        seed,
        own.batch_size,
        own.learning_rate,
        own.epochs,
        settings=own,
        target_loss=settings.target_loss,
        at_end=partial(measure_net, settings.curvature_examples, start),
    )
