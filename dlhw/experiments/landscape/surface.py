"""The loss over planes: computed in tasks, coarse grid first, stored as it grows."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.landscape.spec import Settings
from dlhw.experiments.landscape.subject import PlaneGrid, TrainedNet
from dlhw.measure.grid_order import coarse_to_fine
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.saved_models import loss_name
from dlhw.runs.tasks import Arrays, Task, run_tasks

if TYPE_CHECKING:
    from dlhw.measure import Objective, PlaneLoss

SHARES = 4  # tasks of one surface; no fewer than there are likely to be cores, and each with points of every level
CHECKPOINT_SECONDS = 30.0
HESSIAN_EXAMPLES = 500  # for the map of curvature: two eigenvalues a point take some hundred gradients


class SurfaceTask:
    """A net on its plane; the tasks of its surface share what computes the loss."""

    def __init__(self, net: TrainedNet, grid: PlaneGrid) -> None:
        self.net, self.grid = net, grid
        self._lock = threading.Lock()
        self._loss: PlaneLoss | None = None

    @property
    def loss(self) -> PlaneLoss:
        """The loss over the plane, made by the task that asks first."""
        from dlhw.measure import PlaneLoss

        net, points = self.net, len(self.grid.a) * len(self.grid.b)
        with self._lock:
            if self._loss is None:
                self._loss = PlaneLoss(net.model(), self.grid.plane, net.loss, net.x, net.y, expected=points)
            return self._loss

    def fingerprint(self) -> str:
        """Return a digest of all that the loss depends on: checkpoints of a file that has changed are not resumed."""
        from dlhw.models.wiring import architecture

        grid, net, digest = self.grid, self.net, hashlib.sha256()
        models = [make() for make in net.models or (net.model,)]
        states = [np.asarray(v) for model in models for v in model.non_trainable_variables]
        plane = (grid.plane.origin, grid.plane.first, grid.plane.second, grid.a, grid.b, grid.marks)
        for array in (*plane, *states, net.x, net.y):
            digest.update(np.ascontiguousarray(array).data)
        digest.update(" ".join([loss_name(net.loss), *(architecture(model) for model in models)]).encode())
        return digest.hexdigest()[:8]


Points = NDArray[np.generic]


@dataclass(frozen=True)
class _Part:
    """One task: what computes it, and at which points."""

    compute: Callable[[SurfaceTask, Points, Task], Arrays]
    surface: SurfaceTask
    points: Points


def measure_all(
    settings: Settings, nets: Sequence[TrainedNet], grids: Sequence[PlaneGrid | None], context: Context
) -> dict[str, Arrays]:
    """Return all surfaces, marks and maps of curvature, by the name of their task, computed side by side."""
    parts: dict[str, _Part] = {}
    for m, (net, grid) in enumerate(zip(nets, grids, strict=True)):
        if grid is None:
            continue
        order, surface = np.concatenate(coarse_to_fine(len(grid.a), len(grid.b))), SurfaceTask(net, grid)
        key = surface.fingerprint()
        for k in range(SHARES):
            parts[f"surface {m} {k} {key}"] = _Part(_grid, surface, order[k::SHARES])
        parts[f"marks {m} {key}"] = _Part(_marks, surface, grid.marks)
        if settings.curvature:
            at = settings.curvature_points()
            i, j = (v.ravel() for v in np.meshgrid(at, at, indexing="ij"))
            parts[f"curvature {m} {key}"] = _Part(_curvature, surface, np.stack([i, j], 1))

    def work(task: Task) -> Arrays:
        part = parts[task.name]
        return part.compute(part.surface, part.points, task)

    # The nets may have been trained on a cluster; their surfaces are computed here.
    sizes = {name: max(len(part.points), 1) for name, part in parts.items()}
    context = replace(context, scheduler="")
    threads = Threads(context.workers, xla=context.layout != "plain")
    results = run_tasks(sizes, work, context, threads, unit="points", what="parts", activity="measuring")
    return {name.rsplit(" ", 1)[0]: arrays for name, arrays in results.items()}


class RowCheckpoint:
    """Rows of numbers of a task, stored as they grow; what an earlier process stored is resumed."""

    def __init__(self, task: Task, columns: int) -> None:
        state = task.state()
        self.task, self.columns = task, columns
        self.rows = [] if state is None else list(state["rows"])
        self.before = 0.0 if state is None else float(state["seconds"])
        self.began, self.due = time.perf_counter(), time.monotonic() + CHECKPOINT_SECONDS

    def arrays(self) -> Arrays:
        """Return the rows so far, and the seconds that they took."""
        rows = np.reshape(np.array(self.rows, np.float64), (-1, self.columns))
        return {"rows": rows, "seconds": np.array(self.before + time.perf_counter() - self.began)}

    def add(self, *row: float) -> None:
        """Add a row; raises Stopped if the task should stop."""
        from dlhw.training import Stopped

        self.rows.append(np.array(row, np.float64))
        stop = self.task.should_stop()
        if stop or time.monotonic() >= self.due:
            self.task.checkpoint(self.arrays())
            self.due = time.monotonic() + CHECKPOINT_SECONDS
        self.task.report(len(self.rows), row[0])
        if stop:
            raise Stopped


def _grid(surface: SurfaceTask, points: Points, task: Task) -> Arrays:
    """Return loss and accuracy at the grid points (row, column)."""
    from dlhw.measure.loss_surface import POINTS_PER_CALL

    rows, grid = RowCheckpoint(task, 2), surface.grid
    for k in range(len(rows.rows), len(points), POINTS_PER_CALL):
        i, j = points[k : k + POINTS_PER_CALL].T
        for value in surface.loss.points(np.stack([grid.a[i], grid.b[j]], 1)):
            rows.add(value.loss, value.accuracy)
    return rows.arrays()


def _marks(surface: SurfaceTask, marks: Points, task: Task) -> Arrays:
    """Return the loss at each mark, by its own model, and at the point of the plane that is nearest to it."""
    from dlhw.measure import Objective

    rows, net = RowCheckpoint(task, 2), surface.net
    nearest, _ = surface.grid.plane.coordinates(surface.grid.marks)
    objectives = [Objective(make(), net.loss, net.x, net.y) for make in net.models or (net.model,)]
    for k in range(len(rows.rows), len(marks)):
        objective = objectives[k % len(objectives)]
        objective.move(surface.grid.marks[k])
        rows.add(objective.value().loss, surface.loss(*nearest[k]).loss)
    return rows.arrays()


def hessian_objective(net: TrainedNet) -> Objective:
    """Return the objective of the map of curvature, with its second derivatives checked."""
    from dlhw.measure import Objective
    from dlhw.measure.derivative_check import check_second_derivatives

    x, y = (v[:HESSIAN_EXAMPLES] for v in (net.x, net.y))
    objective = Objective(net.model(), net.loss, x, y)
    objective.move(net.weights[0])
    check_second_derivatives(objective)
    return objective


def _curvature(surface: SurfaceTask, points: Points, task: Task) -> Arrays:
    """Return the smallest and largest eigenvalue of the Hessian at grid points, and the larger of their residuals."""
    from dlhw import measure
    from dlhw.measure.hessians import operator

    rows, grid = RowCheckpoint(task, 3), surface.grid
    objective = hessian_objective(surface.net)
    for i, j in points[len(rows.rows) :]:
        objective.move(grid.plane.at(grid.a[i], grid.b[j]))
        pairs = measure.eigenpairs(operator(objective), which="both", steps=min(60, objective.size))
        rows.add(pairs.values[-1], pairs.values[0], float(pairs.residuals.max()))
    return rows.arrays()
