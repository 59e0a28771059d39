"""Train the nets as one stack, then drive each to a critical point and take its spectrum."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.minimal_ratio.spec import Array, Result, Settings, end_kinds, ratios
from dlhw.present.statistics import spearman
from dlhw.runs import function_training
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.tasks import Arrays, Task, run_tasks

if TYPE_CHECKING:
    from dlhw.measure import CriticalPoint, StackedObjective
    from dlhw.training import History


RADIUS = 1.0
"""Length of the longest Newton step."""


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
        return _search(settings, objective, starts[k] if diverged_at[k] < 0 else None, task)

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
        start_loss=stack("start_loss"),
        start_norm=stack("start_norm"),
        loss=loss,
        gradient_norm=stack("gradient_norm"),
        eigenvalues=eigenvalues,
        flatness=stack("flatness"),
        arrived=stack("arrived"),
        finished=stack("finished"),
        hessians=stack("hessians"),
        correlation=_correlations(settings, eigenvalues, loss, kinds),
        diverged_at=diverged_at,
        seconds=max(h.seconds for h in histories),
        compile_seconds=max(h.compile_seconds for h in histories),
        search_seconds=float(stack("seconds").sum()) / min(context.workers, settings.seeds),
        path_step=path.step,
        path_loss=path.loss,
        path_norm=path.norm,
        path_eigenvalues=path.eigenvalues,
        start_eigenvalues=stack("start_eigenvalues"),
        descended=stack("descended"),
    )


def _divergence(history: History, steps: int) -> int:
    """Return the step at which a training diverged, if that is within its number of steps, else -1."""
    return -1 if history.diverged_at is None or history.diverged_at > steps else history.diverged_at


def _path(history: History) -> Array:
    if history.weights is None:
        raise TypeError("the training recorded no weights")
    return history.weights


def _search(settings: Settings, objective: StackedObjective, theta: Array | None, task: Task) -> Arrays:
    """Search from the weights of one net; theta None: its training diverged, and all numbers are nan."""
    began, kind = time.perf_counter(), np.dtype(settings.precision)
    if theta is None:
        nothing = ("start_loss", "start_norm", "loss", "gradient_norm", "flatness")
        arrays: Arrays = {name: np.array(np.nan) for name in nothing}
        arrays |= {name: np.full(settings.parameters, np.nan, kind) for name in ("eigenvalues", "start_eigenvalues")}
        arrays |= {name: np.array(False) for name in ("arrived", "finished", "descended")}
        return arrays | {"hessians": np.array(0), "seconds": np.array(0.0)}

    (loss,), (gradient,), (matrix,) = objective.hessian(theta[None])
    end, taken, descended = _nearest(settings, objective, theta, task)
    return {
        "start_loss": np.array(loss, float),
        "start_norm": np.array(np.linalg.norm(gradient), float),
        "loss": np.array(end.loss),
        "gradient_norm": np.array(end.gradient_norm),
        "flatness": np.array(end.flatness),
        "eigenvalues": end.eigenvalues.astype(kind),
        "arrived": np.array(end.arrived),
        "finished": np.array(end.ended in ("rounding", "stalled")),
        "start_eigenvalues": np.linalg.eigvalsh(matrix).astype(kind),
        "descended": np.array(descended),
        "hessians": np.array(taken),
        "seconds": np.array(time.perf_counter() - began),
    }


def _nearest(
    settings: Settings, objective: StackedObjective, theta: Array, task: Task
) -> tuple[CriticalPoint, int, bool]:
    """Return the critical point that a search reaches, the Hessians it took, and whether the loss was minimized.

    Three ways from the same start, until one arrives; each ends with a search on |g|^2 that goes to rounding. Newton's
    method leads to whichever critical point is near; the search on |g|^2 alone, Levenberg-Marquardt, comes to rest more
    often; where it ends in a gradient-flat region, minimizing the loss leads out of it.
    """
    from dlhw.measure import critical_point, descend, newton
    from dlhw.training import Stopped

    before, budget = 0, settings.hessians

    def progress(done: int, size: float) -> None:
        task.report(min(before + done, budget), size)
        if task.should_stop():
            raise Stopped

    def polish(start: Array, hessians: int) -> CriticalPoint:
        most = max(1, min(hessians, budget - before))
        return critical_point(objective, start, tolerance=settings.arrival, hessians=most, progress=progress)

    descended = False
    point: CriticalPoint | None = None
    for way, share in (("newton", budget // 5), ("squares", budget // 4), ("minimum", budget)):
        start, minimizes, most = theta, way == "minimum", max(1, share)
        if way != "squares":
            allowed = max(1, min(most, budget - before) - budget // 20)
            start, taken = (
                descend(objective, theta, hessians=allowed, progress=progress)
                if minimizes
                else newton(objective, theta, radius=RADIUS, hessians=allowed, progress=progress)
            )
            before, most = before + taken, max(1, budget // 20) if way == "newton" else budget
        end = polish(start, most)
        before += end.hessians
        if point is None or not point.gradient_norm <= end.gradient_norm:
            point, descended = end, minimizes
        if (end.arrived and end.ended in ("rounding", "stalled")) or before >= budget:
            break
    if point is None:
        raise RuntimeError("no way was tried")
    return point, before, descended


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
