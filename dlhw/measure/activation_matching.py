"""The permutations of hidden units under which two nets are most alike in what their units compute on data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dlhw._tf.inputs import chunks, first_line
from dlhw._tf.types import Tensor
from dlhw.choices import Matching
from dlhw.errors import UserError
from dlhw.models.channels import Channels, Reader
from dlhw.models.state import intercepted, restore_weights

Array = NDArray[np.floating]


BLOCK = 1 << 20
"""Numbers of a layer that are converted to float64 at a time."""


class _Moments:
    """Sums over examples and positions of z_a z_b^T, z and z^2 of the units of a group, as one layer reads them."""

    def __init__(self, units: int) -> None:
        self.count = 0
        self.products = np.zeros((units, units))
        self.sums, self.squares = np.zeros((2, units)), np.zeros((2, units))

    def add(self, pair: Sequence[Array]) -> None:
        """Add activations of both nets, each (n, units) in any precision; the sums are of float64."""
        self.count += len(pair[0])
        rows = max(1, BLOCK // pair[0].shape[1])
        for start in range(0, len(pair[0]), rows):
            a, b = (np.asarray(z[start : start + rows], np.float64) for z in pair)
            self.products += a.T @ b
            for k, z in enumerate((a, b)):
                self.sums[k] += z.sum(axis=0)
                self.squares[k] += (z * z).sum(axis=0)

    def likeness(self, kind: Matching) -> Array:
        """Return inner products or correlations of the units of a with those of b; 0 for units that are constant."""
        if kind == "activations":
            return self.products / self.count
        means = self.sums / self.count
        variances = np.maximum(self.squares / self.count - means**2, 0.0)
        covariance = self.products / self.count - np.outer(means[0], means[1])
        scale = np.sqrt(np.outer(variances[0], variances[1]))
        floor = 1e-12 * np.sqrt(np.outer(*(self.squares / self.count))) + 1e-300
        return np.where(scale > floor, covariance / np.maximum(scale, floor), 0.0)


def match_activations(
    channels: tuple[Channels, Channels],
    models: tuple[keras.Model, keras.Model],
    x: Tensor,
    kind: Matching,
    batch_size: int,
) -> dict[int, NDArray[np.integer]]:
    """Return the permutation of every group that maximizes the likeness of paired units, summed over its readers.

    Args:
        channels: of the two nets, whose groups and readers correspond.
        models: the two nets.
        x: inputs as tensors.
        kind: "activations": inner products, so that |z_a - P z_b|^2 is least; "correlation": their correlations.
        batch_size: examples per chunk.
    """
    mine = channels[1]
    pairs = [(k, g) for k, reader in enumerate(mine.readers) for g in sorted(set(reader.layout)) if g in mine.free]
    moments = {pair: _Moments(mine.sizes[pair[1]]) for pair in pairs}
    for chunk in chunks(x, batch_size):
        seen = [_inputs(model, one.readers, chunk) for model, one in zip(models, channels, strict=True)]
        for k, g in pairs:
            moments[k, g].add([_units(inputs[k], mine, k, g) for inputs in seen])
    permutations = mine.identity()
    for g in mine.free:
        total = sum((m.likeness(kind) for (_, h), m in moments.items() if h == g), np.zeros((mine.sizes[g],) * 2))
        permutations[g] = linear_sum_assignment(total, maximize=True)[1]
    return permutations


def _inputs(model: keras.Model, readers: Sequence[Reader], x: Tensor) -> list[Array]:
    """Return what every reader is called on, all of its calls one after the other: (calls n, ..., channels).

    In the precision of the model: all of it is held at once.
    """
    calls: dict[int, list[Array]] = {id(reader.layer): [] for reader in readers}

    def wrap(layer: keras.layers.Layer, call: Callable[..., Any]) -> Callable[..., Tensor]:
        def recorded(inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            calls[id(layer)].append(np.asarray(inputs))
            return call(inputs, *args, **kwargs)

        return recorded

    with restore_weights(model), intercepted([reader.layer for reader in readers], wrap):
        try:
            model(x, training=False)
        except (ValueError, TypeError) as error:
            raise UserError(f"model {model.name!r} cannot be called on x: {first_line(error)}") from None
    taken = {key: iter(arrays) for key, arrays in calls.items()}
    return [next(taken[id(reader.layer)]) for reader in readers]


def _units(inputs: Array, channels: Channels, reader: int, g: int) -> Array:
    """Return the activations of a group, (n, units): examples and positions are rows."""
    layout, size = channels.readers[reader].layout, channels.sizes[g]
    starts = np.cumsum([0, *(channels.sizes[h] for h in layout)])
    rows = inputs.reshape(-1, inputs.shape[-1])
    if len(set(layout)) == 1:
        return rows.reshape(-1, size)
    return np.concatenate([rows[:, s : s + size] for s, h in zip(starts, layout, strict=False) if h == g])
