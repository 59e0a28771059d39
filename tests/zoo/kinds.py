"""The kinds of models in the zoo, each with data and a loss; built anew, in the precision that floatx says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND)

import keras  # isort: skip

L = keras.layers
EXAMPLES = 9


@dataclass(frozen=True)
class Kind:
    """One kind of model."""

    theme: str
    build: Callable[[], Any]
    shape: Any = (3,)  # of an example; a list or dict of several; or a function that gives the inputs
    loss: Any = "mse"
    targets: Any = None  # function of the outputs (n, ...) that gives the targets; default: normal numbers
    precision: str = ""  # a policy of its own: not built in float64


KINDS: dict[str, Kind] = {}


def add(name: str, theme: str, **fields: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Decorate the function that builds a kind."""

    def register(build: Callable[[], Any]) -> Callable[[], Any]:
        KINDS[name] = Kind(theme, build, **fields)
        return build

    return register


def chain(*layers: Any, shape: tuple[int, ...] = (3,), dtype: str | None = None) -> keras.Model:
    """A functional chain; layers may be functions of a tensor."""
    inputs = keras.Input(shape, dtype=dtype)
    h = inputs
    for layer in layers:
        h = layer(h)
    return keras.Model(inputs, h)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def floats(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return generator(seed).normal(size=(EXAMPLES, *shape)).astype(keras.config.floatx())


def inputs_of(kind: Kind) -> Any:
    """The inputs of a kind."""
    if callable(kind.shape):
        return kind.shape()
    if isinstance(kind.shape, dict):
        return {k: floats(s, 5 + i) for i, (k, s) in enumerate(kind.shape.items())}
    if isinstance(kind.shape, list):
        return [floats(s, 5 + i) for i, s in enumerate(kind.shape)]
    return floats(kind.shape)


def made(name: str) -> tuple[keras.Model, Any, Any, Any]:
    """Model, inputs, targets and loss of a kind, always the same."""
    kind = KINDS[name]
    keras.utils.set_random_seed(3)
    model, x = kind.build(), inputs_of(kind)
    # A loss object computes in the floatx of the time when it was made.
    is_object = isinstance(kind.loss, keras.losses.Loss)
    loss = type(kind.loss).from_config(kind.loss.get_config()) if is_object else kind.loss
    if getattr(model, "unbuilt", False):
        return model, x, floats((1,), 2), loss
    before = [v.numpy() for v in model.variables]
    outputs = model(x, training=False)
    for variable, value in zip(model.variables, before, strict=False):
        variable.assign(value)
    z = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
    y = floats(tuple(z.shape[1:]), 2) if kind.targets is None else kind.targets(tuple(z.shape))
    return model, x, y, loss


def classes(shape: tuple[int, ...]) -> np.ndarray:
    """Class labels for outputs of a shape."""
    return generator(4).integers(0, shape[-1], shape[:-1])


def one_hot(shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(shape[-1], dtype=keras.config.floatx())[classes(shape)]


def load() -> dict[str, Kind]:
    """All kinds, from the files of their themes."""
    from tests.zoo import images, layers, losses, sequences, states, structures  # noqa: F401

    return KINDS
