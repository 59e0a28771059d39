"""Instruments: pure functions of a model, a loss and data. They know of no experiment and draw nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlhw.measure.ball import random_ball as random_ball
    from dlhw.measure.critical import CriticalPoint as CriticalPoint
    from dlhw.measure.critical import critical_point as critical_point
    from dlhw.measure.curvature import hessian as hessian
    from dlhw.measure.curvature import hessian_matrix as hessian_matrix
    from dlhw.measure.directions import Plane as Plane
    from dlhw.measure.directions import normalised as normalised
    from dlhw.measure.directions import path_plane as path_plane
    from dlhw.measure.directions import random_direction as random_direction
    from dlhw.measure.directions import random_plane as random_plane
    from dlhw.measure.directions import three_point_plane as three_point_plane
    from dlhw.measure.filters import filter_axes as filter_axes
    from dlhw.measure.gradients import gradient_norm as gradient_norm
    from dlhw.measure.input_gradients import batch_mean_sensitivity as batch_mean_sensitivity
    from dlhw.measure.input_gradients import jacobian_norm as jacobian_norm
    from dlhw.measure.input_gradients import sensitivity as sensitivity
    from dlhw.measure.landscape import line as line
    from dlhw.measure.landscape import line_curvature as line_curvature
    from dlhw.measure.objective import Objective as Objective
    from dlhw.measure.paths import alpha_grid as alpha_grid
    from dlhw.measure.paths import barrier_over_chord as barrier_over_chord
    from dlhw.measure.paths import barrier_over_mean as barrier_over_mean
    from dlhw.measure.planes import PlaneLoss as PlaneLoss
    from dlhw.measure.planes import Surface as Surface
    from dlhw.measure.planes import surface as surface
    from dlhw.measure.precision import widened as widened
    from dlhw.measure.sharpness import keskar as keskar
    from dlhw.measure.sharpness import sam as sam
    from dlhw.measure.signs import Inertia as Inertia
    from dlhw.measure.signs import chance_curvature as chance_curvature
    from dlhw.measure.signs import effective_rank as effective_rank
    from dlhw.measure.signs import gradient_flatness as gradient_flatness
    from dlhw.measure.signs import inertia as inertia
    from dlhw.measure.signs import resolution as resolution
    from dlhw.measure.spectrum import eigenpairs as eigenpairs
    from dlhw.measure.spectrum import spectral_density as spectral_density
    from dlhw.measure.spectrum import trace as trace
    from dlhw.measure.stacked import StackedObjective as StackedObjective
    from dlhw.measure.state import kept as kept
    from dlhw.measure.weights import PCA as PCA
    from dlhw.measure.weights import assign as assign
    from dlhw.measure.weights import flat as flat
    from dlhw.measure.weights import layer_parts as layer_parts
    from dlhw.measure.weights import pca as pca
    from dlhw.measure.weights import random_walk_shares as random_walk_shares

# No room has the name of a function: importing it would put the module in the place of the function.
# Loaded on first use: figures are drawn with the functions of `weights` and `paths` where TensorFlow is not installed.
_ROOMS = {
    "ball": ("random_ball",),
    "critical": ("CriticalPoint", "critical_point"),
    "curvature": ("hessian", "hessian_matrix"),
    "directions": ("Plane", "normalised", "path_plane", "random_direction", "random_plane", "three_point_plane"),
    "filters": ("filter_axes",),
    "gradients": ("gradient_norm",),
    "input_gradients": ("batch_mean_sensitivity", "jacobian_norm", "sensitivity"),
    "landscape": ("line", "line_curvature"),
    "objective": ("Objective",),
    "paths": ("alpha_grid", "barrier_over_chord", "barrier_over_mean"),
    "planes": ("PlaneLoss", "Surface", "surface"),
    "precision": ("widened",),
    "sharpness": ("keskar", "sam"),
    "signs": ("Inertia", "chance_curvature", "effective_rank", "gradient_flatness", "inertia", "resolution"),
    "spectrum": ("eigenpairs", "spectral_density", "trace"),
    "stacked": ("StackedObjective",),
    "state": ("kept",),
    "weights": ("PCA", "assign", "flat", "layer_parts", "pca", "random_walk_shares"),
}
_PLACES = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"dlhw.measure.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'dlhw.measure' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
