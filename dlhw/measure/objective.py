"""The function that training minimizes, as a function of the weights: value, gradient, Hessian times vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled
from dlhw._tf.inputs import chunks, first_line, input_tensors, length, target_tensor, wide_dtype
from dlhw._tf.losses import ExampleLoss, Loss
from dlhw._tf.pieces import examples_per_call
from dlhw._tf.types import Data, Tensor
from dlhw.choices import Layout
from dlhw.errors import UserError, require
from dlhw.measure.chunk_functions import WORK, ChunkFunctions
from dlhw.models.forward import FAILURES, Forward, current_layout, forward_function
from dlhw.models.probe import probe
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
            batch_size: examples of a chunk; by default more in the batch-innermost layout, which takes it in pieces.

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
        self.functions = ChunkFunctions(model, self.loss, self.variables, self.probe, self.n, self.dtype)
        self._functions: dict[tuple[str, str], tuple[Forward, Compiled]] = {}
        self.denominator = self.functions.denominator = self._count()

    def _trainable(self) -> list[tf.Variable]:
        return [v.value for v in self.model.trainable_variables]

    def _count(self) -> float:
        """Return what the sum of all losses is divided by: the number of losses that count, or one for a sum."""
        if self.loss.is_sum:
            return 1.0
        if not self.probe.masked:
            return float(self.n * self.probe.entries)
        (count,) = self._sum("valid")
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
        loss, right = self._sum("value")
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
        rows = [row for (row,) in self._parts("example_losses")]
        return np.concatenate(rows)

    def gradient(self) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Returns:
            f and its gradient, (P,).
        """
        loss, gradient = self._sum("gradient")
        return float(loss / self.denominator), np.asarray(gradient / self.denominator)

    def group_gradients(self, size: int) -> Iterator[Array]:
        """Yield the gradient of every group of neighbouring examples, scaled so that their mean is that of f.

        Args:
            size: examples of a group; it divides the number of all.

        Yields:
            Gradients, (P,).
        """
        require(self.n % size == 0, f"`size` {size} does not divide the {self.n} examples")
        scale = self.n / size / self.denominator
        for group in chunks(self.data, size):
            yield scale * np.sum([gradient for _, gradient in self._parts("gradient", data=group)], axis=0)

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
        (product,) = self._sum("product", tf.constant(vector, self.dtype))
        return np.asarray(product / self.denominator)

    def matrix(self) -> Array:
        """Return the whole Hessian of f as computed, symmetric up to rounding.

        One backward pass per row and chunk, one after the other, so the memory is that of one gradient.

        Returns:
            The Hessian, (P, P).
        """
        (matrix,) = self._sum("matrix")
        return np.asarray(matrix / self.denominator)

    def _sum(self, name: str, *more: Tensor) -> list[Array]:
        """Return sums over the chunks of one of the functions of a chunk, in float64."""
        same = len(self._trainable()) == len(self.variables)
        same = same and all(a is b for a, b in zip(self._trainable(), self.variables, strict=True))
        require(
            same,
            "the trainable weights of the model have changed (a layer was frozen or unfrozen); create a new Objective",
        )
        total: list[Any] = []
        try:
            for part in self._parts(name, *more):
                total = [a + b for a, b in zip(total, part, strict=True)] if total else part
        except (LookupError, TypeError, NotImplementedError, tf.errors.OpError) as error:
            if isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            what = {"product": "second derivatives", "matrix": "second derivatives", "gradient": "a gradient"}
            raise UserError(
                f"model {self.model.name!r} has no {what.get(name, 'loss')} on these data: {first_line(error)}"
            ) from None
        return total

    def _parts(self, name: str, *more: Tensor, data: Tensor = None) -> Iterator[list[Array]]:
        """Yield the results of a function for each chunk of data (None: all), from the same states of the model."""
        data = self.data if data is None else data
        before = [v.numpy() for v in self.probe.moving]
        forward, function = self._compiled(name)
        in_pieces = forward.xla and self.batch_size == BATCH
        size = examples_per_call(length(data), data[0]) if in_pieces else self.batch_size
        for k, (x, y) in enumerate(chunks(data, size)):
            try:
                parts = function(x, y, *more)
            except FAILURES as error:
                if k or isinstance(error, UserError) or not forward.xla:
                    raise
                plain = Forward(self.model)  # such as for a loss that XLA does not have
                self._functions[name, current_layout()] = plain, self.functions.compiled(name, plain)
                yield from self._parts(name, *more, data=data)
                return
            yield [np.asarray(a, np.float64) for a in (parts if isinstance(parts, (tuple, list)) else [parts])]
            for variable, value in zip(self.probe.moving, before, strict=True):
                variable.assign(value)

    def _compiled(self, name: str) -> tuple[Forward, Compiled]:
        """Return the forward function that is fastest for a function of a chunk, and that function, compiled."""
        key = name, current_layout()
        if key not in self._functions:
            in_one_pass = self.probe.at_once or self.probe.moving or name == "matrix"
            layout: Layout = "plain" if in_one_pass else "auto"
            forward = forward_function(self.model, layout, WORK[name], self.n, self.data[0])
            self._functions[key] = forward, self.functions.compiled(name, forward)
        return self._functions[key]
