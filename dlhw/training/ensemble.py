"""`fit_many`: many small dense nets at once, each trained as if it were alone.

Nets of one shape are stacked: weights (S, out, in), activations features x batch (S, features, batch), which XLA's
matrix products like several times better than batch x features when the nets are narrow. The whole training of a
stack is one compiled while-loop, called in chunks so that progress and Ctrl-C come through; stacks of different
shapes run side by side on threads, because such small products cannot keep two cores busy by themselves.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw.errors import UserError
from dlhw.measure.gradients import norms
from dlhw.training.history import History, divergence_limit, first_divergence
from dlhw.training.loop import Progress
from dlhw.training.optimizers import Optimizer

Activation = Callable[[Any], Any]


def fit_many(
    models: Sequence[keras.Model],
    x: Any,
    y: Any,
    *,
    steps: int,
    optimizer: Optimizer,
    gradient_norm: bool = False,
    chunk: int = 1000,
    workers: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    finished: Callable[[list[int], list[History]], None] | None = None,
) -> list[History]:
    """Train every model in place on the whole batch (x, y), mean squared error, and return a History each.

    models: chains of Dense layers (functional or Sequential), any shapes; those of equal shape and activations
    train as one stack. x (batch, inputs), y (batch, outputs). `workers` threads (default: one a core) run the stacks.
    `device` is TensorFlow's name of one, such as "/GPU:0" (default: TensorFlow's choice).
    `progress` is called at chunk borders with all steps of all stacks; `finished` as soon as a stack ends, with the
    positions of its models and their histories. A net whose loss leaves :func:`divergence_limit` is frozen there
    and the others are not touched. Each net equals the one trained alone by :func:`fit` up to rounding.

    Raises UserError for a model that is not such a chain, or holds frozen layers, regularizers or constraints.
    """
    workers = workers or os.cpu_count() or 1
    groups: dict[Any, list[int]] = {}
    for k, model in enumerate(models):
        groups.setdefault(_shape(model), []).append(k)
    places = _split(list(groups.values()), workers)
    with tf.device(device):
        stacks = [_Stack([models[k] for k in p], x, y, optimizer, gradient_norm, min(chunk, steps)) for p in places]
    for stack in stacks:
        stack.device = device
    histories: dict[int, History] = {}

    def end(k: int) -> None:
        new = stacks[k].histories()
        histories.update(zip(places[k], new, strict=True))
        if finished is not None:
            finished(places[k], new)

    _run_side_by_side(stacks, steps, workers, progress, end)
    return [histories[k] for k in range(len(models))]


def _split(groups: list[list[int]], workers: int) -> list[list[int]]:
    """Halve the largest group until every worker has one, as far as there are nets."""
    while len(groups) < workers and max(len(g) for g in groups) > 1:
        groups = sorted(groups, key=len)
        last = groups.pop()
        half = (len(last) + 1) // 2
        groups += [last[:half], last[half:]]
    return groups


def _run_side_by_side(
    stacks: list[_Stack], steps: int, workers: int, progress: Progress | None, end: Callable[[int], None]
) -> None:
    """Keep `workers` threads busy with chunks; the stack that is furthest behind goes next."""
    total, idle, running = steps * len(stacks), set(range(len(stacks))), dict[Future[None], int]()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dlhw")
    try:
        while idle or running:
            for k in sorted(idle, key=lambda k: stacks[k].done)[: workers - len(running)]:
                idle.remove(k)
                running[pool.submit(stacks[k].advance, min(stacks[k].length, steps - stacks[k].done))] = k
            # A bounded wait: on some platforms an unbounded one does not see Ctrl-C.
            for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                k = running.pop(future)
                future.result()
                if stacks[k].done < steps:
                    idle.add(k)
                else:
                    end(k)
                if progress is not None:
                    progress(sum(s.done for s in stacks), total, float(np.median([s.newest for s in stacks])))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Stack:
    """S nets of one shape: stacked weights as loop tensors, one compiled function, what has been recorded."""

    _tracing = threading.Lock()  # tracing is pure Python; two at once only fight for the interpreter lock
    device: str | None = None  # opened in every call: tf.device holds for one thread, and threads of a pool run this

    def __init__(
        self, models: list[keras.Model], x: Any, y: Any, rule: Optimizer, record_norm: bool, length: int
    ) -> None:
        self.models, self.rule, self.record_norm, self.length = models, rule, record_norm, length
        dtype = models[0].compute_dtype
        self.activations = [layer.activation for layer in _dense_layers(models[0])]
        self.x = tf.constant(np.asarray(x).T[None], dtype)  # (1, inputs, batch)
        self.y = tf.constant(np.asarray(y).T[None], dtype)  # (1, outputs, batch)
        self.parameters = [tf.constant(p, dtype) for p in _stacked(models)]
        self.slots = rule.slots(self.parameters)
        first = self._losses(self.parameters).numpy()
        power = float(np.mean(np.square(y)))
        self.limit = np.array([divergence_limit(float(v), power) for v in first])
        self.alive = tf.ones(len(models), bool)
        self.done, self.newest = 0, float(np.median(first))
        self.seconds, self.compile_seconds = 0.0, 0.0
        self.blocks: list[np.ndarray] = []  # (steps, 1 or 2 + layers, S)
        self._call = tf.function(self._chunk, jit_compile=True)

    def advance(self, n: int) -> None:
        """Take n steps, at most `length`."""
        with tf.device(self.device):
            self._advance(n)

    def _advance(self, n: int) -> None:
        limit = tf.constant(self.limit, self.x.dtype)
        state = (self.parameters, self.slots, self.alive)
        arguments = (tf.constant(self.done), tf.constant(n), *state, self.x, self.y, limit)
        if self.done == 0:
            with self._tracing:
                began = time.perf_counter()
                self._call = self._call.get_concrete_function(*arguments)
                self.compile_seconds = time.perf_counter() - began
            began = time.perf_counter()
            self._call(tf.constant(0), tf.constant(0), *arguments[2:])  # no step: XLA compiles at the first call
            self.compile_seconds += time.perf_counter() - began
        began = time.perf_counter()
        self.parameters, self.slots, self.alive, rows = self._call(*arguments)
        self.blocks.append(rows.numpy()[:n])
        self.done += n
        self.newest = float(np.median(self.blocks[-1][-1, 0]))
        self.seconds += time.perf_counter() - began

    def _losses(self, parameters: list[Any], x: Any = None, y: Any = None) -> Any:
        """Mean squared error of each net, (S,)."""
        h = self.x if x is None else x
        for k, activation in enumerate(self.activations):
            w, b = parameters[2 * k], parameters[2 * k + 1]
            # An outer product: XLA fuses a broadcast multiplication with bias and activation, a matmul it does not.
            h = activation((w * h if w.shape[2] == 1 else tf.matmul(w, h)) + b)
        return tf.reduce_mean(tf.square(h - (self.y if y is None else y)), [1, 2])

    def _chunk(
        self, done: Any, n: Any, parameters: Any, slots: Any, alive: Any, x: Any, y: Any, limit: Any
    ) -> tuple[Any, ...]:
        layers = len(self.activations)
        slices = [slice(2 * k, 2 * k + 2) for k in range(layers)]
        rows = tf.zeros((self.length, 2 + layers if self.record_norm else 1, len(self.models)), x.dtype)

        def body(i: Any, parameters: Any, slots: Any, alive: Any, rows: Any) -> tuple[Any, ...]:
            with tf.GradientTape() as tape:
                tape.watch(parameters)
                losses = self._losses(parameters, x, y)
                total = tf.reduce_sum(losses)  # nets share nothing, so its gradient is each net's own
            gradients = tape.gradient(total, parameters)
            row = losses[None]
            if self.record_norm:
                whole, each = norms(gradients, slices, axis=[1, 2])
                row = tf.concat([row, whole[None], tf.transpose(each)], 0)
            alive = tf.logical_and(alive, losses <= limit)
            moved, slots = self.rule.step(done + i + 1, parameters, gradients, slots)
            keep = alive[:, None, None]
            parameters = [tf.where(keep, new, old) for new, old in zip(moved, parameters, strict=True)]
            return i + 1, parameters, slots, alive, tf.tensor_scatter_nd_update(rows, [[i]], row[None])

        state = (tf.constant(0), parameters, slots, alive, rows)
        return tf.while_loop(lambda i, *_: i < n, body, state)[1:]

    def histories(self) -> list[History]:
        """Histories of the S nets; the models get the trained weights."""
        table = np.concatenate(self.blocks)
        loss = np.concatenate([table[:, 0], self._losses(self.parameters).numpy()[None]])
        trained = [p.numpy() for p in self.parameters]
        result = []
        for s, model in enumerate(self.models):
            shapes = [v.shape for v in model.trainable_variables]
            model.set_weights([p[s].T.reshape(shape) for p, shape in zip(trained, shapes, strict=True)])
            curve = loss[:, s].copy()
            gone = first_divergence(curve, self.limit[s])
            norm = table[:, 1:, s].copy()
            if gone is not None:
                curve[gone:] = norm[gone:] = np.nan
            whole, each = (norm[:, 0], norm[:, 1:]) if self.record_norm else (None, None)
            result.append(History(curve, whole, each, gone, self.seconds, self.compile_seconds))
        return result


def _dense_layers(model: keras.Model) -> list[keras.layers.Dense]:
    """The Dense layers of a chain, in order, each with its activation."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    wrong = [layer for layer in layers if not isinstance(layer, keras.layers.Dense) or not layer.use_bias]
    chain = all(len(layer._inbound_nodes) == 1 for layer in layers) and len(model.inputs) == len(model.outputs) == 1
    links = [layer.output for layer in layers[:-1]] == [layer.input for layer in layers[1:]] if chain else False
    if wrong or not layers or not links:
        name = type(wrong[0]).__name__ if wrong else "a branch"
        raise UserError(f"fit_many trains plain chains of Dense layers with bias; {model.name!r} holds {name}: use fit")
    for layer in layers:
        extras = ("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")
        if not layer.trainable or any(getattr(layer, extra) is not None for extra in extras):
            raise UserError(
                f"fit_many: {layer.name!r} of {model.name!r} is frozen, regularized or constrained: use fit"
            )
        if layer.activation is keras.activations.softmax or layer.activation is keras.activations.log_softmax:
            raise UserError(f"fit_many needs elementwise activations; {layer.name!r} of {model.name!r} has softmax")
    return layers


def _shape(model: keras.Model) -> tuple[Any, ...]:
    """What nets of one stack have in common."""
    return (model.compute_dtype, *((tuple(d.kernel.shape), d.activation) for d in _dense_layers(model)))


def _stacked(models: list[keras.Model]) -> list[np.ndarray]:
    """Kernel (S, out, in) and bias (S, out, 1) of every layer."""
    weights = zip(*(model.get_weights() for model in models), strict=True)
    return [np.stack([w.T if w.ndim == 2 else w[:, None] for w in tensors]) for tensors in weights]
