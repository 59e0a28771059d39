"""The second gradient of a step of sharpness-aware minimization, where the weights are variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dlhw._tf.types import Tensor, Tensors
from dlhw.models.state import all_variables
from dlhw.training.optimizers import Optimizer

Gradients = Callable[[], tuple[Tensor, list[Tensor]]]
"""Loss and gradients of a batch at the weights that the model holds."""


def states_of(model: keras.Model) -> list[tf.Variable]:
    """Return the variables that a forward pass may change: moving statistics, seeds, recurrent states."""
    trained = {id(v) for v in model.trainable_variables}
    states = [v for v in all_variables(model) if id(v) not in trained]
    return [v.value if isinstance(v, keras.Variable) else v for v in states]


def two_gradients(
    optimizer: Optimizer, variables: Sequence[tf.Variable], states: Sequence[tf.Variable], gradients: Gradients
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the loss and the gradients at the weights, and the gradients that the optimizer applies.

    For sam these are the gradients of the same batch at `optimizer.ascended`, as in the authors' code: both passes
    begin with the same states, so that they have the same dropout, and the states that remain are those of the first.

    Args:
        optimizer: of the training.
        variables: trainable ones.
        states: see :func:`states_of`.
        gradients: computes both; called a second time for sam.
    """
    if not optimizer.radius:
        value, first = gradients()
        return value, first, first
    before = [tf.identity(v) for v in states]
    value, first = gradients()
    weights, after = [tf.identity(v) for v in variables], [tf.identity(v) for v in states]
    try:
        _assign(variables, optimizer.ascended(weights, first))
        _assign(states, before)
        _, second = gradients()
    finally:
        _assign(variables, weights)
        _assign(states, after)
    return value, first, second


def _assign(variables: Sequence[Any], values: Tensors) -> None:
    """Set variables by their handles: those of the own replica."""
    for variable, value in zip(variables, values, strict=True):
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
