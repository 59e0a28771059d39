"""S nets of one shape, trained as one: weights (S, out, in), activations features x batch (S, features, batch).

XLA's matrix products like that layout several times better than batch x features when the nets are narrow. The whole
training is one compiled while-loop over steps, whose state is carried from call to call.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.layer_norms import norms
from dlhw._tf.types import Tensor
from dlhw.models.dense_chain import dense_layers
from dlhw.training.full_batch import ChunkSize
from dlhw.training.history import History, divergence_limit, first_divergence
from dlhw.training.optimizers import Optimizer

Activation = Callable[[Any], Any]
LANES = 16
"""Twice the floats of an AVX2 register: sums over this many columns side by side need no shuffling."""


def _columns(a: Tensor, dtype: str) -> Tensor:
    """Transpose (batch, features) to (1, features, batch), padded with zeros to whole lanes."""
    columns = np.asarray(a).T[None]
    return tf.constant(np.pad(columns, ((0, 0), (0, 0), (0, -columns.shape[2] % LANES))), dtype)


@tf.custom_gradient
def _narrow_dense(w: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Return w h + b for many small nets: w (S, out, in), b (S, out, 1), h (S or 1, in, batch), whole lanes.

    Its gradient by w, sum over the batch of d h^T, is three times faster as a multiplication and a sum in lanes than
    as the matrix product of (S, out, batch) and (S, batch, in), of which XLA on the CPU runs one net at a time.
    """
    nets, out, into = w.shape

    def lanes(t: Tensor, *lead: int) -> Tensor:
        return tf.reshape(t, [*lead, t.shape[-1] // LANES, LANES])

    def total(t: Tensor) -> Tensor:
        while t.shape[-1] > 1:  # by halves: tf.reduce_sum over so short an axis doubles the time of the step
            t = tf.add(*tf.split(t, 2, -1))
        return tf.squeeze(t, -1)

    def gradient(d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        db = total(tf.reduce_sum(lanes(d, nets, out), 2))[..., None]
        dw = total(tf.reduce_sum(lanes(d, nets, out, 1) * lanes(h, h.shape[0], 1, into), 3))
        if into == 1 or out == 1:
            dh = tf.reduce_sum(w * d, 1, keepdims=True) if into == 1 else tf.linalg.matrix_transpose(w) * d
        else:
            dh = tf.matmul(w, d, transpose_a=True)
        return dw, db, dh if h.shape[0] == nets else tf.reduce_sum(dh, 0, keepdims=True)

    return _dense(w, b, h), gradient


def _dense(w: Tensor, b: Tensor, h: Tensor) -> Tensor:
    # An outer product: XLA fuses a broadcast multiplication with bias and activation, a matmul it does not.
    return (w * h if w.shape[2] == 1 else tf.matmul(w, h)) + b


def _kind_of_product(nets: int, out: int, into: int) -> Callable[[Any, Any, Any], Any]:
    """Return the fastest product as measured: sums in lanes from three nets on (a quarter faster at five nets)."""
    return _narrow_dense if nets >= 3 and max(out, into) <= 256 and out * into <= 1024 else _dense


class Stack:
    """S nets of one shape: stacked weights as loop tensors, one compiled function, what has been recorded."""

    _tracing = threading.Lock()  # tracing is pure Python; two traces at once compete for the interpreter lock
    device: str | None = None  # opened in every call: tf.device holds for one thread, and threads of a pool run this

    def __init__(
        self,
        models: list[keras.Model],
        x: Tensor,
        y: Tensor,
        optimizer: Optimizer,
        record_norm: bool,
        length: int,
        keep: Sequence[int] = (),
    ) -> None:
        """length: most steps of one call; keep: after which steps the weights are kept."""
        self.keep = sorted(set(keep))
        self.recorded_weights: dict[int, np.ndarray] = {}  # step -> (S, P)
        self.models, self.rule, self.record_norm, self.length = models, optimizer, record_norm, length
        dtype = models[0].compute_dtype
        self.activations = [layer.activation for layer in dense_layers(models[0])]
        self.examples = len(x)
        self.x = _columns(x, dtype)  # (1, inputs, batch and padding)
        self.y = tf.constant(np.asarray(y).T[None], dtype)  # (1, outputs, batch)
        start = _stacked(models)
        self.parameters = [tf.constant(p, dtype) for p in start]
        self.slots = optimizer.slots(self.parameters)
        self.digest = self._digest(start)
        first = self._losses(self.parameters).numpy()
        power = float(np.mean(np.square(y)))
        self.limit = np.array([divergence_limit(float(v), power) for v in first])
        self.alive = tf.ones(len(models), bool)
        self.done, self.latest_loss = 0, float(np.median(first))
        self.seconds, self.compile_seconds = 0.0, 0.0
        self.blocks: list[np.ndarray] = []  # (steps, 1 or 2 + layers, S)
        self.compiled = False
        self.chunk_size = ChunkSize(length)
        self._call = tf.function(self._chunk, jit_compile=True, autograph=False)

    def advance(self, end: int) -> None:
        """Continue towards step `end`, at most `length` steps and for about half a second."""
        border = min([end, *(step for step in self.keep if step > self.done)])
        with tf.device(self.device):
            if 0 in self.keep and self.done == 0:
                self._keep()
            self._advance(min(self.chunk_size.steps, border - self.done))
            if self.done in self.keep:
                self._keep()

    def _keep(self) -> None:
        """Keep the weights of every net as they are now, (S, P) in the order of `flat`."""
        rows = [np.transpose(p.numpy(), (0, 2, 1)).reshape(len(self.models), -1) for p in self.parameters]
        self.recorded_weights[self.done] = np.concatenate(rows, axis=1)

    def _advance(self, n: int) -> None:
        limit = tf.constant(self.limit, self.x.dtype)
        state = (self.parameters, self.slots, self.alive)
        arguments = (tf.constant(self.done), tf.constant(n), *state, self.x, self.y, limit)
        if not self.compiled:
            with self._tracing:
                began = time.perf_counter()
                self._call = self._call.get_concrete_function(*arguments)
                self.compile_seconds += time.perf_counter() - began
            began = time.perf_counter()
            self._call(tf.constant(0), tf.constant(0), *arguments[2:])  # no step: XLA compiles at the first call
            self.compile_seconds += time.perf_counter() - began
            self.compiled = True
        began = time.perf_counter()
        self.parameters, self.slots, self.alive, rows = self._call(*arguments)
        self.blocks.append(rows.numpy()[:n])
        self.done += n
        self.latest_loss = float(np.median(self.blocks[-1][-1, 0]))
        took = time.perf_counter() - began
        self.seconds += took
        self.chunk_size.update(n, took)

    def _digest(self, start: list[np.ndarray]) -> str:
        """Return a digest of what determines the training: initial weights, data, optimizer, activations, recording."""
        names = [getattr(a, "__qualname__", repr(a)) for a in self.activations]
        text = f"{self.rule} {names} {self.record_norm} {self.x.dtype}" + (f" {self.keep}" if self.keep else "")
        whole = hashlib.sha256(text.encode())
        for array in (*start, self.x.numpy(), self.y.numpy()):
            whole.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()[:16]

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that :meth:`restore` needs to resume, as arrays."""
        arrays = {"done": np.array(self.done), "alive": self.alive.numpy(), "table": np.concatenate(self.blocks)}
        arrays["seconds"] = np.array([self.seconds, self.compile_seconds])
        arrays |= {f"kept-{step}": rows for step, rows in self.recorded_weights.items()}
        tensors = [self.parameters, *self.slots]
        return arrays | {f"tensor-{k}-{i}": t.numpy() for k, group in enumerate(tensors) for i, t in enumerate(group)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the state that :meth:`state` returned."""

        def group(k: int) -> list[Tensor]:
            return [tf.constant(state[f"tensor-{k}-{i}"]) for i in range(len(self.parameters))]

        self.parameters, self.slots = group(0), tuple(group(k + 1) for k in range(len(self.slots)))
        self.alive, self.done, self.blocks = tf.constant(state["alive"]), int(state["done"]), [state["table"]]
        self.seconds, self.compile_seconds = (float(v) for v in state["seconds"])
        self.latest_loss = float(np.median(state["table"][-1, 0]))
        recorded = {k.removeprefix("kept-"): rows for k, rows in state.items() if k.startswith("kept-")}
        self.recorded_weights = {int(step): rows for step, rows in recorded.items()}

    def _losses(self, parameters: list[Tensor], x: Tensor = None, y: Tensor = None) -> Tensor:
        """Return the mean squared error of each net, (S,)."""
        h = self.x if x is None else x
        for k, activation in enumerate(self.activations):
            w, b = parameters[2 * k], parameters[2 * k + 1]
            h = activation(_kind_of_product(*w.shape)(w, b, h))
        # The padding is cut off here, not weighted with zeros: that kept XLA from fusing, at twice the time.
        return tf.reduce_mean(tf.square(h[..., : self.examples] - (self.y if y is None else y)), [1, 2])

    def _chunk(
        self,
        done: Tensor,
        n: Tensor,
        parameters: Tensor,
        slots: Tensor,
        alive: Tensor,
        x: Tensor,
        y: Tensor,
        limit: Tensor,
    ) -> tuple[Tensor, ...]:
        layers = len(self.activations)
        groups = [(2 * k, 2 * k + 1) for k in range(layers)]
        rows = tf.zeros((self.length, 2 + layers if self.record_norm else 1, len(self.models)), x.dtype)

        def body(i: Tensor, parameters: Tensor, slots: Tensor, alive: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
            with tf.GradientTape() as tape:
                tape.watch(parameters)
                losses = self._losses(parameters, x, y)
                total = tf.reduce_sum(losses)  # nets share nothing, so its gradient is each net's own
            gradients = tape.gradient(total, parameters)
            row = losses[None]
            if self.record_norm:
                whole, by_layer = norms(gradients, groups, axis=[1, 2])
                row = tf.concat([row, whole[None], tf.transpose(by_layer)], 0)
            alive = tf.logical_and(alive, losses <= limit)
            moved, slots = self.rule.step(done + i + 1, parameters, gradients, slots)
            keep = alive[:, None, None]
            parameters = [tf.where(keep, new, old) for new, old in zip(moved, parameters, strict=True)]
            return i + 1, parameters, slots, alive, tf.tensor_scatter_nd_update(rows, [[i]], row[None])

        state = (tf.constant(0), parameters, slots, alive, rows)
        return tf.while_loop(lambda i, *_: i < n, body, state)[1:]

    def histories(self) -> list[History]:
        """Return the histories of the S nets, and set the trained weights of the models."""
        table = np.concatenate(self.blocks)
        loss = np.concatenate([table[:, 0], self._losses(self.parameters).numpy()[None]])
        trained = [p.numpy() for p in self.parameters]
        result = []
        for s, model in enumerate(self.models):
            shapes = [v.shape for v in model.trainable_variables]
            model.set_weights([p[s].T.reshape(shape) for p, shape in zip(trained, shapes, strict=True)])
            curve = loss[:, s].copy()
            diverged_at = first_divergence(curve, self.limit[s])
            norm = table[:, 1:, s].copy()
            if diverged_at is not None:
                curve[diverged_at:] = norm[diverged_at:] = np.nan
            whole, by_layer = (norm[:, 0], norm[:, 1:]) if self.record_norm else (None, None)
            path = np.stack([self.recorded_weights[step][s] for step in self.keep]) if self.keep else None
            result.append(History(curve, whole, by_layer, diverged_at, self.seconds, self.compile_seconds, path))
        return result


def _stacked(models: list[keras.Model]) -> list[np.ndarray]:
    """Return the kernel (S, out, in) and bias (S, out, 1) of every layer."""
    weights = zip(*(model.get_weights() for model in models), strict=True)
    return [np.stack([w.T if w.ndim == 2 else w[:, None] for w in tensors]) for tensors in weights]
