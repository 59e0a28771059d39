"""The probe as tensors, in a random order, and what is refused before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlhw._tf.inputs import chunks, first_line, float_dtype, input_tensors, length, take
from dlhw._tf.types import Data, Tensor
from dlhw.errors import UserError, require
from dlhw.models.state import layers_of
from dlhw.watch.probes.losses_of_model import compute_loss, is_standard

CHUNK = 128
"""Examples of one forward pass; what is seen of its activations is a few numbers a unit."""
TRIED = 4


class ProbeData:
    """The examples of a probe.

    They are put into a random order, always the same: subsets of them and neighbours are then random.

    Args:
        model: any built Keras model.
        x: inputs, (n, ...), or a structure of several.
        y: targets, (n, ...), or a structure of several; None where the model needs none.

    Raises:
        UserError: for data that are no arrays of numbers with as many examples each.
    """

    def __init__(self, model: keras.Model, x: Data, y: Data) -> None:
        x = _as_the_model_takes(model, _named("inputs", lambda: input_tensors(model, x)))
        y = None if y is None else _named("targets", lambda: _targets(model, y))
        self.n = _named("inputs", lambda: length(x))
        if y is not None:
            n = _named("targets", lambda: length(y))
            require(n == self.n, f"the probe has {self.n} inputs and {n} targets; give one target for each input")
        for name, data in (("inputs", x), ("targets", y)):
            finite = all(_is_finite(a) for a in tf.nest.flatten(data) if a is not None)
            require(finite, f"the {name} of the probe hold values that are not finite; leave those examples out")
        self.fixed = _fixed_batch(model)
        require(
            self.fixed is None or self.n >= self.fixed,
            f"the probe has {self.n} examples and the model takes {self.fixed} at a time; give as many at least",
        )
        order = np.random.default_rng(0).permutation(self.n)
        self.x, self.y = take(x, order), None if y is None else take(y, order)

    def first(self, n: int) -> tuple[Any, Any]:
        """Return the first examples, at most n."""
        rows = np.arange(min(n, self.n))
        return take(self.x, rows), None if self.y is None else take(self.y, rows)

    def tried(self) -> tuple[Any, Any]:
        """Return the few examples that a model is tried on."""
        return self.first(self.fixed or TRIED)

    def chunks(self) -> Iterator[tuple[Any, Any]]:
        """Yield the examples in chunks; of a model with a fixed batch size only full ones."""
        size = self.fixed or CHUNK
        for start in range(0, self.n if self.fixed is None else self.n // size * size, size):
            rows = np.arange(start, min(start + size, self.n))
            yield take(self.x, rows), None if self.y is None else take(self.y, rows)


def check_call(model: keras.Model, x: Any) -> Any:
    """Return the outputs for a few inputs; UserError where the model cannot be called on them.

    Raises:
        NotImplementedError: for a model that is trained without being called.
    """
    try:
        return model(x, training=False)
    except NotImplementedError:
        raise
    except Exception as error:
        raise UserError(
            f"the model cannot be called on the inputs of the probe, of shape {_shapes(x)}: {first_line(error)}"
        ) from None


def check_targets(model: keras.Model, x: Any, y: Any, outputs: Any) -> None:
    """Refuse targets whose shape does not go with the outputs, for a loss that Keras takes itself."""
    if not is_standard(model) or y is None:
        return
    try:
        compute_loss(model, x, y, outputs)
    except Exception as error:
        if "label value" in str(error):  # a class that no output stands for: that is for the findings
            return
        raise UserError(
            f"the targets of the probe, of shape {_shapes(y)}, do not go with the outputs, of shape "
            f"{_shapes(outputs)}, and the loss: {first_line(error)}"
        ) from None


def _as_the_model_takes(model: keras.Model, x: Any) -> Any:
    """Return whole numbers as floats where the model makes floats of them itself, such as pixels from 0 to 255."""
    inputs: list[Any] = list(getattr(model, "inputs", None) or [])
    floats = len(inputs) == 1 and tf.as_dtype(inputs[0].dtype).is_floating
    embeds = any(isinstance(layer, keras.layers.Embedding) for layer in layers_of(model))
    return tf.cast(x, float_dtype(model)) if floats and not embeds and tf.is_tensor(x) and x.dtype.is_integer else x


def _targets(model: keras.Model, y: Any) -> Any:
    """Return targets as tensors, in the structure that they were given in; a list of numbers is an array."""
    several = isinstance(y, (tuple, dict)) or (
        isinstance(y, list) and len(y) > 0 and all(getattr(a, "ndim", 0) >= 1 for a in y)
    )

    def convert(a: Any) -> Tensor:
        tensor = input_tensors(model, a if hasattr(a, "shape") else np.asarray(a))
        return tf.cast(tensor, float_dtype(model)) if tensor.dtype.is_floating else tensor

    return keras.tree.map_structure(convert, y) if several else convert(y)


def _named(name: str, make: Callable[[], Any]) -> Any:
    """Return what `make` returns; say of a refusal that it is one of the probe."""
    try:
        return make()
    except UserError as error:
        raise UserError(f"the {name} of the probe: {error}") from None


def _is_finite(array: Any) -> bool:
    if not array.dtype.is_floating:
        return True
    parts = chunks(array, 4096)  # of an array on disk, never all of it
    return all(bool(tf.reduce_all(tf.math.is_finite(part))) for part in parts)


def _fixed_batch(model: keras.Model) -> int | None:
    inputs = getattr(model, "inputs", None) or ()
    return next((int(i.shape[0]) for i in inputs if i.shape and i.shape[0] is not None), None)


def _shapes(data: Any) -> str:
    """Return the shapes of the arrays of a structure, with n for the examples."""
    shapes = ["(" + ", ".join(["n", *(str(k) for k in a.shape[1:])]) + ")" for a in tf.nest.flatten(data)]
    return ", ".join(shapes)
