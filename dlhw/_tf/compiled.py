"""A function of tensors, compiled once for their shapes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dlhw._tf.types import Tensor

_TRACING = threading.Lock()  # tracing is pure Python; two traces at once compete for the interpreter lock


class Compiled:
    """`function`, traced once for each structure, shape and dtype of its arguments, and kept.

    A `tf.function` alone takes shapes that vary for a mistake and warns of it; here each shape is wanted.
    """

    def __init__(self, function: Callable[..., Any], *, xla: bool = False) -> None:
        self.function = function
        self._whole = tf.function(function, jit_compile=xla, autograph=False)
        self._kept: dict[Any, Any] = {}

    def __call__(self, *arguments: Any) -> Tensor:
        key = repr(tf.nest.map_structure(lambda a: (tuple(a.shape), a.dtype.name), arguments, expand_composites=True))
        if key not in self._kept:
            with _TRACING:
                self._kept[key] = self._whole.get_concrete_function(*arguments)
        return self._kept[key](*arguments)
