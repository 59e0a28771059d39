"""The calls of the layers of a model on a few examples: what comes first, what is last, and what gives the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.models.state import intercepted, layers_of, leaves_of
from dlhw.watch.probes.activations import UnitLayer, unit_layers


@dataclass(frozen=True)
class Trace:
    """The calls of the layers that hold no others, and of those with an activation, in the order in which they end."""

    calls: tuple[tuple[Any, Any], ...]  # layer and output; the output is None where it is no tensor with a value
    outputs: tuple[Any, ...]  # of the model
    units: tuple[UnitLayer, ...]  # the layers with an activation that were called, in the order of their first calls
    missed: tuple[UnitLayer, ...]  # those that are not, or in a function that the model compiles itself

    def ends(self) -> list[int]:
        """Return which calls give the outputs of the model: those of the same values, and the last."""
        ends = [k for k in range(len(self.calls)) if self.gives(k)]
        weighted = [k for k, (layer, _) in enumerate(self.calls) if _weights(layer)]
        last = len(self.calls) - 1
        return ends or ([max(weighted[-1], last)] if weighted else [])

    def gives(self, k: int) -> bool:
        """Return whether a call gives an output of the model, value for value."""
        return any(_same(self.calls[k][1], z) for z in self.outputs)

    def output_units(self) -> set[int]:
        """Return which of `units` compute outputs: no layer with weights is called after them, or they are outputs."""
        weighted = max((k for k, (layer, _) in enumerate(self.calls) if _weights(layer)), default=-1)
        after = {id(layer) for k, (layer, _) in enumerate(self.calls) if k >= weighted}
        after |= {id(self.calls[k][0]) for k in self.ends()}
        return {k for k, unit in enumerate(self.units) if id(unit.layer) in after}


def traced(model: keras.Model, x: Tensor) -> Trace:
    """Call a model on a few inputs in inference mode, and return the calls of its layers."""
    candidates = {id(unit.layer): unit for unit in unit_layers(model)}
    recurrent = [layer for layer in layers_of(model) if isinstance(layer, keras.layers.RNN)]
    units = [unit.layer for unit in candidates.values()]
    calls: list[tuple[Any, Any]] = []

    def wrap(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def seen(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            calls.append((layer, first_output(result)))
            return result

        return seen

    with intercepted(list(dict.fromkeys([*leaves_of(model), *recurrent, *units])), wrap):
        outputs = model(x, training=False)
    called = list(dict.fromkeys(id(layer) for layer, output in calls if is_counted(output)))
    return Trace(
        tuple((layer, output if hasattr(output, "numpy") else None) for layer, output in calls),
        tuple(tf.nest.flatten(outputs)),
        tuple(candidates[key] for key in called if key in candidates),
        tuple(unit for key, unit in candidates.items() if key not in called),
    )


def is_counted(output: Any) -> bool:
    """Whether an output is an array of floats with an axis of examples and one of units, and has a value."""
    return bool(
        tf.is_tensor(output) and hasattr(output, "numpy") and output.dtype.is_floating and len(output.shape) > 1
    )


def first_output(result: Any) -> Any:
    """Return the first tensor of what a layer returns: of recurrent ones, without their states."""
    return next(iter(tf.nest.flatten(result)), None)


def _weights(layer: Any) -> bool:
    return bool(getattr(layer, "weights", None))


def _same(output: Any, z: Any) -> bool:
    """Whether an output of the model is that of a layer, in any shape."""
    if output is z:
        return True
    if not tf.is_tensor(output) or not tf.is_tensor(z) or tf.size(output) != tf.size(z):
        return False
    a, b = (np.asarray(tf.cast(v, tf.float64)).ravel() for v in (output, z))
    return bool(np.array_equal(a, b, equal_nan=True))
