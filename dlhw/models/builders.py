"""Functional Keras models, by hidden widths or by the string of a net for images."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from dlhw.errors import require
from dlhw.models import architectures  # importing dlhw sets KERAS_BACKEND, before Keras is imported

import keras  # isort: skip

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
    """Build a multilayer perceptron with linear output and `activation` on hidden layers.

    The same seed gives the same weights, whatever else the process has drawn. float64 weights are the float32 ones
    widened, so that both precisions start at the same point.

    Args:
        widths: of the hidden layers.
        inputs: input size.
        outputs: output size.
        activation: of the hidden layers.
        init: "torch": weights *and* biases uniform in +-1/sqrt(fan_in), the default of PyTorch's `nn.Linear` (He et al.
            2015 with a = sqrt(5)). "keras": Glorot-uniform weights (Glorot and Bengio 2010), zero biases.
        seed: of the initial weights.
        dtype: precision.
        name: of the model.

    Returns:
        A functional Keras model: (batch, inputs) -> (batch, outputs).

    Raises:
        UserError: for an unknown `init`.

    Example:
        >>> from dlhw import models
        >>> models.mlp((10, 18, 15, 4)).count_params()
        572
    """
    require(init in ("torch", "keras"), f"`init` {init!r} is unknown; use torch or keras")
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


def image_net(
    net: str,
    shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    *,
    activation: str = "relu",
    init: Init = "torch",
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Build a net for images from its string, such as "20c3-p2-100" (:func:`dlhw.models.architectures.parse_layers`).

    The output holds logits, without softmax: cross entropy from logits does not overflow. Convolutions and pools have
    no padding; `activation` follows every convolution and hidden dense layer.

    Args:
        net: layers joined by hyphens, or a name: deep, wide, plain.
        shape: height, width and channels of an image.
        classes: number of outputs.
        activation: of the hidden layers.
        init: as in :func:`mlp`, where fan_in of a convolution is kernel height times width times channels.
        seed: of the initial weights.
        dtype: a precision, or a policy of Keras such as "mixed_bfloat16": then weights and logits are float32.

    Returns:
        A functional Keras model: (batch, height, width, channels) -> (batch, classes).

    Raises:
        UserError: for a layer that does not fit the images, and an unknown `init`.

    Example:
        >>> from dlhw import models
        >>> models.image_net("8c3-p2-50", (8, 8, 1), 10).output_shape
        (None, 10)
    """
    require(init in ("torch", "keras"), f"`init` {init!r} is unknown; use torch or keras")
    shapes = architectures.kernels(net, shape, classes)
    policy = keras.DTypePolicy(dtype)
    x = keras.Input(shape, name="x", dtype=policy.compute_dtype)
    h, flat = x, False
    for k, layer in enumerate((*architectures.parse_layers(net), architectures.Layer("dense", classes)), start=1):
        last = k > len(architectures.parse_layers(net))
        common = {"kernel_initializer": "zeros", "dtype": policy.variable_dtype if last else dtype}
        if layer.kind == "dense" and not flat:
            h, flat = keras.layers.Flatten(dtype=dtype, name="flatten")(h), True
        act = None if last else activation
        if layer.kind == "conv":
            keras_layer = keras.layers.Conv2D(layer.size, layer.kernel, activation=act, name=f"conv_{k}", **common)
        elif layer.kind == "pool":
            keras_layer = keras.layers.MaxPooling2D(layer.size, dtype=dtype, name=f"pool_{k}")
        else:
            keras_layer = keras.layers.Dense(layer.size, activation=act, name=f"dense_{k}", **common)
        h = keras_layer(h)
    model = keras.Model(x, h, name=re.sub(r"\W", "_", net))
    model.dtype_policy = policy
    model.set_weights(draw_weights(shapes, init=init, seed=seed))
    return model


def initial_weights(sizes: Sequence[int], *, init: Init, seed: int) -> list[np.ndarray]:
    """Return initial weights of an MLP: :func:`draw_weights` for these layer sizes.

    Args:
        sizes: input, hidden and output sizes.
        init: see :func:`mlp`.
        seed: of the weights.

    Returns:
        Kernel and bias of every layer, float32.

    Example:
        >>> from dlhw.models import initial_weights
        >>> [w.shape for w in initial_weights((1, 3, 2), init="torch", seed=0)]
        [(1, 3), (3,), (3, 2), (2,)]
    """
    return draw_weights(list(itertools.pairwise(sizes)), init=init, seed=seed)


def draw_weights(kernels: Sequence[tuple[int, ...]], *, init: Init, seed: int) -> list[np.ndarray]:
    """Draw kernel (..., in, out) and bias (out,) of every layer, float32, with NumPy's PCG64.

    NumPy draws them, not Keras: one stream for the whole net takes microseconds where one initializer per tensor takes
    milliseconds, and the numbers do not change with the version of TensorFlow.

    Args:
        kernels: shapes of the kernels.
        init: see :func:`mlp`.
        seed: of the weights.

    Returns:
        Kernels and biases in turn.

    Example:
        >>> from dlhw.models import draw_weights
        >>> [w.shape for w in draw_weights([(3, 3, 1, 8)], init="keras", seed=0)]
        [(3, 3, 1, 8), (8,)]
    """
    rng = np.random.default_rng(seed)
    weights = []
    for shape in kernels:
        fan_in, out = math.prod(shape[:-1]), shape[-1]
        if init == "torch":
            bound = 1 / np.sqrt(fan_in)
            kernel, bias = rng.uniform(-bound, bound, shape), rng.uniform(-bound, bound, out)
        else:
            bound = np.sqrt(6 / (fan_in + math.prod(shape[:-2]) * out))
            kernel, bias = rng.uniform(-bound, bound, shape), np.zeros(out)
        weights += [kernel.astype(np.float32), bias.astype(np.float32)]
    return weights
