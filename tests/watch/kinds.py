"""The kinds of trainings that are watched: a model, its data, its loss, and what its step does, always the same.

`KINDS[name]()` builds a kind anew from the global seed; models are tiny, and batches are those of the data in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND)

import keras  # isort: skip

L = keras.layers
EXAMPLES, BATCH, EPOCHS = 32, 8, 2
CROSS_ENTROPY = "sparse_categorical_crossentropy"


@dataclass
class Case:
    """One training.

    `calls` is the oracle's own version of the step: a generator of `oracle.Call`, one of every optimizer step, which is
    applied before the next is computed. None: the step of Keras.
    """

    model: Any
    x: Any
    y: Any
    loss: Any = "mse"
    sample_weight: Any = None
    class_weight: dict[int, float] | None = None
    loss_weights: Any = None
    feed: str = "arrays"  # dataset, generator, sequence
    rule: Callable[..., Any] = keras.optimizers.Adam
    calls: Callable[..., Any] | None = None
    rules: int = 1  # optimizers
    loss_known: bool = True  # whether the step calls `compute_loss`
    random: bool = False  # draws numbers that another program would not draw alike
    scaled: bool = False  # by a LossScaleOptimizer
    tolerance: float = 1e-5
    compiled: dict[str, Any] = field(default_factory=dict)  # further arguments of `compile`


KINDS: dict[str, Callable[[], Case]] = {}


def add(name: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Decorate the function that builds a kind."""

    def register(build: Callable[[], Case]) -> Callable[[], Case]:
        KINDS[name] = build
        return build

    return register


def load() -> dict[str, Callable[[], Case]]:
    """All kinds, from the files of their themes."""
    from tests.watch import layers, steps, structures  # noqa: F401

    return KINDS


def chain(*layers: Any, shape: tuple[int, ...] = (4,), **fields: Any) -> keras.Model:
    """A functional chain."""
    inputs = keras.Input(shape, **fields)
    h = inputs
    for layer in layers:
        h = layer(h)
    return keras.Model(inputs, h)


def floats(*shape: int, seed: int = 0, n: int = EXAMPLES) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def labels(classes: int = 3, *shape: int, seed: int = 1, n: int = EXAMPLES) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, (n, *shape)).astype(np.int32)


def softmax(classes: int = 3, **fields: Any) -> Any:
    return L.Dense(classes, "softmax", **fields)
