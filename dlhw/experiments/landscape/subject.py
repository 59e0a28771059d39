"""A net around which a surface is drawn, and the plane through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.experiments.landscape.spec import Array, Settings
from dlhw.measure.directions import Plane, path_plane, random_direction, random_plane, three_point_plane

if TYPE_CHECKING:
    import keras

    from dlhw._tf.losses import Loss
    from dlhw.experiments.landscape.eigen_plane import EigenPlane

MARGIN = 0.25
"""Fraction of the extent of a path that stays free on either side."""


@dataclass(frozen=True)
class TrainedNet:
    """A net with the data on which its loss is evaluated."""

    label: str
    seed: int
    weights: list[Array]  # (P,) each: the net, or the three of a plane through three; [] if a training diverged
    path: Array | None  # (n, P) from start to end of training; None: not known
    steps: NDArray[np.integer]  # (n,) epochs at which the path was taken
    diverged_at: int
    model: Callable[[], keras.Model]  # makes a model to compute with, with any weights; what is not trained is its own
    loss: Loss
    x: NDArray[np.generic]
    y: NDArray[np.generic]
    models: tuple[Callable[[], keras.Model], ...] = ()  # one for each of `weights`, if what is not trained differs


@dataclass(frozen=True)
class PlaneGrid:
    """A plane (or line, where `b` is 0 alone) with its grid, and what is marked on it."""

    plane: Plane
    a: Array  # (A,)
    b: Array  # (B,)
    explained: Array  # (2,) fractions of the variance of the path, nan where there is none
    marks: Array  # (K, P) points whose true loss is measured: those of the path, or the nets themselves


def axis(low: float, high: float, points: int) -> Array:
    """Return evenly spaced numbers with 0 exactly among them: low to high, moved by at most half a step."""
    step = (high - low) / max(points - 1, 1)
    first = -round(-low / step)
    return step * np.arange(first, first + points)


def axis_of_a_line(margin: float, points: int) -> Array:
    """Return about `points` evenly spaced numbers from -margin to 1 + margin, with 0 and 1 exactly among them."""
    steps = max(1, round((points - 1) / (1 + 2 * margin)))
    outside = round(margin * steps)
    return np.arange(-outside, steps + outside + 1) / steps


def plane_grid(settings: Settings, net: TrainedNet, eigen: EigenPlane | None = None) -> PlaneGrid:
    """Return the plane that the settings ask for, through the net; `eigen` is needed for that of the Hessian."""
    theta = net.weights[0].astype(np.float64)
    unknown = np.full(2, np.nan)
    span = settings.span or 1.0
    around = axis(-span, span, settings.grid)
    if settings.plane == "random":
        plane = random_plane(theta, net.model(), norm=settings.norm, seed=net.seed)
        return PlaneGrid(plane, around, around, unknown, theta[None])
    if eigen is not None:
        half = settings.span or eigen.span
        around = axis(-half, half, settings.grid)
        return PlaneGrid(Plane(theta, eigen.first, eigen.second), around, around, unknown, theta[None])
    if settings.plane == "line":
        first = random_direction(theta, net.model(), norm=settings.norm, seed=net.seed)
        return PlaneGrid(Plane(theta, first, np.zeros_like(first)), around, np.zeros(1), unknown, theta[None])
    if settings.plane == "three-points":
        plane = three_point_plane(*net.weights)
        return _covering(settings, plane, np.stack(net.weights).astype(np.float64), unknown)
    if net.path is None:
        raise TypeError(f"the training of {net.label} recorded no path")
    path = net.path.astype(np.float64)
    if settings.plane == "start-end":
        line = Plane(theta, path[0] - theta, np.zeros_like(theta))
        return PlaneGrid(line, axis_of_a_line(settings.span or 0.5, settings.grid), np.zeros(1), unknown, path)
    plane, explained = path_plane(path)
    return _covering(settings, plane, path, np.pad(explained, (0, 1))[:2])


def _covering(settings: Settings, plane: Plane, marks: Array, explained: Array) -> PlaneGrid:
    """Return a grid that holds all marks with a margin, or of `span` around the origin."""
    at, _ = plane.coordinates(marks)
    axes = []
    for k in range(2):
        low, high = min(at[:, k].min(), 0.0), max(at[:, k].max(), 0.0)
        margin = MARGIN * max(high - low, 0.05 * float(np.ptp(at)))
        ends = (-settings.span, settings.span) if settings.span else (low - margin, high + margin)
        axes.append(axis(ends[0], ends[1], settings.grid))
    return PlaneGrid(plane, axes[0], axes[1], explained, marks)
