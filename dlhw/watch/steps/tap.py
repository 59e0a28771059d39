"""What an optimizer does in a compiled step: its `apply` is replaced on the instance, and every call writes a row.

The wrapped `apply` calls the original one with what it was given, and only reads beside it, so the weights are those
without it. Keras scales, accumulates, clips and sums over replicas below `apply`; the gradient that enters the rule of
the optimizer is read in `update_step`, where one of these happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf import step_statistics as statistics
from dlhw._tf.inputs import first_line
from dlhw._tf.step_statistics import STATISTICS, Gradient
from dlhw._tf.types import Tensor
from dlhw.training.step_rows import ABSENT
from dlhw.watch.steps.accumulation import accumulated_norms
from dlhw.watch.steps.hooks import Hooks
from dlhw.watch.steps.ring import Ring, local_variable, read
from dlhw.watch.steps.step import Step
from dlhw.watch.steps.variables import first_component, held, tensor

LEADING = ("loss", "learning_rate", "examples", "updated")
"""The first columns of a row; then come those of every variable, by statistic."""
Gradients = Sequence[Tensor | tf.IndexedSlices | None]


class OptimizerTap:
    """The rows of one optimizer.

    Args:
        name: of the optimizer.
        optimizer: the outermost one, which scales the loss where one does.
        step: what the training step that is being traced knows.
        note: called with a sentence on what cannot be recorded.
        rows: how many are held until they are read.
    """

    def __init__(
        self,
        name: str,
        optimizer: keras.optimizers.Optimizer,
        step: Step,
        note: Callable[[str], None],
        rows: int,
    ) -> None:
        self.name, self.optimizer, self.step, self.note = name, optimizer, step, note
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        self.inner: keras.optimizers.Optimizer = optimizer.inner_optimizer if scales else optimizer
        self.rows = rows
        self.variables: list[keras.Variable] = []
        self.ring: Ring | None = None
        self.applied: tf.Variable | None = None
        self.was_called = False
        self._hooks = Hooks()

    def prepare(self, variables: Sequence[keras.Variable]) -> None:
        """Make the ring for an optimizer of these variables."""
        if self.ring is not None:
            return
        self.variables = list(variables)
        wide = any(keras.backend.standardize_dtype(v.dtype) == "float64" for v in variables)
        self.dtype = tf.float64 if wide else tf.float32
        width, n = len(LEADING) + len(STATISTICS) * len(self.variables), len(self.variables)
        self.ring = Ring(self.rows, width, self.dtype, self.step.strategy)
        with tf.init_scope(), self.step.strategy.scope():
            self.applied = local_variable(np.zeros(n, self.dtype.as_numpy_dtype)) if self._applies_another else None

    def fits(self) -> bool:
        """Return whether the optimizer still has the variables whose rows are held."""
        known = getattr(self.inner, "_trainable_variables", self.variables)
        return self.ring is None or [id(v) for v in known] == [id(v) for v in self.variables]

    def prepare_if_built(self) -> None:
        """Make the ring before the first step, where the optimizer knows its variables."""
        if self.inner.built:
            self.prepare(self.inner._trainable_variables)

    @property
    def _applies_another(self) -> bool:
        """Whether the gradient that is applied differs from the one that is given."""
        names = ("clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps")
        return any(getattr(self.inner, name, None) for name in names)

    @property
    def _applied_ahead(self) -> bool:
        """Whether the gradient that is applied is computed here, not read where Keras computes it."""
        return self.step.jit_compile and bool(getattr(self.inner, "gradient_accumulation_steps", None))

    def install(self) -> None:
        """Replace `apply` on the instance."""
        original = self.optimizer.apply

        def apply(
            grads: Gradients, trainable_variables: Sequence[keras.Variable] | None = None, *more: Any, **named: Any
        ) -> Any:
            if not self.step.active:
                return original(grads, trainable_variables, *more, **named)
            self.was_called = True
            gradients, variables = held(grads), held(trainable_variables)
            state = self._guarded(self._before, gradients, variables)
            returned = original(gradients, variables, *more, **named)
            if state is not None:
                self._guarded(self._after, gradients, *state)
            return returned

        self._hooks.put(self.optimizer, "apply", apply)
        if self._applies_another and not self._applied_ahead:
            update_step = self.inner.update_step

            def tapped(gradient: Tensor, variable: tf.Variable, *arguments: Any) -> Any:
                self._guarded(self._note_applied, gradient, variable)
                return update_step(gradient, variable, *arguments)

            self._hooks.put(self.inner, "update_step", tapped)

    def remove(self) -> None:
        """Give the optimizer its own methods back."""
        self._hooks.remove()

    def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `function` returns; a training goes on where it fails, and the reason becomes a note."""
        try:
            return function(*arguments)
        except Exception as error:
            self.note(f"The steps of {self.name} are not recorded ({type(error).__name__}: {first_line(error)}).")
            return None

    def _before(self, gradients: Gradients, variables: Sequence[keras.Variable] | None) -> tuple[Any, ...]:
        """Read what an update changes; returns variables, their values, and the state of the optimizer."""
        if variables is None:
            variables = self.inner._trainable_variables
        tensors = [tensor(v) for v in variables]
        values = [tf.identity(t.read_value()) for t in tensors] if self.step.detailed else []
        scale = self._loss_scale()
        iterations = tf.convert_to_tensor(self.optimizer.iterations) + 0
        rate = tf.convert_to_tensor(self.optimizer.learning_rate) + 0.0
        if self.applied is not None:
            norms = tf.zeros(self.applied.shape, self.applied.dtype)
            if self._applied_ahead:
                at = self._positions([v for g, v in zip(gradients, variables, strict=True) if g is not None])
                due = accumulated_norms(self.inner, gradients, variables, scale, self.dtype)
                norms = tf.tensor_scatter_nd_update(norms, [[k] for k in at], due)
            tf.raw_ops.AssignVariableOp(resource=self.applied.handle, value=norms)
        return list(variables), tensors, values, scale, iterations, rate

    def _loss_scale(self) -> Tensor | None:
        if self.inner is not self.optimizer:
            built = self.optimizer.built
            scale = self.optimizer.dynamic_scale.value if built else self.optimizer.initial_scale
            return tf.convert_to_tensor(scale, tf.float32) + 0.0
        scale = getattr(self.optimizer, "loss_scale_factor", None)
        return None if scale is None else tf.constant(float(scale))

    def _note_applied(self, gradient: Tensor, variable: tf.Variable) -> None:
        """Store the norm of a gradient that enters the rule of the optimizer."""
        at = {id(first): k for k, v in enumerate(self.variables) for first in first_component(tensor(v))}
        index = at.get(id(variable))
        if self.applied is None or index is None:
            return
        jit = self.step.jit_compile
        dense = statistics.as_gradient(gradient, variable.shape, self.dtype, static=jit)
        norm, _, _ = statistics.gradient_statistics([dense], self.dtype)
        handle = first_component(self.applied)[0].handle
        tf.raw_ops.ResourceScatterUpdate(resource=handle, indices=[index], updates=norm)

    def _after(
        self,
        grads: Gradients,
        variables: Sequence[keras.Variable],
        tensors: Sequence[tf.Variable],
        values: Sequence[Tensor],
        scale: Tensor | None,
        iterations: Tensor,
        rate: Tensor,
    ) -> None:
        """Write the row of an update that has been made."""
        if self.ring is None:
            self.prepare(getattr(self.inner, "_trainable_variables", None) or variables)
        ring, dtype = self.ring, self.dtype
        if ring is None:  # which `prepare` has made
            return
        gradients = self._raw(grads, tensors)
        after = [t.read_value() for t in tensors] if self.step.detailed else []
        sizes = [int(np.prod(t.shape)) for t in tensors]
        columns = statistics.of_update(gradients, values, after, sizes, dtype, scale=scale, detailed=self.step.detailed)
        updated = self._updated(iterations)
        at = self._positions(variables)
        if self.applied is not None:
            columns["applied"] = tf.gather(read(self.applied), at)
        else:
            columns["applied"] = columns["raw"]
        columns["applied"] = tf.where(updated, columns["applied"], tf.zeros_like(columns["raw"]))
        table = statistics.as_columns(columns)
        if at != list(range(len(self.variables))):
            # Of variables that take no part, the last statistic is ABSENT.
            absent = np.full((len(self.variables), len(STATISTICS)), np.nan)
            absent[:, -1] = ABSENT
            rows = tf.tensor_scatter_nd_update(tf.constant(absent, dtype), [[k] for k in at], tf.transpose(table))
            table = tf.transpose(rows)
        loss, examples = self.step.loss_and_examples()
        leading = tf.stack([tf.cast(v, dtype) for v in (loss, rate, examples, updated)])
        ring.write(tf.concat([leading, tf.reshape(table, [-1])], 0), self.step.batch())

    def _raw(self, grads: Gradients, tensors: Sequence[tf.Variable]) -> list[Gradient | None]:
        """Return the gradients, summed over the replicas."""
        several = self.step.strategy.num_replicas_in_sync > 1
        static = self.step.jit_compile or several
        raw = [
            statistics.as_gradient(g, t.shape, self.dtype, static=static) for g, t in zip(grads, tensors, strict=True)
        ]
        if not several:
            return raw
        known = [g.values for g in raw if g is not None]
        context = tf.distribute.get_replica_context()
        summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
        return [None if g is None else Gradient(next(summed), g.size) for g in raw]

    def _updated(self, iterations: Tensor) -> Tensor:
        """Return whether the weights moved: not while gradients are accumulated, nor where they are not finite."""
        may_not = self.inner is not self.optimizer or getattr(self.inner, "gradient_accumulation_steps", None)
        # Keras counts an iteration for every update, not for every call.
        return tf.convert_to_tensor(self.optimizer.iterations) > iterations if may_not else tf.constant(True)

    def _positions(self, variables: Sequence[keras.Variable]) -> list[int]:
        at = {id(v): k for k, v in enumerate(self.variables)}
        at |= {id(v.value): k for k, v in enumerate(self.variables) if isinstance(v, keras.Variable)}
        return [at[id(v)] for v in variables]

    def read_new(self) -> tuple[NDArray[np.integer], NDArray[np.floating], int] | None:
        """Return batches and rows since the last call, and how many were lost; None before the first step."""
        return None if self.ring is None else self.ring.read_new()
