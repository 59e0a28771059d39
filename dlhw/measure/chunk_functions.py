"""What `Objective` computes for a chunk of examples: functions whose results add up over the examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.compiled import Compiled, shared
from dlhw._tf.inputs import length
from dlhw._tf.losses import ExampleLoss, added_losses, correct_predictions
from dlhw._tf.pieces import rows_over_pieces, sums_over_pieces
from dlhw._tf.types import Tensor
from dlhw.measure.outer_products import OuterProducts
from dlhw.measure.second_order import exact_moments
from dlhw.models.forward import Forward
from dlhw.models.layout_rule import Work
from dlhw.models.probe import Probe

ROWS = 128
"""Rows of the Hessian that one call computes."""


class ChunkFunctions(OuterProducts):
    """Loss, gradient and Hessian of a chunk, each a function of a forward function and tensors."""

    def __init__(
        self,
        model: keras.Model,
        loss: ExampleLoss,
        variables: Sequence[tf.Variable],
        probe: Probe,
        n: int,
        dtype: tf.DType,
    ) -> None:
        """n: examples of all chunks; dtype: of gradients."""
        self.model, self.loss, self.variables, self.probe, self.n, self.dtype = model, loss, variables, probe, n, dtype
        self.size = sum(v.shape.num_elements() for v in variables)
        self.denominator = 1.0  # that divides the sum over all examples

    def compiled(self, name: str, forward: Forward) -> Compiled:
        """Return the function `name` of a chunk and more, compiled."""
        if self.probe.moving:
            return self._compiled(name, forward)
        variables = tuple(map(id, self.variables))
        key = (name, id(self.model), forward.layout, self.loss.key, variables, self.n, self.denominator, self.probe)
        return shared(key, lambda: self._compiled(name, forward))

    def _compiled(self, name: str, forward: Forward) -> Compiled:
        function: Callable[..., Any] = partial(self._in_pieces, name) if forward.xla else getattr(self, name)

        def chunk(*arguments: Tensor) -> Tensor:
            return function(forward, *arguments)

        chunk.__name__ = name  # in profiles and traces
        return Compiled(chunk, xla=forward.xla)

    def _in_pieces(self, name: str, forward: Forward, x: Tensor, y: Tensor, *more: Tensor) -> Tensor:
        function = getattr(self, name)

        def piece(x: Tensor, y: Tensor) -> Tensor:
            return function(forward, x, y, *more)

        if name == "example_losses":
            return rows_over_pieces(piece, (x, y), self.dtype)
        scalar, vector = tf.zeros([], self.dtype), tf.zeros([self.size], self.dtype)
        zeros = {
            "value": (scalar, tf.zeros([])),
            "valid": (scalar,),
            "gradient": (scalar, vector),
        }
        return sums_over_pieces(piece, (x, y), zeros.get(name, (vector,)))

    def example_losses(self, forward: Forward, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each example, (n,)."""
        return tf.cast(self.loss(y, forward(x)), self.dtype)

    def valid(self, forward: Forward, x: Tensor, y: Tensor) -> tuple[Tensor]:
        """Return the number of losses that count."""
        return (tf.cast(self.loss.sums(y, forward(x))[1], self.dtype),)

    def value(self, forward: Forward, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of losses and the number of correct predictions."""
        loss, z = self._losses(forward, x, y)
        right = correct_predictions(y, z)
        return loss, tf.constant(np.nan) if right is None else tf.reduce_sum(tf.cast(right, tf.float32))

    def gradient(self, forward: Forward, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of losses and its gradient, (P,)."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            loss, _ = self._losses(forward, x, y)
        return loss, self._flat(tape.gradient(loss, self.variables, unconnected_gradients="zero"))

    def product(self, forward: Forward, x: Tensor, y: Tensor, vector: Tensor) -> tuple[Tensor]:
        """Return the Hessian of the sum of losses times a vector, (P,)."""
        with exact_moments(), tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self.variables)
            _, gradient = self.gradient(forward, x, y)
            along = tf.reduce_sum(gradient * tf.cast(vector, gradient.dtype))
        return (self._flat(outer.gradient(along, self.variables, unconnected_gradients="zero")),)

    def rows(self, forward: Forward, x: Tensor, y: Tensor, first: Tensor) -> tuple[Tensor]:
        """Return rows of the Hessian of the sum of losses from `first` on, (ROWS, P), or all where P is smaller."""
        count = min(ROWS, self.size)
        with exact_moments(), tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self.variables)
            _, gradient = self.gradient(forward, x, y)
            part = tf.slice(gradient, [first], [count])
        rows = outer.jacobian(part, self.variables, unconnected_gradients="zero", experimental_use_pfor=False)
        return (tf.concat([tf.reshape(r, [count, -1]) for r in rows], 1),)

    def _losses(self, forward: Forward, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum over the chunk of all losses, in the precision of the weights, and the outputs."""
        z, wide = forward(x), self.dtype
        n = length(x)
        numerator, _ = self.loss.sums(y, z)
        # What layers add is weighted, so that the sum over the chunks, divided by the denominator, is right.
        weight = {"mean": n * self.denominator / self.n, "sum": self.denominator, "whole": self.denominator}
        added = [a * weight[kind] for a, kind in zip(added_losses(self.model, wide), self.probe.added, strict=True)]
        return tf.add_n([tf.cast(numerator, wide), *added]), z

    def _flat(self, parts: Tensor) -> Tensor:
        return tf.concat([tf.cast(tf.reshape(tf.convert_to_tensor(p), [-1]), self.dtype) for p in parts], 0)


WORK: dict[str, Work] = {
    "example_losses": "value",
    "valid": "value",
    "value": "value",
    "gradient": "gradient",
    "product": "product",
    "rows": "product",
    "ggn": "product",
    "fisher": "product",
    "empirical": "product",
}
"""What each function is for the choice of a layout."""
