"""Independent parts of one run, such as trainings, each stored as soon as it is finished."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dlhw.checkpoints import UNFINISHED
from dlhw.runs.context import Context

Arrays = dict[str, np.ndarray]


@dataclass
class Task:
    """Handed to the code that computes one part: where it reports, and whether to stop."""

    name: str
    _progress: Progress

    def report(self, done: float, value: float) -> None:
        """Report that `done` units of this task (epochs) have passed, with the latest value (loss)."""
        self._progress.update(self.name, done, value)

    def should_stop(self) -> bool:
        """Whether another task failed, or Ctrl-C was pressed."""
        return self._progress.stopped.is_set()

    def state(self) -> Arrays | None:
        """Return the state that an earlier process stored before it ended, or None."""
        state = self._progress.context.checkpoints.get(self.name + UNFINISHED)
        if state is not None:
            self._progress.resumed.add(self.name)
        return state

    def checkpoint(self, state: Arrays) -> None:
        """Store the state of this task, which is not finished."""
        self._progress.context.checkpoints.put(self.name + UNFINISHED, state)


@dataclass
class Progress:
    """How far all tasks are."""

    context: Context
    sizes: Mapping[str, int]  # units of every task
    unit: str = "epochs"
    what: str = "trainings"
    activity: str = "training"
    quantity: str = "loss"
    restored: float = 0.0  # units that an earlier process computed
    resumed: set[str] = field(default_factory=set)  # tasks that continue from a stored state
    done: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, name: str, done: float, value: float = np.nan) -> None:
        """Record how far a task is, and report the sum over all tasks."""
        with self.lock:
            if name in self.resumed and name not in self.done:
                self.restored += done
            self.done[name] = done
            if np.isfinite(value):
                self.values[name] = value
            finished = sum(self.done[k] >= self.sizes[k] for k in self.done)
            median = float(np.median(list(self.values.values()))) if self.values else np.nan
            if self.context.progress is not None:
                note = f"{finished} of {len(self.sizes)} {self.what} finished"
                self.context.progress(
                    sum(self.done.values()),
                    sum(self.sizes.values()),
                    median,
                    self.unit,
                    note,
                    activity=self.activity,
                    quantity=self.quantity,
                    restored=self.restored,
                )


Work = Callable[[Task], Arrays]
"""Computes one task."""


class Executor(Protocol):
    """Runs tasks: on threads of this process (`executors.Threads`), or on a cluster (`dask.Cluster`)."""

    def __call__(
        self, work: Work, names: Sequence[str], finished: Callable[[str, Arrays], None], progress: Progress, among: int
    ) -> None:
        """Run `work` for every task in `names`; `finished` gets the arrays of each as soon as it ends.

        among: number of tasks that share the cores.
        """


def run_tasks(
    sizes: Mapping[str, int],
    work: Work,
    context: Context,
    executor: Executor,
    *,
    unit: str = "epochs",
    what: str = "trainings",
    activity: str = "training",
    quantity: str = "loss",
    among: int = 0,
) -> dict[str, Arrays]:
    """Return the arrays of every task by name: those that an earlier run stored, and the others from `work`.

    When one task fails, or Ctrl-C is pressed, the others stop after their epoch; what is finished stays stored.

    Args:
        sizes: units of every task, by name, such as epochs.
        work: computes one task.
        context: of the run.
        executor: where the tasks run.
        unit: what `sizes` counts.
        what: what the tasks are, in the plural.
        activity: what is done, for the progress report.
        quantity: what the value of a report is.
        among: number of tasks that share the cores, if not these. In a process that trains nothing, since all
            trainings are stored, what follows must meet the number of threads that it met in the first process, or it
            rounds differently.
    """
    results = {name: context.checkpoints.get(name) for name in sizes}
    missing = [name for name in sizes if results[name] is None]
    if missing:
        stored = {n: float(k) for n, k in sizes.items() if n not in missing}
        progress = Progress(context, sizes, unit, what, activity, quantity, sum(stored.values()), done=stored)

        def finished(name: str, arrays: Arrays) -> None:
            context.checkpoints.put(name, arrays)
            context.checkpoints.drop(name + UNFINISHED)
            results[name] = arrays
            progress.update(name, sizes[name])

        # Among all tasks, not the missing ones alone: the number of threads decides the rounding.
        executor(work, missing, finished, progress, among or len(sizes))
    return {name: arrays for name, arrays in results.items() if arrays is not None}


def detached_task(name: str) -> Task:
    """Return the handle of a task in a process of its own, which reports no progress."""
    return Task(name, Progress(Context(), {name: 1}))
