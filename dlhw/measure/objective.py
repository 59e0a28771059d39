"""The function that training minimizes, as a function of the weights: value, gradient, Hessian times vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.inputs import chunks
from dlhw._tf.losses import Loss
from dlhw._tf.types import Data
from dlhw.errors import check_numbers, require
from dlhw.measure.chunk_functions import ROWS
from dlhw.measure.chunk_runner import BATCH as BATCH
from dlhw.measure.chunk_runner import ChunkRunner
from dlhw.models.selection import Layers

Array = NDArray[np.floating]
Curvature: TypeAlias = Literal["hessian", "ggn", "fisher", "empirical"]


@dataclass(frozen=True)
class Value:
    """Loss and accuracy over a data set."""

    loss: float  # over all examples, plus what layers add (regularizers)
    accuracy: float  # fraction in [0, 1]; nan where targets are not class labels


class Objective(ChunkRunner):
    """f(theta): the loss that training minimizes, over all of (x, y), as `keras.Model.evaluate` reports it.

    It is the mean over the examples of loss(y, model(x)), modified by masks, ignored classes and the reduction of a
    loss object, plus the losses that layers add. The model is evaluated in inference mode, in chunks of `batch_size`,
    whose size affects only rounding and memory; if the loss of an example depends on the others (contrastive losses,
    layers that combine the examples of a batch), all examples are evaluated at once. A pass that changes states of the
    model (seeds of random layers, stateful layers) starts from the same states every time. All calls use the weights
    that the model holds at that time. Vectors are those of :func:`dlhw.measure.flat`, (P,), computed in the
    precision of the model and returned in float64.
    """

    @check_numbers
    def __init__(
        self, model: keras.Model, loss: Loss, x: Data, y: Data, *, batch_size: int = BATCH, layers: Layers = None
    ) -> None:
        """Prepare the measurement and try it on a few examples.

        Args:
            model: any built Keras model of one output.
            loss: a Keras name, a loss object, a function (y_true, y_pred) -> (n,) or (n, ...), or None: the loss that
                the model was compiled with.
            x: inputs, (n, ...), or a structure of several.
            y: targets, (n, ...).
            batch_size: examples of a chunk; by default fewer where activations are large, and more in the
                batch-innermost layout, which takes it in pieces.
            layers: names of layers, one or several: a function of their weights alone, (P,) counting only these, in the
                order of the model; None: of all trainable weights.

        Raises:
            UserError: for data, losses and models of which f makes no sense: see :func:`dlhw.models.probe.probe`.
        """
        super().__init__(model, loss, x, y, batch_size, layers)

    @property
    def theta(self) -> Array:
        """The weights that f is a function of, (P,)."""
        return np.concatenate([np.asarray(v, np.float64).ravel() for v in self.weights])

    def move(self, theta: Array) -> None:
        """Set these weights of the model.

        Args:
            theta: weights, (P,).
        """
        require(theta.shape == (self.size,), f"vector of shape {theta.shape} for {self.size} trainable weights")
        for variable, piece in zip(self.weights, np.split(theta, np.cumsum(self.sizes)[:-1]), strict=True):
            variable.assign(piece.reshape(variable.shape))

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

    @check_numbers
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

    def product(self, vector: Array, kind: Curvature = "hessian") -> Array:
        """Multiply the Hessian of f, or a relative of it, with a vector.

        Hessian: by differentiating gradient times vector (Pearlmutter 1994), reverse over reverse: on the CPU this is
        faster than forward over reverse (2.2 gradients against 2.7 for a small convolutional net). A ReLU net is
        piecewise smooth: this is the Hessian of the piece that theta lies in. The others: see
        :func:`dlhw.measure.ggn` and :func:`dlhw.measure.fisher`.

        Args:
            vector: (P,).
            kind: "hessian", "ggn", "fisher" or "empirical" (Fisher).

        Returns:
            Matrix times vector, (P,).

        Raises:
            UserError: for a vector of another size, and a layer without second derivatives.
        """
        require(
            np.shape(vector) == (self.size,), f"vector of shape {np.shape(vector)} for {self.size} trainable weights"
        )
        name = "product" if kind == "hessian" else kind
        (product,) = self._sum(name, tf.constant(vector, self.dtype))
        return np.asarray(product / (self.n if kind == "empirical" else self.denominator))

    @check_numbers
    def rows(self, first: int) -> Array:
        """Return some rows of the Hessian of f as computed, symmetric up to rounding.

        One backward pass per row and chunk, one after the other, so the memory is that of one gradient.

        Args:
            first: number of the first row.

        Returns:
            128 rows, or all where there are fewer, (min(128, P), P).
        """
        (rows,) = self._sum("rows", tf.constant(first, tf.int32))
        return np.asarray(rows / self.denominator)

    def matrix(self, is_spent: Callable[[int], bool] | None = None) -> Array:
        """Return the whole Hessian of f as computed, symmetric up to rounding.

        Args:
            is_spent: called with the number of rows done after every 128; if it returns True, the others are nan.

        Returns:
            The Hessian, (P, P).
        """
        whole = np.full((self.size, self.size), np.nan)
        done = 0
        while done < self.size:
            first = max(min(done, self.size - ROWS), 0)  # every call has as many rows, so that one program serves all
            rows = self.rows(first)
            whole[first : first + len(rows)] = rows
            done = first + len(rows)
            if is_spent is not None and is_spent(done):
                break
        return whole
