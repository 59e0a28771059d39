"""Gradients of a loss by the inputs of a model or by what a layer gives, and the Jacobian of its outputs.

All are taken in inference mode and in chunks of `batch_size`, whose size changes nothing but rounding and memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._compiled import Compiled
from dlhw.errors import require
from dlhw.measure.inputs import chunks, input_tensors, length, target_tensor, wide_dtype
from dlhw.measure.losses import ExampleLoss
from dlhw.measure.objective import BATCH, Loss
from dlhw.measure.probe import Probe, forward, probe
from dlhw.measure.state import intercepted, layers_of, leaves_of

Array = NDArray[np.floating]


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


def sensitivity(
    model: keras.Model, loss: Loss, x: Any, y: Any, *, at: str | None = None, batch_size: int = BATCH
) -> Norms:
    """Input-gradient sensitivity: |d loss_i / d x_i|, Frobenius norm, one gradient an example; its mean is the number.

    No gradient of a batch mean, which carries a factor 1/B (:func:`batch_mean_sensitivity`). The examples of a batch do
    not touch each other in inference mode, so the gradient of the *sum* of their losses holds them all, in one pass.

    Args:
        model: any built Keras model of one output.
        loss: see :class:`dlhw.measure.Objective`; loss_i is the loss of example i alone, losses that layers add left
            out.
        x: inputs, (n, ...), floats unless `at` is given.
        y: targets, (n, ...).
        at: name of a layer; then the gradient is taken by what that layer gives in place of x, such as by the vectors
            of an embedding. The layer must be called once and give one array of floats with the examples first.
        batch_size: examples of a chunk; acts on rounding and memory alone.

    Returns:
        Norms in units of the loss over units of x (or of the layer's output).

    Raises:
        UserError: where no gradient reaches x, x are whole numbers or several inputs, or the loss of an example
            depends on the others.
    """
    return _input_gradients(model, loss, x, y, at, batch_size, tf.reduce_sum)


def batch_mean_sensitivity(
    model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int, at: str | None = None
) -> Norms:
    """The popular mistake: |d (mean loss of the batch) / d x_i|, :func:`sensitivity` over the size of its batch.

    Evaluated with batches of the size B that the net was trained with, it falls with the batch size whatever the net
    does: the mean over n examples carries ceil(n / B) / n, which is 1/B where B divides n. Here so that the mistake can
    be shown; the last batch is smaller where B does not divide n. Arguments, result and errors: :func:`sensitivity`.
    """
    return _input_gradients(model, loss, x, y, at, batch_size, tf.reduce_mean)


def _input_gradients(
    model: keras.Model, loss: Loss, x: Any, y: Any, at: str | None, batch_size: int, reduce: Callable[[Any], Any]
) -> Norms:
    function = ExampleLoss(loss, model)
    data = input_tensors(model, x), target_tensor(model, y)
    length(data)
    source = _Source(model, data[0], at)
    behaviour = probe(model, function, *data)
    require(
        behaviour.separable,
        "the loss of an example depends on the other examples of its batch, so it has no sensitivity of its own",
    )

    def norms_of(x: Any, y: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            z, watched = source.forward(tape, x)
            value = reduce(function(y, z))
        return _row_norms(source.reached(tape.gradient(value, watched())))

    return _norms(norms_of, data, batch_size, behaviour)


def jacobian_norm(
    model: keras.Model,
    x: Any,
    *,
    of: Literal["softmax", "output"] = "softmax",
    at: str | None = None,
    batch_size: int = BATCH,
) -> Norms:
    """Input-output Jacobian: |d f(x_i) / d x_i|, Frobenius norm over outputs and inputs, for each example.

    Args:
        model: any built Keras model of one output.
        x: inputs, (n, ...), floats unless `at` is given.
        of: "softmax": f is the softmax of the model's output, its logits (Novak et al. 2018, Sensitivity and
            generalization in neural networks); "output": f is the output itself, such as logits. One backward pass an
            output.
        at: as in :func:`sensitivity`.
        batch_size: examples of a chunk; acts on rounding and memory alone.

    Returns:
        Norms in units of f over units of x.

    Raises:
        UserError: for of="softmax" of a model whose outputs are probabilities already, or that has one output; where
            no gradient reaches x, x are whole numbers or several inputs, or an output depends on other examples.
    """
    require(of in ("softmax", "output"), f"of {of!r} is unknown; use softmax or output")
    data = (input_tensors(model, x),)
    length(data)
    source = _Source(model, data[0], at)
    behaviour = probe(model, None, data[0])
    require(
        behaviour.separable, "an output depends on the other examples of its batch, so it has no Jacobian of its own"
    )
    require(
        of == "output" or not behaviour.probabilities,
        'the outputs of the model are probabilities already: use of="output", or a softmax is taken of them',
    )
    require(of == "output" or behaviour.classes > 1, 'the softmax of one output is constant; use of="output"')

    def norms_of(x: Any) -> Any:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            z, watched = source.forward(tape, x)
            z = tf.reshape(tf.nn.softmax(z) if of == "softmax" else z, [length(x), -1])
            sums = tf.unstack(tf.reduce_sum(z, 0))  # of an output over the examples, which do not touch each other
        passes = [tape.gradient(s, watched()) for s in sums]
        source.reached(next((g for g in passes if g is not None), None))
        return tf.sqrt(tf.add_n([tf.square(_row_norms(g)) for g in passes if g is not None]))

    return _norms(norms_of, data, batch_size, behaviour)


class _Source:
    """What a gradient is taken by: the inputs of the model, or what one of its layers gives."""

    def __init__(self, model: keras.Model, x: Any, at: str | None) -> None:
        self.model, self.at, self.layer = model, at, None
        if at is None:
            require(
                not isinstance(x, (tuple, list, dict)) and x.dtype.is_floating,
                "a gradient by the inputs needs one array of floats as x, not whole numbers or several inputs; name "
                f'the layer by whose output it is taken, such as at="{_suggestion(model)}"',
            )
            return
        names = [layer.name for layer in layers_of(model)]
        require(
            names.count(at) == 1, f"at={at!r}: the model has {names.count(at)} layers of that name; use one of {names}"
        )
        self.layer = next(layer for layer in layers_of(model) if layer.name == at)

    def forward(self, tape: Any, x: Any) -> tuple[Any, Callable[[], Any]]:
        """The output of the model, and a function that gives the tensor that `tape` watches."""
        if self.layer is None:
            x = tf.identity(x)
            tape.watch(x)
            return forward(self.model, x), lambda: x
        outputs: list[Any] = []

        def wrap(_: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            def watched(*args: Any, **kwargs: Any) -> Any:
                given = call(*args, **kwargs)
                require(
                    tf.is_tensor(given) and given.dtype.is_floating and given.shape[0] == length(x),
                    f"at={self.at!r}: the layer gives no single array of floats with the examples first",
                )
                value = tf.identity(given)
                if (mask := getattr(given, "_keras_mask", None)) is not None:
                    value._keras_mask = mask
                tape.watch(value)
                outputs.append(value)
                return value

            return watched

        with intercepted([self.layer], wrap):
            z = forward(self.model, x)
        require(len(outputs) == 1, f"at={self.at!r}: the layer is called {len(outputs)} times; name one called once")
        return z, lambda: outputs[0]

    def reached(self, gradient: Any) -> Any:
        """`gradient`, unless there is none."""
        where = "x" if self.at is None else f"the output of layer {self.at!r}"
        require(
            gradient is not None,
            f"no gradient reaches {where}: the output does not depend on it, or through whole numbers or steps alone; "
            f'name a later layer, such as at="{_suggestion(self.model)}"',
        )
        return tf.convert_to_tensor(gradient)


def _suggestion(model: keras.Model) -> str:
    """An embedding of the model, or its first layer with weights."""
    leaves = leaves_of(model)
    embeddings = [layer.name for layer in leaves if isinstance(layer, keras.layers.Embedding)]
    weighted = [layer.name for layer in leaves if layer.weights]
    return (embeddings or weighted or ["layer name"])[0]


def _norms(function: Callable[..., Any], data: tuple[Any, ...], batch_size: int, behaviour: Probe) -> Norms:
    require(batch_size >= 1, f"batch_size {batch_size} must be positive")
    compiled, rows = Compiled(function), []
    before = [v.numpy() for v in behaviour.moving]
    for part in chunks(data, batch_size):
        rows.append(compiled(*part).numpy())
        for variable, value in zip(behaviour.moving, before, strict=True):
            variable.assign(value)
    return Norms(np.concatenate(rows))


def _row_norms(g: Any) -> Any:
    wide = tf.cast(g, wide_dtype(g.dtype))
    return tf.sqrt(tf.reduce_sum(tf.square(tf.reshape(wide, [wide.shape[0], -1])), 1))
