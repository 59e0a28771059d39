"""Train the nets as one stack, then drive each to a critical point and take its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.minimal_ratio.search import search_from
from dlhw.experiments.minimal_ratio.spec import Array, Result, Settings, end_kinds, ratios
from dlhw.present.statistics import spearman
from dlhw.runs import function_training
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.tasks import Arrays, Task, run_tasks

if TYPE_CHECKING:
    from dlhw.measure import StackedObjective
    from dlhw.training import History


STORED = (
    *("start_loss", "start_norm", "start_eigenvalues", "gradient_norm", "flatness"),
    *("arrived", "finished", "descended", "hessians"),
)
"""Fields of the result that are numbers of the searches as they are."""


def run(settings: Settings, context: Context) -> Result:
    """Train the nets as one stack, then drive each to a critical point and take its spectrum."""
    from threadpoolctl import threadpool_limits

    from dlhw.measure import StackedObjective

    steps = settings.steps()
    checks = settings.checks() if settings.stop == "gradient-norm" else []
    keep = sorted({*steps.tolist(), *checks})
    x, y = settings.data()
    models, histories = function_training.fit(
        settings, (settings.net,), context, keep=keep, dtype=settings.precision, data=(x, y)
    )
    diverged_at = np.array([_divergence(h, n) for h, n in zip(histories, steps.tolist(), strict=True)])
    objective = StackedObjective(models, x, y, block=1)
    paths = [_path(history) for history in histories]
    starts = np.stack([path[keep.index(n)] for path, n in zip(paths, steps.tolist(), strict=True)])
    names = {f"net of seed {s}": k for k, s in enumerate(settings.seed_range)}

    def search(task: Task) -> Arrays:
        k = names[task.name]
        return search_from(settings, objective, starts[k] if diverged_at[k] < 0 else None, task)

    with threadpool_limits(1, user_api="blas"):  # two threads that each start two more only wait for each other
        sizes = dict.fromkeys(names, settings.hessians)
        arrays = run_tasks(
            sizes,
            search,
            context,
            Threads(context.workers),
            unit="Hessians",
            what="searches",
            activity="searching",
            quantity="|g|",
        )
        path = _path_points(settings, objective, paths, keep, diverged_at) if checks else _PathPoints()

    def stack(key: str) -> np.ndarray:
        return np.stack([arrays[name][key] for name in names])

    eigenvalues, loss = stack("eigenvalues"), stack("loss")
    kinds = end_kinds(loss, stack("flatness"), eigenvalues, stack("arrived"), stack("finished"))
    return Result(
        steps=steps,
        loss=loss,
        eigenvalues=eigenvalues,
        **{name: stack(name) for name in STORED},
        correlation=_correlations(settings, eigenvalues, loss, kinds),
        diverged_at=diverged_at,
        seconds=max(h.seconds for h in histories),
        compile_seconds=max(h.compile_seconds for h in histories),
        search_seconds=float(stack("seconds").sum()) / min(context.workers, settings.seeds),
        path_step=path.step,
        path_loss=path.loss,
        path_norm=path.norm,
        path_eigenvalues=path.eigenvalues,
    )


def _divergence(history: History, steps: int) -> int:
    """Return the step at which a training diverged, if that is within its number of steps, else -1."""
    return -1 if history.diverged_at is None or history.diverged_at > steps else history.diverged_at


def _path(history: History) -> Array:
    if history.weights is None:
        raise TypeError("the training recorded no weights")
    return history.weights


@dataclass(frozen=True)
class _PathPoints:
    """Where each training first came under the threshold of |g|, if that was asked for."""

    step: NDArray[np.integer] | None = None
    loss: Array | None = None
    norm: Array | None = None
    eigenvalues: Array | None = None


def _path_points(
    settings: Settings,
    objective: StackedObjective,
    paths: Sequence[Array],
    keep: list[int],
    diverged_at: NDArray[np.integer],
) -> _PathPoints:
    """Return the first check of every training at which |g| is under the threshold, and the spectrum there."""
    checks = settings.checks()
    at = [keep.index(n) for n in checks]
    step = np.full(len(paths), -1)
    loss, norm = np.full(len(paths), np.nan), np.full(len(paths), np.nan)
    eigenvalues = np.full((len(paths), settings.parameters), np.nan, settings.precision)
    for s, path in enumerate(paths):
        if diverged_at[s] >= 0:
            continue
        losses, gradients = objective.gradient(path[at])
        norms = np.linalg.norm(gradients, axis=1)
        under = np.flatnonzero(norms <= settings.threshold)
        if not len(under):
            continue
        k = int(under[0])
        _, _, (matrix,) = objective.hessian(path[at[k]][None])
        step[s], loss[s], norm[s] = checks[k], losses[k], norms[k]
        eigenvalues[s] = np.linalg.eigvalsh(matrix)
    return _PathPoints(step, loss, norm, eigenvalues)


def _correlations(settings: Settings, eigenvalues: Array, loss: Array, kinds: NDArray[np.str_]) -> Array:
    """Return Spearman's correlation of ratio and loss with its interval, (2, 3): all nets, critical points."""
    ratio = ratios(settings, eigenvalues)
    # To six digits: nets at one loss differ by rounding, and ranks would order that.
    losses = np.array([float(f"{value:.6g}") for value in loss])
    selections = (np.full(len(loss), True), kinds == "critical")
    return np.array([spearman(np.where(m, ratio, np.nan), losses, seed=settings.seed) for m in selections])
