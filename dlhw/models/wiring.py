"""What makes two models the same but for their weights: layers, wiring and shapes as text."""

from __future__ import annotations

from typing import Any

import keras

from dlhw.models.state import layers_of


def architecture(model: keras.Model) -> str:
    """Return layers, wiring and shapes of a model as text, without names, seeds and initializers."""
    layers = layers_of(model)
    order = {layer.name: f"layer {k}" for k, layer in enumerate(layers)}
    for k, operation in enumerate(getattr(model, "operations", ())):  # functions of keras.ops too, such as x + y
        order.setdefault(operation.name, f"operation {k}")
    try:
        config = model.get_config()
    except (NotImplementedError, TypeError, ValueError):  # a subclassed model
        config = {"layers": [(type(layer).__name__, layer.get_config()) for layer in layers[1:]]}
    shapes = [tuple(v.shape) for v in model.weights]
    return f"{type(model).__name__} {_without_names(config, order)} {shapes}"


def _without_names(value: Any, order: dict[str, str], is_wiring: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            k: _without_names(v, order, is_wiring or k in ("keras_history", "input_layers", "output_layers"))
            for k, v in value.items()
            if k not in ("name", "seed") and not k.endswith("_initializer")
        }
    if isinstance(value, (list, tuple)):
        return [_without_names(v, order, is_wiring) for v in value]
    return order.get(value, value) if is_wiring and isinstance(value, str) else value
