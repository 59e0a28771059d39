"""Functional Keras models, by hidden widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

import dlhw  # noqa: F401  (sets KERAS_BACKEND before Keras is imported)
from dlhw.errors import require

import keras  # isort: skip
import itertools

Init = Literal["torch", "keras"]


def mlp(
    widths: Sequence[int],
    *,
    inputs: int = 1,
    outputs: int = 1,
    activation: str = "relu",
    init: Init = "torch",
    seed: int = 0,
    dtype: str = "float32",
    name: str | None = None,
) -> keras.Model:
    """A multilayer perceptron: (batch, inputs) -> (batch, outputs), linear output, `activation` on hidden layers.

    init="torch": weights *and* biases uniform in +-1/sqrt(fan_in), the default of PyTorch's `nn.Linear`
    (He et al. 2015 with a = sqrt(5)). init="keras": Glorot-uniform weights (Glorot and Bengio 2010), zero biases.
    The same seed gives the same weights, whatever else the process has drawn. float64 weights are the float32 ones
    widened, so that both precisions start at one point.
    """
    require(init in ("torch", "keras"), f"init {init!r} is unknown; use torch or keras")
    sizes = (inputs, *widths, outputs)
    x = keras.Input((inputs,), name="x", dtype=dtype)
    h = x
    for k, size in enumerate(sizes[1:], start=1):
        last = k == len(sizes) - 1
        layer = keras.layers.Dense(
            size,
            activation=None if last else activation,
            kernel_initializer="zeros",
            dtype=dtype,
            name=f"dense_{k}",
        )
        h = layer(h)
    model = keras.Model(x, h, name=name)
    model.dtype_policy = keras.DTypePolicy(dtype)  # else the model casts its input to float32 before the first layer
    model.set_weights(initial_weights(sizes, init=init, seed=seed))
    return model


def initial_weights(sizes: Sequence[int], *, init: Init, seed: int) -> list[np.ndarray]:
    """Kernel (fan_in, fan_out) and bias (fan_out,) of every layer, float32, drawn by NumPy's PCG64.

    NumPy draws them, not Keras: one stream for the whole net costs microseconds where an initializer a tensor
    costs milliseconds, and does not change with the version of TensorFlow.
    """
    rng = np.random.default_rng(seed)
    weights = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        if init == "torch":
            bound = 1 / np.sqrt(fan_in)
            kernel, bias = rng.uniform(-bound, bound, (fan_in, fan_out)), rng.uniform(-bound, bound, fan_out)
        else:
            bound = np.sqrt(6 / (fan_in + fan_out))
            kernel, bias = rng.uniform(-bound, bound, (fan_in, fan_out)), np.zeros(fan_out)
        weights += [kernel.astype(np.float32), bias.astype(np.float32)]
    return weights
