"""Train the nets on the full batch from every seed and at every rate, and measure the Hessian along the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlhw.experiments.edge.images import train_on_images
from dlhw.experiments.edge.measurements import overlaps, unmeasured
from dlhw.experiments.edge.spec import EIGENVALUES, TOLERANCE, Result, Settings
from dlhw.runs import function_training
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.tasks import Arrays, Task, run_tasks

if TYPE_CHECKING:
    from dlhw.measure import StackedObjective
    from dlhw.training import History

BLOCK = 20
"""Measurements of one training that Lanczos's method takes in lockstep."""


def run(settings: Settings, context: Context) -> Result:
    """Train the nets on the full batch, and measure the Hessian along the way."""
    names = [f"rate {rate:g} seed {seed}" for rate in settings.learning_rates for seed in settings.seed_range]
    if settings.data == "function":
        arrays, curvature_seconds = _on_function(settings, context, names)
    else:
        arrays, curvature_seconds = train_on_images(settings, context, names)
    shape = len(settings.learning_rates), settings.seeds

    def table(key: str) -> np.ndarray:
        stacked = np.stack([arrays[name][key] for name in names])
        return stacked.reshape(*shape, *stacked.shape[1:])

    measured = ("loss", "eigenvalues", "residual", "converged", "gradient_norm", "overlap", "diverged_at")
    return Result(
        steps=settings.steps,
        **{key: table(key) for key in measured},
        seconds=float(table("seconds").max()),
        compile_seconds=float(table("compile_seconds").max()),
        curvature_seconds=curvature_seconds,
    )


def _on_function(settings: Settings, context: Context, names: list[str]) -> tuple[Mapping[str, Arrays], float]:
    """Train all nets as a stack, then measure the weights that it passed, training by training."""
    from threadpoolctl import threadpool_limits

    from dlhw.measure import StackedObjective

    function = settings.function_settings()
    x, y = function.samples()
    models, histories = function_training.fit(
        function,
        [settings.net] * len(settings.learning_rates),
        context,
        keep=settings.steps.tolist(),
        dtype="float64",
        rates=settings.learning_rates,
    )
    block = min(BLOCK, len(settings.steps))
    objective = StackedObjective(models[:1], x[:, None], y[:, None], block=block, whole=False)
    trained = dict(zip(names, histories, strict=True))
    with threadpool_limits(1, user_api="blas"):  # two threads that each start two more only wait for each other
        measured = run_tasks(
            dict.fromkeys(names, len(settings.steps)),
            lambda task: _measure(settings, objective, trained[task.name], task),
            context,
            Threads(context.workers),
            unit="measurements",
            activity="measuring",
            quantity="sharpness",
        )
    spent = sum(float(arrays["measuring_seconds"]) for arrays in measured.values())
    return measured, spent / min(context.workers, len(names))


def _measure(settings: Settings, objective: StackedObjective, history: History, task: Task) -> Arrays:
    """Return loss, leading eigenvalues and overlaps of one training."""
    from dlhw.measure.stacked_lanczos import leading_eigenpairs
    from dlhw.training import Stopped

    if history.weights is None:
        raise TypeError("the training recorded no weights")
    began = time.perf_counter()
    steps, arrays = settings.steps, unmeasured(settings, history.weights.dtype)
    last = settings.epochs if history.diverged_at is None else history.diverged_at - 1
    weights = history.weights[steps <= last]
    rng = np.random.default_rng(settings.seed)
    for k in range(0, len(weights), objective.block):
        if task.should_stop():
            raise Stopped
        theta = weights[k : k + objective.block]
        at = slice(k, k + len(theta))
        _, gradient = objective.gradient(theta)
        pairs = leading_eigenpairs(
            lambda vectors, theta=theta: objective.product(theta, vectors),  # type: ignore[misc]
            rng.normal(size=theta.shape),
            EIGENVALUES,
            tolerance=TOLERANCE["function"],
        )
        arrays["eigenvalues"][at], arrays["residual"][at] = pairs.values, pairs.residuals.max(axis=1)
        arrays["converged"][at], arrays["gradient_norm"][at] = pairs.converged, np.linalg.norm(gradient, axis=1)
        arrays["overlap"][at] = overlaps(gradient, pairs.vectors)
        task.report(k + len(theta), float(np.median(pairs.values[:, 0])))
    return arrays | {
        "loss": history.loss,
        "diverged_at": np.array(-1 if history.diverged_at is None else history.diverged_at),
        "seconds": np.array(history.seconds),
        "compile_seconds": np.array(history.compile_seconds),
        "measuring_seconds": np.array(time.perf_counter() - began),
    }
