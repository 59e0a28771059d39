"""Solve for every number of features, train every net, and stack what they give."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from dlhw.experiments.double_descent import samples
from dlhw.experiments.double_descent.nets import NetTrainer
from dlhw.experiments.double_descent.random_features import FourierFeatures, median_distance, solve
from dlhw.experiments.double_descent.samples import Samples
from dlhw.experiments.double_descent.spec import PENALTIES, Array, Result, Settings
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.tasks import Arrays, Task, run_tasks

BLOCK = 1000
"""Images whose features are computed at once."""
OF_FEATURES = ("train_error", "test_error", "train_loss", "test_loss", "norm")
OF_RIDGE = ("ridge_test_error", "ridge_test_loss", "ridge_norm", "ridge_penalty")
OF_NETS = ("net_train_error", "net_test_error", "net_train_loss", "net_test_loss", "net_norm")
OF_STOPPING = ("early_test_error", "early_test_loss", "early_epoch")


def run(settings: Settings, context: Context) -> Result:
    """Solve for every number of features and train every net, from every seed."""
    from threadpoolctl import threadpool_limits

    plan = context.plan(splittable=False)
    context.provenance.plan = plan
    data = samples.load(settings, context)
    counts = {f"{p} features seed {s}": (p, s) for p in reversed(settings.features) for s in settings.seed_range}
    nets = {
        f"net of {width} units noise {noise!r} seed {s}": (width, noise, s)
        for width in reversed(settings.widths)
        for noise in settings.noise
        for s in settings.seed_range
    }
    among, threads = len(counts) + len(nets), Threads(context.workers, xla=True)
    sizes = {name: p for name, (p, _) in counts.items()}
    with threadpool_limits(1, user_api="blas"):  # two threads that each start two more only wait for each other
        solved = run_tasks(
            sizes,
            lambda task: _solution(settings, data, *counts[task.name], task),
            context,
            threads,
            unit="features",
            what="solutions",
            activity="solving",
            quantity="test error",
            among=among,
        )
    trainer = NetTrainer(settings, data, plan.devices[0], context.xla)
    epochs = dict.fromkeys(nets, settings.epochs)
    trained = run_tasks(
        epochs, lambda task: trainer.train(*nets[task.name], task), context, threads, what="nets", among=among
    )
    return _stacked(settings, solved, trained)


def _solution(settings: Settings, data: Samples, count: int, seed: int, task: Task) -> Arrays:
    """Return errors, losses and norms of the two solutions for every noise level, (L,) each."""
    began = time.perf_counter()
    bandwidth = settings.bandwidth * median_distance(data.x)
    features = FourierFeatures.draw(count, settings.inputs, bandwidth, seed)
    labels = [data.labels(noise, seed) for noise in settings.noise]
    a, targets = features(data.x), np.concatenate([data.one_hot(y) for y in labels], axis=1)
    solutions = solve(a, targets, PENALTIES)
    levels, k = len(labels), settings.info.classes

    def by_level(outputs: Array, levels_of: Sequence[np.ndarray]) -> tuple[Array, Array]:
        pairs = [data.error_and_loss(outputs[:, k * i : k * (i + 1)], y) for i, y in enumerate(levels_of)]
        errors, losses = zip(*pairs, strict=True)
        return np.array(errors), np.array(losses)

    arrays = dict(zip(("train_error", "train_loss"), by_level(a @ solutions.least_norm, labels), strict=True))
    validation = features(data.x_validation)
    losses = np.stack([by_level(validation @ w, [data.y_validation] * levels)[1] for w in solutions.ridge])
    best = losses.argmin(0)  # (L,)
    chosen = np.concatenate([solutions.ridge[b][:, k * i : k * (i + 1)] for i, b in enumerate(best)], axis=1)
    test = partial(_in_blocks, features, data.x_test)
    both = np.split(test(np.concatenate([solutions.least_norm, chosen], axis=1)), 2, axis=1)
    for prefix, outputs, w in (("", both[0], solutions.least_norm), ("ridge_", both[1], chosen)):
        error, loss = by_level(outputs, [data.y_test] * levels)
        norms = np.linalg.norm(w.reshape(count, levels, k), axis=(0, 2))
        arrays |= {f"{prefix}test_error": error, f"{prefix}test_loss": loss, f"{prefix}norm": norms}
    task.report(count, float(arrays["test_error"].mean()))
    return arrays | {"ridge_penalty": np.array(PENALTIES)[best], "seconds": np.array(time.perf_counter() - began)}


def _in_blocks(features: FourierFeatures, x: Array, w: Array) -> Array:
    """Return the outputs of x, whose features would not fit into memory."""
    return np.concatenate([features(x[start : start + BLOCK]) @ w for start in range(0, len(x), BLOCK)])


def _stacked(settings: Settings, solved: Mapping[str, Arrays], trained: Mapping[str, Arrays]) -> Result:
    levels, seeds = settings.noise, settings.seed_range

    def of_features(name: str) -> Array:  # (L, P, S)
        rows = [[solved[f"{p} features seed {s}"][name] for s in seeds] for p in settings.features]
        return np.moveaxis(np.array(rows), -1, 0)

    def of_nets(name: str) -> np.ndarray:  # (L, H, S)
        rows = [
            [[trained[f"net of {h} units noise {noise!r} seed {s}"][name] for s in seeds] for h in settings.widths]
            for noise in levels
        ]
        return np.reshape(np.array(rows), (len(levels), len(settings.widths), len(seeds)))

    widths = np.array(settings.widths, dtype=np.int64)
    tasks = (*solved.values(), *trained.values())
    return Result(
        features=np.array(settings.features),
        **{name: of_features(name) for name in (*OF_FEATURES, *OF_RIDGE)},
        widths=widths,
        parameters=(settings.inputs + 1 + settings.info.classes) * widths + settings.info.classes,
        **{name: of_nets(name) for name in (*OF_NETS, *OF_STOPPING)},
        diverged_at=of_nets("diverged_at").astype(np.int64),
        seconds=float(sum(float(arrays["seconds"]) for arrays in tasks)),
    )
