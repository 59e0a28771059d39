"""Some of the trainable weights of a model: those of layers that are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import keras

from dlhw._tf.layer_norms import layer_groups, layers_with_weights
from dlhw.errors import require
from dlhw.models.state import layers_of

Layers: TypeAlias = str | Sequence[str] | None
"""Names of layers, one or several, wherever they are nested; None: the whole model."""


def selected_layers(model: keras.Model, layers: Layers) -> list[keras.layers.Layer] | None:
    """Return the layers with these names, in the order of the names; None for the whole model.

    Raises:
        UserError: for a name that no layer or several layers have, a layer without trainable weights, and no name.
    """
    if layers is None:
        return None
    names = [layers] if isinstance(layers, str) else list(layers)
    known: dict[str, list[keras.layers.Layer]] = {}
    for layer in layers_of(model):
        if layer.trainable_variables:
            known.setdefault(layer.name, []).append(layer)
    require(len(names) > 0, f"`layers` is empty; name layers among {list(known)}, or leave it out for all")
    for name in names:
        count = len(known.get(name, ()))
        require(count == 1, f"`layers` {name!r}: the model has {count} layers so named with weights; use {list(known)}")
    return [known[name][0] for name in names]


def selected_variables(model: keras.Model, layers: Layers) -> list[keras.Variable]:
    """Return the trainable variables of the named layers (None: all), in the order of `model.trainable_variables`.

    Raises:
        UserError: as for :func:`selected_layers`.
    """
    chosen = selected_layers(model, layers)
    if chosen is None:
        return list(model.trainable_variables)
    wanted = {id(v) for layer in chosen for v in layer.trainable_variables}
    return [v for v in model.trainable_variables if id(v) in wanted]


def named_groups(model: keras.Model, layers: Layers) -> tuple[tuple[str, ...], list[list[int]]]:
    """Return the names of layers, and which of the variables of :func:`selected_variables` belong to each.

    For the whole model: the layers of `model.layers` with weights, and a group "other" of weights of no layer.
    """
    chosen = selected_layers(model, layers)
    if chosen is None:
        groups = layer_groups(model)
        names = [layer.name for layer in layers_with_weights(model)]
        return (*names, *["other"] * (len(groups) - len(names))), groups
    at = {id(v): i for i, v in enumerate(selected_variables(model, layers))}
    groups = [[at.pop(id(v)) for v in layer.trainable_variables if id(v) in at] for layer in chosen]
    pairs = [(layer.name, group) for layer, group in zip(chosen, groups, strict=True) if group]
    return tuple(name for name, _ in pairs), [group for _, group in pairs]
