"""The function that training minimises, seen as a function of the weights: value, gradient, Hessian times vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._compiled import Compiled
from dlhw.errors import UserError, require
from dlhw.measure.weights import assign, flat

Array = NDArray[np.floating]
Loss: TypeAlias = str | keras.losses.Loss | Callable[[Any, Any], Any]
"""A Keras name, a Keras loss object, or a function (y_true, y_pred) -> losses of the examples, (n,) or (n, ...)."""

BATCH = 500  # examples of a chunk: measured best between 100 and 1000, and small in memory


def per_example(loss: Loss) -> Callable[[Any, Any], Any]:
    """Any Keras loss as a function (y_true, y_pred) -> (n,), one loss an example.

    A loss object reduces to one number when it is called; here its reduction is left out. Targets (n,) meet outputs
    (n, 1) as they do in `fit`. Trailing axes of the losses are averaged.

    Raises UserError for a name that Keras does not know, and for a function that takes its own mean.
    """
    try:
        found = keras.losses.get(loss)
    except ValueError:
        raise UserError(f"loss {loss!r} is unknown; use a name of keras.losses, or a function") from None
    require(callable(found), f"loss {loss!r} is no loss; use a name of keras.losses, a loss object or a function")
    function = found.call if isinstance(found, keras.losses.Loss) else found

    def call(y_true: Any, y_pred: Any) -> Any:
        losses = tf.convert_to_tensor(function(_like(y_true, y_pred), y_pred))
        shape, wanted = losses.shape.as_list(), y_pred.shape.as_list()
        require(
            len(shape) > 0 and shape == wanted[: len(shape)],
            f"the loss gives an array of shape {tuple(shape)} for outputs of shape {tuple(wanted)}; it must give one "
            "loss an example, (n,) or (n, ...): leave out its own mean",
        )
        return tf.reduce_mean(tf.reshape(losses, [shape[0], -1]), 1)

    return call


def _like(y: Any, z: Any) -> Any:
    """Targets with the rank of outputs of one number: (n,) for (n, 1) would broadcast to (n, n) in silence."""
    if not hasattr(y, "shape"):
        return y
    if len(y.shape) == len(z.shape) - 1 and z.shape[-1] == 1:
        return tf.expand_dims(y, -1)
    if len(y.shape) == len(z.shape) + 1 and y.shape[-1] == 1:
        return tf.squeeze(y, -1)
    return y


def hits(y: Any, z: Any) -> Any | None:
    """Whether the largest output is that of the class, (n,); None where y are no class labels.

    Class labels are whole numbers, (n,) or (n, 1), for outputs (n, C) of two classes or more.
    """
    if not tf.is_tensor(y) or not y.dtype.is_integer or len(z.shape) != 2 or z.shape[-1] < 2:
        return None
    if y.shape.as_list() not in ([z.shape[0]], [z.shape[0], 1]):
        return None
    return tf.equal(tf.argmax(z, -1, y.dtype), tf.reshape(y, [z.shape[0]]))


@contextmanager
def kept(model: keras.Model) -> Iterator[None]:
    """Whatever happens inside, the weights of `model` (moving statistics included) are afterwards what they were."""
    before = [v.numpy() for v in model.weights]
    try:
        yield
    finally:
        for variable, value in zip(model.weights, before, strict=True):
            variable.assign(value)


def tensors(model: keras.Model, data: Any) -> Any:
    """Arrays (one, or a tuple, list or dict of them) as tensors: integers as int32, others as `model` computes.

    A list is several inputs if the model has several, else it is one array.
    """

    def one(a: Any) -> Any:
        kind = tf.as_dtype(a.dtype) if hasattr(a, "dtype") else tf.convert_to_tensor(a).dtype
        return tf.cast(a, tf.int32 if kind.is_integer else model.compute_dtype)

    several = isinstance(data, (tuple, dict)) or (isinstance(data, list) and len(getattr(model, "inputs", ())) > 1)
    return keras.tree.map_structure(one, data) if several else one(data)


def output(model: keras.Model, x: Any) -> Any:
    """The output of the model in inference mode, (n, ...); UserError if it has several."""
    z = model(x, training=False)
    require(
        tf.is_tensor(z), "the model has several outputs; give a model of one, such as keras.Model(inputs, outputs[0])"
    )
    return z


def length(x: Any) -> int:
    """Number of examples; UserError unless every input has as many, and at least one."""
    sizes = {int(a.shape[0]) for a in tf.nest.flatten(x)}
    require(
        len(sizes) == 1 and min(sizes) > 0, f"inputs have {sorted(sizes)} examples; give equally many, at least one"
    )
    return sizes.pop()


def chunks(data: Any, size: int) -> Iterator[Any]:
    """`data`, a structure of tensors, in runs of `size` examples; the last may be smaller."""
    for start in range(0, length(data), size):
        yield tf.nest.map_structure(lambda a: a[start : start + size], data)  # noqa: B023


@dataclass(frozen=True)
class Value:
    """Loss and accuracy over a data set."""

    loss: float  # mean over the examples, plus what layers add (regularizers)
    accuracy: float  # share in [0, 1]; nan where y are no class labels


class Objective:
    """f(theta) = mean over the examples of loss(y, model(x)), plus the losses that layers add: what training minimises.

    Taken in inference mode, in chunks of `batch_size`, whose size changes nothing but rounding and memory. All calls
    use the weights that the model holds at that time; vectors are those of :func:`dlhw.measure.flat`, (P,), computed in
    the precision of the model and handed over in float64.
    """

    def __init__(self, model: keras.Model, loss: Loss, x: Any, y: Any, *, batch_size: int = BATCH) -> None:
        require(batch_size >= 1, f"batch_size {batch_size} must be positive")
        self.model, self.given, self.loss, self.batch_size = model, loss, per_example(loss), batch_size
        self.data = tensors(model, x), tensors(model, y)
        self.n = length(self.data)
        self.variables = [v.value for v in model.trainable_variables]
        require(len(self.variables) > 0, "the model has no trainable weights")
        self.shapes = [v.shape.as_list() for v in self.variables]
        self.sizes = [int(np.prod(s)) for s in self.shapes]
        self.size = sum(self.sizes)
        self._functions: dict[str, Compiled] = {}

    @property
    def theta(self) -> Array:
        """The weights of the model, (P,)."""
        return flat(self.model).astype(np.float64)

    def move(self, theta: Array) -> None:
        """Put `theta` (P,) into the model."""
        assign(self.model, theta)

    def value(self) -> Value:
        """Mean loss and accuracy at the model's weights."""
        loss, right = self._sum(self._value)
        return Value(float(loss), float(right))

    def gradient(self) -> tuple[float, Array]:
        """f and its gradient, (P,)."""
        loss, gradient = self._sum(self._gradient)
        return float(loss), gradient

    def product(self, vector: Array) -> Array:
        """Hessian of f times `vector` (P,), by differentiating the product of gradient and vector (Pearlmutter 1994).

        Reverse over reverse: on the CPU faster than forward over reverse (2.2 gradients against 2.7 for a small
        convolutional net). A ReLU net is piecewise smooth: this is the Hessian of the piece that theta lies in.
        """
        require(
            np.shape(vector) == (self.size,), f"vector of shape {np.shape(vector)} for {self.size} trainable weights"
        )
        (product,) = self._sum(self._product, tf.constant(vector, self.variables[0].dtype))
        return product

    def _sum(self, function: Callable[..., Any], *more: Any) -> list[Any]:
        """Sums of `function` over the chunks, in float64, divided by the number of examples."""
        total: list[Any] = []
        for x, y in chunks(self.data, self.batch_size):
            found = [np.asarray(a, np.float64) for a in self._compiled(function)(x, y, *more)]
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return [a / self.n for a in total]

    def _compiled(self, function: Callable[..., Any]) -> Compiled:
        if function.__name__ not in self._functions:
            self._functions[function.__name__] = Compiled(function)
        return self._functions[function.__name__]

    def _losses(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Sum over the chunk of all losses, in the precision of the weights, and the outputs."""
        z, wide = output(self.model, x), self.variables[0].dtype
        n = length(x)
        added = [tf.cast(a, wide) * n for a in self.model.losses]  # weighted, so that the mean over chunks is right
        return tf.add_n([tf.reduce_sum(tf.cast(self.loss(y, z), wide)), *added]), z

    def _value(self, x: Any, y: Any) -> tuple[Any, Any]:
        loss, z = self._losses(x, y)
        right = hits(y, z)
        return loss, tf.constant(np.nan) if right is None else tf.reduce_sum(tf.cast(right, tf.float32))

    def _gradient(self, x: Any, y: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            loss, _ = self._losses(x, y)
        return loss, self._flat(tape.gradient(loss, self.variables, unconnected_gradients="zero"))

    def _product(self, x: Any, y: Any, vector: Any) -> tuple[Any]:
        pieces = [tf.reshape(p, s) for p, s in zip(tf.split(vector, self.sizes), self.shapes, strict=True)]
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self.variables)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self.variables)
                loss, _ = self._losses(x, y)
            gradients = tape.gradient(loss, self.variables, unconnected_gradients="zero")
            along = tf.add_n([tf.reduce_sum(g * tf.cast(p, g.dtype)) for g, p in zip(gradients, pieces, strict=True)])
        return (self._flat(outer.gradient(along, self.variables, unconnected_gradients="zero")),)

    def _flat(self, parts: Any) -> Any:
        return tf.concat([tf.reshape(tf.convert_to_tensor(p), [-1]) for p in parts], 0)
