"""Copies of models with all of their state, proved to compute the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FunctionType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import first_line, input_tensors, take
from dlhw._tf.types import Tensor
from dlhw.errors import UserError
from dlhw.models.state import (
    agree,
    all_variables,
    first_difference,
    layer_outputs,
    layers_of,
    require_built,
    restore_weights,
)

PROOF_EXAMPLES = 4
"""Examples on which a copy must give the outputs of its original."""


def copied(
    model: keras.Model,
    x: Tensor = None,
    *,
    config: Callable[[Any], Any] = lambda c: c,
    prepare: Callable[[keras.Model], None] = lambda m: None,
) -> keras.Model:
    """Return an independent copy of `model` with all of its state, checked to equal it on a few examples.

    The copy is made from the configuration, after `config` has changed it; then come the variables, and the state that
    is not in variables (the statistics of an adapted Normalization, the vocabulary of a lookup).

    Args:
        model: any built Keras model with a configuration.
        x: examples for the check; default: drawn at random in the shape of the model's inputs.
        config: changes the configuration, such as the precision in it.
        prepare: called with the copy before it is called on anything.

    Returns:
        The copy.

    Raises:
        UserError: for a model that is not built, that Keras cannot make from its configuration (a subclassed one
            without `get_config`), or whose copy gives other outputs.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,), seed=1)
        >>> bool((measure.flat(models.copied(net)) == measure.flat(net)).all())
        True
    """
    require_built(model)
    examples = (
        random_inputs(model) if x is None else take(input_tensors(model, x), np.arange(min(PROOF_EXAMPLES, len_of(x))))
    )
    try:
        with custom_objects(model), _unsafe():
            copy = model.__class__.from_config(config(model.get_config()))
        prepare(copy)
        if not copy.built and examples is not None:
            copy(examples, training=False)
        transfer_state(model, copy)
        if examples is not None:
            prove_equal(model, copy, examples)
    except UserError:
        raise
    except (NotImplementedError, TypeError, ValueError, AttributeError, KeyError, tf.errors.OpError) as error:
        unable = "Unable to revive" in str(error)
        reason = "its class has no get_config that recreates it" if unable else first_line(error)
        raise UserError(
            f"{model.name} cannot be copied; use a functional Keras model of layers with get_config, and kernels for "
            f"its precision ({reason})"
        ) from None
    return copy


def len_of(x: Tensor) -> int:
    """Return the number of examples of raw inputs."""
    return min(len(a) if not hasattr(a, "shape") else int(a.shape[0]) for a in tf.nest.flatten(x)[:1])


def transfer_state(source: keras.Model, target: keras.Model) -> None:
    """Put all state of `source` into `target`, a copy of it that may have another precision.

    Raises ValueError where the two do not have the same layers and variables.
    """
    for a, b in zip(all_variables(source), all_variables(target), strict=True):
        b.assign(a.numpy())
    for a, b in zip(layers_of(source), layers_of(target), strict=True):
        if type(a).load_own_variables is not keras.layers.Layer.load_own_variables and not isinstance(a, keras.Model):
            store: dict[str, Any] = {}
            a.save_own_variables(store)
            b.load_own_variables({k: np.asarray(v) for k, v in store.items()})
        if hasattr(a, "save_assets") and not isinstance(a, keras.Model):
            with tempfile.TemporaryDirectory() as folder:
                a.save_assets(folder)
                if any(Path(folder).iterdir()):
                    b.load_assets(folder)


def prove_equal(model: keras.Model, copy: keras.Model, x: Tensor) -> None:
    """Raise UserError unless the copy gives the outputs of `model` on the examples `x`, from the same state."""
    outputs = []
    for one in (model, copy):
        with restore_weights(one):
            outputs.append(tf.nest.flatten(one(x, training=False)))
    if all(agree(a, b) for a, b in zip(*outputs, strict=True)):
        return
    with restore_weights(model), restore_weights(copy):
        where = first_difference(layer_outputs(model, x), layer_outputs(copy, x))
    raise UserError(
        f"a copy of {model.name} does not compute the same as the model: {where} holds state that its weights and "
        "configuration do not carry; measure the model itself, in its own precision"
    )


@contextmanager
def custom_objects(model: keras.Model) -> Iterator[None]:
    """Let Keras find the classes and functions of the user's that `model` is made of."""
    own: dict[str, Any] = {}
    for layer in layers_of(model):
        for value in (layer, *vars(layer).values()):
            kind = value if isinstance(value, FunctionType) else type(value)
            if not str(getattr(kind, "__module__", "keras")).startswith(("keras", "builtins", "tensorflow", "numpy")):
                own[kind.__name__] = kind
    with keras.saving.CustomObjectScope(own):
        yield


def _unsafe() -> Any:
    """Allow Lambda layers to be recreated: they come from objects of this process."""
    try:
        from keras.src.saving.serialization_lib import SafeModeScope
    except ImportError:
        return nullcontext()
    return SafeModeScope(False)


def random_inputs(model: keras.Model) -> Tensor:
    """Return random inputs of the shapes that the model declares; None if it declares none."""
    structure = getattr(model, "_inputs_struct", None)
    structure = getattr(model, "inputs", None) if structure is None else structure
    if structure is None or (isinstance(structure, list) and not structure):
        return None
    rng = np.random.default_rng(0)

    def one(spec: Any) -> Tensor:
        shape = [spec.shape[0] or PROOF_EXAMPLES, *(n or 4 for n in spec.shape[1:])]
        kind = tf.as_dtype(spec.dtype)
        if kind == tf.string:
            return tf.constant(np.full(shape, "a"))
        return tf.cast(rng.uniform(0, 2, shape) if not kind.is_floating else rng.normal(size=shape), kind)

    structure = structure[0] if isinstance(structure, list) and len(structure) == 1 else structure
    return keras.tree.map_structure(one, structure)
