"""The function that training minimizes, as a function of the weights: value, gradient, Hessian times vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled
from dlhw._tf.inputs import chunks, first_line, input_tensors, length, target_tensor, wide_dtype
from dlhw._tf.losses import ExampleLoss, Loss, added_losses, correct_predictions
from dlhw._tf.types import Data, Tensor
from dlhw.errors import UserError, require
from dlhw.measure.second_order import exact_moments
from dlhw.models.probe import forward, probe
from dlhw.models.weights import assign, flat

Array = NDArray[np.floating]

BATCH = 500  # examples of a chunk: measured best between 100 and 1000, and small in memory


@dataclass(frozen=True)
class Value:
    """Loss and accuracy over a data set."""

    loss: float  # over all examples, plus what layers add (regularizers)
    accuracy: float  # fraction in [0, 1]; nan where targets are not class labels


class Objective:
    """f(theta): the loss that training minimizes, over all of (x, y), as `keras.Model.evaluate` reports it.

    It is the mean over the examples of loss(y, model(x)), modified by masks, ignored classes and the reduction of a
    loss object, plus the losses that layers add. The model is evaluated in inference mode, in chunks of `batch_size`,
    whose size affects only rounding and memory; if the loss of an example depends on the others (contrastive losses,
    layers that combine the examples of a batch), all examples are evaluated at once. A pass that changes states of the
    model (seeds of random layers, stateful layers) starts from the same states every time. All calls use the weights
    that the model holds at that time. Vectors are those of :func:`dlhw.measure.flat`, (P,), computed in the
    precision of the model and returned in float64.
    """

    def __init__(self, model: keras.Model, loss: Loss, x: Data, y: Data, *, batch_size: int = BATCH) -> None:
        """Prepare the measurement and try it on a few examples.

        Args:
            model: any built Keras model of one output.
            loss: a Keras name, a loss object, a function (y_true, y_pred) -> (n,) or (n, ...), or None: the loss that
                the model was compiled with.
            x: inputs, (n, ...), or a structure of several.
            y: targets, (n, ...).
            batch_size: examples of a chunk.

        Raises:
            UserError: for data, losses and models of which f makes no sense: see :func:`dlhw.models.probe.probe`.
        """
        require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
        self.model, self.given, self.loss = model, loss, ExampleLoss(loss, model)
        self.data = input_tensors(model, x), target_tensor(model, y)
        self.n = length(self.data)
        self.probe = probe(model, self.loss, *self.data)
        self.batch_size = self.n if self.probe.at_once else batch_size
        self.variables = self._trainable()
        require(len(self.variables) > 0, f"model {model.name!r} has no trainable weights")
        self.shapes = [v.shape.as_list() for v in self.variables]
        self.sizes = [int(np.prod(s)) for s in self.shapes]
        self.size = sum(self.sizes)
        self.dtype = max((wide_dtype(v.dtype) for v in self.variables), key=lambda d: d.size)
        self._functions: dict[str, Compiled] = {}
        self.denominator = self._count()

    def _trainable(self) -> list[Tensor]:
        return [v.value for v in self.model.trainable_variables]

    def _count(self) -> float:
        """Return what the sum of all losses is divided by: the number of losses that count, or one for a sum."""
        if self.loss.is_sum:
            return 1.0
        if not self.probe.masked:
            return float(self.n * self.probe.entries)
        (count,) = self._sum(self._valid)
        require(bool(count > 0), "the mask excludes every example")
        return float(count)

    @property
    def theta(self) -> Array:
        """The weights of the model, (P,)."""
        return flat(self.model).astype(np.float64)

    def move(self, theta: Array) -> None:
        """Set the trainable weights of the model.

        Args:
            theta: weights, (P,).
        """
        assign(self.model, theta)

    def value(self) -> Value:
        """Return loss and accuracy at the current weights of the model.

        Returns:
            Loss, and accuracy as a fraction in [0, 1]; nan if targets are not class labels.
        """
        loss, right = self._sum(self._value)
        return Value(float(loss / self.denominator), float(right / self.n))

    def example_losses(self) -> Array:
        """Return the loss of each example, without what layers add.

        Its standard deviation over sqrt(n) is the standard error of the mean loss as an estimate for the population
        that the examples are drawn from.

        Returns:
            The losses, (n,).

        Raises:
            UserError: if the loss of an example depends on the other examples.
        """
        require(self.probe.separable, "the loss of an example depends on the other examples of its batch")
        before, rows = [v.numpy() for v in self.probe.moving], []
        for x, y in chunks(self.data, self.batch_size):
            rows.append(np.asarray(self._compiled(self._each)(x, y), np.float64))
            for variable, value in zip(self.probe.moving, before, strict=True):
                variable.assign(value)
        return np.concatenate(rows)

    def gradient(self) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Returns:
            f and its gradient, (P,).
        """
        loss, gradient = self._sum(self._gradient)
        return float(loss / self.denominator), np.asarray(gradient / self.denominator)

    def product(self, vector: Array) -> Array:
        """Multiply the Hessian of f with a vector, by differentiating gradient times vector (Pearlmutter 1994).

        Reverse over reverse: on the CPU this is faster than forward over reverse (2.2 gradients against 2.7 for a small
        convolutional net). A ReLU net is piecewise smooth: this is the Hessian of the piece that theta lies in.

        Args:
            vector: (P,).

        Returns:
            Hessian times vector, (P,).

        Raises:
            UserError: for a vector of another size, and a layer without second derivatives.
        """
        require(
            np.shape(vector) == (self.size,), f"vector of shape {np.shape(vector)} for {self.size} trainable weights"
        )
        (product,) = self._sum(self._product, tf.constant(vector, self.dtype))
        return np.asarray(product / self.denominator)

    def matrix(self) -> Array:
        """Return the whole Hessian of f as computed, symmetric up to rounding.

        One backward pass per row and chunk, one after the other, so the memory is that of one gradient.

        Returns:
            The Hessian, (P, P).
        """
        (matrix,) = self._sum(self._matrix)
        return np.asarray(matrix / self.denominator)

    def _sum(self, function: Callable[..., Any], *more: Any) -> list[Tensor]:
        """Return sums of `function` over the chunks, in float64."""
        same = len(self._trainable()) == len(self.variables)
        same = same and all(a is b for a, b in zip(self._trainable(), self.variables, strict=True))
        require(
            same,
            "the trainable weights of the model have changed (a layer was frozen or unfrozen); create a new Objective",
        )
        total: list[Any] = []
        before = [v.numpy() for v in self.probe.moving]
        try:
            for x, y in chunks(self.data, self.batch_size):
                part = [np.asarray(a, np.float64) for a in self._compiled(function)(x, y, *more)]
                total = [a + b for a, b in zip(total, part, strict=True)] if total else part
                for variable, value in zip(self.probe.moving, before, strict=True):
                    variable.assign(value)
        except (LookupError, TypeError, NotImplementedError, tf.errors.OpError) as error:
            if isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            what = {"_product": "second derivatives", "_matrix": "second derivatives", "_gradient": "a gradient"}
            raise UserError(
                f"model {self.model.name!r} has no {what.get(function.__name__, 'loss')} on these data: "
                f"{first_line(error)}"
            ) from None
        return total

    def _compiled(self, function: Callable[..., Any]) -> Compiled:
        if function.__name__ not in self._functions:
            self._functions[function.__name__] = Compiled(function)
        return self._functions[function.__name__]

    def _losses(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum over the chunk of all losses, in the precision of the weights, and the outputs."""
        z, wide = forward(self.model, x), self.dtype
        n = length(x)
        numerator, _ = self.loss.sums(y, z)
        # What layers add is weighted, so that the sum over the chunks, divided by the denominator, is right.
        weight = {"mean": n * self.denominator / self.n, "sum": self.denominator, "whole": self.denominator}
        added = [a * weight[kind] for a, kind in zip(added_losses(self.model, wide), self.probe.added, strict=True)]
        return tf.add_n([tf.cast(numerator, wide), *added]), z

    def _each(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss(y, forward(self.model, x))

    def _valid(self, x: Tensor, y: Tensor) -> tuple[Tensor]:
        return (self.loss.sums(y, forward(self.model, x))[1],)

    def _value(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss, z = self._losses(x, y)
        right = correct_predictions(y, z)
        return loss, tf.constant(np.nan) if right is None else tf.reduce_sum(tf.cast(right, tf.float32))

    def _gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            loss, _ = self._losses(x, y)
        return loss, self._flat(tape.gradient(loss, self.variables, unconnected_gradients="zero"))

    def _product(self, x: Tensor, y: Tensor, vector: Tensor) -> tuple[Tensor]:
        with exact_moments(), tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self.variables)
            _, gradient = self._gradient(x, y)
            along = tf.reduce_sum(gradient * tf.cast(vector, gradient.dtype))
        return (self._flat(outer.gradient(along, self.variables, unconnected_gradients="zero")),)

    def _matrix(self, x: Tensor, y: Tensor) -> tuple[Tensor]:
        with exact_moments(), tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self.variables)
            _, gradient = self._gradient(x, y)
        rows = outer.jacobian(gradient, self.variables, unconnected_gradients="zero", experimental_use_pfor=False)
        return (tf.concat([tf.reshape(r, [self.size, -1]) for r in rows], 1),)

    def _flat(self, parts: Tensor) -> Tensor:
        return tf.concat([tf.cast(tf.reshape(tf.convert_to_tensor(p), [-1]), self.dtype) for p in parts], 0)
