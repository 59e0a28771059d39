"""What the training step of a model knows: the number of its batch, its loss and its first examples.

`train_step` and `compute_loss` are replaced on the instance of the model while it trains.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import first_line
from dlhw._tf.types import Tensor
from dlhw.watch.steps import first_batch
from dlhw.watch.steps.hooks import Hooks
from dlhw.watch.steps.ring import first_replica, local_variable, read

STATEFUL = {"RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal", "RandomShuffle"}
STATEFUL |= {"Multinomial", "RandomGamma", "RandomPoissonV2", "ParameterizedTruncatedNormal"}
"""Operations that hold the state of their draws themselves, not in a variable; compiled anew, they begin again."""


class _Now(threading.local):
    """What is known of the step that is being traced or run; every replica has a thread of its own."""

    active = False
    loss: Tensor | None = None
    data: Any = None


class Step:
    """The step of a model that is being traced or run.

    Args:
        model: that trains.
        note: called with a sentence on what cannot be recorded.
    """

    detailed = True  # whether it measures updates, weights and zeros

    def __init__(self, model: keras.Model, note: Callable[[str], None]) -> None:
        self.model, self.note = model, note
        self.strategy: tf.distribute.Strategy = model.distribute_strategy
        self.jit_compile = bool(model.jit_compile) and not model.run_eagerly
        self.now = _Now()
        self.output_shape: tuple[int, ...] = ()
        self.target_shape: tuple[int, ...] = ()
        with self.strategy.scope():
            self.batches = local_variable(np.int64(0))
            self.first = local_variable(np.full(len(first_batch.NAMES), np.nan, np.float32))
        self.is_another_program = False  # than the one which would have run without the callback
        self._hooks = Hooks()

    def install(self) -> None:
        """Replace the methods of the model."""
        model = self.model
        train_step, compute_loss = model.train_step, model.compute_loss

        def tapped_step(data: Any) -> Any:
            self.now.loss, self.now.data, self.now.active = None, data, True
            try:
                return train_step(data)
            finally:
                self._end()

        def tapped_loss(*arguments: Any, **named: Any) -> Any:
            loss = compute_loss(*arguments, **named)
            if self.now.active and self.now.loss is None:  # the first of a step is taken at its weights
                self._note_loss(loss, *arguments, **named)
            return loss

        self._hooks.put(model, "train_step", tapped_step)
        self._hooks.put(model, "compute_loss", tapped_loss)

    def remove(self) -> None:
        """Give the model its own methods back."""
        self._hooks.remove()

    def _end(self) -> None:
        try:
            self._note_draws()
            if self.detailed:
                self._note_first_batch()
        except Exception as error:
            self.note(f"The first batch is not looked at ({type(error).__name__}: {first_line(error)}).")
        try:
            # Where data run out, a graph still does what does not depend on them.
            with tf.control_dependencies(tf.nest.flatten(self.now.data, expand_composites=True)):
                tf.raw_ops.AssignVariableOp(resource=self.batches.handle, value=self.batch() + 1)
        except Exception as error:
            self.note(f"Batches are not counted ({type(error).__name__}: {first_line(error)}).")
        self.now.loss, self.now.data, self.now.active = None, None, False

    @property
    def active(self) -> bool:
        """Whether a training step is being traced or run, in this thread."""
        return self.now.active

    def batch(self) -> Tensor:
        """Return the number of the batch of this step, from 0."""
        return read(self.batches)

    def loss_and_examples(self) -> tuple[Tensor, Tensor]:
        """Return the loss of the whole batch, and its number of examples; nan where they are not known."""
        unknown = tf.constant(np.nan, tf.float32)
        known = self.now.loss
        leaves = [a for a in keras.tree.flatten(self.now.data) if a is not None and a.shape.rank]
        examples = tf.cast(tf.shape(leaves[0])[0], tf.float32) if leaves else unknown
        dtype = tf.float64 if known is not None and known.dtype == tf.float64 else tf.float32
        loss = unknown if known is None else tf.cast(known, dtype)
        if known is None:
            self.note("The loss of a batch is not known: `train_step` does not call `compute_loss`.")
        if self.strategy.num_replicas_in_sync == 1:
            return loss, examples
        context = tf.distribute.get_replica_context()
        return tuple(context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, examples]))

    def _note_loss(self, loss: Any, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> None:
        """Store the loss of a step, and the shapes of one target and one output where a model has one."""
        if not hasattr(loss, "dtype"):
            return
        self.now.loss = loss
        if all(getattr(getattr(a, "shape", None), "rank", None) is not None for a in (y, y_pred)):
            self.target_shape, self.output_shape = (_shape(a) for a in (y, y_pred))

    def _note_draws(self) -> None:
        """Name random draws that differ from those without the callback."""
        if not self.is_another_program or tf.executing_eagerly():
            return
        types = {operation.type for operation in tf.compat.v1.get_default_graph().get_operations()} & STATEFUL
        if types:
            self.note(
                f"The training step draws random numbers by operations with a state of their own ({min(types)}), so "
                "they are not those without the callback. `keras.random` with a seed generator has no such state."
            )

    def _note_first_batch(self) -> None:
        """Store what the inputs and targets of the first batch are."""
        data = self.now.data

        def store() -> Tensor:
            tf.raw_ops.AssignVariableOp(resource=self.first.handle, value=first_batch.statistics(data))
            return tf.constant(0)

        tf.cond(tf.equal(self.batch(), 0), store, lambda: tf.constant(0))

    def facts(self) -> dict[str, Any]:
        """Return what is known of the first batch, as fields of :class:`dlhw.watch.spec.Facts`."""
        shapes = {"target_shape": self.target_shape}
        if self.output_shape:
            shapes["output_shape"] = self.output_shape
        return shapes | first_batch.as_facts(first_replica(self.first).numpy())

    def batch_count(self) -> int:
        """Return how many batches have been seen."""
        return int(first_replica(self.batches).numpy())


def _shape(a: Tensor) -> tuple[int, ...]:
    """Return a shape whose batch axis, and others that vary, is -1."""
    return (-1, *(-1 if n is None else int(n) for n in a.shape[1:]))
