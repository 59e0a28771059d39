"""The plane along the two eigenvectors of the Hessian of largest eigenvalue, computed in a task that is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dlhw.experiments.landscape import surface
from dlhw.experiments.landscape.result import Array
from dlhw.experiments.landscape.spec import Settings
from dlhw.experiments.landscape.subject import TrainedNet
from dlhw.runs.context import Context
from dlhw.runs.executors import Threads
from dlhw.runs.saved_models import loss_name
from dlhw.runs.tasks import Arrays, Task, run_tasks

STEPS = 100
"""Most steps of Lanczos's method."""
RISE = 10.0
"""The grid ends where the largest eigenvalue alone would add so many times the loss of the net."""


@dataclass(frozen=True)
class EigenPlane:
    """Two eigenvectors of the Hessian at a net."""

    first: Array  # (P,) unit vector
    second: Array  # (P,) unit vector
    eigenvalues: Array  # (2,)
    residuals: Array  # (2,)
    span: float  # half the width of the grid that shows the curvature


def eigen_planes(settings: Settings, nets: Sequence[TrainedNet], context: Context) -> list[EigenPlane | None]:
    """Return the eigenvectors of every net if the settings ask for their plane; None for others and diverged nets."""
    if settings.plane != "hessian":
        return [None] * len(nets)
    names = {f"eigenvectors {m} {_digest(net)}": net for m, net in enumerate(nets) if net.weights}

    def work(task: Task) -> Arrays:
        return _eigenvectors(names[task.name], task)

    context = replace(context, scheduler="")
    threads = Threads(context.workers, xla=context.layout != "plain")
    results = run_tasks(
        dict.fromkeys(names, STEPS + 2),
        work,
        context,
        threads,
        unit="products",
        what="planes",
        activity="measuring",
        quantity="seconds to go",
        among=len(nets) * (surface.SHARES + 1),  # as of the surfaces that follow
    )
    planes = iter(_plane(results[name]) for name in names)
    return [next(planes) if net.weights else None for net in nets]


def _eigenvectors(net: TrainedNet, task: Task) -> Arrays:
    from dlhw import measure
    from dlhw.measure.hessian_planes import oriented
    from dlhw.measure.hessians import operator
    from dlhw.training import Stopped

    def report(done: int, _: int, remaining: float) -> None:
        task.report(done, remaining)
        if task.should_stop():
            raise Stopped

    objective = surface.hessian_objective(net)
    pairs = measure.eigenpairs(operator(objective), 2, steps=min(STEPS, objective.size), progress=report)
    return {
        "vectors": np.stack([oriented(v) for v in pairs.vectors]),
        "values": pairs.values,
        "residuals": pairs.residuals,
        "loss": np.array(objective.value().loss),
    }


def _plane(arrays: Arrays) -> EigenPlane:
    first, second = arrays["vectors"]
    top, loss = float(arrays["values"][0]), float(arrays["loss"])
    span = float(np.sqrt(2 * RISE * loss / top)) if top > 0 and loss > 0 else 1.0
    return EigenPlane(first, second, arrays["values"], arrays["residuals"], span)


def _digest(net: TrainedNet) -> str:
    """Return a digest of what the Hessian depends on."""
    from dlhw.models.wiring import architecture

    digest, model = hashlib.sha256(), net.model()
    states = [np.asarray(v) for v in model.non_trainable_variables]
    for array in (net.weights[0], *states, net.x[: surface.HESSIAN_EXAMPLES], net.y[: surface.HESSIAN_EXAMPLES]):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(f"{loss_name(net.loss)} {architecture(model)}".encode())
    return digest.hexdigest()[:8]
