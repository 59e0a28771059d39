"""Products with matrices J' M J of the Jacobian J of outputs or losses: Gauss-Newton, true and empirical Fisher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dlhw._tf.losses import ExampleLoss
from dlhw._tf.types import Tensor
from dlhw.measure.likelihoods import fisher_of_outputs
from dlhw.models.forward import Forward


class OuterProducts:
    """Functions of a chunk, each a function of a forward function and tensors; a part of `ChunkFunctions`.

    The losses that layers add are no functions of the outputs, and have no part in them.
    """

    loss: ExampleLoss
    variables: Sequence[tf.Variable]
    dtype: tf.DType
    example_losses: Callable[..., Tensor]
    _flat: Callable[[Tensor], Tensor]

    def ggn(self, forward: Forward, x: Tensor, y: Tensor, vector: Tensor) -> tuple[Tensor]:
        """Return sum_i J_i' L_i J_i v, with J_i = d z_i / d theta and L_i the Hessian of the loss in z_i, (P,)."""
        return self._product(lambda: forward(x), vector, lambda z, u: loss_hessian(self.loss, y, z, u))

    def fisher(self, forward: Forward, x: Tensor, y: Tensor, vector: Tensor) -> tuple[Tensor]:
        """Return sum_i J_i' F_i J_i v, with F_i the Fisher information of the distribution that z_i stands for."""
        return self._product(lambda: forward(x), vector, lambda z, u: fisher_of_outputs(self.loss, y, z, u))

    def empirical(self, forward: Forward, x: Tensor, y: Tensor, vector: Tensor) -> tuple[Tensor]:
        """Return sum_i g_i g_i' v of the gradients of the losses of the examples."""
        return self._product(lambda: self.example_losses(forward, x, y), vector, lambda _, u: u)

    def slope(self, forward: Forward, x: Tensor, y: Tensor) -> tuple[Tensor]:
        """Return the gradient of the sum of losses with respect to the outputs."""
        return (loss_slope(self.loss, y, outputs_copy(forward(x))),)

    def pulled(self, forward: Forward, x: Tensor, y: Tensor, slope: Tensor) -> tuple[Tensor]:
        """Return J' slope, (P,), for a slope in the shape of the outputs."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            z = forward(x)
        slope = tf.cast(slope, z.dtype)
        parts = tape.gradient(z, self.variables, output_gradients=slope, unconnected_gradients="zero")
        return (self._flat(parts),)

    def _product(
        self, function: Callable[[], Tensor], vector: Tensor, middle: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Tensor]:
        """Return J' middle(z, J v), where J is the Jacobian of z = function() with respect to the weights."""
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            z = function()

        def back(slope: Tensor) -> Tensor:
            parts: Any = tape.gradient(z, self.variables, output_gradients=slope, unconnected_gradients="zero")
            return self._flat(parts)

        # J v is the derivative of J' u, which is linear in u: no layer needs a forward mode of its own.
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            u = tf.zeros_like(z)
            outer.watch(u)
            along = tf.reduce_sum(back(u) * tf.cast(vector, self.dtype))
        forward_slope = outer.gradient(along, u, unconnected_gradients="zero")
        return (back(middle(z, forward_slope)),)


def loss_hessian(loss: ExampleLoss, y: Tensor, z: Tensor, u: Tensor) -> Tensor:
    """Return the Hessian of the sum of losses with respect to the outputs z, times u, in the shape of z."""
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        copy = outputs_copy(z)
        outer.watch(copy)
        along = tf.reduce_sum(loss_slope(loss, y, copy) * u)
    return outer.gradient(along, copy, unconnected_gradients="zero")


def loss_slope(loss: ExampleLoss, y: Tensor, z: Tensor) -> Tensor:
    """Return the gradient of the sum of losses with respect to the outputs z."""
    with tf.GradientTape(watch_accessed_variables=False) as inner:
        inner.watch(z)
        value, _ = loss.sums(y, z)
    return inner.gradient(value, z, unconnected_gradients="zero")


def outputs_copy(z: Tensor) -> Tensor:
    """Return outputs as a tensor that nothing has been derived from, with their mask."""
    copy = tf.identity(z)
    if (mask := getattr(z, "_keras_mask", None)) is not None:
        copy._keras_mask = mask
    return copy
