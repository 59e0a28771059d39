"""The functions of a training, compiled once for the shapes of its data."""

from __future__ import annotations

import time

import tensorflow as tf

from dlhw._tf.compiled import Compiled
from dlhw._tf.types import Tensor
from dlhw.errors import UserError
from dlhw.models.forward import FAILURES, Forward
from dlhw.training.steps import Updates


class Program:
    """An epoch and a measurement, as functions that are compiled when they are first called.

    Args:
        updates: the functions.
        compiled: False runs the same steps one by one as plain Python.
        xla: compile with XLA also where the layout does not need it.
    """

    def __init__(self, updates: Updates, compiled: bool, xla: bool) -> None:
        self.updates, self.compiled, self.xla = updates, compiled, xla
        self.moving: tuple[tf.Variable, ...] = ()  # variables that a measurement changes, and which are restored
        self.failed = False  # whether XLA cannot compile this training
        self._functions: dict[tuple[str, ...], Compiled] = {}

    def train_epoch(self, *arguments: Tensor) -> Tensor:
        """See :meth:`Updates.train_epoch`."""
        return self._call("train_epoch", self.updates.forward.xla, *arguments)

    def evaluate(self, x: Tensor, y: Tensor) -> tuple[float, float]:
        """Return mean loss and accuracy in inference mode."""
        replicas, loss = self.updates.replicas, self.updates.loss
        n, before = len(replicas.local_result(y)), [v.numpy() for v in self.moving]
        total, count, right = self._call("evaluate", self.updates.evaluation.xla, x, y)
        for variable, value in zip(self.moving, before, strict=True):
            variable.assign(value)
        return float(total) / (1 if loss.is_sum else float(count)), float(right) / n

    def compile(self, n: int, x: Tensor, y: Tensor, *samples: tuple[Tensor, Tensor]) -> float:
        """Trace and compile for these shapes, without taking a step; the seconds that it took."""
        began = time.perf_counter()
        if self.compiled:
            nothing = tf.constant(0), tf.constant(0), tf.constant(False), x, y, tf.zeros((n,), tf.int32)
            try:
                for sample in samples:
                    self.evaluate(*sample)
                self.train_epoch(*nothing)
            except FAILURES as error:
                updates = self.updates
                if isinstance(error, UserError) or not (self.xla or updates.forward.xla or updates.evaluation.xla):
                    raise
                self.xla, self.failed = False, True  # such as an op that XLA does not have
                updates.forward = updates.evaluation = Forward(updates.model)
                self._functions.clear()
                self.compile(n, x, y, *samples)
        return time.perf_counter() - began

    def _call(self, name: str, xla: bool, *arguments: Tensor) -> Tensor:
        function = getattr(self.updates, name)
        if not self.compiled:
            return function(*arguments)
        key = name, self.updates.forward.layout, self.updates.evaluation.layout
        if key not in self._functions:
            self._functions[key] = Compiled(function, xla=xla or self.xla)
        return self._functions[key](*arguments)
