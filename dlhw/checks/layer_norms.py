"""The norm of a whole gradient against the norms of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlhw.checks.answers import Lacking
from dlhw.checks.tables import Array, Table
from dlhw.checks.written_precision import rounding_error

ROUNDING = 1e-5
"""Relative error of a norm that was computed in float32."""
APART = 0.01
"""The sum of the parts exceeds the root of the sum of their squares by at least this where the two are told apart."""


@dataclass(frozen=True)
class Parts:
    """Rows in which more than one layer has a gradient."""

    norm: Array
    largest: Array  # norm of the largest layer
    total: Array  # root of the sum of the squares
    added: Array  # sum
    tolerance: Array  # relative, from the digits that the numbers are written with
    rows: np.ndarray  # numbers of these rows


def parts_of(table: Table) -> Parts | Lacking:
    """Return the norm and its parts, from the columns norm and layer."""
    if "layer" not in table.columns or table["layer"].shape[1] < 2:
        return Lacking("needs the norms of all layers in columns `layer`")
    norm, layers = table["norm"], np.abs(table["layer"])
    total, added = np.sqrt((layers**2).sum(axis=1)), layers.sum(axis=1)
    use = (total > 0) & (norm > 0) & (added >= (1 + APART) * total)
    if not use.any():
        return Lacking("one layer holds the whole gradient in every row")
    errors = np.stack([rounding_error(column) for column in layers.T], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_layers = (layers * errors).sum(axis=1) / total**2
        tolerance = ROUNDING + rounding_error(norm) / norm + of_layers
    largest = layers.max(axis=1)
    return Parts(norm[use], largest[use], total[use], added[use], tolerance[use], np.flatnonzero(use))


def missing_layers(table: Table) -> bool:
    """Whether the table says that not every tensor has a column."""
    return table.facts.get("all_layers") == "no"
