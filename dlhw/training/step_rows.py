"""Statistics of single updates: of variables, as a compiled step gives them, and of layers. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
NORMS = ("gradient_norm", "applied_norm", "update_norm", "weight_norm")
SHARES = ("zero_share", "nonfinite_share")
ABSENT = -1.0
"""In place of a number of entries that are not finite: the variable took no part in the update."""


@dataclass(frozen=True)
class StepStatistics:
    """What U updates of a training did to its L layers; see :class:`dlhw.training.Trainer`."""

    layers: tuple[str, ...]  # (L,) names, such as encoder/dense
    gradient_norm: Array  # (U, L) Euclidean norm of the gradient of the loss of the batch, before the update
    applied_norm: Array  # (U, L) of the gradient that enters the rule of the optimizer
    update_norm: Array  # (U, L) of the change of the weights
    weight_norm: Array  # (U, L) of the weights before the update
    zero_share: Array  # (U, L) share of gradient entries that are zero, in [0, 1]
    nonfinite_share: Array  # (U, L) share of gradient entries that are not finite, in [0, 1]


def layer_names(paths: Sequence[str]) -> list[str]:
    """Return the name of the layer of every variable, from the paths of the variables.

    The path of a Keras variable is that of its layer and its own name, `encoder/dense/kernel`; this holds in models of
    any kind. Two layers of one name, such as those of two nested models, are told apart by a number.

    Args:
        paths: of the variables, in their order.

    Returns:
        One name for every path.
    """
    met: dict[str, int] = {}
    names = []
    for path in paths:
        met[path] = met.get(path, 0) + 1
        layer = path.rsplit("/", 1)[0] if "/" in path else path
        names.append(layer if met[path] == 1 else f"{layer} {met[path]}")
    return names


def layers_of(paths: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.integer]]:
    """Return the names of the layers in their order, and the position of its layer of every variable."""
    names = layer_names(paths)
    layers = tuple(dict.fromkeys(names))
    return layers, np.array([layers.index(name) for name in names], dtype=np.intp)


def by_layer(columns: Array, groups: NDArray[np.integer], sizes: Sequence[int]) -> Array:
    """Return the statistics of layers: norms add up as squares, and shares are numbers of entries by all entries.

    Args:
        columns: (rows, 6, variables), in the order of :data:`dlhw._tf.step_statistics.STATISTICS`.
        groups: layer of every variable.
        sizes: of the variables, in entries.

    Returns:
        (rows, 6, layers) in the order of NORMS and SHARES; nan for a layer that took no part in an update.
    """
    n, layers, entries = len(NORMS), int(groups.max()) + 1 if len(groups) else 0, np.asarray(sizes, np.float64)
    rows = np.zeros((*columns.shape[:2], layers))
    present = columns[:, -1] != ABSENT
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(layers):
            own = groups == k
            part = np.where(present[:, None, own], columns[..., own], 0.0).astype(np.float64)
            rows[:, :n, k] = np.sqrt(np.square(part[:, :n]).sum(-1))
            rows[:, n:, k] = part[:, n:].sum(-1) / entries[own].sum()
            rows[np.logical_not(present[:, own].any(-1)), :, k] = np.nan
    return rows
