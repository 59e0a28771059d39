"""`fit`: one Keras model of any kind, full batch. Its `train_step` is the plain step that all faster paths equal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import input_tensors, target_tensor, wide_dtype
from dlhw._tf.inputs import length as examples
from dlhw._tf.layer_norms import layer_groups, norms
from dlhw._tf.losses import ExampleLoss, Loss, added_losses
from dlhw._tf.types import Data, Tensor
from dlhw.errors import require
from dlhw.models.probe import probe
from dlhw.models.state import layers_of, require_built, restore_weights
from dlhw.training.ascent import states_of, two_gradients
from dlhw.training.history import History, divergence_limit, first_divergence
from dlhw.training.keras_optimizers import as_optimizer
from dlhw.training.optimizers import Optimizer

Progress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, latest median loss) at every chunk border."""


class ChunkSize:
    """How many steps the next call of a compiled loop takes: about half a second, at most `most`."""

    def __init__(self, most: int) -> None:
        self.most, self.steps = most, min(most, 16)

    def update(self, steps: int, seconds: float) -> None:
        """Adjust the chunk to the time of the last call."""
        self.steps = max(1, min(self.most, int(0.5 * steps / max(seconds, 1e-6))))


def check_trainable(model: keras.Model) -> None:
    """Raise UserError for a model that cannot be trained here."""
    require_built(model)
    require(len(model.trainable_variables) > 0, f"model {model.name!r} has no trainable weights")
    half = [la.name for la in layers_of(model) if getattr(la, "compute_dtype", None) == "float16"]
    require(
        not half,
        f"layer {half[0] if half else ''!r} computes in float16, whose gradients vanish without a scaled loss; use "
        "the policy mixed_bfloat16",
    )


def train_step(
    model: keras.Model,
    loss: Loss,
    optimizer: Optimizer,
    count: Tensor,
    slots: Tensor,
    x: Data,
    y: Data,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Update `model` once, in place, without shortcuts: forward, loss, gradient, norms, optimizer, constraints.

    Works uncompiled, which is the reference of the tests, and inside `tf.function`.

    Args:
        model: any built Keras model of one output.
        loss: as in :class:`dlhw.training.Trainer`.
        optimizer: of :func:`dlhw.training.optimizer`.
        count: number of the update, 1, 2, ...
        slots: state of the optimizer.
        x: inputs, (n, ...).
        y: targets, (n, ...).

    Returns:
        Loss and gradient norm before the update (scalars), the norms of the layers, (layers,), and the new slots.

    Example:
        >>> import tensorflow as tf
        >>> from dlhw import models, training
        >>> net, x = models.mlp((4,)), tf.ones((5, 1))
        >>> rule = training.optimizer("sgd", 0.1)
        >>> slots = rule.slots(net.trainable_variables)
        >>> _, _, layers, slots = training.train_step(net, "mse", rule, tf.constant(1), slots, x, x)
        >>> layers.shape.as_list()
        [2]
    """
    variables = model.trainable_variables
    loss = loss if isinstance(loss, ExampleLoss) else ExampleLoss(loss, model)

    def of_batch() -> tuple[Tensor, list[Tensor]]:
        with tf.GradientTape() as tape:
            value = loss.value(y, model(x, training=True))
            value = tf.add_n([value, *added_losses(model, value.dtype)])
        gradients = tape.gradient(value, [v.value for v in variables], unconnected_gradients="zero")
        return value, [tf.convert_to_tensor(g) for g in gradients]  # those of embeddings are sparse

    value, gradients, applied = two_gradients(optimizer, [v.value for v in variables], states_of(model), of_batch)
    total, layers = norms(gradients, layer_groups(model))
    moved, slots = optimizer.step(count, [v.value for v in variables], applied, slots)
    for variable, new in zip(variables, moved, strict=True):
        constraint = getattr(variable, "constraint", None)
        variable.assign(new if constraint is None else constraint(new))
    return value, total, layers, slots


def use_xla(model: keras.Model, steps: int | None = None) -> bool:
    """Return whether training is faster on a CPU when compiled with XLA.

    It is for dense nets; with convolutions or pooling, for which XLA's kernels are slow, it is not. Compilation takes
    about two seconds and saves some tenths of a millisecond per step, so it does not pay for fewer than 5000 steps.

    Args:
        model: any Keras model.
        steps: number of steps to train; None: many.

    Returns:
        Whether to compile with XLA.

    Example:
        >>> from dlhw import models
        >>> from dlhw.training import use_xla
        >>> use_xla(models.mlp((4,))), use_xla(models.image_net("2c3-p2-4", (8, 8, 1), 3))
        (True, False)
    """
    if steps is not None and steps < 5000:
        return False
    slow = ("Conv", "Pool", "RNN", "LSTM", "GRU", "Lookup", "Text", "Hash")
    return not any(part in type(layer).__name__ for layer in model._flatten_layers() for part in slow)


def fit(
    model: keras.Model,
    x: Data,
    y: Data,
    *,
    steps: int,
    optimizer: Optimizer | str | keras.optimizers.Optimizer,
    loss: Loss = "mse",
    compiled: bool = True,
    chunk: int = 1000,
    progress: Progress | None = None,
) -> History:
    """Train `model` in place on the full batch (x, y), and record loss and gradient norms of every step.

    What Keras's `fit` minimizes is minimized, and constraints of layers act after every update. A model that diverges
    runs on; the history says at which step it diverged.

    Args:
        model: any built Keras model of one output.
        x: inputs, (n, ...).
        y: targets, (n, ...).
        steps: number of updates.
        optimizer: see :func:`as_optimizer`.
        loss: as in :class:`dlhw.training.Trainer`.
        compiled: False runs `train_step` as plain Python.
        chunk: most steps of one compiled call.
        progress: called with steps done, all steps and the latest loss.

    Returns:
        The history, with `steps` + 1 losses.

    Raises:
        UserError: for data that do not fit the model or its loss.

    Example:
        >>> import numpy as np
        >>> from dlhw import models, training
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> net = models.mlp((4,), activation="tanh", seed=0)
        >>> training.fit(net, x, np.sin(3 * x), steps=5, optimizer="sgd").loss.shape
        (6,)
    """
    check_trainable(model)
    function = ExampleLoss(loss, model)
    x, y = input_tensors(model, x, in_memory=True), target_tensor(model, y, in_memory=True)
    examples((x, y))
    probe(model, function, x, y)
    length = min(chunk, steps)
    step = _bound_step(model, function, as_optimizer(optimizer))
    call = _compiled(model, step, length) if compiled else None
    blocks, seconds, compile_seconds = [], 0.0, 0.0
    if call is not None:
        began = time.perf_counter()
        call(tf.constant(0), tf.constant(0), x, y)  # no step: this traces and compiles
        compile_seconds = time.perf_counter() - began
    start, chunk_size = 0, ChunkSize(length)
    while start < steps:
        n = min(chunk_size.steps, steps - start)
        began = time.perf_counter()
        if call is not None:
            block = call(tf.constant(start), tf.constant(n), x, y).numpy()[:n]
        else:
            block = np.array([np.hstack([np.asarray(v) for v in step(start + i + 1, x, y)]) for i in range(n)])
        blocks.append(block)
        took = time.perf_counter() - began
        seconds, start = seconds + took, start + n
        chunk_size.update(n, took)
        if progress is not None:
            progress(start, steps, float(block[-1, 0]))
    with restore_weights(model):
        last = function.value(y, model(x, training=False))
        final = float(tf.add_n([last, *added_losses(model, last.dtype)]))
    power = float(np.mean(np.square(np.asarray(y, np.float64))))
    return _history(np.concatenate(blocks), final, power, seconds, compile_seconds)


def _bound_step(model: keras.Model, loss: ExampleLoss, optimizer: Optimizer) -> Callable[..., Tensor]:
    """Return `train_step` of one model with its slots in variables: (count, x, y) -> loss, norm, layer norms."""
    slots = optimizer.slots([v.value for v in model.trainable_variables])
    variables = tuple([tf.Variable(s, trainable=False) for s in group] for group in slots)

    def step(count: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        read = tuple([tf.convert_to_tensor(s) for s in group] for group in variables)
        value, total, layers, new = train_step(model, loss, optimizer, count, read, x, y)
        for group, moved in zip(variables, new, strict=True):
            for variable, tensor in zip(group, moved, strict=True):
                variable.assign(tensor)
        return value, total, layers

    return step


def _compiled(model: keras.Model, step: Callable[..., Any], length: int) -> Callable[..., Tensor]:
    """Do at most `length` steps in one graph: (steps done, n, x, y) -> rows of loss, norm, norms of the layers."""
    width, dtype = 2 + len(layer_groups(model)), wide_dtype(model.trainable_variables[0].value.dtype)

    def run(start: Tensor, n: Tensor, x: Tensor, y: Tensor) -> Tensor:
        rows = tf.zeros((length, width), dtype)
        for i in tf.range(n):
            value, total, layers = (tf.cast(a, dtype) for a in step(start + i + 1, x, y))
            row = tf.concat([[value, total], layers], 0)
            rows = tf.tensor_scatter_nd_update(rows, [[i]], [row])
        return rows

    return tf.function(run, jit_compile=use_xla(model))


def _history(table: np.ndarray, final: float, power: float, seconds: float, compile_seconds: float) -> History:
    loss = np.append(table[:, 0], table.dtype.type(final))
    diverged_at = first_divergence(loss, divergence_limit(float(loss[0]), power))
    if diverged_at is not None:
        loss[diverged_at:] = table[diverged_at:] = np.nan
    return History(loss, table[:, 1], table[:, 2:], diverged_at, seconds, compile_seconds)
