"""The loss along lines through the space of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require
from dlhw.measure.objective import BATCH, Loss, Objective, chunks, kept, length
from dlhw.measure.paths import Line, alpha_grid
from dlhw.measure.weights import assign

Array = NDArray[np.floating]
Weights: TypeAlias = keras.Model | Sequence[Any] | Array
"""A model, its weights as `model.get_weights()` gives them, or a vector of :func:`dlhw.measure.flat`, (P,)."""


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
    batch normalization, are interpolated too ("interpolate"), or computed anew from x at every alpha ("recompute"):
    interpolated statistics are not those of the interpolated net, and can alone make a barrier. Recomputed, they are
    those over all of x; with several such layers, what enters the later ones is normalised chunk by chunk, as in
    training. The model serves as the place to compute; it is afterwards as it was, even if something raises.
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
        statistics = _Statistics(model, objective) if batch_norm == "recompute" else None
        for alpha in grid:
            # Not a + alpha (b - a), which would miss b by a rounding.
            for variable, p, q in zip(model.weights, a, b, strict=True):
                variable.assign((1 - alpha) * p + alpha * q)
            if statistics is not None:
                statistics.recompute()
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


def _weights(model: keras.Model, given: Weights, name: str) -> list[Array]:
    if isinstance(given, np.ndarray) and given.ndim == 1:
        with kept(model):  # what does not train stays as the model holds it
            assign(model, given)
            return list(model.get_weights())
    found = given.get_weights() if isinstance(given, keras.Model) else [np.asarray(w) for w in given]
    shapes, wanted = [w.shape for w in found], [tuple(v.shape) for v in model.weights]
    require(shapes == wanted, f"`{name}` has weights of shapes {shapes}; those of the model are {wanted}")
    return found


class _Statistics:
    """Moving statistics of batch normalization, taken anew over all of the data at the weights of the moment."""

    def __init__(self, model: keras.Model, objective: Objective) -> None:
        kind = keras.layers.BatchNormalization
        self.model, self.objective = model, objective
        if isinstance(model, keras.Sequential):
            model = keras.Model(model.inputs, model.outputs)  # the same layers
        require(hasattr(model, "_nodes_by_depth"), 'batch_norm="recompute" needs a functional Keras model')
        layers = [layer for layer in model.layers if isinstance(layer, kind)]
        nodes = [node for same in model._nodes_by_depth.values() for node in same]
        for layer in (one for one in model._flatten_layers() if isinstance(one, kind)):
            calls = sum(node.operation is layer for node in nodes)
            why = "stands in a nested model" if layer not in layers else "is called more than once"
            require(calls == 1, f'batch_norm="recompute": layer {layer.name} {why}; use batch_norm="interpolate"')

        def call(layer: keras.layers.Layer, *inputs: Any, **more: Any) -> Any:
            return layer(*inputs, **more, **({"training": True} if isinstance(layer, kind) else {}))

        # A copy in which batch normalization is in training mode, and all else (dropout, noise) in inference.
        self.copy = keras.models.clone_model(model, call_function=call)
        self.pairs = [(layer, self.copy.get_layer(layer.name)) for layer in layers]
        for _, twin in self.pairs:
            twin.momentum = 0.0  # a batch leaves its own statistics

    def recompute(self) -> None:
        """Mean and variance of what enters each layer: over all examples, not a mean over batches."""
        self.copy.set_weights(self.model.get_weights())
        sums = [np.zeros((2, *layer.moving_mean.shape)) for layer, _ in self.pairs]
        for x, _ in chunks(self.objective.data, self.objective.batch_size):
            self.copy(x)
            for total, (_, twin) in zip(sums, self.pairs, strict=True):
                mean, variance = (v.numpy().astype(np.float64) for v in (twin.moving_mean, twin.moving_variance))
                total += length(x) * np.stack([mean, variance + mean**2])
        for total, (layer, _) in zip(sums, self.pairs, strict=True):
            mean, square = total / self.objective.n
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(square - mean**2)
