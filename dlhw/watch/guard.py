"""What stands in for the compiled step of a model while it is watched: reads rows now and then, cleans up on errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

OUT_OF_DATA = (StopIteration, tf.errors.OutOfRangeError)


class Guard:
    """The training function of a model.

    Keras calls `on_train_batch_end` of a callback with numbers that it must wait for, at every step; this is called at
    every step too, and waits for none.

    Args:
        function: the compiled step.
        before: what the model had in its place.
        steps: calls between two reads.
        read: fetches rows.
        interrupt: called before an exception leaves the step.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        before: Callable[[Any], Any] | None,
        steps: int,
        read: Callable[[], None],
        interrupt: Callable[[], None],
    ) -> None:
        self.function, self.before, self.steps, self.read, self.interrupt = function, before, steps, read, interrupt
        self.calls = 0

    def __call__(self, iterator: Any) -> Any:
        """Take the next steps."""
        try:
            logs = self.function(iterator)
        except OUT_OF_DATA:
            raise
        except BaseException:
            self.interrupt()
            raise
        self.calls += 1
        if self.calls >= self.steps:
            self.calls = 0
            self.read()
        return logs
