"""`fit_many`: many small dense nets at once, each trained as if it were alone.

Nets of one shape are stacked (:mod:`dlhw.training.stack`). The training of a stack is called in chunks, so that
progress, Ctrl-C and what has been trained so far come through; stacks of different shapes run side by side on
threads, because such small products cannot keep two cores busy by themselves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.types import Data
from dlhw.checkpoints import CheckpointStore
from dlhw.errors import require
from dlhw.models.dense_chain import shape_of
from dlhw.training.full_batch import Progress
from dlhw.training.history import History
from dlhw.training.keras_optimizers import as_optimizer
from dlhw.training.optimizers import Optimizer
from dlhw.training.stack import Stack

CALLBACK_SECONDS = 2.0

StepCallback = Callable[[int, int, Mapping[str, float], Mapping[str, np.ndarray]], None]
"""Called with the number of the net, steps done, its latest numbers by name, and its weights by name."""

CHECKPOINT_SECONDS = 10.0
"""Time between two checkpoints; longer where writing one takes more than a twentieth of the time."""


def fit_many(
    models: Sequence[keras.Model],
    x: Data,
    y: Data,
    *,
    steps: int,
    optimizer: Optimizer | str | keras.optimizers.Optimizer,
    gradient_norm: bool = False,
    chunk: int = 1000,
    workers: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    checkpoints: CheckpointStore | None = None,
    keep: Sequence[int] = (),
    callback: StepCallback | None = None,
    until_converged: bool = False,
    learning_rates: Sequence[float] | None = None,
) -> list[History]:
    """Train many small dense nets at once, each on the full batch (x, y) with mean squared error, as if it were alone.

    Nets of equal shape and activations train as one stack; each net equals the one trained alone by :func:`fit` up to
    rounding.

    Args:
        models: chains of Dense layers (functional or Sequential), of any shapes; trained in place.
        x: inputs, (batch, inputs).
        y: targets, (batch, outputs).
        steps: number of updates.
        optimizer: see :func:`as_optimizer`.
        gradient_norm: record the gradient norms of every step.
        chunk: most steps between two calls of `progress`, which are about half a second apart.
        workers: threads that run the stacks; default: one per core.
        device: TensorFlow's name of one, such as "/GPU:0"; default: TensorFlow's choice.
        progress: called with steps done, all steps of all stacks, and the median loss.
        checkpoints: where the state of every stack is stored every ten seconds, at its end, and when the training is
            interrupted; a later call with equal models, data, optimizer and number of workers resumes from there and
            ends with the same bytes.
        keep: steps after which the weights go into the History.
        callback: called for every net, about every two seconds and at the end.
        until_converged: stop every net where it has converged by :class:`dlhw.training.convergence.Convergence`, which
            is looked at after every hundredth of `steps`; its weights are those of that step.
        learning_rates: one for every model, in place of that of the optimizer.

    Returns:
        One History per model. A net whose loss exceeds a million times its scale is frozen there.

    Raises:
        UserError: for a model that is not such a chain, or has frozen layers, regularizers or constraints, and for
            learning rates that are not positive or not one for every model.

    Example:
        >>> import numpy as np
        >>> from dlhw import models, training
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> nets = [models.mlp((4,), activation="tanh", seed=s) for s in range(3)]
        >>> histories = training.fit_many(nets, x, np.sin(3 * x), steps=50, optimizer="sgd")
        >>> all(h.loss[-1] < h.loss[0] for h in histories)
        True
    """
    workers, update_rule = workers or os.cpu_count() or 1, as_optimizer(optimizer)
    if learning_rates is not None:
        fits = len(learning_rates) == len(models) and all(rate > 0 for rate in learning_rates)
        require(fits, f"`learning_rates` must be {len(models)} positive numbers, one for every model")
    groups: dict[Any, list[int]] = {}
    for k, model in enumerate(models):
        groups.setdefault(shape_of(model), []).append(k)
    places = _split(list(groups.values()), workers)
    length, limit = min(chunk, steps), steps if until_converged else 0
    with tf.device(device):
        stacks = [
            Stack(
                [models[k] for k in p],
                x,
                y,
                update_rule,
                gradient_norm,
                length,
                keep,
                limit,
                None if learning_rates is None else [learning_rates[k] for k in p],
            )
            for p in places
        ]
    for stack in stacks:
        stack.device = device
    checkpointer = _StackCheckpointer(checkpoints, stacks, steps)
    _run_side_by_side(stacks, steps, workers, progress, checkpointer, _Callback(callback, stacks, places, steps))
    histories: dict[int, History] = {}
    for place, stack in zip(places, stacks, strict=True):
        histories.update(zip(place, stack.histories(), strict=True))
    return [histories[k] for k in range(len(models))]


class _Callback:
    """Calls `callback` for the nets of a stack at a chunk border, once in two seconds and at the end."""

    def __init__(
        self, callback: StepCallback | None, stacks: Sequence[Stack], places: Sequence[Sequence[int]], steps: int
    ) -> None:
        self.callback, self.stacks, self.places, self.steps = callback, stacks, places, steps
        self.due = [0.0] * len(stacks)

    def call(self, k: int) -> None:
        """Report the latest numbers of every net of stack k: the loss before the last step, its norm, the weights."""
        stack, now = self.stacks[k], time.perf_counter()
        if self.callback is None or (now < self.due[k] and not stack.finished(self.steps)):
            return
        last = stack.blocks[-1][-1]
        names = [f"layer {i // 2 + 1}/{'bias' if i % 2 else 'kernel'}" for i in range(len(stack.parameters))]
        weights = [p.numpy() for p in stack.parameters]
        for s, net in enumerate(self.places[k]):
            scalars = {"loss": float(last[0, s])} | ({"gradient norm": float(last[1, s])} if stack.record_norm else {})
            self.callback(net, stack.done, scalars, {n: p[s] for n, p in zip(names, weights, strict=True)})
        self.due[k] = now + CALLBACK_SECONDS


def _split(groups: list[list[int]], workers: int) -> list[list[int]]:
    """Halve the largest group until every worker has one, as far as there are nets."""
    while len(groups) < workers and max(len(g) for g in groups) > 1:
        groups = sorted(groups, key=len)
        last = groups.pop()
        half = (len(last) + 1) // 2
        groups += [last[:half], last[half:]]
    return groups


class _StackCheckpointer:
    """Stores the state of stacks, and restores what an earlier call stored."""

    def __init__(self, checkpoints: CheckpointStore | None, stacks: Sequence[Stack], steps: int) -> None:
        self.store, self.stacks = checkpoints, stacks
        for stack in stacks if checkpoints is not None else ():
            state = checkpoints.get(f"stack-{stack.digest}")  # type: ignore[union-attr]
            if state is not None and int(state["done"]) <= steps:
                stack.restore(state)
        self.stored_steps = [stack.done for stack in stacks]
        self.due = [time.perf_counter() + CHECKPOINT_SECONDS] * len(stacks)

    def checkpoint(self, k: int, now: bool = False) -> None:
        """Store the state of stack k, which is not computing, if it is time."""
        began = time.perf_counter()
        if self.store is None or self.stored_steps[k] == self.stacks[k].done or not (now or began >= self.due[k]):
            return
        self.store.put(f"stack-{self.stacks[k].digest}", self.stacks[k].state())
        self.stored_steps[k], ended = self.stacks[k].done, time.perf_counter()
        self.due[k] = ended + max(CHECKPOINT_SECONDS, 20 * (ended - began))

    def checkpoint_all(self) -> None:
        """Store the state of every stack; none is computing."""
        for k in range(len(self.stacks)):
            self.checkpoint(k, now=True)


def _run_side_by_side(
    stacks: Sequence[Stack],
    steps: int,
    workers: int,
    progress: Progress | None,
    checkpointer: _StackCheckpointer,
    callback: _Callback,
) -> None:
    """Keep `workers` threads busy with chunks; the stack that is furthest behind goes next."""
    total, running = steps * len(stacks), dict[Future[None], int]()
    idle = {k for k, stack in enumerate(stacks) if not stack.finished(steps)}
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dlhw")
    try:
        while idle or running:
            for k in sorted(idle, key=lambda k: stacks[k].done)[: workers - len(running)]:
                idle.remove(k)
                running[pool.submit(stacks[k].advance, steps)] = k
            # A bounded wait: on some platforms an unbounded one does not see Ctrl-C.
            for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                k = running.pop(future)
                future.result()
                ended = stacks[k].finished(steps)
                checkpointer.checkpoint(k, now=ended)
                callback.call(k)
                if not ended:
                    idle.add(k)
                if progress is not None:
                    done = sum(steps if s.finished(steps) else s.done for s in stacks)
                    progress(done, total, float(np.median([s.latest_loss for s in stacks])))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        # Not reached by a second Ctrl-C while threads still compute: then the last checkpoint counts.
        checkpointer.checkpoint_all()
