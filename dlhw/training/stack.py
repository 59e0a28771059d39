"""S nets of one shape, trained as one: weights (S, out, in), activations features x batch (S, features, batch).

XLA's matrix products like that layout several times better than batch x features when the nets are narrow. The whole
training is one compiled while-loop over steps, whose state is carried from call to call.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.models.dense_chain import dense_layers
from dlhw.training.convergence import OVER_STEPS, check_steps
from dlhw.training.full_batch import ChunkSize
from dlhw.training.history import History, divergence_limit, first_divergence
from dlhw.training.optimizers import Optimizer
from dlhw.training.stack_program import LANES, StackProgram, compiled


def _columns(a: Tensor, dtype: str) -> Tensor:
    """Transpose (batch, features) to (1, features, batch), padded with zeros to whole lanes."""
    columns = np.asarray(a).T[None]
    return tf.constant(np.pad(columns, ((0, 0), (0, 0), (0, -columns.shape[2] % LANES))), dtype)


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
        until_converged: int = 0,
        learning_rates: Sequence[float] | None = None,
    ) -> None:
        """Stack the models.

        Args:
            models: of one shape.
            x: inputs, (batch, inputs).
            y: targets, (batch, outputs).
            optimizer: of all.
            record_norm: record gradient norms.
            length: most steps of one call.
            keep: steps after which the weights are kept.
            until_converged: steps of the whole training, if a net stops where it has converged; 0: none stops.
            learning_rates: one for every net; None: that of the optimizer.
        """
        self.limit_steps = until_converged
        self.checks = check_steps(until_converged) if until_converged else []
        self.stopped_at = np.full(len(models), -1)
        self.constant = float(np.var(np.asarray(y, np.float64), axis=0).mean())
        self.keep = sorted(set(keep))
        self.recorded_weights: dict[int, np.ndarray] = {}  # step -> (S, P)
        self.models, self.rule, self.record_norm, self.length = models, optimizer, record_norm, length
        dtype = models[0].compute_dtype
        self.activations = [layer.activation for layer in dense_layers(models[0])]
        self.examples = len(x)
        self.x = _columns(x, dtype)  # (1, inputs, batch and padding)
        self.y = tf.constant(np.asarray(y).T[None], dtype)  # (1, outputs, batch)
        self.rates = None if learning_rates is None else tf.constant(np.reshape(learning_rates, (-1, 1, 1)), dtype)
        start = _stacked(models)
        self.parameters = [tf.constant(p, dtype) for p in start]
        self.slots = optimizer.slots(self.parameters)
        self.digest = self._digest(start)
        self.program = StackProgram(len(models), tuple(self.activations), self.examples, optimizer, record_norm, length)
        first = self._losses()
        power = float(np.mean(np.square(y)))
        self.limit = np.array([divergence_limit(float(v), power) for v in first])
        self.alive = tf.ones(len(models), bool)
        self.done, self.latest_loss = 0, float(np.median(first))
        self.seconds, self.compile_seconds = 0.0, 0.0
        self.blocks: list[np.ndarray] = []  # (steps, 1 or 2 + layers, S)
        self.compiled = False
        self.chunk_size = ChunkSize(length)
        self._call = compiled(self.program)

    def advance(self, end: int) -> None:
        """Continue towards step `end`, at most `length` steps and for about half a second."""
        border = min([end, *(step for step in (*self.keep, *self.checks) if step > self.done)])
        with tf.device(self.device):
            if 0 in self.keep and self.done == 0:
                self._keep()
            self._advance(min(self.chunk_size.steps, border - self.done))
            if self.done in self.keep:
                self._keep()
            if self.done in self.checks:
                self._stop_converged()

    def finished(self, end: int) -> bool:
        """Whether step `end` is reached, or no net trains any more."""
        return self.done >= end or (bool(self.checks) and not self.alive.numpy().any())

    def _stop_converged(self) -> None:
        """Freeze the nets that have converged."""
        self.blocks = [np.concatenate(self.blocks)]
        alive = self.alive.numpy()
        stops = OVER_STEPS.reached(self.blocks[0][:, 0].T, self.constant) & alive
        self.stopped_at[stops] = self.done
        self.alive = tf.constant(alive & ~stops)

    def _keep(self) -> None:
        """Keep the weights of every net as they are now."""
        self.recorded_weights[self.done] = self._weights()

    def _weights(self) -> np.ndarray:
        """Return the weights of every net, (S, P) in the order of `flat`."""
        rows = [np.transpose(p.numpy(), (0, 2, 1)).reshape(len(self.models), -1) for p in self.parameters]
        return np.concatenate(rows, axis=1)

    def _advance(self, n: int) -> None:
        limit = tf.constant(self.limit, self.x.dtype)
        state = (self.parameters, self.slots, self.alive)
        arguments = (tf.constant(self.done), tf.constant(n), *state, self.x, self.y, limit, self.rates)
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
        text += f" until converged, {self.limit_steps} steps" if self.limit_steps else ""
        text += "" if self.rates is None else f" rates {self.rates.numpy().ravel().tolist()}"
        whole = hashlib.sha256(text.encode())
        for array in (*start, self.x.numpy(), self.y.numpy()):
            whole.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()[:16]

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that :meth:`restore` needs to resume, as arrays."""
        arrays = {"done": np.array(self.done), "alive": self.alive.numpy(), "table": np.concatenate(self.blocks)}
        arrays |= {"seconds": np.array([self.seconds, self.compile_seconds]), "stopped_at": self.stopped_at.copy()}
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
        self.stopped_at = state.get("stopped_at", self.stopped_at).copy()
        self.latest_loss = float(np.median(state["table"][-1, 0]))
        recorded = {k.removeprefix("kept-"): rows for k, rows in state.items() if k.startswith("kept-")}
        self.recorded_weights = {int(step): rows for step, rows in recorded.items()}

    def _losses(self) -> np.ndarray:
        """Return the mean squared error of each net, (S,)."""
        return np.asarray(self.program.losses(self.parameters, self.x, self.y))

    def histories(self) -> list[History]:
        """Return the histories of the S nets, and set the trained weights of the models."""
        table = np.concatenate(self.blocks)
        loss = np.concatenate([table[:, 0], self._losses()[None]])
        missing = max(0, self.limit_steps - len(table))  # where every net stopped before the limit
        table, loss = (
            np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1), constant_values=np.nan) for a in (table, loss)
        )
        trained, end = [p.numpy() for p in self.parameters], self._weights() if self.keep else None
        result = []
        for s, model in enumerate(self.models):
            shapes = [v.shape for v in model.trainable_variables]
            model.set_weights([p[s].T.reshape(shape) for p, shape in zip(trained, shapes, strict=True)])
            curve = loss[:, s].copy()
            stopped_at = int(self.stopped_at[s]) if self.stopped_at[s] >= 0 else None
            diverged_at = None if stopped_at is not None else first_divergence(curve, self.limit[s])
            norm = table[:, 1:, s].copy()
            if diverged_at is not None:
                curve[diverged_at:] = norm[diverged_at:] = np.nan
            if stopped_at is not None:
                curve[stopped_at + 1 :] = norm[stopped_at:] = np.nan
            whole, by_layer = (norm[:, 0], norm[:, 1:]) if self.record_norm else (None, None)
            # After the last step nothing moved any more.
            path = None if end is None else np.stack([self.recorded_weights.get(k, end)[s] for k in self.keep])
            seconds = self.seconds, self.compile_seconds
            result.append(History(curve, whole, by_layer, diverged_at, *seconds, path, stopped_at))
        return result


def _stacked(models: list[keras.Model]) -> list[np.ndarray]:
    """Return the kernel (S, out, in) and bias (S, out, 1) of every layer."""
    weights = zip(*(model.get_weights() for model in models), strict=True)
    return [np.stack([w.T if w.ndim == 2 else w[:, None] for w in tensors]) for tensors in weights]


def _continued(rows: np.ndarray, count: int) -> np.ndarray:
    """Return an array with `count` more rows of nan."""
    return np.concatenate([rows, np.full((count, *rows.shape[1:]), np.nan, rows.dtype)])
