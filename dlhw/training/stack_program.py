"""The compiled loop of a stack: its steps as a function of tensors alone, compiled once in a process.

TensorFlow keeps what XLA compiled for as long as the process lives (tensorflow/tensorflow, issue 124972), so that equal
programs have to be one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from dlhw._tf.layer_norms import norms
from dlhw._tf.types import Tensor
from dlhw.training.optimizers import Optimizer

Activation = Callable[[Any], Any]
LANES = 16
"""Twice the floats of an AVX2 register: sums over this many columns side by side need no shuffling."""


@tf.custom_gradient
def _narrow_dense(w: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Return w h + b for many small nets: w (S, out, in), b (S, out, 1), h (S or 1, in, batch), whole lanes.

    Its gradient by w, sum over the batch of d h^T, is three times faster as a multiplication and a sum in lanes than
    as the matrix product of (S, out, batch) and (S, batch, in), of which XLA on the CPU runs one net at a time.
    """
    nets, out, into = w.shape

    def lanes(t: Tensor, *lead: int) -> Tensor:
        return tf.reshape(t, [*lead, t.shape[-1] // LANES, LANES])

    def total(t: Tensor) -> Tensor:
        while t.shape[-1] > 1:  # by halves: tf.reduce_sum over so short an axis doubles the time of the step
            t = tf.add(*tf.split(t, 2, -1))
        return tf.squeeze(t, -1)

    def gradient(d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        db = total(tf.reduce_sum(lanes(d, nets, out), 2))[..., None]
        dw = total(tf.reduce_sum(lanes(d, nets, out, 1) * lanes(h, h.shape[0], 1, into), 3))
        if into == 1 or out == 1:
            dh = tf.reduce_sum(w * d, 1, keepdims=True) if into == 1 else tf.linalg.matrix_transpose(w) * d
        else:
            dh = tf.matmul(w, d, transpose_a=True)
        return dw, db, dh if h.shape[0] == nets else tf.reduce_sum(dh, 0, keepdims=True)

    return _dense(w, b, h), gradient


def _dense(w: Tensor, b: Tensor, h: Tensor) -> Tensor:
    # An outer product: XLA fuses a broadcast multiplication with bias and activation, a matmul it does not.
    return (w * h if w.shape[2] == 1 else tf.matmul(w, h)) + b


def _kind_of_product(nets: int, out: int, into: int) -> Callable[[Any, Any, Any], Any]:
    """Return the fastest product as measured: sums in lanes from three nets on (a quarter faster at five nets)."""
    return _narrow_dense if nets >= 3 and max(out, into) <= 256 and out * into <= 1024 else _dense


@dataclass(frozen=True)
class StackProgram:
    """The steps of S nets of one shape."""

    nets: int
    activations: tuple[Activation, ...]
    examples: int  # without the padding
    optimizer: Optimizer
    record_norm: bool
    length: int  # most steps of one call

    def losses(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error of each net, (S,)."""
        h = x
        for k, activation in enumerate(self.activations):
            w, b = parameters[2 * k], parameters[2 * k + 1]
            h = activation(_kind_of_product(*w.shape)(w, b, h))
        # The padding is cut off here, not weighted with zeros: that kept XLA from fusing, at twice the time.
        return tf.reduce_mean(tf.square(h[..., : self.examples] - y), [1, 2])

    def _gradients(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the mean squared error of each net, (S,), and its gradients."""
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            losses = self.losses(parameters, x, y)
            total = tf.reduce_sum(losses)  # nets share nothing, so its gradient is each net's own
        return losses, tape.gradient(total, parameters)

    def chunk(
        self,
        done: Tensor,
        n: Tensor,
        parameters: Tensor,
        slots: Tensor,
        alive: Tensor,
        x: Tensor,
        y: Tensor,
        limit: Tensor,
        rates: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Take n steps after `done` ones; return the new state and what was recorded, (length, quantities, S).

        rates: learning rates of the nets, (S, 1, 1), in place of that of the optimizer.
        """
        optimizer = self.optimizer if rates is None else replace(self.optimizer, learning_rate=rates)
        layers = len(self.activations)
        groups = [(2 * k, 2 * k + 1) for k in range(layers)]
        rows = tf.zeros((self.length, 2 + layers if self.record_norm else 1, self.nets), x.dtype)

        def body(i: Tensor, parameters: Tensor, slots: Tensor, alive: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
            losses, gradients = self._gradients(parameters, x, y)
            row = losses[None]
            if self.record_norm:
                whole, by_layer = norms(gradients, groups, axis=[1, 2])
                row = tf.concat([row, whole[None], tf.transpose(by_layer)], 0)
            alive = tf.logical_and(alive, losses <= limit)
            if optimizer.radius:
                _, gradients = self._gradients(optimizer.ascended(parameters, gradients, (1, 2)), x, y)
            moved, slots = optimizer.step(done + i + 1, parameters, gradients, slots)
            keep = alive[:, None, None]
            parameters = [tf.where(keep, new, old) for new, old in zip(moved, parameters, strict=True)]
            return i + 1, parameters, slots, alive, tf.tensor_scatter_nd_update(rows, [[i]], row[None])

        state = (tf.constant(0), parameters, slots, alive, rows)
        return tf.while_loop(lambda i, *_: i < n, body, state)[1:]


@functools.lru_cache(maxsize=64)
def compiled(program: StackProgram) -> Any:
    """Return the chunk function of a program as one `tf.function`."""
    return tf.function(program.chunk, jit_compile=True, autograph=False)
