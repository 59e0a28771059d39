"""`fit`: one Keras model of any kind, full batch. Its `train_step` is the plain step that all faster paths equal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw.measure.gradients import layer_groups, norms
from dlhw.training.history import History, divergence_limit, first_divergence
from dlhw.training.optimizers import Optimizer

Progress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, newest median loss) at every chunk border."""


class Pace:
    """How many steps the next call of a compiled loop takes: about half a second, at most `most`."""

    def __init__(self, most: int) -> None:
        self.most, self.steps = most, min(most, 16)

    def took(self, steps: int, seconds: float) -> None:
        """Learn from the last call."""
        self.steps = max(1, min(self.most, int(0.5 * steps / max(seconds, 1e-6))))


def train_step(
    model: keras.Model,
    loss: Callable[[Any, Any], Any],
    rule: Optimizer,
    count: Any,
    slots: Any,
    x: Any,
    y: Any,
) -> tuple[Any, Any, Any, Any]:
    """One update of `model` in place, by the book: forward, loss, gradient, norms, optimizer.

    Returns the loss and the gradient norms before the update (scalar; scalar; (layers,)) and the new slots.
    Works uncompiled, which is the reference of the tests, and inside tf.function.
    """
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        value = tf.add_n([tf.reduce_mean(loss(y, model(x, training=True))), *model.losses])
    gradients = tape.gradient(value, [v.value for v in variables], unconnected_gradients="zero")
    total, layers = norms(gradients, layer_groups(model))
    moved, slots = rule.step(count, [v.value for v in variables], gradients, slots)
    for variable, new in zip(variables, moved, strict=True):
        variable.assign(new)
    return value, total, layers, slots


def use_xla(model: keras.Model, steps: int | None = None) -> bool:
    """Whether XLA pays on the CPU: for dense nets; not with convolutions or pooling, where its kernels are slow.

    It compiles for about two seconds and saves some tenths of a millisecond a step: with fewer than 5000 `steps`
    in view, not even then.
    """
    if steps is not None and steps < 5000:
        return False
    slow = ("Conv", "Pool", "RNN", "LSTM", "GRU")
    return not any(part in type(layer).__name__ for layer in model._flatten_layers() for part in slow)


def fit(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    steps: int,
    optimizer: Optimizer,
    loss: str | Callable[[Any, Any], Any] = "mse",
    compiled: bool = True,
    chunk: int = 1000,
    progress: Progress | None = None,
) -> History:
    """Train `model` in place on the whole batch (x, y) for `steps` updates and record loss and gradient norms.

    loss(y_true, y_pred) is a Keras name or function; its mean is minimised, plus the losses that layers add
    (regularizers). A model that diverges runs on; the
    history says at which step it left. compiled=False runs `train_step` as plain Python.
    """
    function = keras.losses.get(loss)
    x, y = (tf.convert_to_tensor(a, model.compute_dtype) for a in (x, y))
    length = min(chunk, steps)
    step = _bound_step(model, function, optimizer)
    call = _compiled(model, step, length) if compiled else None
    blocks, seconds, compile_seconds = [], 0.0, 0.0
    if call is not None:
        began = time.perf_counter()
        call(tf.constant(0), tf.constant(0), x, y)  # no step: this traces and compiles
        compile_seconds = time.perf_counter() - began
    start, pace = 0, Pace(length)
    while start < steps:
        n = min(pace.steps, steps - start)
        began = time.perf_counter()
        if call is not None:
            block = call(tf.constant(start), tf.constant(n), x, y).numpy()[:n]
        else:
            block = np.array([np.hstack([np.asarray(v) for v in step(start + i + 1, x, y)]) for i in range(n)])
        blocks.append(block)
        took = time.perf_counter() - began
        seconds, start = seconds + took, start + n
        pace.took(n, took)
        if progress is not None:
            progress(start, steps, float(block[-1, 0]))
    final = float(tf.add_n([tf.reduce_mean(function(y, model(x, training=False))), *model.losses]))
    return _history(np.concatenate(blocks), final, float(np.mean(np.square(y))), seconds, compile_seconds)


def _bound_step(model: keras.Model, loss: Callable[[Any, Any], Any], rule: Optimizer) -> Callable[..., Any]:
    """`train_step` of one model, its slots kept in variables: (count, x, y) -> loss, norm, norms of the layers."""
    slots = rule.slots([v.value for v in model.trainable_variables])
    kept = tuple([tf.Variable(s, trainable=False) for s in group] for group in slots)

    def step(count: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
        read = tuple([tf.convert_to_tensor(s) for s in group] for group in kept)
        value, total, layers, new = train_step(model, loss, rule, count, read, x, y)
        for group, moved in zip(kept, new, strict=True):
            for variable, tensor in zip(group, moved, strict=True):
                variable.assign(tensor)
        return value, total, layers

    return step


def _compiled(model: keras.Model, step: Callable[..., Any], length: int) -> Callable[..., Any]:
    """At most `length` steps in one graph: (steps done, n, x, y) -> rows of loss, norm, norms of the layers."""
    width = 2 + len(layer_groups(model))

    def run(start: Any, n: Any, x: Any, y: Any) -> Any:
        rows = tf.zeros((length, width), x.dtype)
        for i in tf.range(n):
            value, total, layers = step(start + i + 1, x, y)
            row = tf.concat([[value, total], layers], 0)
            rows = tf.tensor_scatter_nd_update(rows, [[i]], [row])
        return rows

    return tf.function(run, jit_compile=use_xla(model))


def _history(table: np.ndarray, final: float, power: float, seconds: float, compile_seconds: float) -> History:
    loss = np.append(table[:, 0], table.dtype.type(final))
    gone = first_divergence(loss, divergence_limit(float(loss[0]), power))
    if gone is not None:
        loss[gone:] = table[gone:] = np.nan
    return History(loss, table[:, 1], table[:, 2:], gone, seconds, compile_seconds)
