"""Independent trainings of one experiment, side by side, each kept as it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np

from dlhw.context import Context

Arrays = dict[str, np.ndarray]


@dataclass
class Part:
    """Handed to the training of one part: where it reports, and whether to stop."""

    name: str
    _board: _Board

    def report(self, done: float, loss: float) -> None:
        """`done` of the board's units (epochs) have passed."""
        self._board.update(self.name, done, loss)

    def stop(self) -> bool:
        """Whether another part failed, or Ctrl-C came."""
        return self._board.stopped.is_set()

    def state(self) -> Arrays | None:
        """What an earlier process kept of this part before it ended, or None."""
        return self._board.context.parts.get(f"{self.name} so far")

    def keep(self, state: Arrays) -> None:
        """Keep what there is of this part so far."""
        self._board.context.parts.put(f"{self.name} so far", state)


@dataclass
class _Board:
    """What all parts have done so far."""

    context: Context
    epochs: dict[str, int]  # of every part
    unit: str  # of those: epochs, unless told
    what: str  # the parts: trainings, unless told
    done: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, name: str, done: float, loss: float = np.nan) -> None:
        with self.lock:
            self.done[name] = done
            if np.isfinite(loss):
                self.losses[name] = loss
            ended = sum(self.done[k] >= self.epochs[k] for k in self.done)
            median = float(np.median(list(self.losses.values()))) if self.losses else np.nan
            if self.context.progress is not None:
                note = f"{ended} of {len(self.epochs)} {self.what} ended"
                self.context.progress(sum(self.done.values()), sum(self.epochs.values()), median, self.unit, note)


def train_parts(
    epochs: dict[str, int],
    train: Callable[[Part], Arrays],
    context: Context,
    prepare: Callable[[], None] | None = None,
    *,
    unit: str = "epochs",
    what: str = "trainings",
    among: int = 0,
) -> dict[str, Arrays]:
    """Arrays of every part by name: those kept by an earlier run, and the others from `train`, `jobs` at a time.

    epochs: how many each part takes, by name; `unit` and `what` say it otherwise. `prepare` runs once, before the first
    training, and not if none is missing. When one part fails, or Ctrl-C comes, the others end their epoch and stop;
    what has ended is kept. among: how many parts share the cores, if not these: in a process that trains nothing, since
    all trainings are kept, what follows must meet the threads that it met in the first process, or it rounds otherwise.
    """
    found = {name: context.parts.get(name) for name in epochs}
    missing = [name for name in epochs if found[name] is None]
    if not missing:
        return {name: arrays for name, arrays in found.items() if arrays is not None}
    # Not of the missing ones alone: the number of threads decides the rounding.
    jobs = min(context.workers, among or len(epochs))
    done = {name: float(n) for name, n in epochs.items() if name not in missing}
    board = _Board(context, epochs, unit, what, done)

    def ended(name: str, arrays: Arrays) -> None:
        context.parts.put(name, arrays)
        context.parts.drop(f"{name} so far")
        found[name] = arrays
        board.update(name, epochs[name])

    if context.scheduler:
        from dlhw.experiments import _dask

        _dask.train(context.scheduler, train, missing, ended)
        return {name: arrays for name, arrays in found.items() if arrays is not None}
    limit_threads(jobs)
    from dlhw.training import Stopped

    if prepare is not None:
        prepare()

    def one(name: str) -> None:
        if board.stopped.is_set():
            return
        arrays = train(Part(name, board))
        ended(name, arrays)

    # Threads, not processes: TensorFlow leaves the interpreter lock while it computes, the data are held once, and no
    # process has to import TensorFlow again. joblib's threads cannot be waited for after Ctrl-C; these can.
    with ThreadPoolExecutor(jobs, thread_name_prefix="dlhw") as pool:
        futures = [pool.submit(one, name) for name in missing]
        try:
            waiting = set(futures)
            while waiting and not any(f.done() and f.exception() for f in futures):
                waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION).not_done
        finally:
            board.stopped.set()
            for future in futures:
                future.cancel()
    errors = [f.exception() for f in futures if not f.cancelled()]
    for error in sorted((e for e in errors if e), key=lambda e: isinstance(e, Stopped)):
        raise error  # the cause, not those who stopped because of it
    return {name: arrays for name, arrays in found.items() if arrays is not None}


def limit_threads(jobs: int) -> None:
    """Share the cores among `jobs` trainings, if TensorFlow has not yet begun; afterwards it refuses to change."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // jobs))
        tf.config.threading.set_inter_op_parallelism_threads(jobs)
    except RuntimeError:
        return


def alone(name: str) -> Part:
    """The handle of a part that trains in a process of its own, where nobody hears of its progress."""
    return Part(name, _Board(Context(), {name: 1}, "epochs", "trainings"))


def by_seed(found: dict[str, Arrays], names: Sequence[str], key: str) -> np.ndarray:
    """One array of all named parts, stacked first."""
    return np.stack([found[name][key] for name in names])
