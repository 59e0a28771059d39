"""Where the first number that is not finite comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dlhw._tf.inputs import chunks, input_tensors
from dlhw._tf.types import Data
from dlhw.models.state import intercepted, layers_of
from dlhw.watch.probes.activations import name_of, names_of_weights
from dlhw.watch.probes.untouched import untouched

CHUNK = 128


def nonfinite_layer(model: keras.Model, x: Data) -> str:
    """Return the first layer, in the order of computation, with weights or an output that are not finite.

    Args:
        model: any built Keras model.
        x: inputs, (n, ...).

    Returns:
        Its name; "": every number is finite, or the model cannot be called on x.
    """
    names, first = names_of_weights(model), list[str]()

    def wrap(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def seen(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            if not first and not (_finite(layer.weights) and _finite(tf.nest.flatten(result))):
                first.append(name_of(layer, names))
            return result

        return seen

    # A layer inside of another one ends first, and is named first.
    layers = [layer for layer in layers_of(model) if layer is not model]
    with untouched(model), intercepted(layers, wrap):
        try:
            for part in chunks(input_tensors(model, x), CHUNK):
                model(part, training=False)
                if first:
                    break
        except Exception:  # an operation may refuse what is not finite; the layer before it is known
            return first[0] if first else ""
    return first[0] if first else ""


def _finite(values: list[Any]) -> bool:
    tensors = [tf.convert_to_tensor(v) for v in values if hasattr(v, "dtype") and _is_float(v)]
    return all(bool(tf.reduce_all(tf.math.is_finite(t))) for t in tensors if hasattr(t, "numpy"))


def _is_float(value: Any) -> bool:
    return "float" in str(getattr(value.dtype, "name", value.dtype))
