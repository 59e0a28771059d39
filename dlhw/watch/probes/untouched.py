"""A measurement in the middle of a training leaves everything as it was: weights, states, metrics, random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context as _context  # the eager generator of seeds has no public name
from tensorflow.python.ops import stateful_random_ops as _generators

from dlhw.models.state import all_variables, layers_of


@contextmanager
def untouched(model: keras.Model) -> Iterator[None]:
    """Context manager: whatever happens inside, variables and random numbers are as before, bit for bit.

    These are the variables of the model and of its metrics, the losses that its layers hold since their last call, and
    the generators of Keras, TensorFlow, NumPy and Python. A variable is only written where it has changed, so that
    copies of it that differ between replicas stay as they are.
    """
    variables = [(v, v.numpy()) for v in _variables(model)]
    losses = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in layers_of(model)]
    restore_generators = _generators_of_process()
    try:
        yield
    finally:
        for variable, value in variables:
            if not _equal(variable.numpy(), value):
                variable.assign(value)
        for layer, held, ids in losses:
            layer._losses[:] = held
            layer._loss_ids.clear()
            layer._loss_ids.update(ids)
        restore_generators()


def _variables(model: keras.Model) -> list[Any]:
    variables = all_variables(model)
    listed = {id(v) for v in variables}
    return variables + [v for v in model.metrics_variables if id(v) not in listed]


def _equal(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits: a nan equals itself."""
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def _generators_of_process() -> Callable[[], None]:
    """Return a function that puts back the state of all generators of random numbers of this process."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    eager = getattr(_context.context(), "_rng", None)
    of_eager = None if eager is None else eager.getstate()
    of_tensorflow = _generators.global_generator
    state = None if of_tensorflow is None else of_tensorflow.state.numpy()
    of_keras = keras.src.backend.common.global_state.get_global_attribute("global_seed_generator")
    seed = None if of_keras is None else of_keras.state.numpy()

    def restore() -> None:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        if eager is not None:
            eager.setstate(of_eager)
        if of_tensorflow is not None and not _equal(of_tensorflow.state.numpy(), state):
            of_tensorflow.state.assign(tf.constant(state))
        if of_keras is not None and not _equal(np.asarray(of_keras.state.numpy()), seed):
            of_keras.state.assign(seed)

    return restore
