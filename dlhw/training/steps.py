"""What `Trainer` compiles: one update, a whole epoch of them, and the sums of a measurement, on every replica."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.inputs import length, wide_dtype
from dlhw._tf.layer_norms import layer_groups, norms
from dlhw._tf.losses import ExampleLoss, added_losses, correct_predictions
from dlhw._tf.pieces import piece_size, sums_over_pieces
from dlhw._tf.step_statistics import STATISTICS, as_columns, as_gradient, gradient_statistics, of_update
from dlhw._tf.types import Tensor
from dlhw.choices import Layout
from dlhw.models.forward import Forward, forward_function
from dlhw.models.state import all_variables
from dlhw.training.ascent import states_of, two_gradients
from dlhw.training.distributed.replicas import Replicas
from dlhw.training.history import Curves
from dlhw.training.optimizers import Optimizer
from dlhw.training.step_rows import StepStatistics, by_layer, layers_of

_MEASURE_BATCH = 1000
Record = bool | Literal["all"]


class Updates:
    """Functions of tensors that move the weights of a model on all its replicas."""

    at_once = False  # whether measurements take all examples in one pass
    masked = False  # whether some losses do not count

    def __init__(
        self,
        replicas: Replicas,
        loss: ExampleLoss,
        optimizer: Optimizer,
        batch_size: int,
        record: Record,
    ) -> None:
        """record: give loss and gradient norms of every update; "all": all statistics of every variable."""
        self.replicas, self.loss, self.optimizer = replicas, loss, optimizer
        self.forward = self.evaluation = Forward(replicas.model)
        self.batch_size, self.record = batch_size, record
        self.model = replicas.model
        self.layers = layer_groups(self.model)
        self.variables = [v.value for v in self.model.trainable_variables]
        self.states = states_of(self.model)
        self.constraints = [getattr(v, "constraint", None) for v in self.model.trainable_variables]
        self.slots = replicas.zeros(optimizer.slots([v.value for v in replicas.original.trainable_variables]))

    def choose_layout(self, layout: Layout, examples: int, x: Tensor) -> None:
        """Decide how outputs are computed in a training that takes `examples` examples like `x` in all."""
        self.forward = forward_function(self.model, layout, "training", examples, x)
        self.evaluation = forward_function(self.model, layout, "value", examples, x)

    def reset(self) -> None:
        """Set the state of the optimizer to zero."""
        for variable in tf.nest.flatten(self.slots):
            variable.assign(tf.zeros_like(variable))

    def state(self) -> dict[str, np.ndarray]:
        """Return all variables of the model and of the optimizer, which :meth:`restore` reads."""
        return {name: variable.numpy() for name, variable in self._variables_by_name().items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Set all variables of the model and of the optimizer."""
        for name, variable in self._variables_by_name().items():
            variable.assign(state[name])

    def _variables_by_name(self) -> dict[str, tf.Variable]:
        named = {f"weight {k}": v for k, v in enumerate(all_variables(self.model))}
        return named | {f"slot {k}": v for k, v in enumerate(tf.nest.flatten(self.slots))}

    def train_step(self, count: Tensor, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        """Do one step on a replica's share of the batch `rows`; with `record`, return loss and norms, (2 + layers,).

        Every replica takes its part of one mean, sum of its losses / size of the whole batch, so that the sum of the
        gradients is the gradient of the mean however uneven the shares are. A last batch of fewer examples than there
        are replicas goes to all of them whole: some convolutions cannot be taken of no example.
        """
        size, replicas = int(rows.shape[0]), self.replicas.count
        repeats = replicas if size < replicas else 1
        if 1 < replicas <= size:
            first, own = self.replicas.share(size)
            rows = rows[first : first + own]
        batch = tf.nest.map_structure(lambda a: tf.gather(a, rows), (x, y))

        def of_batch() -> tuple[Tensor, list[Tensor]]:
            if self.forward.in_pieces and not self.at_once and piece_size(size) < size:
                value, gradients = self._gradients_of_pieces(*batch)
            else:
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(self.variables)
                    value = self._batch_loss(tape, batch[0], batch[1], size, repeats)
                gradients = self._gradients(tape, value)
            value, *gradients = self.replicas.all_reduce_sum([value, *gradients])
            return value, gradients

        value, gradients, applied = two_gradients(self.optimizer, self.variables, self.states, of_batch)
        row, before = None, [tf.identity(v) for v in self.variables] if self.record == "all" else []
        if self.record is True:
            total, layers = norms(gradients, self.layers)
            row = tf.cast(tf.concat([[tf.cast(value, total.dtype), total], layers], 0), self.variables[0].dtype)
        self.optimizer.apply(count, self.variables, applied, self.slots)
        for variable, constraint in zip(self.variables, self.constraints, strict=True):
            if constraint is not None:  # by its handle: that of the own replica
                moved = constraint(tf.convert_to_tensor(variable))
                tf.raw_ops.AssignVariableOp(resource=variable.handle, value=moved)
        if self.record == "all":
            row = self._statistics(value, gradients, applied, before)
        return row if self.record else tf.constant(0)

    def _statistics(
        self, value: Tensor, gradients: list[Tensor], applied: list[Tensor], before: list[Tensor]
    ) -> Tensor:
        """Return the loss of the batch, and the statistics of every variable after an update, as one row."""
        dtype, sizes = self.variables[0].dtype, [int(np.prod(v.shape)) for v in self.variables]
        raw, used = ([as_gradient(g, g.shape, dtype, static=True) for g in a] for a in (gradients, applied))
        columns = of_update(raw, before, [tf.convert_to_tensor(v) for v in self.variables], sizes, dtype)
        # The optimizers here clip nothing, but sam applies another gradient.
        columns["applied"] = gradient_statistics(used, dtype)[0] if self.optimizer.radius else columns["raw"]
        return tf.concat([[tf.cast(value, dtype)], tf.reshape(as_columns(columns), [-1])], 0)

    def with_steps(self, curves: Curves, rows: NDArray[np.floating]) -> Curves:
        """Return curves with what was recorded of every step, (steps, row_width); without `record` as they are."""
        if not self.record:
            return curves
        if self.record is True:
            return replace(curves, step_loss=rows[:, 0], gradient_norm=rows[:, 1], layer_gradient_norms=rows[:, 2:])
        variables = self.replicas.original.trainable_variables
        layers, groups = layers_of([v.path for v in variables])
        columns = rows[:, 1:].reshape(len(rows), len(STATISTICS), len(variables))
        table = by_layer(columns, groups, [int(np.prod(v.shape)) for v in variables])
        statistics = StepStatistics(layers, *np.moveaxis(table, 1, 0))
        norms = statistics.gradient_norm
        total = np.sqrt(np.square(norms).sum(1))
        return replace(
            curves, step_loss=rows[:, 0], gradient_norm=total, layer_gradient_norms=norms, statistics=statistics
        )

    @property
    def row_width(self) -> int:
        """Numbers in a row of an update."""
        return 1 + len(STATISTICS) * len(self.variables) if self.record == "all" else 2 + len(self.layers)

    def _batch_loss(self, tape: tf.GradientTape, x: Tensor, y: Tensor, size: int, repeats: int) -> Tensor:
        """Return the loss of the batch, or this replica's share of it; the sum over the replicas is the whole.

        size: examples of the whole batch; repeats: replicas that hold the same examples.
        """
        z, replicas = self.forward(x, training=True), self.replicas.count
        if replicas == 1:
            value = self.loss.value(y, z)
        else:
            value, count = self.loss.sums(y, z)
            if self.loss.is_sum:
                value = value / repeats
            elif self.masked:
                with tape.stop_recording():
                    (count,) = self.replicas.all_reduce_sum([count])
                value = tf.math.divide_no_nan(value, count)
            else:
                value = value / (count / int(z.shape[0]) * size * repeats)
        added = added_losses(self.model, value.dtype)
        return tf.add_n([value, *(a if replicas == 1 else a / replicas for a in added)])

    def _gradients_of_pieces(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the loss of the batch and its gradients, from sums over pieces of the batch."""

        def piece(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self.variables)
                value, count = self.loss.sums(y, self.forward(x, training=True))
            return value, count, self._gradients(tape, value)

        nothing = tf.zeros([], wide_dtype(self.variables[0].dtype))
        zeros = nothing, nothing, [tf.zeros(v.shape, v.dtype) for v in self.variables]
        value, count, gradients = sums_over_pieces(piece, (x, y), zeros)
        scale = tf.ones_like(count) if self.loss.is_sum else tf.math.divide_no_nan(tf.ones_like(count), count)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            added = tf.add_n([tf.zeros_like(value), *added_losses(self.model, value.dtype)])
        more = self._gradients(tape, added)
        return scale * value + added, [scale * g + m for g, m in zip(gradients, more, strict=True)]

    def _gradients(self, tape: tf.GradientTape, value: Tensor) -> list[Tensor]:
        gradients = tape.gradient(value, self.variables, unconnected_gradients="zero")
        return [tf.convert_to_tensor(g) for g in gradients]

    def train_epoch(
        self, done: Tensor, steps: Tensor, remainder: Tensor, x: Tensor, y: Tensor, order: Tensor
    ) -> tuple[Tensor, ...]:
        """Do `steps` full batches and, if `remainder`, the smaller last one; with `record`, return a row for each."""
        n, size = int(order.shape[0]), self.batch_size
        last_size = n % size
        empty = tf.zeros((-(-n // size), self.row_width), self.variables[0].dtype)

        def step(i: Tensor, rows: Tensor, *table: Tensor) -> tuple[Tensor, ...]:
            row = self.replicas.local_result(self.replicas.run(self.train_step, done + i + 1, x, y, rows))
            return (i + 1, *(tf.tensor_scatter_nd_update(t, [[i]], [row]) for t in table))

        def body(i: Tensor, *table: Tensor) -> tuple[Tensor, ...]:
            return step(i, tf.slice(order, [i * size], [size]), *table)

        state = (tf.constant(0), empty) if self.record else (tf.constant(0),)
        state = tf.while_loop(lambda i, *_: i < steps, body, state)
        if last_size:
            state = tf.cond(remainder, lambda: step(state[0], order[-last_size:], *state[1:]), lambda: tuple(state))
        return state[1:] or tf.constant(0)

    def evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sum and number of losses and number of correct predictions, over all replicas, in inference mode."""
        return self.replicas.reduce_sum(self.replicas.run(self.sums, x, y))

    def sums(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sum of losses, their number and the number of correct predictions on a replica's examples."""
        first, n = self.replicas.share(length((x, y)))
        size = piece_size(n) if self.evaluation.xla else min(n, _MEASURE_BATCH)
        size, wide = n if self.at_once else size, wide_dtype(self.variables[0].dtype)

        def part(start: Tensor, examples: int) -> tuple[Tensor, ...]:
            def cut(a: Tensor) -> Tensor:
                return tf.slice(a, [start, *[0] * (len(a.shape) - 1)], [examples, *a.shape[1:]])

            inputs, targets = tf.nest.map_structure(cut, (x, y))
            z = self.evaluation(inputs)
            (loss, count), right = self.loss.sums(targets, z), correct_predictions(targets, z)
            unknown = tf.constant(np.nan, wide)
            return (
                tf.cast(loss, wide),
                tf.cast(count, wide),
                unknown if right is None else tf.reduce_sum(tf.cast(right, wide)),
            )

        def body(i: Tensor, *sums: Any) -> tuple[Tensor, ...]:
            return i + 1, *(a + b for a, b in zip(sums, part(first + i * size, size), strict=True))

        sums: tuple[Any, ...] = (tf.zeros([], wide),) * 3
        if n == 0:
            return sums
        _, *sums = tf.while_loop(lambda i, *_: i < n // size, body, (tf.constant(0), *sums))
        if n % size:
            sums = tuple(a + b for a, b in zip(sums, part(first + n - n % size, n % size), strict=True))
        return tuple(sums)
