"""From the end of a training to the nearest critical point."""

from __future__ import annotations

import time
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
