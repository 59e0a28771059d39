"""Losses at points between sets of weights: on a line, or on a curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from dlhw._tf.inputs import take
from dlhw.errors import require
from dlhw.measure.batch_statistics import BatchNorm, BatchStatistics
from dlhw.measure.combinations import combinations
from dlhw.measure.objective import Objective, Value
from dlhw.models.copies import PROOF_EXAMPLES, prove_equal
from dlhw.models.state import all_variables, require_built, restore_weights
from dlhw.models.weights import assign

Array = NDArray[np.floating]
Weights: TypeAlias = keras.Model | Sequence[Any] | Array
"""A model, its weights as `model.get_weights()` gives them, or a vector of :func:`dlhw.measure.flat`, (P,)."""


def values_at(
    objective: Objective,
    bases: Sequence[Sequence[Array]],
    coefficients: Array,
    batch_norm: BatchNorm = "interpolate",
    progress: Callable[[int, float], None] | None = None,
) -> list[Value]:
    """Return loss and accuracy at sums of c_k W_k, each computed from the W_k themselves.

    Args:
        objective: of the model, which is afterwards as it was.
        bases: W_k, each as `model.get_weights()` gives weights.
        coefficients: c_k of every point, (points, bases); each row sums to one.
        batch_norm: see :func:`dlhw.measure.line`.
        progress: called with the number of points done and the latest loss.
    """
    values: list[Value] = []
    model, count = objective.model, len(coefficients)
    with restore_weights(model):
        statistics = None
        if batch_norm == "recompute":
            statistics = BatchStatistics(model, objective.data[0], objective.probe, objective.batch_size)
        fast = combinations(objective, bases, count) if statistics is None else None
        for block in np.array_split(coefficients, -(-count // fast.most)) if fast else coefficients[:, None]:
            points = [combined(bases, row) for row in block]
            if fast is not None:
                values += fast.values(block, points)
            else:
                model.set_weights(points[0])
                if statistics is not None:
                    statistics.recompute()
                values.append(objective.value())
            for k in range(len(values) - len(block), len(values)):
                if progress is not None:
                    progress(k + 1, values[k].loss)
    return values


def combined(bases: Sequence[Sequence[Array]], coefficients: Array) -> list[Array]:
    """Return the sum of c_k W_k; for a line not a + alpha (b - a), which would miss b by a rounding."""

    def one(arrays: Sequence[Array]) -> Array:
        if not np.issubdtype(arrays[0].dtype, np.inexact):
            return arrays[0]  # whole numbers, such as counters, have no points between them
        return reduce(np.add, (c * w for c, w in zip(coefficients, arrays, strict=True)))

    return [one(arrays) for arrays in zip(*bases, strict=True)]


def weights_of(objective: Objective, given: Weights, name: str) -> list[Array]:
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
