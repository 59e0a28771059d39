"""Loss, gradient and whole Hessian of many small dense nets of one shape at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.types import Tensor
from dlhw.errors import check_numbers, require
from dlhw.measure.eigenvalue_signs import LARGEST
from dlhw.models.dense_chain import shape_of
from dlhw.models.weights import flat

Array = NDArray[np.floating]


class StackedObjective:
    """f(theta) = mean over the batch of the squared error, for nets of the same shape, each a row of theta (S, P).

    Rows are weights in the order of :func:`dlhw.measure.flat`, any number of them at a time; the result of a row does
    not depend on the others. Everything is computed in the precision of the models and compiled by XLA once per block
    size. Several threads may call it.
    """

    @check_numbers
    def __init__(
        self, models: Sequence[keras.Model], x: Tensor, y: Tensor, *, block: int = 10, whole: bool = True
    ) -> None:
        """Prepare the computation.

        Args:
            models: chains of Dense layers of one shape.
            x: inputs, (n, inputs).
            y: targets, (n, outputs).
            block: number of rows computed at once.
            whole: whether whole Hessians are wanted, which are for at most 1000 weights; products are for any number.

        Raises:
            UserError: for models that are not such chains, differ in shape, or have too many weights.
        """
        kinds = {shape_of(model, "StackedObjective") for model in models}
        require(len(kinds) == 1, f"a stack needs nets of one shape; these have {len(kinds)}")
        ((dtype, *layers),) = kinds
        self.layers: list[tuple[tuple[int, int], Callable[[Any], Any]]] = layers
        self.size = sum((a + 1) * b for (a, b), _ in layers)
        fits = not whole or self.size <= LARGEST
        require(fits, f"whole Hessians are for nets of at most {LARGEST} weights, not {self.size}")
        wanted = (len(x), layers[-1][0][1])
        require(np.shape(y) == wanted, f"y has shape {np.shape(y)}; for these inputs and outputs it must be {wanted}")
        self.block, self.dtype = block, dtype
        # features x batch: XLA multiplies narrow matrices faster that way.
        self.x, self.y = (tf.constant(np.asarray(a).T[None], dtype) for a in (x, y))
        self._gradient = tf.function(self._value_and_gradient, jit_compile=True)
        self._hessian = tf.function(self._second, jit_compile=True)
        self._product = tf.function(self._along, jit_compile=True)

    @staticmethod
    def stack(models: Sequence[keras.Model]) -> Array:
        """Return the weights of several models as rows.

        Args:
            models: S models of one shape.

        Returns:
            The weights, (S, P).
        """
        return np.stack([flat(model) for model in models])

    def gradient(self, theta: Array) -> tuple[Array, Array]:
        """Return loss and gradient of every row.

        Args:
            theta: weights, (S, P).

        Returns:
            f, (S,), and its gradient, (S, P).

        Raises:
            UserError: for theta of another shape.
        """
        gradient = self._in_blocks(self._gradient, theta)
        return gradient[0], gradient[1]

    def hessian(self, theta: Array) -> tuple[Array, Array, Array]:
        """Return loss, gradient and Hessian of every row.

        Row i of all Hessians of a block is one Hessian-vector product (Pearlmutter 1994) with the unit vector e_i.

        Args:
            theta: weights, (S, P).

        Returns:
            f, (S,), gradient, (S, P), and Hessian, (S, P, P), symmetrized.

        Raises:
            UserError: for theta of another shape.
        """
        loss, gradient, matrix = self._in_blocks(self._hessian, theta)
        return loss, gradient, (matrix + np.swapaxes(matrix, 1, 2)) / 2

    def product(self, theta: Array, vectors: Array) -> Array:
        """Return the Hessian of every row times a vector of its own (Pearlmutter 1994).

        Args:
            theta: weights, (S, P).
            vectors: (S, P).

        Returns:
            The products, (S, P).

        Raises:
            UserError: for theta and vectors of other shapes.
        """
        require(vectors.shape == theta.shape, f"`vectors` has shape {vectors.shape}; it must be {theta.shape}")
        (products,) = self._in_blocks(self._product, theta, vectors)
        return products

    def _in_blocks(self, function: Callable[..., Any], theta: Array, *more: Array) -> list[Array]:
        require(
            theta.ndim == 2 and theta.shape[1] == self.size and len(theta) > 0,
            f"`theta` has shape {theta.shape}; it must be (nets, {self.size})",
        )
        parts = []
        for k in range(0, len(theta), self.block):
            count = len(theta[k : k + self.block])
            # Filled up with copies: XLA compiles anew for every number of rows.
            at = k + np.resize(np.arange(count), self.block)
            arguments = [tf.constant(a[at], self.dtype) for a in (theta, *more)]
            parts.append([a.numpy()[:count] for a in function(*arguments, self.x, self.y)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _losses(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        h, at = x, 0
        for (into, out), activation in self.layers:
            kernel = tf.reshape(theta[:, at : at + into * out], [-1, into, out])
            bias = theta[:, at + into * out : at + (into + 1) * out, None]
            at += (into + 1) * out
            wide = tf.linalg.matrix_transpose(kernel)
            h = activation((wide * h if into == 1 else wide @ h) + bias)
        return tf.reduce_mean(tf.square(h - y), [1, 2])

    def _value_and_gradient(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(theta)
            losses = self._losses(theta, x, y)
        return losses, tape.gradient(losses, theta)

    def _along(self, theta: Tensor, vectors: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
        with tf.GradientTape() as outer:
            outer.watch(theta)
            _, gradient = self._value_and_gradient(theta, x, y)
            along = tf.reduce_sum(gradient * vectors)
        return (outer.gradient(along, theta),)

    def _second(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        def body(i: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
            unit = tf.one_hot(i, self.size, dtype=theta.dtype)[None]
            with tf.GradientTape() as outer:
                outer.watch(theta)
                _, gradient = self._value_and_gradient(theta, x, y)
                along = tf.reduce_sum(gradient * unit)
            return i + 1, tf.tensor_scatter_nd_update(rows, [[i]], outer.gradient(along, theta)[None])

        rows = tf.zeros((self.size, *theta.shape), theta.dtype)
        rows = tf.while_loop(lambda i, _: i < self.size, body, (tf.constant(0), rows))[1]
        return *self._value_and_gradient(theta, x, y), tf.transpose(rows, [1, 0, 2])
