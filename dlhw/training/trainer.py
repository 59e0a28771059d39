"""`Trainer`: one Keras model of any kind, in mini-batches, on arrays kept in memory.

A whole epoch is one call of a compiled graph: batches are gathered by a shuffled index inside it, and variables are
updated in place by TensorFlow's fused kernels. Between epochs, loss and accuracy are evaluated in inference mode.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.inputs import input_tensors, length, take, target_tensor
from dlhw._tf.losses import ExampleLoss, Loss, cross_entropy
from dlhw._tf.types import Data, Tensor
from dlhw.choices import Layout
from dlhw.datasets.subsets import EVALUATED, fixed_sample
from dlhw.errors import require
from dlhw.models.probe import Probe, probe
from dlhw.seeds import Stream, generator
from dlhw.training.distributed.replicas import Replicas
from dlhw.training.full_batch import check_trainable, use_xla
from dlhw.training.history import CURVES, Curves, divergence_limit
from dlhw.training.hooks import Hook, Stopped
from dlhw.training.keras_optimizers import as_optimizer
from dlhw.training.optimizers import Optimizer
from dlhw.training.program import Program
from dlhw.training.schedule import Position, Schedule, State
from dlhw.training.steps import Record, Updates


class Trainer:
    """A model, its optimizer and its compiled epoch. `fit` starts from the weights that the model holds.

    Other weights (`model.set_weights`) and another `fit` need no new compilation if the arrays have the same shapes.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        batch_size: int,
        optimizer: Optimizer | str | keras.optimizers.Optimizer,
        loss: Loss = cross_entropy,
        record: Record = False,
        compiled: bool = True,
        xla: bool | None = None,
        layout: Layout = "auto",
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        """Prepare training; nothing is compiled yet.

        Args:
            model: any built Keras model of one output.
            batch_size: examples of one step, over all replicas.
            optimizer: see :func:`dlhw.training.as_optimizer`.
            loss: a Keras name, loss object or function (y_true, y_pred), or None: the compiled loss of the model. What
                Keras's `fit` minimizes is minimized: the mean or sum of the losses that no mask excludes, plus the
                losses that layers add. Constraints of layers act after every update.
            record: store loss and gradient norms of every update, taken on its batch before it; "all" also stores the
                norms of updates and weights and the shares of gradient entries that are zero or not finite, as
                :class:`dlhw.Watch` does, in `Curves.statistics`.
            compiled: False runs the same steps one by one as plain Python.
            xla: compile with XLA; default :func:`use_xla`.
            layout: "auto" computes convolutions with the batch innermost where that is faster for as many examples as
                `fit` takes (:func:`dlhw.models.use_batch_innermost`); "batch-innermost" does so wherever the model
                allows it; "plain" calls the Keras model. The batch-innermost layout needs one device, and is compiled
                with XLA in any case.
            strategy: of `tf.distribute`, mirrored or multi-worker. Each batch is split over its replicas, and gradients
                are summed: the same steps as on one device, up to rounding. The strategy gets a copy of the model.

        Raises:
            UserError: if a batch has fewer examples than there are replicas, and for a model that is not built or
                computes in float16, which needs a scaled loss.
        """
        check_trainable(model)
        require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
        self.replicas = Replicas(model, strategy)
        few = f"batch size {batch_size} is smaller than the {self.replicas.count} replicas that share a batch"
        require(batch_size >= self.replicas.count, f"{few}; use a larger batch or fewer `replicas`")
        self.model, self.batch_size, self.record = model, batch_size, record
        self.loss = ExampleLoss(loss, model)
        self.updates = Updates(self.replicas, self.loss, as_optimizer(optimizer), batch_size, record)
        # XLA compiles one device; sums over several happen between its programs.
        self._layout: Layout = layout if self.replicas.count == 1 and compiled else "plain"
        xla = (use_xla(model) if xla is None else xla) and self.replicas.count == 1
        self.program = Program(self.updates, compiled, xla)

    def fit(
        self,
        train: tuple[Data, Data],
        test: tuple[Data, Data],
        *,
        epochs: int,
        updates: int | None = None,
        seed: int = 0,
        train_eval_examples: int | None = EVALUATED,
        hooks: Sequence[Hook] = (),
        progress: Callable[[int, float], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        log: Callable[[int, Mapping[str, float]], None] | None = None,
        checkpoint: Callable[[Callable[[], State], bool], None] | None = None,
        initial_state: State | None = None,
        converged: Callable[[NDArray[np.floating]], bool] | None = None,
    ) -> Curves:
        """Train the model in place for `epochs` epochs; one that diverges ends there, its curves continue as nan.

        Args:
            train: (x, y), whole in memory, x an array or a structure of several inputs. Batches of `batch_size` come in
                an order drawn anew for each epoch, the remainder as a smaller last batch.
            test: (x, y), evaluated before training and after every epoch.
            epochs: number of epochs; each call starts with fresh optimizer state.
            updates: number of steps, if training ends within its last epoch.
            seed: of the order of the examples.
            train_eval_examples: number of training examples that are evaluated; None: all.
            hooks: called with the epoch and the model, after the evaluation of that epoch.
            progress: called with the number of epochs done and the test loss.
            should_stop: asked after every epoch.
            log: called with the epoch and its row of the curves by name, after the hooks.
            checkpoint: called after every epoch but the last with a function that returns the state, and whether the
                training stops here.
            initial_state: such a state, from which an equal training resumes and ends as if it had not been
                interrupted. Hooks are then called for the remaining epochs only.
            converged: asked after every epoch but the last, with the training losses after all epochs so far; True
                stops the training, whose curves continue as nan.

        Returns:
            The curves, (epochs + 1,) each.

        Raises:
            UserError: if there are fewer examples than a batch holds, and for data that do not fit the model or its
                loss.
            Stopped: if `should_stop` returns True.
        """
        (x, y), test = self._arrays(*train), self._arrays(*test)
        n = self._try(x, y, test)
        schedule = Schedule(n, self.batch_size, epochs, updates)
        rows = fixed_sample(n, train_eval_examples or n)
        sample = (x, y) if len(rows) == n else take((x, y), rows)
        # A training goes on in the layout in which it began, also on another machine.
        layout: Any = self._layout if initial_state is None else str(initial_state.get("layout", self._layout))
        self.updates.choose_layout("plain" if self.program.failed else layout, schedule.total * self.batch_size, x)
        self.updates.reset()
        self.replicas.copy_to_replicas()
        (x, y), sample, test = (self.replicas.replicate(pair) for pair in ((x, y), sample, test))
        compile_seconds = self.program.compile(n, x, y, sample, test)
        at = Position(np.full((epochs + 1, 4), np.nan)) if initial_state is None else self._restore(initial_state)
        began, rng = time.perf_counter() - at.seconds, generator(seed, Stream.BATCHES)
        for _ in range(at.epoch):  # a resumed training continues with the order of its next epoch
            rng.permutation(n)
        diverged_at = stopped_at = None  # epochs
        for epoch in range(at.epoch + 1, epochs + 1):
            if epoch:
                self._train_epoch(schedule.steps(epoch), x, y, rng.permutation(n), at)
            row = [*self.program.evaluate(*sample), *self.program.evaluate(*test)]
            at.limit = divergence_limit(row[0], 1.0) if epoch == 0 else at.limit
            if not row[0] <= at.limit:
                diverged_at = epoch
                break
            at.table[epoch], at.epoch, at.seconds = row, epoch, time.perf_counter() - began
            for hook in hooks:
                hook(epoch, self.model)
            if log is not None:
                log(epoch, dict(zip(CURVES, row, strict=True)))
            if progress is not None:
                progress(epoch, row[2])
            if converged is not None and 0 < epoch < epochs and converged(at.table[1 : epoch + 1, 0]):
                stopped_at = epoch
                break
            stopping = epoch < epochs and should_stop()
            if checkpoint is not None and epoch < epochs:
                checkpoint(self._state(at), stopping)
            if stopping:
                raise Stopped
        curves = at.curves(diverged_at, time.perf_counter() - began, compile_seconds)
        curves = replace(curves, stopped_at=stopped_at)
        return self.updates.with_steps(curves, at.recorded(schedule.total, self.updates.row_width))

    def _train_epoch(
        self, steps: tuple[int, int, bool], x: Tensor, y: Tensor, order: NDArray[np.integer], at: Position
    ) -> None:
        """Take the steps of one epoch, and store what they recorded."""
        before, full, last = steps
        counts = tf.constant(before), tf.constant(full), tf.constant(last)
        rows = self.program.train_epoch(*counts, x, y, tf.constant(order.astype(np.int32)))
        at.blocks += [rows[0].numpy()[: full + last]] if self.record else []
        self.replicas.copy_from_replicas()

    def _state(self, at: Position) -> Callable[[], State]:
        return lambda: at.pack() | self.updates.state() | {"layout": np.array(self.layout)}

    def _restore(self, state: State) -> Position:
        self.updates.restore(state)
        self.replicas.copy_from_replicas()
        return Position.unpack(state)

    @property
    def layout(self) -> Layout:
        """How outputs were computed in the last training: "plain" or "batch-innermost"."""
        return self.updates.forward.layout

    def measure(self, x: Data, y: Data) -> tuple[float, float]:
        """Return mean loss and accuracy in inference mode.

        Args:
            x: inputs, (n, ...), or a structure of several.
            y: targets, (n, ...).

        Returns:
            Mean loss, and accuracy as a fraction in [0, 1]; nan if y are not class labels.

        Raises:
            UserError: for data that do not fit the model or its loss.
        """
        arrays = self._arrays(x, y)
        self._note(probe(self.model, self.loss, *arrays))
        self.replicas.copy_to_replicas()
        return self.program.evaluate(*(self.replicas.replicate(a) for a in arrays))

    def _arrays(self, x: Data, y: Data) -> tuple[Tensor, Tensor]:
        return input_tensors(self.model, x, in_memory=True), target_tensor(self.model, y, in_memory=True)

    def _try(self, x: Tensor, y: Tensor, test: tuple[Any, Any]) -> int:
        """Refuse data that do not go with the model before any long work; return the number of training examples."""
        self._note(probe(self.model, self.loss, x, y))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # already warned about for the training data
            probe(self.model, self.loss, *test)
        n = length((x, y))
        require(self.batch_size <= n, f"`batch_size` {self.batch_size} exceeds the {n} training examples")
        return n

    def _note(self, behaviour: Probe) -> None:
        """Measure as the model needs it."""
        self.replicas.check_splittable(behaviour)
        self.program.moving, self.updates.at_once = behaviour.moving, behaviour.at_once
        self.updates.masked = behaviour.masked
