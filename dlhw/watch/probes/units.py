"""Dead and saturated units of every layer with an activation, over the examples of a probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlhw._tf.types import Tensor
from dlhw.models.state import intercepted
from dlhw.watch.probes.activations import UnitLayer
from dlhw.watch.probes.trace import first_output, is_counted, traced

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
        trace = traced(model, x)
        self.model, self.layers = model, list(trace.units)
        self.outputs = trace.output_units()
        counts = {id(layer): output for layer, output in trace.calls}
        self.counts = tuple(int(counts[id(unit.layer)].shape[unit.axis]) for unit in self.layers)
        for unit in trace.missed:
            note(
                f"The units of {unit.name} are not counted: the model does not call it, or only in a function that it "
                "compiles itself."
            )

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

    def _wrapper(self, tallies: dict[int, Tally]) -> Callable[[Any, Any], Callable[..., Any]]:
        units = {id(unit.layer): unit for unit in self.layers}

        def wrap(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            def seen(*arguments: Any, **named: Any) -> Any:
                result = call(*arguments, **named)
                output = first_output(result)
                if is_counted(output):
                    tallies.setdefault(id(layer), Tally()).add(units[id(layer)], output)
                return result

            return seen

        return wrap
