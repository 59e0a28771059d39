"""What stands in for the compiled step of a model while it is watched: reads rows now and then, cleans up on errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dlhw.watch.steps.step import Step

TrainFunction = Callable[[Any], Any]
OUT_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


class Guard:
    """The training function of a model.

    Keras calls `on_train_batch_end` of a callback with numbers that it must wait for, at every step; this is called at
    every step too, and waits for none.

    Args:
        step: of the model.
        full: the compiled step that measures everything.
        light: the same without updates, weights and zeros, which cost several passes over the weights.
        update_every: calls between two of `full`.
        before: what the model had in its place.
        calls_per_read: calls between two reads, at most.
        read: fetches rows, and returns for how many calls there is room from then on.
        interrupt: called before an exception leaves the step.
    """

    def __init__(
        self,
        step: Step,
        full: TrainFunction,
        light: TrainFunction,
        update_every: int,
        before: TrainFunction | None,
        calls_per_read: int,
        read: Callable[[], int],
        interrupt: Callable[[], None],
    ) -> None:
        self.step, self.full, self.light, self.update_every = step, full, light, update_every
        self.before, self.calls_per_read, self.read, self.interrupt = before, calls_per_read, read, interrupt
        self.calls = 0
        self.next_read = 1  # after one call it is known how many rows a call writes

    def __call__(self, iterator: Any) -> Any:
        """Take the next steps."""
        self.step.detailed = self.calls % self.update_every == 0  # which is read while a step is traced
        try:
            logs = (self.full if self.step.detailed else self.light)(iterator)
        except OUT_OF_DATA:
            raise
        except BaseException:
            self.interrupt()
            raise
        self.calls += 1
        if self.calls >= self.next_read:
            self.next_read = self.calls + max(1, min(self.calls_per_read, self.read()))
        return logs
