"""Dead and saturated units of every layer with an activation, over the examples of a probe."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.types import Tensor
from dlhw.models.state import intercepted, layers_of, leaves_of
from dlhw.watch.activations import UnitLayer, unit_layers

Array = NDArray[np.floating]

SATURATED = {"tanh": (-0.99, 0.99), "hard_tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99), "hard_sigmoid": (0.01, 0.99)}
"""Outputs beyond which a unit counts as saturated; there the slope is at most a fiftieth of its largest."""
BOUNDS = {"tanh": (-1, 1), "hard_tanh": (-1, 1), "sigmoid": (0, 1), "hard_sigmoid": (0, 1)}
RECTIFIERS = ("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "hard_silu", "mish")
"""Activations of which a unit can be dead: 0 on every example for relu, the same on every example for the others."""
CONSTANT = 1e-6
"""Largest difference of the outputs of a constant unit, as a share of the largest output of its layer."""


@dataclass
class Tally:
    """What is known of the outputs of one layer after some chunks."""

    low: Tensor = None  # of every unit
    high: Tensor = None
    saturated: float = 0.0
    entries: int = 0
    calls: int = 0
    last: Any = field(default=None, repr=False)  # weak reference to the output of the last call

    def add(self, unit: UnitLayer, output: Tensor) -> None:
        """Count the output of a call, (n, ..., units)."""
        rank = len(output.shape)
        axes = [k for k in range(rank) if k != unit.axis % rank]
        values = tf.cast(output, tf.float64 if output.dtype == tf.float64 else tf.float32)
        low, high = tf.reduce_min(values, axes), tf.reduce_max(values, axes)
        if self.low is None:
            self.low, self.high = low, high
        elif self.low.shape == low.shape:
            self.low, self.high = tf.minimum(self.low, low), tf.maximum(self.high, high)
        if unit.activation in SATURATED:
            below, above = SATURATED[unit.activation]
            self.saturated += float(tf.math.count_nonzero((values < below) | (values > above)))
        self.entries += int(tf.size(values))
        self.calls += 1
        self.last = weakref.ref(output)

    def dead(self, activation: str) -> float:
        """Return the share of dead units; nan where units of this activation do not die."""
        if activation not in RECTIFIERS:
            return float("nan")
        low, high = self.low.numpy(), self.high.numpy()
        if activation == "relu":
            return float(np.mean((low == 0) & (high == 0)))
        if self.entries <= low.size:  # one number a unit is always the same
            return float("nan")
        with np.errstate(invalid="ignore", over="ignore"):
            scale = np.max(np.maximum(np.abs(low), np.abs(high)))
            return float(np.mean(high - low <= CONSTANT * scale)) if np.isfinite(scale) else float("nan")

    def saturated_share(self, activation: str) -> float:
        """Return the share of saturated outputs; nan where there is no such thing."""
        if activation not in SATURATED:
            return float("nan")
        lowest, highest = BOUNDS[activation]
        with np.errstate(invalid="ignore"):
            # The attribute of a user's layer need not be what its output went through.
            inside = bool((self.low.numpy() >= lowest).all() and (self.high.numpy() <= highest).all())
        return self.saturated / self.entries if inside else float("nan")


class Units:
    """The layers with an activation of a model, found by calling it once.

    Args:
        model: any built Keras model.
        x: some inputs, as tensors.
        note: called with a sentence on what cannot be seen.
    """

    def __init__(self, model: keras.Model, x: Tensor, note: Callable[[str], None] = lambda sentence: None) -> None:
        self.model, self.note = model, note
        self.layers: list[UnitLayer] = unit_layers(model)
        self._order: list[int] = []  # of first calls
        self._weighted = self._calls = 0  # when a layer with weights was called last; calls so far
        self._when: dict[int, int] = {}
        tallies: dict[int, Tally] = {}
        with intercepted([*(unit.layer for unit in self.layers), *self._others()], self._wrapper(tallies)):
            outputs = model(x, training=False)
        called = {id(unit.layer): unit for unit in self.layers}
        self.layers = [called[key] for key in self._order if key in tallies]
        self.outputs = self._output_layers(tallies, tf.nest.flatten(outputs))
        self.counts = tuple(int(tallies[id(unit.layer)].low.shape[0]) for unit in self.layers)

    @classmethod
    def none(cls, model: keras.Model) -> Units:
        """Return no layers of a model."""
        units = cls.__new__(cls)
        units.model, units.layers, units.outputs, units.counts = model, [], set(), ()
        return units

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, in the order of their first call."""
        return tuple(unit.name for unit in self.layers)

    @property
    def activations(self) -> tuple[str, ...]:
        """The activations of the layers."""
        return tuple(unit.activation for unit in self.layers)

    def run(self, chunks: Iterable[Any], use: Callable[[Any, Any], None]) -> tuple[Array, Array]:
        """Call the model on every chunk, and give `use` the chunk and the outputs.

        Args:
            chunks: of (x, y), as tensors.
            use: called with a chunk and the outputs of the model.

        Returns:
            Shares of dead units and of saturated outputs of every layer, (U,) each; nan where there is no such thing.
        """
        tallies: dict[int, Tally] = {}
        with intercepted([unit.layer for unit in self.layers], self._wrapper(tallies)):
            for chunk in chunks:
                use(chunk, self.model(chunk[0], training=False))
        dead, saturated = np.full(len(self.layers), np.nan), np.full(len(self.layers), np.nan)
        for k, unit in enumerate(self.layers):
            tally = tallies.get(id(unit.layer))
            if tally is not None:
                dead[k] = tally.dead(unit.activation)
                saturated[k] = np.nan if k in self.outputs else tally.saturated_share(unit.activation)
        return dead, saturated

    def _others(self) -> list[Any]:
        """Return the leaf layers with weights, and the recurrent ones, that have no activation of their own."""
        known = {id(unit.layer) for unit in self.layers}
        recurrent = [layer for layer in layers_of(self.model) if isinstance(layer, keras.layers.RNN)]
        layers = dict.fromkeys([*leaves_of(self.model), *recurrent])
        return [layer for layer in layers if layer.weights and id(layer) not in known]

    def _wrapper(self, tallies: dict[int, Tally]) -> Callable[[Any, Any], Callable[..., Any]]:
        units = {id(unit.layer): unit for unit in self.layers}

        def wrap(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            unit = units.get(id(layer))

            def seen(*arguments: Any, **named: Any) -> Any:
                result = call(*arguments, **named)
                self._calls += 1
                self._when[id(layer)] = self._calls
                if getattr(layer, "weights", None):
                    self._weighted = self._calls
                if unit is not None:
                    self._count(unit, tf.nest.flatten(result), tallies)
                return result

            return seen

        return wrap

    def _count(self, unit: UnitLayer, outputs: list[Any], tallies: dict[int, Tally]) -> None:
        output = outputs[0] if outputs else None
        if not tf.is_tensor(output) or not output.dtype.is_floating or len(output.shape) < 2:
            return
        if not hasattr(output, "numpy"):  # inside of a function that the model compiles itself
            self.note(f"The units of {unit.name} are not counted: the model calls it in a function of its own.")
            return
        key = id(unit.layer)
        if key not in tallies:
            tallies[key] = Tally()
        if key not in self._order:
            self._order.append(key)
        tallies[key].add(unit, output)

    def _output_layers(self, tallies: dict[int, Tally], outputs: list[Any]) -> set[int]:
        """Return which layers compute an output: it is theirs, or no layer with weights is called after them."""
        ends = set()
        for k, unit in enumerate(self.layers):
            last = tallies[id(unit.layer)].last
            is_output = any(last() is z for z in outputs)
            if is_output or self._when[id(unit.layer)] >= self._weighted:
                ends.add(k)
        return ends
