"""Where the nets come from: trained here, or read from files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from dlhw.datasets import fixed_sample
from dlhw.errors import require
from dlhw.experiments.landscape.spec import Settings
from dlhw.experiments.landscape.subject import TrainedNet
from dlhw.models import architectures
from dlhw.runs import function_training, image_training, saved_models
from dlhw.runs.base_settings import BatchSettings, FunctionSettings
from dlhw.runs.context import Context
from dlhw.runs.image_trainer import ImageTrainer
from dlhw.runs.jobs import make_job
from dlhw.seeds import extra_seed

PROOF = 4
"""Examples on which a copy of a saved model must equal it."""


def find(settings: Settings, context: Context) -> list[TrainedNet]:
    """Train the nets, or read them."""
    if settings.saved:
        return _from_files(settings, context)
    training = settings.training_settings()
    if isinstance(training, FunctionSettings):
        return _on_a_function(settings, training, context)
    return _on_images(settings, training, context)


def _groups(settings: Settings) -> list[tuple[str, int, list[int]]]:
    """Return net, seed, and the seeds of its trainings: three for a plane through three nets."""
    several = 3 if settings.plane == "three-points" else 1
    seeds = range(settings.seed, settings.seed + settings.seeds)
    return [(net, s, [extra_seed(s, k) for k in range(several)]) for net in settings.net_names() for s in seeds]


def _label(settings: Settings, net: str, seed: int) -> str:
    if len(settings.net_names()) > 1:
        return f"{net}, seed {seed}"
    return f"seed {seed}" if settings.seeds > 1 else net


def _on_a_function(settings: Settings, training: FunctionSettings, context: Context) -> list[TrainedNet]:
    from dlhw import models

    x, y = training.samples()
    keep, groups, names = training.frames(), _groups(settings), settings.net_names()
    seeds = list(dict.fromkeys(seed for _, _, several in groups for seed in several))
    _, histories = function_training.fit(training, names, context, keep=keep, seeds=seeds)
    trained = dict(zip([(net, s) for net in names for s in seeds], histories, strict=True))
    nets = []
    for net, seed, several in groups:
        records = [trained[net, s] for s in several]
        paths = [record.weights for record in records if record.weights is not None]
        diverged = max(-1 if record.diverged_at is None else record.diverged_at for record in records)
        nets.append(
            TrainedNet(
                _label(settings, net, seed),
                seed,
                [path[-1] for path in paths] if diverged < 0 else [],
                paths[0] if diverged < 0 else None,
                np.array(keep),
                diverged,
                partial(models.mlp, architectures.parse(net), activation=training.activation),
                "mean_squared_error",
                x[:, None].astype(np.float32),
                y[:, None].astype(np.float32),
            )
        )
    return nets


def _on_images(settings: Settings, training: BatchSettings, context: Context) -> list[TrainedNet]:
    from dlhw.training import cross_entropy

    jobs = {
        f"{net} seed {seed}": make_job(training, net, seed, snapshot_every=settings.every)
        for net, _, seeds in _groups(settings)
        for seed in seeds
    }
    trainer = ImageTrainer(training, context, len(jobs))
    trained = image_training.train(training, jobs, context, trainer)
    trainer.load_data()
    rows = fixed_sample(training.training_examples, settings.subset)
    x, y = trainer.data.x_train[rows], trainer.data.y_train[rows]
    nets = []
    for net, seed, seeds in _groups(settings):
        records = [trained[f"{net} seed {s}"] for s in seeds]
        paths = [record.weights for record in records if record.weights is not None]
        diverged = max(record.diverged_at for record in records)
        nets.append(
            TrainedNet(
                _label(settings, net, seed),
                seed,
                [path[-1] for path in paths] if diverged < 0 else [],
                paths[0] if diverged < 0 else None,
                settings.every * np.arange(training.epochs // settings.every + 1),
                diverged,
                partial(trainer.net, net, "float32"),
                cross_entropy,
                x,
                y,
            )
        )
    return nets


def _from_files(settings: Settings, context: Context) -> list[TrainedNet]:
    """Read saved models: one net through all three of a plane through three, else one per file and seed."""
    from dlhw.models import copied, flat
    from dlhw.models.wiring import architecture

    files = saved_models.prepare(
        saved_models.Request(settings.of, settings.data, settings.loss, settings.subset, context.data_dir, "`of`")
    )
    weights = [flat(file.model) for file in files]
    three = settings.plane == "three-points"
    alike = not three or len({architecture(file.model) for file in files}) == 1
    require(alike, "`plane` three-points: the models differ in their layers; give three of one architecture")
    copies = tuple(partial(copied, file.model, file.x[:PROOF]) for file in files)
    groups = [(0, weights)] if three else [(k, [vector]) for k, vector in enumerate(weights)]
    nets = []
    for k, group in groups:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            name = ", ".join(Path(p).stem for p in settings.of) if three else Path(settings.of[k]).stem
            nets.append(
                TrainedNet(
                    label=name if settings.seeds == 1 else f"{name}, plane {seed}",
                    seed=seed,
                    weights=group,
                    path=None,
                    steps=np.empty(0, int),
                    diverged_at=-1,
                    model=copies[k],
                    loss=files[k].loss,
                    x=files[k].x,
                    y=files[k].y,
                    models=copies if three else (),
                )
            )
    return nets
