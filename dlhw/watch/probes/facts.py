"""What can be read from a model before it trains: its outputs, its loss, its layers; and the data of the probe."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.losses import ExampleLoss, are_probabilities
from dlhw.errors import UserError
from dlhw.models.copies import random_inputs
from dlhw.models.state import layers_of
from dlhw.watch.probes.activations import activation_of, name_of, names_of_weights
from dlhw.watch.probes.batch_facts import input_facts, label_shares, target_variance
from dlhw.watch.probes.probe_data import ProbeData
from dlhw.watch.probes.trace import Trace, traced
from dlhw.watch.probes.untouched import untouched
from dlhw.watch.spec import Facts

T = TypeVar("T")

KERNELS = ("kernel", "embeddings", "depthwise_kernel", "pointwise_kernel")
"""Names of weights that are drawn at random: layers that start with one value in all of them stay symmetric."""
DROPOUT = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout")


def of_model(model: keras.Model, probe: Any = None) -> Facts:
    """Return what a model, its loss and a probe say before training. Nothing of the model is changed.

    Args:
        model: any Keras model; of one that is not built little is known.
        probe: (x, y), or None.
    """
    nothing: dict[str, Any] = {}
    data = None if probe is None else _known(lambda: ProbeData(model, *probe), None)
    trace = _known(lambda: _traced(model, data), None)
    names = names_of_weights(model)
    loss, from_logits = _known(lambda: _loss(model), ("", ""))
    single = trace.outputs[0] if trace is not None and len(trace.outputs) == 1 else None
    kinds, sizes = _layers(model, names)
    return Facts(
        output_activation=_known(lambda: _output_activation(trace), ""),
        hidden_activations=tuple(u.activation for u in trace.units) if trace is not None and data is not None else (),
        loss=loss,
        from_logits=from_logits,
        output_shape=() if single is None else (-1, *(int(k) for k in single.shape[1:])),
        constant_layers=_known(lambda: _constant_layers(model, names), ()),
        dropout=tuple(float(layer.rate) for layer in layers_of(model) if type(layer).__name__ in DROPOUT),
        layer_kinds=kinds,
        layer_sizes=sizes,
        first_layers=() if trace is None else _first_layers(trace),
        output_layer="" if trace is None else _output_layer(trace, names),
        penalty=_known(lambda: _penalty(model), float("nan")),
        **(nothing if data is None else _known(lambda: _of_probe(data, loss, single), nothing)),
    )


def _known(make: Callable[[], T], otherwise: T) -> T:
    """Return what `make` returns, or `otherwise` where it fails: a model of the user's may do anything."""
    try:
        return make()
    except Exception:
        return otherwise


def _traced(model: keras.Model, data: ProbeData | None) -> Trace | None:
    """Return the calls of the layers on a few examples, of the probe or at random."""
    if not model.built:
        return None
    x = random_inputs(model) if data is None else data.tried()[0]
    if x is None:
        return None
    with untouched(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return traced(model, x)


def _loss(model: keras.Model) -> tuple[str, str]:
    """Return the name of the compiled loss, and whether it takes outputs for logits."""
    if type(model).compute_loss is not keras.Model.compute_loss:
        return "", ""
    try:
        loss = ExampleLoss(None, model)
    except UserError:
        return "", ""
    name = getattr(loss.base, "__name__", None) or _snake(type(loss.base).__name__)
    try:
        usual = inspect.signature(loss.base).parameters["from_logits"].default
    except (KeyError, TypeError, ValueError):
        return name, ""
    return name, "yes" if loss.arguments.get("from_logits", usual) else "no"


def _output_activation(trace: Trace | None) -> str:
    """Return the activation of the outputs; "": there are several, or a function of the user's comes after it."""
    if trace is None or len(trace.outputs) != 1:
        return ""
    z = trace.outputs[0]
    for k in reversed(trace.ends()):
        layer, output = trace.calls[k]
        activation = activation_of(layer)
        if activation and output is not None and int(tf.size(output)) == int(tf.size(z)) and trace.gives(k):
            return activation
    is_probability = are_probabilities(np.asarray(tf.cast(z, tf.float32)), 1e-2 if z.dtype.size == 2 else 1e-4)
    return "softmax" if is_probability else ""


def _output_layer(trace: Trace, names: dict[int, str]) -> str:
    """Return the name of the last layer with weights before the output."""
    ends = trace.ends()
    until = ends[-1] + 1 if ends else len(trace.calls)
    weighted = [layer for layer, _ in trace.calls[:until] if getattr(layer, "weights", None)]
    return name_of(weighted[-1], names) if weighted else ""


def _first_layers(trace: Trace) -> tuple[str, ...]:
    """Return the classes of the layers that the inputs pass, up to the first that has weights or scales."""
    classes = []
    for layer, _ in trace.calls:
        classes.append(type(layer).__name__)
        scales = isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization))
        if scales or getattr(layer, "weights", None):
            break
    return tuple(classes)


def _layers(model: keras.Model, names: dict[int, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return class and trainable weights of every layer that a record of the training has."""
    owners: dict[int, str] = {}
    for layer in reversed(layers_of(model)):  # inner ones first; what holds a cell gives it its name
        own = layer.trainable_variables if isinstance(layer, keras.layers.RNN) else layer._trainable_variables
        for variable in own:
            owners[id(variable)] = type(layer).__name__
    kinds, sizes = dict[str, str](), dict[str, int]()
    for variable in model.trainable_variables:
        name = names[id(variable)]
        kinds.setdefault(name, owners.get(id(variable), ""))
        sizes[name] = sizes.get(name, 0) + int(np.prod(variable.shape))
    return tuple(kinds.values()), tuple(sizes.values())


def _constant_layers(model: keras.Model, names: dict[int, str]) -> tuple[str, ...]:
    """Return the layers with a kernel of more than one entry, all of which are equal."""
    constant = []
    for variable in model.trainable_variables:
        if variable.name in KERNELS and len(variable.shape) >= 2 and int(np.prod(variable.shape)) > 1:
            values = tf.convert_to_tensor(variable.value)
            if bool(tf.reduce_all(tf.equal(values, tf.reshape(values, [-1])[0]))):
                constant.append(names[id(variable)])
    return tuple(dict.fromkeys(constant))


def _penalty(model: keras.Model) -> float:
    """Return the sum of the losses of regularizers."""
    regularized = [v for v in model.trainable_variables if getattr(v, "regularizer", None) is not None]
    return float(sum(float(v.regularizer(v)) for v in regularized))


def _of_probe(data: ProbeData, loss: str, outputs: Any) -> dict[str, Any]:
    """Return the fields that describe the probe."""
    low, high, mean, std = input_facts(data.x)
    fields: dict[str, Any] = {"probe_low": low, "probe_high": high, "probe_mean": mean, "probe_std": std}
    if data.y is not None and tf.is_tensor(data.y):
        y = np.asarray(data.y)
        classes = int(outputs.shape[-1]) if outputs is not None and len(outputs.shape) > 1 else 0
        shares = label_shares(y, loss, classes)
        fields |= {"probe_label_shares": shares} if shares else {"probe_target_variance": target_variance(y, loss)}
    return fields


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
