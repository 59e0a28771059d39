"""A function of tensors, compiled once for their shapes; and functions that several measurements share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
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


Programs = dict[Hashable, Compiled]
"""Compiled functions by what they compute."""
_scope = threading.local()


@contextmanager
def sharing(programs: Programs) -> Iterator[None]:
    """Context manager: measurements of this thread that compute the same of a model share one compiled function.

    For models of our own, whose layers stay as they are: a function that is compiled does not see that a layer of a
    model has changed.
    """
    before = getattr(_scope, "programs", None)
    _scope.programs = programs
    try:
        yield
    finally:
        _scope.programs = before


def shared(key: Hashable, make: Callable[[], Compiled]) -> Compiled:
    """Return the function `key` of the innermost :func:`sharing` of this thread, made if it is not there yet."""
    programs: Programs | None = getattr(_scope, "programs", None)
    if programs is None:
        return make()
    if key not in programs:
        programs[key] = make()
    return programs[key]
