"""Gradients of a loss with respect to inputs or to the output of a layer, and the Jacobian of the outputs.

All are taken in inference mode and in chunks of `batch_size`, whose size changes only rounding and memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.compiled import Compiled, shared
from dlhw._tf.inputs import chunks, input_tensors, length, target_tensor, wide_dtype
from dlhw._tf.losses import ExampleLoss, Loss
from dlhw._tf.pieces import rows_over_pieces
from dlhw._tf.types import Data, Tensor
from dlhw.errors import UserError, check_numbers, require
from dlhw.measure.gradient_source import GradientSource
from dlhw.measure.norms import Norms
from dlhw.measure.objective import BATCH
from dlhw.models.forward import FAILURES, Forward
from dlhw.models.probe import Probe, probe


@check_numbers
def sensitivity(
    model: keras.Model, loss: Loss, x: Data, y: Data, *, at: str | None = None, batch_size: int = BATCH
) -> Norms:
    """Return the input-gradient sensitivity: the mean of |d loss_i / d x_i|, Frobenius norm, one gradient per example.

    It is not the gradient of a batch mean, which carries a factor 1/B (:func:`batch_mean_sensitivity`). In inference
    mode the examples of a batch do not influence each other, so that the gradient of the *sum* of their losses holds
    all of them, in one pass.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`; loss_i is the loss of example i alone, without losses that layers
            add.
        x: inputs, (n, ...), floats unless `at` is given.
        y: targets, (n, ...).
        at: name of a layer; then the gradient is taken with respect to the output of that layer in place of x, such as
            the vectors of an embedding. The layer must be called once and return one array of floats with the examples
            first.
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        Norms in units of the loss per unit of x (or of the output of the layer).

    Raises:
        UserError: where no gradient reaches x, x is integer or several inputs, or the loss of an example depends on the
            others.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> slope = measure.sensitivity(net, "mse", x, y)
        >>> slope.each.shape, slope.standard_error < slope.mean
        ((20,), True)
    """
    return _input_gradients(model, loss, x, y, at, batch_size)


@check_numbers
def batch_mean_sensitivity(
    model: keras.Model, loss: Loss, x: Data, y: Data, *, batch_size: int, at: str | None = None
) -> Norms:
    """Return |d (mean loss of the batch) / d x_i|, often misreported as the sensitivity.

    Evaluated with batches of the size B that the net was trained with, it falls with the batch size for every net: the
    mean over n examples contains a factor ceil(n / B) / n, which is 1/B where B divides n. It is provided so that the
    mistake can be shown; the last batch is smaller where B does not divide n.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`.
        x: inputs, (n, ...), floats unless `at` is given.
        y: targets, (n, ...).
        batch_size: B; here it changes the numbers.
        at: as in :func:`sensitivity`.

    Returns:
        Norms in units of the loss per unit of x.

    Raises:
        UserError: as in :func:`sensitivity`.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> right = measure.sensitivity(net, "mse", x, y).mean
        >>> wrong = measure.batch_mean_sensitivity(net, "mse", x, y, batch_size=10).mean
        >>> round(right / wrong, 6)
        10.0
    """
    return _input_gradients(model, loss, x, y, at, batch_size).of_batch_means(batch_size)


def _input_gradients(model: keras.Model, loss: Loss, x: Tensor, y: Tensor, at: str | None, batch_size: int) -> Norms:
    function = ExampleLoss(loss, model)
    data = input_tensors(model, x), target_tensor(model, y)
    length(data)
    source = GradientSource(model, data[0], at, "sensitivity")
    behaviour = probe(model, function, *data)
    require(
        behaviour.separable,
        "the loss of an example depends on the other examples of its batch, so it has no sensitivity of its own",
    )

    def norms_of(x: Tensor, y: Tensor) -> Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            z, watched = source.forward(tape, x)
            value = tf.reduce_sum(function(y, z))
        return _row_norms(source.reached(tape.gradient(value, watched())))

    return _norms(norms_of, ("sensitivity", *function.key), source, data, batch_size, behaviour)


@check_numbers
def jacobian_norm(
    model: keras.Model,
    x: Data,
    *,
    of: Literal["softmax", "output"] = "softmax",
    at: str | None = None,
    batch_size: int = BATCH,
) -> Norms:
    """Return the Frobenius norm of the input-output Jacobian, |d f(x_i) / d x_i|, for each example.

    Args:
        model: any built Keras model of one output.
        x: inputs, (n, ...), floats unless `at` is given.
        of: "softmax": f is the softmax of the output of the model, its logits (Novak et al. 2018, Sensitivity and
            generalization in neural networks); "output": f is the output itself, such as logits. It takes one backward
            pass per output.
        at: as in :func:`sensitivity`.
        batch_size: examples per chunk; it changes rounding and memory only.

    Returns:
        Norms in units of f per unit of x.

    Raises:
        UserError: for of="softmax" if the model already outputs probabilities or has one output; where no
            gradient reaches x, x is integer or several inputs, or an output depends on other examples.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> y = np.sin(3 * x)
        >>> net = models.mlp((4,), activation="tanh", seed=0, dtype="float64")
        >>> measure.jacobian_norm(net, x, of="output").each.shape
        (20,)
    """
    require(of in ("softmax", "output"), f"`of` {of!r} is unknown; use softmax or output")
    data = (input_tensors(model, x),)
    length(data)
    source = GradientSource(model, data[0], at, "jacobian")
    behaviour = probe(model, None, data[0])
    require(
        behaviour.separable, "an output depends on the other examples of its batch, so it has no Jacobian of its own"
    )
    require(
        of == "output" or not behaviour.probabilities,
        'the model already outputs probabilities, and this would be the softmax of a softmax; use of="output"',
    )
    require(of == "output" or behaviour.classes > 1, 'the softmax of one output is constant; use of="output"')

    def norms_of(x: Tensor) -> Tensor:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            z, watched = source.forward(tape, x)
            z = tf.reshape(tf.nn.softmax(z) if of == "softmax" else z, [length(x), -1])
            total = tf.reduce_sum(z, 0)  # of an output over the examples, which do not touch each other
        source.reached(tape.gradient(total, watched()))

        def squares(k: Tensor) -> Tensor:
            gradient = tape.gradient(total, watched(), output_gradients=tf.one_hot(k, z.shape[1], dtype=z.dtype))
            return tf.square(_row_norms(tf.reshape(gradient, watched().shape)))

        if not source.outputs.xla:
            return tf.sqrt(tf.add_n([squares(k) for k in range(z.shape[1])]))

        def add(k: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            return k + 1, total + squares(k)

        # XLA compiles one backward pass, not one for each output.
        first = tf.zeros([length(x)], wide_dtype(watched().dtype))
        return tf.sqrt(tf.while_loop(lambda k, _: k < z.shape[1], add, (tf.constant(0), first))[1])

    return _norms(norms_of, ("jacobian", of), source, data, batch_size, behaviour)


def _norms(
    function: Callable[..., Any],
    name: tuple[object, ...],
    source: GradientSource,
    data: tuple[Any, ...],
    batch_size: int,
    behaviour: Probe,
) -> Norms:
    """Return the norms that `function` gives for chunks; name: what it computes, beside model and source."""
    require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
    xla = source.outputs.xla

    def chunk(*part: Tensor) -> Tensor:
        return rows_over_pieces(function, part, wide_dtype(part[0].dtype)) if xla else function(*part)

    key = (*name, id(source.model), source.at, source.outputs.layout)
    compiled, rows = shared(key, lambda: Compiled(chunk, xla=xla)), []
    before = [v.numpy() for v in behaviour.moving]
    for part in chunks(data, batch_size):
        try:
            rows.append(compiled(*part).numpy())
        except FAILURES as error:
            if rows or isinstance(error, UserError) or not xla:
                raise
            source.outputs = Forward(source.model)  # such as for a loss that XLA does not have
            return _norms(function, name, source, data, batch_size, behaviour)
        for variable, value in zip(behaviour.moving, before, strict=True):
            variable.assign(value)
    return Norms(np.concatenate(rows))


def _row_norms(g: Tensor) -> Tensor:
    wide = tf.cast(g, wide_dtype(g.dtype))
    return tf.sqrt(tf.reduce_sum(tf.square(tf.reshape(wide, [wide.shape[0], -1])), 1))
