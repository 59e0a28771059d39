"""The result of `landscape`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Result:
    """M nets, A x B points, K marks: points of the path, or the nets themselves. All of a diverged net is nan."""

    labels: Annotated[tuple[str, ...], "M"]
    parameters: Annotated[tuple[int, ...], "M"]
    a: Annotated[Array, "M, A"]
    b: Annotated[Array, "M, B"]  # 0 alone for a line
    loss: Annotated[Array, "M, A, B"]
    accuracy: Annotated[Array, "M, A, B"]  # fraction in [0, 1]; nan where targets are not class labels
    steps: Annotated[NDArray[np.integer], "K"]  # epoch of each point of the path; 0, 1, 2 for nets
    marks: Annotated[Array, "M, K, 2"]  # nearest points of the plane
    mark_loss: Annotated[Array, "M, K"]  # loss at the mark itself
    plane_loss: Annotated[Array, "M, K"]  # loss at the nearest point of the plane
    away: Annotated[Array, "M, K"]  # distance from the plane, Euclidean
    explained: Annotated[Array, "M, 2"]  # fractions of the variance of the path along both; nan without a path
    eigenvalues: Annotated[Array, "M, C, C, 3"]  # smallest, largest, residual; C = 0 if not asked for
    diverged_at: Annotated[NDArray[np.integer], "M"]  # epoch, or -1
    seconds: Annotated[tuple[float, ...], "M"]  # of the surface, its parts one after the other
    losses: Annotated[tuple[str, ...], "M"] = ()  # what is measured, by its name in Keras
    plane_eigenvalues: Annotated[Array, "M, 2"] | None = None  # of the Hessian along both axes; None for other planes
    plane_residuals: Annotated[Array, "M, 2"] | None = None  # of these eigenpairs
    frames: NDArray[np.integer] | None = None  # marks shown one by one in an animation; None without a path
