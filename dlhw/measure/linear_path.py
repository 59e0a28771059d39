"""The loss along lines through the space of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.inputs import chunks, length, take
from dlhw._tf.losses import Loss
from dlhw._tf.types import Data, Tensor
from dlhw.errors import require
from dlhw.measure.barriers import LineProfile, alpha_grid
from dlhw.measure.combinations import combinations
from dlhw.measure.derivative_check import check_second_derivatives
from dlhw.measure.objective import BATCH, Objective, Value
from dlhw.models.copies import PROOF_EXAMPLES, prove_equal
from dlhw.models.forward import Forward
from dlhw.models.state import all_variables, intercepted, layers_of, require_built, restore_weights
from dlhw.models.weights import assign

Array = NDArray[np.floating]
Weights: TypeAlias = keras.Model | Sequence[Any] | Array
"""A model, its weights as `model.get_weights()` gives them, or a vector of :func:`dlhw.measure.flat`, (P,)."""


def line(
    model: keras.Model,
    start: Weights,
    end: Weights,
    loss: Loss,
    x: Data,
    y: Data,
    alphas: Sequence[float] | Array,
    *,
    batch_norm: Literal["interpolate", "recompute"] = "interpolate",
    batch_size: int = BATCH,
    progress: Callable[[int, float], None] | None = None,
) -> LineProfile:
    """Return loss and accuracy at (1 - alpha) start + alpha end, each computed from `start` and `end` themselves.

    Weights that do not train, such as the moving statistics of batch normalization, are interpolated too
    ("interpolate"), or computed anew from x at every alpha ("recompute"): interpolated statistics are not those of the
    interpolated net, and can make a barrier by themselves. Recomputed, they are those over all of x; with several such
    layers, what enters the later ones is normalized chunk by chunk, as in training. Goodfellow et al. 2015,
    Qualitatively characterizing neural network optimization problems.

    Args:
        model: any built Keras model of one output; it is used to compute, and afterwards is as it was, even after an
            error.
        start: a model, its weights as `model.get_weights()` returns them, or a vector of :func:`dlhw.measure.flat`,
            (P,).
        end: likewise.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        alphas: points of the line; 0 and 1 are added where they are missing.
        batch_norm: see above.
        batch_size: examples per chunk; it changes rounding and memory only.
        progress: called with the number of alphas done and the latest loss.

    Returns:
        The alphas, in order, with loss and accuracy at each.

    Raises:
        UserError: for weights that are not those of the model, and layers of batch normalization that are called more
            than once with "recompute".

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> other = models.mlp((4,), activation="tanh", seed=1, dtype="float64")
        >>> profile = measure.line(net, net, other, "mse", x, y, [0.5])
        >>> profile.alphas.tolist(), profile.loss.shape
        ([0.0, 0.5, 1.0], (3,))
    """
    require(
        batch_norm in ("interpolate", "recompute"),
        f"`batch_norm` {batch_norm!r} is unknown; use interpolate or recompute",
    )
    grid = alpha_grid(alphas)
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    a, b = _weights(objective, start, "start"), _weights(objective, end, "end")
    values: list[Value] = []
    with restore_weights(model):
        statistics = _Statistics(objective) if batch_norm == "recompute" else None
        fast = combinations(objective, [a, b], len(grid)) if statistics is None else None
        for block in np.array_split(grid, -(-len(grid) // fast.most)) if fast else grid[:, None]:
            points = [_between(a, b, alpha) for alpha in block]
            if fast is not None:
                values += fast.values(np.stack([1 - block, block], 1), points)
            else:
                model.set_weights(points[0])
                if statistics is not None:
                    statistics.recompute()
                values.append(objective.value())
            for k in range(len(values) - len(block), len(values)):
                if progress is not None:
                    progress(k + 1, values[k].loss)
    return LineProfile(grid, np.array([v.loss for v in values]), np.array([v.accuracy for v in values]))


def _between(a: Sequence[Array], b: Sequence[Array], alpha: float) -> list[Array]:
    """Return (1 - alpha) a + alpha b; not a + alpha (b - a), which would miss b by a rounding."""
    # Whole numbers, such as counters, have no points between them.
    return [(1 - alpha) * p + alpha * q if np.issubdtype(p.dtype, np.inexact) else p for p, q in zip(a, b, strict=True)]


def line_curvature(
    model: keras.Model,
    start: Weights,
    end: Weights,
    loss: Loss,
    x: Data,
    y: Data,
    *,
    batch_size: int = BATCH,
    check: bool = True,
) -> Array:
    """Return the second derivative of the loss with respect to alpha, d^T H d with d = end - start, at both ends.

    One Hessian-vector product each; moving statistics are those of the end.

    Args:
        model: any built Keras model of one output.
        start: as in :func:`line`.
        end: as in :func:`line`.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        batch_size: examples per chunk; it changes rounding and memory only.
        check: as in :func:`dlhw.measure.hessian`.

    Returns:
        At alpha = 0 and 1, (2,), in units of the loss; divide by |d|^2 for the curvature per unit of length.

    Raises:
        UserError: as :func:`line` and :func:`dlhw.measure.hessian`.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> other = models.mlp((4,), activation="tanh", seed=1, dtype="float64")
        >>> measure.line_curvature(net, net, other, "mse", x, y).shape
        (2,)
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    a, b = _weights(objective, start, "start"), _weights(objective, end, "end")
    curvatures = []
    with restore_weights(model):
        model.set_weights(b)
        to = objective.theta
        model.set_weights(a)
        if check:
            check_second_derivatives(objective)
        direction = to - objective.theta
        for weights in (a, b):
            model.set_weights(weights)
            curvatures.append(float(direction @ objective.product(direction)))
    return np.array(curvatures)


def _weights(objective: Objective, given: Weights, name: str) -> list[Array]:
    """Return the weights of one end, including those that are not trained."""
    model = objective.model
    if isinstance(given, np.ndarray) and given.ndim == 1:
        with restore_weights(model):  # what does not train stays as the model holds it
            assign(model, given)
            return list(model.get_weights())
    if isinstance(given, keras.Model):
        require_built(given)
    weights = given.get_weights() if isinstance(given, keras.Model) else [np.asarray(w) for w in given]
    shapes, wanted = [w.shape for w in weights], [tuple(v.shape) for v in model.weights]
    require(shapes == wanted, f"`{name}` has weights of shapes {shapes}; those of the model are {wanted}")
    if isinstance(given, keras.Model) and given is not model:
        with restore_weights(model):
            model.set_weights(weights)
            for p, q in zip(all_variables(given), all_variables(model), strict=False):
                if tuple(p.shape) == tuple(q.shape):  # seeds and states too
                    q.assign(np.asarray(p))
            prove_equal(given, model, take(objective.data[0], np.arange(min(objective.n, PROOF_EXAMPLES))))
    return list(weights)


class _Statistics:
    """Moving statistics of batch normalization, taken anew over all of the data at the weights of the moment."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.model = objective, objective.model
        self.layers = [la for la in layers_of(self.model) if isinstance(la, keras.layers.BatchNormalization)]
        counts = dict.fromkeys((layer.name for layer in self.layers), 0)

        def counted(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Tensor]:
            def counting(*args: Any, **kwargs: Any) -> Tensor:
                counts[layer.name] += 1
                return call(*args, **kwargs)

            return counting

        with restore_weights(self.model), intercepted(self.layers, counted):
            Forward(self.model)(take(objective.data[0], np.arange(1 if objective.probe.separable else objective.n)))
        often = [name for name, count in counts.items() if count > 1]
        require(
            not often,
            f'batch_norm="recompute": layer {often[0] if often else ""} is called more than once; use '
            'batch_norm="interpolate"',
        )

    def recompute(self) -> None:
        """Return mean and variance of the inputs of each layer over all examples, not a mean over batches."""

        def in_training(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Tensor]:
            return lambda *args, **kwargs: call(*args, **{**kwargs, "training": True})

        sums = [np.zeros((2, *layer.moving_mean.shape)) for layer in self.layers]
        momenta = [layer.momentum for layer in self.layers]
        still = [v.numpy() for v in self.objective.probe.moving]
        try:
            for layer in self.layers:
                layer.momentum = 0.0  # a batch leaves its own statistics
            for x, _ in chunks(self.objective.data, self.objective.batch_size) if self.layers else ():
                with intercepted(self.layers, in_training):
                    self.model(x, training=False)
                for variable, value in zip(self.objective.probe.moving, still, strict=True):
                    variable.assign(value)
                for total, layer in zip(sums, self.layers, strict=True):
                    mean, variance = (v.numpy().astype(np.float64) for v in (layer.moving_mean, layer.moving_variance))
                    total += length(x) * np.stack([mean, variance + mean**2])
        finally:
            for layer, momentum in zip(self.layers, momenta, strict=True):
                layer.momentum = momentum
        for total, layer in zip(sums, self.layers, strict=True):
            mean, square = total / self.objective.n
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(square - mean**2)
