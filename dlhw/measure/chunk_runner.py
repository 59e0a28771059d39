"""Runs the functions of a chunk over all examples, in the layout that is fastest, and adds up what they return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.compiled import Compiled
from dlhw._tf.inputs import chunks, first_line, input_tensors, length, target_tensor, wide_dtype
from dlhw._tf.losses import ExampleLoss, Loss
from dlhw._tf.pieces import examples_per_call
from dlhw._tf.types import Data, Tensor
from dlhw.choices import Layout
from dlhw.errors import UserError, require
from dlhw.measure.chunk_functions import WORK, ChunkFunctions
from dlhw.models.activations import examples_that_fit
from dlhw.models.forward import FAILURES, Forward, current_layout, forward_function
from dlhw.models.probe import probe
from dlhw.models.selection import Layers, selected_variables

Array = NDArray[np.floating]

BATCH = 500  # examples of a chunk: measured best between 100 and 1000, and small in memory


class ChunkRunner:
    """Data, model and loss, and sums over all examples of the functions of a chunk."""

    def __init__(self, model: keras.Model, loss: Loss, x: Data, y: Data, batch_size: int, layers: Layers) -> None:
        """Prepare the measurement and try it on a few examples: see :class:`dlhw.measure.Objective`."""
        require(batch_size >= 1, f"`batch_size` {batch_size} must be positive")
        self.model, self.given, self.loss, self.layers = model, loss, ExampleLoss(loss, model), layers
        self.data = input_tensors(model, x), target_tensor(model, y)
        self.n = length(self.data)
        self.probe = probe(model, self.loss, *self.data)
        self.batch_size = self.n if self.probe.at_once else batch_size
        require(len(model.trainable_variables) > 0, f"model {model.name!r} has no trainable weights")
        self.weights = selected_variables(model, layers)
        self.variables = [v.value for v in self.weights]
        self.shapes = [v.shape.as_list() for v in self.variables]
        self.sizes = [int(np.prod(s)) for s in self.shapes]
        self.size = sum(self.sizes)
        self.dtype = max((wide_dtype(v.dtype) for v in self.variables), key=lambda d: d.size)
        self.functions = ChunkFunctions(model, self.loss, self.variables, self.probe, self.n, self.dtype)
        self._functions: dict[tuple[str, str], tuple[Forward, Compiled]] = {}
        self.denominator = self.functions.denominator = self._count()

    def _count(self) -> float:
        """Return what the sum of all losses is divided by: the number of losses that count, or one for a sum."""
        if self.loss.is_sum:
            return 1.0
        if not self.probe.masked:
            return float(self.n * self.probe.entries)
        (count,) = self._sum("valid")
        require(bool(count > 0), "the mask excludes every example")
        return float(count)

    def _is_unchanged(self) -> bool:
        """Whether the trainable weights of the model are those of the time when this object was made."""
        now = {id(v) for v in self.model.trainable_variables}
        all_there = all(id(v) in now for v in self.weights)
        return all_there and (self.layers is not None or len(now) == len(self.weights))

    def _sum(self, name: str, *more: Tensor) -> list[Array]:
        """Return sums over the chunks of one of the functions of a chunk, in float64."""
        require(
            self._is_unchanged(),
            "the trainable weights of the model have changed (a layer was frozen or unfrozen); create a new Objective",
        )
        total: list[Any] = []
        try:
            for part in self._parts(name, *more):
                total = [a + b for a, b in zip(total, part, strict=True)] if total else part
        except (LookupError, TypeError, NotImplementedError, tf.errors.OpError) as error:
            if isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            what = {"value": "loss", "valid": "loss", "example_losses": "loss", "gradient": "a gradient"}
            raise UserError(
                f"model {self.model.name!r} has no {what.get(name, 'second derivatives')} on these data: "
                f"{first_line(error)}"
            ) from None
        return total

    def _parts(self, name: str, *more: Tensor, data: Tensor = None) -> Iterator[list[Array]]:
        """Yield the results of a function for each chunk of data (None: all), from the same states of the model."""
        data = self.data if data is None else data
        before = [v.numpy() for v in self.probe.moving]
        forward, function = self._compiled(name)
        for k, (x, y) in enumerate(chunks(data, self._examples(name, forward, data))):
            try:
                parts = function(x, y, *more)
            except FAILURES as error:
                if k or isinstance(error, UserError) or not forward.xla:
                    raise
                plain = Forward(self.model)  # such as for a loss that XLA does not have
                self._functions[name, current_layout()] = plain, self.functions.compiled(name, plain)
                yield from self._parts(name, *more, data=data)
                return
            yield [np.asarray(a, np.float64) for a in (parts if isinstance(parts, (tuple, list)) else [parts])]
            for variable, value in zip(self.probe.moving, before, strict=True):
                variable.assign(value)

    def _examples(self, name: str, forward: Forward, data: Tensor) -> int:
        """Return how many examples one call takes; by default as many as memory and the layout make sensible."""
        if self.batch_size != BATCH or self.probe.at_once:
            return self.batch_size
        if forward.xla:
            return examples_per_call(length(data), data[0])
        return examples_that_fit(self.model, WORK[name], length(data), BATCH)

    def _compiled(self, name: str) -> tuple[Forward, Compiled]:
        """Return the forward function that is fastest for a function of a chunk, and that function, compiled."""
        key = name, current_layout()
        if key not in self._functions:
            in_one_pass = self.probe.at_once or self.probe.moving or name == "rows"
            layout: Layout = "plain" if in_one_pass else "auto"
            forward = forward_function(self.model, layout, WORK[name], self.n, self.data[0])
            self._functions[key] = forward, self.functions.compiled(name, forward)
        return self._functions[key]
