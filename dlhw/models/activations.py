"""How much memory the activations of a model take, and how many examples fit."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from dlhw.models.layout_rule import Work
from dlhw.models.state import leaves_of

_BUDGET = 1 << 30
"""Bytes that the activations of a chunk may take."""
_COPIES: dict[Work, int] = {"gradient": 2, "product": 6}
"""How many times the activations of a forward pass are held: with their gradients, and with derivatives of those."""


def activation_bytes(model: keras.Model) -> int:
    """Return the bytes of the outputs of all layers for one example; layers of unknown shape do not count."""
    total = 0
    for layer in leaves_of(model):
        try:
            outputs = layer.output
        except (AttributeError, ValueError, RuntimeError):  # of a subclassed model, or called several times
            continue
        for tensor in tf.nest.flatten(outputs):
            shape = getattr(tensor, "shape", ())[1:]
            if all(n is not None for n in shape):
                total += math.prod(shape) * tf.as_dtype(tensor.dtype).size
    return total


def examples_that_fit(model: keras.Model, work: Work, n: int, most: int) -> int:
    """Return how many of n examples a chunk takes so that activations stay within a gigabyte: at most `most`.

    Where it is fewer, a divisor of n if there is one near, so that one program serves all chunks.

    Args:
        model: any Keras model.
        work: what is computed.
        n: number of examples.
        most: of a model of small activations.
    """
    size = activation_bytes(model) * _COPIES.get(work, 1)
    fit = max(1, _BUDGET // max(size, 1))
    if fit >= min(most, n):
        return most
    fewest = -(-n // fit)
    calls = next((k for k in range(fewest, 2 * fewest + 1) if n % k == 0), None)
    return n // calls if calls else fit
