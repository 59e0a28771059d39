"""Nets that are plain chains of Dense layers: what can be stacked."""

from __future__ import annotations

from typing import Any

import keras

from dlhw.errors import UserError


def dense_layers(model: keras.Model, who: str = "fit_many") -> list[keras.layers.Dense]:
    """The Dense layers of a chain, in order, each with its activation; `who` refuses other models."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    wrong = [layer for layer in layers if not isinstance(layer, keras.layers.Dense) or not layer.use_bias]
    chain = all(len(layer._inbound_nodes) == 1 for layer in layers) and len(model.inputs) == len(model.outputs) == 1
    links = [layer.output for layer in layers[:-1]] == [layer.input for layer in layers[1:]] if chain else False
    if wrong or not layers or not links:
        name = type(wrong[0]).__name__ if wrong else "a branch"
        raise UserError(f"{who} takes plain chains of Dense layers with bias; {model.name!r} holds {name}")
    for layer in layers:
        extras = ("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")
        if not layer.trainable or any(getattr(layer, extra) is not None for extra in extras):
            raise UserError(
                f"{who} takes plain chains; {layer.name!r} of {model.name!r} is frozen, regularized or constrained"
            )
        if layer.activation is keras.activations.softmax or layer.activation is keras.activations.log_softmax:
            raise UserError(f"{who} needs elementwise activations; {layer.name!r} of {model.name!r} has softmax")
    return layers


def shape_of(model: keras.Model, who: str = "fit_many") -> tuple[Any, ...]:
    """What nets of one stack have in common."""
    return (model.compute_dtype, *((tuple(d.kernel.shape), d.activation) for d in dense_layers(model, who)))
