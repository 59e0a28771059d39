"""The loss along lines through the space of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.objective import BATCH, Loss, Objective, chunks, kept
from dlhw.measure.paths import Line

Array = NDArray[np.floating]
Weights: TypeAlias = keras.Model | Sequence[Any]
"""A model, or its weights as `model.get_weights()` gives them."""


def line(
    model: keras.Model,
    start: Weights,
    end: Weights,
    loss: Loss,
    x: Any,
    y: Any,
    alphas: Sequence[float] | Array,
    *,
    batch_norm: Literal["interpolate", "recompute"] = "interpolate",
    batch_size: int = BATCH,
    progress: Callable[[int, float], None] | None = None,
) -> Line:
    """Loss and accuracy at (1 - alpha) start + alpha end, each computed from `start` and `end` anew.

    0 and 1 are added to `alphas` where they are missing. Weights that do not train, such as the moving statistics of
    batch normalization, are interpolated too ("interpolate"), or computed anew from x at every alpha ("recompute"),
    with dropout silent: interpolated statistics are not those of the interpolated net, and can alone make a barrier.
    The model serves as the place to compute; it is afterwards as it was, even if something raises.
    progress gets (alphas done, newest loss).
    """
    require(
        batch_norm in ("interpolate", "recompute"),
        f"batch_norm {batch_norm!r} is unknown; use interpolate or recompute",
    )
    a, b = _weights(model, start, "start"), _weights(model, end, "end")
    grid = alpha_grid(alphas)
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    found = []
    with kept(model):
        for alpha in grid:
            # Not a + alpha (b - a), which would miss b by a rounding.
            for variable, p, q in zip(model.weights, a, b, strict=True):
                variable.assign((1 - alpha) * p + alpha * q)
            if batch_norm == "recompute":
                _recompute(model, objective)
            found.append(objective.value())
            if progress is not None:
                progress(len(found), found[-1].loss)
    return Line(grid, np.array([v.loss for v in found]), np.array([v.accuracy for v in found]))


def line_curvature(
    model: keras.Model, start: Weights, end: Weights, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH
) -> Array:
    """Second derivative of the loss along the line by alpha, d^T H d with d = end - start, at alpha = 0 and 1, (2,).

    In units of the loss; divide by |d|^2 for the curvature per unit of length. One Hessian-vector product each; moving
    statistics stand still.
    """
    a, b = _weights(model, start, "start"), _weights(model, end, "end")
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    found = []
    with kept(model):
        model.set_weights(b)
        to = objective.theta
        model.set_weights(a)
        direction = to - objective.theta
        for weights in (a, b):
            model.set_weights(weights)
            found.append(float(direction @ objective.product(direction)))
    return np.array(found)


def alpha_grid(alphas: Sequence[float] | Array) -> Array:
    """`alphas` in order, each once, with 0 and 1 among them; UserError unless all are finite."""
    values = np.asarray(alphas, np.float64)
    bad = values[~np.isfinite(values)]
    require(not len(bad), f"alphas hold {', '.join(map(str, bad[:3]))}; they must be finite numbers")
    return np.unique(np.concatenate([values.ravel(), [0.0, 1.0]]))


def _weights(model: keras.Model, given: Weights, name: str) -> list[Array]:
    found = given.get_weights() if isinstance(given, keras.Model) else [np.asarray(w) for w in given]
    shapes, wanted = [w.shape for w in found], [tuple(v.shape) for v in model.weights]
    require(shapes == wanted, f"`{name}` has weights of shapes {shapes}; those of the model are {wanted}")
    return found


def _recompute(model: keras.Model, objective: Objective) -> None:
    """Moving statistics of batch normalization as the mean over the chunks of the batch statistics at these weights."""
    layers = list(model._flatten_layers(include_self=False))
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    silent = [
        layer
        for layer in layers
        if getattr(layer, "rate", 0) and not isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta, rates = [layer.momentum for layer in norms], [layer.rate for layer in silent]
    try:
        for layer in silent:
            layer.rate = 0
        for k, (x, _) in enumerate(chunks(objective.data, objective.batch_size)):
            for layer in norms:
                layer.momentum = k / (k + 1)  # the running mean of k + 1 batches, whatever stood there before
            model(x, training=True)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
        for layer, rate in zip(silent, rates, strict=True):
            layer.rate = rate
