"""A grid of alpha that does not contain 0 and 1, such as linspace(-1, 2, 50)."""

from __future__ import annotations

import numpy as np

from dlhw.checks.answers import Lacking, Mark
from dlhw.checks.rule import Rule
from dlhw.checks.tables import Table
from dlhw.present.numbers import format_number

FEWEST = 3
TOLERANCE = 0.05
"""Of the spacing: a grid that misses 0 by less has it, but for rounding. linspace(-1, 2, n) misses it by a third."""


def apply(table: Table) -> Mark | Lacking | None:
    """Mark a grid none of whose points is a net."""
    alphas = table["alpha"]
    if len(np.unique(alphas)) < FEWEST:
        return Lacking(f"a line needs {FEWEST} different values of alpha")
    spacing = float(np.median(np.diff(np.unique(alphas))))
    nearest = [float(alphas[np.argmin(np.abs(alphas - end))]) for end in (0, 1)]
    absent = [end for end in (0, 1) if abs(nearest[end] - end) > TOLERANCE * spacing]
    if not absent:
        return None
    named = " and ".join(f"{end} (the nearest is {format_number(nearest[end])})" for end in absent)
    return Mark(
        f"alpha does not take {named}, so the curve does not show the trained nets themselves. "
        "Minima of the curve then seem to lie beside the nets, and a barrier cannot be computed."
    )


RULE = Rule(
    code="grid-misses-the-nets",
    items=("interpolation",),
    kind="mistake",
    title="a grid of alpha without the two nets",
    remedy="Choose a grid that contains 0 and 1, such as `np.linspace(-1, 2, 61)`.",
    apply=apply,
)
