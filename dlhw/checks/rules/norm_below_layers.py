"""The norm of the whole gradient below that of one of its layers."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.layer_norms import parts_of
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number


def apply(table: Table) -> Mark | Lacking | None:
    """Mark rows in which a layer has a larger norm than the whole."""
    parts = parts_of(table)
    if isinstance(parts, Lacking):
        return parts
    below = np.flatnonzero(parts.norm < parts.largest * (1 - parts.tolerance))
    if not len(below):
        return None
    row = below[0]
    norm, layer = format_number(float(parts.norm[row])), format_number(float(parts.largest[row]))
    reason = (
        f"norm is {norm} in row {table.row_number(parts.rows[row])}, and the largest layer norm there is {layer}. "
        "A whole is at least as long as its longest part."
    )
    return Mark(reason, tuple(map(int, parts.rows[below])))


RULE = Rule(
    code="norm-below-layers",
    items=("gradient-norm",),
    kind="impossible",
    title="a gradient norm below that of one of its layers",
    remedy="Take the root of the sum of the squares over all tensors, with all norms of the same batch and weights.",
    apply=apply,
)
