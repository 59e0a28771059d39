"""What a model holds beside its trainable weights, restored after a measurement, and what its layers give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.types import Tensor
from dlhw.errors import require


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the model and all layers nested in it, each once, in an order that a copy shares."""
    return list(dict.fromkeys(model._flatten_layers()))


def all_variables(model: keras.Model) -> list[Tensor]:
    """Return every variable of the model: weights, seeds of random layers, and those that Keras does not list.

    Keras lists neither the states of stateful recurrent layers nor a `tf.Variable` that a layer holds as an attribute.
    """
    variables = {id(v): v for v in model.variables}
    listed = {id(v.value) for v in model.variables}
    for layer in layers_of(model):
        for attribute in vars(layer).values():
            values = attribute.values() if isinstance(attribute, dict) else attribute
            for value in values if isinstance(attribute, (list, tuple, dict)) else [attribute]:
                if isinstance(value, (tf.Variable, keras.Variable)) and id(value) not in listed:
                    variables.setdefault(id(value), value)
    return list(variables.values())


@contextmanager
def restore_weights(model: keras.Model) -> Iterator[None]:
    """Context manager: whatever happens inside, every variable of `model` is restored: weights, states, seeds.

    Args:
        model: any built Keras model.

    Returns:
        A context manager.

    Raises:
        AttributeError: for anything but a Keras model.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,))
        >>> before = measure.flat(net)
        >>> with measure.restore_weights(net):
        ...     measure.assign(net, 0 * before)
        >>> bool((measure.flat(net) == before).all())
        True
    """
    before = [(v, v.numpy()) for v in all_variables(model)]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def require_built(model: keras.Model) -> None:
    """Raise UserError for a model whose weights have not been made yet."""
    require(
        bool(model.built) and (len(model.weights) > 0 or model.count_params() == 0),
        f"model {model.name!r} is not built: call it once on data, model(x[:1])",
    )


@contextmanager
def intercepted(
    layers: Sequence[keras.layers.Layer], wrap: Callable[[keras.layers.Layer, Any], Callable[..., Any]]
) -> Iterator[None]:
    """Run the calls of `layers` through `wrap(layer, call) -> call`, whatever model they belong to."""
    own = [(layer, vars(layer).get("call")) for layer in layers]  # None: the method of the class
    try:
        for layer in layers:
            # Past Keras's own __setattr__, which would track the function as a part of the layer.
            object.__setattr__(layer, "call", wrap(layer, layer.call))
        yield
    finally:
        for layer, call in own:
            if call is not None:
                object.__setattr__(layer, "call", call)
            elif "call" in vars(layer):
                object.__delattr__(layer, "call")


def leaves_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers without sublayers."""
    return [
        layer
        for layer in layers_of(model)
        if len(list(layer._flatten_layers())) == 1 and not isinstance(layer, keras.layers.InputLayer)
    ]


def layer_outputs(model: keras.Model, x: Tensor) -> list[tuple[keras.layers.Layer, Any]]:
    """Return every call of a leaf layer on `x` in inference mode, with its output, in the order of the calls."""
    calls: list[tuple[keras.layers.Layer, Any]] = []

    def wrap(layer: keras.layers.Layer, call: Any) -> Callable[..., Tensor]:
        def recorded(*args: Any, **kwargs: Any) -> Tensor:
            outputs = call(*args, **kwargs)
            calls.append((layer, outputs))
            return outputs

        return recorded

    with intercepted(leaves_of(model), wrap):
        model(x, training=False)
    return calls


def first_difference(one: list[tuple[Any, Any]], other: list[tuple[Any, Any]]) -> str:
    """Return the name of the first layer whose outputs differ between two lists of :func:`layer_outputs`."""
    for (layer, a), (_, b) in zip(one, other, strict=False):
        pairs = zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=False)
        if any(tf.is_tensor(p) and not agree(p, q) for p, q in pairs):
            return f"layer {layer.name!r}"
    return "a layer that is called as a function"


def agree(a: Tensor, b: Tensor, tolerance: float | None = None) -> bool:
    """Whether two tensors are equal to the rounding of the coarser of both, relative to the largest entry."""
    p, q = (np.asarray(v) if v.dtype == tf.string else np.asarray(tf.cast(v, tf.float64)) for v in (a, b))
    if p.shape != q.shape:
        return False
    if p.dtype.kind not in "fiu":
        return bool((p == q).all())
    if tolerance is None:
        eps = {2: 0.02, 4: 1e-4}
        tolerance = max(eps.get(tf.as_dtype(v.dtype).size, 1e-9) for v in (a, b))
    scale = max(float(np.abs(p[np.isfinite(p)]).max(initial=0.0)), 1e-30)
    return bool(np.allclose(p, q, rtol=tolerance, atol=tolerance * scale, equal_nan=True))
