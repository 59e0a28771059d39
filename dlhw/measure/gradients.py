"""Gradients of a loss, by weights and by inputs, and the Jacobian of outputs by inputs.

All are taken in inference mode and in chunks of `batch_size`, whose size changes nothing but rounding and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._compiled import Compiled
from dlhw.errors import require
from dlhw.measure.objective import BATCH, Loss, Objective, chunks, length, output, per_example, tensors

Array = NDArray[np.floating]


def gradient_norm(model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH) -> tuple[float, Array]:
    """Norm of the gradient of the mean loss over all of (x, y), whole and a layer each.

    |g| = sqrt(sum over trainable tensors of squared entries), of the loss that is minimised: the mean over the examples
    plus what layers add (regularizers). Never a mean of the norms of batches, which is larger. Returns (|g|, norms of
    the L layers with weights, (L,), and last of weights that belong to no layer, if there are any); the squares add up
    to |g|^2.
    """
    objective = Objective(model, loss, x, y, batch_size=batch_size)
    _, gradient = objective.gradient()
    squares = [float(np.sum(piece**2)) for piece in np.split(gradient, np.cumsum(objective.sizes)[:-1])]
    layers = np.array([sum(squares[i] for i in group) for group in layer_groups(model)])
    return float(np.sqrt(layers.sum())), np.sqrt(layers)


@dataclass(frozen=True)
class Norms:
    """A norm for each of n examples, and their mean."""

    each: Array  # (n,)

    @property
    def mean(self) -> float:
        """Mean over the examples."""
        return float(np.mean(self.each, dtype=np.float64))

    @property
    def standard_error(self) -> float:
        """Of the mean, as an estimate for the population of examples: s / sqrt(n); nan of one example."""
        if len(self.each) < 2:
            return float("nan")
        return float(np.std(self.each, ddof=1, dtype=np.float64) / np.sqrt(len(self.each)))


def sensitivity(model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH) -> Norms:
    """Input-gradient sensitivity: |d loss_i / d x_i|, Frobenius norm, one gradient an example; its mean is the number.

    No gradient of a batch mean, which carries a factor 1/B (:func:`batch_mean_sensitivity`). The examples of a batch do
    not touch each other in inference mode, so the gradient of the *sum* of their losses holds them all, in one pass.
    x: one array of floats, (n, ...). Units of the loss over units of x.
    """
    return _input_gradients(model, loss, x, y, batch_size, tf.reduce_sum)


def batch_mean_sensitivity(model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int) -> Norms:
    """The popular mistake: |d (mean loss of the batch) / d x_i|, :func:`sensitivity` over the size of its batch.

    Evaluated with batches of the size B that the net was trained with, it falls with the batch size whatever the net
    does: the mean over n examples carries ceil(n / B) / n, which is 1/B where B divides n. Here so that the mistake can
    be shown; the last batch is smaller where B does not divide n.
    """
    return _input_gradients(model, loss, x, y, batch_size, tf.reduce_mean)


def _input_gradients(
    model: keras.Model, loss: Loss, x: Any, y: Any, batch_size: int, reduce: Callable[[Any], Any]
) -> Norms:
    function = per_example(loss)

    def norms_of(x: Any, y: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = reduce(function(y, output(model, x)))
        return _row_norms(tape.gradient(value, x, unconnected_gradients="zero"))

    return _norms(norms_of, (_floats(model, x), tensors(model, y)), batch_size)


def jacobian_norm(
    model: keras.Model, x: Any, *, of: Literal["softmax", "output"] = "softmax", batch_size: int = BATCH
) -> Norms:
    """Input-output Jacobian: |d f(x_i) / d x_i|, Frobenius norm over outputs and inputs, for each example.

    of="softmax": f is the softmax of the model's output, its logits (Novak et al. 2018, Sensitivity and generalization
    in neural networks); of="output": f is the output itself, such as logits. One backward pass an output.

    Raises UserError for of="softmax" of a model that ends in a softmax already, or has one output.
    """
    require(of in ("softmax", "output"), f"of {of!r} is unknown; use softmax or output")
    last = model.layers[-1] if model.layers else None
    ends = getattr(last, "activation", None) is keras.activations.softmax or isinstance(last, keras.layers.Softmax)
    require(of == "output" or not ends, 'the model ends in a softmax: use of="output", or a softmax is taken of it')

    def norms_of(x: Any) -> Any:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            z = output(model, x)
            require(of == "output" or z.shape[-1] > 1, 'the softmax of one output is constant; use of="output"')
            z = tf.reshape(tf.nn.softmax(z) if of == "softmax" else z, [length(x), -1])
            sums = tf.unstack(tf.reduce_sum(z, 0))  # of an output over the examples, which do not touch each other
        passes = [tape.gradient(s, x, unconnected_gradients="zero") for s in sums]
        return tf.sqrt(tf.add_n([tf.square(_row_norms(g)) for g in passes]))

    return _norms(norms_of, (_floats(model, x),), batch_size)


def _floats(model: keras.Model, x: Any) -> Any:
    found = tensors(model, x)
    require(
        tf.is_tensor(found) and found.dtype.is_floating,
        "a gradient by the inputs needs one array of floats as x, not whole numbers or several inputs",
    )
    return found


def _norms(function: Callable[..., Any], data: tuple[Any, ...], batch_size: int) -> Norms:
    require(batch_size >= 1, f"batch_size {batch_size} must be positive")
    length(data)
    compiled = Compiled(function)
    return Norms(np.concatenate([compiled(*part).numpy() for part in chunks(data, batch_size)]))


def _row_norms(g: Any) -> Any:
    return tf.sqrt(tf.reduce_sum(tf.square(tf.reshape(g, [g.shape[0], -1])), 1))


def norms(
    gradients: Sequence[Any], groups: Sequence[Sequence[int]], axis: Sequence[int] | None = None
) -> tuple[Any, Any]:
    """Euclidean norm over all tensors, and stacked last over each group of them.

    `axis` names the axes summed in a stack of nets; None sums all. Accumulated in the dtype of the gradients.
    """
    squares = [tf.reduce_sum(tf.square(g), axis) for g in gradients]
    layers = [tf.add_n([squares[i] for i in group]) for group in groups]
    return tf.sqrt(tf.add_n(layers)), tf.sqrt(tf.stack(layers, -1))


def layer_groups(model: keras.Model) -> list[list[int]]:
    """Which of `model.trainable_variables` belong to each layer with weights, in order; last those of no layer."""
    at = {id(v): i for i, v in enumerate(model.trainable_variables)}
    groups = [[at.pop(id(v)) for v in layer.trainable_variables if id(v) in at] for layer in model.layers]
    return [group for group in (*groups, list(at.values())) if group]
