"""Train or read the nets, choose the planes, measure the loss over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.experiments.landscape import nets, surface
from dlhw.experiments.landscape.eigen_plane import EigenPlane, eigen_planes
from dlhw.experiments.landscape.spec import Array, Result, Settings
from dlhw.experiments.landscape.subject import PlaneGrid, plane_grid
from dlhw.measure.grid_order import coarse_to_fine
from dlhw.runs.context import Context
from dlhw.runs.saved_models import loss_name
from dlhw.runs.tasks import Arrays


def check_inputs(settings: Settings, context: Context) -> None:
    """Refuse models and data of the user that do not go together, before anything is written."""
    if settings.saved:
        is_free = context.strategy in ("auto", "none")
        require(is_free, f"`strategy` {context.strategy}: a saved model is not trained; leave it out")
        for net in nets.find(settings, context):
            if settings.plane != "hessian":
                plane_grid(settings, net)
            if settings.curvature or settings.plane == "hessian":
                surface.hessian_objective(net)


def run(settings: Settings, context: Context) -> Result:
    """Train or read the nets, choose the planes, measure the loss over them."""
    trained = nets.find(settings, context)
    eigen = eigen_planes(settings, trained, context)
    grids = [plane_grid(settings, net, e) if net.weights else None for net, e in zip(trained, eigen, strict=True)]
    measured = surface.measure_all(settings, trained, grids, context)
    known = next((grid for grid in grids if grid is not None), None)
    side = settings.grid
    shape = (len(known.a), len(known.b)) if known is not None else (side, 1 if settings.is_line else side)
    count = len(known.marks) if known is not None else 0
    rows = [_row(settings, measured, m, grid, shape, count) for m, grid in enumerate(grids)]
    steps: NDArray[np.integer] = np.arange(count)
    if settings.plane in ("path", "start-end") and count > 0:
        steps = next(net.steps for net, grid in zip(trained, grids, strict=True) if grid is not None)
    return Result(
        labels=tuple(net.label for net in trained),
        parameters=tuple(len(net.weights[0]) if net.weights else 0 for net in trained),
        a=np.stack([row.a for row in rows]),
        b=np.stack([row.b for row in rows]),
        loss=np.stack([row.loss for row in rows]),
        accuracy=np.stack([row.accuracy for row in rows]),
        steps=np.asarray(steps),
        marks=np.stack([row.marks for row in rows]),
        mark_loss=np.stack([row.mark_loss for row in rows]),
        plane_loss=np.stack([row.plane_loss for row in rows]),
        away=np.stack([row.distance_to_plane for row in rows]),
        explained=np.stack([row.explained for row in rows]),
        eigenvalues=np.stack([row.eigenvalues for row in rows]),
        diverged_at=np.array([net.diverged_at for net in trained]),
        seconds=tuple(row.seconds for row in rows),
        losses=tuple(loss_name(net.loss) for net in trained),
        plane_eigenvalues=_eigen(eigen, "eigenvalues") if settings.plane == "hessian" else None,
        plane_residuals=_eigen(eigen, "residuals") if settings.plane == "hessian" else None,
        frames=np.arange(count) if settings.plane == "path" and count else None,
    )


def _eigen(planes: Sequence[EigenPlane | None], name: Literal["eigenvalues", "residuals"]) -> Array:
    """Return a number of both axes for every net, (M, 2); nan where a net diverged."""
    return np.stack([np.full(2, np.nan) if plane is None else getattr(plane, name) for plane in planes])


@dataclass(frozen=True)
class _Row:
    """The arrays of one net: A x B points, K marks."""

    a: Array  # (A,)
    b: Array  # (B,)
    loss: Array  # (A, B)
    accuracy: Array  # (A, B)
    marks: Array  # (K, 2)
    mark_loss: Array  # (K,)
    plane_loss: Array  # (K,)
    distance_to_plane: Array  # (K,)
    explained: Array  # (2,)
    eigenvalues: Array  # (C, C, 3)
    seconds: float


def _row(
    settings: Settings,
    measured: Mapping[str, Arrays],
    m: int,
    grid: PlaneGrid | None,
    shape: tuple[int, int],
    count: int,
) -> _Row:
    """Return the arrays of net m; nan where it diverged and has no plane."""
    side = settings.curvature

    def empty(*shape: int) -> Array:
        return np.full(shape, np.nan)

    if grid is None:
        return _Row(
            a=empty(shape[0]),
            b=empty(shape[1]),
            loss=empty(*shape),
            accuracy=empty(*shape),
            marks=empty(count, 2),
            mark_loss=empty(count),
            plane_loss=empty(count),
            distance_to_plane=empty(count),
            explained=empty(2),
            eigenvalues=empty(side, side, 3),
            seconds=0.0,
        )
    order, values, seconds = np.concatenate(coarse_to_fine(*shape)), empty(*shape, 2), 0.0
    for k in range(surface.SHARES):
        part = measured[f"surface {m} {k}"]
        i, j = order[k :: surface.SHARES].T
        values[i, j] = part["rows"]
        seconds += float(part["seconds"])
    marks, distance = grid.plane.coordinates(grid.marks)
    mark_loss, plane_loss = measured[f"marks {m}"]["rows"].T
    curvature = measured[f"curvature {m}"]["rows"].reshape(side, side, 3) if side else empty(side, side, 3)
    return _Row(
        a=grid.a,
        b=grid.b,
        loss=values[..., 0],
        accuracy=values[..., 1],
        marks=marks,
        mark_loss=mark_loss,
        plane_loss=plane_loss,
        distance_to_plane=distance,
        explained=grid.explained,
        eigenvalues=curvature,
        seconds=seconds,
    )
