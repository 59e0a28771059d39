"""Variables and gradients as optimizers get them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def held(values: Sequence[Any] | None) -> Any:
    """Return values that can be read twice; a list or tuple as it is, since Keras may store it."""
    return values if values is None or isinstance(values, (list, tuple)) else list(values)


def tensor(variable: keras.Variable | tf.Variable) -> tf.Variable:
    """Return the variable of TensorFlow behind one of Keras."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def first_component(variable: tf.Variable) -> Sequence[tf.Variable]:
    """Return the variable of the first replica, as a list of one."""
    values = getattr(variable, "values", None)
    return [variable] if values is None else [values[0]]
