"""Words and ranges that figures, findings and the page share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.landscape.spec import Array, Result, Settings

NETS_OF_A_PLANE = "ABC"
"""Names of the three nets of a plane through them."""


def title(settings: Settings) -> str:
    """Return what is drawn, in a line."""
    plane = {
        "path": "Plane of the path of training",
        "random": f"Random plane, {settings.norm}-normalized",
        "three-points": "Plane through three nets",
        "hessian": "Plane of the two leading Hessian eigenvectors",
        "start-end": "Line from start to end of training",
        "line": f"Random line, {settings.norm}-normalized",
    }[settings.plane]
    of = ", ".join(Path(o).stem for o in settings.of) if settings.saved else settings.of[0]
    return f"{plane}: {of}"


def axis_names(settings: Settings) -> tuple[str, str]:
    """Return the names of the axes."""
    if settings.plane == "path":
        return "component 1", "component 2"
    if settings.plane == "hessian":
        return "eigenvector 1", "eigenvector 2"
    if settings.plane == "three-points":
        return "distance along A to B", "distance from that line"
    return "a", "b"


def net_names(settings: Settings) -> tuple[str, ...]:
    """Return what the marked nets are called: A, B and C, or nothing."""
    return tuple(NETS_OF_A_PLANE) if settings.plane == "three-points" else ("",)


def loss_range(loss: Array) -> tuple[float, float]:
    """Return the smallest and largest finite loss; (0, 1) where there is none."""
    finite = loss[np.isfinite(loss)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def converged(eigenvalues: Array) -> NDArray[np.bool_]:
    """Return whether the residual of both ends (..., 3) is below 5 % of the larger of them."""
    return np.asarray(eigenvalues[..., 2] <= 0.05 * np.abs(eigenvalues[..., :2]).max(axis=-1))


def path_error(result: Result, m: int) -> Array:
    """Return |log10 of the loss in the plane over the true loss| along the path of net m, (K,)."""
    return np.abs(np.log10(result.plane_loss[m] / result.mark_loss[m]))
