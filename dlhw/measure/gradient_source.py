"""What an input gradient is taken with respect to: the inputs of a model, or the output of one of its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dlhw._tf.inputs import length
from dlhw._tf.types import Tensor
from dlhw.errors import require
from dlhw.models.forward import Forward, forward_function
from dlhw.models.layout_rule import Work
from dlhw.models.state import intercepted, layers_of, leaves_of


class GradientSource:
    """The tensor to differentiate with respect to: the inputs of the model, or the output of one of its layers."""

    def __init__(self, model: keras.Model, x: Tensor, at: str | None, work: Work) -> None:
        self.model, self.at, self.layer, self.outputs = model, at, None, Forward(model)
        if at is None:
            require(
                not isinstance(x, (tuple, list, dict)) and x.dtype.is_floating,
                "a gradient with respect to the inputs needs x to be one array of floats, not integers or several "
                f'inputs; name a layer whose output to differentiate by, such as at="{_suggestion(model)}"',
            )
            self.outputs = forward_function(model, "auto", work, length(x), x)
            return
        names = [layer.name for layer in layers_of(model)]
        require(
            names.count(at) == 1,
            f"`at` {at!r}: the model has {names.count(at)} layers so named; use one of {names}",
        )
        self.layer = next(layer for layer in layers_of(model) if layer.name == at)

    def forward(self, tape: tf.GradientTape, x: Tensor) -> tuple[Any, Callable[[], Any]]:
        """Return the output of the model, and a function that returns the tensor that `tape` watches."""
        if self.layer is None:
            x = tf.identity(x)
            tape.watch(x)
            return self.outputs(x), lambda: x
        outputs: list[Any] = []

        def wrap(_: Any, call: Callable[..., Any]) -> Callable[..., Tensor]:
            def watched(*args: Any, **kwargs: Any) -> Tensor:
                given = call(*args, **kwargs)
                require(
                    tf.is_tensor(given) and given.dtype.is_floating and given.shape[0] == length(x),
                    f"`at` {self.at!r}: the output of the layer is not one array of floats, examples first",
                )
                value = tf.identity(given)
                if (mask := getattr(given, "_keras_mask", None)) is not None:
                    value._keras_mask = mask
                tape.watch(value)
                outputs.append(value)
                return value

            return watched

        with intercepted([self.layer], wrap):
            z = self.outputs(x)
        require(len(outputs) == 1, f"`at` {self.at!r}: the layer is called {len(outputs)} times; use one called once")
        return z, lambda: outputs[0]

    def reached(self, gradient: Tensor) -> Tensor:
        """Return `gradient`, or refuse if it is None."""
        where = "x" if self.at is None else f"the output of layer {self.at!r}"
        require(
            gradient is not None,
            f"no gradient reaches {where}: the output does not depend on it, or only through integers or step "
            f'functions; name a later layer, such as at="{_suggestion(self.model)}"',
        )
        return tf.convert_to_tensor(gradient)


def _suggestion(model: keras.Model) -> str:
    """Return the name of an embedding of the model, or of its first layer with weights."""
    leaves = leaves_of(model)
    embeddings = [layer.name for layer in leaves if isinstance(layer, keras.layers.Embedding)]
    weighted = [layer.name for layer in leaves if layer.weights]
    return (embeddings or weighted or ["layer name"])[0]
