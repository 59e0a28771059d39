"""Instruments: pure functions of a model, a loss and data. They know of no experiment and draw nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlhw.measure.gradients import gradient_norm as gradient_norm
    from dlhw.measure.weights import PCA as PCA
    from dlhw.measure.weights import assign as assign
    from dlhw.measure.weights import flat as flat
    from dlhw.measure.weights import pca as pca
    from dlhw.measure.weights import random_walk_shares as random_walk_shares

# Loaded on first use: figures are drawn with the functions of `weights` where TensorFlow is not installed.
_PLACES = {
    "gradient_norm": "gradients",
    "PCA": "weights",
    "assign": "weights",
    "flat": "weights",
    "pca": "weights",
    "random_walk_shares": "weights",
}
__all__ = ["PCA", "assign", "flat", "gradient_norm", "pca", "random_walk_shares"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"dlhw.measure.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'dlhw.measure' has no attribute {name!r}")
