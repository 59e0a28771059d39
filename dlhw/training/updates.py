"""What `Trainer` compiles: one update, a whole epoch of them, and the sums of a measurement, on every replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dlhw.measure.gradients import layer_groups, norms
from dlhw.measure.objective import hits
from dlhw.training.optimizers import Optimizer
from dlhw.training.replicas import Replicas

_MEASURE_BATCH = 1000


class Updates:
    """Functions of tensors that move the weights of a model on all its replicas."""

    def __init__(
        self, replicas: Replicas, loss: Callable[[Any, Any], Any], rule: Optimizer, batch_size: int, record: bool
    ) -> None:
        """loss(y_true, y_pred) -> (n,); record: give loss and gradient norms of every update."""
        self.replicas, self.loss, self.rule, self.batch_size, self.record = replicas, loss, rule, batch_size, record
        self.model = replicas.model
        self.layers = layer_groups(self.model)
        self.variables = [v.value for v in self.model.trainable_variables]
        self.slots = replicas.zeros(rule.slots([v.value for v in replicas.original.trainable_variables]))

    def update(self, count: Any, x: Any, y: Any, rows: Any) -> Any:
        """One step on a replica, on its share of the batch `rows`; with `record` loss and norms, (2 + layers,).

        Every replica takes its part of one mean, sum of its losses / size of the whole batch, so that the sum of the
        gradients is the gradient of the mean however uneven the shares are. A last batch of fewer examples than there
        are replicas goes to all of them whole: some convolutions cannot be taken of no example.
        """
        size, replicas = int(rows.shape[0]), self.replicas.count
        whole = size * (replicas if size < replicas else 1)
        if 1 < replicas <= size:
            first, own = self.replicas.share(size)
            rows = rows[first : first + own]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            losses = self.loss(tf.gather(y, rows), self.model(tf.gather(x, rows), training=True))
            mean = tf.reduce_mean(losses) if replicas == 1 else tf.reduce_sum(losses) / whole
            value = tf.add_n([mean, *(a if replicas == 1 else a / replicas for a in self.model.losses)])
        gradients = tape.gradient(value, self.variables, unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        value, *gradients = self.replicas.summed([value, *gradients])
        row = None
        if self.record:
            total, layers = norms(gradients, self.layers)
            row = tf.cast(tf.concat([[tf.cast(value, total.dtype), total], layers], 0), self.variables[0].dtype)
        self.rule.apply(count, self.variables, gradients, self.slots)
        return row if self.record else tf.constant(0)

    def epoch(self, done: Any, steps: Any, remainder: Any, x: Any, y: Any, order: Any) -> Any:
        """`steps` full batches and, if `remainder`, the smaller last one; with `record` a row for each of them."""
        n, size = int(order.shape[0]), self.batch_size
        rest = n % size
        empty = tf.zeros((-(-n // size), 2 + len(self.layers)), self.variables[0].dtype)

        def step(i: Any, rows: Any, *table: Any) -> Any:
            row = self.replicas.first(self.replicas.run(self.update, done + i + 1, x, y, rows))
            return (i + 1, *(tf.tensor_scatter_nd_update(t, [[i]], [row]) for t in table))

        def body(i: Any, *table: Any) -> Any:
            return step(i, tf.slice(order, [i * size], [size]), *table)

        state = (tf.constant(0), empty) if self.record else (tf.constant(0),)
        state = tf.while_loop(lambda i, *_: i < steps, body, state)
        if rest:
            state = tf.cond(remainder, lambda: step(state[0], order[-rest:], *state[1:]), lambda: tuple(state))
        return state[1:] or tf.constant(0)

    def measure(self, x: Any, y: Any) -> tuple[Any, Any]:
        return self.replicas.total(self.replicas.run(self.sums, x, y))

    def sums(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Sum of losses and number of hits over a replica's share of the examples, in inference mode."""
        first, n = self.replicas.share(int(x.shape[0]))
        size, wide = min(n, _MEASURE_BATCH), self.variables[0].dtype

        def part(start: Any, length: int) -> tuple[Any, Any]:
            z = self.model(tf.slice(x, [start, *[0] * (len(x.shape) - 1)], [length, *x.shape[1:]]), training=False)
            t = tf.slice(y, [start, *[0] * (len(y.shape) - 1)], [length, *y.shape[1:]])
            losses, right = tf.cast(self.loss(t, z), wide), hits(t, z)
            unknown = tf.constant(np.nan, wide)
            return tf.reduce_sum(losses), unknown if right is None else tf.reduce_sum(tf.cast(right, losses.dtype))

        def body(i: Any, loss: Any, right: Any) -> Any:
            more, well = part(first + i * size, size)
            return i + 1, loss + more, right + well

        loss = right = tf.zeros([], wide)
        if n == 0:
            return loss, right
        _, loss, right = tf.while_loop(lambda i, *_: i < n // size, body, (tf.constant(0), loss, right))
        if n % size:
            more, well = part(first + n - n % size, n % size)
            loss, right = loss + more, right + well
        return loss, right
