"""Weights as one flat vector, and the path that they take through their space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require

if TYPE_CHECKING:
    import keras

Array = NDArray[np.floating]


def flat(model: keras.Model) -> Array:
    """Return all trainable weights of a Keras model as one vector, in the order of `model.trainable_variables`.

    Args:
        model: any built Keras model.

    Returns:
        (P,), in the precision of the weights.

    Raises:
        UserError: for a model without trainable weights, such as one that is not built.

    Example:
        >>> from dlhw import measure, models
        >>> measure.flat(models.mlp((4,))).shape
        (13,)
    """
    require(bool(model.built), f"model {model.name!r} is not built: call it once on data, model(x[:1])")
    require(len(model.trainable_variables) > 0, f"model {model.name!r} has no trainable weights")
    return np.concatenate([np.asarray(v).ravel() for v in model.trainable_variables])


def assign(model: keras.Model, vector: Array) -> None:
    """Set the trainable weights of `model` to a flat vector; the inverse of :func:`flat`.

    Args:
        model: any built Keras model.
        vector: (P,).

    Returns:
        Nothing; the model is changed.

    Raises:
        UserError: for a vector of another length.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure, models
        >>> net = models.mlp((4,))
        >>> measure.assign(net, np.arange(13.0))
        >>> measure.flat(net)[-1].item()
        12.0
    """
    sizes = [math.prod(v.shape) for v in model.trainable_variables]
    require(vector.shape == (sum(sizes),), f"vector of shape {vector.shape} for {sum(sizes)} trainable weights")
    pieces = np.split(vector, np.cumsum(sizes)[:-1])
    for variable, piece in zip(model.trainable_variables, pieces, strict=True):
        variable.assign(piece.reshape(variable.shape))


def layer_parts(model: keras.Model) -> dict[str, slice]:
    """Return where the trainable weights of each layer are in the vector of :func:`flat`.

    Args:
        model: any built Keras model.

    Returns:
        A slice for each layer with trainable weights, by its name.

    Raises:
        UserError: where the weights of a layer are not contiguous, as in some subclassed models.

    Example:
        >>> from dlhw import measure, models
        >>> measure.layer_parts(models.mlp((4,)))
        {'dense_1': slice(0, 8, None), 'dense_2': slice(8, 13, None)}
    """
    sizes = [math.prod(v.shape) for v in model.trainable_variables]
    ends = [0, *np.cumsum(sizes).tolist()]
    at = {id(v): i for i, v in enumerate(model.trainable_variables)}
    parts = {}
    for layer in model.layers:
        own = sorted(at.pop(id(v)) for v in layer.trainable_variables if id(v) in at)
        if own:
            together = own == list(range(own[0], own[-1] + 1))
            require(together, f"the weights of layer {layer.name} are not contiguous in those of the model")
            parts[layer.name] = slice(ends[own[0]], ends[own[-1] + 1])
    return parts


def layer_span(kernels: Sequence[tuple[int, ...]], layer: int) -> slice:
    """Return where the kernel and bias of a layer are in a flat vector.

    Args:
        kernels: shapes of the kernels of all layers.
        layer: number of the layer, 1, 2, ...

    Returns:
        The slice.

    Raises:
        UserError: for a layer that does not exist.

    Example:
        >>> from dlhw.models import layer_span
        >>> layer_span([(1, 4), (4, 1)], 2)
        slice(8, 13, None)
    """
    sizes = [math.prod(kernel) + kernel[-1] for kernel in kernels]
    require(1 <= layer <= len(sizes), f"`layer` {layer} must lie in 1..{len(sizes)}, the layers with weights")
    return slice(sum(sizes[: layer - 1]), sum(sizes[:layer]))
