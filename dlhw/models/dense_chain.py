"""Nets that are plain chains of Dense layers: what can be stacked."""

from __future__ import annotations

import keras

from dlhw._tf.types import Tensor
from dlhw.errors import UserError, require
from dlhw.models.state import require_built


def dense_layers(model: keras.Model, who: str = "fit_many") -> list[keras.layers.Dense]:
    """Return the Dense layers of a chain, in order, each with its activation; `who` refuses other models."""
    require_built(model)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    wrong = [layer for layer in layers if type(layer) is not keras.layers.Dense or not layer.use_bias]
    links = _is_chain(model, layers)
    if wrong or not layers or not links:
        name = type(wrong[0]).__name__ if wrong else "a branch"
        raise UserError(f"{who} supports plain chains of Dense layers with bias; {model.name!r} contains {name}")
    rank = len(model.inputs[0].shape)
    require(rank == 2, f"{who} supports inputs of shape (batch, features); {model.name!r} has inputs of {rank} axes")
    for layer in layers:
        what = _extra(layer)
        require(not what, f"{who} supports plain chains; {layer.name!r} of {model.name!r} is {what}")
        require(
            layer.activation is not keras.activations.softmax and layer.activation is not keras.activations.log_softmax,
            f"{who} needs elementwise activations; {layer.name!r} of {model.name!r} has softmax",
        )
    require(len({layer.compute_dtype for layer in layers} | {model.compute_dtype}) == 1,
            f"{who} supports nets of one precision; {model.name!r} has several")  # fmt: skip
    return layers


def _is_chain(model: keras.Model, layers: list[keras.layers.Layer]) -> bool:
    """Whether every layer is called once in this model, on the output of the one before it."""
    by_depth = getattr(getattr(model, "_functional", None) or model, "_nodes_by_depth", {})
    nodes = {id(node) for row in by_depth.values() for node in row}  # a layer may be called outside of the model too
    calls = [[node for node in layer._inbound_nodes if id(node) in nodes] for layer in layers]
    if not all(len(own) == 1 for own in calls) or not len(model.inputs) == len(model.outputs) == 1:
        return False
    outputs = [own[0].output_tensors for own in calls[:-1]]
    return all(len(a) == 1 and a[0] is own[0].input_tensors[0] for a, own in zip(outputs, calls[1:], strict=True))


def _extra(layer: keras.layers.Dense) -> str:
    """Return what a layer has that a stack does not support, as text; empty if nothing."""
    if not layer.trainable:
        return "frozen"
    if any(getattr(layer, f"{kind}_regularizer") is not None for kind in ("kernel", "bias", "activity")):
        return "regularized"
    if any(getattr(layer, f"{kind}_constraint") is not None for kind in ("kernel", "bias")):
        return "constrained"
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return "quantized or adapted by LoRA"
    return "" if layer.compute_dtype == layer.variable_dtype else f"of the mixed policy {layer.dtype_policy.name}"


def shape_of(model: keras.Model, who: str = "fit_many") -> tuple[Tensor, ...]:
    """Return the key of the stack that a net belongs to: dtype, layer shapes and activations."""
    return (model.compute_dtype, *((tuple(d.kernel.shape), d.activation) for d in dense_layers(model, who)))
