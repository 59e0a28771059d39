"""`Trainer`: one Keras model of any kind, in mini-batches, on arrays kept in memory.

A whole epoch is one call of a compiled graph: batches are gathered by a shuffled index inside it, and variables are
updated in place by TensorFlow's fused kernels. Between epochs loss and accuracy are measured in inference mode.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._compiled import Compiled
from dlhw._labels import MEASURED, STREAM_OF_ORDER, fixed_sample
from dlhw.errors import UserError, require
from dlhw.measure.inputs import input_tensors, length, take, target_tensor
from dlhw.measure.losses import ExampleLoss, Loss, cross_entropy
from dlhw.measure.probe import Probe, probe
from dlhw.measure.state import all_variables
from dlhw.training.history import Curves, divergence_limit
from dlhw.training.loop import check_trainable, use_xla
from dlhw.training.optimizers import Optimizer, as_optimizer
from dlhw.training.replicas import Replicas
from dlhw.training.updates import Updates

Hook = Callable[[int, keras.Model], None]
"""Called with the epoch (0 is the start) and the model, after the measurements of that epoch."""

CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
State = Mapping[str, NDArray[Any]]
"""Everything a training needs to go on after an epoch, as arrays."""


class Stopped(Exception):  # noqa: N818  (no error: somebody asked for it)
    """Raised between epochs when `stop` says so."""


def every(k: int, hook: Hook) -> Hook:
    """`hook` at epoch 0, k, 2k, ..."""

    def call(epoch: int, model: keras.Model) -> None:
        if epoch % k == 0:
            hook(epoch, model)

    return call


@dataclass
class _Position:
    """Where a training stands."""

    table: NDArray[np.floating]  # (E + 1, 4) curves so far
    blocks: list[NDArray[np.floating]] = field(default_factory=list)  # of every epoch, what was recorded
    epoch: int = -1  # the last one measured
    limit: float = np.inf  # of divergence
    seconds: float = 0.0


class Trainer:
    """A model, its optimizer and its compiled epoch. `fit` starts from the weights that the model holds.

    The compiled functions are kept: other weights (`model.set_weights`) and another `fit` need no new compilation as
    long as the arrays have the same shapes.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        batch_size: int,
        optimizer: Optimizer | str | keras.optimizers.Optimizer,
        loss: Loss = cross_entropy,
        record: bool = False,
        compiled: bool = True,
        xla: bool | None = None,
        strategy: Any = None,
    ) -> None:
        """loss: a Keras name, loss object or function (y_true, y_pred), or None: the compiled loss of the model.
        What Keras's `fit` minimises is minimised: mean or sum of the losses that no mask excludes, plus the losses that
        layers add. Constraints of layers act after every update.

        record: keep loss and gradient norms of every update, taken on its batch before it.
        compiled=False runs the same steps one by one as plain Python; xla: default :func:`use_xla`.
        strategy: of `tf.distribute`, mirrored or multi-worker. Each batch is split over its replicas, the last ones
        unevenly, and gradients are summed: the same steps as on one device, up to rounding. `batch_size` counts the
        whole batch. The model may have been made anywhere; the strategy gets a copy (:class:`Replicas`).

        Raises UserError if a batch has fewer examples than there are replicas, and for a model that is not built or
        computes in float16, which needs a scaled loss.
        """
        check_trainable(model)
        require(batch_size >= 1, f"batch_size {batch_size} must be positive")
        self.replicas = Replicas(model, strategy)
        few = f"batch size {batch_size} is smaller than the {self.replicas.count} replicas that share a batch"
        require(batch_size >= self.replicas.count, f"{few}; use a larger batch or fewer --replicas")
        self.model, self.batch_size, self.compiled, self.record = model, batch_size, compiled, record
        # XLA compiles one device; sums over several happen between its programs.
        self.xla = (use_xla(model) if xla is None else xla) and self.replicas.count == 1
        self.loss = ExampleLoss(loss, model)
        self.updates = Updates(self.replicas, self.loss, as_optimizer(optimizer), batch_size, record)
        self.moving: tuple[Any, ...] = ()  # variables that a measurement changes, and which are put back
        self.states = all_variables(self.replicas.model), tf.nest.flatten(self.updates.slots)
        self._functions: dict[str, Compiled] = {}

    def fit(
        self,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        *,
        epochs: int,
        updates: int | None = None,
        seed: int = 0,
        measured: int | None = MEASURED,
        hooks: Sequence[Hook] = (),
        progress: Callable[[int, float], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        scalars: Callable[[int, Mapping[str, float]], None] | None = None,
        keep: Callable[[Callable[[], State], bool], None] | None = None,
        resume: State | None = None,
    ) -> Curves:
        """Train the model in place for `epochs` epochs.

        train, test: (x, y), whole in memory, x an array or a structure of several inputs; batches of `batch_size` in
        an order drawn anew for each epoch from `seed`, the remainder as a smaller last batch. updates: the training
        ends after so many steps, within its last epoch; `epochs` must hold them. measured: how many training examples
        are measured; None: all. `progress` gets (epochs done, test loss). Each call starts with fresh memory of the
        optimizer.
        `scalars` gets the epoch and its row of the curves by name, after the hooks.
        A training that diverges ends there; its curves go on as nan.

        `keep` gets, after every epoch but the last, a function that returns the state, and whether the training stops
        here; resume: such a state, from which an equal training goes on and ends as if it had not been broken off.
        Hooks are then called for the epochs to come alone.

        Raises UserError if there are fewer examples than a batch holds, for data that do not go with the model or its
        loss, Stopped if `stop` returns True.
        """
        (x, y), test = self._arrays(*train), self._arrays(*test)
        n = length((x, y))
        self._try(x, y, test)
        require(self.batch_size <= n, f"batch_size {self.batch_size} exceeds the {n} training examples")
        some = fixed_sample(n, measured or n)
        sample = (x, y) if len(some) == n else take((x, y), some)
        for variable in self.states[1]:
            variable.assign(tf.zeros_like(variable))
        self.replicas.push()
        (x, y), sample, test = (self.replicas.everywhere(pair) for pair in ((x, y), sample, test))
        compile_seconds = self._compile(n, x, y, sample, test)
        began, rng = time.perf_counter(), np.random.default_rng([seed, STREAM_OF_ORDER])
        steps, rest = divmod(n, self.batch_size)
        each = steps + (rest > 0)
        left = epochs * each if updates is None else updates
        require(
            (epochs - 1) * each < left <= epochs * each,
            f"{updates} updates do not end within epoch {epochs} of {each} steps each",
        )
        at = _Position(np.full((epochs + 1, 4), np.nan))
        if resume is not None:
            at = self._restore(resume)
            began -= at.seconds
            for _ in range(at.epoch):
                rng.permutation(n)
        gone = None
        for epoch in range(at.epoch + 1, epochs + 1):
            if epoch:
                order = rng.permutation(n).astype(np.int32)
                count = (epoch - 1) * each
                last = rest > 0 and left - count > steps
                counts = tf.constant(count), tf.constant(min(steps, left - count)), tf.constant(last)
                rows = self._call(self.updates.epoch, *counts, x, y, tf.constant(order))
                at.blocks += [rows[0].numpy()[: left - count]] if self.record else []
                self.replicas.pull()
            row = [*self._measured(*sample), *self._measured(*test)]
            at.limit = divergence_limit(row[0], 1.0) if epoch == 0 else at.limit
            if not row[0] <= at.limit:
                gone = epoch
                break
            at.table[epoch], at.epoch, at.seconds = row, epoch, time.perf_counter() - began
            for hook in hooks:
                hook(epoch, self.model)
            if scalars is not None:
                scalars(epoch, dict(zip(CURVES, row, strict=True)))
            if progress is not None:
                progress(epoch, row[2])
            stopping = epoch < epochs and stop()
            if keep is not None and epoch < epochs:
                keep(lambda: self._state(at), stopping)
            if stopping:
                raise Stopped
        a, b, c, d = at.table.T
        seconds = time.perf_counter() - began
        return Curves(a, b, c, d, gone, seconds, compile_seconds, **self._recorded(at.blocks, left))

    def _state(self, at: _Position) -> State:
        """What :meth:`_restore` reads."""
        numbers = {"epoch": at.epoch, "limit": at.limit, "seconds": at.seconds}
        state = {k: np.array(v) for k, v in numbers.items()} | {"table": at.table.copy()}
        for kind, variables in zip(("weight", "slot"), self.states, strict=True):
            state |= {f"{kind} {k}": v.numpy() for k, v in enumerate(variables)}
        return state | ({"steps": np.concatenate(at.blocks)} if at.blocks else {})

    def _restore(self, state: State) -> _Position:
        for kind, variables in zip(("weight", "slot"), self.states, strict=True):
            for k, variable in enumerate(variables):
                variable.assign(state[f"{kind} {k}"])
        self.replicas.pull()
        blocks = [state["steps"]] if "steps" in state else []
        numbers = int(state["epoch"]), float(state["limit"]), float(state["seconds"])
        return _Position(state["table"].copy(), blocks, *numbers)

    def _recorded(self, blocks: list[np.ndarray], updates: int) -> dict[str, np.ndarray]:
        """Loss and norms of every update; nan after a divergence."""
        if not self.record:
            return {}
        whole = np.full((updates, 2 + len(self.updates.layers)), np.nan)
        for found in [np.concatenate(blocks)] if blocks else []:
            whole[: len(found)] = found
        return {"step_loss": whole[:, 0], "gradient_norm": whole[:, 1], "layer_gradient_norms": whole[:, 2:]}

    def measure(self, x: Any, y: Any) -> tuple[float, float]:
        """Mean loss and accuracy on (x, y) in inference mode; accuracy is nan where y are no classes."""
        arrays = self._arrays(x, y)
        self._note(probe(self.model, self.loss, *arrays))
        self.replicas.push()
        return self._measured(*(self.replicas.everywhere(a) for a in arrays))

    def _arrays(self, x: Any, y: Any) -> tuple[Any, Any]:
        return input_tensors(self.model, x, in_memory=True), target_tensor(self.model, y, in_memory=True)

    def _try(self, x: Any, y: Any, test: tuple[Any, Any]) -> None:
        """Refuse data that do not go with the model before any long work."""
        self._note(probe(self.model, self.loss, x, y))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said of the training data
            probe(self.model, self.loss, *test)

    def _note(self, behaviour: Probe) -> None:
        """Measure as the model needs it."""
        depends = behaviour.moving or "sum" in behaviour.added or "whole" in behaviour.added
        require(
            self.replicas.count == 1 or not (depends or behaviour.at_once),
            "a model with states, or a loss that depends on the whole batch, cannot be split over replicas; use one",
        )
        self.moving, self.updates.at_once = behaviour.moving, behaviour.at_once
        self.updates.masked = behaviour.masked

    def _measured(self, x: Any, y: Any) -> tuple[float, float]:
        n = len(self.replicas.first(y))
        before = [v.numpy() for v in self.moving]
        loss, count, right = self._call(self.updates.measure, x, y)
        for variable, value in zip(self.moving, before, strict=True):
            variable.assign(value)
        return float(loss) / (1 if self.loss.is_sum else float(count)), float(right) / n

    def _compile(self, n: int, x: Any, y: Any, sample: Any, test: Any) -> float:
        """Trace and compile for these shapes, without taking a step."""
        began = time.perf_counter()
        if self.compiled:
            nothing = tf.constant(0), tf.constant(0), tf.constant(False), x, y, tf.zeros((n,), tf.int32)
            try:
                self._measured(*sample)
                self._measured(*test)
                self._call(self.updates.epoch, *nothing)
            except (tf.errors.OpError, TypeError, ValueError) as error:
                if isinstance(error, UserError) or not self.xla:
                    raise
                self.xla = False  # an op that XLA does not have
                self._functions.clear()
                return self._compile(n, x, y, sample, test)
        return time.perf_counter() - began

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function` of tensors, compiled once for their shapes."""
        if not self.compiled:
            return function(*arguments)
        if function.__name__ not in self._functions:
            self._functions[function.__name__] = Compiled(function, xla=self.xla)
        return self._functions[function.__name__](*arguments)
