"""How a direction in the space of weights is scaled, and which layers it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dlhw.errors import require

if TYPE_CHECKING:
    from dlhw.models.selection import Layers

Array = NDArray[np.floating]
Norm = Literal["filter", "layer", "weight", "none"]
Shapes: TypeAlias = Any
"""A Keras model, or the shapes of its trainable weights: a sequence of tuples of integers."""


def normalized(direction: Array, theta: Array, shapes: Shapes, *, norm: Norm = "filter") -> Array:
    """Return `direction` with the size of the weights `theta`, tensor by tensor.

        filter  d_j <- d_j |theta_j| / |d_j| for every filter or neuron j (:func:`dlhw.measure.filter_axes` says which
                slices those are; of a list of shapes, the last axis of every kernel is taken)
        layer   the same with the whole tensor in place of a filter
        weight  d_i <- |theta_i| sign(d_i) for every single weight
        none    d itself

    Biases, normalizations and other tensors without filters get zero, except for "none". A filter whose weights are all
    zero gets zero. Li et al. 2018, Visualizing the loss landscape of neural nets: a ReLU net whose layers are rescaled
    computes the same function, and only directions that are rescaled with it see the same surface.

    Args:
        direction: (P,).
        theta: weights, (P,), in the order of :func:`dlhw.measure.flat`.
        shapes: the Keras model, or the shapes of its tensors in the order of the vector. Shapes alone are enough for
            Dense and Conv layers; transposed and depthwise convolutions, attention and embeddings need the model.
        norm: see above.

    Returns:
        The scaled direction, (P,).

    Raises:
        UserError: for an unknown norm, and vectors that are not as long as the shapes say.

    Example:
        >>> import numpy as np
        >>> from dlhw import measure
        >>> measure.normalized(np.array([3.0, -4.0]), np.array([1.0, 2.0]), [(2, 1)], norm="weight").tolist()
        [1.0, -2.0]
    """
    require(norm in get_args(Norm), f"`norm` {norm!r} is unknown; use {', '.join(get_args(Norm))}")
    tensors = _tensors(shapes)
    sizes = [int(np.prod(shape)) for shape, _ in tensors]
    fits = np.shape(direction) == np.shape(theta) == (sum(sizes),)
    require(
        fits, f"`direction` {np.shape(direction)} and `theta` {np.shape(theta)} must be vectors of {sum(sizes)} weights"
    )
    direction, theta = np.asarray(direction, np.float64), np.asarray(theta, np.float64)
    if norm == "none":
        return direction
    scaled, at = np.zeros_like(theta), 0
    for (shape, axes), size in zip(tensors, sizes, strict=True):
        span = slice(at, at + size)
        at += size
        if axes is None:
            continue
        d, t = direction[span].reshape(shape), theta[span].reshape(shape)
        if norm == "weight":
            scaled[span] = (np.abs(t) * np.sign(d)).ravel()
            continue
        summed = axes if norm == "filter" else None
        length = np.sqrt((d**2).sum(axis=summed, keepdims=True))
        wanted = np.sqrt((t**2).sum(axis=summed, keepdims=True))
        scaled[span] = (d * wanted / np.where(length > 0, length, 1.0)).ravel()
    return scaled


def _tensors(shapes: Shapes) -> list[tuple[tuple[int, ...], tuple[int, ...] | None]]:
    """Return the shape of every tensor and the axes over which a filter of it is summed; None: it has none."""
    if hasattr(shapes, "trainable_variables"):
        from dlhw.measure.filters import filter_axes

        variables = shapes.trainable_variables
        return [(tuple(v.shape), a) for v, a in zip(variables, filter_axes(shapes), strict=True)]
    return [(tuple(s), tuple(range(len(s) - 1)) if len(s) > 1 else None) for s in shapes]


def within(direction: Array, model: Shapes, layers: Layers) -> Array:
    """Return `direction` with zeros outside the weights of the named layers (None: all) of a Keras model.

    Raises:
        UserError: for shapes in place of a model, and names of layers that it does not have.
    """
    if layers is None:
        return direction
    require(hasattr(model, "trainable_variables"), "`layers` needs the model in place of the shapes of its weights")
    from dlhw.models.selection import selected_variables

    chosen = {id(v) for v in selected_variables(model, layers)}
    moved = np.concatenate([np.full(int(np.prod(v.shape)), id(v) in chosen) for v in model.trainable_variables])
    return np.where(moved, direction, 0.0)
