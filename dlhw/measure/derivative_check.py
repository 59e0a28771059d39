"""Compare Hessian products with differences of the gradient: TensorFlow has wrong and missing second derivatives."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.inputs import first_line, take
from dlhw._tf.types import Data, Tensor
from dlhw.errors import UserError, warn
from dlhw.measure.objective import Objective
from dlhw.measure.second_order import exact_moments
from dlhw.models.forward import Forward
from dlhw.models.precision import as_float64
from dlhw.models.state import intercepted, leaves_of, restore_weights

Array = NDArray[np.floating]

EXAMPLES = 32
STEPS = {8: (3e-3, 1e-5, 1e-6, 1e-7), 4: (3e-2, 1e-2, 3e-3)}
"""Steps of the differences by the bytes of a float, as shares of the size of the weights. Several: a kink (ReLU, a
max-pool) that lies within one step lies outside of a smaller one."""
TOLERANCE = {8: 1e-4, 4: 5e-2}


@dataclass(frozen=True)
class Comparison:
    """A product of second derivatives and a vector beside differences of the gradient with several steps."""

    product: Array  # (P,)
    differences: tuple[Array, ...]  # (P,) each
    rounding: tuple[float, ...]  # of each difference, Euclidean norm
    tolerance: float

    def _near(self, a: Array, b: Array, rounding: float, factor: float = 1.0) -> bool:
        scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
        return float(np.linalg.norm(a - b)) <= factor * self.tolerance * scale + rounding

    @property
    def agrees(self) -> bool:
        """Whether the product equals one of the differences, within tolerance and rounding."""
        return any(self._near(self.product, d, r) for d, r in zip(self.differences, self.rounding, strict=True))

    @property
    def is_smooth(self) -> bool:
        """Whether the differences agree with each other, so that no kink lies between them."""
        rows = list(zip(self.differences, self.rounding, strict=True))
        return all(self._near(a, b, r + s) for (a, r), (b, s) in itertools.pairwise(rows))


def compare(gradient: Callable[[Array], Array], theta: Array, v: Array, product: Array, bytes_: int) -> Comparison:
    """Hold `product`, the derivative of `gradient` along `v` at `theta`, against central differences."""
    size = max(float(np.linalg.norm(theta)), 1e-3)
    eps = float(np.finfo(np.float64 if bytes_ == 8 else np.float32).eps)
    at = float(np.linalg.norm(gradient(theta)))
    differences, rounding = [], []
    for step in STEPS[bytes_]:
        h = step * size / float(np.linalg.norm(v))
        differences.append((gradient(theta + h * v) - gradient(theta - h * v)) / (2 * h))
        rounding.append(30 * eps * (at + 1e-3) / h)
    return Comparison(product, tuple(differences), tuple(rounding), TOLERANCE[bytes_])


def check_second_derivatives(objective: Objective) -> None:
    """Compare a product of the Hessian along a random direction with a central difference of the gradient.

    In float64 on at most 32 examples where the model can be copied into it, else in its own precision, where a
    mismatch is a warning. H must be symmetric too: v'Hw = w'Hv.

    Raises:
        UserError: for second derivatives that are missing or wrong; the layer is named.
    """
    wide = in_float64(objective)
    small = wide or few_examples(objective, objective.model)
    rng, theta = np.random.default_rng(0), small.theta
    v, w = rng.normal(size=(2, small.size))
    with restore_weights(small.model):
        try:
            hv, hw = (evaluated(small, "product", u)[0] for u in (v, w))
        except (LookupError, TypeError, NotImplementedError, UserError) as error:
            raise named_error(small, f"has no second derivative ({first_line(error)})") from None

        def gradient(at: Array) -> Array:
            small.move(at)
            return evaluated(small, "gradient")[1]

        comparison = compare(gradient, theta, v, hv, 8 if wide else 4)
        small.move(theta)
        skew = abs(float(v @ hw - w @ hv))
        size = float(np.linalg.norm(hv) * np.linalg.norm(w) + np.linalg.norm(hw) * np.linalg.norm(v))
        symmetric = skew <= comparison.tolerance * size
        if comparison.agrees and symmetric:
            return
        if wide and (comparison.is_smooth or not symmetric):
            reason = "has second derivatives that do not match its gradient, as happens where a gradient is stopped"
            raise named_error(small, reason)
    why = "kinks lie closer to the weights than the step" if wide else "float32 is too coarse to tell why"
    warn(
        f"a Hessian-vector product of {objective.model.name!r} differs from the difference of its gradients: {why}. "
        "The Hessian is that of the smooth piece in which the weights lie"
    )


def in_float64(objective: Objective) -> Objective | None:
    """Return the objective on a float64 copy; None if the model cannot be copied."""
    if objective.dtype == tf.float64:
        return few_examples(objective, objective.model)
    try:
        wide = as_float64(objective.model, take(objective.data[0], np.arange(min(objective.n, 4))))
        small = few_examples(objective, wide)
        evaluated(small, "gradient")
    except (UserError, TypeError, NotImplementedError, tf.errors.OpError):  # a kernel that float64 does not have
        return None
    return small


def few_examples(objective: Objective, model: keras.Model) -> Objective:
    """Return the objective of a few of its examples, for its model or a copy of it."""
    n = objective.n if objective.probe.at_once else min(objective.n, EXAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the objective itself was made
        return Objective(
            model, objective.loss.given, *take(objective.data, np.arange(n)), batch_size=n, layers=objective.layers
        )


def evaluated(objective: Objective, name: str, *vectors: Array) -> list[Array]:
    """Evaluate a function of the objective over all of its examples, uncompiled, which is faster for a single call."""
    before = [v.numpy() for v in objective.probe.moving]
    more = [tf.constant(v, objective.dtype) for v in vectors]
    parts = getattr(objective.functions, name)(Forward(objective.model), *objective.data, *more)
    for variable, value in zip(objective.probe.moving, before, strict=True):
        variable.assign(value)
    return [np.asarray(a, np.float64) / objective.denominator for a in parts]


def named_error(objective: Objective, what: str) -> UserError:
    """Return the error, naming the layer whose own second derivatives are wrong."""
    layer = faulty_layer(objective.model, objective.data[0])
    where = "the loss, or an operation outside the layers,"
    if layer is not None:
        where = f"layer {layer.name!r} ({type(layer).__name__})"
    return UserError(
        f"model {objective.model.name!r}: {where} {what}, so its Hessian cannot be computed; remove that layer"
    )


def faulty_layer(model: keras.Model, x: Data) -> keras.layers.Layer | None:
    """Return the first leaf layer whose second derivatives do not match its gradient."""
    calls: list[tuple[keras.layers.Layer, Any, Any, Any]] = []

    def wrap(layer: keras.layers.Layer, call: Any) -> Callable[..., Tensor]:
        def recorded(*args: Any, **kwargs: Any) -> Tensor:
            calls.append((layer, call, args, kwargs))
            return call(*args, **kwargs)

        return recorded

    with restore_weights(model), intercepted(leaves_of(model), wrap):
        model(x, training=False)
    with restore_weights(model):
        return next((layer for layer, *how in calls if _is_faulty(layer, *how)), None)


def _is_faulty(layer: keras.layers.Layer, call: Any, args: Any, kwargs: Any) -> bool:
    floats = [a for a in tf.nest.flatten((args, kwargs)) if tf.is_tensor(a) and a.dtype.is_floating]
    weights = [v.value for v in layer.trainable_variables]
    points = [tf.identity(a) for a in floats]
    if not points and not weights:
        return False
    sizes = [int(tf.size(p)) for p in (*points, *weights)]
    at = np.concatenate([np.ravel(p) for p in (*points, *weights)]).astype(np.float64)

    def gradient(inputs: list[Tensor]) -> Tensor:
        swap = {id(a): b for a, b in zip(floats, inputs, strict=True)}
        a, k = tf.nest.map_structure(lambda t: swap.get(id(t), t), (args, kwargs))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*inputs, *weights])
            outputs = [o for o in tf.nest.flatten(call(*a, **k)) if tf.is_tensor(o) and o.dtype.is_floating]
            # Squares, for a layer that is linear has no second derivative of its own.
            value = tf.add_n([tf.reduce_sum(tf.square(o) * tf.cast(_numbers(o), o.dtype)) for o in outputs])
        parts = tape.gradient(value, [*inputs, *weights], unconnected_gradients="zero")
        return tf.concat([tf.cast(tf.reshape(tf.convert_to_tensor(p), [-1]), tf.float64) for p in parts], 0)

    def placed(theta: Array) -> list[Tensor]:
        pieces = np.split(theta, np.cumsum(sizes)[:-1])
        for variable, piece in zip(weights, pieces[len(points) :], strict=True):
            variable.assign(piece.reshape(variable.shape))
        return [tf.constant(q.reshape(p.shape), p.dtype) for q, p in zip(pieces, points, strict=False)]

    v = np.random.default_rng(1).normal(size=len(at))
    is_wide = all(p.dtype == tf.float64 for p in (*points, *weights))
    try:
        with exact_moments(), tf.GradientTape(watch_accessed_variables=False) as outer:
            inputs = placed(at)
            outer.watch([*inputs, *weights])
            along = tf.reduce_sum(gradient(inputs) * v)
        parts = outer.gradient(along, [*inputs, *weights], unconnected_gradients="zero")
        product = np.concatenate([np.ravel(tf.convert_to_tensor(p)) for p in parts]).astype(np.float64)
        result = compare(lambda t: gradient(placed(t)).numpy(), at, v, product, 8 if is_wide else 4)
    except (LookupError, TypeError, NotImplementedError, tf.errors.OpError):
        return True
    finally:
        placed(at)
    return not result.agrees and result.is_smooth


def _numbers(o: Tensor) -> Array:
    """Return fixed weights of different size and sign for the entries of a tensor."""
    return np.random.default_rng(2).normal(size=o.shape)
