"""`Trainer`: one Keras model of any kind, in mini-batches, on arrays kept in memory.

A whole epoch is one call of a compiled graph: batches are gathered by a shuffled index inside it, and variables are
updated in place by TensorFlow's fused kernels. Between epochs loss and accuracy are measured in inference mode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._compiled import Compiled
from dlhw._labels import MEASURED, STREAM_OF_ORDER, fixed_sample
from dlhw.errors import require
from dlhw.measure.gradients import layer_groups, norms
from dlhw.measure.objective import hits, per_example, tensors
from dlhw.training.history import Curves, divergence_limit
from dlhw.training.loop import use_xla
from dlhw.training.optimizers import Optimizer

Hook = Callable[[int, keras.Model], None]
"""Called with the epoch (0 is the start) and the model, after the measurements of that epoch."""

_MEASURE_BATCH = 1000


class Stopped(Exception):  # noqa: N818  (no error: somebody asked for it)
    """Raised between epochs when `stop` says so."""


def cross_entropy(y_true: Any, y_pred: Any) -> Any:
    """Cross entropy of integer labels (n,) and logits (n, classes), each, (n,): log sum exp z - z_y, in nats."""
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)


def every(k: int, hook: Hook) -> Hook:
    """`hook` at epoch 0, k, 2k, ..."""

    def call(epoch: int, model: keras.Model) -> None:
        if epoch % k == 0:
            hook(epoch, model)

    return call


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
        optimizer: Optimizer,
        loss: str | Callable[[Any, Any], Any] = cross_entropy,
        record: bool = False,
        compiled: bool = True,
        xla: bool | None = None,
    ) -> None:
        """loss(y_true, y_pred): a Keras name or a function; its mean is minimised, plus the losses that layers add.

        record: keep loss and gradient norms of every update, taken on its batch before it.
        compiled=False runs the same steps one by one as plain Python; xla: default :func:`use_xla`.
        """
        require(batch_size >= 1, f"batch_size {batch_size} must be positive")
        self.model, self.batch_size, self.rule = model, batch_size, optimizer
        self.loss, self.compiled, self.record = per_example(loss), compiled, record
        self.layers = layer_groups(model)
        self.xla = use_xla(model) if xla is None else xla
        self.variables = [v.value for v in model.trainable_variables]
        self.slots = tuple(
            [tf.Variable(s, trainable=False) for s in group] for group in optimizer.slots(self.variables)
        )
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
    ) -> Curves:
        """Train the model in place for `epochs` epochs.

        train, test: (x, y), arrays or tensors, whole in memory; batches of `batch_size` in an order drawn anew for each
        epoch from `seed`, the remainder as a smaller last batch. updates: the training ends after so many steps, within
        its last epoch; `epochs` must hold them. measured: how many training examples are measured;
        None: all. `progress` gets (epochs done, test loss). Each call starts with fresh memory of the optimizer.
        A training that diverges ends there; its curves go on as nan.

        Raises UserError if there are fewer examples than a batch holds, Stopped if `stop` returns True.
        """
        (x, y), test = (tuple(tensors(self.model, a) for a in pair) for pair in (train, test))
        n = int(x.shape[0])
        require(self.batch_size <= n, f"batch_size {self.batch_size} exceeds the {n} training examples")
        some = fixed_sample(n, measured or n)
        sample = (x, y) if len(some) == n else (tf.gather(x, some), tf.gather(y, some))
        for variable in (v for group in self.slots for v in group):
            variable.assign(tf.zeros_like(variable))
        compile_seconds = self._compile(x, y, sample, test)
        began, rng = time.perf_counter(), np.random.default_rng([seed, STREAM_OF_ORDER])
        steps, rest = divmod(n, self.batch_size)
        table, blocks = np.full((epochs + 1, 4), np.nan), []
        each = steps + (rest > 0)
        left = epochs * each if updates is None else updates
        require(
            (epochs - 1) * each < left <= epochs * each,
            f"{updates} updates do not end within epoch {epochs} of {each} steps each",
        )
        limit, gone = np.inf, None
        for epoch in range(epochs + 1):
            if epoch:
                order = rng.permutation(n).astype(np.int32)
                count = (epoch - 1) * each
                last = rest > 0 and left - count > steps
                counts = tf.constant(count), tf.constant(min(steps, left - count)), tf.constant(last)
                rows = self._call(self._run_epoch, *counts, x, y, tf.constant(order))
                blocks += [rows[0].numpy()[: left - count]] if self.record else []
            row = [*self.measure(*sample), *self.measure(*test)]
            limit = divergence_limit(row[0], 1.0) if epoch == 0 else limit
            if not row[0] <= limit:
                gone = epoch
                break
            table[epoch] = row
            for hook in hooks:
                hook(epoch, self.model)
            if progress is not None:
                progress(epoch, row[2])
            if stop() and epoch < epochs:
                raise Stopped
        a, b, c, d = table.T
        seconds = time.perf_counter() - began
        return Curves(a, b, c, d, gone, seconds, compile_seconds, **self._recorded(blocks, left))

    def _recorded(self, blocks: list[np.ndarray], updates: int) -> dict[str, np.ndarray]:
        """Loss and norms of every update; nan after a divergence."""
        if not self.record:
            return {}
        whole = np.full((updates, 2 + len(self.layers)), np.nan)
        for found in [np.concatenate(blocks)] if blocks else []:
            whole[: len(found)] = found
        return {"step_loss": whole[:, 0], "gradient_norm": whole[:, 1], "layer_gradient_norms": whole[:, 2:]}

    def measure(self, x: Any, y: Any) -> tuple[float, float]:
        """Mean loss and accuracy on (x, y) in inference mode; accuracy is nan where y are no classes."""
        x, y = tensors(self.model, x), tensors(self.model, y)
        loss, right = self._call(self._run_measure, x, y)
        return float(loss) / len(x), float(right) / len(x)

    def _compile(self, x: Any, y: Any, sample: Any, test: Any) -> float:
        """Trace and compile for these shapes, without taking a step."""
        began = time.perf_counter()
        if self.compiled:
            self.measure(*sample)
            self.measure(*test)
            nothing = tf.constant(0), tf.constant(0), tf.constant(False), x, y, tf.zeros((x.shape[0],), tf.int32)
            self._call(self._run_epoch, *nothing)
        return time.perf_counter() - began

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function` of tensors, compiled once for their shapes."""
        if not self.compiled:
            return function(*arguments)
        if function.__name__ not in self._functions:
            self._functions[function.__name__] = Compiled(function, xla=self.xla)
        return self._functions[function.__name__](*arguments)

    def _update(self, count: Any, x: Any, y: Any) -> Any:
        """One step; with `record` its loss and norms, (2 + layers,)."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            losses = self.loss(y, self.model(x, training=True))
            value = tf.add_n([tf.reduce_mean(losses), *self.model.losses])
        gradients = tape.gradient(value, self.variables, unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        row = None
        if self.record:
            total, layers = norms(gradients, self.layers)
            row = tf.cast(tf.concat([[tf.cast(value, total.dtype), total], layers], 0), self.variables[0].dtype)
        self.rule.apply(count, self.variables, gradients, self.slots)
        return row

    def _run_epoch(self, done: Any, steps: Any, remainder: Any, x: Any, y: Any, order: Any) -> Any:
        """`steps` full batches and, if `remainder`, the smaller last one; with `record` a row for each of them."""
        n, size = int(order.shape[0]), self.batch_size
        rest = n % size
        empty = tf.zeros((-(-n // size), 2 + len(self.layers)), self.variables[0].dtype)

        def step(i: Any, rows: Any, *table: Any) -> Any:
            row = self._update(done + i + 1, tf.gather(x, rows), tf.gather(y, rows))
            return (i + 1, *(tf.tensor_scatter_nd_update(t, [[i]], [row]) for t in table))

        def body(i: Any, *table: Any) -> Any:
            return step(i, tf.slice(order, [i * size], [size]), *table)

        state = (tf.constant(0), empty) if self.record else (tf.constant(0),)
        state = tf.while_loop(lambda i, *_: i < steps, body, state)
        if rest:
            state = tf.cond(remainder, lambda: step(state[0], order[-rest:], *state[1:]), lambda: tuple(state))
        return state[1:] or tf.constant(0)

    def _run_measure(self, x: Any, y: Any) -> tuple[Any, Any]:
        n = int(x.shape[0])
        size = min(n, _MEASURE_BATCH)

        def part(start: Any, length: int) -> tuple[Any, Any]:
            z = self.model(tf.slice(x, [start, *[0] * (len(x.shape) - 1)], [length, *x.shape[1:]]), training=False)
            t = tf.slice(y, [start, *[0] * (len(y.shape) - 1)], [length, *y.shape[1:]])
            losses, right = self.loss(t, z), hits(t, z)
            unknown = tf.constant(np.nan, losses.dtype)
            return tf.reduce_sum(losses), unknown if right is None else tf.reduce_sum(tf.cast(right, losses.dtype))

        def body(i: Any, loss: Any, right: Any) -> Any:
            more, well = part(i * size, size)
            return i + 1, loss + more, right + well

        zero = tf.zeros([], self.model.compute_dtype)
        _, loss, right = tf.while_loop(lambda i, *_: i < n // size, body, (tf.constant(0), zero, zero))
        if n % size:
            more, well = part(n - n % size, n % size)
            loss, right = loss + more, right + well
        return loss, right
