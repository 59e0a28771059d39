"""From the end of a training to the nearest critical point."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dlhw.experiments.minimal_ratio.spec import Array, Settings
from dlhw.runs.tasks import Arrays, Task

if TYPE_CHECKING:
    from dlhw.measure import CriticalPoint, StackedObjective

RADIUS = 1.0
"""Length of the longest Newton step."""


def search_from(settings: Settings, objective: StackedObjective, theta: Array | None, task: Task) -> Arrays:
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

    def starts() -> Iterator[tuple[tuple[Array, int], int]]:
        """Yield weights, the Hessians that they took, and the most for |g|^2; a way is tried when it is asked for."""
        last = budget // 20
        yield newton(objective, theta, radius=RADIUS, hessians=max(1, budget // 5 - last), progress=progress), last
        yield (theta, 0), budget // 4
        yield descend(objective, theta, hessians=max(1, budget - before - last), progress=progress), budget

    points: list[CriticalPoint] = []
    for (start, taken), share in starts():
        before += taken
        most = max(1, min(share, budget - before))
        points.append(critical_point(objective, start, tolerance=settings.arrival, hessians=most, progress=progress))
        before += points[-1].hessians
        if (points[-1].arrived and points[-1].ended in ("rounding", "stalled")) or before >= budget:
            break
    norms = [np.inf if np.isnan(point.gradient_norm) else point.gradient_norm for point in points]
    best = int(np.argmin(norms))
    return points[best], before, best == 2
